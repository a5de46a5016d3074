import { describe, expect, it } from "vitest"
import { compareWithBaseline } from "../../../src/backends/analysis/comparison.js"
import type { Sample } from "../../../src/backends/analysis/sample.js"
import { canDiffer, compareRates, mannWhitney } from "../../../src/lib/statistics.js"

const canary = Array.from({ length: 60 }, (_, index) => (index * 37) % 101)
const baseline = Array.from({ length: 50 }, (_, index) => (index * 53) % 97)
const shifted = (by: number) => canary.map((value) => value + by)
const few = (count: number, kinds: number, from = 0) =>
  Array.from({ length: count }, (_, index) => (index % kinds) + from)
const usual = { confidence: 98, points: 50, direction: "increase" } as const

describe("mannWhitney", () => {
  // From SciPy 1.17.1:
  //   python -c 'from scipy.stats import mannwhitneyu as u; import numpy as np
  //   a=[(i*37)%101 for i in range(60)]; b=[(i*53)%97 for i in range(50)]; s=lambda d: [x+d for x in a]
  //   for x, y in [(a,b),(s(12),b),(s(40),b),([i%4+1 for i in range(50)],[i%3 for i in range(60)]),([5]*50,[5]*50),(s(-45),b)]:
  //     print(u(x, y, method="asymptotic", use_continuity=True).pvalue, np.median(np.subtract.outer(x, y)))'
  it.each([
    ["two of the same kind", canary, baseline, 0.4386718683086036, 4, "same"],
    ["a small shift", shifted(12), baseline, 0.006965367909830464, 16, "same"],
    ["a large shift", shifted(40), baseline, 5.598478562575766e-10, 44, "worse"],
    ["many ties", few(50, 4, 1), few(60, 3), 1.2564223333314607e-9, 1, "worse"],
    ["nothing but ties", few(50, 1, 5), few(50, 1, 5), 1, 0, "same"],
    ["a canary that is better", shifted(-45), baseline, 4.328223614947022e-9, -41, "same"],
  ])("has SciPy's p and shift for %s", (_, ours, theirs, p, effect, verdict) => {
    const judgement = mannWhitney(ours, theirs, usual)
    expect(judgement).toMatchObject({ effect, verdict })
    expect(Math.abs(judgement.p / p - 1)).toBeLessThan(2e-7)
  })

  // The lower end of the interval at 98 %, found with SciPy's brentq as Kayenta finds it (z of the test at a shift, with its correction, equal to
  // norm.ppf(0.99)), is at most a quarter of the estimate up to a shift of 13, and 5.0 of 18.0 at one of 14.
  it("is Kayenta's on the effect", () => {
    const verdicts = Array.from({ length: 60 }, (_, by) => mannWhitney(shifted(by), baseline, usual).verdict)
    expect(verdicts.indexOf("worse")).toBe(14)
    expect(verdicts.slice(14).every((verdict) => verdict === "worse")).toBe(true)
  })

  it("does not take a difference without a size for worse", () => {
    const judgement = mannWhitney([...few(36, 1), ...few(24, 1, 1)], few(50, 1), usual)
    expect(judgement).toMatchObject({ verdict: "same", effect: 0 })
    expect(judgement.p).toBeLessThan(0.001)
  })

  it("has a direction", () => {
    expect(mannWhitney(shifted(-45), baseline, { ...usual, direction: "decrease" }).verdict).toBe("worse")
    expect(mannWhitney(shifted(40), baseline, { ...usual, direction: "decrease" }).verdict).toBe("same")
  })

  it("needs the points on both sides, whatever they say", () => {
    const high = shifted(1000)
    expect(mannWhitney(high.slice(0, 49), baseline, usual).verdict).toBe("too little data")
    expect(mannWhitney(high, baseline.slice(0, 49), usual).verdict).toBe("too little data")
    expect(mannWhitney(high.slice(0, 50), baseline, usual).verdict).toBe("worse")
    expect(mannWhitney([], [], { ...usual, points: 0 }).verdict).toBe("too little data")
  })

  it("refuses what is no number", () => {
    expect(() => mannWhitney([...canary, NaN], baseline, usual)).toThrow("is a finite number (found NaN)")
  })
})

describe("mannWhitney, with as few points as a short step has", () => {
  /** Median durations of a service that takes about 6 ms, now and then a lot more, as on a machine that has other work too. */
  function service(seed: number) {
    let state = seed
    const chance = () => {
      // Numerical Recipes' quick one.
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return (state + 0.5) / 2 ** 32
    }
    const normal = () => Math.sqrt(-2 * Math.log(chance())) * Math.cos(2 * Math.PI * chance())
    return (points: number) =>
      Array.from({ length: points }, () => 6 * Math.exp(0.4 * normal()) * (chance() < 0.1 ? 4 : 1))
  }
  const runs = 4000
  const alarms = (by: number, { points, confidence }: { points: number; confidence: number }) => {
    const next = service(2026)
    const settings = { points: 8, confidence, direction: "increase" } as const
    return Array.from({ length: runs }, () => {
      const slow = next(points).map((value) => value + by)
      return mannWhitney(slow, next(points), settings).verdict
    }).filter((verdict) => verdict === "worse").length
  }

  it.each([
    [8, 98, 0.01],
    [20, 98, 0.01],
    [10, 99.8, 0.001],
  ])("takes one of the same kind, by %s points at %s, for worse about as often as it says", (...asked) => {
    const [points, confidence, rate] = asked
    // Three deviations above what is expected.
    const most = runs * rate + 3 * Math.sqrt(runs * rate)
    expect(alarms(0, { points, confidence })).toBeLessThanOrEqual(most)
  })

  it.each([
    [8, 98, 1],
    [10, 99.8, 0.995],
  ])("sees 80 ms more by %s points at %s", (points, confidence, rate) => {
    expect(alarms(80, { points, confidence })).toBeGreaterThanOrEqual(rate * runs)
  })
})

describe("canDiffer", () => {
  it.each([
    [8, 99.9],
    [8, 99.95],
    [12, 99.99],
    [12, 99.999],
  ])("says whether the largest difference of %i values is worse at %f %%", (points, confidence) => {
    const low = Array.from({ length: points }, (_, at) => at)
    const high = low.map((value) => 1e6 + value)
    const { verdict } = mannWhitney(high, low, { confidence, points, direction: "increase" })
    expect(canDiffer(points, confidence)).toBe(verdict === "worse")
  })
})

describe("compareRates", () => {
  // By exact fractions:
  //   python -c 'from math import comb
  //   def tail(a, n, b, m): return sum(comb(n, k) * comb(m, a + b - k) for k in range(a, min(a + b, n) + 1) if a + b - k <= m) / comb(n + m, a + b)
  //   print(2 * tail(18, 80, 0, 80), 2 * tail(3, 100, 1, 100), 2 * tail(600, 10000, 500, 10000), 2 * tail(5, 50, 1, 50))'
  it.each([
    ["errors against none", [18, 80], [0, 80], 2.600294571428613e-6, "worse"],
    ["a few errors by chance", [3, 100], [1, 100], 0.621202458995485, "same"],
    ["many requests", [600, 10_000], [500, 10_000], 0.0021237755293462652, "same"],
    ["fewer errors", [1, 50], [5, 50], 0.2044015850309936, "same"],
    ["equal rates", [50, 100], [50, 100], 1, "same"],
  ] as const)("knows %s", (_, [errors, requests], [others, of], p, verdict) => {
    const found = compareRates({ errors, requests }, { errors: others, requests: of }, 98)
    expect(found.verdict).toBe(verdict)
    expect(found.p).toBeCloseTo(p, 8)
    expect(found.effect).toBeCloseTo(100 * (errors / requests - others / of), 9)
  })

  it("raises hardly more false alarms than its confidence allows, and misses hardly any real difference", () => {
    let seed = 7
    const chance = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
    const errors = (rate: number) => Array.from({ length: 500 }, chance).filter((one) => one < rate).length
    const alarms = (rate: number) =>
      Array.from({ length: 1000 }, () =>
        compareRates({ errors: errors(rate), requests: 500 }, { errors: errors(0.02), requests: 500 }, 98),
      ).filter(({ verdict }) => verdict === "worse").length
    expect(alarms(0.02)).toBeLessThanOrEqual(20)
    expect(alarms(0.1)).toBeGreaterThanOrEqual(980)
  })

  it("refuses impossible counts", () => {
    expect(() => compareRates({ errors: 3, requests: 2 }, { errors: 0, requests: 2 }, 98)).toThrow(
      "found 3 of 2",
    )
  })
})

describe("compareWithBaseline", () => {
  const history = (values: number[]): Sample[] =>
    values.map((p95) => ({
      at: 0,
      seconds: 10,
      requests: 100,
      errors: 50,
      p95: 1000 + p95,
      p50: 10,
      pods: { wanted: 1, failing: 0 },
    }))
  const settings = { metric: "p95", confidence: 98, points: 50 } as const

  it("fails a candidate that is slower than the baseline", () => {
    expect(compareWithBaseline(history(shifted(40)), history(baseline), settings)).toEqual({
      outcome: "fail",
      reason: "p95 is 44 ms above the baseline's (p 5.6e-10, 98 % confidence asked for)",
    })
  })

  it("passes one that is not", () => {
    expect(compareWithBaseline(history(shifted(-45)), history(baseline), settings)).toMatchObject({
      outcome: "pass",
      reason: expect.stringContaining("41 ms below the baseline's") as string,
    })
    expect(
      compareWithBaseline(history(shifted(40)), history(baseline), { ...settings, metric: "error-rate" })
        .outcome,
    ).toBe("pass")
  })

  it("fails errors that come in bursts, which the median of samples does not show", () => {
    const samples = (errors: (at: number) => number): Sample[] =>
      history(baseline).map((sample, at) => ({ ...sample, requests: 10, errors: errors(at) }))
    const bursts = samples((at) => (at % 4 === 0 ? 9 : 0))
    const rates = { ...settings, metric: "error-rate" } as const
    expect(
      compareWithBaseline(
        bursts,
        samples(() => 0),
        rates,
      ),
    ).toMatchObject({
      outcome: "fail",
      reason: expect.stringMatching(/^error-rate is 23.4 % above the baseline's \(p \d/) as string,
    })
    expect(compareWithBaseline(bursts, bursts, rates).outcome).toBe("pass")
  })

  it("holds without enough points; looks without data or requests are none", () => {
    const [first, second, ...rest] = history(canary)
    const holes = [
      { ...first, missing: "down" },
      { ...second, requests: 0 },
      ...rest.slice(0, 49),
    ] as Sample[]
    expect(compareWithBaseline(holes, history(baseline), settings)).toEqual({
      outcome: "hold",
      reason: "p95: 49 points, and 50 of the baseline; each needs 50",
    })
  })
})
