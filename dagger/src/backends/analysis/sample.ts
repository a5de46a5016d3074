import { rateText } from "../../lib/text.js"
import type { HistogramBucket, Counters } from "./exposition.js"

export interface PodReading {
  pod: string
  /** Changes when the process restarts. */
  instance: string
  /** Missing when the pod did not answer. */
  reading?: Counters
}

/** One read of the metrics of all pods of a version. */
export interface Scrape {
  /** In ms since the epoch. */
  at: number
  pods: PodCounts
  /** One for each running pod. */
  readings: PodReading[]
  /** Why there is no data. */
  missing?: string
}

export interface PodCounts {
  wanted: number
  failing: number
}

/** What a version did between two scrapes. */
export interface Sample {
  /** In ms since the epoch. */
  at: number
  /** Since the previous scrape; 0 for the first one. */
  seconds: number
  requests: number
  errors: number
  /** In ms; none without requests. */
  p95?: number
  /** In ms; none without requests. */
  p50?: number
  /** Durations of these requests, cumulative by `le` in seconds. With them, percentiles of several samples are exact. */
  buckets?: HistogramBucket[]
  pods: PodCounts
  /** Why there is no data. */
  missing?: string
}

/**
 * Counts what happened between two scrapes. The first scrape counts nothing: its counters may be old.
 *
 * Counters of a new or restarted pod, and counters that went down, count from zero. A pod that did not answer before counts from this answer on; with
 * {@link carryForward} from its last one.
 */
export function sampleBetween(before: Scrape | undefined, now: Scrape): Sample {
  const { at, pods, missing } = now
  // A clock that was set back gives no duration.
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

/** The scrape to compare the next one with: a pod that did not answer keeps its previous counters. */
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
  // Nobody knows what the pod had counted before.
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
export function merge(histograms: HistogramBucket[][]): HistogramBucket[] {
  const counts = new Map<number, number>()
  for (const { le, count } of histograms.flat()) counts.set(le, (counts.get(le) ?? 0) + count)
  return [...counts].map(([le, count]) => ({ le, count })).sort((one, other) => one.le - other.le)
}

/** In ms. */
export function percentiles(buckets: HistogramBucket[]): Pick<Sample, "p95" | "p50"> {
  const [p95, p50] = [quantile(0.95, buckets), quantile(0.5, buckets)]
  return p95 === undefined || p50 === undefined ? {} : { p95: p95 * 1000, p50: p50 * 1000 }
}

/**
 * In seconds, as Prometheus' `histogram_quantile`: linear within a bucket, the first of which begins at 0. A quantile in the last bucket is its lower end, so it
 * never exceeds the last finite `le`.
 */
export function quantile(share: number, buckets: HistogramBucket[]): number | undefined {
  let highest = 0
  // The sum of histograms with different bounds may go down a little.
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

interface Totals {
  requests: number
  errors: number
  p95?: number
  /** The upper end of the histogram's last finite bucket, in ms: no p95 is above it. */
  longest?: number
}

/** Adds samples up. */
export function totals(history: Sample[]): Totals {
  const requests = history.reduce((sum, observation) => sum + observation.requests, 0)
  const errors = history.reduce((sum, observation) => sum + observation.errors, 0)
  const timed = history.filter(({ p95 }) => p95 !== undefined)
  if (timed.every(({ buckets }) => buckets !== undefined)) {
    const merged = merge(timed.map(({ buckets = [] }) => buckets))
    const { p95 } = percentiles(merged)
    const longest = merged.filter(({ le }) => le !== Infinity).at(-1)?.le
    return {
      requests,
      errors,
      ...(p95 !== undefined && { p95 }),
      ...(longest !== undefined && { longest: longest * 1000 }),
    }
  }
  // Percentiles do not add up. Without buckets their mean, weighted by requests, is the best estimate.
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
    ...(requests === 0 ? [] : [`${rateText((100 * errors) / requests)} errors`]),
    ...(p95 === undefined ? [] : [`p95 ${Math.round(p95)} ms`]),
    ...(missing === undefined ? [] : [`no data now: ${missing}`]),
  ]
  return parts.join(", ")
}
