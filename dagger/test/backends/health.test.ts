import { describe, expect, it } from "vitest"
import { parseHealth } from "../../src/backends/health.js"

const said = (status: number, state: string, redis: object) => ({
  status,
  text: JSON.stringify({ status: state, checks: { database: { ok: true, latency_ms: 2.6 }, redis } }),
})

describe("healthOf", () => {
  it("says how application, database and Redis are", () => {
    expect(parseHealth(said(200, "ready", { ok: true, latency_ms: 0.4 }))).toEqual({
      ok: true,
      reason: "ready: database 3 ms, redis 0 ms",
    })
  })

  it("takes one that is degraded, and says what failed", () => {
    expect(parseHealth(said(200, "degraded", { ok: false, latency_ms: 251, error: "TimeoutError" }))).toEqual(
      {
        ok: true,
        reason: "degraded: database 3 ms, redis failed (TimeoutError)",
      },
    )
  })

  it("does not take one that is not ready", () => {
    const { ok, reason } = parseHealth(said(503, "not ready", { ok: false, latency_ms: 1 }))
    expect([ok, reason]).toEqual([false, "not ready: database 3 ms, redis failed (no reason given)"])
  })

  it.each([
    { status: 200, text: "<html>welcome</html>" },
    { status: 503, text: "no endpoints available for service" },
  ])("does not take %j for an answer", (answer) => {
    expect(parseHealth(answer).ok).toBe(false)
  })
})
