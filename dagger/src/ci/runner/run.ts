import { type Directory, ExecError } from "@dagger.io/dagger"
import { ConfigurationError } from "../../lib/document.js"
import { type Pause, retry } from "../../lib/retry.js"
import { asCommandFailure, reportsOfFailure, withoutReportsLine } from "./command.js"
import { type Gate, GateFailure, GateSkip } from "./gate.js"
import { withRepositoryPaths } from "./output.js"
import { fixCommand } from "./summary.js"
import { classifyFailure, type Verdict } from "./verdict.js"

/** A gate that ended, with the reports it left. */
export interface CompletedGate {
  verdict: Verdict
  startedAt: Date
  reports?: Directory
}

/** Runs a gate and never throws. Failures of the infrastructure are retried. */
export async function runGate(gate: Gate, pause?: Pause): Promise<CompletedGate> {
  const retries: string[] = []
  const retryOptions = { onRetry: (reason: string) => retries.push(reason), ...(pause && { pause }) }
  const startedAt = new Date()
  let clock = startedAt.getTime()
  const completed = (
    result: Partial<Verdict> & Pick<Verdict, "outcome">,
    reports?: Directory,
  ): CompletedGate => ({
    verdict: {
      gate: gate.name,
      subject: gate.subject,
      seconds: (Date.now() - clock) / 1000,
      cached: false,
      detail: "",
      output: "",
      retries,
      ...result,
    },
    startedAt,
    ...(reports && { reports }),
  })

  try {
    await retry(gate.prepare, { ...retryOptions, unless: isMistake })
  } catch (error) {
    // The exit code of a preparing step says nothing about the source.
    return completed(classifyFailure({ ...asCommandFailure(error), exitCode: undefined }))
  }
  // Preparation is shared with other gates, so it does not count as time of this one.
  clock = Date.now()
  try {
    const { reports, ...result } = await retry(gate.execute, { ...retryOptions, unless: isFinal })
    return completed({ outcome: "passed", ...result }, reports)
  } catch (error) {
    if (error instanceof GateSkip) return completed({ outcome: "skipped", detail: error.message })
    if (error instanceof GateFailure)
      return completed({ outcome: "failed", output: error.message }, error.reports)
    const { outcome, output } = classifyFailure(asCommandFailure(error))
    const fix = outcome === "failed" && gate.fix ? `\nfix: ${fixCommand(gate.name, gate.fix.folder)}` : ""
    return completed(
      { outcome, output: withRepositoryPaths(withoutReportsLine(output), gate.folder) + fix },
      reportsOfFailure(error),
    )
  }
}

/** The result of a gate that did not run. */
export function skippedGate(gate: Pick<Gate, "name" | "subject">, reason: string): CompletedGate {
  return {
    startedAt: new Date(),
    verdict: {
      gate: gate.name,
      subject: gate.subject,
      outcome: "skipped",
      seconds: 0,
      cached: false,
      retries: [],
      detail: reason,
      output: "",
    },
  }
}

/** Another try would read the same file. */
const isMistake = (error: unknown): boolean => error instanceof ConfigurationError

function isFinal(error: unknown): boolean {
  return (
    isMistake(error) ||
    error instanceof GateFailure ||
    error instanceof GateSkip ||
    (error instanceof ExecError && classifyFailure(asCommandFailure(error)).outcome === "failed")
  )
}
