import { describe, expect, it } from "vitest"
import { allPassed, conclusion, finding, summarize, table } from "../src/checks/summary.js"
import type { Outcome, Verdict } from "../src/checks/verdict.js"

const verdict = (gate: string, outcome: Outcome = "passed", output = ""): Verdict => ({
  gate,
  on: "TypeScript",
  outcome,
  seconds: 12.345,
  output,
})

describe("allPassed", () => {
  it("needs every gate to have run and passed", () => {
    expect(allPassed([verdict("lint"), verdict("types")])).toBe(true)
    expect(allPassed([verdict("lint"), verdict("types", "failed")])).toBe(false)
    expect(allPassed([verdict("lint", "could not run")])).toBe(false)
  })

  it("does not take nothing for a pass", () => {
    expect(allPassed([])).toBe(false)
    expect(conclusion([])).toBe("No gate ran.")
  })
})

describe("table", () => {
  it("has a line a gate, in aligned columns, with how to run just that gate", () => {
    expect(table([verdict("lint"), verdict("types", "could not run")])).toBe(
      [
        "GATE   LOOKS AT    OUTCOME        TIME    RUN AGAIN",
        "lint   TypeScript  passed         12.3 s  ./daggerw check lint",
        "types  TypeScript  could not run  12.3 s  ./daggerw check types",
      ].join("\n"),
    )
  })
})

describe("finding", () => {
  it("shows the end of a long output and says how much is left out", () => {
    const output = Array.from({ length: 50 }, (_, line) => `line ${line + 1}`).join("\n")
    const lines = finding(verdict("unit", "failed", output)).split("\n")
    expect(lines[0]).toBe("── unit: failed ──")
    expect(lines[1]).toBe("… 10 lines above")
    expect(lines[2]).toBe("line 11")
    expect(lines.at(-1)).toBe("line 50")
  })

  it("shows a short output whole", () => {
    expect(finding(verdict("unit", "failed", "one\ntwo\n"))).toBe("── unit: failed ──\none\ntwo")
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
      "── types: failed ──",
      "error TS2322",
      "",
      "── shell: could not run ──",
      "no route to host",
      "",
      "Failed: types (of 3 gates). Could not run: shell. Put right what the output names, then run again.",
    ])
  })
})
