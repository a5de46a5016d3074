import { describe, expect, it } from "vitest"
import { closingLine, nothing, tallyGo, tallyVitest, total, withCrash } from "./tally.mjs"

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
    expect(tallyVitest(JSON.stringify(vitestReport))).toEqual({ passed: 3, failed: 1, skipped: 2 })
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
    expect(tallyGo(output)).toEqual({ passed: 1, failed: 1, skipped: 1 })
  })

  it("counts a package that does not build as a failure", () => {
    expect(tallyGo(`# a\nsyntax error\n${events({ Action: "fail", Package: "a" })}`).failed).toBe(1)
  })

  it("does not count a package without tests", () => {
    expect(tallyGo(events({ Action: "skip", Package: "a" }))).toEqual(nothing)
  })
})

it("never takes a crash for a pass", () => {
  expect(withCrash({ passed: 4, failed: 0, skipped: 0 }, 1).failed).toBe(1)
  expect(withCrash({ passed: 4, failed: 2, skipped: 0 }, 1).failed).toBe(2)
  expect(withCrash({ passed: 4, failed: 0, skipped: 0 }, 0).failed).toBe(0)
})

it("closes with the totals", () => {
  const tallies = [
    { passed: 1, failed: 0, skipped: 0 },
    { passed: 2, failed: 1, skipped: 0 },
  ]
  expect(closingLine(total(tallies))).toBe("3 passed, 1 failed")
  expect(closingLine(total([...tallies, { passed: 0, failed: 0, skipped: 2 }]))).toBe(
    "3 passed, 1 failed, 2 skipped",
  )
})
