import { describe, expect, it } from "vitest"
import type { Ignore } from "../../../src/ci/security/configuration.js"
import {
  checksIn,
  examine,
  licensed,
  packagesIn,
  packagesOfImage,
  readTrivy,
  unread,
} from "../../../src/ci/security/trivy.js"

// Parts of what Trivy 0.66 writes.
const ms = {
  VulnerabilityID: "CVE-2026-90002",
  PkgName: "ms",
  PkgIdentifier: { PURL: "pkg:npm/ms@2.1.3", UID: "1" },
  InstalledVersion: "2.1.3",
  FixedVersion: "99.0.0",
  Status: "fixed",
  Severity: "HIGH",
  Title: "planted in ms",
}
const report = JSON.stringify({
  SchemaVersion: 2,
  Results: [
    {
      Target: "services/package-lock.json",
      Class: "lang-pkgs",
      Type: "npm",
      Packages: [{ Name: "ms", Version: "2.1.3" }, { Name: "react" }],
      Vulnerabilities: [
        ms,
        { ...ms, VulnerabilityID: "CVE-2026-90009", Severity: "UNKNOWN", FixedVersion: undefined },
      ],
      ExperimentalModifiedFindings: [
        {
          Type: "vulnerability",
          Status: "ignored",
          Statement: "not reachable from outside",
          Source: "/gate/trivyignore.yaml",
          Finding: { ...ms, VulnerabilityID: "CVE-2026-90001" },
        },
      ],
    },
    { Target: "go.mod", Class: "lang-pkgs", Type: "gomod", Packages: [{ Name: "golang.org/x/text" }] },
    {
      Target: "Dockerfile",
      Class: "config",
      Type: "dockerfile",
      MisconfSummary: { Successes: 24, Failures: 1 },
      Misconfigurations: [
        {
          ID: "DS002",
          AVDID: "AVD-DS-0002",
          Title: "Image user should not be 'root'",
          Message: "Specify a USER",
          Severity: "HIGH",
          CauseMetadata: { StartLine: 3 },
        },
      ],
    },
    {
      Target: "/app/.env",
      Class: "secret",
      Secrets: [
        { RuleID: "github-pat", Severity: "LOW", Title: "GitHub Personal Access Token", StartLine: 2 },
      ],
    },
    { Target: "debian", Class: "os-pkgs", Type: "debian", Packages: [{ Name: "bash" }, { Name: "dash" }] },
  ],
})
const ignore = (id: string, reason: string): Ignore => ({
  id,
  reason,
  gates: ["security:dependencies"],
  expires: "2026-12-31",
})

describe("examine", () => {
  const results = readTrivy(report)
  const wanted = ignore("CVE-2026-90001", "not reachable from outside")
  const idle = ignore("CVE-2026-77777", "not reachable from outside")
  const { found, ignored, used } = examine(results, [wanted, idle], [])

  it.each([
    [" CRITICAL\n", "critical"],
    ["IMPORTANT", "high"],
    ["9.8", "high"],
  ])("takes no severity for harmless that it does not know: %j", (Severity, severity) => {
    const results = readTrivy(
      JSON.stringify({ Results: [{ Target: "a", Vulnerabilities: [{ ...ms, Severity }] }] }),
    )
    expect(examine(results, [], []).found).toEqual([expect.objectContaining({ severity })])
  })

  it("reads vulnerabilities with the fixed version, and an unknown severity as a note", () => {
    expect(found.slice(0, 2)).toEqual([
      {
        id: "CVE-2026-90002",
        severity: "high",
        title: "planted in ms",
        file: "services/package-lock.json",
        version: "ms 2.1.3 (fixed in 99.0.0)",
        package: "pkg:npm/ms@2.1.3",
      },
      expect.objectContaining({ severity: "note", version: "ms 2.1.3 (no fix yet)" }),
    ])
  })

  it("reads misconfigurations with their line, and takes every secret for critical", () => {
    expect(found.slice(2)).toEqual([
      {
        id: "DS002",
        severity: "high",
        title: "Image user should not be 'root': Specify a USER",
        file: "Dockerfile",
        line: 3,
      },
      {
        id: "github-pat",
        severity: "critical",
        title: "GitHub Personal Access Token",
        file: "/app/.env",
        line: 2,
      },
    ])
  })

  it("knows which ignores matched", () => {
    expect(ignored).toBe(1)
    expect(used).toEqual(new Set([wanted]))
  })
})

describe("what was looked at", () => {
  const results = readTrivy(report)

  it("is counted", () => {
    expect(packagesIn(results.slice(0, 2))).toBe("3 packages in 2 lock files")
    expect(packagesOfImage(results)).toBe("2 system packages, 3 of languages")
    expect(checksIn(results)).toBe("25 checks of 1 file")
  })

  it("is never nothing", () => {
    expect(() => packagesOfImage([])).toThrow("Trivy saw no package in the image")
    expect(() => checksIn([])).toThrow("Trivy made no check at all")
  })

  it("is named where it is missing", () => {
    expect(unread(results, ["services/package-lock.json", "services/api/requirements.txt"])).toEqual([
      "services/api/requirements.txt",
    ])
  })
})

describe("readTrivy", () => {
  it("accepts a report without results, and refuses anything else", () => {
    expect(readTrivy('{"SchemaVersion":2}')).toEqual([])
    expect(() => readTrivy('{"Results":[{"Vulnerabilities":"none"}]}')).toThrow()
    expect(() => readTrivy("")).toThrow()
  })
})

describe("licensed", () => {
  it("puts licences to the packages that stand in files of their own", () => {
    const json = JSON.stringify({
      Results: [
        {
          Target: "Python",
          Packages: [
            { Name: "mit", FilePath: "a/METADATA", Identifier: { PURL: "pkg:pypi/mit@1" } },
            { Name: "silent", FilePath: "b/METADATA" },
            { Name: "part-of-another" },
          ],
        },
        {
          Target: "Python",
          Class: "license",
          Licenses: [{ PkgName: "mit", FilePath: "a/METADATA", Name: "MIT" }],
        },
      ],
    })
    expect(licensed(readTrivy(json))).toEqual([
      { name: "mit", file: "a/METADATA", package: "pkg:pypi/mit@1", licences: ["MIT"] },
      { name: "silent", file: "b/METADATA", licences: [] },
    ])
  })
})
