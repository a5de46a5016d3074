import { ExecError, type Container } from "@dagger.io/dagger"
import { judge, type CommandFailure, type Verdict } from "./verdict.js"

/** One thing that a change must pass. */
export interface Gate {
  name: string
  /** What it looks at, in an operator's words. */
  on: string
  /** Tools and source in place. If this cannot be built, the gate could not run. */
  container: Container
  /** Succeeds on good source; its exit code and output are the finding. */
  command: string[]
}

/**
 * Runs a gate to its verdict; never throws.
 *
 * The command runs with Dagger's own expectation of success, so the engine remembers passes alone: a gate that
 * failed, for its source or for a flaky network, is really run again the next time.
 */
export async function run(gate: Gate): Promise<Verdict> {
  let started = performance.now()
  const verdict = (ending: Pick<Verdict, "outcome" | "output">): Verdict => ({
    gate: gate.name,
    on: gate.on,
    seconds: (performance.now() - started) / 1000,
    ...ending,
  })

  try {
    await gate.container.sync()
  } catch (error) {
    // Whatever a preparing step ended with, it was not the gate's command that failed.
    return verdict(judge({ ...describe(error), exitCode: undefined }))
  }
  // The time of a gate is its own: what it shares with others, as an install, would count for each of them.
  started = performance.now()
  try {
    await gate.container.withExec(gate.command).sync()
    return verdict({ outcome: "passed", output: "" })
  } catch (error) {
    return verdict(judge(describe(error)))
  }
}

function describe(error: unknown): CommandFailure {
  if (error instanceof ExecError) {
    const { message, exitCode, stdout, stderr } = error
    return { message, exitCode, stdout, stderr }
  }
  return { message: error instanceof Error ? error.message : String(error) }
}
