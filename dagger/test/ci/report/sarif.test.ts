import { describe, expect, it } from "vitest"
import { githubLimits, mergeSarif } from "../../../src/ci/report/sarif.js"
import { sample } from "./fixtures.js"

interface Merged {
  version: string
  runs: {
    automationDetails: { id: string }
    tool: { driver: { name: string; rules: { id: string }[] } }
    originalUriBaseIds?: object
    invocations?: {
      executionSuccessful: boolean
      toolExecutionNotifications?: { message: { text: string } }[]
    }[]
    results: {
      ruleId: string
      locations?: { physicalLocation: { artifactLocation: { uri: string; uriBaseId?: string } } }[]
    }[]
  }[]
}
const read = (text: string | undefined) => JSON.parse(text ?? "") as Merged
const log = (run: object) => JSON.stringify({ version: "2.1.0", runs: [run] })
const driver = (name: string, rules: object[] = []) => ({ tool: { driver: { name, rules } } })
const result = (ruleId: string, rest: object = {}) => ({
  ruleId,
  message: { text: `about ${ruleId}` },
  ...rest,
})
const at = (uri: string, uriBaseId?: string) => ({
  locations: [
    {
      physicalLocation: {
        artifactLocation: { uri, ...(uriBaseId !== undefined && { uriBaseId }) },
        region: { startLine: 3 },
      },
    },
  ],
})

describe("mergeSarif", () => {
  it("reads Bandit's log, the most severe first", () => {
    const { files, scans } = mergeSarif([
      { gate: "api:sast", folder: "services/api", text: sample("bandit.sarif.json") },
    ])
    expect(scans[0]).toMatchObject({ tool: "Bandit", category: "api:sast/Bandit", suppressed: 0, dropped: 0 })
    expect(scans[0]?.counts).toEqual({ critical: 0, high: 1, medium: 0, low: 4, note: 0 })
    expect(scans[0]?.alerts[0]).toMatchObject({
      rule: "B324",
      severity: "high",
      file: "services/api/app/bad.py",
      line: 6,
    })
    expect(read(files[0]).runs[0]?.results[0]).toMatchObject({ ruleId: "B324" })
  })

  it("keeps tools of one gate, and runs of one tool, apart by category", () => {
    const two = JSON.stringify({ version: "2.1.0", runs: [driver("Trivy"), driver("Trivy")] })
    const { files } = mergeSarif([
      { gate: "api:scan", text: two },
      { gate: "web:scan", text: log(driver("Trivy")) },
    ])
    expect(read(files[0]).runs.map(({ automationDetails }) => automationDetails.id)).toEqual([
      "api:scan/Trivy/",
      "api:scan/Trivy-2/",
      "web:scan/Trivy/",
    ])
  })

  it("ranks by security-severity before level", () => {
    const rules = [
      { id: "mild", properties: { "security-severity": "4.1" } },
      { id: "grave", properties: { "security-severity": "9.8" } },
      { id: "byDefault", defaultConfiguration: { level: "error" } },
    ]
    const results = [
      result("unknown"),
      result("mild", { level: "error" }),
      { message: { text: "by index" }, ruleIndex: 2 },
      result("grave/1", { level: "note" }),
      result("kept", { kind: "pass" }),
      result("accepted", { suppressions: [{ kind: "external" }], level: "error" }),
    ]
    const { scans } = mergeSarif([{ gate: "a", text: log({ ...driver("T", rules), results }) }])
    expect(scans[0]?.alerts.map(({ rule, severity }) => [rule, severity])).toEqual([
      ["grave/1", "critical"],
      ["byDefault", "high"],
      ["unknown", "medium"],
      ["mild", "medium"],
    ])
    expect(scans[0]?.suppressed).toBe(1)
  })

  it("makes every place relative to the repository", () => {
    const run = {
      ...driver("T"),
      originalUriBaseIds: { ROOTPATH: { uri: "file:///" }, SRC: { uri: "file:///services/api/src/" } },
      invocations: [
        {
          executionSuccessful: true,
          workingDirectory: { uri: "file:///services/api" },
          environmentVariables: { TOKEN: "x" },
        },
      ],
      results: [
        "file:///services/api/a.py",
        "/build/services/api/b.py",
        "./c.py",
        "services/api/d.py",
        "../web/e.ts",
      ]
        .map((uri) => result("r", at(uri)))
        .concat(
          result("r", at("requirements.txt", "ROOTPATH")),
          result("r", at("f.py", "SRC")),
          result("r", at("/etc/passwd")),
        ),
    }
    const { files } = mergeSarif([{ gate: "a", folder: "services/api", text: log(run) }])
    const [merged] = read(files[0]).runs
    const places = merged?.results.map(({ locations }) => locations?.[0]?.physicalLocation.artifactLocation)
    expect(places?.map((place) => place?.uri)).toEqual([
      "services/api/a.py",
      "services/api/b.py",
      "services/api/c.py",
      "services/api/d.py",
      "services/web/e.ts",
      "services/api/requirements.txt",
      "services/api/src/f.py",
      "etc/passwd",
    ])
    expect(files[0]).not.toMatch(/uriBaseId|file:|environmentVariables|workingDirectory/i)
  })

  it("keeps a tool that failed as one that failed", () => {
    const invocations = [
      {
        executionSuccessful: false,
        toolExecutionNotifications: [{ level: "error", message: { text: "no rules" } }],
      },
    ]
    const { files, scans } = mergeSarif([
      { gate: "a", text: log({ ...driver("Semgrep"), invocations, results: [] }) },
    ])
    expect(scans[0]?.failure).toBe("no rules")
    expect(read(files[0]).runs[0]?.invocations?.[0]?.executionSuccessful).toBe(false)
  })

  it.each([
    ["", "its SARIF log is empty"],
    [log({ ...driver("T"), results: [result("a")] }).slice(0, 60), "its SARIF log is cut off or no JSON"],
    ["[]", "its log is not SARIF"],
    [`{"runs":[]}`, "it has no run"],
    [`{"runs":[{"tool":{}}]}`, "runs.0.tool.driver"],
  ])("takes a log that cannot be read (%j) for a tool that failed", (text, reason) => {
    const { files, scans } = mergeSarif([
      { gate: "api:trivy", text },
      { gate: "web:trivy", text: log({ ...driver("Trivy"), results: [result("x")] }) },
    ])
    expect(scans[0]?.failure).toContain(reason)
    expect(scans[1]?.alerts).toHaveLength(1)
    expect(read(files[0]).runs[0]?.invocations?.[0]?.executionSuccessful).toBe(false)
  })

  it("has at most 20 runs a file", () => {
    const logs = Array.from({ length: 45 }, (_, at) => ({ gate: `gate-${at}`, text: log(driver("T")) }))
    const { files } = mergeSarif(logs)
    expect(files.map((file) => read(file).runs.length)).toEqual([20, 20, 5])
  })

  it("drops the least severe above the limit of results, and says how many", () => {
    const results = Array.from({ length: 26_000 }, (_, at) =>
      result("r", { level: at < 1_500 ? "note" : "error" }),
    )
    const { files, scans } = mergeSarif([{ gate: "a", text: log({ ...driver("T"), results }) }])
    const [run] = read(files[0]).runs
    expect(run?.results).toHaveLength(githubLimits.results)
    expect(scans[0]?.dropped).toBe(1_000)
    expect(scans[0]?.counts).toMatchObject({ high: 24_500, low: 1_500 })
    const notes = run?.invocations?.[0]?.toolExecutionNotifications?.map(({ message }) => message.text)
    expect(notes?.[0]).toBe(
      "1,000 results of 26000 left out, the least severe, to stay within GitHub's limits.",
    )
    expect(notes?.[1]).toContain("5000 most severe")
  })

  it("keeps every file below the limit of bytes, and the most severe in it", () => {
    const limits = { ...githubLimits, bytes: 20_000 }
    const big = (level: string, length: number) =>
      Array.from({ length }, (_, at) =>
        result(`${level}-${at}`, { level, message: { text: "é".repeat(100) } }),
      )
    const logs = ["a", "b", "c"].map((gate) => ({
      gate,
      text: log({ ...driver(gate), results: [...big("note", 100), ...big("error", 20)] }),
    }))
    const { files, scans } = mergeSarif(logs, limits)
    expect(files.length).toBe(3)
    for (const file of files) {
      expect(Buffer.byteLength(file)).toBeLessThanOrEqual(limits.bytes)
      expect(read(file).runs[0]?.results.filter(({ ruleId }) => ruleId.startsWith("error"))).toHaveLength(20)
    }
    expect(scans.every(({ dropped }) => dropped > 0 && dropped < 100)).toBe(true)
  })

  it("lets go of rules that nothing uses before it drops results", () => {
    const rules = Array.from({ length: 100 }, (_, at) => ({
      id: `rule-${at}`,
      help: { text: "x".repeat(500) },
    }))
    const results = [{ message: { text: "used" }, ruleIndex: 7 }]
    const limits = { ...githubLimits, bytes: 5_000 }
    const { files, scans } = mergeSarif(
      [{ gate: "a", text: log({ ...driver("T", rules), results }) }],
      limits,
    )
    expect(scans[0]?.dropped).toBe(0)
    expect(read(files[0]).runs[0]?.tool.driver.rules.map(({ id }) => id)).toEqual(["rule-7"])
    expect(read(files[0]).runs[0]?.results[0]?.ruleId).toBe("rule-7")
  })

  it("makes no file of nothing", () => {
    expect(mergeSarif([])).toEqual({ files: [], scans: [] })
  })
})
