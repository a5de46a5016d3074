/**
 * How a gate ended. "could not run" is the pipeline's own failure (an image, a package, memory): it says
 * nothing about the source, and is never read as a pass.
 */
export type Outcome = "passed" | "failed" | "could not run"

/** What one gate found. */
export interface Verdict {
  gate: string
  /** What the gate looked at. */
  on: string
  outcome: Outcome
  seconds: number
  /** What the command printed, or why it never ran. Empty for a pass. */
  output: string
}

/** What is known of a command that did not succeed; without an exit code, it never ran. */
export interface CommandFailure {
  message: string
  exitCode?: number
  stdout?: string
  stderr?: string
}

/** The shell's own codes from here on: not executable, not found, killed by a signal. */
const firstCodeOfTheShell = 126

/** Tells a gate that failed from one that could not run. */
export function judge(failure: CommandFailure): Pick<Verdict, "outcome" | "output"> {
  const { exitCode, message } = failure
  const printed = [failure.stdout, failure.stderr].map((text) => text?.trim()).filter(Boolean)
  const output = printed.length > 0 ? printed.join("\n") : message
  if (exitCode === undefined || exitCode < 0) return { outcome: "could not run", output }
  if (exitCode >= firstCodeOfTheShell) {
    return { outcome: "could not run", output: `${output}\nThe command ended with exit code ${exitCode}.` }
  }
  return { outcome: "failed", output }
}
