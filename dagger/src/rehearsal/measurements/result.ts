import { columns, duration } from "../../lib/text.js"
import type { Measurements } from "./measurements.js"

/** One rehearsal and what it measured. */
export interface RehearsalResult {
  fault: string
  /** Our strategy, or the name of the peer. */
  strategy: string
  figures: Measurements
  /** Expectations that were not met. */
  unmet: string[]
  /** The last output of the command, in one line. */
  message: string
}

/** Formats results as a table, one row each. */
export function resultTable(results: RehearsalResult[]): string {
  const header = [
    "FAULT",
    "STRATEGY",
    "OUTCOME",
    "SENT",
    "FAILED",
    "BY CANDIDATE",
    "P95 BEFORE",
    "P95 DURING",
    "PROMOTED AFTER",
    "USERS AFFECTED",
    "CANDIDATE SHARE",
    "AS EXPECTED",
  ]
  const rows = results.map(({ fault, strategy, figures, unmet }) => [
    fault,
    strategy,
    figures.outcome,
    `${figures.sent}${figures.unsent > 0 ? ` (${figures.unsent} not sent)` : ""}`,
    String(figures.failed),
    String(figures.failedByCandidate),
    `${Math.round(figures.p95Before)} ms`,
    `${Math.round(figures.p95During)} ms`,
    figures.secondsToPromoted === undefined ? "–" : duration(figures.secondsToPromoted),
    figures.secondsHurt === undefined ? "–" : duration(figures.secondsHurt),
    figures.shares
      .map(
        ({ weight, measured, requests }) =>
          `${weight} %: ${measured.toFixed(1)} % of ${requests.toLocaleString("en-US")}`,
      )
      .join(", ") || "–",
    unmet.length === 0 ? "yes" : `no: ${unmet.join("; ")}`,
  ])
  return columns([header, ...rows])
}
