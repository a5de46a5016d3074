// Makes the messages of all schemas sentences that a reader understands without knowing the library. Modules whose errors are shown import it.
import { z } from "zod"

const names: Record<string, string> = {
  object: "a mapping",
  record: "a mapping",
  map: "a mapping",
  array: "a list",
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  null: "nothing",
}

const nameOf = (type: string) => names[type] ?? type

function typeOf(value: unknown): string {
  if (value === null) return "null"
  return Array.isArray(value) ? "array" : typeof value
}

/** The sentence about a fault, or undefined for those whose message is good as it is. */
function sentence(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type": {
      const wanted = nameOf(issue.expected)
      if (issue.input === undefined) return `is missing: it must be ${wanted}`
      if (issue.expected === "int" && typeof issue.input === "number") return `must be ${wanted}`
      return `must be ${wanted}, not ${nameOf(typeOf(issue.input))}`
    }
    case "invalid_value": {
      const allowed = issue.values.map((value) => JSON.stringify(value)).join("|")
      return issue.input === undefined ? `is missing; allowed: ${allowed}` : `allowed: ${allowed}`
    }
    case "unrecognized_keys":
      return `no such key: ${issue.keys.join(", ")}`
    case "too_small":
      return issue.origin === "string" && issue.minimum === 1
        ? "must not be empty"
        : `must ${amount(issue.origin, "at least", issue.minimum)}`
    case "too_big":
      return `must ${amount(issue.origin, "at most", issue.maximum)}`
    case "invalid_union":
      return issue.input === undefined ? "is missing" : "has none of the forms that are allowed"
    default:
      return undefined
  }
}

function amount(origin: string, bound: string, limit: number | bigint): string {
  if (origin === "string") return `have ${bound} ${limit} characters`
  if (origin === "array" || origin === "set")
    return `have ${bound} ${limit} ${limit === 1 ? "entry" : "entries"}`
  return `be ${bound} ${limit}`
}

z.config({ customError: sentence })
