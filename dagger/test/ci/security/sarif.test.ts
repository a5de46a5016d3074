import { describe, expect, it } from "vitest"
import type { Ignore } from "../../../src/ci/security/configuration.js"
import { sample } from "../report/fixtures.js"
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
  id: "sql",
  gates: ["security:sast"],
  path: "tests/**",
  reason: "only constants of the test",
  expires: "2026-12-31",
}

describe("readSarif", () => {
  it("reads findings, by the rule's own name, with severity, place and first line", () => {
    const { examined } = readSarif("security:sast", log([result("rules.python.sql", "src/a.py")]), [])
    expect(examined.found).toEqual([
      { id: "sql", severity: "high", title: "SQL is put together", file: "src/a.py", line: 5 },
    ])
  })

  it("marks ignored results as accepted, with the reason, and counts those accepted in the source", () => {
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
      ).toThrow("the scan is incomplete:\nsrc/bad.py: syntax error")
    },
  )

  describe("never takes what it cannot read for a pass", () => {
    const hole = { ...result("sql", "a.py"), ruleId: "R1" }
    const run = (
      more: object,
      rules: object[] = [{ id: "R1", properties: { "security-severity": "9.8" } }],
    ) =>
      JSON.stringify({
        version: "2.1.0",
        runs: [{ tool: { driver: { name: "Snyk", rules } }, results: [hole], ...more }],
      })
    const critical = [expect.objectContaining({ id: "R1", severity: "critical", file: "a.py" })]

    it.each<[string, string]>([
      [
        "severity of another rule",
        run({}, [
          { id: "R1", properties: { "security-severity": "9.8" } },
          { id: "R2", properties: { "security-severity": null } },
        ]),
      ],
      ["level", run({ results: [{ ...hole, level: null }] })],
      ["invocations", run({ invocations: null })],
      ["suppressions", run({ results: [{ ...hole, suppressions: null }] })],
      ["kind", run({ results: [{ ...hole, kind: null }] })],
      [
        "region",
        run({
          results: [
            {
              ...hole,
              locations: [{ physicalLocation: { artifactLocation: { uri: "a.py" }, region: null } }],
            },
          ],
        }),
      ],
      [
        "extensions",
        run({
          tool: {
            driver: { name: "Snyk", rules: [{ id: "R1", properties: { "security-severity": 9.8 } }] },
            extensions: null,
          },
        }),
      ],
      [
        "properties of the rule",
        run({}, [
          { id: "R1", shortDescription: null, properties: { "security-severity": " 9.8 ", tags: null } },
        ]),
      ],
    ])("a null as %s does not hide a critical finding", (_, text) => {
      expect(readSarif("security:snyk", text, []).examined.found).toEqual(critical)
    })

    it.each<[string, string, RegExp]>([
      [
        "it says that it failed",
        run({ results: [], invocations: [{ executionSuccessful: false }] }),
        /does not say why/,
      ],
      [
        "one of several invocations failed",
        run({ invocations: [{ executionSuccessful: true }, { executionSuccessful: false }] }),
        /does not say why/,
      ],
      [
        "it does not say whether it succeeded",
        run({ results: [], invocations: [{ executionSuccessful: null }] }),
        /does not say why/,
      ],
      ...["fatal", "ERROR", "Critical", "panic"].map((level): [string, string, RegExp] => [
        `it reports something ${level}`,
        run({
          results: [],
          invocations: [
            {
              executionSuccessful: true,
              toolExecutionNotifications: [{ level, message: { text: "no rules" } }],
            },
          ],
        }),
        /no rules/,
      ]),
      [
        "it caught an exception at a file",
        run({
          results: [],
          invocations: [
            {
              executionSuccessful: true,
              toolExecutionNotifications: [
                { level: "warning", exception: { kind: "ParseError" }, message: { text: "a.py is skipped" } },
              ],
            },
          ],
        }),
        /a\.py is skipped/,
      ],
      [
        "it was killed",
        run({ invocations: [{ executionSuccessful: true, exitSignalName: "SIGKILL" }] }),
        /ended by SIGKILL/,
      ],
      [
        "it was killed by a signal without a name",
        run({ invocations: [{ executionSuccessful: true, exitSignalNumber: 9 }] }),
        /ended by 9/,
      ],
      [
        "its results are in another file",
        run({ results: [], externalPropertyFileReferences: { results: [{ location: { uri: "x" } }] } }),
        /results outside of its runs/,
      ],
      [
        "its results are beside its runs",
        JSON.stringify({
          runs: (JSON.parse(run({ results: [] })) as { runs: object[] }).runs,
          inlineExternalProperties: [{ results: [hole] }],
        }),
        /results outside of its runs/,
      ],
      [
        "it did not start",
        run({ invocations: [{ executionSuccessful: true, processStartFailureMessage: "no such file" }] }),
        /no such file/,
      ],
      ["it has no results", run({ results: null }), /no list of results/],
      ["a result is null", run({ results: [hole, null] }), /results\.1/],
      ["a rule is null", run({}, [{ id: "R1" }, null as unknown as object]), /rules\.1/],
      ["success is a word", run({ invocations: [{ executionSuccessful: "false" }] }), /executionSuccessful/],
      ["it has no run", '{"runs":[]}', /it has no run/],
      ["it is cut off", run({}).slice(0, 100), /cut off/],
      ["it is empty", "", /is empty/],
      [
        "a second run failed",
        JSON.stringify({
          runs: [
            ...(JSON.parse(run({})) as { runs: object[] }).runs,
            ...(
              JSON.parse(run({ results: [], invocations: [{ executionSuccessful: false }] })) as {
                runs: object[]
              }
            ).runs,
          ],
        }),
        /does not say why/,
      ],
    ])("the gate cannot run where %s", (_, text, reason) => {
      expect(() => readSarif("security:snyk", text, [])).toThrow(reason)
    })

    it.each(["rejected", "underReview", "surprise"])(
      "a suppression that is %s counts, also beside an accepted one",
      (status) => {
        const suppressions = [
          { kind: "inSource", status: "accepted" },
          { kind: "external", status },
        ]
        const { found } = readSarif(
          "security:snyk",
          run({ results: [{ ...hole, suppressions }] }),
          [],
        ).examined
        expect(found).toEqual(critical)
      },
    )

    it.each(["open", "review", "Fail", "surprise"])("a result of kind %s counts", (kind) => {
      expect(readSarif("security:snyk", run({ results: [{ ...hole, kind }] }), []).examined.found).toEqual(
        critical,
      )
    })
  })

  it.each(["services/api/my%20dir/x.py", "./services/api/my dir/x.py", "file:///services/api/my%20dir/x.py"])(
    "holds an ignore's path against the file, however its URI is written: %s",
    (uri) => {
      const text = log([result("rules.python.sql", uri)])
      const { examined } = readSarif("security:sast", text, [{ ...ignore, path: "services/api/my dir/**" }])
      expect(examined).toMatchObject({ found: [], ignored: 1 })
    },
  )

  it("reads what Bandit 1.9 writes of files with odd names", () => {
    const { examined } = readSarif("security:bandit", sample("bandit-odd-names.sarif.json"), [])
    expect([...new Set(examined.found.map(({ file }) => file))].sort()).toEqual([
      "services/api/src/@x/y#1.py",
      "services/api/src/a+b.py",
      "services/api/src/my dir/größe.py",
    ])
    expect(examined.found).toHaveLength(12)
  })

  it("keeps the ids of tools that have dots in them", () => {
    const ids = ["snyk:lic:pip:alpha:GPL-3.0", "snyk:lic:pip:beta:LGPL-3.0"]
    const text = JSON.stringify({
      runs: [
        {
          tool: { driver: { name: "Snyk", rules: ids.map((id) => ({ id })) } },
          results: ids.map((id) => result(id, "requirements.txt")),
        },
      ],
    })
    expect(readSarif("security:snyk", text, []).examined.found.map(({ id }) => id)).toEqual(ids)
  })

  it("keeps ids that are longer than a line, so that an ignore finds them", () => {
    const id = `snyk:${"x".repeat(300)}`
    const text = JSON.stringify({
      runs: [{ tool: { driver: { name: "Snyk" } }, results: [result(id, "a")] }],
    })
    expect(readSarif("security:snyk", text, []).examined.found[0]?.id).toBe(id)
    expect(readSarif("security:snyk", text, [{ ...ignore, id, path: "a" }]).examined.ignored).toBe(1)
  })

  it("refuses anything but a log", () => {
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
      expect.objectContaining({
        severity: "high",
        title: "its licence is forbidden",
        file: "a b/METADATA",
        id: "GPL-2.0-only",
      }),
    ])
  })
})
