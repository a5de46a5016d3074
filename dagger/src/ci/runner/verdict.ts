/**
 * How a gate ended. "could not run" is a failure of the pipeline itself (an image, a package, memory): it says
 * nothing about the source and never counts as a pass. "skipped" always has a reason: a required gate did not pass, or a token is missing.
 */
export type Outcome = "passed" | "failed" | "could not run" | "skipped"

/** The result of one gate. */
export interface Verdict {
  /** The gate's name: `api:test`, or `module:lint`. */
  gate: string
  /** What the gate checks. */
  subject: string
  outcome: Outcome
  /** Seconds the command took when it ran. */
  seconds: number
  /** Remembered from an earlier run on the same input: it took no time now. */
  cached: boolean
  /** The reason of each retry after a failure of the infrastructure, one line each. */
  retries: string[]
  /** One line: the tool's own count after a pass, the reason after a skip. */
  detail: string
  /** What the command printed, or why it never ran. Empty after a pass. */
  output: string
}

/** A command that did not succeed. Without an exit code, it never ran. */
export interface CommandFailure {
  message: string
  exitCode?: number
  stdout?: string
  stderr?: string
}

/** Exit codes of the shell: not executable, not found, killed by one of 64 signals. Tools give codes above these a meaning of their own. */
const shellExitCodes = { first: 126, last: 128 + 64 }

/** What apt, pip, npm and Go print when they cannot reach another machine. */
const networkErrors =
  /temporary failure (in name resolution|resolving)|could not resolve|name or service not known|no such host|EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|network is unreachable|no route to host|connection (timed out|refused|reset)|NewConnectionError|ReadTimeoutError|TLS handshake timeout|i\/o timeout/i

/** Whether the output of a failed step shows that the network was the reason. */
export const isNetworkError = (output: string): boolean => networkErrors.test(output)

/** Decides whether a failed command means that the gate failed, or that it could not run. */
export function classifyFailure(failure: CommandFailure): Pick<Verdict, "outcome" | "output"> {
  const { exitCode, message } = failure
  const printed = [failure.stdout, failure.stderr].map((text) => text?.trim()).filter(Boolean)
  const output = printed.length > 0 ? printed.join("\n") : message
  if (exitCode === undefined || exitCode < 0) return { outcome: "could not run", output }
  if (exitCode >= shellExitCodes.first && exitCode <= shellExitCodes.last) {
    return { outcome: "could not run", output: `${output}\nThe command ended with exit code ${exitCode}.` }
  }
  return { outcome: "failed", output }
}
