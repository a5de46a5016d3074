import { describe, expect, it } from "vitest"
import { closingLine, exitCode, nothing, tallyGo, tallyVitest, total, withCrash } from "./tally.mjs"

const vitestReport = {
  numPassedTests: 3,
  numFailedTests: 1,
  numPendingTests: 1,
  numTodoTests: 1,
  testResults: [
    { status: "passed", assertionResults: [{ status: "passed" }] },
    { status: "failed", assertionResults: [{ status: "failed" }, { status: "passed" }] },
  ],
}

describe("tallyVitest", () => {
  it("counts tests", () => {
    expect(tallyVitest(JSON.stringify(vitestReport))).toEqual({
      ...nothing,
      passed: 3,
      failed: 1,
      skipped: 2,
    })
  })

  it("counts a file that did not load as a failure", () => {
    const broken = { status: "failed", assertionResults: [] }
    const report = { ...vitestReport, testResults: [...vitestReport.testResults, broken] }
    expect(tallyVitest(JSON.stringify(report)).failed).toBe(2)
  })
})

describe("tallyGo", () => {
  const events = (/** @type {object[]} */ ...list) => list.map((event) => JSON.stringify(event)).join("\n")

  it("counts tests, and a failing package with them once", () => {
    const output = events(
      { Action: "run", Package: "a", Test: "TestX" },
      { Action: "pass", Package: "a", Test: "TestX" },
      { Action: "fail", Package: "a", Test: "TestY" },
      { Action: "skip", Package: "a", Test: "TestZ" },
      { Action: "fail", Package: "a" },
    )
    expect(tallyGo(output)).toEqual({ ...nothing, passed: 1, failed: 1, skipped: 1 })
  })

  it("counts a package that does not build as a failure", () => {
    expect(tallyGo(`# a\nsyntax error\n${events({ Action: "fail", Package: "a" })}`).failed).toBe(1)
  })

  it("does not count a package without tests", () => {
    expect(tallyGo(events({ Action: "skip", Package: "a" }))).toEqual(nothing)
  })
})

it("never takes a crash for a pass", () => {
  expect(withCrash({ ...nothing, passed: 4 }, 1).failed).toBe(1)
  expect(withCrash({ ...nothing, passed: 4, failed: 2 }, 1).failed).toBe(2)
  expect(withCrash({ ...nothing, passed: 4 }, 0).failed).toBe(0)
})

it("closes with the totals, passed and failed first", () => {
  const tallies = [
    { ...nothing, passed: 1 },
    { ...nothing, passed: 2, failed: 1 },
  ]
  expect(closingLine(total(tallies))).toBe("3 passed, 1 failed")
  const skipped = { ...nothing, skipped: 2 }
  expect(closingLine(total([...tallies, skipped]))).toBe("3 passed, 1 failed, 2 skipped")
  const remembered = [
    { ...nothing, remembered: 3 },
    { ...nothing, remembered: 4 },
  ]
  expect(closingLine(total([...tallies, ...remembered]))).toBe("3 passed, 1 failed, 7 remembered")
  expect(closingLine(total([...tallies, skipped, ...remembered]))).toBe(
    "3 passed, 1 failed, 2 skipped, 7 remembered",
  )
})

it.each([
  [{ passed: 1 }, 0],
  [{ remembered: 1 }, 0],
  [{ passed: 1, remembered: 1, skipped: 1 }, 0],
  [{ passed: 1, remembered: 1, failed: 1 }, 1],
  [{ skipped: 1 }, 1],
  [{}, 1],
])("ends with an exit code: %j → %i", (tally, code) => {
  expect(exitCode({ ...nothing, ...tally })).toBe(code)
})
