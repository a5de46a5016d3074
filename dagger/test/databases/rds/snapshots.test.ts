import { describe, expect, it } from "vitest"
import type { DBInstance } from "@aws-sdk/client-rds"
import { RdsSnapshots } from "../../../src/databases/rds/snapshots.js"
import { FakeClock } from "../../lib/fake-clock.js"
import { FakeRds, id, owner, snapshot, source } from "./fixtures.js"

const restoredAs = "recipes-2026-03-02t10-00-00z-ab12cd"

/** Snapshots with everything in memory. */
function setUp(change: (rds: FakeRds) => void = () => undefined) {
  const [rds, clock, said] = [new FakeRds(), new FakeClock(), [] as string[]]
  change(rds)
  const snapshots = new RdsSnapshots({
    ...{ rds, owner, clock, limit: 3_600 },
    now: () => Date.parse("2026-03-02T10:05:00Z") + clock.now(),
    say: (line) => said.push(line),
  })
  const until = <Value>(promise: Promise<Value>) => clock.until(promise)
  const restored = async () => {
    await until(snapshots.create(id))
    return until(snapshots.available(id).then((one) => snapshots.restore(one)))
  }
  return { rds, clock, said, snapshots, until, restored }
}

describe("a snapshot", () => {
  it("is made with tags, waited for and restored with all settings, and its instance is removed again", async () => {
    const { rds, snapshots, until, restored, said } = setUp()
    expect(await restored()).toEqual({ host: `${restoredAs}.rds.example.com`, port: 5433 })
    await until(snapshots.removeRestored(id))
    expect(rds.all.map(({ DBInstanceIdentifier }) => DBInstanceIdentifier)).toEqual(["recipes-staging"])
    expect(rds.changes).toEqual([
      "createSnapshot pitwall-staging-recipes-2026-03-02t10-00-00z-ab12cd",
      `restore ${restoredAs}`,
      expect.stringMatching(`^modify ${restoredAs} .*PreferredMaintenanceWindow`),
      `modify ${restoredAs} DeletionProtection`,
      `deleteInstance ${restoredAs}`,
    ])
    expect(said).toContain("the snapshot pitwall-staging-recipes-2026-03-02t10-00-00z-ab12cd: creating")
  })

  it("that is never available ends the wait after its limit, and one that failed at once", async () => {
    const slow = setUp((rds) => (rds.snapshotStatuses = ["creating"]))
    await slow.until(slow.snapshots.create(id))
    await expect(slow.until(slow.snapshots.available(id))).rejects.toThrow(
      /^the snapshot pitwall-staging-recipes-\S+ is not available after 60 min 00 s \(limits.time\): its status is creating$/,
    )
    expect(slow.clock.now()).toBe(3_600_000)
    const failed = setUp((rds) => (rds.snapshotStatuses = ["creating", "failed"]))
    await failed.until(failed.snapshots.create(id))
    await expect(failed.until(failed.snapshots.available(id))).rejects.toThrow(
      /will never be available: its status is failed$/,
    )
    expect(failed.clock.now()).toBeLessThan(60_000)
  })

  it("that somebody removes meanwhile, or that is not there, ends the wait", async () => {
    const { rds, snapshots, until, clock } = setUp((rds) => (rds.snapshotStatuses = ["creating"]))
    await until(snapshots.create(id))
    const waiting = until(snapshots.available(id))
    await until(clock.pause(60_000))
    rds.taken = []
    await expect(waiting).rejects.toThrow(/is not there: somebody has removed it/)
    await expect(until(snapshots.available(id))).rejects.toThrow(/is not there/)
  })

  it("is made of an instance of PostgreSQL only", async () => {
    const make = (change: Partial<DBInstance>) => {
      const { snapshots, until } = setUp((rds) => (rds.all = [source(change)]))
      return until(snapshots.create(id))
    }
    await expect(make({ Engine: "mysql" })).rejects.toThrow(
      "recipes-staging is mysql; allowed: an instance of",
    )
    await expect(make({ DBClusterIdentifier: "c" })).rejects.toThrow("is part of a cluster; allowed")
    await expect(make({ DBInstanceIdentifier: "other" })).rejects.toThrow(
      "there is no DB instance recipes-staging in this account and Region",
    )
  })

  it("of somebody else is never removed, however old", async () => {
    const old = "2025-01-01T00-00-00Z-000000"
    const { rds, snapshots, until } = setUp((rds) => {
      rds.taken = [
        snapshot({ tags: { "pitwall:verified": "2026-03-02T10:01:00Z" } }),
        snapshot({ tags: { "pitwall:backup": old, "pitwall:verified": "2025-01-01T00:01:00Z" } }),
        snapshot({ tags: { "pitwall:backup": old, "pitwall:environment": "production" } }),
        snapshot({ DBSnapshotIdentifier: "before-the-move", tags: { "pitwall:backup": old } }),
        snapshot({ DBSnapshotIdentifier: "by-hand", TagList: [] }),
      ]
    })
    expect(await until(snapshots.prune({ days: 30, count: 1 }))).toEqual([old])
    expect(rds.changes).toEqual([`deleteSnapshot pitwall-staging-recipes-${old.toLowerCase()}`])
  })
})

describe("a restored instance", () => {
  it("that has other settings is refused, and they are named", async () => {
    const { restored, clock } = setUp((rds) => {
      rds.defaults = { DBParameterGroups: [{ DBParameterGroupName: "default.postgres15" }] }
    })
    await expect(restored()).rejects.toThrow(
      `${restoredAs} does not have the settings of recipes-staging: parameter group: default.postgres15 instead of recipes15`,
    )
    expect(clock.now()).toBeLessThan(20 * 60_000)
    const deaf = setUp((rds) => (rds.deaf = true))
    await expect(deaf.restored()).rejects.toThrow(/maintenance window: none instead of sun:04:00-sun:05:00/)
  })

  it("that is never available ends the wait", async () => {
    const { restored } = setUp((rds) => (rds.instanceStatuses = ["creating", "incompatible-network"]))
    await expect(restored()).rejects.toThrow(
      `${restoredAs} will never be available: its status is incompatible-`,
    )
    const slow = setUp((rds) => (rds.instanceStatuses = ["creating"]))
    await expect(slow.restored()).rejects.toThrow(
      `${restoredAs} is not available after 60 min 00 s (limits.time)`,
    )
  })

  it("is gone on with when the command was interrupted, and no second one is made", async () => {
    const { rds, snapshots, until, restored } = setUp()
    await restored()
    const [found] = await until(snapshots.own())
    if (!found) throw new Error("no snapshot")
    await until(snapshots.restore(found))
    expect(rds.changes.filter((one) => one.startsWith("restore"))).toHaveLength(1)
  })

  it("of an earlier command is removed, and one of somebody else is not", async () => {
    const { rds, snapshots, until, restored } = setUp()
    await restored()
    rds.all.push(source({ DBInstanceIdentifier: "recipes-2026-01-01t00-00-00z-000000", TagList: [] }))
    await until(snapshots.removeLeft(id))
    expect(rds.all).toHaveLength(3)
    await until(snapshots.removeLeft(undefined))
    expect(rds.all.map(({ DBInstanceIdentifier }) => DBInstanceIdentifier)).toEqual([
      "recipes-staging",
      "recipes-2026-01-01t00-00-00z-000000",
    ])
  })

  it("whose name somebody else has taken is left alone, and so is the backup", async () => {
    const { rds, snapshots, until, restored } = setUp((rds) =>
      rds.all.push(source({ DBInstanceIdentifier: restoredAs, TagList: [] })),
    )
    await expect(restored()).rejects.toThrow("has no tags of this backup: it is left alone")
    await expect(until(snapshots.removeRestored(id))).rejects.toThrow("it is left alone")
    expect(rds.changes.join()).not.toMatch(/delete|restore/)
  })
})
