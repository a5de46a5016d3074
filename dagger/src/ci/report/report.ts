import { allPassed, conclusion, noneSkipped } from "../runner/summary.js"
import type { Outcome, Verdict } from "../runner/verdict.js"
import { alertFinding } from "./annotations.js"
import { type Coverage, parseCoverage } from "./coverage.js"
import type { GateResult, Run, Thresholds } from "./artifacts.js"
import { type Again, checkAgain, failingPart, type Finding, findings } from "./failures.js"
import { type Counts, parseJunit, type TestCase, type TestReport } from "./junit.js"
import { type Merged, mergeSarif, type Scan } from "./sarif.js"
import { tail } from "../../lib/text.js"
import { UnreadableReport } from "../../lib/xml.js"

/** A report of a tool that cannot be read. */
export interface Problem {
  gate: string
  /** Which of the gate's artifacts, such as "JUnit report". */
  file: string
  message: string
}

/** A gate's verdict with the contents of its artifacts. */
export interface GateReport {
  verdict: Verdict
  after?: number
  again: string
  tests?: TestReport
  coverage?: Coverage
  thresholds?: Thresholds
  scans: Scan[]
  pictures: string[]
  /** Why it did not pass, in at most 40 lines; empty when it did. */
  failing: string
}

/** The contents of a report, from which every format is written. */
export interface Report {
  started: Date
  seconds: number
  revision?: string
  because?: string
  /** "skipped" if no gate ran, which is not a pass. */
  outcome: Outcome
  conclusion: string
  gates: GateReport[]
  problems: Problem[]
  sarif: Merged
  /** Gives the command that runs a gate or test again. */
  again: Again
}

/** Reads all artifacts of a run. An unreadable one becomes a problem and does not affect the others. */
export function readReport(run: Run, again: Again = checkAgain): Report {
  const problems: Problem[] = []
  const sarif = mergeSarif(
    run.gates.flatMap(({ verdict: { gate }, artifacts: { sarif = [], folder } }) =>
      sarif.map((text) => ({ gate, text, ...(folder !== undefined && { folder }) })),
    ),
  )
  const gates = run.gates.map((gateResult) => read(gateResult, sarif.scans, again, problems))
  const verdicts = gates.map(({ verdict }) => verdict)
  return {
    started: run.started,
    seconds: run.seconds,
    ...(run.revision !== undefined && { revision: run.revision }),
    ...(run.because !== undefined && { because: run.because }),
    outcome: outcomeOf(verdicts),
    conclusion: conclusion(verdicts) || "No gate ran.",
    gates,
    problems,
    sarif,
    again,
  }
}

/** The outcome of a whole run. "failed" goes before "could not run". */
export function outcomeOf(verdicts: Verdict[]): Outcome {
  if (allPassed(verdicts)) return "passed"
  const worst = (["failed", "could not run"] as const).find((outcome) =>
    verdicts.some((verdict) => verdict.outcome === outcome),
  )
  return worst ?? "skipped"
}

/** Whether a run passed but left something unchecked, so that it must not look as good as a pass. */
export function isIncomplete({ outcome, gates }: Pick<Report, "outcome" | "gates">): boolean {
  return outcome === "passed" && !noneSkipped(gates.map(({ verdict }) => verdict))
}

function read(
  { verdict, artifacts, after }: GateResult,
  scans: Scan[],
  again: Again,
  problems: Problem[],
): GateReport {
  const { gate } = verdict
  const attempt = <Result>(file: string, text: string | undefined, parse: (text: string) => Result) => {
    if (text === undefined) return undefined
    try {
      return parse(text)
    } catch (error) {
      if (!(error instanceof UnreadableReport)) throw error
      problems.push({ gate, file, message: error.message })
      return undefined
    }
  }
  const tests = attempt("JUnit report", artifacts.junit, (text) => parseJunit(text, artifacts.folder))
  const coverage = attempt("coverage report", artifacts.coverage, (text) =>
    parseCoverage(text, artifacts.folder),
  )
  return {
    verdict,
    ...(after !== undefined && { after }),
    again: again(gate),
    ...(tests && { tests }),
    ...(coverage && { coverage }),
    ...(artifacts.thresholds && { thresholds: artifacts.thresholds }),
    scans: scans.filter((scan) => scan.gate === gate),
    pictures: artifacts.pictures ?? [],
    failing: failing(verdict, tests, again),
  }
}

/** The failed tests, or the end of the output if there are none. */
function failing(verdict: Verdict, tests: TestReport | undefined, again: Again): string {
  if (verdict.outcome !== "failed" && verdict.outcome !== "could not run") return ""
  if (verdict.outcome === "failed" && tests?.cases.some(({ outcome }) => outcome === "failed")) {
    return failingPart(verdict.gate, tests, again)
  }
  return tail(verdict.output === "" ? verdict.detail : verdict.output, 40)
}

/** Counts the tests of all gates. */
export function allTests({ gates }: Report): Counts {
  const counts = gates.flatMap(({ tests }) => tests?.counts ?? [])
  const sum = (kind: keyof Counts) => counts.reduce((total, count) => total + count[kind], 0)
  return {
    tests: sum("tests"),
    passed: sum("passed"),
    failed: sum("failed"),
    errors: sum("errors"),
    skipped: sum("skipped"),
    flaky: sum("flaky"),
  }
}

/** A test with the gate that ran it. */
export interface Placed {
  gate: string
  test: TestCase
}

/** Seconds. Faster tests are not listed as slow. */
const noticeable = 0.01

export function slowest(report: Report, limit: number): Placed[] {
  return testsOf(report)
    .filter(({ test }) => test.seconds >= noticeable)
    .sort((a, b) => b.test.seconds - a.test.seconds)
    .slice(0, limit)
}

export function flaky(report: Report): Placed[] {
  return testsOf(report).filter(({ test }) => test.flaky)
}

function testsOf({ gates }: Report): Placed[] {
  return gates.flatMap(({ verdict: { gate }, tests }) => (tests?.cases ?? []).map((test) => ({ gate, test })))
}

/** The slowest gates that were not cached. */
export function slowestGates({ gates }: Report, limit: number): Verdict[] {
  return gates
    .map(({ verdict }) => verdict)
    .filter(({ cached, seconds }) => !cached && seconds > 0)
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, limit)
}

/** All findings: failed tests, gates that failed without a failed test, and alerts of scanners. */
export function allFindings({ gates, again }: Report): Finding[] {
  return gates.flatMap((reading) => {
    const { verdict, tests, scans } = reading
    const failed = findings(verdict.gate, tests?.cases ?? [], again)
    const alerts = scans.flatMap((scan) =>
      scan.alerts.map((alert) => alertFinding(verdict.gate, alert, reading.again)),
    )
    if (failed.length > 0 || alerts.length > 0 || reading.failing === "") return [...failed, ...alerts]
    const title = `${verdict.gate}: ${verdict.outcome}`
    return [{ severity: "high" as const, title, message: reading.failing, again: reading.again }]
  })
}
