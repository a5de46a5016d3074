/**
 * How a gate ended. "could not run" is the pipeline's own failure (an image, a package, memory): it says
 * nothing about the source, and is never read as a pass. "skipped" says why: what it needs did not pass, or no token was given.
 */
export type Outcome = "passed" | "failed" | "could not run" | "skipped"

/** What one gate found. */
export interface Verdict {
  /** Its name as a check: `api:test`, or `module:lint`. */
  gate: string
  /** What the gate looked at. */
  on: string
  outcome: Outcome
  /** How long its command took, when it ran. */
  seconds: number
  /** Remembered from an earlier run on the same input: it took no time now. */
  cached: boolean
  /** Trouble of the infrastructure that was met with another try, one line each. */
  retries: string[]
  /** In one line: the tool's own count for a pass, the reason for a skip. */
  detail: string
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

/** The shell's own codes: not executable, not found, killed by one of 64 signals. Beyond them, a tool may mean what it likes, as 255. */
const codesOfTheShell = { first: 126, last: 128 + 64 }

/** What apt, pip, npm and Go print when they do not get to another machine. */
const outOfReach =
  /temporary failure (in name resolution|resolving)|could not resolve|name or service not known|no such host|EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|network is unreachable|no route to host|connection (timed out|refused|reset)|NewConnectionError|ReadTimeoutError|TLS handshake timeout|i\/o timeout/i

/** Whether a step that fetches ended for want of a network, by what it printed. */
export const isOutOfReach = (output: string): boolean => outOfReach.test(output)

/** Tells a gate that failed from one that could not run. */
export function judge(failure: CommandFailure): Pick<Verdict, "outcome" | "output"> {
  const { exitCode, message } = failure
  const printed = [failure.stdout, failure.stderr].map((text) => text?.trim()).filter(Boolean)
  const output = printed.length > 0 ? printed.join("\n") : message
  if (exitCode === undefined || exitCode < 0) return { outcome: "could not run", output }
  if (exitCode >= codesOfTheShell.first && exitCode <= codesOfTheShell.last) {
    return { outcome: "could not run", output: `${output}\nThe command ended with exit code ${exitCode}.` }
  }
  return { outcome: "failed", output }
}
