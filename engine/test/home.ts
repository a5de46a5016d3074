/**
 * Homes of local engines made for tests: each a folder of its own, which shares with the daily one only what is built and never changes.
 */
import { spawn, spawnSync, type ChildProcess, type SpawnSyncReturns } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { homedir, tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

export const repository = fileURLToPath(new URL("../..", import.meta.url))

const store = process.env.PITWALL_STORE ?? join(homedir(), ".cache", "pitwall", "store")
const daily = dirname(store)

export interface Instance {
  pid: number
  sandbox: number
  key: string
  version: string
  state: string
  cli: string
}

export class Home {
  readonly dir: string
  readonly env: NodeJS.ProcessEnv

  constructor(env: NodeJS.ProcessEnv = {}) {
    this.dir = mkdtempSync(join(tmpdir(), "pw-"))
    for (const shared of ["go", "bin"]) {
      mkdirSync(join(daily, shared), { recursive: true })
      symlinkSync(join(daily, shared), join(this.dir, shared))
    }
    this.env = {
      ...process.env,
      PITWALL_HOME: this.dir,
      PITWALL_STORE: store,
      DAGGERW_ENGINE: "local",
      NO_COLOR: "1",
      ...env,
    }
  }

  /** Runs daggerw to its end. Calls of the core API need no module, so they run in an empty folder. */
  daggerw(
    args: string[],
    options: { timeout?: number; env?: NodeJS.ProcessEnv } = {},
  ): SpawnSyncReturns<string> {
    return spawnSync(join(repository, "daggerw"), args, {
      cwd: tmpdir(),
      encoding: "utf8",
      env: { ...this.env, ...options.env },
      timeout: options.timeout ?? 300_000,
      maxBuffer: 64 << 20,
    })
  }

  /**
   * Starts the daggerw of a checkout and lets it run. `stderr` is what it has written so far; `ended` resolves with its
   * exit code and everything it wrote.
   */
  launch(
    args: string[],
    env: NodeJS.ProcessEnv = {},
    checkout = repository,
  ): {
    child: ChildProcess
    stderr: () => string
    ended: Promise<{ code: number | null; signal: string | null; stdout: string; stderr: string }>
  } {
    const child = spawn(join(checkout, "daggerw"), args, {
      cwd: tmpdir(),
      env: { ...this.env, ...env },
      detached: true,
    })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (data: Buffer) => (stdout += data.toString()))
    child.stderr.on("data", (data: Buffer) => (stderr += data.toString()))
    const ended = new Promise<{ code: number | null; signal: string | null; stdout: string; stderr: string }>(
      (resolve) => {
        child.on("close", (code, signal) => {
          resolve({ code, signal, stdout, stderr })
        })
      },
    )
    return { child, stderr: () => stderr, ended }
  }

  /**
   * A call that shows that the engine works: a container says a word.
   *
   * @throws Error with what daggerw says when it does not end well
   */
  echo(word: string): string {
    const { status, stdout, stderr, error } = this.daggerw(inContainer(`echo,${word}`))
    if (status === 0) return stdout
    throw new Error(`daggerw ended with ${String(status)}: ${stderr.slice(-4_000)}`, { cause: error })
  }

  instance(): Instance {
    return JSON.parse(readFileSync(join(this.dir, "run", "engine.json"), "utf8")) as Instance
  }

  get running(): boolean {
    return (JSON.parse(this.daggerw(["engine", "status", "--json"]).stdout) as { running: boolean }).running
  }

  /** Stops the engine, if one runs, and removes the home. */
  remove(): void {
    if (existsSync(this.dir)) this.daggerw(["engine", "stop"])
    rmSync(this.dir, { recursive: true, force: true })
  }
}

/** The arguments of a call that runs a command, its words parted by commas, in a container, and gives its output. */
export function inContainer(command: string): string[] {
  const image = ["core", "container", "from", "--address", "debian:bookworm-slim"]
  return [...image, "with-exec", "--args", command, "stdout"]
}

/** The processes whose command line holds a text, as `pid command`. */
export function processes(text: string): string[] {
  const { stdout } = spawnSync("ps", ["-eo", "pid=,args="], { encoding: "utf8" })
  return stdout.split("\n").filter((line) => line.includes(text) && !line.includes("ps -eo"))
}

/**
 * Waits for a condition. The limit only ends a test whose condition never becomes true.
 *
 * @throws Error after `seconds`
 */
export async function until(what: string, condition: () => boolean, seconds = 300): Promise<void> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end;) {
    if (condition()) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`not within ${seconds} s: ${what}`)
}

/** The standard output of a command. */
export const output = (command: string, ...args: string[]): string =>
  spawnSync(command, args, { encoding: "utf8" }).stdout

/** The name of everything that the engine of a home has on the machine. */
export const label = ({ dir }: Home): string =>
  `pitwall-${createHash("sha256").update(dir).digest("hex").slice(0, 10)}`
