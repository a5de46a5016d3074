import { LineCounter, parseAllDocuments, parseDocument, type Document } from "yaml"
import { z } from "zod"
import "./schema-errors.js"

/** All faults of configuration files, one per line: `file:line: key: fault; what is allowed`. */
export class ConfigurationError extends Error {
  override name = "ConfigurationError"
}

/** A mapping with exactly these keys. The error for another key lists them. */
export function section<Shape extends z.ZodRawShape>(shape: Shape) {
  const allowed = Object.keys(shape).join(", ")
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? `no such key: ${issue.keys.join(", ")}; allowed: ${allowed}`
        : undefined,
  })
}

/** A configuration file. */
export interface Layer {
  /** Its name, for messages. */
  file: string
  text: string
}

interface Parsed {
  file: string
  document: Document
  lines: LineCounter
}

/**
 * Reads a YAML configuration file and validates it.
 *
 * @param file its name, for messages
 * @throws ConfigurationError with every fault, each with its file and line
 */
export function readConfiguration<Schema extends z.ZodType>(
  file: string,
  text: string,
  schema: Schema,
): z.output<Schema> {
  return readLayers([{ file, text }], schema)
}

/**
 * Reads configuration files, each overriding those before it: mappings are merged, other values are replaced, and null removes a key.
 *
 * @throws ConfigurationError with every fault, each with its file and line
 */
export function readLayers<Schema extends z.ZodType>(layers: Layer[], schema: Schema): z.output<Schema> {
  const parsed = layers.map(parse)
  // Checked in each file, because the schema sees all of them as one.
  const values = parsed.map(({ document }) => document.toJS() as unknown)
  const unusable = parsed.flatMap(({ file }, at) => {
    if (isMapping(values[at])) return []
    const found = Array.isArray(values[at]) ? "a list" : "a single value"
    return `${file}:1: the file ${values[at] === null ? "is empty" : `must be a mapping, not ${found}`}`
  })
  if (unusable.length > 0) throw new ConfigurationError(unusable.join("\n"))
  const result = schema.safeParse(values.reduce(overridden))
  if (result.success) return result.data
  const faults = result.error.issues.map((issue) => {
    const path = issue.path.map(String)
    const where = path.length > 0 ? path.join(".") : "the whole file"
    const key = issue.code === "unrecognized_keys" ? [...path, ...issue.keys.slice(0, 1)] : path
    return `${placeOf(parsed, key)}: ${where}: ${issue.message}${found(parsed, path)}`
  })
  throw new ConfigurationError(faults.join("\n"))
}

/**
 * File and line of a value in the last of these files that has it, or that has a mapping around it.
 *
 * @throws ConfigurationError for a file that is no YAML
 */
export const placeIn = (layers: Layer[], path: string[]): string => placeOf(layers.map(parse), path)

/**
 * Checks that a file is YAML, of one document or more. For files that a tool reads, which would name a fault by a path of its own.
 *
 * @param file its name, for messages
 * @throws ConfigurationError with every fault, each with its file and line
 */
export function verifyYaml(file: string, text: string): void {
  const lines = new LineCounter()
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false })
  const all = Array.isArray(documents) ? documents : []
  refuseErrors(file, lines, all)
  if (all.every(({ contents }) => contents === null))
    throw new ConfigurationError(`${file}:1: the file is empty`)
}

function parse({ file, text }: Layer): Parsed {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  refuseErrors(file, lines, [document])
  return { file, document, lines }
}

function refuseErrors(file: string, lines: LineCounter, documents: Pick<Document, "errors">[]): void {
  const errors = documents.flatMap((document) => document.errors)
  if (errors.length === 0) return
  throw new ConfigurationError(
    errors.map(({ message, pos }) => `${file}:${lines.linePos(pos[0]).line}: ${message}`).join("\n"),
  )
}

function overridden(base: unknown, layer: unknown): unknown {
  if (!isMapping(base) || !isMapping(layer)) return layer
  const changed = Object.entries(layer).map(([key, value]) => [key, overridden(base[key], value)])
  const merged = { ...base, ...(Object.fromEntries(changed) as Record<string, unknown>) }
  return Object.fromEntries(Object.entries(merged).filter(([key]) => layer[key] !== null))
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** File and line of a value, in the last file that has it; for a missing value, of the nearest mapping around it. */
function placeOf(parsed: Parsed[], path: string[]): string {
  for (let length = path.length; length > 0; length--) {
    for (const { file, document, lines } of [...parsed].reverse()) {
      const node = document.getIn(path.slice(0, length), true)
      const range = (node as { range?: [number, number, number] } | undefined)?.range
      if (range) return `${file}:${lines.linePos(range[0]).line}`
    }
  }
  return `${parsed[0]?.file ?? ""}:1`
}

function found(parsed: Parsed[], path: string[]): string {
  const values = path.length > 0 ? parsed.map(({ document }): unknown => document.getIn(path)) : []
  const value = values.filter((one) => one !== undefined && one !== null).at(-1)
  const plain = ["string", "number", "boolean"].includes(typeof value)
  return plain ? ` (found ${JSON.stringify(value)})` : ""
}
