import { type Container, dag, type Directory, ExecError } from "@dagger.io/dagger"
import { images } from "../../platform/base-images.js"
import { cache } from "../../platform/caches.js"
import type { Gate, GatePass } from "./gate.js"
import { classifyFailure, type CommandFailure } from "./verdict.js"

/** Where a gate's command leaves reports. */
export const reportsFolder = "/gate/reports"
const failuresFolder = "/gate/failures"
const failuresVolume = () => cache("failed-gates")

/**
 * Runs a command and prints its times behind its output, where one request to the engine reads both. The container of a failed command is lost with its
 * files, and a failure that the engine is told to expect would be remembered. So the reports of a failure leave through a volume, under a name that the
 * last line of stderr gives.
 */
const recorder = `
limit=$1; reports=$2; shift 2
mkdir -p /gate "$reports"; from=$(date +%s.%N)
timeout --kill-after=10 "$limit" "$@"; code=$?
if [ $code -eq 0 ]; then printf '\\nran from %s to %s\\n' "$from" "$(date +%s.%N)"; exit; fi
if [ $(($(date +%s) - \${from%.*})) -ge "$limit" ]; then echo "The command exceeded its limit of $limit seconds and was stopped." >&2; code=124; fi
id=$(cat /proc/sys/kernel/random/uuid); mkdir -p ${failuresFolder}/$id; cp -r "$reports/." ${failuresFolder}/$id/
echo "evidence: $id" >&2
exit $code`
const reportsLine = /^evidence: ([0-9a-f-]{36})$/m
const timesLine = /\nran from (\d+\.\d+) to (\d+\.\d+)\n$/

/** A command in a container. */
export interface Command {
  /** Has tools, source and bound services, a POSIX shell and coreutils. */
  container: Container
  command: string[]
  /** Seconds it may take. */
  limit: number
  /** Where it leaves reports; `reportsFolder` by default. */
  reports?: string
}

/** The command's container after the command has succeeded. */
export function afterCommand({ container, command, limit, reports = reportsFolder }: Command): Container {
  return container
    .withMountedCache(failuresFolder, failuresVolume())
    .withExec(["sh", "-c", recorder, "gate", String(limit), reports, ...command])
}

/**
 * Runs a command.
 *
 * @param detail turns its output into one line
 * @throws ExecError when it fails
 */
export async function runCommand(
  command: Command,
  detail: (output: string) => string,
): Promise<GatePass & { reports: Directory }> {
  const begun = Date.now()
  const ran = afterCommand(command)
  const { output, from, to } = readRecorded(await ran.stdout())
  return {
    detail: detail(output),
    seconds: to - from,
    // A command that ran before this call was answered from the engine's cache.
    cached: from * 1000 < begun,
    reports: ran.directory(command.reports ?? reportsFolder),
  }
}

/**
 * Splits what the recorder printed into the command's output and its times, in seconds since 1970.
 *
 * @throws Error when there are no times
 */
export function readRecorded(printed: string): { output: string; from: number; to: number } {
  const [line = "", from, to] = timesLine.exec(printed) ?? []
  if (from === undefined || to === undefined) throw new Error("the gate's command recorded no times")
  return { output: printed.slice(0, printed.length - line.length), from: Number(from), to: Number(to) }
}

/** A gate that runs one command and passes with exit code 0. */
export interface CommandGate
  extends Pick<Gate, "name" | "needs" | "subject" | "folder">, Omit<Command, "container"> {
  /** A function where describing it takes calls to the engine. */
  container: Container | (() => Promise<Container>)
  /** Turns its output into one line; the last line by default. */
  detail?: (output: string) => string
  /** Checks the reports of a command that succeeded. Throws a GateFailure. */
  verify?: (reports: Directory) => Promise<void>
  /** The command that changes files in its working directory so that the gate passes, and the folder of the repository that this directory is. */
  fixing?: { command: string[]; folder: string }
  /** The command that runs only the tests selected by the arguments behind it. */
  selecting?: string[]
}

export function commandGate(gate: CommandGate): Gate {
  const { container, command, limit, reports, detail = lastLine, verify, selecting, fixing, ...rest } = gate
  const described = async (): Promise<Omit<Command, "command">> => ({
    container: typeof container === "function" ? await container() : container,
    limit,
    ...(reports !== undefined && { reports }),
  })
  return {
    ...rest,
    prepare: async () => (await described()).container.sync(),
    execute: async () => {
      const result = await runCommand({ ...(await described()), command }, detail)
      await verify?.(result.reports)
      return result
    },
    ...(fixing && {
      fix: {
        folder: fixing.folder,
        files: async () => {
          const before = (await described()).container
          return before.directory(".").diff(before.withExec(fixing.command).directory("."))
        },
      },
    }),
    ...(selecting && {
      rerun: async (select: string) => rerun({ ...(await described()), command: selecting }, select, verify),
    }),
  }
}

/** Never remembered: a rerun has to run. */
async function rerun(
  { container, command, reports = reportsFolder }: Command,
  select: string,
  verify?: CommandGate["verify"],
): Promise<string> {
  const quoted = 'reports=$1 select=$2; shift 2; mkdir -p "$reports"; eval "exec \\"\\$@\\" $select"'
  const ran = container
    .withEnvVariable("RERUN", crypto.randomUUID())
    .withExec(["sh", "-c", quoted, "rerun", reports, select, ...command])
  let output: string
  try {
    output = await ran.stdout()
  } catch (error) {
    throw new Error(classifyFailure(asCommandFailure(error)).output, { cause: error })
  }
  try {
    await verify?.(ran.directory(reports))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`"${select}": ${reason}\n\n${output}`, { cause: error })
  }
  return output
}

/** The last line with text; tools print their count there. */
export function lastLine(output: string): string {
  return output.trimEnd().split("\n").at(-1)?.trim() ?? ""
}

export function asCommandFailure(error: unknown): CommandFailure {
  if (error instanceof ExecError) {
    const { message, exitCode, stdout, stderr } = error
    return { message, exitCode, stdout, stderr }
  }
  return { message: error instanceof Error ? error.message : String(error) }
}

/** The reports that a failed command left. */
export function reportsOfFailure(error: unknown): Directory | undefined {
  const id = error instanceof ExecError ? reportsLine.exec(error.stderr)?.[1] : undefined
  if (id === undefined) return undefined
  const move = `mkdir -p ${reportsFolder} && mv ${failuresFolder}/${id}/* ${reportsFolder}/ 2>/dev/null; rmdir ${failuresFolder}/${id}`
  return dag
    .container()
    .from(images.debian)
    .withMountedCache(failuresFolder, failuresVolume())
    .withExec(["sh", "-c", move])
    .directory(reportsFolder)
}

/** Output without the line that names the reports of a failure. */
export function withoutReportsLine(output: string): string {
  return output.replace(reportsLine, "").trimEnd()
}
