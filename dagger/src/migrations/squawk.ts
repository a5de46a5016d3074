import { z } from "zod"
import type { Direction, Statement } from "./examination.js"

/** The SQL of one migration, with the statement that each of its lines belongs to. */
export interface Script {
  text: string
  /** By line, from 0. */
  statements: (Statement | undefined)[]
}

/**
 * Writes down what a migration ran, for squawk: its transactions, and its time-outs as they were when the first statement ran.
 */
export function scriptOf({ statements }: Direction): Script {
  const lines: { text: string; statement?: Statement }[] = []
  const [first] = statements
  if (first && first.lock_timeout_ms > 0) lines.push({ text: `SET lock_timeout = ${first.lock_timeout_ms};` })
  if (first && first.statement_timeout_ms > 0) {
    lines.push({ text: `SET statement_timeout = ${first.statement_timeout_ms};` })
  }
  let isOpen = false
  for (const statement of statements) {
    if (isOpen && statement.autocommit) lines.push({ text: "COMMIT;" })
    if (!isOpen && !statement.autocommit) lines.push({ text: "BEGIN;" })
    isOpen = !statement.autocommit
    const ended = /;\s*$/.test(statement.sql) ? statement.sql : `${statement.sql}\n;`
    lines.push(...ended.split("\n").map((text) => ({ text, statement })))
  }
  if (isOpen) lines.push({ text: "COMMIT;" })
  return {
    text: lines.map(({ text }) => `${text}\n`).join(""),
    statements: lines.map(({ statement }) => statement),
  }
}

const report = z.array(
  z.object({
    file: z.string(),
    /** From 0. */
    line: z.int(),
    rule_name: z.string(),
    message: z.string(),
    help: z.string().nullish(),
  }),
)

/** A finding of squawk. */
export type SquawkFinding = z.output<typeof report>[number]

/**
 * Reads squawk's JSON report.
 *
 * @throws Error for another form
 */
export function readSquawk(text: string): SquawkFinding[] {
  return report.parse(JSON.parse(text))
}
