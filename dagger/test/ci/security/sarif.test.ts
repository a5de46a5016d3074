import { describe, expect, it } from "vitest"
import type { Ignore } from "../../../src/ci/security/configuration.js"
import { readSarif, writeSarif } from "../../../src/ci/security/sarif.js"

const result = (ruleId: string, uri: string, level = "error", more: object = {}) => ({
  ruleId,
  level,
  message: { text: "SQL is put together\nfrom strings" },
  locations: [{ physicalLocation: { artifactLocation: { uri }, region: { startLine: 5 } } }],
  ...more,
})
const log = (results: object[], invocation: object = { executionSuccessful: true }) =>
  JSON.stringify({
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: "Semgrep OSS", rules: [{ id: "rules.python.sql" }] } },
        invocations: [invocation],
        results,
      },
    ],
  })
const ignore: Ignore = {
  ...{ id: "sql", gates: ["security:sast"], path: "tests/**" },
  ...{ reason: "only constants of the test", expires: "2026-12-31" },
}

describe("readSarif", () => {
  it("reads findings, by the rule's own name, with severity, place and first line", () => {
    const { examined } = readSarif("security:sast", log([result("rules.python.sql", "src/a.py")]), [])
    expect(examined.found).toEqual([
      { id: "sql", severity: "high", title: "SQL is put together", file: "src/a.py", line: 5 },
    ])
  })

  it("marks what is ignored as accepted, with the reason, and counts what its source accepts", () => {
    const text = log([
      result("rules.python.sql", "tests/a.py"),
      result("rules.python.sql", "src/a.py", "error", { suppressions: [{ kind: "inSource" }] }),
    ])
    const { examined, text: marked } = readSarif("security:sast", text, [ignore])
    expect(examined).toEqual({ found: [], ignored: 2, used: new Set([ignore]) })
    expect(marked).toContain('"justification":"only constants of the test"')
  })

  it.each(["toolExecutionNotifications", "toolConfigurationNotifications"])(
    "does not take a file that could not be read for one without findings: %s",
    (kind) => {
      const notification = {
        level: "error",
        message: { text: "syntax error" },
        locations: [{ physicalLocation: { artifactLocation: { uri: "src/bad.py" } } }],
      }
      expect(() =>
        readSarif("security:bandit", log([], { executionSuccessful: true, [kind]: [notification] }), []),
      ).toThrow("not everything could be looked at:\nsrc/bad.py: syntax error")
    },
  )

  it("refuses what is no log", () => {
    expect(() => readSarif("security:sast", "", [])).toThrow()
    expect(() => readSarif("security:sast", '{"runs":[]}', [])).toThrow()
  })
})

describe("writeSarif", () => {
  it("writes what it reads again", () => {
    const found = [
      {
        id: "GPL-2.0-only",
        severity: "critical" as const,
        title: "its licence is forbidden",
        file: "a b/METADATA",
      },
    ]
    const { examined } = readSarif("security:licences", writeSarif("Licence policy", found), [])
    expect(examined.found).toEqual([
      expect.objectContaining({ severity: "high", title: "its licence is forbidden" }),
    ])
  })
})
