import { type Finding } from "./failures.js"
import { severities, type Severity } from "./severity.js"
import type { ScanAlert } from "./sarif.js"
import { clip, count, isolated, oneLine } from "../../lib/text.js"

/** GitHub shows this many annotations of each kind per step, and drops the rest silently. */
const most = 10

const kinds: Record<Severity, "error" | "warning" | undefined> = {
  critical: "error",
  high: "error",
  medium: "warning",
  low: "warning",
  // GitHub shows few annotations: a note is not worth one.
  note: undefined,
}

/** Turns a scanner's alert into a finding of its gate. */
export function alertFinding(
  gate: string,
  { tool, rule, severity, file, line, message }: ScanAlert,
  again: string,
): Finding {
  return {
    severity,
    ...(file !== undefined && { file }),
    ...(line !== undefined && { line }),
    title: `${gate}: ${tool}${rule === "" ? "" : ` ${rule}`} (${severity})`,
    message,
    again,
  }
}

/** GitHub's workflow commands for the most severe findings, one per line, and a notice with the number of the others. */
export function githubAnnotations(findings: Finding[]): string[] {
  const sorted = [...findings].sort((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity))
  const of = (kind: "error" | "warning") => sorted.filter(({ severity }) => kinds[severity] === kind)
  const [errors, warnings] = [of("error"), of("warning")]
  const shown = [...errors.slice(0, most), ...warnings.slice(0, most)]
  const more = [
    errors.length > most && count(errors.length - most, "more error"),
    warnings.length > most && count(warnings.length - most, "more warning"),
    sorted.length > errors.length + warnings.length &&
      count(sorted.length - errors.length - warnings.length, "note"),
  ].filter((part) => part !== false)
  const notice = command(
    "notice",
    { title: "Not all findings are shown here" },
    `${more.join(", ")}: see the summary.`,
  )
  return [
    ...shown.map((finding) => annotation(kinds[finding.severity] ?? "warning", finding)),
    ...(more.length > 0 ? [notice] : []),
  ]
}

function annotation(kind: "error" | "warning", { file, line, title, message, again }: Finding): string {
  const where =
    file === undefined ? {} : { file, ...(line !== undefined && line > 0 && { line: String(line) }) }
  return command(
    kind,
    { ...where, title: isolated(oneLine(title, 200)) },
    `${clip(message, 2000)}\nRun again: ${again}`,
  )
}

function command(name: string, properties: Record<string, string>, message: string): string {
  const listed = Object.entries(properties).map(([key, value]) => `${key}=${property(value)}`)
  return `::${name} ${listed.join(",")}::${data(message)}`
}

/** Escapes as GitHub's toolkit does: a line break in a message would begin another command. */
function data(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A")
}

function property(text: string): string {
  return data(text).replaceAll(":", "%3A").replaceAll(",", "%2C")
}
