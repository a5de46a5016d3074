import { columns } from "../../lib/text.js"
import type { Verdict } from "./verdict.js"

/** How much of a gate's output the summary shows; the end, where tools put what matters. */
const shownLines = 40

/** Something passed, and nothing failed or could not run: the one case in which a change may go on. A gate may be skipped, as for want of a token. */
export function allPassed(verdicts: Verdict[]): boolean {
  const stops = (outcome: Verdict["outcome"]) => outcome === "failed" || outcome === "could not run"
  return (
    verdicts.some(({ outcome }) => outcome === "passed") && !verdicts.some(({ outcome }) => stops(outcome))
  )
}

/** The whole story in the order an operator reads a terminal, from the end: conclusion last, findings above it. */
export function summarize(verdicts: Verdict[]): string {
  // What a gate was skipped for stands in its row, and in the finding of the gate that it waited for.
  const findings = verdicts
    .filter(({ outcome }) => outcome === "failed" || outcome === "could not run")
    .map(finding)
  return [table(verdicts), ...findings, conclusion(verdicts)].join("\n\n")
}

/** One line a gate: its name, how it ended, how long it took, what it looked at and counted, how to run just that again. */
export function table(verdicts: Verdict[]): string {
  const rows = verdicts.map((verdict) => [
    verdict.gate,
    verdict.outcome,
    time(verdict),
    [verdict.on, verdict.detail, ...verdict.retries.map((reason) => `tried again: ${reason}`)]
      .filter(Boolean)
      .join(" · "),
  ])
  return columns([["GATE", "OUTCOME", "TIME", "LOOKS AT"], ...rows])
}

function time({ seconds, cached, outcome }: Verdict): string {
  if (outcome === "skipped") return ""
  return `${seconds.toFixed(1)} s${cached ? " cached" : ""}`
}

/** A gate that did not pass, with the end of its output. */
export function finding({ gate, outcome, output, detail }: Verdict): string {
  const lines = (output || detail).trimEnd().split("\n")
  const left = lines.length - shownLines
  const shown = left > 0 ? [`… ${left} lines above`, ...lines.slice(-shownLines)] : lines
  return [`── ${gate}: ${outcome} · again: ${again(gate)} ──`, ...shown].join("\n")
}

/** The last line: whose fault it is, and which gates. */
export function conclusion(verdicts: Verdict[]): string {
  const names = (outcome: Verdict["outcome"]) =>
    verdicts.filter((verdict) => verdict.outcome === outcome).map(({ gate }) => gate)
  const [failed, unrun, skipped] = [names("failed"), names("could not run"), names("skipped")]
  if (verdicts.length === 0) return "No gate ran."
  if (allPassed(verdicts)) {
    const passed = names("passed").length
    return skipped.length === 0
      ? `Passed: all ${passed} gates.`
      : `Passed: ${passed} gates. Skipped: ${skipped.join(", ")}.`
  }
  const sentences = []
  if (failed.length > 0) sentences.push(`Failed: ${failed.join(", ")} (of ${verdicts.length} gates).`)
  if (unrun.length > 0) {
    sentences.push(`Could not run: ${unrun.join(", ")}. Put right what the output names, then run again.`)
  }
  if (skipped.length > 0) sentences.push(`Skipped: ${skipped.join(", ")}.`)
  if (names("passed").length === 0 && failed.length + unrun.length === 0) sentences.push("No gate passed.")
  return sentences.join(" ")
}

/** The command that runs just one gate. Dagger's names part letters from digits: `f1-backend` is `f-1-backend` there. */
export function again(gate: string): string {
  return `./daggerw check ${gate.replace(/(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])/g, "-").replaceAll("--", "-")}`
}
