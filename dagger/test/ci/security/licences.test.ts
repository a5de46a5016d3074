import { describe, expect, it } from "vitest"
import type { Ignore } from "../../../src/ci/security/configuration.js"
import { examineLicences, standingOf } from "../../../src/ci/security/licences.js"

const policy = {
  allowed: ["MIT", "Apache-2.0", "LGPL-*"],
  forbidden: ["GPL-*", "SSPL-1.0"],
  clarified: [{ package: "pkg:pypi/both", licence: "MIT", reason: "one of two" }],
}

describe("standingOf", () => {
  it.each([
    ["MIT", "allowed"],
    ["mit", "allowed"],
    ["LGPL-3.0-only", "allowed"],
    ["GPL-3.0-only", "forbidden"],
    ["WTFPL", "undecided"],
    ["MIT OR GPL-3.0-only", "allowed"],
    ["MIT AND GPL-3.0-only", "forbidden"],
    ["MIT and Apache-2.0", "allowed"],
    ["MIT\nOR  GPL-3.0-only", "allowed"],
    ["GPL-2.0+", "forbidden"],
    ["Apache-2.0+", "allowed"],
    ["LicenseRef-ours OR MIT", "allowed"],
    ["MIT AND", "undecided"],
    ["", "undecided"],
    ["MIT AND Apache-2.0 WITH a-made-up-exception", "undecided"],
    ["GPL-3.0-only OR WTFPL", "undecided"],
    ["MIT AND (GPL-3.0-only OR Apache-2.0)", "allowed"],
    ["(MIT OR WTFPL) AND (GPL-3.0-only AND MIT)", "forbidden"],
    ["MIT OR GPL-3.0-only AND WTFPL", "allowed"],
    ["Apache-2.0 WITH LLVM-exception", "allowed"],
    ["GPL-3.0-only WITH GCC-exception-3.1 AND MIT", "forbidden"],
    ["Some License of Ours", "undecided"],
    ["MIT License", "undecided"],
    ["(MIT", "undecided"],
  ])("%s is %s", (expression, standing) => {
    expect(standingOf(expression, policy)).toBe(standing)
  })

  it("does not hang on a long expression", () => {
    expect(standingOf(Array(50_000).fill("MIT").join(" AND "), policy)).toBe("undecided")
    expect(standingOf("(".repeat(100_000), policy)).toBe("undecided")
  })

  it("knows a name of several words", () => {
    expect(
      standingOf("Python Software Foundation License", {
        allowed: ["Python Software Foundation License"],
        forbidden: [],
      }),
    ).toBe("allowed")
  })
})

describe("examineLicences", () => {
  const packages = [
    { name: "fine", file: "a", package: "pkg:pypi/fine@1", licences: ["MIT"] },
    { name: "copyleft", file: "b", package: "pkg:pypi/copyleft@1", licences: ["GPL-2.0-only"] },
    { name: "silent", file: "c", package: "pkg:pypi/silent@1", licences: [] },
    { name: "both", file: "d", package: "pkg:pypi/both@1", licences: ["MIT", "GPL-2.0-only"] },
    { name: "two", file: "e", package: "pkg:pypi/two@1", licences: ["MIT", "GPL-2.0-only"] },
  ]

  it("finds forbidden and undecided licences, and uses clarified ones", () => {
    const { found, looked } = examineLicences(packages, policy, [])
    expect(found.map(({ version, id, severity }) => [version, id, severity])).toEqual([
      ["copyleft", "GPL-2.0-only", "critical"],
      ["silent", "no licence", "high"],
      ["two", "(MIT) AND (GPL-2.0-only)", "critical"],
    ])
    expect(looked).toEqual(["5 packages"])
  })

  it("does not pass without packages", () => {
    expect(() => examineLicences([], policy, [])).toThrow("Trivy saw no package at all")
  })

  it("leaves out ignored findings", () => {
    const ignore: Ignore = {
      id: "GPL-2.0-only",
      gates: ["security:licences"],
      package: "pkg:pypi/copyleft",
      reason: "replaced in the next release",
      expires: "2026-12-31",
    }
    const { found, ignored, used } = examineLicences(packages, policy, [ignore])
    expect(found.map(({ version }) => version)).toEqual(["silent", "two"])
    expect(ignored).toBe(1)
    expect(used).toEqual(new Set([ignore]))
  })
})
