import type { Verdict } from "./verdict.js"

/** How much of a gate's output the summary shows; the end, where tools put what matters. */
const shownLines = 40

/** Every gate ran and passed: the one case in which a change may go on. */
export function allPassed(verdicts: Verdict[]): boolean {
  return verdicts.length > 0 && verdicts.every(({ outcome }) => outcome === "passed")
}

/** The whole story in the order an operator reads a terminal, from the end: conclusion last, findings above it. */
export function summarize(verdicts: Verdict[]): string {
  const findings = verdicts.filter(({ outcome }) => outcome !== "passed").map(finding)
  return [table(verdicts), ...findings, conclusion(verdicts)].join("\n\n")
}

/** One line a gate: its name, what it looked at, how it ended, how long it took, how to run just that again. */
export function table(verdicts: Verdict[]): string {
  const rows = verdicts.map(({ gate, on, outcome, seconds }) => [
    gate,
    on,
    outcome,
    `${seconds.toFixed(1)} s`,
    again(gate),
  ])
  return align([["GATE", "LOOKS AT", "OUTCOME", "TIME", "RUN AGAIN"], ...rows])
}

/** A gate that did not pass, with the end of its output. */
export function finding({ gate, outcome, output }: Verdict): string {
  const lines = output.trimEnd().split("\n")
  const left = lines.length - shownLines
  const shown = left > 0 ? [`… ${left} lines above`, ...lines.slice(-shownLines)] : lines
  return [`── ${gate}: ${outcome} ──`, ...shown].join("\n")
}

/** The last line: whose fault it is, and which gates. */
export function conclusion(verdicts: Verdict[]): string {
  const names = (outcome: Verdict["outcome"]) =>
    verdicts.filter((verdict) => verdict.outcome === outcome).map(({ gate }) => gate)
  const [failed, unrun] = [names("failed"), names("could not run")]
  if (verdicts.length === 0) return "No gate ran."
  if (allPassed(verdicts)) return `Passed: all ${verdicts.length} gates.`
  const sentences = []
  if (failed.length > 0) sentences.push(`Failed: ${failed.join(", ")} (of ${verdicts.length} gates).`)
  if (unrun.length > 0) {
    sentences.push(`Could not run: ${unrun.join(", ")}. Put right what the output names, then run again.`)
  }
  return sentences.join(" ")
}

function again(gate: string): string {
  return `./daggerw check ${gate}`
}

function align(rows: string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "))
    .map((line) => line.trimEnd())
    .join("\n")
}
