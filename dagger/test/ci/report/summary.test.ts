import { format } from "prettier"
import { describe, expect, it } from "vitest"
import { table } from "../../../src/ci/runner/summary.js"
import { readReport } from "../../../src/ci/report/report.js"
import type { GateResult } from "../../../src/ci/report/artifacts.js"
import {
  readSummary,
  summaryJsonSchema,
  summaryMarkdown,
  toSummary,
  verdictsOf,
} from "../../../src/ci/report/summary.js"
import { gateResult, hostile, manyTests, run, sample } from "./fixtures.js"

const api = { folder: "services/api", junit: sample("pytest.xml"), coverage: sample("coverage-py.xml") }
const mixed = run(
  gateResult("pipeline:lint", "passed", {}, { cached: true }),
  gateResult("api:test", "failed", { ...api, thresholds: { lines: 90, branches: 95 } }),
  gateResult("f1-frontend:browser", "passed", { junit: sample("playwright.xml") }),
  gateResult("api:sast", "failed", { sarif: [sample("bandit.sarif.json"), "{"] }, { output: "1 finding" }),
  gateResult(
    "web:image",
    "could not run",
    {},
    { output: "no such host", retries: ["registry: connection reset"] },
  ),
  gateResult("api:snyk", "skipped", {}, { detail: "no token: SNYK_TOKEN" }),
)
const markdown = (...gates: GateResult[]) => summaryMarkdown(readReport(run(...gates)))

describe("summaryMarkdown", () => {
  const text = summaryMarkdown(readReport(mixed))

  it("begins with the verdict", () => {
    expect(text.split("\n")[0]).toBe(
      "# ❌ Failed: api:test, api:sast (of 6 gates). Could not run: web:image. Fix the cause that the output names, then run again. Skipped: api:snyk.",
    )
    expect(text).toContain("revision `0123456789ab` · 2026-03-01 12:00 UTC · 1 min 02 s")
  })

  it("has a row a gate, with the command that runs it again", () => {
    expect(text).toContain(
      "| pipeline:lint | ✅ passed | 12.3 s | cached | unit tests | `./daggerw check pipeline:lint` |",
    )
    expect(text).toContain(
      "| api:snyk | ⏭️ skipped |  |  | no token: SNYK\\_TOKEN | `./daggerw check api:snyk` |",
    )
    expect(text).toContain("4 failed, 3 errors, 2 skipped, 4 passed of 13 tests")
  })

  it("has what failed, what was tried again, what passed late, coverage and scanners", () => {
    expect(text).toContain("### api:test: failed")
    expect(text).toContain("E       AssertionError: assert 'champion' == 'legend'")
    expect(text).toContain("web:image: tried again: registry: connection reset")
    expect(text).toContain("comes back after a lost connection")
    expect(text).toContain("| api:test | 94.1 % (16 of 17, 90 % needed) | 90.0 % (9 of 10, 95 % needed) |")
    expect(text).toContain("| api:sast | Bandit | 0 | 1 | 0 | 4 | 0 |  |")
    expect(text).toContain(
      "| api:sast | sast | ? | ? | ? | ? | ? | did not finish: its SARIF log is cut off or no JSON |",
    )
  })

  it.each([
    [[], "# ⏭️ No gate ran."],
    [[gateResult("a", "skipped"), gateResult("b", "skipped")], "# ⏭️ Skipped: a, b."],
    [[gateResult("a", "could not run")], "# ⚠️ Could not run: a."],
    [[gateResult("a")], "# ✅ Passed: 1 gate."],
    [
      [gateResult("a"), gateResult("b", "skipped")],
      "# ⚠️ Incomplete: 1 of 2 gates passed, but 1 was skipped: b.",
    ],
  ])("does not take nothing for a pass", (gates, line) => {
    expect(markdown(...gates)).toMatch(line)
  })

  it("escapes every name and output", () => {
    const text = markdown(
      gateResult(hostile, "failed", {}, { subject: hostile, detail: hostile, output: hostile }),
    )
    const [, ...outside] = text.split(/^`{4}text\n[^]*?^`{4}$/m)
    expect(text).toMatch(/^`{4}text$/m)
    expect(outside.join("")).not.toContain("<script")
    expect(
      text.split("\n").find((line) => line.startsWith("| \\`") || line.includes("&lt;/code")),
    ).toBeDefined()
    const row = text.split("\n").find((line) => line.startsWith("| &lt;"))
    expect(row?.match(/(?<!\\)\|/g)).toHaveLength(7)
  })

  it("stays below GitHub's limit whatever is in it", () => {
    const gates = Array.from({ length: 300 }, (_, at) =>
      gateResult(`g:${at}`, "failed", {}, { output: "é".repeat(400_000) }),
    )
    expect(Buffer.byteLength(markdown(...gates))).toBeLessThan(1024 * 1024)
  })
})

describe("summary.json", () => {
  const json = JSON.stringify(toSummary(readReport(mixed)))

  it("comes back as it was", () => {
    expect(readSummary(json)).toEqual(toSummary(readReport(mixed)))
    expect(readSummary(json)).toMatchObject({
      schemaVersion: 1,
      outcome: "failed",
      tests: { tests: 25, passed: 10, failed: 6, errors: 3, skipped: 6, flaky: 2 },
    })
  })

  it("reads what a later Pitwall of the same version adds", () => {
    expect(readSummary(json.replace("{", `{"added":1,`))).toEqual(readSummary(json))
  })

  it("is enough for the terminal's gate table", () => {
    const verdicts = verdictsOf(readSummary(json))
    expect(table(verdicts)).toBe(table(mixed.gates.map(({ verdict }) => verdict)))
    expect(verdicts[1]?.output).toContain("✗ services/api/tests/test_elo.py:26  test_negative")
  })

  it("has the form that its schema says", async () => {
    const schema = JSON.stringify(summaryJsonSchema())
    await expect(await format(schema, { parser: "json", printWidth: 110 })).toMatchFileSnapshot(
      "../../../config/report.schema.json",
    )
  })

  it("is bounded however much failed", () => {
    const many = run(
      gateResult("a", "failed", { junit: manyTests(10_000, 10_000) }, { output: "x\n".repeat(1_000_000) }),
    )
    const summary = toSummary(readReport(many))
    expect(summary.failures).toHaveLength(1000)
    expect(summary.tests.failed).toBe(10_000)
    expect(JSON.stringify(summary).length).toBeLessThan(500_000)
  })

  it.each([
    ["", "summary.json cannot be read: it is empty"],
    ["{", "summary.json cannot be read"],
    ["null", "the whole file"],
    [`{"schemaVersion":2}`, "summary.json has schemaVersion 2; this Pitwall reads version 1"],
    [json.replace('"failed"', '"fine"'), "outcome: "],
    [json.replace('"gates":', '"gate":'), "gates: "],
  ])("refuses anything else", (text, message) => {
    expect(() => readSummary(text)).toThrow(message)
  })
})
