import { z } from "zod"
import {
  bySeverity,
  encoded,
  isFinding,
  isSuppressed,
  levelOf,
  messageOf,
  placeOf,
  readSarifLog,
  ruleFinder,
  ruleIdOf,
  rulesOf,
  type SarifLocation,
  type SarifResult,
  type SarifRule,
  type SarifRun,
  scoreOf,
  severityOf,
  toolOf,
  fileOf,
  whyIncomplete,
  sarifVersion,
} from "./sarif-log.js"
import { isLine } from "./paths.js"
import { type Severity, severities } from "./severity.js"
import { clip, count, oneLine } from "../../lib/text.js"

/** GitHub's limits for an upload. It refuses a larger one, and shows the first `shownResults` of a run. Bytes are counted before compression. */
export const githubLimits = {
  runs: 20,
  results: 25_000,
  shownResults: 5_000,
  rules: 25_000,
  locations: 1_000,
  tags: 20,
  bytes: 10_000_000,
}

/** A SARIF log as a tool wrote it. */
export interface Log {
  gate: string
  /** Where in the repository the tool ran. */
  folder?: string
  text: string
}

/** A result of a scanner. */
export interface ScanAlert {
  tool: string
  rule: string
  severity: Severity
  /** A path in the repository, not a URI. */
  file?: string
  line?: number
  message: string
}

/** The result of one tool. */
export interface Scan {
  gate: string
  tool: string
  /** GitHub keeps the alerts of each category apart. */
  category: string
  /** Why the result is incomplete: the tool did not finish, or its log cannot be read. */
  failure?: string
  counts: Record<Severity, number>
  /** Results that were accepted with a reason. */
  suppressed: number
  /** Results left out of the upload because of GitHub's limits. */
  dropped: number
  /** Other changes that GitHub's rules require, one sentence each. */
  changes: string[]
  /** The worst first. */
  alerts: ScanAlert[]
}

export interface Merged {
  /** The SARIF log to upload; none if no tool ran. */
  files: string[]
  scans: Scan[]
}

/**
 * Merges the logs of all tools into one log that GitHub accepts.
 *
 * GitHub combines the logs of a folder into one upload, so its limits apply to all tools together. If there are too many runs, those of
 * one tool are merged. The least severe results are dropped first. A notification in the run says what was changed.
 * A tool that failed or whose log cannot be read becomes a run that was not successful.
 */
export function mergeSarif(logs: Log[], limits = githubLimits): Merged {
  const parts = logs.flatMap((log) => runsOf(log).map((run) => partOf(log, run)))
  const groups = grouped(parts, limits.runs)
  fit(groups, limits)
  return {
    files: groups.length === 0 ? [] : [wrap(groups.map((group) => writeRun(group, limits)))],
    scans: groups
      .flatMap((group) => group.parts.map((part) => ({ part, category: group.category })))
      .sort((a, b) => parts.indexOf(a.part) - parts.indexOf(b.part))
      .map(({ part, category }) => scanOf(part, category)),
  }
}

/** A result in the making. */
interface Ranked {
  result: SarifResult
  rule: SarifRule | undefined
  severity: Severity
  /** The JSON to upload; empty if the result is dropped. */
  written: string
}

/** A tool's run in the making. */
interface ToolRun {
  gate: string
  tool: string
  run: SarifRun
  folder: string | undefined
  failure: string | undefined
  ranked: Ranked[]
  dropped: number
  changes: Changes
  /** Precedes rule ids if several tools share a run. */
  prefix: string
}

type Limits = typeof githubLimits

/** The number of results for each kind of change. */
type Changes = Map<string, number>

function runsOf({ gate, text }: Log): SarifRun[] {
  try {
    return readSarifLog(text).runs
  } catch (error) {
    // An unreadable log does not mean that nothing was found.
    const reason = error instanceof Error ? error.message : String(error)
    const toolExecutionNotifications = [{ level: "error", message: { text: reason } }]
    return [
      {
        tool: { driver: { name: gate.split(":").at(-1) ?? gate } },
        results: [],
        invocations: [{ executionSuccessful: false, toolExecutionNotifications }],
      },
    ]
  }
}

function partOf({ gate, folder }: Log, run: SarifRun): ToolRun {
  const findRule = ruleFinder(run)
  const found = (run.results ?? []).filter(isFinding).map((result) => {
    const rule = findRule(result)
    return { result, rule, severity: severityOf(result, rule), written: "" }
  })
  const failure = whyIncomplete(run)
  const changes: Changes = new Map()
  for (const rule of rulesOf(run)) {
    const written = rule.properties?.["security-severity"]
    const score = scoreOf(rule)
    if (written === undefined || Number(written) === score) continue
    const how = score === undefined ? "is left out" : `is taken for ${score}`
    note(
      changes,
      `of a rule: the severity ${oneLine(JSON.stringify(written), 20)} is no score from 0 to 10 and ${how}`,
    )
  }
  const { informationUri } = run.tool.driver
  for (const [of, address] of [
    ...rulesOf(run).map(({ helpUri }): [string, unknown] => ["a rule: its helpUri", helpUri]),
    ["the tool: its informationUri", informationUri] as [string, unknown],
  ]) {
    if (address !== undefined && !isUri(address))
      note(changes, `of ${of} ${oneLine(JSON.stringify(address), 80)} is no address and is left out`)
  }
  for (const [name, time] of timesOf(run)) {
    if (!isTime(time))
      note(changes, `of the run: its ${name} ${oneLine(JSON.stringify(time), 40)} is no time and is left out`)
  }
  return {
    gate,
    tool: toolOf(run),
    run,
    folder,
    failure: failure === undefined ? undefined : oneLine(failure, 300),
    ranked: bySeverity(found),
    dropped: 0,
    changes,
    prefix: "",
  }
}

function scanOf(part: ToolRun, category: string): Scan {
  const { gate, tool, failure, ranked, dropped, run, folder } = part
  const active = ranked.filter(({ result }) => !isSuppressed(result))
  const counts = Object.fromEntries(
    severities.map((severity) => [severity, active.filter((one) => one.severity === severity).length]),
  ) as Scan["counts"]
  return {
    gate,
    tool,
    category,
    ...(failure !== undefined && { failure }),
    counts,
    suppressed: ranked.length - active.length,
    dropped,
    changes: sentences(part.changes),
    alerts: active.map(({ result, rule, severity }) => ({
      tool,
      rule: ruleIdOf(result, rule),
      severity,
      ...placeOf(result, run, folder),
      message: messageOf(result, rule),
    })),
  }
}

/** How much of the rules is uploaded. */
type Detail = "all" | "used" | "short" | "none"

/** Parts that become one run of the upload. */
interface Group {
  name: string
  category: string
  parts: ToolRun[]
  rules: Detail
}

function grouped(parts: ToolRun[], most: number): Group[] {
  const taken = new Set<string>()
  const group = (name: string, owner: string, parts: ToolRun[]): Group => ({
    name,
    category: unique(`${owner}/${name.replace(/[^\w.-]+/g, "-")}`, taken),
    parts,
    rules: "all",
  })
  if (parts.length <= most) return parts.map((part) => group(part.tool, part.gate, [part]))
  const tools = [...new Set(parts.map(({ tool }) => tool))]
  const own = tools.length <= most ? tools : tools.slice(0, most - 1)
  const rest = parts.filter(({ tool }) => !own.includes(tool))
  for (const part of rest) part.prefix = `${part.tool}/`
  const groups = own.map((name) =>
    group(
      name,
      "all",
      parts.filter(({ tool }) => tool === name),
    ),
  )
  return rest.length > 0 ? [...groups, group("Other scanners", "all", rest)] : groups
}

function unique(name: string, taken: Set<string>): string {
  let category = name
  for (let number = 2; taken.has(category); number++) category = `${name}-${number}`
  taken.add(category)
  return category
}

/** Decides which results fit, the most severe of all tools first. */
function fit(groups: Group[], limits: Limits): void {
  const parts = groups.flatMap((group) => group.parts)
  for (const part of parts) for (const one of part.ranked) one.written = writeResult(one, part, limits)
  const all = bySeverity(
    groups.flatMap((group) =>
      group.parts.flatMap((part) => part.ranked.map((one) => ({ severity: one.severity, one, part, group }))),
    ),
  )
  const needed = all.reduce((sum, { one }) => sum + bytes(one.written) + 1, 0)
  const room = (rules: Detail, results: number) => {
    for (const group of groups) group.rules = rules
    const around = bytes(wrap(groups.map((group) => writeRun(group, limits, false))))
    return limits.bytes - around - noteBytes * parts.length - results
  }
  // Unused rules are dropped before any result. Used rules are kept, because they hold the severity.
  let left = room("all", needed) < 0 ? room("used", 0) : room("all", 0)
  if (left < 0) left = room("short", 0)
  if (left < 0) left = room("none", 0)
  const kept = new Map<Group, number>()
  for (const { one, part, group } of all) {
    const number = kept.get(group) ?? 0
    const size = bytes(one.written) + 1
    if (number < limits.results && size <= left) {
      left -= size
      kept.set(group, number + 1)
    } else {
      one.written = ""
      part.dropped++
    }
  }
}

/** Bytes reserved per tool for notifications about dropped results. */
const noteBytes = 400

const wrap = (runs: string[]) => `${JSON.stringify(sarifVersion).slice(0, -1)},"runs":[${runs.join(",")}]}\n`

function writeRun(group: Group, limits: Limits, withResults = true): string {
  const { name, category, parts, rules } = group
  const results = withResults
    ? bySeverity(parts.flatMap(({ ranked }) => ranked))
        .map(({ written }) => written)
        .filter((written) => written !== "")
    : []
  const head = {
    tool: { driver: { ...versionOf(parts), name, rules: writeRules(parts, rules, limits) } },
    automationDetails: { id: `${category}/` },
    invocations: parts.map((part) => writeInvocation(part, results.length, rules, limits)),
  }
  return `${JSON.stringify(head).slice(0, -1)},"results":[${results.join(",")}]}`
}

function versionOf([first, ...more]: ToolRun[]): object {
  if (!first || more.length > 0) return {}
  const { version, semanticVersion, organization, informationUri } = first.run.tool.driver
  return strings({ version, semanticVersion, organization, ...uris({ informationUri }) })
}

function writeRules(parts: ToolRun[], detail: Detail, limits: Limits): object[] {
  const written = new Map<string, object>()
  if (detail === "none") return []
  for (const { ranked, run, prefix } of parts) {
    const used = new Map(ranked.flatMap(({ rule }) => (rule ? [[rule.id, rule]] : [])))
    // Used rules come first, so that the limit does not drop them.
    for (const rule of [...used.values(), ...(detail === "all" ? rulesOf(run) : [])]) {
      const id = prefix + rule.id
      if (written.size < limits.rules && !written.has(id))
        written.set(id, { ...writeRule(rule, detail, limits), id })
    }
  }
  return [...written.values()]
}

function writeRule(rule: SarifRule, detail: Detail, limits: Limits): object {
  const { tags, ...properties } = rule.properties ?? {}
  const [score, level] = [scoreOf(rule), levelOf(rule.defaultConfiguration?.level)]
  const names = Array.isArray(tags) ? tags.filter((tag): tag is string => typeof tag === "string") : []
  return {
    ...(detail !== "short" && {
      ...strings({ name: rule.name, ...uris({ helpUri: rule.helpUri }) }),
      ...texts(
        rule,
        detail === "all" ? ["shortDescription", "fullDescription", "help"] : ["shortDescription"],
      ),
    }),
    ...(level && { defaultConfiguration: { level } }),
    properties: {
      ...(detail === "all" && strings(properties)),
      ...(names.length > 0 && { tags: [...new Set(names)].slice(0, limits.tags) }),
      "security-severity": score === undefined ? undefined : String(score),
    },
  }
}

/** The valid texts of a rule. */
function texts(rule: Record<string, unknown>, names: string[]): object {
  const written = names.flatMap((name) => {
    const { text, markdown } = bag(rule[name])
    if (typeof text !== "string" || text === "") return []
    return [[name, strings({ text: clip(text, longestText), markdown })] as const]
  })
  return Object.fromEntries(written)
}

/** When a run began and ended, as far as its tool says so. */
const timesOf = ({ invocations: [first] = [] }: SarifRun): [string, unknown][] =>
  ["startTimeUtc", "endTimeUtc"].flatMap((name): [string, unknown][] =>
    first?.[name] === undefined ? [] : [[name, first[name]]],
  )

/** GitHub refuses a log with another time. */
const isTime = (time: unknown): boolean => z.iso.datetime({ offset: true }).safeParse(time).success

/** GitHub refuses a log with another address. */
const isUri = (text: unknown): text is string =>
  typeof text === "string" &&
  /^[a-z][a-z0-9+.-]*:([\w.~!$&'()*+,;=:@/?-]|%[0-9a-f]{2})*(#([\w.~!$&'()*+,;=:@/?-]|%[0-9a-f]{2})*)?$/i.test(
    text,
  )

const uris = (values: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => isUri(value)))

function writeInvocation(part: ToolRun, kept: number, rules: Detail, limits: Limits): object {
  const notes = [
    part.dropped > 0 &&
      `${count(part.dropped, "result")} of ${part.ranked.length} left out, the least severe, to stay within GitHub's limits.`,
    kept > limits.shownResults &&
      `GitHub shows the ${limits.shownResults} most severe of these ${kept} results.`,
    rules === "used" && "Rules without results, and long texts of rules, are left out.",
    rules === "short" && "What rules say of themselves is left out.",
    rules === "none" && "Rules are left out.",
    ...sentences(part.changes),
  ].filter((note) => note !== false)
  return {
    executionSuccessful: part.failure === undefined,
    ...Object.fromEntries(timesOf(part.run).filter(([, time]) => isTime(time))),
    toolExecutionNotifications: [
      ...(part.failure === undefined ? [] : [{ level: "error", message: { text: part.failure } }]),
      ...notes.map((text) => ({ level: "warning", message: { text } })),
    ],
  }
}

/** GitHub refuses results without a file: they are put on one that every checkout has. */
const placeless = "dagger.json"

/** Characters of a text; GitHub shows fewer. */
const longestText = 20_000

/** Bytes. A larger result is reduced to what GitHub needs. */
const largest = 200_000

function writeResult({ result, rule }: Ranked, part: ToolRun, limits: Limits): string {
  const { changes, prefix } = part
  const id = ruleIdOf(result, rule)
  const level = levelOf(result.level)
  if (result.level !== undefined && level !== result.level) {
    note(changes, `had the level "${oneLine(result.level, 20)}", which SARIF does not have`)
  }
  const locations = (result.locations ?? []).flatMap((one) => writeLocation(one, part, changes))
  if (locations.length === 0) {
    note(changes, `had no file and is put on ${placeless}`)
    locations.push({ physicalLocation: { artifactLocation: { uri: placeless }, region: { startLine: 1 } } })
  }
  if (locations.length > limits.locations) note(changes, `lost locations above ${limits.locations}`)
  const text = messageOf(result, rule) || id || part.tool
  if (text.length > longestText)
    note(changes, `had a text of more than ${longestText.toLocaleString("en-US")} characters, which is cut`)
  const core = {
    ...(id !== "" && { ruleId: prefix + id }),
    ...(level && { level }),
    message: { text: clip(text, longestText) },
    locations: locations.slice(0, limits.locations),
    ...(result.suppressions && { suppressions: different(result.suppressions.map(writeSuppression)) }),
    partialFingerprints: strings(bag(result.partialFingerprints)),
  }
  const codeFlows = list(result.codeFlows).map((flow) => ({ threadFlows: threadFlows(flow, part) }))
  const whole = JSON.stringify({
    ...core,
    ...(codeFlows.some((flow) => flow.threadFlows.length > 0) && { codeFlows }),
    relatedLocations: different(
      list(result.relatedLocations).flatMap((one) => writeLocation(one as SarifLocation, part)),
    ),
    properties: Object.fromEntries(
      Object.entries(bag(result.properties)).filter(([name]) => name !== "tags"),
    ),
  })
  if (bytes(whole) <= largest) return whole
  note(changes, `was larger than ${largest.toLocaleString("en-US")} bytes and lost its details`)
  return JSON.stringify({ ...core, locations: core.locations.slice(0, 1), partialFingerprints: {} })
}

function threadFlows(flow: unknown, part: ToolRun): object[] {
  return list(bag(flow).threadFlows)
    .map((thread) => ({
      locations: list(bag(thread).locations).flatMap((step) =>
        writeLocation(bag(bag(step).location) as SarifLocation, part).map((location) => ({ location })),
      ),
    }))
    .filter(({ locations }) => locations.length > 0)
}

/** Writes a location in a file of the repository, and no other. */
function writeLocation(location: SarifLocation, { run, folder }: ToolRun, changes?: Changes): object[] {
  const { artifactLocation, region = {} } = location.physicalLocation ?? {}
  const file = fileOf(artifactLocation, run, folder)
  if (file === undefined) return []
  const { startLine, startColumn, endLine, endColumn } = region
  const line = isLine(startLine) ? startLine : 1
  if (line !== startLine && changes) note(changes, "had no line and is put on line 1")
  const text = bag(bag(location).message).text
  return [
    {
      physicalLocation: {
        artifactLocation: { uri: encoded(file) },
        region: {
          startLine: line,
          ...(line === startLine && {
            ...(isLine(startColumn) && { startColumn }),
            ...(isLine(endLine) && endLine >= line && { endLine }),
            ...(isLine(endColumn) && { endColumn }),
          }),
        },
      },
      ...(typeof text === "string" && { message: { text: clip(text, longestText) } }),
    },
  ]
}

function writeSuppression({
  status,
  kind,
  justification,
}: { status?: string } & Record<string, unknown>): object {
  return {
    kind: kind === "inSource" ? "inSource" : "external",
    ...(status !== undefined && {
      status: ["accepted", "rejected"].includes(status) ? status : "underReview",
    }),
    ...strings({ justification }),
  }
}

function note(changes: Changes, what: string): void {
  changes.set(what, (changes.get(what) ?? 0) + 1)
}

/** The most sentences about changes per tool. */
const mostChanges = 20

function sentences(changes: Changes): string[] {
  return [...changes].slice(0, mostChanges).map(([what, times]) => `${count(times, "result")} ${what}.`)
}

const strings = (values: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(values).filter(
      (entry): entry is [string, string] => typeof entry[1] === "string" && entry[1] !== "",
    ),
  )

const bag = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {}

/** SARIF has no such object twice in a list. */
const different = (objects: object[]): object[] => [
  ...new Map(objects.map((object) => [JSON.stringify(object), object])).values(),
]

const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])

function bytes(text: string): number {
  return Buffer.byteLength(text)
}
