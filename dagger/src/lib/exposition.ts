import { clip } from "./text.js"

/** One value of a page in Prometheus' text format or in OpenMetrics. */
export interface MetricSample {
  name: string
  /**
   * Not unescaped: no label that matters here contains an escape.
   *
   * @throws Error when there is no such label
   */
  label: (name: string) => string
  value: number
}

/** Characters of a line that an error shows. */
const shown = 80

/** Name, labels, value; then an optional timestamp and, in OpenMetrics, an optional exemplar. */
const sample =
  /^([a-zA-Z_:][\w:]*)(?:\s*\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\}\s*|\s+)(\S+)(?:\s+[+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?)?(?:\s+#\s.*)?\s*$/i
/** The form of names with other characters, such as `{"disk.used",host="a"} 1`. No metric of the services has one. */
const quotedName = /^\{\s*"(?:[^"\\]|\\.)*"\s*[,}]/
/** Quotes are around names of labels with other characters, as in OpenTelemetry's. */
const pair = /\s*([a-zA-Z_]\w*|"(?:[^"\\]|\\.)*")\s*=\s*"((?:[^"\\]|\\[\\"n])*)"\s*(?:,\s*|$)/y

/**
 * Reads a page of metrics.
 *
 * @param read gets each sample
 * @throws Error with the line, when the text is no such page or a sample is not what it must be
 */
export function readSamples(text: string, read: (sample: MetricSample) => void): void {
  for (const [index, written] of text.split(/\r?\n/).entries()) {
    // The format allows blanks around a line.
    const line = written.trim()
    if (line === "" || line.startsWith("#") || quotedName.test(line)) continue
    try {
      read(readSample(line))
    } catch (error) {
      throw new Error(`line ${index + 1}: ${(error as Error).message}`, { cause: error })
    }
  }
}

function readSample(line: string): MetricSample {
  const [, name = "", inner = "", value = ""] = sample.exec(line) ?? []
  if (name === "") throw new Error(`no sample of Prometheus' text format: ${clip(line, shown)}`)
  const labels = new Map<string, string>()
  pair.lastIndex = 0
  while (pair.lastIndex < inner.trimEnd().length) {
    const found = pair.exec(inner)
    if (!found) throw new Error(`no labels, such as {route="/",status="200"}: ${clip(`{${inner}}`, shown)}`)
    const [, key = "", content = ""] = found
    labels.set(key.replace(/^"|"$/g, ""), content)
  }
  const label = (wanted: string): string => {
    const found = labels.get(wanted)
    if (found === undefined) throw new Error(`no label ${wanted}`)
    return found
  }
  return { name, label, value: numberOf(value, "value") }
}

/** Reads a number as Go's ParseFloat does. */
export function numberOf(text: string, what: string): number {
  const [, sign = "", infinite] = /^([+-]?)(inf(?:inity)?)$/i.exec(text) ?? []
  if (infinite !== undefined) return sign === "-" ? -Infinity : Infinity
  if (/^[+-]?nan$/i.test(text)) return NaN
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text)
  throw new Error(`the ${what} is no number (found ${JSON.stringify(clip(text, shown))})`)
}

/** @throws Error for a value that no counter has */
export function countOf(value: number): number {
  if (Number.isFinite(value) && value >= 0) return value
  throw new Error(`a counter is a finite number from 0 up (found ${value})`)
}
