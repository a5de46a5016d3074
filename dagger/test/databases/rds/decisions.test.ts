import { describe, expect, it } from "vitest"
import {
  addressAt,
  expired,
  interrupted,
  ownInstances,
  ownSnapshots,
  restoredName,
  type Snapshot,
  snapshotName,
  stateOf,
  tagsOf,
} from "../../../src/databases/rds/decisions.js"
import { id, owner, snapshot, source } from "./fixtures.js"

const day = 86_400_000
const now = Date.parse("2026-03-30T12:00:00Z")

/** Snapshots of some days ago, the newest first. */
const taken = (...all: (Partial<Snapshot> & { days: number })[]): Snapshot[] =>
  all.map(({ days, ...more }) => ({
    id: `of-${days}`,
    ...{ name: "", arn: "", status: "available", bytes: 1, taken: now - days * day },
    ...more,
  }))

const verified = "2026-03-02T11:00:00Z"

describe("names at RDS", () => {
  it("are allowed there, also for the longest name of a database", () => {
    expect(snapshotName(owner, id)).toBe("pitwall-staging-recipes-2026-03-02t10-00-00z-ab12cd")
    const longest = { ...owner, name: `a--${"b".repeat(31)}` }
    expect(restoredName(longest, id)).toMatch(/^[a-z](-?[a-z0-9])*$/)
    expect(restoredName(longest, id).length).toBeLessThanOrEqual(63)
  })
})

describe("what is ours", () => {
  it("is a manual snapshot with our tags and our name, and nobody else's", () => {
    const theirs = [
      snapshot({ TagList: [] }),
      snapshot({ tags: { "pitwall:environment": "production" } }),
      snapshot({ tags: { "pitwall:database": "f1" } }),
      // A copy that somebody has made, with its tags.
      snapshot({ DBSnapshotIdentifier: "before-the-move" }),
      snapshot({ SnapshotType: "automated" }),
      snapshot({ tags: { "pitwall:backup": "newest" } }),
    ]
    expect(ownSnapshots(owner, theirs)).toEqual([])
    const later = "2026-03-03T10-00-00Z-000000"
    const own = [snapshot(), snapshot({ tags: { "pitwall:backup": later, "pitwall:verified": verified } })]
    expect(ownSnapshots(owner, [...theirs, ...own])).toMatchObject([
      { id: later, verified },
      { id, bytes: 500 * 2 ** 30, taken: Date.parse("2026-03-02T10:00:00Z") },
    ])
  })

  it("is as it was found the last time that it was compared", () => {
    const found = (marks: Record<string, string>) => {
      const tags = Object.fromEntries(Object.entries(marks).map(([mark, at]) => [`pitwall:${mark}`, at]))
      const [own] = ownSnapshots(owner, [snapshot({ tags })])
      return own && { verified: own.verified, refused: own.refused }
    }
    const later = "2026-03-05T11:00:00Z"
    expect(found({ verified, refused: later })).toEqual({ refused: later })
    expect(found({ verified: later, refused: verified })).toEqual({ verified: later })
  })

  it("is an instance that was restored for a backup, and never the one that serves", () => {
    const restored = source({ DBInstanceIdentifier: restoredName(owner, id), TagList: tagsOf(owner, id) })
    const serving = source({ DBInstanceIdentifier: "recipes-staging", TagList: tagsOf(owner, id) })
    const theirs = source({ DBInstanceIdentifier: restoredName(owner, id), TagList: [] })
    expect(ownInstances(owner, [serving, theirs, restored])).toEqual([restored])
    // Somebody let the restored one serve, by deploy.yaml.
    expect(ownInstances({ ...owner, instance: restoredName(owner, id) }, [restored])).toEqual([])
  })
})

describe("retention", () => {
  it("removes nothing while fewer are verified than have to stay", () => {
    const all = taken({ days: 1 }, { days: 50, verified }, { days: 60 })
    expect(expired(all, { days: 30, count: 2 }, now)).toEqual([])
  })

  it("keeps the young ones and the newest that were verified, and removes the others, verified or not", () => {
    const all = taken(
      { days: 1, verified },
      { days: 29 },
      { days: 40, refused: verified },
      { days: 50, verified },
      { days: 60, verified },
    )
    expect(expired(all, { days: 30, count: 2 }, now).map(({ id }) => id)).toEqual(["of-40", "of-60"])
  })
})

describe("an interrupted backup", () => {
  it.each([
    ["is gone on with while it is young", taken({ days: 0.1 }), "of-0.1"],
    ["whose snapshot is being made is gone on with", taken({ days: 0.1, status: "creating" }), "of-0.1"],
    ["is left when it is old", taken({ days: 0.6 }), undefined],
    ["is left when a newer one was verified", taken({ days: 0.1, verified }, { days: 0.2 }), undefined],
    ["is left when it was refused", taken({ days: 0.1, refused: verified }), undefined],
    ["whose snapshot failed is left", taken({ days: 0.1, status: "failed" }), undefined],
  ])("%s", (_, all, expected) => {
    expect(interrupted(all, now)?.id).toBe(expected)
  })
})

describe("a status", () => {
  it.each([
    ["available", "ready"],
    ["storage-optimization", "ready"],
    ["creating", "waiting"],
    ["configuring-enhanced-monitoring", "waiting"],
    ["something-new", "waiting"],
    ["failed", "failed"],
    ["incompatible-network", "failed"],
    ["inaccessible-encryption-credentials-recoverable", "failed"],
    ["restore-error", "failed"],
    ["deleting", "failed"],
    ["stopped", "failed"],
  ] as const)("of %s means %s", (status, meaning) => {
    expect(stateOf(status)).toBe(meaning)
  })
})

describe("the address of the restored database", () => {
  const place = { host: "restored.example.com", port: 5433 }

  it("differs in its server only", () => {
    expect(addressAt("postgresql://me:p%40ss@db.example.com:5432/recipes?sslmode=verify-full", place)).toBe(
      "postgresql://me:p%40ss@restored.example.com:5433/recipes?sslmode=verify-full",
    )
    expect(addressAt("postgresql://me@db/recipes", place)).toBe(
      "postgresql://me@restored.example.com:5433/recipes",
    )
  })

  it.each([
    "",
    "postgresql:///recipes",
    "postgresql://me@/recipes?host=db",
    "postgresql://me@one,two/recipes",
    "postgresql://me@db/recipes?hostaddr=10.0.0.1",
    "postgresql://me@db/recipes?sslmode=require&port=5433",
  ])("is refused where %j names no single server, without showing it", (address) => {
    expect(() => addressAt(address, place)).toThrow(/^the secret DATABASE_URL names no single server/)
  })

  it("is never that of the database itself", () => {
    expect(() => addressAt("postgresql://me:secret@Restored.example.com/recipes", place)).toThrow(
      "the restored instance has the address of the database itself, restored.example.com",
    )
  })
})
