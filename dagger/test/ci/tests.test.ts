import { describe, expect, it } from "vitest"
import { noTestRan } from "../../src/ci/gates/tests.js"

const junit = (...cases: string[]) =>
  `<testsuites><testsuite name="s">${cases.join("")}</testsuite></testsuites>`
const passed = '<testcase classname="src/a.test.ts" name="adds points"/>'
const skipped = '<testcase classname="src/a.test.ts" name="sorts"><skipped/></testcase>'

describe("noTestRan", () => {
  it.each([
    [junit(passed), undefined],
    [junit(passed, skipped), undefined],
    [junit(), "no test ran"],
    // What Vitest writes where no name matches the filter; it ends with exit code 0.
    [junit(skipped), "no test ran: 1 was skipped"],
    [junit(skipped, skipped), "no test ran: 2 were skipped"],
  ])("of %s is %j", (report, expected) => {
    expect(noTestRan(report)).toBe(expected)
  })

  it("does not take a missing or broken report for a run", () => {
    expect(() => noTestRan(undefined)).toThrow("the test tool left no JUnit report")
    expect(() => noTestRan("<testsuites>")).toThrow()
  })
})
