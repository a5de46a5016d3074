// Runs every test of the repository and ends with one line of totals.
//
//   npm test                    all suites: unit, then service, then end-to-end
//   npm test -- unit            the suites of one kind: unit, service or e2e
//
//   PITWALL_TEST_HOME=DIR       home of the local engine that end-to-end tests use; ~/.cache/pitwall-test
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { homedir, tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { closingLine, nothing, tallyGo, tallyVitest, total, withCrash } from "./tally.mjs"

/**
 * @typedef {import("./tally.mjs").Tally} Tally
 * @typedef {import("./tally.mjs").GoEvent} GoEvent
 * @typedef {{ kind: "unit" | "service" | "e2e", name: string, run: () => Promise<Tally> }} Suite
 */

const root = fileURLToPath(new URL("..", import.meta.url))
const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache")
const daily = process.env.PITWALL_HOME ?? join(cache, "pitwall")
const reports = mkdtempSync(join(tmpdir(), "pitwall-tests-"))

/** @type {Suite[]} */
const suites = [
  { kind: "unit", name: "the module", run: () => vitest("unit") },
  { kind: "unit", name: "the local engine's manager", run: () => go("engine") },
  { kind: "unit", name: "daggerw and the local engine's runtime", run: () => vitest("engine") },
  {
    kind: "e2e",
    name: "the engine and its images",
    run: () => endToEnd("session", ["./daggerw", "--silent", "run", "--"]),
  },
  { kind: "e2e", name: "the command line and the engine's bad days", run: () => endToEnd("command") },
]

process.exitCode = await main(process.argv.slice(2))

/** @param {string[]} kinds */
async function main(kinds) {
  const unknown = kinds.filter((kind) => !suites.some((suite) => suite.kind === kind))
  if (unknown.length > 0) {
    console.error(`No suite of the kind ${unknown.join(", ")}: unit, service and e2e are the kinds.`)
    return 2
  }
  const chosen = suites.filter(({ kind }) => kinds.length === 0 || kinds.includes(kind))
  const tallies = []
  for (const suite of chosen) {
    console.log(`\n=== ${suite.kind}: ${suite.name} ===`)
    tallies.push(await suite.run())
  }
  rmSync(reports, { recursive: true, force: true })

  const sum = total(tallies)
  console.log(`\n${closingLine(sum)}`)
  return sum.failed === 0 && sum.passed > 0 ? 0 : 1
}

/**
 * Runs one project of vitest.config.ts.
 * @param {string} project
 * @param {{ launcher?: string[], options?: string[], env?: NodeJS.ProcessEnv }} how
 * @returns {Promise<Tally>}
 */
async function vitest(project, { launcher = [], options = ["--reporter=default"], env = {} } = {}) {
  const report = join(reports, `${project}.json`)
  const reporters = ["--reporter=json", `--outputFile.json=${report}`]
  const command = [...launcher, "npx", "vitest", "run", "--project", project, ...options, ...reporters]
  const exitCode = await execute(command, { env, stdio: "inherit" })
  return withCrash(existsSync(report) ? tallyVitest(readFileSync(report, "utf8")) : nothing, exitCode)
}

/**
 * Runs end-to-end tests, one file after another: they share the machine. The local engine that they use has a home of its own, which keeps them off the
 * engine of the day; what that one has built is reused.
 * @param {string} project
 * @param {string[]} launcher what to run Vitest under
 * @returns {Promise<Tally>}
 */
async function endToEnd(project, launcher = []) {
  const home = process.env.PITWALL_TEST_HOME ?? join(cache, "pitwall-test")
  mkdirSync(home, { recursive: true })
  for (const shared of ["go", "bin"]) {
    mkdirSync(join(daily, shared), { recursive: true })
    if (!existsSync(join(home, shared))) symlinkSync(join(daily, shared), join(home, shared))
  }
  const env = { PITWALL_HOME: home, PITWALL_STORE: process.env.PITWALL_STORE ?? join(daily, "store") }
  const tally = await vitest(project, {
    launcher,
    options: ["--no-file-parallelism", "--reporter=verbose"],
    env,
  })
  // On the engine of a container runtime there is none to stop, and that is well.
  await execute(["./daggerw", "engine", "stop"], { env, stdio: "ignore" })
  return tally
}

/**
 * Runs the Go tests of a module; prints what fails and the result of each package.
 * @param {string} directory
 * @returns {Promise<Tally>}
 */
async function go(directory) {
  /** @type {string[]} */
  const events = []
  /** @type {Map<string, string>} */
  const outputOf = new Map()
  const exitCode = await execute(["go", "test", "-json", "./..."], {
    cwd: join(root, directory),
    env: await goEnvironment(),
    stdio: ["ignore", "pipe", "inherit"],
    onLine: (line) => {
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
  return withCrash(tallyGo(events.join("\n")), exitCode)
}

/**
 * The Go, its modules and its build cache that daggerw uses: it fetches a Go where the machine has none.
 * @returns {Promise<NodeJS.ProcessEnv>}
 */
async function goEnvironment() {
  await execute(["./daggerw", "engine", "status"], { stdio: "ignore" })
  const folder = join(daily, "go")
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

/**
 * @param {string[]} command
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, stdio: import("node:child_process").StdioOptions, onLine?: (line: string) => void }} options
 * @returns {Promise<number>} the exit code; a command that cannot be started or is killed has one too
 */
function execute([program = "", ...args], { cwd = root, env = {}, stdio, onLine }) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, stdio, env: { ...process.env, ...env } })
    if (onLine && child.stdout) createInterface({ input: child.stdout }).on("line", onLine)
    child.on("error", (error) => {
      console.error(`${program} could not be started: ${error.message}`)
      resolve(127)
    })
    child.on("close", (code, signal) => {
      if (signal) console.error(`${program} was ended by ${signal}`)
      resolve(code ?? 128)
    })
  })
}
