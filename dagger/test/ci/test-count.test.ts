import { describe, expect, it } from "vitest"
import { testCount } from "../../src/ci/gates/react.js"
import { timeOf } from "../lib/time-of.js"

describe("testCount", () => {
  it("is Vitest's line of totals", () => {
    expect(
      testCount(" Test Files  2 passed (2)\n      Tests  1 failed | 7 passed (8)\n   Start at  10:00:00\n"),
    ).toBe("1 failed | 7 passed (8)")
    expect(testCount("no tests")).toBe("")
  })

  it("takes time that grows with the output", () => {
    for (const text of ["\n", " ", " \n", "Tests "]) {
      expect(timeOf(() => testCount(text.repeat(300_000)))).toBeLessThan(5000)
    }
  })
})
