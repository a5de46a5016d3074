import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { checkGates, readSecurity } from "../../../src/ci/security/configuration.js"

const yaml = readFileSync(new URL("../../../config/security.yaml", import.meta.url), "utf8")
const now = new Date("2026-11-24T12:00:00Z")
const base = yaml.slice(0, yaml.indexOf("\nignores:"))
const withIgnore = (fields: string) => `${base}\nignores:\n  - { ${fields} }\n`
const fields = {
  id: "id: CVE-2026-1",
  gates: "gates: [api:scan]",
  reason: "reason: not reachable from outside",
  expires: "expires: 2026-12-31",
}
const but = (more: Partial<typeof fields>) =>
  withIgnore(
    Object.values({ ...fields, ...more })
      .filter(Boolean)
      .join(", "),
  )

describe("readSecurity", () => {
  it("reads the configuration of this repository", () => {
    const { vulnerabilities } = readSecurity(yaml, now)
    expect(vulnerabilities).toMatchObject({ "without-database": "warn", block: ["critical", "high"] })
  })

  it("takes an ignore with a reason that ends within 180 days", () => {
    expect(readSecurity(but({ expires: "expires: 2027-05-23" }), now).ignores).toHaveLength(1)
  })

  it("takes one that has expired: it is the gate that says so", () => {
    expect(readSecurity(but({ expires: "expires: 2026-01-01" }), now).ignores).toHaveLength(1)
  })

  it.each([
    ["no reason", but({ reason: "" }), /ignores\.0\.reason: /],
    [
      "a reason that is none",
      but({ reason: "reason: later" }),
      /a reason that others can judge.*found "later"/,
    ],
    ["no date", but({ expires: "expires: soon" }), /ignores\.0\.expires: a date, such as.*found "soon"/],
    ["a day that is not", but({ expires: "expires: 2026-02-30" }), /ignores\.0\.expires: a date/],
    [
      "a date too far ahead",
      but({ expires: "expires: 2027-05-24" }),
      /security\.yaml:\d+: ignores\.0\.expires: at most 180 days ahead: 2027-05-23 or earlier \(found "2027-05-24"\)/,
    ],
    ["no gate", but({ gates: "gates: []" }), /ignores\.0\.gates: /],
    [
      "a package that is no URL",
      but({ id: "id: X, package: react" }),
      /a package URL, such as pkg:npm\/react/,
    ],
    [
      "a severity that is none",
      base.replace("[critical, high]", "[grave]"),
      /vulnerabilities\.block\.0: .*"critical"/,
    ],
    ["a database without a version", base.replace("trivy-db:2", "trivy-db"), /database: an OCI reference/],
    ["another word for warn", base.replace(": warn", ": ignore"), /without-database: .*"fail"\|"warn"/],
  ])("refuses %s", (_, text, message) => {
    expect(() => readSecurity(text, now)).toThrow(message)
  })
})

describe("checkGates", () => {
  it("refuses an ignore for an unknown gate", () => {
    const configuration = readSecurity(but({}), now)
    expect(() => {
      checkGates(configuration, ["security:secrets"])
    }).toThrow(/no such gate: api:scan; allowed: security:secrets/)
    expect(() => {
      checkGates(configuration, ["api:scan"])
    }).not.toThrow()
  })
})
