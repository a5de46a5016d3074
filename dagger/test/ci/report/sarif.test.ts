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
      result("odd", { level: "blocker" }),
      result("grave/1", { level: "note" }),
      result("kept", { kind: "pass" }),
      result("accepted", { suppressions: [{ kind: "external" }], level: "error" }),
    ]
    const { scans } = mergeSarif([{ gate: "a", text: log({ ...driver("T", rules), results }) }])
    expect(scans[0]?.alerts.map(({ rule, severity }) => [rule, severity])).toEqual([
      ["grave/1", "critical"],
      ["byDefault", "high"],
      ["odd", "high"],
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

  it("is one upload of at most 20 runs: those of one tool become one where there are more", () => {
    const of = (tool: (at: number) => string) =>
      Array.from({ length: 45 }, (_, at) => ({
        gate: `gate-${at}`,
        text: log({
          ...driver(tool(at), [{ id: "r" }]),
          results: [result("r", at === 44 ? { level: "error" } : {})],
        }),
      }))
    const two = mergeSarif(of((at) => (at % 3 === 0 ? "Trivy" : "Semgrep")))
    expect(two.files.map((file) => read(file).runs.map(({ results }) => results.length))).toEqual([[15, 30]])
    expect(two.scans.map(({ gate }) => gate)).toEqual(of(() => "").map(({ gate }) => gate))
    const many = mergeSarif(of((at) => `tool ${at}`))
    const [upload] = many.files.map(read)
    expect(upload?.runs).toHaveLength(20)
    expect(new Set(upload?.runs.map(({ automationDetails }) => automationDetails.id)).size).toBe(20)
    expect(upload?.runs.flatMap(({ results }) => results)).toHaveLength(45)
    // Rules of different tools stay apart.
    expect(upload?.runs.at(-1)?.results[0]?.ruleId).toBe("tool 44/r")
    expect(upload?.runs.at(-1)?.tool.driver.rules).toHaveLength(26)
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

  it("keeps the upload below the limit of bytes, with the most severe results of all tools", () => {
    const limits = { ...githubLimits, bytes: 40_000 }
    const big = (level: string, length: number) =>
      Array.from({ length }, (_, at) =>
        result(`${level}-${at}`, { level, message: { text: "é".repeat(100) } }),
      )
    const logs = ["a", "b", "c"].map((gate) => ({
      gate,
      text: log({ ...driver(gate), results: [...big("note", 100), ...big("error", 20)] }),
    }))
    const { files, scans } = mergeSarif(logs, limits)
    expect(files).toHaveLength(1)
    expect(Buffer.byteLength(files[0] ?? "")).toBeLessThanOrEqual(limits.bytes)
    const runs = read(files[0]).runs
    for (const { results } of runs) {
      expect(results.filter(({ ruleId }) => ruleId.startsWith("error"))).toHaveLength(20)
    }
    expect(runs.flatMap(({ results }) => results).length).toBeLessThan(360)
    expect(scans.reduce((sum, { dropped }) => sum + dropped, 0)).toBe(
      360 - runs.flatMap(({ results }) => results).length,
    )
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

  it("writes no file without logs", () => {
    expect(mergeSarif([])).toEqual({ files: [], scans: [] })
  })
})

/** What GitHub refuses an upload for; undefined for one that it takes. */
function refused(text: string): string | undefined {
  const { runs } = JSON.parse(text) as { runs: Record<string, unknown>[] }
  if (runs.length > 20) return "too many runs"
  if (Buffer.byteLength(text) > githubLimits.bytes) return "too large"
  for (const run of runs as unknown as Written[]) {
    const { rules } = run.tool.driver
    if (new Set(rules.map(({ id }) => id)).size < rules.length) return "a rule twice"
    const addresses = [run.tool.driver.informationUri, ...rules.map(({ helpUri }) => helpUri)]
    const odd = addresses.find((uri) => uri !== undefined && !/^[a-z][a-z0-9+.-]*:\S*$/i.test(uri))
    if (odd !== undefined) return `address ${odd}`
    for (const { properties = {} } of rules) {
      const { "security-severity": score, tags = [] } = properties
      if (
        score !== undefined &&
        !(typeof score === "string" && score !== "" && Number(score) >= 0 && Number(score) <= 10)
      )
        return `severity ${JSON.stringify(score)}`
      if (tags.length > 20 || new Set(tags).size < tags.length) return "tags"
    }
    for (const { message, level, locations, ruleIndex, relatedLocations, suppressions } of run.results) {
      for (const unique of [relatedLocations, suppressions]) {
        if (new Set(unique?.map((one) => JSON.stringify(one))).size < (unique?.length ?? 0)) return "twice"
      }
      if (typeof message.text !== "string" || message.text === "") return "no message"
      if (level !== undefined && !["none", "note", "warning", "error"].includes(level))
        return `level ${level}`
      if (ruleIndex !== undefined) return "an index"
      if (locations.length === 0 || locations.length > 1000) return `${locations.length} locations`
      for (const { physicalLocation } of locations) {
        const { uri } = physicalLocation.artifactLocation
        if (!/^[\w.!~*'()%/-]+$/.test(uri) || uri.startsWith("/")) return `uri ${uri}`
        const { startLine, endLine = startLine, startColumn = 1, endColumn = 1 } = physicalLocation.region
        for (const number of [startLine, endLine, startColumn, endColumn])
          if (!Number.isInteger(number) || number < 1) return `place ${number}`
        if (endLine < startLine) return "ends before it begins"
      }
    }
  }
  return undefined
}
interface Written {
  tool: {
    driver: {
      informationUri?: string
      rules: {
        id: string
        helpUri?: string
        properties?: { "security-severity"?: unknown; tags?: string[] }
      }[]
    }
  }
  results: {
    message: { text: unknown }
    level?: string
    ruleIndex?: number
    relatedLocations?: object[]
    suppressions?: object[]
    locations: {
      physicalLocation: {
        artifactLocation: { uri: string }
        region: { startLine: number; endLine?: number; startColumn?: number; endColumn?: number }
      }
    }[]
  }[]
}

describe("every upload is one that GitHub takes", () => {
  const merge = (results: object[], rules: object[] = [{ id: "r" }]) =>
    mergeSarif([{ gate: "a:scan", text: log({ ...driver("T", rules), results }) }])
  const notes = (files: string[]) =>
    read(files[0]).runs[0]?.invocations?.[0]?.toolExecutionNotifications?.map(({ message }) => message.text)

  it.each<[string, object, RegExp]>([
    ["no location", result("r"), /1 result had no file and is put on dagger\.json/],
    ["an empty list of locations", result("r", { locations: [] }), /had no file/],
    [
      "only a logical location",
      result("r", { locations: [{ logicalLocations: [{ name: "f" }] }] }),
      /had no file/,
    ],
    ["a location elsewhere", result("r", at("https://example.org/a.py")), /had no file/],
    ["a location in git", result("r", at("git::https:/example.org/a.tf")), /had no file/],
    ["a level of its own", result("r", { ...at("a.py"), level: "Critical" }), /had the level "Critical"/],
    [
      "line 0",
      result("r", {
        locations: [
          { physicalLocation: { artifactLocation: { uri: "a.py" }, region: { startLine: 0, endLine: 0 } } },
        ],
      }),
      /had no line and is put on line 1/,
    ],
    [
      "no region",
      result("r", { locations: [{ physicalLocation: { artifactLocation: { uri: "a.py" } } }] }),
      /no line/,
    ],
    [
      "too many locations",
      result("r", { locations: Array.from({ length: 1001 }, () => at("a.py").locations[0]) }),
      /lost locations above 1000/,
    ],
    [
      "more than fits",
      result("r", { ...at("a.py"), properties: { dump: "x".repeat(11_000_000) } }),
      /lost its details/,
    ],
    [
      "a message that is too long",
      { ...result("r", at("a.py")), message: { text: "x".repeat(11_000_000) } },
      /^/,
    ],
  ])("a result with %s is kept, and the change reported", (_, one, change) => {
    const { files, scans } = merge([one, result("r", at("b.py"))])
    expect(refused(files[0] ?? "")).toBeUndefined()
    expect(read(files[0]).runs[0]?.results).toHaveLength(2)
    expect(scans[0]?.changes.join(" ")).toMatch(change)
    expect(notes(files)?.join(" ") ?? "").toMatch(change)
  })

  it.each([
    ["undefined", undefined],
    ["null", undefined],
    ["", undefined],
    ["NaN", undefined],
    [-1, undefined],
    [{}, undefined],
    ["Medium", "5.5"],
    ["CRITICAL", "9.5"],
    [9.8, "9.8"],
    ["9.8", "9.8"],
    ["98", "10"],
  ])("a severity of %j is written as %j", (severity, written) => {
    const { files, scans } = merge(
      [result("r", at("a.py"))],
      [{ id: "r", properties: { "security-severity": severity } }],
    )
    expect(refused(files[0] ?? "")).toBeUndefined()
    const [rule] = (JSON.parse(files[0] ?? "") as { runs: Written[] }).runs[0]?.tool.driver.rules ?? []
    expect(rule?.properties?.["security-severity"]).toBe(written)
    expect(scans[0]?.changes).toHaveLength(Number(severity) === Number(written) ? 0 : 1)
  })

  it("leaves out addresses that are none, and says so", () => {
    const rules = [
      { id: "r", helpUri: "see the wiki" },
      { id: "s", helpUri: "https://example.org/s" },
      { id: "t", helpUri: "/docs/t.html" },
    ]
    const run = { tool: { driver: { name: "T", informationUri: "example.org", rules } } }
    const { files, scans } = mergeSarif([{ gate: "a:scan", text: log({ ...run, results: [] }) }])
    expect(refused(files[0] ?? "")).toBeUndefined()
    const [written] = (JSON.parse(files[0] ?? "") as { runs: Written[] }).runs
    expect(written?.tool.driver.rules.map(({ helpUri }) => helpUri)).toEqual([
      undefined,
      "https://example.org/s",
      undefined,
    ])
    expect(scans[0]?.changes).toEqual([
      '1 result of a rule: its helpUri "see the wiki" is no address and is left out.',
      '1 result of a rule: its helpUri "/docs/t.html" is no address and is left out.',
      '1 result of the tool: its informationUri "example.org" is no address and is left out.',
    ])
  })

  it.each([
    "https://x/{id}",
    "https://x/a|b",
    "https://x/<a>",
    "https://x/%zz",
    "https://x/ä",
    "https://x/#a#b",
  ])("leaves out %s, which is no URI", (helpUri) => {
    const run = { tool: { driver: { name: "T", rules: [{ id: "r", helpUri }] } } }
    const { files, scans } = mergeSarif([{ gate: "a:scan", text: log({ ...run, results: [] }) }])
    expect(files[0]).not.toContain('"helpUri":')
    expect(scans[0]?.changes).toHaveLength(1)
  })

  it("keeps every part of a URI", () => {
    const helpUri = "https://me@x:8080/a~b/(c)?d=%C3%A4&e=f#g-h"
    const run = { tool: { driver: { name: "T", rules: [{ id: "r", helpUri }] } } }
    expect(mergeSarif([{ gate: "a:scan", text: log({ ...run, results: [] }) }]).files[0]).toContain(helpUri)
  })

  it.each(["../../etc/passwd", "a/../../b.py", "%2e%2e/b.py", "./", ".", "../node_modules/a/b.js"])(
    "puts a result at %s, which is no file of the repository, on one that is",
    (uri) => {
      const { files, scans } = merge([result("r", at(uri))])
      expect(files[0]).toContain('"uri":"dagger.json"')
      expect(scans[0]?.alerts[0]?.file).toBeUndefined()
      expect(scans[0]?.changes).toEqual(["1 result had no file and is put on dagger.json."])
    },
  )

  it("says that a text is cut", () => {
    const { files, scans } = merge([result("r", { ...at("a.py"), message: { text: "x".repeat(30_000) } })])
    expect(files[0]?.length).toBeLessThan(25_000)
    expect(scans[0]?.changes).toEqual(["1 result had a text of more than 20,000 characters, which is cut."])
  })

  it("says that rules without results are left out", () => {
    const rules = Array.from({ length: 8 }, (_, at) => ({
      id: `r${at}`,
      help: { text: "h", markdown: "x".repeat(2_000_000) },
    }))
    const run = { tool: { driver: { name: "T", rules } } }
    const { files } = mergeSarif([
      { gate: "a:scan", text: log({ ...run, results: [result("r1", at("a.py"))] }) },
    ])
    expect(files[0]).toContain("Rules without results, and long texts of rules, are left out.")
  })

  it("names no related place and no suppression twice", () => {
    const [place] = at("b.py").locations
    const accepted = { kind: "external", status: "accepted" }
    const { files } = merge([
      result("r", {
        ...at("a.py"),
        relatedLocations: [place, place],
        suppressions: [accepted, { ...accepted, guid: "1" }],
      }),
    ])
    expect(refused(files[0] ?? "")).toBeUndefined()
  })

  it("leaves out a time that is none, and says so", () => {
    const times = { startTimeUtc: "28 Nov 2026", endTimeUtc: "2026-11-28T10:00:01.5Z" }
    const text = log({
      ...driver("T"),
      results: [result("r", at("a.py"))],
      invocations: [{ executionSuccessful: true, ...times }],
    })
    const { files, scans } = mergeSarif([{ gate: "a:scan", text }])
    const [invocation] = read(files[0]).runs[0]?.invocations ?? []
    expect(invocation).toMatchObject({ executionSuccessful: true, endTimeUtc: times.endTimeUtc })
    expect(invocation).not.toHaveProperty("startTimeUtc")
    expect(scans[0]?.changes).toEqual([
      '1 result of the run: its startTimeUtc "28 Nov 2026" is no time and is left out.',
    ])
  })

  it("has a text where a result only names a message of its rule", () => {
    const rules = [{ id: "r", messageStrings: { default: { text: "{0} is not checked" } } }]
    const { files, scans } = merge(
      [
        { ruleId: "r", message: { id: "default", arguments: ["input"] } },
        { ruleId: "r", message: {} },
      ],
      rules,
    )
    expect(refused(files[0] ?? "")).toBeUndefined()
    expect(scans[0]?.alerts.map(({ message }) => message)).toEqual(["input is not checked", "r"])
  })

  it("drops a result that is too large, and not those behind it", () => {
    const locations = [
      { physicalLocation: { artifactLocation: { uri: "x".repeat(9_000) }, region: { startLine: 1 } } },
    ]
    const limits = { ...githubLimits, bytes: 8_000 }
    const { files, scans } = mergeSarif(
      [
        {
          gate: "a",
          text: log({
            ...driver("T"),
            results: [result("large", { locations, level: "error" }), result("r", at("a.py"))],
          }),
        },
      ],
      limits,
    )
    expect(read(files[0]).runs[0]?.results.map(({ ruleId }) => ruleId)).toEqual(["r"])
    expect(scans[0]?.dropped).toBe(1)
  })

  it("keeps results where it has no room for words about their rules", () => {
    const rules = Array.from({ length: 30 }, (_, at) => ({
      id: `r${at}`,
      shortDescription: { text: "x".repeat(1000) },
    }))
    const limits = { ...githubLimits, bytes: 15_000 }
    const { files, scans } = mergeSarif(
      [
        {
          gate: "a",
          text: log({ ...driver("T", rules), results: rules.map(({ id }) => result(id, at("a.py"))) }),
        },
      ],
      limits,
    )
    expect(Buffer.byteLength(files[0] ?? "")).toBeLessThanOrEqual(limits.bytes)
    expect(scans[0]?.dropped).toBe(0)
  })

  it("takes a rule by its place in an extension", () => {
    const run = {
      tool: {
        driver: { name: "T", rules: [{ id: "mild", properties: { "security-severity": "1" } }] },
        extensions: [{ name: "pack", rules: [{ id: "grave", properties: { "security-severity": "9.9" } }] }],
      },
      results: [{ message: { text: "m" }, rule: { index: 0, toolComponent: { index: 0 } } }],
    }
    const { scans, files } = mergeSarif([{ gate: "a", text: log(run) }])
    expect(scans[0]?.alerts[0]).toMatchObject({ rule: "grave", severity: "critical" })
    expect(refused(files[0] ?? "")).toBeUndefined()
  })
})

describe("a path", () => {
  const place = (uri: string, run: object = {}, artifact: object = { uri }) => {
    const locations = [{ physicalLocation: { artifactLocation: artifact, region: { startLine: 3 } } }]
    const { files, scans } = mergeSarif([
      { gate: "g:scan", text: log({ ...driver("T"), ...run, results: [result("r", { locations })] }) },
    ])
    const written =
      read(files[0]).runs[0]?.results[0]?.locations?.[0]?.physicalLocation.artifactLocation.uri ?? ""
    return { written, file: scans[0]?.alerts[0]?.file }
  }

  it.each([
    ["src/a%2Bb.py", "src/a+b.py"],
    ["src/a+b.py", "src/a+b.py"],
    ["src/%40modal/page.tsx", "src/@modal/page.tsx"],
    ["src/c%23/x.py", "src/c#/x.py"],
    ["src/c#/x.py", "src/c#/x.py"],
    ["src/my%20file.py", "src/my file.py"],
    ["./src/my file.py", "src/my file.py"],
    ["src/gr%C3%B6sse.py", "src/grösse.py"],
    ["src/grösse.py", "src/grösse.py"],
    ["src/100%25.py", "src/100%.py"],
    ["src/100%.py", "src/100%.py"],
    ["src/%2541.py", "src/%41.py"],
    ["src/%ff.py", "src/%ff.py"],
    ["src/what%3F.py", "src/what?.py"],
    ["src/a%3Ab.py", "src/a:b.py"],
    ["file:///src/a%20b.py", "src/a b.py"],
    ["file://host/src/a.py", "src/a.py"],
  ])("of %s is decoded once, and encoded where it is written", (uri, file) => {
    const { written, file: read } = place(uri)
    expect(read).toBe(file)
    expect(decodeURIComponent(written)).toBe(file)
    expect(written).toMatch(/^[\w.%/-]+$/)
  })

  it("is found by the index of its artifact, and below bases that have bases", () => {
    const artifacts = [{ location: { uri: "src/a%2Bb.py" } }]
    expect(place("", { artifacts }, { index: 0 })).toEqual({ written: "src/a%2Bb.py", file: "src/a+b.py" })
    const originalUriBaseIds = {
      SRC: { uri: "my%20src/", uriBaseId: "ROOT" },
      ROOT: { uri: "app/", uriBaseId: "SRC" },
    }
    expect(place("", { originalUriBaseIds }, { uri: "a.py", uriBaseId: "SRC" }).file).toBe("app/my src/a.py")
  })
})
