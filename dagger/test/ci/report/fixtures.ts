import { readFileSync } from "node:fs"
import type { Outcome, Verdict } from "../../../src/ci/runner/verdict.js"
import type { Artifacts, GateResult, Run } from "../../../src/ci/report/artifacts.js"

/** What tools really wrote, kept beside the tests. */
export function sample(name: string): string {
  return readFileSync(new URL(`samples/${name}`, import.meta.url), "utf8")
}

export function verdict(gate: string, outcome: Outcome = "passed", rest: Partial<Verdict> = {}): Verdict {
  return {
    gate,
    subject: "unit tests",
    outcome,
    seconds: 12.34,
    cached: false,
    retries: [],
    detail: "",
    output: "",
    ...rest,
  }
}

export function gateResult(
  gate: string,
  outcome: Outcome = "passed",
  artifacts: Artifacts = {},
  rest: Partial<Verdict> = {},
): GateResult {
  return { verdict: verdict(gate, outcome, rest), artifacts }
}

export function run(...gates: GateResult[]): Run {
  return { gates, started: new Date("2026-03-01T12:00:00Z"), seconds: 61.5, revision: "0123456789ab" }
}

/** JUnit XML of many tests, of which some fail. */
export function manyTests(tests: number, failing: number): string {
  const cases = Array.from({ length: tests }, (_, at) => {
    const body = at < failing ? `<failure message="no ${at}">E   assert ${at} &lt; 0</failure>` : ""
    return `<testcase classname="tests.test_many" name="test_${at}" time="0.01">${body}</testcase>`
  })
  return `<testsuites><testsuite name="pytest" tests="${tests}" failures="${failing}">${cases.join("")}</testsuite></testsuites>`
}

/** Text that means harm wherever it is not escaped. */
export const hostile = `</code></pre><script>alert("1")</script><img src=x onerror='alert(2)'>|\`\`\`\n::error::owned\r\n&<>"'`
