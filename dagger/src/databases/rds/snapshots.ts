import type { DBInstance } from "@aws-sdk/client-rds"
import type { Clock } from "../../lib/clock.js"
import { duration } from "../../lib/text.js"
import { type Rds, RdsError } from "./client.js"
import {
  expired,
  interrupted,
  type Keep,
  markTags,
  type Owner,
  ownInstances,
  ownSnapshots,
  restoredName,
  type Snapshot,
  snapshotName,
  stateOf,
  tagsOf,
} from "./decisions.js"
import { modifyParameters, restoreParameters, settingDifferences } from "./instance.js"

/** Milliseconds between two looks, until a restored instance has all settings once it is available, and until RDS lists what it has begun to make. */
const waits = { pause: 15_000, settle: 15 * 60_000, appear: 2 * 60_000 }

export interface SnapshotOptions {
  rds: Rds
  owner: Owner
  clock: Clock
  /** The time of day, in ms since the epoch. */
  now: () => number
  say: (line: string) => void
  /** Seconds until a snapshot, and then an instance that is restored from it, has to be available. */
  limit: number
}

/** Snapshots of the RDS instance that a database is on, and instances that are restored from them. It changes nothing without the tags of this database's backups. */
export class RdsSnapshots {
  constructor(private readonly options: SnapshotOptions) {}

  /** The newest first. */
  async own(): Promise<Snapshot[]> {
    const { rds, owner } = this.options
    return ownSnapshots(owner, await rds.snapshots(owner.instance))
  }

  /** The snapshot of a backup that was interrupted, to go on with. */
  async interrupted(): Promise<Snapshot | undefined> {
    return interrupted(await this.own(), this.options.now())
  }

  /**
   * Makes a snapshot and tags it.
   *
   * @param id of the backup
   * @throws Error for an instance that does not exist, is not PostgreSQL or is part of a cluster
   */
  async create(id: string): Promise<void> {
    const { rds, owner } = this.options
    const source = await this.source()
    if (source.Engine !== "postgres" || source.DBClusterIdentifier !== undefined) {
      const what = source.DBClusterIdentifier === undefined ? (source.Engine ?? "") : "part of a cluster"
      throw new Error(`${owner.instance} is ${what}; allowed: an instance of PostgreSQL that is no cluster`)
    }
    await rds.createSnapshot(owner.instance, snapshotName(owner, id), tagsOf(owner, id))
  }

  /**
   * Waits for a snapshot.
   *
   * @throws Error when it fails, is gone, or does not become available in time
   */
  async available(id: string): Promise<Snapshot> {
    return this.waitFor(`the snapshot ${snapshotName(this.options.owner, id)}`, async () => {
      const found = (await this.own()).find((one) => one.id === id)
      return found && { found, status: found.status }
    })
  }

  /**
   * Restores a snapshot to an instance of its own, with all settings of the one that serves, or goes on with that.
   *
   * @throws Error when it does not become available in time, or has other settings
   */
  async restore({ id, name: snapshot }: Snapshot): Promise<{ host: string; port: number }> {
    const { rds, owner, say } = this.options
    const [source, name] = [await this.source(), restoredName(owner, id)]
    if (!(await this.restored(id))) {
      await rds.restore({
        ...restoreParameters(source),
        DBInstanceIdentifier: name,
        DBSnapshotIdentifier: snapshot,
        Tags: tagsOf(owner, id),
      })
      say(`${snapshot} is restored to ${name}`)
    }
    await this.instanceAvailable(id)
    const same = await this.withSettings(source, id)
    const { Address: host = "", Port: port = 0 } = same.Endpoint ?? {}
    if (host === "" || host === source.Endpoint?.Address)
      throw new Error(`RDS names no address of its own for ${name}`)
    return { host, port }
  }

  /** Removes the instance that was restored from a snapshot. */
  async removeRestored(id: string): Promise<void> {
    const { rds, say } = this.options
    const found = await this.restored(id)
    if (!found || found.DBInstanceStatus === "deleting") return
    const { DBInstanceIdentifier: name = "" } = found
    if (found.DeletionProtection === true) {
      await rds.modify(name, { DeletionProtection: false })
      await this.waitFor(`the end of the deletion protection of ${name}`, async () => {
        const changed = await this.restored(id)
        return (
          changed && {
            found: changed,
            status: changed.DeletionProtection === true ? "modifying" : "available",
          }
        )
      })
    }
    await rds.deleteInstance(name)
    say(`${name} is removed`)
  }

  /** Removes instances that interrupted commands have left, but for that of one backup. */
  async removeLeft(except: string | undefined): Promise<void> {
    const { rds, owner } = this.options
    for (const { TagList, DBInstanceIdentifier: name } of ownInstances(owner, await rds.instances())) {
      const id = TagList?.map(({ Value = "" }) => Value).find((value) => restoredName(owner, value) === name)
      if (id !== undefined && id !== except) await this.removeRestored(id)
    }
  }

  /** Notes what became of a snapshot. */
  async mark({ arn }: Snapshot, mark: "verified" | "refused"): Promise<void> {
    const { rds, now } = this.options
    await rds.tag(arn, markTags(mark, new Date(now()).toISOString()))
  }

  /**
   * Removes snapshots of this database's backups that have expired.
   *
   * @returns their ids
   */
  async prune(keep: Keep): Promise<string[]> {
    const { rds, now } = this.options
    const old = expired(await this.own(), keep, now())
    for (const { name } of old) await rds.deleteSnapshot(name)
    return old.map(({ id }) => id)
  }

  /** The instance that serves. */
  private async source(): Promise<DBInstance> {
    const { rds, owner } = this.options
    const found = (await rds.instances()).find((one) => one.DBInstanceIdentifier === owner.instance)
    if (found) return found
    throw new RdsError(
      "DBInstanceNotFound",
      `there is no DB instance ${owner.instance} in this account and Region: see backup.instance and backup.region in deploy.yaml`,
    )
  }

  /**
   * The instance that was restored from a snapshot, if it is there.
   *
   * @throws Error for one of the same name that somebody else has made
   */
  private async restored(id: string): Promise<DBInstance | undefined> {
    const { rds, owner } = this.options
    const all = await rds.instances()
    const name = restoredName(owner, id)
    const [own] = ownInstances(owner, all).filter((one) => one.DBInstanceIdentifier === name)
    if (!own && all.some((one) => one.DBInstanceIdentifier === name))
      throw new Error(`the DB instance ${name} is there and has no tags of this backup: it is left alone`)
    return own
  }

  private instanceAvailable(id: string): Promise<DBInstance> {
    return this.waitFor(restoredName(this.options.owner, id), async () => {
      const found = await this.restored(id)
      return found && { found, status: found.DBInstanceStatus ?? "" }
    })
  }

  /** Gives a restored instance what a restore cannot give it, and compares it with its source. */
  private async withSettings(source: DBInstance, id: string): Promise<DBInstance> {
    const { rds, owner, clock } = this.options
    const name = restoredName(owner, id)
    let found = await this.instanceAvailable(id)
    const changes = modifyParameters(source, found)
    if (Object.keys(changes).length > 0) await rds.modify(name, changes)
    for (const until = clock.now() + waits.settle; ; await clock.pause(waits.pause)) {
      found = await this.instanceAvailable(id)
      const differences = settingDifferences(source, found)
      if (differences.length === 0) return found
      if (clock.now() >= until)
        throw new Error(`${name} does not have the settings of ${owner.instance}: ${differences.join("; ")}`)
    }
  }

  /** Looks until something is available. Progress is said when it changes. */
  private async waitFor<Found>(
    what: string,
    look: () => Promise<{ found: Found; status: string } | undefined>,
  ): Promise<Found> {
    const { clock, limit, say } = this.options
    let said = ""
    const began = clock.now()
    for (const until = began + limit * 1_000; ; await clock.pause(waits.pause)) {
      const seen = await look()
      if (!seen && said === "" && clock.now() < began + waits.appear) continue
      if (!seen) throw new Error(`${what} is not there: somebody has removed it`)
      const { found, status } = seen
      const state = stateOf(status)
      if (state === "ready") return found
      if (state === "failed") throw new Error(`${what} will never be available: its status is ${status}`)
      if (clock.now() >= until)
        throw new Error(
          `${what} is not available after ${duration(limit)} (limits.time): its status is ${status}`,
        )
      if (status !== said) say(`${what}: ${status}`)
      said = status
    }
  }
}
