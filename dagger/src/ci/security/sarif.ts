import {
  encoded,
  placeOf,
  readSarifLog,
  ruleFinder,
  ruleIdOf,
  rulesOf,
  toolOf,
  whyIncomplete,
  sarifVersion,
} from "../report/sarif-log.js"
import { mergeSarif } from "../report/sarif.js"
import type { Ignore } from "./configuration.js"
import { ignoredBy } from "./ignores.js"
import type { ScanResult, ScannerFinding } from "./policy.js"

/** A SARIF log whose ignored results are marked as accepted, and its findings. */
export interface Read {
  text: string
  examined: Omit<ScanResult, "looked">
}

/**
 * Reads the SARIF log of a tool and marks what is ignored as accepted.
 *
 * @throws Error if the log cannot be read or the tool did not scan everything, which is not "nothing found"
 */
export function readSarif(gate: string, text: string, active: Ignore[]): Read {
  const log = readSarifLog(text)
  const incomplete = log.runs.flatMap((run) => whyIncomplete(run) ?? [])
  if (incomplete.length > 0) throw new Error(`the scan is incomplete:\n${incomplete.join("\n")}`)
  const used = new Set<Ignore>()
  for (const run of log.runs) {
    const findRule = ruleFinder(run)
    const ruled = (run.results ?? []).map((result) => ({ result, rule: findRule(result) }))
    if (toolOf(run).startsWith("Semgrep")) for (const rule of rulesOf(run)) rule.id = withoutFolder(rule.id)
    for (const { result, rule } of ruled) {
      if (result.ruleId !== undefined && toolOf(run).startsWith("Semgrep")) {
        result.ruleId = withoutFolder(result.ruleId)
      }
      const { file } = placeOf(result, run)
      const ignore = ignoredBy({ id: ruleIdOf(result, rule), ...(file !== undefined && { file }) }, active)
      if (!ignore) continue
      used.add(ignore)
      result.suppressions = [{ kind: "external", status: "accepted", justification: ignore.reason }]
    }
  }
  const marked = JSON.stringify(log)
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

/** Writes findings of Pitwall's own policy as a SARIF log. */
export function writeSarif(tool: string, found: ScannerFinding[]): string {
  const rules = [...new Set(found.map(({ id }) => id))].map((id) => ({ id }))
  const results = found.map(({ id, severity, title, file, line, version }) => ({
    ruleId: id,
    level:
      severity === "critical" || severity === "high" ? "error" : severity === "medium" ? "warning" : "note",
    message: { text: [version, title].filter(Boolean).join(": ") },
    ...(file !== undefined && {
      locations: [
        {
          physicalLocation: {
            artifactLocation: { uri: encoded(file) },
            ...(line !== undefined && { region: { startLine: line } }),
          },
        },
      ],
    }),
  }))
  const invocations = [{ executionSuccessful: true }]
  return JSON.stringify({
    ...sarifVersion,
    runs: [{ tool: { driver: { name: tool, rules } }, invocations, results }],
  })
}

/** Semgrep puts the folder of a rule before its name, with dots. */
function withoutFolder(id: string): string {
  return id.slice(id.lastIndexOf(".") + 1)
}
