import type { Bucket, Counters } from "./exposition.js"

export interface PodReading {
  pod: string
  /** Another one after a restart. */
  instance: string
  /** None when the pod did not answer. */
  reading?: Counters
}

/** What is there to see of one version at one moment. */
export interface Scrape {
  /** In ms since the epoch. */
  at: number
  pods: PodCounts
  /** Of the pods that run. */
  readings: PodReading[]
  /** Why there is no data. */
  missing?: string
}

export interface PodCounts {
  wanted: number
  failing: number
}

/** What one version did between two looks. */
export interface Sample {
  /** In ms since the epoch. */
  at: number
  /** Since the previous look; 0 for the first one. */
  seconds: number
  requests: number
  errors: number
  /** In ms; none without requests. */
  p95?: number
  /** In ms; none without requests. */
  p50?: number
  /** Of these requests, by `le` in seconds and cumulative; with them percentiles of several observations are exact. */
  buckets?: Bucket[]
  pods: PodCounts
  /** Why there is no data. */
  missing?: string
}

/**
 * What happened between two looks at a version. Before the first one anything may have happened: it counts nothing.
 *
 * A counter that went down and a pod that is new or restarted count from zero. A pod that was there and did not answer counts from its next
 * answer on; with {@link carryForward} from its last one.
 */
export function sampleBetween(before: Scrape | undefined, now: Scrape): Sample {
  const { at, pods, missing } = now
  // A clock that was set back measures nothing.
  const seconds = before ? Math.max(0, (at - before.at) / 1000) : 0
  if (missing !== undefined) return { at, seconds, requests: 0, errors: 0, pods, missing }
  const known = before && (before.missing === undefined || before.readings.length > 0)
  const growths = known ? now.readings.map((reading) => growth(before.readings, reading)) : []
  const sum = (count: (reading: Counters) => number) =>
    growths.reduce((sum, reading) => sum + count(reading), 0)
  const buckets = merge(growths.map((reading) => reading.buckets))
  return {
    at,
    seconds,
    requests: sum(({ requests }) => requests),
    errors: sum(({ errors }) => errors),
    ...percentiles(buckets),
    buckets,
    pods,
  }
}

/** The look to hold the next one against: a pod that did not answer this time keeps what it said before. */
export function carryForward(before: Scrape | undefined, now: Scrape): Scrape {
  const old = before?.readings ?? []
  if (now.missing !== undefined && now.readings.length === 0) return { ...now, readings: old }
  const readings = now.readings.map((reading) =>
    reading.reading ? reading : (old.find((other) => isSame(reading, other)) ?? reading),
  )
  return { ...now, readings }
}

const isSame = (one: PodReading, other: PodReading) =>
  one.pod === other.pod && one.instance === other.instance

const nothing: Counters = { requests: 0, errors: 0, buckets: [] }

function growth(before: PodReading[], now: PodReading): Counters {
  if (!now.reading) return nothing
  const old = before.find((other) => isSame(now, other))
  if (!old) return now.reading
  // What it counted while nobody could see it, nobody knows.
  if (!old.reading) return nothing
  const { requests, errors, buckets } = now.reading
  const counts = new Map(old.reading.buckets.map(({ le, count }) => [le, count]))
  const grown = {
    requests: requests - old.reading.requests,
    errors: errors - old.reading.errors,
    buckets: buckets.map(({ le, count }) => ({ le, count: count - (counts.get(le) ?? 0) })),
  }
  const reset = grown.requests < 0 || grown.errors < 0 || grown.buckets.some(({ count }) => count < 0)
  return reset ? now.reading : grown
}

/** The sum of histograms. */
export function merge(histograms: Bucket[][]): Bucket[] {
  const counts = new Map<number, number>()
  for (const { le, count } of histograms.flat()) counts.set(le, (counts.get(le) ?? 0) + count)
  return [...counts].map(([le, count]) => ({ le, count })).sort((one, other) => one.le - other.le)
}

/** In ms. */
export function percentiles(buckets: Bucket[]): Pick<Sample, "p95" | "p50"> {
  const [p95, p50] = [quantile(0.95, buckets), quantile(0.5, buckets)]
  return p95 === undefined || p50 === undefined ? {} : { p95: p95 * 1000, p50: p50 * 1000 }
}

/**
 * In seconds, as Prometheus' `histogram_quantile`: linear within a bucket, the first of which begins at 0. What is beyond the last finite
 * `le` is taken to be that `le`, so a percentile never exceeds it.
 */
export function quantile(share: number, buckets: Bucket[]): number | undefined {
  let highest = 0
  // Of several histograms with other bounds the sum may go down, by little.
  const rising = buckets.map(({ le, count }) => ({ le, count: (highest = Math.max(highest, count)) }))
  const rank = share * highest
  const at = rising.findIndex(({ count }) => count >= rank)
  const bucket = rising[at]
  const below = rising[at - 1]
  if (highest === 0 || bucket === undefined || rising.at(-1)?.le !== Infinity) return undefined
  if (bucket.le === Infinity) return below?.le
  const [from, passed] = below ? [below.le, below.count] : [0, 0]
  return from + (bucket.le - from) * ((rank - passed) / (bucket.count - passed))
}

/** What several observations come to together. */
export function totals(history: Sample[]): { requests: number; errors: number; p95?: number } {
  const requests = history.reduce((sum, observation) => sum + observation.requests, 0)
  const errors = history.reduce((sum, observation) => sum + observation.errors, 0)
  const timed = history.filter(({ p95 }) => p95 !== undefined)
  if (timed.every(({ buckets }) => buckets !== undefined)) {
    const { p95 } = percentiles(merge(timed.map(({ buckets = [] }) => buckets)))
    return { requests, errors, ...(p95 !== undefined && { p95 }) }
  }
  // Percentiles do not add up; without the buckets their mean over the requests is as near as one gets.
  const weight = timed.reduce((sum, observation) => sum + observation.requests, 0)
  const p95 = timed.reduce((sum, { p95 = 0, requests }) => sum + (p95 * requests) / weight, 0)
  return { requests, errors, ...(weight > 0 && { p95 }) }
}

/** One line for people, such as `1204 requests, 0.4 % errors, p95 180 ms`. */
export function summary(history: Sample[]): string {
  const { requests, errors, p95 } = totals(history)
  const missing = history.at(-1)?.missing
  const parts = [
    requests === 0 ? "no requests" : `${Math.round(requests)} ${requests === 1 ? "request" : "requests"}`,
    ...(requests === 0 ? [] : [`${percent((100 * errors) / requests)} errors`]),
    ...(p95 === undefined ? [] : [`p95 ${Math.round(p95)} ms`]),
    ...(missing === undefined ? [] : [`no data now: ${missing}`]),
  ]
  return parts.join(", ")
}

/** Such as `0.4 %`, and never `0 %` for what is more. */
export function percent(value: number): string {
  const rounded = Math.round(value * 10) / 10
  return value > 0 && rounded === 0 ? "< 0.1 %" : `${rounded} %`
}
