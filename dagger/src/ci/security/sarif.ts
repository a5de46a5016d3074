import { z } from "zod"
import { mergeSarif } from "../report/sarif.js"
import type { Ignore } from "./configuration.js"
import { ignoredBy } from "./ignores.js"
import type { ScanResult, ScannerFinding } from "./policy.js"

const place = z.looseObject({
  physicalLocation: z
    .looseObject({ artifactLocation: z.looseObject({ uri: z.string() }).optional() })
    .optional(),
})
const notification = z.looseObject({
  level: z.string().optional(),
  message: z.looseObject({ text: z.string().default("") }).optional(),
  locations: z.array(place).nullish(),
})
const log = z.looseObject({
  runs: z
    .array(
      z.looseObject({
        tool: z.looseObject({
          driver: z.looseObject({ rules: z.array(z.looseObject({ id: z.string() })).nullish() }),
        }),
        results: z.array(
          z.looseObject({
            ruleId: z.string(),
            locations: z.array(place).nullish(),
            suppressions: z.array(z.unknown()).nullish(),
          }),
        ),
        invocations: z
          .array(
            z.looseObject({
              toolExecutionNotifications: z.array(notification).nullish(),
              toolConfigurationNotifications: z.array(notification).nullish(),
            }),
          )
          .nullish(),
      }),
    )
    .min(1),
})

/** A SARIF log with its ignored results marked so, and what it comes to. */
export interface Read {
  text: string
  examined: Omit<ScanResult, "looked">
}

/**
 * Reads the SARIF log of a tool and marks what is ignored as accepted.
 *
 * @throws Error where the tool could not look at a file: that is not "nothing found"
 */
export function readSarif(gate: string, text: string, active: Ignore[]): Read {
  const parsed = log.parse(JSON.parse(text))
  const troubles = parsed.runs
    .flatMap(({ invocations }) => invocations ?? [])
    .flatMap((one) => [
      ...(one.toolExecutionNotifications ?? []),
      ...(one.toolConfigurationNotifications ?? []),
    ])
    .filter(({ level }) => level === "error")
  if (troubles.length > 0) {
    const lines = troubles.map(({ message, locations }) =>
      [uriOf(locations), message?.text].filter(Boolean).join(": "),
    )
    throw new Error(`not everything could be looked at:\n${lines.join("\n")}`)
  }
  const used = new Set<Ignore>()
  for (const { results, tool } of parsed.runs) {
    for (const rule of tool.driver.rules ?? []) rule.id = shortRule(rule.id)
    for (const result of results) {
      result.ruleId = shortRule(result.ruleId)
      const file = uriOf(result.locations)
      const ignore = ignoredBy({ id: result.ruleId, ...(file !== undefined && { file }) }, active)
      if (!ignore) continue
      used.add(ignore)
      result.suppressions = [{ kind: "external", status: "accepted", justification: ignore.reason }]
    }
  }
  const marked = JSON.stringify(parsed)
  const { scans } = mergeSarif([{ gate, text: marked }])
  const found = scans.flatMap(({ alerts }) =>
    alerts.map(({ rule, severity, file, line, message }): ScannerFinding => ({
      id: rule,
      severity,
      title: message.split("\n", 1)[0] ?? "",
      ...(file !== undefined && { file }),
      ...(line !== undefined && { line }),
    })),
  )
  const ignored = scans.reduce((sum, { suppressed }) => sum + suppressed, 0)
  return { text: marked, examined: { found, ignored, used } }
}

/** A SARIF log of what was found by a policy of our own. */
export function writeSarif(tool: string, found: ScannerFinding[]): string {
  const rules = [...new Set(found.map(({ id }) => id))].map((id) => ({ id }))
  const results = found.map(({ id, severity, title, file, version }) => ({
    ruleId: id,
    level:
      severity === "critical" || severity === "high" ? "error" : severity === "medium" ? "warning" : "note",
    message: { text: [version, title].filter(Boolean).join(": ") },
    ...(file !== undefined && {
      locations: [{ physicalLocation: { artifactLocation: { uri: encodeURI(file) } } }],
    }),
  }))
  const invocations = [{ executionSuccessful: true }]
  return JSON.stringify({
    version: "2.1.0",
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    runs: [{ tool: { driver: { name: tool, rules } }, invocations, results }],
  })
}

/** Semgrep puts the folder of a rule before its name. */
function shortRule(id: string): string {
  return id.slice(id.lastIndexOf(".") + 1)
}

function uriOf(locations: z.output<typeof place>[] | null | undefined): string | undefined {
  return locations?.[0]?.physicalLocation?.artifactLocation?.uri
}
