import { describe, expect, it } from "vitest"
import { closingLine, exitCode, nothing, tallyGo, tallyVitest, total, withCrash } from "./tally.mjs"

const vitestReport = {
  numPassedTests: 3,
  numFailedTests: 1,
  numPendingTests: 1,
  numTodoTests: 1,
  testResults: [
    { name: "/r/a.test.ts", status: "passed", assertionResults: [{ fullName: "x", status: "passed" }] },
    {
      name: "/r/b.test.ts",
      status: "failed",
      assertionResults: [
        { fullName: "y works", status: "failed", failureMessages: ["Error: no y\n    at b.test.ts:3"] },
        { fullName: "z", status: "passed" },
      ],
    },
  ],
}

describe("tallyVitest", () => {
  it("counts tests", () => {
    expect(tallyVitest(JSON.stringify(vitestReport), "/r")).toEqual({
      ...nothing,
      passed: 3,
      failed: 1,
      skipped: 2,
      failures: ["b.test.ts > y works: Error: no y"],
    })
  })

  it("counts a file that did not load as a failure", () => {
    const broken = { name: "/r/c.test.ts", status: "failed", message: "SyntaxError", assertionResults: [] }
    const report = { ...vitestReport, testResults: [...vitestReport.testResults, broken] }
    const { failed, failures } = tallyVitest(JSON.stringify(report), "/r")
    expect(failed).toBe(2)
    expect(failures[1]).toBe("c.test.ts > does not load: SyntaxError")
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
    expect(tallyGo(output)).toEqual({
      ...nothing,
      passed: 1,
      failed: 1,
      skipped: 1,
      failures: ["a > TestY"],
    })
  })

  it("counts a package that does not build as a failure", () => {
    expect(tallyGo(`# a\nsyntax error\n${events({ Action: "fail", Package: "a" })}`).failed).toBe(1)
  })

  it("does not count a package without tests", () => {
    expect(tallyGo(events({ Action: "skip", Package: "a" }))).toEqual(nothing)
  })
})

it("never takes a crash for a pass", () => {
  const crashed = withCrash({ ...nothing, passed: 4 }, 7, "engine")
  expect(crashed).toEqual({ ...nothing, passed: 4, failed: 1, failures: ["engine ended with exit code 7"] })
  expect(withCrash({ ...nothing, passed: 4, failed: 2 }, 1, "engine").failed).toBe(2)
  expect(withCrash({ ...nothing, passed: 4 }, 0, "engine").failed).toBe(0)
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
