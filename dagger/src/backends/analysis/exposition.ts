import { countOf, numberOf, readSamples } from "../../lib/exposition.js"

/** Counters of one process of a service since it started, without the requests of operators. */
export interface Counters {
  requests: number
  errors: number
  /** Cumulative counts of durations by `le`, as in Prometheus; the last `le` is Infinity. Empty without any duration. */
  buckets: HistogramBucket[]
}

/** The number of requests that took `le` seconds or less. */
export interface HistogramBucket {
  le: number
  count: number
}

/** Names of the services' metrics, and their routes that are not for users. */
export const requestsMetric = "http_requests"
export const durationMetric = "http_request_duration_seconds"
export const operatorRoutes: readonly string[] = ["/health/live", "/health/ready", "/metrics"]

/** The upper end of the last finite bucket of the services' histogram, in milliseconds. No percentile is ever above it. */
export const longestDuration = 10_000

/** Only the server's errors count. A client that closed the connection (499) is none. */
export const isError = (status: number): boolean => status >= 500 && status <= 599

/**
 * Reads a page in Prometheus' text format or in OpenMetrics. A page without metrics of requests means that there were none.
 *
 * @throws Error with the line, when the text is no such page
 */
export function readExposition(text: string): Counters {
  const counts = new Map<number, number>()
  const reading: Counters = { requests: 0, errors: 0, buckets: [] }
  readSamples(text, ({ name, label, value }) => {
    if (name === `${requestsMetric}_total`) {
      const status = numberOf(label("status"), "status")
      if (operatorRoutes.includes(label("route"))) return
      reading.requests += countOf(value)
      if (isError(status)) reading.errors += countOf(value)
    } else if (name === `${durationMetric}_bucket`) {
      const le = numberOf(label("le"), "le")
      if (operatorRoutes.includes(label("route"))) return
      counts.set(le, (counts.get(le) ?? 0) + countOf(value))
    }
  })
  if (counts.size > 0 && !counts.has(Infinity)) {
    throw new Error(`${durationMetric} has no bucket le="+Inf"`)
  }
  reading.buckets = [...counts].map(([le, count]) => ({ le, count })).sort((one, other) => one.le - other.le)
  return reading
}
