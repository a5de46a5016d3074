// Runs every test of the repository and ends with one line of totals.
//
//   npm test                    all suites: unit, then end-to-end
//   npm test -- unit            the suites of one kind: unit or e2e
//   npm test -- cluster deploy  the suites with one of these words in their name
//   npm test -- --all           also the end-to-end suites that passed before with the same inputs; npm cit --all too
//
// The pass of an end-to-end suite is remembered for a week, by the digest of everything that the suite depends on:
// scripts/suites.mjs lists it.
//
//   PITWALL_TEST_HOME=DIR       home of the local engine that end-to-end tests use, and of the remembered passes;
//                               ~/.cache/pitwall-test
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { dailyHome, execute, go, root, testHome, vitest } from "./commands.mjs"
import { digest, leftIn, machine, repositoryFiles, selected, withImports } from "./inputs.mjs"
import { complete, recall, remember } from "./passes.mjs"
import { runJobs, span } from "./schedule.mjs"
import { completed, endToEnd, shared, unit } from "./suites.mjs"
import { closingLine, exitCode, nothing, total } from "./tally.mjs"

/**
 * @typedef {import("./tally.mjs").Tally} Tally
 * @typedef {import("./suites.mjs").EndToEndSuite} EndToEndSuite
 * @typedef {{ env: NodeJS.ProcessEnv, reports: string, all: boolean }} Run
 */

process.exitCode = await main(process.argv.slice(2))

/** @param {string[]} args */
async function main(args) {
  const suites = [
    ...unit,
    ...completed(endToEnd, repositoryFiles(root))
      .filter(isWanted)
      .map((suite) => ({
        ...suite,
        kind: /** @type {const} */ ("e2e"),
        name: suite.file,
      })),
  ]
  const words = args.filter((arg) => arg !== "--all")
  const fits =
    (/** @type {string} */ word) =>
    (/** @type {{ kind: string, name: string }} */ { kind, name }) =>
      ["unit", "e2e"].includes(word) ? kind === word : name.includes(word)
  const unknown = words.filter((word) => word.startsWith("-") || !suites.some(fits(word)))
  if (unknown.length > 0) {
    const names = suites.map(({ kind, name }) => `  ${kind}  ${name}`).join("\n")
    console.error(
      `There is no suite ${unknown.join(", ")}; allowed: --all, unit, e2e, or a part of a name:\n${names}`,
    )
    return 2
  }
  const chosen = suites.filter((suite) => words.length === 0 || words.some((word) => fits(word)(suite)))
  const reports = mkdtempSync(join(tmpdir(), "pitwall-tests-"))
  const tallies = []
  for (const [at, suite] of chosen.entries()) {
    if (suite.kind !== "unit") continue
    console.log(`\n=== unit: ${suite.name} ===`)
    const report = join(reports, `unit-${at}.json`)
    tallies.push(await (suite.go === undefined ? vitest(suite.vitest ?? "", { report }) : go(suite.go)))
  }
  const all = args.includes("--all") || process.env.npm_config_all === "true"
  const ends = chosen.flatMap((suite) => (suite.kind === "e2e" ? [suite] : []))
  if (ends.length > 0) tallies.push(...(await endToEndSuites(ends, { env: testEnvironment(), reports, all })))
  rmSync(reports, { recursive: true, force: true })

  const sum = total(tallies)
  // Last, where whoever reads only the end of a long log finds them.
  if (sum.failures.length > 0) console.log(`\nFailed:\n${sum.failures.map((name) => `  ${name}`).join("\n")}`)
  console.log(`\n${closingLine(sum)}`)
  return exitCode(sum)
}

/**
 * The end-to-end suites have a local engine of their own, which leaves the engine in daily use alone. What that one has
 * built is used again.
 * @returns {NodeJS.ProcessEnv}
 */
function testEnvironment() {
  mkdirSync(testHome, { recursive: true })
  for (const folder of ["go", "bin"]) {
    mkdirSync(join(dailyHome, folder), { recursive: true })
    if (!existsSync(join(testHome, folder))) symlinkSync(join(dailyHome, folder), join(testHome, folder))
  }
  return { PITWALL_HOME: testHome, PITWALL_STORE: process.env.PITWALL_STORE ?? join(dailyHome, "store") }
}

/**
 * @param {EndToEndSuite[]} suites
 * @param {Run} run
 * @returns {Promise<Tally[]>}
 */
async function endToEndSuites(suites, { env, reports, all }) {
  const passes = join(testHome, "passes")
  const known = all ? [] : suites.flatMap((suite) => recall(passes, digestOf(suite)) ?? [])
  const missing = suites.filter(({ file }) => !known.some(({ suite }) => suite === file))
  if (known.length > 0) {
    console.log("\n=== e2e: passed before with the same inputs; npm test -- --all runs them again ===")
    for (const { suite, passed, at } of known) console.log(`${suite}: ${passed} tests passed at ${at}`)
  }
  const jobs = missing.map((suite, at) => ({
    ...suite,
    name: suite.file,
    run: async () => {
      const { file, project, alone = false } = suite
      const before = digestOf(suite)
      /** @type {string[]} */
      const output = []
      const direct = alone || missing.length === 1
      const began = Date.now()
      if (direct) console.log(`\n=== e2e: ${file} ===`)
      else console.log(`started: ${file}`)
      const tally = await vitest(project, {
        report: join(reports, `e2e-${at}.json`),
        file,
        launcher: project === "session" ? ["./daggerw", "--silent", "run", "--"] : [],
        reporter: "verbose",
        env,
        output: direct ? "print" : output,
      })
      if (!direct) {
        const lines = [`\n=== e2e: ${file} ===`, output.join("").trim()]
        console.log(
          [...lines, `=== ${file}: ${closingLine(tally)}, ${span(Date.now() - began)} ===\n`].join("\n"),
        )
      }
      // A file that was changed while the suite ran may or may not have been read.
      if (complete(tally) && digestOf(suite) === before)
        remember(passes, before, { suite: file, passed: tally.passed })
      return tally
    },
  }))
  // Whoever started an engine for other work still needs it after the tests.
  const wasRunning = jobs.length > 0 && (await engineRuns(env))
  const tallies = await runJobs(jobs, {
    atOnce: 2,
    seconds: 30,
    progress: (running) => {
      const parts = running.map(({ name, since }) => `${name} (${span(Date.now() - since)})`)
      console.log(`running: ${parts.join(", ")}`)
    },
  })
  // The engine of a container runtime cannot be stopped, which is fine.
  if (jobs.length > 0 && !wasRunning)
    await execute(["./daggerw", "engine", "stop"], { env, output: "discard" })
  return [...tallies, ...known.map(({ passed }) => ({ ...nothing, remembered: passed }))]
}

/** @param {NodeJS.ProcessEnv} env */
async function engineRuns(env) {
  /** @type {string[]} */
  const output = []
  await execute(["./daggerw", "engine", "status", "--json"], { env, output })
  return output.join("").includes('"running": true')
}

/**
 * Names a long suite that runs only when its variable is set.
 *
 * @param {EndToEndSuite} suite
 */
function isWanted({ file, when }) {
  if (when === undefined || process.env[when] !== undefined) return true
  console.log(`not run: ${file}, which needs ${when}=1`)
  return false
}

/** @param {EndToEndSuite} suite */
function digestOf(suite) {
  const files = selected([...shared, ...suite.inputs], repositoryFiles(root))
  const imported = leftIn(suite.inputs, withImports(root, suite.file))
  return digest(root, [...files, suite.file, ...imported], `${JSON.stringify(suite)}${machine()}`)
}
