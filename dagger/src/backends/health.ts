import { z } from "zod"

/** The health of a service and of the stores that it needs. */
export interface Health {
  ok: boolean
  /** In one line, such as `ready: database 3 ms, redis 1 ms`. */
  reason: string
}

const readiness = z.object({
  status: z.string(),
  checks: z.record(
    z.string(),
    z.object({ ok: z.boolean(), latency_ms: z.number(), error: z.string().nullish() }),
  ),
})

/** Reads an answer of /health/ready. A degraded service takes requests. */
export function parseHealth({ status, text }: { status: number; text: string }): Health {
  const ok = status === 200
  let found
  try {
    found = readiness.parse(JSON.parse(text))
  } catch {
    return {
      ok: false,
      reason: `/health/ready answered ${status}, and not what a service of the platform says`,
    }
  }
  const checks = Object.entries(found.checks).map(([name, check]) =>
    check.ok
      ? `${name} ${Math.round(check.latency_ms)} ms`
      : `${name} failed (${check.error ?? "no reason given"})`,
  )
  return { ok, reason: [found.status, checks.join(", ")].filter(Boolean).join(": ") }
}
