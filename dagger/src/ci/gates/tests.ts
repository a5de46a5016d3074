import type { Directory } from "@dagger.io/dagger"
import { collect } from "../report/collect.js"
import { parseJunit } from "../report/junit.js"
import { GateFailure } from "../runner/gate.js"

/**
 * Checks that a test tool ran at least one test. Vitest passes when a filter matches no test name.
 *
 * @throws GateFailure when no test ran
 * @throws Error when there is no JUnit report to tell by
 */
export async function verifyTestsRan(reports: Directory): Promise<void> {
  const { junit } = await collect(reports)
  const failure = noTestRan(junit)
  if (failure !== undefined) throw new GateFailure(failure, reports)
}

/**
 * Why a JUnit report shows that no test ran; undefined when one did.
 *
 * @throws Error when there is no report
 */
export function noTestRan(junit: string | undefined): string | undefined {
  if (junit === undefined) throw new Error("the test tool left no JUnit report")
  const { tests, skipped } = parseJunit(junit).counts
  if (tests > skipped) return undefined
  return tests === 0 ? "no test ran" : `no test ran: ${tests === 1 ? "1 was" : `${tests} were`} skipped`
}
