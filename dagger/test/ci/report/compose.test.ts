import { describe, expect, it } from "vitest"
import { composeReport } from "../../../src/ci/report/compose.js"
import type { Artifacts } from "../../../src/ci/report/artifacts.js"
import type { Verdict } from "../../../src/ci/runner/verdict.js"
import { readSummary } from "../../../src/ci/report/summary.js"
import { gateResult, hostile, manyTests, run, sample } from "./fixtures.js"

describe("composeReport", () => {
  it("is every file of the folder", () => {
    const files = composeReport(
      run(
        gateResult(
          "api:test",
          "failed",
          { junit: sample("pytest.xml"), coverage: sample("coverage-py.xml") },
          { output: "x" },
        ),
        gateResult("api:sast", "passed", { sarif: [sample("bandit.sarif.json")] }),
      ),
    )
    expect(Object.keys(files).sort()).toEqual([
      "annotations.txt",
      "coverage/api.test.lcov",
      "coverage/api.test.xml",
      "index.html",
      "junit/api.test.xml",
      "logs/api.test.txt",
      "sarif/1.sarif",
      "summary.json",
      "summary.md",
    ])
    expect(files["junit/api.test.xml"]).toBe(sample("pytest.xml"))
  })

  it("every link of the page leads to a file or a picture", () => {
    const files = composeReport(
      run(
        gateResult(
          "f1-backend:test",
          "failed",
          { junit: sample("pytest.xml"), coverage: "<cut" },
          { output: "x" },
        ),
        gateResult("a/b", "passed", { junit: "", sarif: ["{}"] }),
      ),
    )
    const links = [...(files["index.html"] ?? "").matchAll(/href="([^"#]+)"/g)].map(([, path = ""]) => path)
    expect(links.length).toBeGreaterThan(5)
    expect(links.filter((path) => !(path in files) && !path.startsWith("pictures/"))).toEqual([])
  })

  it("yields the rest when a report is cut off, and names gate and file", () => {
    const files = composeReport(
      run(
        gateResult(
          "api:test",
          "could not run",
          { junit: sample("pytest.xml").slice(0, 2000) },
          { output: "Killed" },
        ),
        gateResult("web:test", "failed", { junit: sample("vitest.xml") }),
      ),
    )
    expect(files).not.toHaveProperty("junit/api.test.xml")
    expect(files["unreadable/api.test.junit.txt"]).toBe(sample("pytest.xml").slice(0, 2000))
    for (const file of ["summary.md", "index.html", "summary.json"]) {
      expect(files[file]).toContain("is cut off after line")
      expect(files[file]).toContain("points")
    }
    expect(readSummary(files["summary.json"] ?? "").problems).toEqual([
      { gate: "api:test", file: "JUnit report", message: expect.stringContaining("is cut off") as string },
    ])
  })

  it("is complete for a run without gates", () => {
    const files = composeReport({ gates: [], started: new Date(Number.NaN), seconds: 0 })
    expect(readSummary(files["summary.json"] ?? "")).toMatchObject({ outcome: "skipped", gates: [] })
    expect(files["annotations.txt"]).toBe("")
  })

  it("works with any name and any amount", () => {
    const huge = "\u001b[31mline\u001b[0m of output\n".repeat(200_000)
    const files = composeReport(
      run(
        gateResult(
          hostile,
          "failed",
          { junit: manyTests(10_000, 100), pictures: ["../../x.png"] },
          { output: huge },
        ),
        gateResult("佐藤:🏎️", "failed", {}, { output: huge }),
      ),
    )
    for (const path of Object.keys(files)) expect(path).toMatch(/^[A-Za-z0-9._/-]+$/)
    expect(Object.keys(files).some((path) => path.split("/").includes(".."))).toBe(false)
    expect((files["index.html"] ?? "").length).toBeLessThan(1_000_000)
    expect((files["annotations.txt"] ?? "").trimEnd().split("\n").length).toBeLessThanOrEqual(21)
    expect(readSummary(files["summary.json"] ?? "").gates[0]?.gate).toBe(hostile)
  })

  it("annotates a gate that failed without a test or a finding", () => {
    const files = composeReport(
      run(gateResult("api:format", "failed", {}, { output: "would reformat a.py" })),
    )
    expect(files["annotations.txt"]).toBe(
      "::error title=api%3Aformat%3A failed::would reformat a.py%0ARun again: ./daggerw check api:format\n",
    )
  })

  const junit = (attributes: string, failure: string) =>
    `<testsuites><testsuite><testcase ${attributes}><failure message="m">${failure}</failure></testcase></testsuite></testsuites>`
  it.each<[string, Artifacts, Partial<Verdict>]>([
    [
      "a line that no file has",
      { junit: junit('classname="tests.test_a" name="t"', "tests/test_a.py:99999999999999999999: E") },
      {},
    ],
    ["half a line", { junit: junit('classname="tests.test_a" name="t" file="a.py" line="1.5"', "x") }, {}],
    ["a time below zero", { junit: junit('classname="a.test.ts" name="t" time="-1"', "x") }, { seconds: -1 }],
    [
      "a time without end",
      { junit: junit('classname="a.test.ts" name="t" time="1e999"', "x") },
      { seconds: Infinity },
    ],
    [
      "a time that is none",
      { junit: junit('classname="a.test.ts" name="t" time="long"', "x") },
      { seconds: NaN },
    ],
    ["more covered than there is", { coverage: '<coverage lines-valid="3" lines-covered="4"/>' }, {}],
    ["endless counts", { coverage: '<coverage lines-valid="1e400" lines-covered="1e400"/>' }, {}],
    ["half characters", { junit: junit('classname="a.test.ts" name="t"', "\ud800") }, { detail: "\ud800" }],
    ["SARIF of nulls", { sarif: ["null", '{"runs":null}', '{"runs":[null]}'] }, {}],
  ])("writes a summary.json that it reads back: %s", (_, artifacts, more) => {
    const files = composeReport(run(gateResult("a:test", "failed", artifacts, more)))
    expect(() => readSummary(files["summary.json"] ?? "")).not.toThrow()
  })

  it("leaves out of the summary only what is too large", () => {
    const output = Array.from({ length: 60 }, () => "x".repeat(500)).join("\n")
    const covered = { coverage: '<coverage lines-valid="10" lines-covered="9"><packages/></coverage>' }
    const gates = Array.from({ length: 60 }, (_, at) =>
      gateResult(`g${at}:test`, "failed", at === 0 ? covered : {}, { output }),
    )
    const small = gateResult("last:test", "failed", {}, { output: "the cause of the last" })
    const { "summary.md": summary = "" } = composeReport(run(...gates, small))
    expect(summary).toContain("the cause of the last")
    expect(summary).toContain("## Coverage")
    expect(summary).toContain("## What did not pass")
    expect(summary).toContain("### g0:test: failed")
    expect(summary).toMatch(/_\d+ more gates left out for their size/)
    expect(Buffer.byteLength(summary)).toBeLessThan(1024 * 1024)
  })

  it("cuts a table that is too large, and keeps what is behind it", () => {
    const gates = Array.from({ length: 3000 }, (_, at) => gateResult(`g${at}:test`, "passed"))
    const { "summary.md": summary = "" } = composeReport(
      run(...gates, gateResult("last:test", "failed", {}, { output: "the cause" })),
    )
    expect(summary).toContain("lines left out for their size")
    expect(summary).toContain("the cause")
    expect(summary).toContain("## Where the time went")
    expect(Buffer.byteLength(summary)).toBeLessThan(1024 * 1024)
  })
})
