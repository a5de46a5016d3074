import { relative } from "node:path"

/**
 * @typedef {{ passed: number, failed: number, skipped: number, remembered: number, failures: string[] }} Tally
 *   `remembered` are tests that passed in an earlier run with the same inputs, `failures` the names of failed ones, each
 *   with its first line
 * @typedef {{ status: string, fullName: string, failureMessages?: string[] }} VitestTest
 * @typedef {{ status: string, name: string, message?: string, assertionResults: VitestTest[] }} VitestFile
 * @typedef {{ numPassedTests: number, numFailedTests: number, numPendingTests: number, numTodoTests: number,
 *   testResults: VitestFile[] }} VitestReport
 * @typedef {{ Action: string, Package?: string, Test?: string, Output?: string }} GoEvent
 */

/** @type {Readonly<Tally>} */
export const nothing = { passed: 0, failed: 0, skipped: 0, remembered: 0, failures: [] }

/**
 * Adds tallies up.
 * @param {Tally[]} tallies
 * @returns {Tally}
 */
export function total(tallies) {
  return tallies.reduce(
    (sum, { passed, failed, skipped, remembered, failures }) => ({
      passed: sum.passed + passed,
      failed: sum.failed + failed,
      skipped: sum.skipped + skipped,
      remembered: sum.remembered + remembered,
      failures: [...sum.failures, ...failures],
    }),
    nothing,
  )
}

/**
 * Reads the report of Vitest's JSON reporter.
 * @param {string} text
 * @param {string} root the folder that names of files begin from
 * @returns {Tally}
 */
export function tallyVitest(text, root) {
  const report = /** @type {VitestReport} */ (JSON.parse(text))
  // A file that does not load, or whose hook throws, fails without a failing test.
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === "failed" && !assertionResults.some((assertion) => assertion.status === "failed"),
  )
  const failedTests = report.testResults.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => status === "failed")
      .map(({ fullName, failureMessages }) => failure(relative(root, name), fullName, failureMessages?.[0])),
  )
  return {
    ...nothing,
    passed: report.numPassedTests,
    failed: report.numFailedTests + brokenFiles.length,
    skipped: report.numPendingTests + report.numTodoTests,
    failures: [
      ...failedTests,
      ...brokenFiles.map(({ name, message }) => failure(relative(root, name), "does not load", message)),
    ],
  }
}

/** @param {string} where @param {string} what @param {string} [message] */
function failure(where, what, message = "") {
  const [line = ""] = message.trim().split("\n")
  return `${where} > ${what}${line === "" ? "" : `: ${line}`}`
}

/**
 * Reads the events of `go test -json`.
 * @param {string} events one JSON object a line
 * @returns {Tally}
 */
export function tallyGo(events) {
  /** @type {Tally} */
  const tally = { ...nothing, failures: [] }
  /** @type {Set<string>} */
  const packagesWithFailedTests = new Set()
  for (const line of events.split("\n").filter((text) => text.startsWith("{"))) {
    const { Action, Package = "", Test } = /** @type {GoEvent} */ (JSON.parse(line))
    if (Test === undefined) {
      // A package that does not build, or panics outside a test, fails without a failing test.
      if (Action === "fail" && !packagesWithFailedTests.has(Package)) {
        tally.failed++
        tally.failures.push(failure(Package, "does not build, or ended outside a test"))
      }
    } else if (Action === "pass") tally.passed++
    else if (Action === "skip") tally.skipped++
    else if (Action === "fail") {
      tally.failed++
      tally.failures.push(failure(Package, Test))
      packagesWithFailedTests.add(Package)
    }
  }
  return tally
}

/**
 * A suite that ended badly without saying which test failed counts as one failure: a crash is never a pass.
 * @param {Tally} tally
 * @param {number} exitCode
 * @param {string} suite
 * @returns {Tally}
 */
export function withCrash(tally, exitCode, suite) {
  if (exitCode === 0 || tally.failed > 0) return tally
  return { ...tally, failed: 1, failures: [`${suite} ended with exit code ${exitCode}`] }
}

/**
 * The closing line of a test run.
 * @param {Tally} tally
 */
export function closingLine({ passed, failed, skipped, remembered }) {
  const more = Object.entries({ skipped, remembered }).flatMap(([what, count]) =>
    count > 0 ? [`, ${count} ${what}`] : [],
  )
  return `${passed} passed, ${failed} failed${more.join("")}`
}

/**
 * The exit code of a test run: 1 if a test failed, or if there was none.
 * @param {Tally} tally
 */
export function exitCode({ passed, failed, remembered }) {
  return failed === 0 && passed + remembered > 0 ? 0 : 1
}
