import { describe, expect, it } from "vitest"
import type { Severity } from "../../../src/ci/report/severity.js"
import { countsOf, applyPolicy, type ScanResult } from "../../../src/ci/security/policy.js"

const found = (...severities: Severity[]) =>
  severities.map((severity, at) => ({ id: `CVE-${at}`, severity, title: "a flaw", file: "a.txt", line: 3 }))
const examined = (more: Partial<ScanResult>): ScanResult => ({
  found: [],
  ignored: 0,
  used: new Set(),
  looked: ["7 packages"],
  ...more,
})
const none = { active: [], expired: [] }

describe("applyPolicy", () => {
  it("lets a change pass with nothing found, and says what was looked at", () => {
    expect(applyPolicy(examined({}), ["critical"], none)).toEqual({
      detail: "7 packages · no findings",
      fault: "",
    })
  })

  it("lets a change pass with findings that do not block, and counts them", () => {
    const { detail, fault } = applyPolicy(
      examined({ found: found("low", "medium", "low"), ignored: 2 }),
      ["critical", "high"],
      none,
    )
    expect(fault).toBe("")
    expect(detail).toBe("7 packages · 1 medium, 2 low · 2 ignored")
  })

  it("stops a change with one that does, the worst first, and where to accept it", () => {
    const { fault } = applyPolicy(
      examined({ found: found("medium", "high", "critical") }),
      ["critical", "high"],
      none,
    )
    expect(fault.split("\n")).toEqual([
      "critical  CVE-2  a.txt:3  a flaw",
      "high  CVE-1  a.txt:3  a flaw",
      "",
      "7 packages · 1 critical, 1 high, 1 medium. Of these, 2 findings may not be: critical, high.",
      expect.stringContaining('"ignores" in dagger/config/security.yaml'),
    ])
  })

  it("names as many as fit in a terminal", () => {
    const many = Array.from({ length: 50 }, (): Severity => "high")
    const { fault } = applyPolicy(examined({ found: found(...many) }), ["high"], none)
    expect(fault.split("\n")).toHaveLength(34)
    expect(fault).toContain("… and 20 more findings")
  })
})

describe("countsOf", () => {
  it("counts findings without a rating too", () => {
    expect(countsOf(found("note", "critical"))).toBe("1 critical, 1 note")
  })
})
