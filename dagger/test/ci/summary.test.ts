import { describe, expect, it } from "vitest"
import { allPassed, conclusion, failureDetails, summarize, table } from "../../src/ci/runner/summary.js"
import { progressLine } from "../../src/ci/gates/gates.js"
import type { Outcome, Verdict } from "../../src/ci/runner/verdict.js"

const verdict = (gate: string, outcome: Outcome = "passed", output = ""): Verdict => ({
  gate,
  subject: "TypeScript",
  outcome,
  seconds: 12.345,
  cached: false,
  retries: [],
  detail: "",
  output,
})

describe("progressLine", () => {
  it("says in one line what became of a gate", () => {
    expect(progressLine(verdict("api:test"))).toBe("api:test passed in 12.3 s")
    expect(progressLine({ ...verdict("api:test"), cached: true })).toBe(
      "api:test passed in 12.3 s (remembered)",
    )
    const failed = verdict("web:lint", "failed", "a.ts: no\n3 problems\n")
    expect(progressLine(failed)).toBe("web:lint failed in 12.3 s: 3 problems")
    const ruled = verdict(
      "module:unit",
      "failed",
      "a.py:1:1: F401 unused\n\n⎯⎯⎯[1/1]⎯\n1\nnpm error code 1\n",
    )
    expect(progressLine(ruled)).toBe("module:unit failed in 12.3 s: a.py:1:1: F401 unused")
    const skipped = { ...verdict("security:snyk", "skipped"), detail: "there is no token" }
    expect(progressLine(skipped)).toBe("security:snyk skipped: there is no token")
  })
})

describe("allPassed", () => {
  it("needs every gate to have run and passed", () => {
    expect(allPassed([verdict("lint"), verdict("types")])).toBe(true)
    expect(allPassed([verdict("lint"), verdict("types", "failed")])).toBe(false)
    expect(allPassed([verdict("lint", "could not run")])).toBe(false)
  })

  it("lets a gate be skipped, and says which", () => {
    const verdicts = [verdict("lint"), verdict("snyk", "skipped")]
    expect(allPassed(verdicts)).toBe(true)
    expect(conclusion(verdicts)).toBe("Incomplete: 1 of 2 gates passed, but 1 was skipped: snyk.")
  })

  it("does not take nothing for a pass, nor only skips", () => {
    expect(allPassed([])).toBe(false)
    expect(conclusion([])).toBe("No gate ran.")
    expect(conclusion([verdict("lint")])).toBe("Passed: 1 gate.")
    expect(conclusion([verdict("lint", "failed")])).toBe("Failed: lint (of 1 gate).")
    expect(allPassed([verdict("snyk", "skipped")])).toBe(false)
    expect(conclusion([verdict("snyk", "skipped")])).toBe("Skipped: snyk. No gate passed.")
  })
})

describe("table", () => {
  it("has a line a gate, in aligned columns: how it ended, its time, what it looked at and counted", () => {
    const lint = { ...verdict("api:lint"), cached: true, detail: "0 findings" }
    const types = { ...verdict("types", "could not run"), retries: ["no route to host"] }
    const test = { ...verdict("test", "skipped"), detail: "needs types, which did not pass" }
    expect(table([lint, types, test])).toBe(
      [
        "GATE      OUTCOME        TIME           CHECKS",
        "api:lint  passed         12.3 s cached  TypeScript · 0 findings",
        "types     could not run  12.3 s         TypeScript · tried again: no route to host",
        "test      skipped                       TypeScript · needs types, which did not pass",
      ].join("\n"),
    )
  })
})

describe("failureDetails", () => {
  it("shows the end of a long output and says how much is left out", () => {
    const output = Array.from({ length: 50 }, (_, line) => `line ${line + 1}`).join("\n")
    const lines = failureDetails(verdict("unit", "failed", output)).split("\n")
    expect(lines[0]).toBe("── unit: failed · run again: ./daggerw check unit ──")
    expect(lines[1]).toBe("… 10 lines above")
    expect(lines[2]).toBe("line 11")
    expect(lines.at(-1)).toBe("line 50")
  })

  it("shows a short output whole", () => {
    expect(failureDetails(verdict("unit", "failed", "one\ntwo\n"))).toBe(
      "── unit: failed · run again: ./daggerw check unit ──\none\ntwo",
    )
  })
})

describe("summarize", () => {
  it("is the table and one sentence when all is well", () => {
    const verdicts = [verdict("lint"), verdict("types")]
    expect(summarize(verdicts)).toBe(`${table(verdicts)}\n\nPassed: all 2 gates.`)
  })

  it("ends with what failed, under the output of the failing gates alone", () => {
    const summary = summarize([
      verdict("lint", "passed", "should not be shown"),
      verdict("types", "failed", "error TS2322"),
      verdict("shell", "could not run", "no route to host"),
    ])
    expect(summary).not.toContain("should not be shown")
    expect(summary.split("\n").slice(-7)).toEqual([
      "── types: failed · run again: ./daggerw check types ──",
      "error TS2322",
      "",
      "── shell: could not run · run again: ./daggerw check shell ──",
      "no route to host",
      "",
      "Failed: types (of 3 gates). Could not run: shell. Fix the cause that the output names, then run again.",
    ])
  })
})
