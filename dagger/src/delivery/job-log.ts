import type { z } from "zod"
import { duration, oneLine } from "../lib/text.js"

/** What a log of the command says. */
export interface JobLog<Result> {
  /** Events before the result, as text for people. */
  progress: string[]
  result?: Result
  /** Why there is no result. */
  problem?: string
  /** The last lines that are no events. */
  tail: string[]
}

const tailLines = 5

/**
 * Reads the log of a command in a Job: JSON Lines, the last one with the result. The cluster mixes standard output and the log on standard error, so that only objects with a text `event` are events.
 *
 * A result counts only as the last event.
 *
 * @param result what the result is
 */
export function readJobLog<Result>(text: string, result: z.ZodType<Result>): JobLog<Result> {
  const events: Record<string, unknown>[] = []
  const others: string[] = []
  for (const line of text.split("\n")) {
    const event = eventOf(line)
    if (event) events.push(event)
    else if (line.trim() !== "") others.push(oneLine(line, 300))
  }
  const last = events.at(-1)
  const tail = others.slice(-tailLines)
  const ends = last?.event === "result"
  const progress = (ends ? events.slice(0, -1) : events).flatMap((event) => eventText(event) ?? [])
  if (!ends) return { progress, tail, problem: "its log has no result" }
  const read = result.safeParse(last)
  if (read.success) return { progress, tail, result: read.data }
  const faults = read.error.issues.map(({ path, message }) => [...path, message].join(": "))
  return { progress, tail, problem: `its result cannot be read: ${oneLine(faults.join("; "), 300)}` }
}

function eventOf(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith("{")) return undefined
  try {
    const found = JSON.parse(line) as Record<string, unknown>
    return typeof found.event === "string" ? found : undefined
  } catch {
    return undefined
  }
}

/** An event in one line for people, such as `backup: done, 12.3 s`. */
function eventText({ event, ...rest }: Record<string, unknown>): string | undefined {
  const { step, state, seconds, ...more } = rest
  if (event === "result") return undefined
  if (event !== "step") return oneLine([String(event), details(rest)].filter(Boolean).join(": "), 300)
  const took = typeof seconds === "number" ? `, ${duration(seconds)}` : ""
  const why = state === "failed" ? details(more) : ""
  return oneLine(`${String(step)}: ${String(state)}${took}${why === "" ? "" : `: ${why}`}`, 300)
}

const details = (fields: Record<string, unknown>) =>
  Object.entries(fields)
    .map(([name, value]) => [name, Array.isArray(value) ? value.join("; ") : value] as const)
    .filter(([, value]) => ["string", "number", "boolean"].includes(typeof value))
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(", ")
