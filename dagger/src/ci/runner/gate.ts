import { dag, type Container, type Directory, ExecError } from "@dagger.io/dagger"
import { images } from "../../platform/base-images.js"
import { attempt, type Pause } from "../../lib/retry.js"
import type { Thresholds } from "../report/artifacts.js"
import type { Step } from "./schedule.js"
import { judge, type CommandFailure, type Verdict } from "./verdict.js"

/** One thing that a change must pass. */
export interface Gate extends Step {
  /** What it looks at, in an operator's words. */
  on: string
  /** Puts tools, source and services in place. Where this fails, the gate could not run. */
  prepare: () => Promise<unknown>
  /** Looks at the source. Throws a Fault, or the ExecError of its command, where the source is at fault. */
  look: () => Promise<Look>
  /** Where in the repository it runs: what paths in its reports are relative to. */
  folder?: string
  /** What coverage it holds against, in percent. */
  thresholds?: Thresholds
  /** Runs some of its tests alone, chosen by the arguments that its tool takes, and gives back what the tool said. */
  rerun?: (select: string) => Promise<string>
}

/** What a gate that passed has to say. */
export interface Look {
  /** In one line: the tool's own count. */
  detail?: string
  /** How long the command took when it ran. */
  seconds?: number
  /** Its result was remembered. */
  cached?: boolean
  reports?: Directory
}

/** The source is at fault, found by other means than a command's exit code. */
export class Fault extends Error {
  override name = "Fault"
  constructor(
    message: string,
    readonly reports?: Directory,
  ) {
    super(message)
  }
}

/** The gate lacks what only an operator can give, and is not to stop a change for it: the message says what. */
export class Skip extends Error {
  override name = "Skip"
}

/** A verdict, and what the gate left behind. */
export interface Ran {
  verdict: Verdict
  /** When it began. */
  began: Date
  reports?: Directory
}

/** Runs a gate to its verdict; never throws. Trouble of the infrastructure is met with another try, a few times. */
export async function run(gate: Gate, pause?: Pause): Promise<Ran> {
  const retries: string[] = []
  const again = { onRetry: (reason: string) => retries.push(reason), ...(pause && { pause }) }
  const began = new Date()
  let started = began.getTime()
  const ran = (ending: Partial<Verdict> & Pick<Verdict, "outcome">, reports?: Directory): Ran => ({
    verdict: {
      gate: gate.name,
      on: gate.on,
      seconds: (Date.now() - started) / 1000,
      cached: false,
      detail: "",
      output: "",
      retries,
      ...ending,
    },
    began,
    ...(reports && { reports }),
  })

  try {
    await attempt(gate.prepare, again)
  } catch (error) {
    // Whatever a preparing step ended with, it was not the gate's command that failed.
    return ran(judge({ ...describe(error), exitCode: undefined }))
  }
  // The time of a gate is its own: what it shares with others, as an install, would count for each of them.
  started = Date.now()
  try {
    const { reports, ...look } = await attempt(gate.look, { ...again, unless: isFinal })
    return ran({ outcome: "passed", ...look }, reports)
  } catch (error) {
    if (error instanceof Skip) return ran({ outcome: "skipped", detail: error.message })
    if (error instanceof Fault) return ran({ outcome: "failed", output: error.message }, error.reports)
    const left = error instanceof ExecError ? evidenceId(error.stderr) : undefined
    const { outcome, output } = judge(describe(error))
    return ran(
      { outcome, output: output.replace(evidenceLine, "").trimEnd() },
      left ? collect(left) : undefined,
    )
  }
}

/** A gate that was not run. */
export function skipped(gate: Pick<Gate, "name" | "on">, reason: string): Ran {
  return {
    began: new Date(),
    verdict: {
      gate: gate.name,
      on: gate.on,
      outcome: "skipped",
      seconds: 0,
      cached: false,
      retries: [],
      detail: reason,
      output: "",
    },
  }
}

/** Where a gate's command leaves reports, and where their way out of a failed container begins. */
export const reportsFolder = "/gate/reports"
const failures = "/gate/failures"
const failuresVolume = () => dag.cacheVolume("failed-gates")

/**
 * Runs a command with its time taken. A failed command's container is gone with all that is in it, and a failure that the engine was told to
 * expect would be remembered; so reports of a failure leave by a volume, under a name that the command's last line tells.
 */
const recorder = `
limit=$1; reports=$2; shift 2
mkdir -p /gate "$reports"; date +%s.%N > /gate/times; begin=$(date +%s)
timeout --kill-after=10 "$limit" "$@"; code=$?
date +%s.%N >> /gate/times
[ $code -eq 0 ] && exit
if [ $(($(date +%s) - begin)) -ge "$limit" ]; then echo "It took longer than the $limit seconds that it has, and was ended." >&2; code=124; fi
id=$(cat /proc/sys/kernel/random/uuid); mkdir -p ${failures}/$id; cp -r "$reports/." ${failures}/$id/
echo "evidence: $id" >&2
exit $code`
const evidenceLine = /^evidence: ([0-9a-f-]{36})$/m

/** A command in a container, on its way to a verdict. */
export interface Command {
  /** Tools, source and bound services; has a POSIX shell and coreutils. */
  container: Container
  command: string[]
  /** Seconds that it may take. */
  limit: number
  /** Where it leaves reports. */
  reports?: string
}

/** The command's container, as it stands after the command has succeeded. */
export function recorded({ container, command, limit, reports = reportsFolder }: Command): Container {
  return container
    .withMountedCache(failures, failuresVolume())
    .withExec(["sh", "-c", recorder, "gate", String(limit), reports, ...command])
}

/** What a command that succeeds has to say; a result older than this look came from the cache. */
export async function look(
  command: Command,
  detail: (output: string) => string,
): Promise<Look & { reports: Directory }> {
  const begun = Date.now()
  const ran = recorded(command)
  const output = await ran.stdout()
  const [from, to] = (await ran.file("/gate/times").contents()).trim().split("\n").map(Number)
  if (from === undefined || to === undefined) throw new Error("the gate's command left no times")
  return {
    detail: detail(output),
    seconds: to - from,
    cached: from * 1000 < begun,
    reports: ran.directory(command.reports ?? reportsFolder),
  }
}

/** A gate that is a command: it passes with exit code 0. */
export interface CommandGate
  extends Pick<Gate, "name" | "needs" | "on" | "folder">, Omit<Command, "container"> {
  /** May take calls to the engine to describe. */
  container: Container | (() => Promise<Container>)
  /** What its output says in one line; the last line, if not given. */
  detail?: (output: string) => string
  /** The command that runs only the tests that are named behind it. */
  selecting?: string[]
}

export function commandGate(gate: CommandGate): Gate {
  const { container, command, limit, reports, detail = lastLine, selecting, ...rest } = gate
  const described = async () => (typeof container === "function" ? container() : container)
  return {
    ...rest,
    prepare: async () => (await described()).sync(),
    look: async () =>
      look({ container: await described(), command, limit, ...(reports && { reports }) }, detail),
    ...(selecting && { rerun: async (select: string) => rerun(await described(), selecting, select) }),
  }
}

/** Never remembered: who runs one test again wants to see it run. */
async function rerun(container: Container, command: string[], select: string): Promise<string> {
  const quoted = 'select=$1; shift; eval "exec \\"\\$@\\" $select"'
  try {
    return await container
      .withEnvVariable("RERUN", crypto.randomUUID())
      .withExec(["sh", "-c", quoted, "rerun", select, ...command])
      .stdout()
  } catch (error) {
    const { output } = judge(describe(error))
    throw new Error(output, { cause: error })
  }
}

/** The last line that says something; tools put their count there. */
export function lastLine(output: string): string {
  return output.trimEnd().split("\n").at(-1)?.trim() ?? ""
}

function isFinal(error: unknown): boolean {
  return (
    error instanceof Fault ||
    error instanceof Skip ||
    (error instanceof ExecError && judge(describe(error)).outcome === "failed")
  )
}

function describe(error: unknown): CommandFailure {
  if (error instanceof ExecError) {
    const { message, exitCode, stdout, stderr } = error
    return { message, exitCode, stdout, stderr }
  }
  return { message: error instanceof Error ? error.message : String(error) }
}

function evidenceId(output: string): string | undefined {
  return evidenceLine.exec(output)?.[1]
}

function collect(id: string): Directory {
  return dag
    .container()
    .from(images.debian)
    .withMountedCache(failures, failuresVolume())
    .withExec([
      "sh",
      "-c",
      `mkdir -p ${reportsFolder} && mv ${failures}/${id}/* ${reportsFolder}/ 2>/dev/null; rmdir ${failures}/${id}`,
    ])
    .directory(reportsFolder)
}
