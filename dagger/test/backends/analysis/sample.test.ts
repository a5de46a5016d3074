import { describe, expect, it } from "vitest"
import type { Counters } from "../../../src/backends/analysis/exposition.js"
import {
  sampleBetween,
  quantile,
  carryForward,
  summary,
  totals,
  type Scrape,
  type PodReading,
} from "../../../src/backends/analysis/sample.js"

/** Buckets of 1 s, 2 s and more, each with so many. */
const reading = (requests: number, errors = 0, [one, two]: [number, number] = [requests, 0]): Counters => ({
  requests,
  errors,
  buckets: [
    { le: 1, count: one },
    { le: 2, count: one + two },
    { le: Infinity, count: requests },
  ],
})
const pod = (name: string, read?: Counters, instance = "1"): PodReading => ({
  pod: name,
  instance,
  ...(read && { reading: read }),
})
const look = (seconds: number, readings: PodReading[], missing?: string): Scrape => ({
  at: 1_000_000 + seconds * 1000,
  pods: { wanted: 2, failing: 0 },
  readings,
  ...(missing !== undefined && { missing }),
})

describe("observe", () => {
  it("counts nothing at the first look, as nobody knows since when", () => {
    expect(sampleBetween(undefined, look(0, [pod("a", reading(500, 400))]))).toMatchObject({
      seconds: 0,
      requests: 0,
      errors: 0,
    })
  })

  it("sums what the pods did", () => {
    const before = look(0, [pod("a", reading(100, 1)), pod("b", reading(50))])
    const now = look(10, [pod("a", reading(110, 4)), pod("b", reading(80, 1))])
    expect(sampleBetween(before, now)).toMatchObject({ at: now.at, seconds: 10, requests: 40, errors: 4 })
  })

  it("has percentiles of what came since, and none without requests", () => {
    const before = look(0, [pod("a", reading(1000, 0, [1000, 0]))])
    const slow = sampleBetween(before, look(10, [pod("a", reading(1100, 0, [1000, 100]))]))
    expect(slow).toMatchObject({ p95: 1950, p50: 1500 })
    const idle = sampleBetween(before, look(10, before.readings))
    expect(idle).toMatchObject({ requests: 0 })
    expect(idle).not.toHaveProperty("p95")
    expect(idle).not.toHaveProperty("p50")
  })

  it.each([
    ["requests went down", reading(100, 5), reading(30, 2), { requests: 30, errors: 2 }],
    ["only errors went down", reading(100, 5), reading(120, 2), { requests: 120, errors: 2 }],
    [
      "only a bucket went down",
      reading(100, 0, [90, 10]),
      reading(101, 0, [80, 20]),
      { requests: 101, errors: 0 },
    ],
  ])("counts from zero when %s", (_, before, after, counts) => {
    expect(sampleBetween(look(0, [pod("a", before)]), look(10, [pod("a", after)]))).toMatchObject(counts)
  })

  it("counts from zero for a pod that was replaced or restarted, even when its counters are higher", () => {
    const before = look(0, [pod("a", reading(10)), pod("b", reading(10))])
    const now = look(10, [pod("a", reading(25), "2"), pod("c", reading(7))])
    expect(sampleBetween(before, now)).toMatchObject({ requests: 32 })
  })

  it("counts a first request, which brings its series along", () => {
    const none = { requests: 0, errors: 0, buckets: [] }
    expect(sampleBetween(look(0, [pod("a", none)]), look(10, [pod("a", reading(3))]))).toMatchObject({
      requests: 3,
      p95: expect.closeTo(950, 6) as number,
    })
  })

  it("measures no time when the clock was set back, and still counts", () => {
    const observation = sampleBetween(look(60, [pod("a", reading(10))]), look(0, [pod("a", reading(15))]))
    expect(observation).toMatchObject({ seconds: 0, requests: 5 })
  })

  it("says why there is no data, and counts nothing", () => {
    const before = look(0, [pod("a", reading(10))])
    const observation = sampleBetween(before, look(10, [], "the source is down"))
    expect(observation).toMatchObject({ seconds: 10, requests: 0, errors: 0, missing: "the source is down" })
    expect(observation).not.toHaveProperty("p95")
  })

  it("counts nothing after a first look without data: the pods may be old", () => {
    const before = look(0, [], "the source is down")
    expect(sampleBetween(before, look(10, [pod("a", reading(5000, 4000))]))).toMatchObject({
      requests: 0,
      errors: 0,
    })
  })
})

describe("remember", () => {
  const history = (looks: Scrape[]) => {
    let before: Scrape | undefined
    return looks.map((now) => {
      const { requests } = sampleBetween(before, now)
      before = carryForward(before, now)
      return requests
    })
  }

  it.each([
    [
      "a pod that did not answer once",
      [[pod("a", reading(10))], [pod("a")], [pod("a")], [pod("a", reading(25))]],
      [0, 0, 0, 15],
    ],
    [
      "a pod that never answered before",
      [[pod("a")], [pod("a", reading(900))], [pod("a", reading(903))]],
      [0, 0, 3],
    ],
    [
      "a pod that restarted while it did not answer",
      [[pod("a", reading(10))], [pod("a")], [pod("a", reading(4), "2")]],
      [0, 0, 4],
    ],
  ])("%s", (_, readings, counts) => {
    expect(history(readings.map((each, index) => look(10 * index, [...each, pod("b", reading(1))])))).toEqual(
      counts,
    )
  })

  it("a source that was down and came back", () => {
    const looks = [
      look(0, [pod("a", reading(10))]),
      look(10, [], "down"),
      look(20, [], "down"),
      look(30, [pod("a", reading(70))]),
    ]
    expect(history(looks)).toEqual([0, 0, 0, 60])
  })

  it("forgets pods that are gone", () => {
    const kept = carryForward(look(0, [pod("a", reading(1))]), look(10, [pod("b", reading(1))]))
    expect(kept.readings.map(({ pod }) => pod)).toEqual(["b"])
  })
})

describe("quantile", () => {
  const buckets = (...counts: [number, number][]) => counts.map(([le, count]) => ({ le, count }))

  // By hand from Prometheus' description of histogram_quantile.
  it.each([
    ["linear within a bucket", 0.5, buckets([1, 10], [2, 30], [Infinity, 30]), 1.25],
    ["linear from 0 in the first bucket", 0.95, buckets([0.005, 100], [Infinity, 100]), 0.00475],
    ["at a bound", 0.5, buckets([1, 10], [2, 20], [Infinity, 20]), 1],
    ["the last finite bound beyond it", 0.95, buckets([1, 10], [10, 10], [Infinity, 20]), 10],
    ["over empty buckets", 0.5, buckets([1, 0], [2, 0], [4, 8], [Infinity, 8]), 3],
    ["with a sum that goes down", 0.5, buckets([1, 10], [2, 9], [Infinity, 9]), 0.5],
  ])("is %s", (_, share, histogram, value) => {
    expect(quantile(share, histogram)).toBeCloseTo(value, 10)
  })

  it.each([
    ["no buckets", []],
    ["no requests", buckets([1, 0], [Infinity, 0])],
    ["only the bucket of all", buckets([Infinity, 5])],
    ["no bucket of all", buckets([1, 5])],
  ])("is none with %s", (_, histogram) => {
    expect(quantile(0.95, histogram)).toBeUndefined()
  })
})

const observation = (requests: number, errors: number, rest: object = {}) => ({
  at: 0,
  seconds: 10,
  requests,
  errors,
  pods: { wanted: 1, failing: 0 },
  ...rest,
})

describe("totals", () => {
  it("has the percentile of all requests, which is no mean of percentiles", () => {
    const fast = observation(980, 0, { p95: 950, buckets: reading(980).buckets })
    const slow = observation(20, 0, { p95: 1950, buckets: reading(20, 0, [0, 20]).buckets })
    // 950 of 1000 are among the 980 fast ones.
    expect(totals([fast, slow]).p95).toBeCloseTo((950 / 980) * 1000, 6)
  })

  it("takes the mean over the requests where there are no buckets", () => {
    expect(
      totals([observation(30, 0, { p95: 100 }), observation(10, 0, { p95: 500 }), observation(0, 0)]),
    ).toEqual({
      requests: 40,
      errors: 0,
      p95: 200,
    })
  })
})

describe("summaryOf", () => {
  it.each([
    [[], "no requests"],
    [[observation(0, 0)], "no requests"],
    [[observation(1, 0, { p95: 12.4 })], "1 request, 0 % errors, p95 12 ms"],
    [
      [observation(1200, 3, { p95: 100 }), observation(4, 2, { p95: 100 })],
      "1204 requests, 0.4 % errors, p95 100 ms",
    ],
    [[observation(100_000, 1)], "100000 requests, < 0.1 % errors"],
    [
      [observation(8, 8), observation(0, 0, { missing: "down" })],
      "8 requests, 100 % errors, no data now: down",
    ],
  ])("of %j", (history, text) => {
    expect(summary(history)).toBe(text)
  })
})
