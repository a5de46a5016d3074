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

/** A package, and the licences that it says it is under. */
export interface Licensed {
  name: string
  package?: string
  file: string
  licences: string[]
}

/** Reads Trivy's JSON. Throws on what is not, rather than to see nothing in it. */
export function readTrivy(json: string): Result[] {
  return report.parse(JSON.parse(json)).Results ?? []
}

/**
 * What Trivy found, with what its ignore file hid.
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

/** The number of packages, and of the files that they stand in: a scanner that saw none says so. */
export function packagesIn(results: Result[]): string {
  const holding = results.filter(({ Packages }) => Packages && Packages.length > 0)
  const number = holding.reduce((sum, { Packages }) => sum + (Packages?.length ?? 0), 0)
  return `${count(number, "package")} in ${count(holding.length, "lock file")}`
}

/**
 * The packages of an image: those of its operating system, and those of languages.
 *
 * @throws Error where Trivy saw none: every image that is delivered has packages
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
 * The number of checks that were made, and of the files that they were made on.
 *
 * @throws Error where there was none: no data is not a pass
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

/** Files that Trivy was to read and says nothing of. A file without a finding is among its results; one that it did not know how to read is not. */
export function unread(results: Result[], files: string[]): string[] {
  const read = new Set(results.map(({ Target }) => Target))
  return files.filter((file) => !read.has(file))
}

/** The packages that stand in files of their own, with the licences that Trivy made out. */
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
    // How grave a secret is thought to be depends on its kind; that it is out does not.
    ...(result.Secrets ?? []).map((one) => ({
      id: one.RuleID,
      severity: "critical" as const,
      title: one.Title,
      file: result.Target,
      ...(one.StartLine && { line: one.StartLine }),
    })),
  ]
}

/** What Trivy does not know the severity of is worth a note, and blocks where notes do. */
function severityOf(name: string): Severity {
  return severities.find((severity) => severity === name.toLowerCase()) ?? "note"
}
