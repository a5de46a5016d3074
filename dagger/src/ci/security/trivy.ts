import { z } from "zod"
import { severities, type Severity } from "../report/severity.js"
import { count } from "../../lib/text.js"
import type { Ignore } from "./configuration.js"
import type { ScanResult, ScannerFinding } from "./policy.js"

const identifier = z.looseObject({ PURL: z.string().optional() }).optional()
const pkg = z.looseObject({
  Name: z.string(),
  Version: z.string().optional(),
  FilePath: z.string().optional(),
  Identifier: identifier,
})
const vulnerability = z.looseObject({
  VulnerabilityID: z.string(),
  PkgName: z.string(),
  InstalledVersion: z.string().default(""),
  FixedVersion: z.string().default(""),
  Severity: z.string().default("UNKNOWN"),
  Title: z.string().default(""),
  PkgPath: z.string().optional(),
  PkgIdentifier: identifier,
})
const misconfiguration = z.looseObject({
  ID: z.string(),
  Severity: z.string(),
  Title: z.string(),
  Message: z.string().default(""),
  CauseMetadata: z.looseObject({ StartLine: z.int().optional() }).optional(),
})
const secret = z.looseObject({
  RuleID: z.string(),
  Severity: z.string(),
  Title: z.string(),
  StartLine: z.int().optional(),
})
const licence = z.looseObject({
  Name: z.string(),
  PkgName: z.string().default(""),
  FilePath: z.string().default(""),
})
const modified = z.looseObject({
  Statement: z.string().default(""),
  Finding: z.looseObject({
    VulnerabilityID: z.string().optional(),
    ID: z.string().optional(),
    AVDID: z.string().optional(),
    RuleID: z.string().optional(),
  }),
})
const result = z.looseObject({
  Target: z.string(),
  Class: z.string().optional(),
  Type: z.string().optional(),
  Packages: z.array(pkg).nullish(),
  Vulnerabilities: z.array(vulnerability).nullish(),
  Misconfigurations: z.array(misconfiguration).nullish(),
  MisconfSummary: z.looseObject({ Successes: z.int().default(0), Failures: z.int().default(0) }).nullish(),
  Secrets: z.array(secret).nullish(),
  Licenses: z.array(licence).nullish(),
  ExperimentalModifiedFindings: z.array(modified).nullish(),
})
const report = z.looseObject({ Results: z.array(result).nullish() })

type Result = z.output<typeof result>

/** A package with the licences that it declares. */
export interface Licensed {
  name: string
  package?: string
  file: string
  licences: string[]
}

/** Reads Trivy's JSON. Throws on any other text, because it must not pass for a scan without findings. */
export function readTrivy(json: string): Result[] {
  return report.parse(JSON.parse(json)).Results ?? []
}

/**
 * Reads Trivy's findings, and counts those that its ignore file hid.
 *
 * @param looked what it looked at
 */
export function examine(results: Result[], active: Ignore[], looked: string[]): ScanResult {
  const modified = results.flatMap((result) => result.ExperimentalModifiedFindings ?? [])
  const used = active.filter(({ id, reason }) =>
    modified.some(
      ({ Statement, Finding: { VulnerabilityID, ID, AVDID, RuleID } }) =>
        Statement === reason && [VulnerabilityID, ID, AVDID, RuleID].includes(id),
    ),
  )
  return { found: results.flatMap(foundIn), ignored: modified.length, used: new Set(used), looked }
}

/** Counts packages and the lock files that list them. */
export function packagesIn(results: Result[]): string {
  const holding = results.filter(({ Packages }) => Packages && Packages.length > 0)
  const number = holding.reduce((sum, { Packages }) => sum + (Packages?.length ?? 0), 0)
  return `${count(number, "package")} in ${count(holding.length, "lock file")}`
}

/**
 * Counts an image's packages: those of its operating system and those of languages.
 *
 * @throws Error if Trivy saw none: every delivered image has packages
 */
export function packagesOfImage(results: Result[]): string {
  const number = (kind: string) =>
    results
      .filter((result) => result.Class === kind)
      .reduce((sum, { Packages }) => sum + (Packages?.length ?? 0), 0)
  if (number("os-pkgs") + number("lang-pkgs") === 0) throw new Error("Trivy saw no package in the image")
  return `${count(number("os-pkgs"), "system package")}, ${number("lang-pkgs").toLocaleString("en-US")} of languages`
}

/**
 * Counts the checks that Trivy made and the files that it checked.
 *
 * @throws Error if there was none: no data is not a pass
 */
export function checksIn(results: Result[]): string {
  const checked = results.filter(({ MisconfSummary }) => MisconfSummary)
  const number = checked.reduce(
    (sum, { MisconfSummary }) => sum + (MisconfSummary?.Successes ?? 0) + (MisconfSummary?.Failures ?? 0),
    0,
  )
  if (number === 0) throw new Error("Trivy made no check at all")
  return `${count(number, "check")} of ${count(checked.length, "file")}`
}

/** The files that are missing in Trivy's results, where files without findings are listed too: Trivy could not read them. */
export function unread(results: Result[], files: string[]): string[] {
  const read = new Set(results.map(({ Target }) => Target))
  return files.filter((file) => !read.has(file))
}

/** The packages with their own metadata file, and the licences that Trivy found for each. */
export function licensed(results: Result[]): Licensed[] {
  const named = results.flatMap(({ Licenses }) => Licenses ?? [])
  return results
    .flatMap(({ Packages }) => Packages ?? [])
    .flatMap(({ Name, FilePath, Identifier }) =>
      FilePath === undefined
        ? []
        : [
            {
              name: Name,
              file: FilePath,
              ...(Identifier?.PURL !== undefined && { package: Identifier.PURL }),
              licences: named
                .filter(({ PkgName, FilePath: file }) => PkgName === Name && file === FilePath)
                .map(({ Name: licence }) => licence),
            },
          ],
    )
}

function foundIn(result: Result): ScannerFinding[] {
  return [
    ...(result.Vulnerabilities ?? []).map((one) => ({
      id: one.VulnerabilityID,
      severity: severityOf(one.Severity),
      title: one.Title,
      file: one.PkgPath ?? result.Target,
      version: `${one.PkgName} ${one.InstalledVersion} (${one.FixedVersion ? `fixed in ${one.FixedVersion}` : "no fix yet"})`,
      ...(one.PkgIdentifier?.PURL !== undefined && { package: one.PkgIdentifier.PURL }),
    })),
    ...(result.Misconfigurations ?? []).map((one) => ({
      id: one.ID,
      severity: severityOf(one.Severity),
      title: [one.Title, one.Message].filter(Boolean).join(": "),
      file: result.Target,
      ...(one.CauseMetadata?.StartLine && { line: one.CauseMetadata.StartLine }),
    })),
    // Any leaked secret is critical, whatever severity its kind has.
    ...(result.Secrets ?? []).map((one) => ({
      id: one.RuleID,
      severity: "critical" as const,
      title: one.Title,
      file: result.Target,
      ...(one.StartLine && { line: one.StartLine }),
    })),
  ]
}

/** What has no severity yet is UNKNOWN and becomes a note. A word that says nothing here must not make a finding harmless. */
function severityOf(name: string): Severity {
  const word = name.trim().toLowerCase()
  if (word === "unknown") return "note"
  return severities.find((severity) => severity === word) ?? "high"
}
