import { ExecError } from "@dagger.io/dagger"
import { placeOfFailure } from "./dockerfile.js"

/** A Dockerfile that does not build. The last line of the message names the place in it, where that can be told. */
export class BuildFailed extends Error {
  override name = "BuildFailed"
}

/**
 * What a failed build says to people.
 *
 * @param file the Dockerfile's path in the repository
 * @param text its contents
 * @returns BuildFailed where the Dockerfile is at fault. Everything else, such as a registry that does not answer, is a failure of the infrastructure
 */
export function explainedBuild(error: unknown, file: string, text: string): Error {
  const message = outputOfFailure(error)
  const failed = error instanceof ExecError ? { command: error.cmd, exitCode: error.exitCode } : {}
  const lines = [message, placeOfFailure(file, text, { message, ...failed })].filter(Boolean).join("\n")
  const isAtFault = error instanceof ExecError || buildFaults.test(message)
  return new (isAtFault ? BuildFailed : Error)(lines, { cause: error })
}

/** The message of a failed step with what its command printed, without what is for machines. */
export function outputOfFailure(error: unknown): string {
  if (error instanceof ExecError)
    return [error.message, error.stdout, error.stderr].filter(Boolean).join("\n").replace(traceOfError, "")
  const message = error instanceof Error ? error.message : String(error)
  return message.replace(traceOfError, "").replace(stepsOfBuild, "")
}

const buildFaults =
  /did not complete successfully|dockerfile (parse error|copy: .*no such file)|not found|failed to compute cache key/i
/** The engine's ids of the steps that led to a failure of a build, which nobody can look up. */
const stepsOfBuild = /^failed to load container from converted ID: (load \S+ |inputs: )*/
/** The engine's note for machines behind a message. */
const traceOfError = / \[traceparent:[0-9a-f-]+\]/g
