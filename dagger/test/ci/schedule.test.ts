import { describe, expect, it } from "vitest"
import { schedule, type ScheduledGate } from "../../src/ci/runner/schedule.js"
import type { Outcome } from "../../src/ci/runner/verdict.js"

const tick = () => new Promise((resolve) => setTimeout(resolve, 1))

/** Runs steps whose outcomes are given, and notes what began and ended, in order. */
async function play(
  steps: ScheduledGate[],
  outcomes: Record<string, Outcome> = {},
  policy = { parallel: 10, failFast: false },
) {
  const log: string[] = []
  let running = 0
  let most = 0
  const results = await schedule(
    steps,
    async ({ name }) => {
      log.push(`+${name}`)
      most = Math.max(most, ++running)
      await tick()
      running--
      log.push(`-${name}`)
      return { name, verdict: { outcome: outcomes[name] ?? "passed" } }
    },
    ({ name }, reason) => ({ name, reason, verdict: { outcome: "skipped" } }),
    policy,
  )
  return { log, most, results }
}

describe("schedule", () => {
  it("runs what needs nothing at the same time, and gives results in the order of the gates", async () => {
    const { most, results } = await play([{ name: "a" }, { name: "b" }, { name: "c" }])
    expect(most).toBe(3)
    expect(results.map(({ name }) => name)).toEqual(["a", "b", "c"])
  })

  it("runs no more at a time than it may", async () => {
    const steps = Array.from({ length: 20 }, (_, index) => ({ name: String(index) }))
    const { most, results } = await play(steps, {}, { parallel: 3, failFast: false })
    expect(most).toBe(3)
    expect(results).toHaveLength(20)
  })

  it("runs a gate only after what it needs", async () => {
    const { log } = await play([
      { name: "scan", needs: ["image", "lint"] },
      { name: "image" },
      { name: "lint" },
    ])
    expect(log.indexOf("+scan")).toBeGreaterThan(log.indexOf("-image"))
    expect(log.indexOf("+scan")).toBeGreaterThan(log.indexOf("-lint"))
  })

  it.each(["failed", "could not run", "skipped"] as const)(
    "skips what needs a gate that %s, and what needs that, naming the nearest cause",
    async (outcome) => {
      const steps = [
        { name: "browser", needs: ["smoke"] },
        { name: "smoke", needs: ["image"] },
        { name: "image" },
      ]
      const { log, results } = await play(steps, { image: outcome })
      expect(log).toEqual(["+image", "-image"])
      expect(results).toMatchObject([
        { name: "browser", reason: "needs smoke, which did not pass" },
        { name: "smoke", reason: "needs image, which did not pass" },
        { name: "image" },
      ])
    },
  )

  it("runs all to the end, unless told to stop at the first failure", async () => {
    const steps = [{ name: "a" }, { name: "b" }, { name: "c" }]
    const outcomes = { a: "failed" } as const
    const toTheEnd = await play(steps, outcomes, { parallel: 1, failFast: false })
    expect(toTheEnd.log).toEqual(["+a", "-a", "+b", "-b", "+c", "-c"])
    const fast = await play(steps, outcomes, { parallel: 1, failFast: true })
    expect(fast.log).toEqual(["+a", "-a"])
    expect(fast.results).toMatchObject([{}, { reason: "stopped: a failed" }, { reason: "stopped: a failed" }])
  })

  it("does not stop early for trouble that is not the source's", async () => {
    const steps = [{ name: "a" }, { name: "b" }]
    const { log } = await play(steps, { a: "could not run" }, { parallel: 1, failFast: true })
    expect(log).toContain("-b")
  })

  it("refuses needs that no gate meets, and circles, before anything runs", async () => {
    await expect(play([{ name: "a", needs: ["b"] }])).rejects.toThrow(
      "a needs b, which is no gate of this run",
    )
    const circle = [
      { name: "a", needs: ["b"] },
      { name: "b", needs: ["c"] },
      { name: "c", needs: ["a"] },
    ]
    await expect(play(circle)).rejects.toThrow("gates need each other: a → b → c → a")
  })

  it("of no gates makes no results", async () => {
    expect((await play([])).results).toEqual([])
  })
})
