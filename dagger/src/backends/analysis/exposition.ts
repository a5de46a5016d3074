import { clip } from "../../lib/text.js"

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
  for (const [index, written] of text.split(/\r?\n/).entries()) {
    // The format allows blanks around a line.
    const line = written.trim()
    if (line === "" || line.startsWith("#") || quotedName.test(line)) continue
    try {
      const { name, labels, value } = readSample(line)
      if (name === `${requestsMetric}_total`) {
        const status = numberOf(label(labels, "status"), "status")
        if (operatorRoutes.includes(label(labels, "route"))) continue
        reading.requests += countOf(value)
        if (isError(status)) reading.errors += countOf(value)
      } else if (name === `${durationMetric}_bucket`) {
        const le = numberOf(label(labels, "le"), "le")
        if (operatorRoutes.includes(label(labels, "route"))) continue
        counts.set(le, (counts.get(le) ?? 0) + countOf(value))
      }
    } catch (error) {
      throw new Error(`line ${index + 1}: ${(error as Error).message}`, { cause: error })
    }
  }
  if (counts.size > 0 && !counts.has(Infinity)) {
    throw new Error(`${durationMetric} has no bucket le="+Inf"`)
  }
  reading.buckets = [...counts].map(([le, count]) => ({ le, count })).sort((one, other) => one.le - other.le)
  return reading
}

interface MetricLine {
  name: string
  /** Not unescaped: no label that matters here contains an escape. */
  labels: Map<string, string>
  value: number
}

/** Name, labels, value; then an optional timestamp and, in OpenMetrics, an optional exemplar. */
const sample =
  /^([a-zA-Z_:][\w:]*)(?:\s*\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\}\s*|\s+)(\S+)(?:\s+[+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?)?(?:\s+#\s.*)?\s*$/i
/** The form of names with other characters, such as `{"disk.used",host="a"} 1`. No metric of the services has one. */
const quotedName = /^\{\s*"(?:[^"\\]|\\.)*"\s*[,}]/
const pair = /\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\[\\"n])*)"\s*(?:,\s*|$)/y

function readSample(line: string): MetricLine {
  const [, name = "", inner = "", value = ""] = sample.exec(line) ?? []
  if (name === "") throw new Error(`no sample of Prometheus' text format: ${clip(line, shown)}`)
  const labels = new Map<string, string>()
  pair.lastIndex = 0
  while (pair.lastIndex < inner.trimEnd().length) {
    const found = pair.exec(inner)
    if (!found) throw new Error(`no labels, such as {route="/",status="200"}: ${clip(`{${inner}}`, shown)}`)
    const [, key = "", content = ""] = found
    labels.set(key, content)
  }
  return { name, labels, value: numberOf(value, "value") }
}

function label(labels: Map<string, string>, name: string): string {
  const value = labels.get(name)
  if (value === undefined) throw new Error(`no label ${name}`)
  return value
}

/** Reads a number as Go's ParseFloat does. */
function numberOf(text: string, what: string): number {
  const [, sign = "", infinite] = /^([+-]?)(inf(?:inity)?)$/i.exec(text) ?? []
  if (infinite !== undefined) return sign === "-" ? -Infinity : Infinity
  if (/^[+-]?nan$/i.test(text)) return NaN
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text)
  throw new Error(`the ${what} is no number (found ${JSON.stringify(clip(text, shown))})`)
}

function countOf(value: number): number {
  if (Number.isFinite(value) && value >= 0) return value
  throw new Error(`a counter is a finite number from 0 up (found ${value})`)
}

/** Characters of a line that an error shows. */
const shown = 80
