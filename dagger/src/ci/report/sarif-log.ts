import { posix } from "node:path"
import { z } from "zod"
import { inRepository, isLine } from "./paths.js"
import { type Severity, severities } from "./severity.js"
import { oneLine, plain } from "../../lib/text.js"

/** The head of every log that is written. */
export const sarifVersion = { $schema: "https://json.schemastore.org/sarif-2.1.0.json", version: "2.1.0" }

// The schema of SARIF 2.1.0, for gates and reports. It is strict where a wrong form could hide a finding, and ignores the rest.
const message = z.looseObject({
  text: z.string().optional(),
  markdown: z.string().optional(),
  id: z.string().optional(),
  arguments: z.array(z.string()).optional(),
})
const artifactLocation = z.looseObject({
  uri: z.string().optional(),
  uriBaseId: z.string().optional(),
  index: z.number().optional(),
})
const location = z.looseObject({
  physicalLocation: z
    .looseObject({
      artifactLocation: artifactLocation.optional(),
      region: z.looseObject({ startLine: z.number().optional() }).optional(),
    })
    .optional(),
})
const rule = z.looseObject({
  id: z.string(),
  shortDescription: message.optional(),
  messageStrings: z.record(z.string(), message).optional(),
  defaultConfiguration: z.looseObject({ level: z.string().optional() }).optional(),
  properties: z.looseObject({ "security-severity": z.unknown().optional() }).optional(),
})
const component = z.looseObject({
  name: z.string(),
  rules: z.array(rule).optional(),
})
const reference = z.looseObject({
  id: z.string().optional(),
  index: z.number().optional(),
  toolComponent: z.looseObject({ index: z.number().optional(), name: z.string().optional() }).optional(),
})
const result = z.looseObject({
  ruleId: z.string().optional(),
  ruleIndex: z.number().optional(),
  rule: reference.optional(),
  level: z.string().optional(),
  kind: z.string().optional(),
  message,
  locations: z.array(location).optional(),
  suppressions: z.array(z.looseObject({ status: z.string().optional() })).optional(),
})
const notification = z.looseObject({
  level: z.string().optional(),
  message: message.optional(),
  locations: z.array(location).optional(),
  /** What the tool caught. */
  exception: z.unknown().optional(),
})
const invocation = z.looseObject({
  executionSuccessful: z.boolean().optional(),
  processStartFailureMessage: z.string().optional(),
  exitSignalName: z.string().optional(),
  exitSignalNumber: z.number().optional(),
  toolExecutionNotifications: z.array(notification).optional(),
  toolConfigurationNotifications: z.array(notification).optional(),
})
const run = z.looseObject({
  tool: z.looseObject({ driver: component, extensions: z.array(component).optional() }),
  results: z.array(result).optional(),
  invocations: z.array(invocation).optional(),
  artifacts: z.array(z.looseObject({ location: artifactLocation.optional() })).optional(),
  originalUriBaseIds: z.record(z.string(), artifactLocation).optional(),
  externalPropertyFileReferences: z.looseObject({ results: z.unknown().optional() }).optional(),
})
const log = z.looseObject({
  runs: z.array(run).min(1, "it has no run"),
  inlineExternalProperties: z.array(z.looseObject({ results: z.unknown().optional() })).optional(),
})

export type SarifLog = z.output<typeof log>
export type SarifRun = z.output<typeof run>
export type SarifResult = z.output<typeof result>
export type SarifRule = z.output<typeof rule>
export type SarifLocation = z.output<typeof location>

/**
 * Reads a SARIF log.
 *
 * @throws Error with the reason: an unreadable log must not pass for one without findings
 */
export function readSarifLog(text: string): SarifLog {
  let parsed: unknown
  try {
    parsed = JSON.parse(text.replace(/^\ufeff/, ""), withoutNull)
  } catch {
    throw new Error(`its SARIF log ${text.trim() === "" ? "is empty" : "is cut off or no JSON"}`)
  }
  const checked = log.safeParse(parsed)
  if (checked.success) {
    const { runs, inlineExternalProperties = [] } = checked.data
    const outside = [
      ...inlineExternalProperties,
      ...runs.map(({ externalPropertyFileReferences: references = {} }) => references),
    ]
    if (outside.some(({ results }) => results !== undefined))
      throw new Error("its log has results outside of its runs, which are not read")
    return checked.data
  }
  const issue = checked.error.issues[0]
  const where = issue && issue.path.length > 0 ? `${issue.path.join(".")}: ` : ""
  throw new Error(`its log is not SARIF: ${where}${issue?.message ?? ""}`)
}

/** Tools write null for a missing value. In a list null stays, because removing it would shift indexes. */
function withoutNull(this: unknown, _key: string, value: unknown): unknown {
  return value === null && !Array.isArray(this) ? undefined : value
}

/** Levels of notifications that are no error. */
const mild = ["none", "note", "warning"]

/** Why a run is incomplete, one reason per line; undefined if the tool scanned everything. */
export function whyIncomplete({ invocations = [], results }: SarifRun): string | undefined {
  const notifications = invocations.flatMap((one) => [
    ...(one.toolExecutionNotifications ?? []),
    ...(one.toolConfigurationNotifications ?? []),
  ])
  // SARIF has three levels below an error; a tool's own word may mean anything.
  const errors = notifications.filter(
    ({ level, exception }) =>
      exception !== undefined || (level !== undefined && !mild.includes(level.toLowerCase())),
  )
  const failed = invocations.some(
    ({ executionSuccessful, processStartFailureMessage, exitSignalName, exitSignalNumber }) =>
      // SARIF asks for it: a tool that does not say so has not succeeded.
      executionSuccessful !== true ||
      processStartFailureMessage !== undefined ||
      (exitSignalName ?? exitSignalNumber) !== undefined,
  )
  const reasons = (errors.length > 0 || !failed ? errors : notifications.slice(0, 1)).map(
    ({ message, locations }) =>
      [locations?.[0]?.physicalLocation?.artifactLocation?.uri, message?.text].filter(Boolean).join(": "),
  )
  const own = invocations.flatMap(
    ({ processStartFailureMessage = [], exitSignalNumber, exitSignalName = exitSignalNumber }) => [
      ...[processStartFailureMessage].flat(),
      ...(exitSignalName === undefined ? [] : [`it was ended by ${exitSignalName}`]),
    ],
  )
  const known = [...reasons, ...own].filter((reason) => reason !== "")
  if (known.length > 0) return known.join("\n")
  if (failed || errors.length > 0) return "it did not finish, and does not say why"
  return results === undefined ? "its log has no list of results" : undefined
}

/** The rules of a tool and of its extensions. */
export function rulesOf({ tool }: SarifRun): SarifRule[] {
  return [tool.driver, ...(tool.extensions ?? [])].flatMap(({ rules }) => rules ?? [])
}

/** Finds the rule of a result by id or index, in the tool or one of its extensions. */
export function ruleFinder(run: SarifRun): (result: SarifResult) => SarifRule | undefined {
  const { driver, extensions = [] } = run.tool
  const byId = new Map([...rulesOf(run)].reverse().map((rule) => [rule.id, rule]))
  return ({ ruleId, ruleIndex, rule }) => {
    const { index, name } = rule?.toolComponent ?? {}
    const component =
      index !== undefined
        ? extensions[index]
        : extensions.find((one) => name !== undefined && one.name === name)
    const rules = (component ?? driver).rules ?? []
    const id = ruleId ?? rule?.id
    const at = ruleIndex ?? rule?.index
    const indexed = at === undefined ? undefined : rules[at]
    if (id === undefined) return indexed
    // A result may name a part of a rule, as CA1000/1.
    const ids = [id, id.replace(/\/[^/]*$/, "")]
    if (indexed && ids.includes(indexed.id)) return indexed
    return ids.map((one) => byId.get(one)).find((one) => one !== undefined) ?? indexed
  }
}

/** The id of a result's rule; empty if the tool names none. */
export function ruleIdOf(result: SarifResult, rule: SarifRule | undefined): string {
  return result.ruleId ?? result.rule?.id ?? rule?.id ?? ""
}

/** Some tools write a word instead of a score. */
const scores: Record<string, number | undefined> = {
  critical: 9.5,
  high: 8,
  medium: 5.5,
  moderate: 5.5,
  low: 2,
}

/** The score of a rule, from 0 to 10; undefined if it has neither a score nor the name of a severity. */
export function scoreOf(rule: SarifRule | undefined): number | undefined {
  const written = rule?.properties?.["security-severity"]
  if (typeof written !== "string" && typeof written !== "number") return undefined
  const text = String(written).trim().toLowerCase()
  const score = scores[text] ?? (text === "" ? Number.NaN : Number(text))
  return Number.isFinite(score) && score >= 0 ? Math.min(score, 10) : undefined
}

export type Level = "error" | "warning" | "note" | "none"
const levels: Record<string, Level | undefined> = {
  error: "error",
  critical: "error",
  high: "error",
  fatal: "error",
  warning: "warning",
  medium: "warning",
  moderate: "warning",
  note: "note",
  low: "note",
  info: "note",
  informational: "note",
  none: "none",
}

/** The SARIF level for a word that tools use; undefined for any other. */
export function levelOf(word: string | undefined): Level | undefined {
  return word === undefined ? undefined : levels[word.trim().toLowerCase()]
}

/** The severity of a result, by the rule's score or else by the level. The default level is a warning, and an unknown word counts as an error. */
export function severityOf(result: SarifResult, rule: SarifRule | undefined): Severity {
  const score = scoreOf(rule) ?? 0
  if (score >= 9) return "critical"
  if (score >= 7) return "high"
  if (score >= 4) return "medium"
  if (score > 0) return "low"
  const [own, usual] = [result.level, rule?.defaultConfiguration?.level]
  // A word that says nothing here must not make a finding harmless.
  const unknown = own ?? usual
  const level = levelOf(own) ?? levelOf(usual) ?? (unknown === undefined ? "warning" : "error")
  return ({ error: "high", warning: "medium", note: "low", none: "note" } as const)[level]
}

/** Sorts results, the most severe first. */
export function bySeverity<Ranked extends { severity: Severity }>(ranked: Ranked[]): Ranked[] {
  return [...ranked].sort((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity))
}

/** Kinds of results that report no problem. All other kinds count as findings, also those that a person has to review. */
const harmless = ["pass", "notapplicable", "informational"]

export function isFinding({ kind }: SarifResult): boolean {
  return kind === undefined || !harmless.includes(kind.toLowerCase())
}

/** One suppression that is rejected or under review keeps a result a finding, however many others are accepted. */
export function isSuppressed({ suppressions = [] }: SarifResult): boolean {
  return (
    suppressions.length > 0 &&
    suppressions.every(({ status }) => status === undefined || status === "accepted")
  )
}

/** The text of a result. A result may name a message of its rule instead of having one. */
export function messageOf({ message }: SarifResult, rule: SarifRule | undefined): string {
  const named = message.id === undefined ? undefined : rule?.messageStrings?.[message.id]?.text
  const filled = named?.replace(/\{(\d+)\}/g, (whole, at: string) => message.arguments?.[Number(at)] ?? whole)
  const text = [message.text, filled, message.markdown, rule?.shortDescription?.text, rule?.id].find(
    (one) => one !== undefined && one.trim() !== "",
  )
  return plain(text ?? "").trim()
}

/** The file and line of a result; empty if it is not in a file, such as an image layer. */
export function placeOf(
  { locations = [] }: SarifResult,
  run: SarifRun,
  folder?: string,
): { file?: string; line?: number } {
  for (const { physicalLocation } of locations) {
    const file = fileOf(physicalLocation?.artifactLocation, run, folder)
    if (file === undefined) continue
    const line = physicalLocation?.region?.startLine
    return { file, ...(isLine(line) && { line }) }
  }
  return {}
}

/** URIs that are not files of the repository. */
const elsewhere = /^(?!file:)[a-z][a-z0-9+.-]+:(?=\/\/|:)|^(data|mailto|oci|pkg|urn):/i

/**
 * The file of an artifact location, as a decoded path in the repository.
 *
 * @param folder where in the repository the tool ran
 */
export function fileOf(
  place: z.output<typeof artifactLocation> | undefined,
  run: SarifRun,
  folder?: string,
): string | undefined {
  const named = place?.uri === undefined ? run.artifacts?.[place?.index ?? -1]?.location : place
  if (named?.uri === undefined || named.uri === "" || elsewhere.test(named.uri)) return undefined
  const whole = decoded(based(named.uri, named.uriBaseId, run))
  const path = whole.replace(/^file:(\/\/[^/]*)?/i, "")
  const known = inRepository(path, folder)
  if (known !== undefined) return known
  const bare = posix.normalize(path.replace(/^\/+/, ""))
  // A folder, or outside of the repository.
  return /^\.{1,2}(\/|$)/.test(bare) ? undefined : bare
}

/** Resolves a URI against its base, which may have a base itself. */
function based(uri: string, base: string | undefined, { originalUriBaseIds = {} }: SarifRun): string {
  let whole = uri
  const seen = new Set<string>()
  for (let name = base; name !== undefined && !seen.has(name);) {
    seen.add(name)
    const root: z.output<typeof artifactLocation> | undefined = originalUriBaseIds[name]
    if (/^(file:|\/)/i.test(whole)) break
    // The root of a machine says nothing of the repository: Trivy has it for all that it scans.
    if (root?.uri !== undefined && root.uri !== "file:///") whole = `${root.uri.replace(/\/?$/, "/")}${whole}`
    name = root?.uriBaseId
  }
  return whole
}

/** Decodes valid escapes once and keeps the rest, because some tools write plain paths. */
function decoded(uri: string): string {
  return uri.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes)
    } catch {
      return escapes
    }
  })
}

/** Encodes a path of the repository as a URI reference. */
export function encoded(path: string): string {
  return path
    .split("/")
    .map((step) => encodeURIComponent(step.replace(/\p{Cs}/gu, "\ufffd")))
    .join("/")
}

/** The name of a run's tool. */
export function toolOf({ tool }: SarifRun): string {
  return oneLine(tool.driver.name, 80)
}
