import { describe, expect, it } from "vitest"
import type { Sample } from "../../../src/backends/analysis/sample.js"
import { analysisSection, assess, type AnalysisSettings } from "../../../src/backends/analysis/rules.js"
import { readConfiguration } from "../../../src/lib/document.js"

const settings = (yaml: string): AnalysisSettings => readConfiguration("deploy.yaml", yaml, analysisSection)

/** The platform's rules. */
const platform = settings(`
interval: 10s
noDataTimeout: 5m
rules:
  - { metric: error-rate, above: 10, for: 3m, requests: 20 }
  - { metric: p95, above: 2000, for: 5m, requests: 20 }
  - { metric: failing-pods, above: 50, for: 5m }
`)
const errorRate = settings(
  `{ interval: 10s, noDataTimeout: 5m, rules: [{ metric: error-rate, above: 10, for: 3m }] }`,
)
/** Each look for itself: nothing is smoothed. */
const sharp = settings(
  `{ interval: 10s, noDataTimeout: 5m, rules: [{ metric: error-rate, above: 10, for: 3m, window: 1s }] }`,
)

const tick = (rest: Partial<Sample> = {}): Sample => ({
  at: 0,
  seconds: 10,
  requests: 100,
  errors: 0,
  p95: 120,
  pods: { wanted: 4, failing: 0 },
  ...rest,
})
const good = tick()
const bad = tick({ errors: 100 })
const idle = tick({ requests: 0 })
const down = tick({ requests: 0, missing: "the source is down" })
const times = (count: number, observation: Sample) => Array<Sample>(count).fill(observation)

/** Every assessment of a step as it goes on, each with the seconds since the first observation. */
function course(history: Sample[], rules: AnalysisSettings, duration = 10 * 60_000) {
  return history.map((_, index) => {
    const elapsed = history.slice(1, index + 1).reduce((sum, { seconds }) => sum + seconds * 1000, 0)
    return { at: elapsed / 1000, ...assess(history.slice(0, index + 1), rules, { elapsed, duration }) }
  })
}
const outcomes = (...of: Parameters<typeof course>) => course(...of).map(({ outcome }) => outcome)
const over = { elapsed: 60_000, duration: 60_000 }

describe("assess", () => {
  it("passes a healthy step at its end and not before", () => {
    const steps = course(times(8, good), platform, 60_000)
    expect(steps.map(({ outcome }) => outcome)).toEqual([...Array<string>(6).fill("wait"), "pass", "pass"])
    expect(steps.at(-1)?.reason).toBe(
      "error rate 0 % is not above 10 %; p95 120 ms is not above 2000 ms; failing pods 0 % is not above 50 %",
    )
  })

  it("fails when a condition has held for all of its time", () => {
    const steps = course([...times(6, good), ...times(20, bad)], sharp)
    const failed = steps.findIndex(({ outcome }) => outcome === "fail")
    // The first bad one is the seventh, at 60 s.
    expect(steps[failed]?.at).toBe(60 + 180)
    expect(steps[failed]?.reason).toBe("error rate 100 % is above 10 % for 180 s of 180 s")
    expect(steps[failed - 1]).toMatchObject({
      outcome: "wait",
      reason: "error rate 100 % is above 10 % for 170 s of 180 s",
    })
  })

  it.each([
    ["error rate", tick({ errors: 11 }), 180],
    ["p95", tick({ p95: 2001 }), 300],
    ["failing pods", tick({ pods: { wanted: 4, failing: 3 } }), 300],
  ])("fails for a broken %s after %o", (title, broken, seconds) => {
    const steps = course(times(40, broken), platform, 60_000)
    const failed = steps.find(({ outcome }) => outcome === "fail")
    expect(failed).toMatchObject({ at: seconds, reason: expect.stringContaining(title) as string })
  })

  it.each([
    ["an error rate of 10 %", tick({ errors: 10 })],
    ["a p95 of 2 s", tick({ p95: 2000 })],
    ["half of the pods failing", tick({ pods: { wanted: 4, failing: 2 } })],
  ])("is content with %s: above is above", (_, observation) => {
    expect(assess(times(60, observation), platform, over).outcome).toBe("pass")
  })

  it("begins anew after one good value", () => {
    const history = [...times(18, bad), good, ...times(18, bad)]
    expect(outcomes(history, sharp)).not.toContain("fail")
    expect(outcomes([...history, bad], sharp).at(-1)).toBe("fail")
  })

  it("is not turned by an observation without data, and does not fail on one", () => {
    const steps = outcomes([...times(18, bad), down, bad], sharp)
    expect(steps.slice(-3)).toEqual(["wait", "hold", "fail"])
  })

  it("does not pass a step that is over while a condition is pending, and does when it is good again", () => {
    const steps = outcomes([...times(5, good), ...times(4, bad), good], sharp, 60_000)
    expect(steps.slice(5)).toEqual(["wait", "wait", "wait", "wait", "pass"])
  })

  it("fails a step that is shorter than the rule in its own time", () => {
    const steps = course(times(30, bad), sharp, 10_000)
    expect(steps.some(({ outcome }) => outcome === "pass")).toBe(false)
    expect(steps.find(({ outcome }) => outcome === "fail")?.at).toBe(180)
  })

  it("sees a canary that fails completely, however healthy everything together is", () => {
    const stable = tick({ requests: 900, errors: 0 })
    const canary = tick({ requests: 100, errors: 100 })
    expect((100 * (stable.errors + canary.errors)) / (stable.requests + canary.requests)).toBe(10)
    expect(assess(times(20, stable), platform, over).outcome).toBe("pass")
    expect(assess(times(20, canary), platform, over)).toMatchObject({
      outcome: "fail",
      reason: "error rate 100 % is above 10 % for 190 s of 180 s",
    })
  })

  describe("without data", () => {
    it("holds at first, and fails after the timeout", () => {
      const steps = course([good, ...times(31, down)], platform, 10_000)
      expect(steps[1]).toMatchObject({
        outcome: "hold",
        reason: "no data for 10 s of at most 300 s: error rate: the source is down",
      })
      expect(steps.slice(1, 30).every(({ outcome }) => outcome === "hold")).toBe(true)
      expect(steps[30]).toMatchObject({
        at: 300,
        outcome: "fail",
        reason: "no data for 300 s, which is not healthy: error rate: the source is down",
      })
    })

    it("goes on when the source is back", () => {
      expect(outcomes([good, ...times(29, down), good, good], platform, 60_000).slice(-3)).toEqual([
        "hold",
        "pass",
        "pass",
      ])
    })

    it("begins to be impatient anew each time", () => {
      const flapping = Array.from({ length: 90 }, (_, index) => (index % 30 === 0 ? good : down))
      expect(outcomes(flapping, platform)).not.toContain("fail")
    })

    it("holds and then fails when there is not even an observation", () => {
      const none = (elapsed: number) => assess([], platform, { elapsed, duration: 60_000 })
      expect(none(0)).toEqual({
        outcome: "hold",
        reason: "no data for 0 s of at most 300 s: nothing was measured yet",
      })
      expect(none(299_999).outcome).toBe("hold")
      expect(none(300_000).outcome).toBe("fail")
    })

    it("takes no traffic for no data, and never for healthy", () => {
      const steps = course(times(31, idle), errorRate, 10_000)
      expect(steps.map(({ outcome }) => outcome)).toEqual([...Array<string>(30).fill("hold"), "fail"])
      expect(steps[0]?.reason).toContain("error rate: 0 of at least 20 requests")
    })

    it("takes too few requests for no data, good or bad", () => {
      const few = (errors: number) => tick({ requests: 1, errors })
      expect(outcomes(times(19, few(0)), errorRate, 0)).toEqual(Array<string>(19).fill("hold"))
      expect(outcomes(times(19, few(1)), errorRate, 0)).toEqual(Array<string>(19).fill("hold"))
    })

    it("takes requests without durations for no data on p95", () => {
      const untimed = { ...good }
      delete untimed.p95
      expect(assess(times(12, untimed), platform, over)).toMatchObject({
        outcome: "hold",
        reason: expect.stringContaining("p95: no durations") as string,
      })
    })

    it("knows of pods that fail when none of them answers", () => {
      const dead = tick({ requests: 0, missing: "no pod answers", pods: { wanted: 4, failing: 4 } })
      const patient = { ...platform, noDataTimeout: 3600 }
      expect(course([good, ...times(31, dead)], patient).at(-1)).toMatchObject({
        at: 310,
        outcome: "fail",
        reason: "failing pods 100 % is above 50 % for 300 s of 300 s",
      })
    })

    it("knows nothing of pods that nobody could list", () => {
      const unknown = tick({ missing: "no answer", pods: { wanted: 0, failing: 0 } })
      const pods = settings(
        `{ interval: 10s, noDataTimeout: 5m, rules: [{ metric: failing-pods, above: 50, for: 1m }] }`,
      )
      expect(assess([good, unknown], pods, over)).toMatchObject({ outcome: "hold" })
      expect(assess([tick({ pods: { wanted: 0, failing: 0 } })], pods, over).reason).toContain(
        "no pods are wanted",
      )
    })

    it("holds for one rule though another one is content", () => {
      expect(assess(times(12, idle), platform, over).outcome).toBe("hold")
    })
  })

  describe("the window", () => {
    it("gathers requests until there are enough", () => {
      const sparse = tick({ requests: 2, errors: 1 })
      const steps = outcomes(times(30, sparse), errorRate)
      expect(steps.slice(0, 10)).toEqual([...Array<string>(9).fill("hold"), "wait"])
      // Ten of them make the first value, at 90 s.
      expect(steps.indexOf("fail")).toBe(9 + 18)
    })

    it("is never longer than the rule's time", () => {
      // 18 observations of 10 s are 18 requests.
      expect(outcomes(times(40, tick({ requests: 1 })), errorRate, 0)).not.toContain("pass")
      expect(outcomes(times(40, tick({ requests: 2 })), errorRate, 0).at(-1)).toBe("pass")
    })

    it("is a third of the rule's time where there are enough requests", () => {
      // After 6 good ones nothing of what was bad is left.
      const steps = course([...times(6, bad), ...times(7, good)], errorRate)
      expect(steps.at(-2)?.reason).toBe("error rate 0 % is not above 10 %")
      expect(steps.at(-3)?.reason).toContain("error rate 16.7 % is above 10 % for 100 s")
    })

    it("does not leave a version that fails every fifth request to chance", () => {
      // 20 requests each, with 4 errors on average: 1 to 7 of them.
      const errors = [4, 2, 6, 1, 4, 7, 3, 5, 2, 6]
      const flaky = Array.from({ length: 30 }, (_, index) =>
        tick({ requests: 20, errors: errors[index % 10] ?? 0 }),
      )
      expect(outcomes(flaky, errorRate)).toContain("fail")
      expect(outcomes(flaky, sharp)).not.toContain("fail")
    })

    it("takes a histogram that ends below the rule for no data", () => {
      const buckets = [
        { le: 1, count: 0 },
        { le: Infinity, count: 100 },
      ]
      const slow = tick({ requests: 100, p95: 1000, buckets })
      expect(assess(times(8, slow), platform, { elapsed: 60_000, duration: 60_000 })).toMatchObject({
        outcome: "hold",
        reason: expect.stringContaining(
          "p95: the histogram ends at 1000 ms and cannot show more than 2000 ms",
        ) as string,
      })
    })

    it("takes p95 of all its requests", () => {
      const at = (le: number, count: number) =>
        [1, 2, 4, Infinity].map((bound) => ({ le: bound, count: bound >= le ? count : 0 }))
      // Each look alone is above in half of the cases; the 95th of a hundred is slow in all of them together.
      const slow = tick({ requests: 10, p95: 3900, buckets: at(4, 10) })
      const quick = tick({ requests: 90, p95: 950, buckets: at(1, 90) })
      const mixed = Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? slow : quick))
      expect(course(mixed, platform).find(({ outcome }) => outcome === "fail")?.at).toBeGreaterThanOrEqual(
        300,
      )
    })
  })

  it("goes by the time between looks, not by clocks", () => {
    // Set back by an hour at the tenth look, which measured no time.
    const history = times(20, bad).map((each, index) => ({
      ...each,
      at: index * 10_000 - (index >= 10 ? 3_600_000 : 0),
      seconds: index === 10 ? 0 : 10,
    }))
    const failed = (count: number) => assess(history.slice(0, count), sharp, over).outcome
    expect([failed(19), failed(20)]).toEqual(["wait", "fail"])
  })

  it("does not count the time before the step", () => {
    expect(assess([{ ...bad, seconds: 3600 }], sharp, over).outcome).toBe("wait")
    expect(assess([{ ...idle, seconds: 3600 }], sharp, over).outcome).toBe("hold")
  })

  it("has all reasons of a failure", () => {
    const awful = tick({ errors: 60, p95: 9000, pods: { wanted: 4, failing: 4 } })
    expect(assess(times(40, awful), platform, over).reason).toBe(
      "error rate 60 % is above 10 % for 390 s of 180 s; p95 9000 ms is above 2000 ms for 390 s of 300 s; " +
        "failing pods 100 % is above 50 % for 390 s of 300 s",
    )
  })
})

describe("the section analysis", () => {
  it("has durations in seconds, and the usual number of requests", () => {
    expect(errorRate).toEqual({
      interval: 10,
      noDataTimeout: 300,
      rules: [{ metric: "error-rate", above: 10, for: 180, requests: 20 }],
    })
  })

  it("may have a comparison", () => {
    const comparison = (more: string) => {
      const rules = "[{ metric: failing-pods, above: 50, for: 5m }]"
      const asked = `{ metric: p95, confidence: 98, points: 50${more} }`
      return settings(`{ interval: 10s, noDataTimeout: 5m, rules: ${rules}, comparison: ${asked} }`)
        .comparison
    }
    expect(comparison("")).toEqual({ metric: "p95", confidence: 98, points: 50, baseline: "fresh" })
    expect(comparison(", baseline: stable")).toMatchObject({ baseline: "stable" })
    expect(() => comparison(", baseline: warm")).toThrow("comparison.baseline")
  })

  const rule = (text: string) => `{ interval: 10s, noDataTimeout: 5m, rules: [{ ${text} }] }`
  it.each([
    ["{ interval: 10s, noDataTimeout: 5m, rules: [] }", "rules: at least one rule"],
    [
      rule("metric: error-rate, above: 10, for: soon"),
      `rules.0.for: "soon" is not a duration; allowed: numbers with a unit`,
    ],
    [rule("metric: error-rate, above: 10, for: 0s"), "rules.0.for: more than 0s"],
    [rule("metric: error-rate, above: 100, for: 3m"), "rules.0.above: below 100"],
    [rule("metric: error-rate, above: -1, for: 3m"), "rules.0.above"],
    [rule("metric: errors, above: 10, for: 3m"), "metric is one of error-rate, p95, failing-pods"],
    [
      rule("metric: failing-pods, above: 50, for: 5m, requests: 20"),
      "no such key: requests; allowed: metric, above, for",
    ],
    [
      rule("metric: p95, above: 10000, for: 5m"),
      "rules.0.above: below 10000: the services' histogram ends there, so the rule could never fire",
    ],
    [rule("metric: p95, above: 2000, for: 5m, window: 6m"), "rules.0.window: at most as long as for"],
    [rule("metric: p95, above: 2000, for: 5m, requests: 0"), "rules.0.requests"],
    [
      "{ interval: 10s, noDataTimeout: 5m, rules: [{ metric: failing-pods, above: 50, for: 5m }], comparison: { metric: p95, confidence: 99.95, points: 8 } }",
      "comparison.points: more points, or less confidence: with so few, no difference is ever significant",
    ],
    ["{ interval: 0s, noDataTimeout: 5m, rules: [] }", "interval: more than 0s"],
    ["{ noDataTimeout: 5m, rules: [] }", "interval"],
  ])("refuses %s", (yaml, message) => {
    expect(() => settings(yaml)).toThrow(message)
  })
})
