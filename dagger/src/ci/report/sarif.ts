import { z } from "zod"
import { type Severity, severities } from "./severity.js"
import { inRepository } from "./paths.js"
import { count, oneLine, plain } from "../../lib/text.js"

/** GitHub's limits for code scanning: a file above them is refused, results above `shownResults` are left out there. */
export const githubLimits = { runs: 20, results: 25_000, shownResults: 5_000, bytes: 10_000_000 }

/** A SARIF log as a tool wrote it. */
export interface Log {
  gate: string
  /** Where in the repository the tool ran. */
  folder?: string
  text: string
}

/** Something that a scanner found. */
export interface Alert {
  tool: string
  rule: string
  severity: Severity
  file?: string
  line?: number
  message: string
}

/** What one tool came to. */
export interface Scan {
  gate: string
  tool: string
  /** Under what GitHub keeps its alerts apart from those of others. */
  category: string
  /** Why its result says nothing: it did not finish, or its log cannot be read. */
  failure?: string
  counts: Record<Severity, number>
  /** Accepted in its own configuration, with a reason. */
  suppressed: number
  /** Left out of the files for GitHub's limits. */
  dropped: number
  /** The worst first. */
  alerts: Alert[]
}

export interface Merged {
  /** SARIF logs, each within the limits. */
  files: string[]
  scans: Scan[]
}

const text = z.looseObject({ text: z.string().optional() })
const place = z.looseObject({ uri: z.string().optional(), uriBaseId: z.string().optional() })
const rule = z.looseObject({
  id: z.string(),
  shortDescription: text.optional(),
  defaultConfiguration: z.looseObject({ level: z.string().optional() }).optional(),
  properties: z.looseObject({ "security-severity": z.union([z.string(), z.number()]).optional() }).optional(),
})
const component = z.looseObject({ name: z.string(), rules: z.array(rule).nullish() })
const result = z.looseObject({
  ruleId: z.string().optional(),
  ruleIndex: z.number().optional(),
  rule: z.looseObject({ id: z.string().optional(), index: z.number().optional() }).optional(),
  level: z.string().optional(),
  kind: z.string().optional(),
  message: text,
  locations: z
    .array(
      z.looseObject({
        physicalLocation: z
          .looseObject({
            artifactLocation: place.optional(),
            region: z.looseObject({ startLine: z.number().optional() }).optional(),
          })
          .optional(),
      }),
    )
    .nullish(),
  suppressions: z.array(z.looseObject({ status: z.string().optional() })).nullish(),
})
const invocation = z.looseObject({
  executionSuccessful: z.boolean().optional(),
  toolExecutionNotifications: z
    .array(z.looseObject({ level: z.string().optional(), message: text.optional() }))
    .nullish(),
})
const run = z.looseObject({
  tool: z.looseObject({ driver: component, extensions: z.array(component).nullish() }),
  results: z.array(result).nullish(),
  invocations: z.array(invocation).nullish(),
  originalUriBaseIds: z.record(z.string(), place).optional(),
})
const log = z.looseObject({ runs: z.array(run) })

type Run = z.output<typeof run>
type Result = z.output<typeof result>
type Rule = z.output<typeof rule>

/**
 * Puts the logs of all tools into as few files as GitHub's limits allow.
 *
 * Results are sorted, the most severe first; where some must be dropped, it is the least severe, and a notification in the run says how many.
 * A tool that failed, and a log that cannot be read, stay as a run that was not successful.
 */
export function mergeSarif(logs: Log[], limits = githubLimits): Merged {
  const categories = new Set<string>()
  const merged = logs.flatMap((log) => runsOf(log).map((run) => prepare(log, run, categories, limits)))
  return {
    files: pack(
      merged.map(({ text }) => text),
      limits,
    ),
    scans: merged.map(({ scan }) => scan),
  }
}

function runsOf({ gate, text }: Log): Run[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(text.replace(/^\ufeff/, ""))
  } catch {
    const reason = text.trim() === "" ? "is empty" : "is cut off or no JSON"
    return [unreadable(gate, `its SARIF log ${reason}`)]
  }
  const checked = log.safeParse(parsed)
  if (checked.success && checked.data.runs.length > 0) return checked.data.runs
  const issue = checked.error?.issues[0]
  const where = issue === undefined ? "it has no run" : `${issue.path.join(".")}: ${issue.message}`
  return [unreadable(gate, `its log is not SARIF: ${where}`)]
}

/** A tool that left nothing to read is not a tool that found nothing. */
function unreadable(gate: string, reason: string): Run {
  return {
    tool: { driver: { name: gate.split(":").at(-1) ?? gate, rules: [] } },
    results: [],
    invocations: [
      {
        executionSuccessful: false,
        toolExecutionNotifications: [{ level: "error", message: { text: reason } }],
      },
    ],
  }
}

function prepare(log: Log, run: Run, categories: Set<string>, limits: typeof githubLimits) {
  const { driver } = run.tool
  const tool = oneLine(driver.name, 80)
  const category = unique(`${log.gate}/${tool.replace(/[^\w.-]+/g, "-")}`, categories)
  const findRule = rulesOf(run)
  // A result of another kind than "fail" says that a rule was kept, or is not for this source.
  const found = (run.results ?? []).filter(({ kind }) => kind === undefined || kind === "fail")
  const ranked = found
    .map((result) => ({ result, rule: findRule(result), severity: severity(result, findRule(result)) }))
    .sort((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity))
  const { text, dropped } = fitted(
    relative({ ...run, results: [] }, log.folder),
    ranked.map(({ result }) => relative({ ...result }, log.folder, run)),
    category,
    limits,
  )
  const active = ranked.filter(({ result }) => !isSuppressed(result))
  const counts = Object.fromEntries(
    severities.map((severity) => [severity, active.filter((one) => one.severity === severity).length]),
  ) as Scan["counts"]
  const failure = whyFailed(run)
  const scan: Scan = {
    gate: log.gate,
    tool,
    category,
    ...(failure !== undefined && { failure }),
    counts,
    suppressed: ranked.length - active.length,
    dropped,
    alerts: active.map(({ result, rule, severity }) => alert(tool, result, rule, severity, run, log.folder)),
  }
  return { text, scan }
}

function unique(name: string, taken: Set<string>): string {
  let category = name
  for (let number = 2; taken.has(category); number++) category = `${name}-${number}`
  taken.add(category)
  return category
}

function rulesOf({ tool }: Run): (result: Result) => Rule | undefined {
  const driver = tool.driver.rules ?? []
  const all = [...driver, ...(tool.extensions ?? []).flatMap(({ rules }) => rules ?? [])]
  const byId = new Map(all.map((rule) => [rule.id, rule]))
  return ({ ruleId, ruleIndex, rule }) => {
    const id = ruleId ?? rule?.id
    const index = ruleIndex ?? rule?.index
    // A result may name a part of a rule, as CA1000/1.
    const named = id === undefined ? undefined : (byId.get(id) ?? byId.get(id.replace(/\/[^/]*$/, "")))
    return named ?? (index === undefined ? undefined : driver[index])
  }
}

function severity(result: Result, rule: Rule | undefined): Severity {
  const score = Number(rule?.properties?.["security-severity"] ?? Number.NaN)
  if (score >= 9) return "critical"
  if (score >= 7) return "high"
  if (score >= 4) return "medium"
  if (score > 0) return "low"
  const level = result.level ?? rule?.defaultConfiguration?.level ?? "warning"
  return level === "error" ? "high" : level === "warning" ? "medium" : level === "note" ? "low" : "note"
}

function isSuppressed({ suppressions }: Result): boolean {
  return (suppressions ?? []).some(({ status }) => status === undefined || status === "accepted")
}

function whyFailed({ invocations }: Run): string | undefined {
  const failed = (invocations ?? []).filter(({ executionSuccessful }) => executionSuccessful === false)
  if (failed.length === 0) return undefined
  const told = failed.flatMap(({ toolExecutionNotifications }) => toolExecutionNotifications ?? [])
  const worst = told.find(({ level }) => level === "error") ?? told[0]
  return oneLine(worst?.message?.text ?? "it did not finish, and does not say why", 300)
}

function alert(
  tool: string,
  result: Result,
  rule: Rule | undefined,
  severity: Severity,
  run: Run,
  folder: string | undefined,
): Alert {
  const place = result.locations?.[0]?.physicalLocation
  const uri = place?.artifactLocation?.uri
  const file = uri === undefined ? undefined : path(uri, place?.artifactLocation?.uriBaseId, run, folder)
  const line = place?.region?.startLine
  const message = result.message.text ?? rule?.shortDescription?.text ?? ""
  return {
    tool,
    rule: oneLine(result.ruleId ?? result.rule?.id ?? rule?.id ?? "", 120),
    severity,
    ...(file !== undefined && { file }),
    ...(line !== undefined && { line }),
    message: plain(message).trim(),
  }
}

/** As GitHub wants it: relative to the repository's root. */
function path(
  uri: string,
  base: string | undefined,
  { originalUriBaseIds }: Run,
  folder: string | undefined,
): string {
  if (/^(https?|git|oci|pkg):/.test(uri)) return uri
  const root = base === undefined ? undefined : originalUriBaseIds?.[base]?.uri
  // A base that is the root of a machine says nothing of the repository: Trivy has it for all that it scans.
  const whole =
    root !== undefined && root !== "file:///" && !/^(file:|\/)/.test(uri)
      ? `${root.replace(/\/?$/, "/")}${uri}`
      : uri
  const decoded = decode(whole)
  const known = inRepository(decoded, folder)
  return (known ?? decoded.replace(/^(file:)?\/*/, "")).split("/").map(encodeURI).join("/")
}

function decode(uri: string): string {
  try {
    return decodeURI(uri)
  } catch {
    return uri
  }
}

/** All places relative to the repository, and nothing of the machine that the tool ran on. */
function relative<Part extends object>(
  part: Part,
  folder: string | undefined,
  run = part as unknown as Run,
): Part {
  const walk = (value: unknown, key: string): unknown => {
    if (Array.isArray(value)) return value.map((item) => walk(item, key))
    if (typeof value !== "object" || value === null) return value
    const { uriBaseId, ...rest } = value as Record<string, unknown>
    if (typeof rest.uri === "string" && (key === "artifactLocation" || key === "location")) {
      const base = typeof uriBaseId === "string" ? uriBaseId : undefined
      return { ...rest, uri: path(rest.uri, base, run, folder) }
    }
    const kept = Object.entries(value).filter(([name]) => !(ofTheMachine[key]?.includes(name) ?? false))
    return Object.fromEntries(kept.map(([name, inner]) => [name, walk(inner, name)]))
  }
  return walk(part, "run") as Part
}

const ofTheMachine: Record<string, string[] | undefined> = {
  run: ["originalUriBaseIds"],
  invocations: [
    ...["account", "arguments", "commandLine", "environmentVariables", "executableLocation", "machine"],
    ...["processId", "responseFiles", "workingDirectory"],
  ],
}

/** A run with as many of its results as the limits allow. */
function fitted(run: Run, results: Result[], category: string, limits: typeof githubLimits) {
  const room = limits.bytes - envelope
  const id = { automationDetails: { id: `${category}/` } }
  const sizes = results.map((result) => bytes(JSON.stringify(result)) + 1)
  const build = (run: Run, kept: number) => {
    const dropped = results.length - kept
    const notes = [
      dropped > 0 &&
        `${count(dropped, "result")} of ${results.length} left out, the least severe, to stay within GitHub's limits.`,
      kept > limits.shownResults &&
        `GitHub shows the ${limits.shownResults} most severe of these ${kept} results.`,
    ].filter((note) => note !== false)
    return JSON.stringify({ ...noted(run, notes), ...id, results: results.slice(0, kept) })
  }
  for (const attempt of [run, withUsedRules(run, results), bare(run)]) {
    let left = room - bytes(build({ ...attempt, results: [] }, 0))
    if (left < 0) continue
    const most = sizes.findIndex((size, at) => at >= limits.results || (left -= size) < 0)
    const kept = most < 0 ? results.length : most
    // Rules that nothing uses must not cost results.
    if (kept < Math.min(results.length, limits.results) && attempt === run) continue
    return { text: build(attempt, kept), dropped: results.length - kept }
  }
  return { text: build(bare(run), 0), dropped: results.length }
}

/** What stands around the runs of a file. */
const wrap = (runs: string[]) =>
  `{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[${runs.join(",")}]}\n`
const envelope = wrap([]).length

function noted(run: Run, notes: string[]): Run {
  if (notes.length === 0) return run
  const [first = { executionSuccessful: true }, ...more] = run.invocations ?? []
  const notifications = notes.map((text) => ({ level: "warning", message: { text } }))
  const told = [...(first.toolExecutionNotifications ?? []), ...notifications]
  return { ...run, invocations: [{ ...first, toolExecutionNotifications: told }, ...more] }
}

function withUsedRules(run: Run, results: Result[]): Run {
  const find = rulesOf(run)
  const used = new Set(results.flatMap((result) => find(result)?.id ?? []))
  const lean = <Component extends { rules?: Rule[] | null | undefined }>(
    component: Component,
  ): Component => ({
    ...component,
    rules: (component.rules ?? []).filter(({ id }) => used.has(id)),
  })
  // An index would now point at another rule, or at an artifact that is gone; the id is enough.
  for (const result of results) {
    result.ruleId ??= result.rule?.id ?? find(result)?.id
    delete result.ruleIndex
    delete result.rule
  }
  const { driver, extensions } = run.tool
  return {
    ...run,
    artifacts: [],
    tool: { driver: lean(driver), ...(extensions && { extensions: extensions.map(lean) }) },
  }
}

function bare({ tool, invocations }: Run): Run {
  return {
    tool: { driver: { name: tool.driver.name, rules: [] } },
    ...(invocations && { invocations: invocations.slice(0, 1) }),
  }
}

function pack(runs: string[], limits: typeof githubLimits): string[] {
  const files: { runs: string[]; size: number }[] = []
  for (const run of runs) {
    const size = bytes(run) + 1
    const file = files.find(
      ({ runs, size: used }) => runs.length < limits.runs && used + size <= limits.bytes,
    )
    if (file) {
      file.runs.push(run)
      file.size += size
    } else {
      files.push({ runs: [run], size: size + envelope })
    }
  }
  return files.map(({ runs }) => wrap(runs))
}

function bytes(text: string): number {
  return Buffer.byteLength(text)
}
