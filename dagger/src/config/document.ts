import { LineCounter, parseDocument, type Document } from "yaml"
import { z } from "zod"

/** What is wrong with a file of configuration, one line a fault: `file:line: where: what was found; what is allowed`. */
export class ConfigurationError extends Error {
  override name = "ConfigurationError"
}

/** A mapping with these keys and no others; a fault says which there are. */
export function section<Shape extends z.ZodRawShape>(shape: Shape) {
  const allowed = Object.keys(shape).join(", ")
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? `no such key: ${issue.keys.join(", ")}; allowed: ${allowed}`
        : undefined,
  })
}

/**
 * Reads a YAML file of configuration and holds it against a schema.
 *
 * @param file its name, for messages
 * @throws ConfigurationError with every fault, each with its file and line
 */
export function readConfiguration<Schema extends z.ZodType>(
  file: string,
  text: string,
  schema: Schema,
): z.output<Schema> {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const at = (offset: number) => `${file}:${lines.linePos(offset).line}`
  if (document.errors.length > 0) {
    throw new ConfigurationError(
      document.errors.map(({ message, pos }) => `${at(pos[0])}: ${message}`).join("\n"),
    )
  }
  const result = schema.safeParse(document.toJS() ?? {})
  if (result.success) return result.data
  const faults = result.error.issues.map((issue) => {
    const path = issue.path.map(String)
    const where = path.length > 0 ? path.join(".") : "the whole file"
    const key = issue.code === "unrecognized_keys" ? [...path, ...issue.keys.slice(0, 1)] : path
    return `${at(offsetOf(document, key))}: ${where}: ${issue.message}${found(document, path)}`
  })
  throw new ConfigurationError(faults.join("\n"))
}

/** Where a value stands in the text; for one that is missing, where the nearest thing around it stands. */
function offsetOf(document: Document, path: string[]): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true)
    const range = (node as { range?: [number, number, number] } | undefined)?.range
    if (range) return range[0]
  }
  return 0
}

function found(document: Document, path: string[]): string {
  const value: unknown = path.length > 0 ? document.getIn(path) : undefined
  const plain = ["string", "number", "boolean"].includes(typeof value)
  return plain ? ` (found ${JSON.stringify(value)})` : ""
}
