import { severities, type Severity } from "../report/severity.js"
import { count, oneLine } from "../../lib/text.js"
import { securityFile, type Ignore } from "./configuration.js"
import { remarks, type Ignores } from "./ignores.js"

/** A finding of a scanner. */
export interface ScannerFinding {
  id: string
  severity: Severity
  title: string
  file?: string
  line?: number
  /** A package URL. */
  package?: string
  /** The package's name and version, and the version with a fix. */
  version?: string
}

/** The result of a scan. */
export interface ScanResult {
  found: ScannerFinding[]
  /** The number of findings that ignores matched. */
  ignored: number
  used: Set<Ignore>
  /** What the tool scanned, in its own counts. */
  looked: string[]
}

/** What the policy decides about findings. */
export interface PolicyDecision {
  /** One line for the gate table. */
  detail: string
  /** Why the gate fails; empty if it passes. */
  fault: string
}

/** Decides by severity whether a gate passes with the findings of its scanner. */
export function applyPolicy(
  { found, ignored, used, looked }: ScanResult,
  block: Severity[],
  ignores: Ignores,
): PolicyDecision {
  const said = remarks(ignores, used)
  const detail = [...looked, countsOf(found), ...(ignored > 0 ? [`${ignored} ignored`] : []), ...said].join(
    " · ",
  )
  const blocking = found
    .filter(({ severity }) => block.includes(severity))
    .sort((one, other) => severities.indexOf(one.severity) - severities.indexOf(other.severity))
  if (blocking.length === 0) return { detail, fault: "" }
  const rows = blocking.slice(0, shown).map(row)
  const left = blocking.length - rows.length
  const fault = [
    ...rows,
    ...(left > 0 ? [`… and ${count(left, "more finding")}`] : []),
    "",
    `${detail}. Of these, ${count(blocking.length, "finding")} may not be: ${block.join(", ")}.`,
    `What cannot be put right at once can be accepted for a time, with a reason, under "ignores" in ${securityFile}.`,
  ].join("\n")
  return { detail, fault }
}

/** The most findings that are listed; the others are in the report. */
const shown = 30

/** Counts findings by severity, the worst first; "no findings" if there are none. */
export function countsOf(found: ScannerFinding[]): string {
  const counts = severities.flatMap((severity) => {
    const number = found.filter((one) => one.severity === severity).length
    return number > 0 ? [`${number} ${severity}`] : []
  })
  return counts.length > 0 ? counts.join(", ") : "no findings"
}

function row({ severity, id, version, package: purl, file, line, title }: ScannerFinding): string {
  const place = file === undefined ? undefined : line === undefined ? file : `${file}:${line}`
  return [severity, id, version ?? purl, place, oneLine(title, 120)].filter(Boolean).join("  ")
}
