import { columns, count } from "../../lib/text.js"
import type { Verdict } from "./verdict.js"

/** Lines of output that are shown: the last ones, where tools print the result. */
const shownLines = 40

/** Whether a change may go on: at least one gate passed, none failed, and all could run. Skipped gates are allowed, such as one without its token. */
export function allPassed(verdicts: Verdict[]): boolean {
  const stops = (outcome: Verdict["outcome"]) => outcome === "failed" || outcome === "could not run"
  return (
    verdicts.some(({ outcome }) => outcome === "passed") && !verdicts.some(({ outcome }) => stops(outcome))
  )
}

/** The gate table, the output of failed gates, and the conclusion. An operator reads a terminal from its end, so the conclusion is last. */
export function summarize(verdicts: Verdict[]): string {
  // The row of a skipped gate already shows the reason.
  const failures = verdicts
    .filter(({ outcome }) => outcome === "failed" || outcome === "could not run")
    .map(failureDetails)
  return [table(verdicts), ...failures, conclusion(verdicts)].join("\n\n")
}

/** One line for each gate: name, outcome, time, what it checks, and its count. */
export function table(verdicts: Verdict[]): string {
  const rows = verdicts.map((verdict) => [
    verdict.gate,
    verdict.outcome,
    time(verdict),
    [verdict.subject, verdict.detail, ...verdict.retries.map((reason) => `tried again: ${reason}`)]
      .filter(Boolean)
      .join(" · "),
  ])
  return columns([["GATE", "OUTCOME", "TIME", "CHECKS"], ...rows])
}

function time({ seconds, cached, outcome }: Verdict): string {
  if (outcome === "skipped") return ""
  return `${seconds.toFixed(1)} s${cached ? " cached" : ""}`
}

/** A gate that did not pass, with the end of its output and the command that runs it again. */
export function failureDetails({ gate, outcome, output, detail }: Verdict): string {
  const lines = (output || detail).trimEnd().split("\n")
  const hidden = lines.length - shownLines
  const shown = hidden > 0 ? [`… ${hidden} lines above`, ...lines.slice(-shownLines)] : lines
  return [`── ${gate}: ${outcome} · run again: ${checkCommand(gate)} ──`, ...shown].join("\n")
}

/** Whether no gate was skipped. A run that passed with skipped gates leaves something unchecked. */
export const noneSkipped = (verdicts: Verdict[]): boolean =>
  verdicts.every(({ outcome }) => outcome !== "skipped")

/** One line: which gates failed, could not run, or were skipped. */
export function conclusion(verdicts: Verdict[]): string {
  const names = (outcome: Verdict["outcome"]) =>
    verdicts.filter((verdict) => verdict.outcome === outcome).map(({ gate }) => gate)
  const [failed, couldNotRun, skipped] = [names("failed"), names("could not run"), names("skipped")]
  const passed = names("passed").length
  if (verdicts.length === 0) return "No gate ran."
  if (allPassed(verdicts)) {
    if (noneSkipped(verdicts)) return passed === 1 ? "Passed: 1 gate." : `Passed: all ${passed} gates.`
    const unchecked = skipped.length === 1 ? "1 was" : `${skipped.length} were`
    return `Incomplete: ${passed} of ${count(verdicts.length, "gate")} passed, but ${unchecked} skipped: ${skipped.join(", ")}.`
  }
  const sentences = []
  if (failed.length > 0)
    sentences.push(`Failed: ${failed.join(", ")} (of ${count(verdicts.length, "gate")}).`)
  if (couldNotRun.length > 0) {
    sentences.push(
      `Could not run: ${couldNotRun.join(", ")}. Fix the cause that the output names, then run again.`,
    )
  }
  if (skipped.length > 0) sentences.push(`Skipped: ${skipped.join(", ")}.`)
  if (passed === 0 && failed.length + couldNotRun.length === 0) sentences.push("No gate passed.")
  return sentences.join(" ")
}

/** The command that runs one gate. Dagger separates letters and digits in names: `f1-backend` becomes `f-1-backend`. */
export function checkCommand(gate: string): string {
  return `./daggerw check ${gate.replace(/(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])/g, "-").replaceAll("--", "-")}`
}

/** The command that writes what a gate's tool would change into the repository. */
export function fixCommand(gate: string, folder: string): string {
  return `./daggerw call fix --gate ${gate} export --path ${folder}`
}
