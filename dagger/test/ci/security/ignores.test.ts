import { describe, expect, it } from "vitest"
import { parse } from "yaml"
import type { Ignore } from "../../../src/ci/security/configuration.js"
import { ignoredBy, ignoresOf, matches, remarks, trivyIgnores } from "../../../src/ci/security/ignores.js"
import { samePackage } from "../../../src/ci/security/package-url.js"

const ignore = (more: Partial<Ignore> = {}): Ignore => ({
  id: "CVE-2026-1",
  gates: ["security:dependencies"],
  reason: "not reachable from outside",
  expires: "2026-12-31",
  ...more,
})

describe("ignoresOf", () => {
  const at = (time: string) => ignoresOf([ignore()], "security:dependencies", new Date(time))

  it.each([
    ["2026-12-30T12:00:00Z", 1, 0],
    ["2026-12-31T23:59:59Z", 1, 0],
    ["2027-01-01T00:00:00Z", 0, 1],
  ])("at %s has %i active and %i expired: the last day counts", (time, active, expired) => {
    expect(at(time).active).toHaveLength(active)
    expect(at(time).expired).toHaveLength(expired)
  })

  it("takes those of the gate and of no other", () => {
    expect(ignoresOf([ignore()], "api:scan", new Date("2026-12-01"))).toEqual({ active: [], expired: [] })
  })
})

describe("trivyIgnores", () => {
  it("writes Trivy's format, for each kind of finding", () => {
    const written: unknown = parse(trivyIgnores([ignore({ package: "pkg:npm/ms", path: "services/**" })]))
    const entry = {
      id: "CVE-2026-1",
      purls: ["pkg:npm/ms"],
      paths: ["services/**"],
      statement: "not reachable from outside",
    }
    expect(written).toEqual({ vulnerabilities: [entry], misconfigurations: [entry], secrets: [entry] })
  })

  it("is the same text whatever the day, as long as the same ignores hold", () => {
    const on = (day: string) =>
      trivyIgnores(ignoresOf([ignore()], "security:dependencies", new Date(day)).active)
    expect(on("2026-11-01")).toBe(on("2026-12-31"))
    expect(on("2027-01-01")).not.toBe(on("2026-12-31"))
  })
})

describe("ignoredBy", () => {
  it.each([
    [{ id: "CVE-2026-1" }, {}, true],
    [{ id: "CVE-2026-2" }, {}, false],
    [{ id: "CVE-2026-1", package: "pkg:npm/ms@2.1.3" }, { package: "pkg:npm/ms" }, true],
    [{ id: "CVE-2026-1", package: "pkg:npm/msw@2.1.3" }, { package: "pkg:npm/ms" }, false],
    [{ id: "CVE-2026-1" }, { package: "pkg:npm/ms" }, false],
    [{ id: "CVE-2026-1", file: "services/api/src/a.py" }, { path: "services/api/**" }, true],
    [{ id: "CVE-2026-1", file: "services/web/a.ts" }, { path: "services/api/**" }, false],
    [{ id: "CVE-2026-1" }, { path: "**" }, false],
  ])("%j under %j: %s", (found, more, expected) => {
    expect(ignoredBy(found, [ignore(more)]) !== undefined).toBe(expected)
  })
})

describe("samePackage", () => {
  it.each([
    ["pkg:npm/react", "pkg:npm/react@19.3.1", true],
    ["pkg:npm/react@19.3.1", "pkg:npm/react@19.3.1", true],
    ["pkg:npm/react@19.3.0", "pkg:npm/react@19.3.1", false],
    ["pkg:npm/@f1/kit", "pkg:npm/%40f1/kit@1.0.0", true],
    ["pkg:npm/react", "pkg:npm/react-dom@19.3.1", false],
    ["pkg:pypi/PyJWT", "pkg:pypi/pyjwt@2.15.1", true],
    ["pkg:pypi/typing_extensions", "pkg:pypi/typing-extensions@4.15.0", true],
    ["pkg:npm/react@19", "pkg:npm/react", false],
    ["pkg:npm/react", "pkg:pypi/react@19.3.1", false],
    ["pkg:npm/a@1.0.0+build", "pkg:npm/a@1.0.0%2Bbuild", true],
    ["pkg:deb/debian/libc6?arch=arm64", "pkg:deb/debian/libc6@2.41?arch=amd64", false],
    ["pkg:npm/react", "react 19.3.1", false],
    ["pkg:npm/react", "pkg:npm/%zz", false],
    ["pkg:deb/debian/coreutils", "pkg:deb/debian/coreutils@9.1-1?arch=amd64&distro=debian-12", true],
  ])("%s and %s: %s", (wanted, found, expected) => {
    expect(samePackage(wanted, found)).toBe(expected)
  })
})

describe("matches", () => {
  it.each([
    ["services/*/Dockerfile", "services/api/Dockerfile", true],
    ["services/*/Dockerfile", "services/a/b/Dockerfile", false],
    ["**/Dockerfile", "Dockerfile", true],
    ["**/Dockerfile", "services/api/Dockerfile", true],
    ["services/**", "services/api/src/a.py", true],
    ["services/**", "services/api/.config/a.py", true],
    ["a.py", "aXpy", false],
    ["services/*/{src,tests}/**", "services/api/tests/a.py", true],
    ["src/a+b.py", "src/a+b.py", true],
    ["src/@x/**", "src/@x/y#1.py", true],
    ["my dir/**", "my dir/größe.py", true],
    ["app/(shop)/*.tsx", "app/(shop)/page.tsx", true],
    ["app/(shop)/*.tsx", "app/shop/page.tsx", false],
    ["app/\\[slug\\]/page.tsx", "app/[slug]/page.tsx", true],
    ["!src/a.py", "src/b.py", false],
    ["+(a).py", "aa.py", false],
  ])("%s, %s: %s", (pattern, path, expected) => {
    expect(matches(pattern, path)).toBe(expected)
  })
})

describe("remarks", () => {
  it("names ignores that have expired or match nothing", () => {
    const [used, unused] = [ignore(), ignore({ id: "CVE-2026-2" })]
    const expired = ignore({ id: "CVE-2026-3", expires: "2026-01-01" })
    expect(remarks({ active: [used, unused], expired: [expired] }, new Set([used]))).toEqual([
      "the ignore of CVE-2026-3 expired on 2026-01-01 (not reachable from outside)",
      "the ignore of CVE-2026-2 matches nothing: remove it",
    ])
  })
})
