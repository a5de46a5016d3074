import { z } from "zod"

const units: Record<string, number> = { s: 1, m: 60, h: 3600 }

/** Seconds. Kubernetes counts in 32 bits, and longer times from now are no dates. */
const longest = 200_000 * 3600

/**
 * Parses a duration such as `90s`, `5m` or `1h30m` into seconds.
 *
 * @throws Error for other text, for a duration of 0, and for one above 200000h (22 years)
 */
export function secondsOf(text: string): number {
  const parts = [...text.matchAll(/(\d+)([smh])/g)]
  const seconds = parts.reduce((sum, [, number, unit = ""]) => sum + Number(number) * (units[unit] ?? 0), 0)
  if (seconds === 0 || parts.map(([part]) => part).join("") !== text) {
    throw new Error(
      `"${text}" is not a duration; allowed: numbers with a unit (s, m, h), such as 90s, 5m or 1h30m`,
    )
  }
  if (seconds > longest) throw new Error(`"${text}" is too long; allowed: up to ${longest / 3600}h`)
  return seconds
}

/** A duration in a configuration file, such as `90s` or `5m`, parsed into seconds. `0s` turns the setting off. */
export const configuredDuration = z.string().transform((text, context) => {
  if (text === "0s") return 0
  try {
    return secondsOf(text)
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as Error).message })
    return z.NEVER
  }
})
