// How suites are run: Vitest, Go, and the processes of both.
import { spawn } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { homedir } from "node:os"
import { delimiter, join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { nothing, tallyGo, tallyVitest, withCrash } from "./tally.mjs"

/**
 * @typedef {import("./tally.mjs").Tally} Tally
 * @typedef {import("./tally.mjs").GoEvent} GoEvent
 */

export const root = fileURLToPath(new URL("..", import.meta.url))
const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache")
/** The home of the local engine in daily use. */
export const dailyHome = process.env.PITWALL_HOME ?? join(cache, "pitwall")
/** The home of the local engine that end-to-end tests use, and of the memory of their passes. */
export const testHome = process.env.PITWALL_TEST_HOME ?? join(cache, "pitwall-test")

/** @type {Map<import("node:child_process").ChildProcess, string[]>} what runs, with the output that is not printed yet */
const running = new Map()

for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) {
  process.once(signal, () => {
    for (const [child, output] of running) {
      process.stdout.write(output.join(""))
      child.kill(signal)
    }
    process.kill(process.pid, signal)
  })
}

/**
 * Runs a command to its end.
 *
 * @param {string[]} command
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, output: "print" | "discard" | string[] | ((line: string) => void) }} options
 *   A list collects what the command prints; a function is given each line of its standard output.
 * @returns {Promise<number>} the exit code; 127 if it could not be started, 128 if a signal ended it
 */
export function execute([program = "", ...args], { cwd = root, env = {}, output }) {
  /** @type {"inherit" | "ignore" | "pipe"} */
  const stdio = output === "print" ? "inherit" : output === "discard" ? "ignore" : "pipe"
  return new Promise((resolve) => {
    const report = (/** @type {string} */ text) => {
      if (Array.isArray(output)) output.push(`${text}\n`)
      else console.error(text)
    }
    const child = spawn(program, args, {
      cwd,
      stdio: ["ignore", stdio, typeof output === "function" ? "inherit" : stdio],
      env: { ...process.env, ...env },
    })
    running.set(child, Array.isArray(output) ? output : [])
    if (typeof output === "function" && child.stdout) {
      createInterface({ input: child.stdout }).on("line", output)
    } else if (Array.isArray(output)) {
      for (const stream of [child.stdout, child.stderr]) {
        stream?.setEncoding("utf8").on("data", (/** @type {string} */ chunk) => output.push(chunk))
      }
    }
    child.on("error", (error) => {
      running.delete(child)
      report(`${program} could not be started: ${error.message}`)
      resolve(127)
    })
    child.on("close", (code, signal) => {
      running.delete(child)
      if (signal) report(`${program} was ended by ${signal}`)
      resolve(code ?? 128)
    })
  })
}

/**
 * Runs one project of vitest.config.ts, or one file of it.
 *
 * @param {string} project
 * @param {{ report: string, file?: string, launcher?: string[], reporter?: string, env?: NodeJS.ProcessEnv, output?: "print" | string[] }} options
 *   `report` is a path for Vitest's JSON, `launcher` a command to run Vitest under
 * @returns {Promise<Tally>}
 */
export async function vitest(
  project,
  { report, file, launcher = [], reporter = "default", env = {}, output = "print" },
) {
  const reporters = [`--reporter=${reporter}`, "--reporter=json", `--outputFile.json=${report}`]
  const files = file === undefined ? [] : [file]
  const command = [
    ...launcher,
    "node_modules/.bin/vitest",
    "run",
    "--project",
    project,
    ...reporters,
    ...files,
  ]
  const exitCode = await execute(command, { env, output })
  const tally = existsSync(report) ? tallyVitest(readFileSync(report, "utf8"), root) : nothing
  return withCrash(tally, exitCode, file ?? project)
}

/**
 * Runs the Go tests of a module; prints what fails and the result of each package.
 * @param {string} directory
 * @returns {Promise<Tally>}
 */
export async function go(directory) {
  /** @type {string[]} */
  const events = []
  /** @type {Map<string, string>} */
  const outputOf = new Map()
  const exitCode = await execute(["go", "test", "-json", "./..."], {
    cwd: join(root, directory),
    env: await goEnvironment(),
    output: (line) => {
      events.push(line)
      if (!line.startsWith("{")) {
        console.log(line)
        return
      }
      const { Action, Package = "", Test, Output = "" } = /** @type {GoEvent} */ (JSON.parse(line))
      const test = `${Package} ${Test ?? ""}`
      outputOf.set(test, (outputOf.get(test) ?? "") + Output)
      if (Test === undefined) process.stdout.write(Output)
      else if (Action === "fail") process.stdout.write(outputOf.get(test) ?? "")
    },
  })
  return withCrash(tallyGo(events.join("\n")), exitCode, directory)
}

/**
 * The Go, its modules and its build cache that daggerw uses: it fetches a Go where the machine has none.
 * @returns {Promise<NodeJS.ProcessEnv>}
 */
async function goEnvironment() {
  await execute(["./daggerw", "engine", "status"], { output: "discard" })
  const folder = join(dailyHome, "go")
  const toolchains = existsSync(folder)
    ? readdirSync(folder).filter((name) => name.startsWith("toolchain-"))
    : []
  return {
    PATH: [...toolchains.map((name) => join(folder, name, "bin")), process.env.PATH ?? ""].join(delimiter),
    GOMODCACHE: join(folder, "mod"),
    GOCACHE: join(folder, "build"),
    GOFLAGS: "-modcacherw",
  }
}
