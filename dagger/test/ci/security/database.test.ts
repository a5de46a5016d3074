import { describe, expect, it } from "vitest"
import { timeOf } from "../../lib/time-of.js"
import { due, outdated, readMetadata, reasonOf } from "../../../src/ci/security/database.js"

const kept = {
  made: "2026-11-24T06:10:00.123456789Z",
  next: new Date("2026-11-25T06:10:00Z"),
  downloaded: new Date("2026-11-24T08:00:00Z"),
}

describe("readMetadata", () => {
  it("reads what Trivy writes", () => {
    const text =
      '{"Version":2,"NextUpdate":"2026-11-25T06:10:00Z","UpdatedAt":"2026-11-24T06:10:00.123456789Z","DownloadedAt":"2026-11-24T08:00:00Z"}\n'
    expect(readMetadata(text)).toEqual(kept)
  })

  it.each(["", "{}", '{"Version":2,', '{"UpdatedAt":"yesterday"}'])("takes %j for no database", (text) => {
    expect(readMetadata(text)).toBeUndefined()
  })
})

describe("due", () => {
  it.each([
    ["2026-11-24T09:00:00Z", false],
    ["2026-11-25T06:09:59Z", false],
    ["2026-11-25T06:10:00Z", true],
    ["2026-12-25T00:00:00Z", true],
  ])("at %s: %s", (now, expected) => {
    expect(due(kept, new Date(now))).toBe(expected)
  })

  it("is true a day after the download, whatever the database says, and where there is none", () => {
    const patient = { ...kept, next: new Date("2030-01-01") }
    expect(due(patient, new Date("2026-11-25T07:59:59Z"))).toBe(false)
    expect(due(patient, new Date("2026-11-25T08:00:00Z"))).toBe(true)
    expect(due(undefined, new Date())).toBe(true)
  })
})

describe("outdated", () => {
  it("says how old a database is, and how old it may be", () => {
    expect(outdated(kept, 7, new Date("2026-12-01T12:00:00Z"))).toBeUndefined()
    expect(outdated(kept, 7, new Date("2026-12-02T12:00:00Z"))).toBe(
      "the one of 2026-11-24 is 8 days old, of 7 at most",
    )
  })
})

describe("reasonOf", () => {
  it("takes the last line, without what stands around it", () => {
    const output = `2026-11-24T06:56:22Z\tFATAL\tFatal error\tinit error: failed to download vulnerability DB: 1 error occurred:
\t* Get "https://ghcr.io/v2/": dial tcp: lookup ghcr.io: no such host

`
    expect(reasonOf(output)).toBe('Get "https://ghcr.io/v2/": dial tcp: lookup ghcr.io: no such host')
  })

  it("takes the line of each source where the last only says that all failed", () => {
    const line = (repo: string, err: string) =>
      `2026-11-28T10:00:01Z\tERROR\t[vulndb] Failed to download artifact\trepo="${repo}" err=${JSON.stringify(err)}\n`
    const all =
      "2026-11-28T10:00:01Z\tFATAL\tFatal error\tinit error: DB error: failed to download vulnerability DB: failed to download artifact from any source\n"
    const busy = "oci download error: GET https://registry.local/v2/x: TOOMANYREQUESTS: retry-after: 1ms"
    expect(reasonOf(line("registry.local/db:2", busy) + all)).toBe(busy)
    expect(reasonOf(line("a", busy) + line("b", `Get "https://b/v2/": no such host`) + all)).toBe(
      `${busy}; Get "https://b/v2/": no such host`,
    )
  })

  it("keeps the end of a long chain of errors, for there the cause stands", () => {
    const chain = `2026-11-28T10:00:01Z\tFATAL\tFatal error\t${"failed to download: ".repeat(30)}no space left on device`
    expect(reasonOf(chain)).toMatch(/^….{150,}no space left on device$/)
  })

  it("ignores lines that are not errors", () => {
    const output =
      "2026-11-28T10:00:01Z\tFATAL\tFatal error\tno space left on device\n2026-11-28T10:00:01Z\tINFO\tTry again\n"
    expect(reasonOf(output)).toBe("no space left on device")
  })

  it("takes time that grows with the output", () => {
    const output = `${'\terr="\\'.repeat(200_000)}${" ".repeat(200_000)}${"\n".repeat(200_000)}`
    expect(timeOf(() => reasonOf(output))).toBeLessThan(20_000)
  })

  it("says so if there is no output", () => {
    expect(reasonOf("\n")).toBe("it did not say why")
  })
})
