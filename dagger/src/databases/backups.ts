import { databaseObject } from "../delivery/access.js"
import type { RestorePoint } from "../delivery/component.js"
import { StoppedFollowing } from "../delivery/job-runner.js"
import { Lease, LeaseHeld } from "../delivery/lease.js"
import { oneLine } from "../lib/text.js"
import { migrationObjects, type MigrationRun } from "./job.js"
import type { MigratedDatabase } from "./migrated-database.js"
import { addressAt, type Snapshot } from "./rds/decisions.js"
import { RdsSnapshots } from "./rds/snapshots.js"
import { type MigrationResult, resultText } from "./result.js"
import type { SnapshotSettings } from "./settings.js"
import type { RunEnd } from "./state.js"

/** How backups of a database are made and proven: `backup.kind` of deploy.yaml. What fails is in the end that they return. */
export interface Backups {
  /**
   * Makes a backup, restores it beside the database and compares it; then those that have expired are removed.
   *
   * @param image that serves: it knows how to read the database
   * @throws LeaseHeld while another command makes one, where that is not possible at the same time
   */
  make(image: string): Promise<RunEnd>
  /** Restores a backup beside the database and compares it; the newest, without an id. */
  verify(image: string, backup?: string): Promise<RunEnd>
  /** @throws Error when what is named cannot come into the place of the database */
  checkRestore(point: RestorePoint): Promise<void>
}

export const backupsOf = (database: MigratedDatabase): Backups => {
  const { backup } = database.settings
  return backup.kind === "rds" ? new SnapshotBackups(database, backup) : new DumpBackups(database)
}

const runIn = (
  database: MigratedDatabase,
  run: Pick<MigrationRun, "mode" | "backup" | "image">,
  secrets: Record<string, string>,
): Promise<RunEnd> => {
  const { context, runner, settings } = database
  return runner.run(migrationObjects(settings, { ...run, id: context.id, allowBreaking: false }, secrets))
}

/** Dumps, made and compared by one Job with a throw-away PostgreSQL beside it. */
class DumpBackups implements Backups {
  constructor(private readonly database: MigratedDatabase) {}

  async make(image: string): Promise<RunEnd> {
    return runIn(this.database, { mode: "backup", image }, await this.database.secrets())
  }

  async verify(image: string, backup?: string): Promise<RunEnd> {
    const run = { mode: "verify" as const, image, ...(backup !== undefined && { backup }) }
    return runIn(this.database, run, await this.database.secrets())
  }

  checkRestore(): Promise<void> {
    return Promise.resolve()
  }
}

/** A Job has ended, and not as it was to. */
class JobFailed extends Error {
  override name = "JobFailed"

  constructor(readonly end: RunEnd) {
    super(end.message)
  }
}

/** Snapshots of the RDS instance. Jobs note what is in the database before and after, and compare an instance that is restored beside it. */
class SnapshotBackups implements Backups {
  constructor(
    private readonly database: MigratedDatabase,
    private readonly backup: SnapshotSettings,
  ) {}

  make(image: string): Promise<RunEnd> {
    return this.reported(() =>
      this.exclusively(async (snapshots, lease) => {
        const { say } = this.database
        const found = await snapshots.interrupted()
        await snapshots.removeLeft(found?.id)
        if (found) say(`goes on with ${found.name}, which an interrupted backup has left`)
        const id = found?.id ?? (await this.begin(image, snapshots))
        const snapshot = await snapshots.available(id)
        lease.check()
        await this.orRefused(snapshots, snapshot, () => this.job("after", "observed", image, { backup: id }))
        const end = await this.compare(image, snapshots, snapshot, lease)
        await snapshots.mark(snapshot, "verified")
        const left = await this.leftAfter(snapshots, id)
        lease.check()
        const { removed, unpruned } = await this.prune(image, snapshots)
        const problem = [left, unpruned].filter((one) => one !== undefined).join("; ") || undefined
        return this.ended(end.at, { ...end.result, outcome: "backed-up", removed, unpruned: problem })
      }),
    )
  }

  verify(image: string, backup?: string): Promise<RunEnd> {
    return this.reported(async () => {
      // Migrations make dumps, whatever the kind of backup.
      if (backup !== undefined && !(await this.find(backup)))
        return new DumpBackups(this.database).verify(image, backup)
      return this.verifySnapshot(image, backup)
    })
  }

  private verifySnapshot(image: string, backup: string | undefined): Promise<RunEnd> {
    return this.exclusively(async (snapshots, lease) => {
      const own = await snapshots.own()
      const found = own.find(({ id, verified }) =>
        backup === undefined ? verified !== undefined : id === backup,
      )
      if (!found) throw new Error(`there is no snapshot of ${this.backup.instance} that was verified`)
      await snapshots.removeLeft(found.id)
      const snapshot = await snapshots.available(found.id)
      const end = await this.compare(image, snapshots, snapshot, lease)
      await snapshots.mark(snapshot, "verified")
      return this.ended(end.at, { ...end.result, unpruned: await this.leftAfter(snapshots, found.id) })
    })
  }

  async checkRestore(point: RestorePoint): Promise<void> {
    const remedy =
      "restore it by hand as docs/migrations.md says, or name a dump, which each migration makes, by its id"
    if ("before" in point)
      throw new Error(
        `a moment is not possible with backups of kind rds: the newest backup until then may be a snapshot, and putting a snapshot into the place of the database is not possible yet: ${remedy}`,
      )
    const found = await this.find(point.backup)
    if (found)
      throw new Error(
        `${found.id} is the snapshot ${found.name}, and putting a snapshot into the place of the database is not possible yet; verify-backup --backup ${found.id} proves it: ${remedy}`,
      )
  }

  private async find(id: string): Promise<Snapshot | undefined> {
    return (await this.snapshots().own()).find((one) => one.id === id)
  }

  private async begin(image: string, snapshots: RdsSnapshots): Promise<string> {
    const { result } = await this.job("before", "observed", image)
    const id = result.backup?.id
    if (id === undefined) throw new Error("the image named no backup")
    await snapshots.create(id)
    return id
  }

  /**
   * Compares what is restored from a snapshot. Its instance is removed when that fails.
   *
   * @throws Error also when the instance could not be removed
   */
  private async compare(
    image: string,
    snapshots: RdsSnapshots,
    snapshot: Snapshot,
    lease: Lease,
  ): Promise<RunEnd & { result: MigrationResult }> {
    const { id } = snapshot
    try {
      const place = await snapshots.restore(snapshot)
      lease.check()
      return await this.orRefused(snapshots, snapshot, async () => {
        const secrets = await this.database.secrets()
        const address = addressAt(secrets.database_url ?? "", place)
        const given = { ...secrets, database_url: address }
        const end = await this.job("compare", "verified", image, { backup: id, secrets: given })
        const { backup } = end.result
        if (!backup) throw new Error("the image named no backup")
        const own = { location: snapshot.arn, bytes: snapshot.bytes }
        return { ...end, result: { ...end.result, backup: { ...backup, ...own } } }
      })
    } catch (error) {
      await snapshots.removeRestored(id).catch((other: unknown) => {
        throw new Error(`${(error as Error).message}; and then: ${(other as Error).message}`, {
          cause: error,
        })
      })
      throw error
    }
  }

  /**
   * Removes the instance of a snapshot that is good.
   *
   * @returns why it is still there
   */
  private async leftAfter(snapshots: RdsSnapshots, id: string): Promise<string | undefined> {
    try {
      await snapshots.removeRestored(id)
      return undefined
    } catch (error) {
      return `${(error as Error).message}; the next backup removes it`
    }
  }

  /** What a Job says against a snapshot is final: the next backup makes another. */
  private async orRefused<Value>(
    snapshots: RdsSnapshots,
    snapshot: Snapshot,
    task: () => Promise<Value>,
  ): Promise<Value> {
    try {
      return await task()
    } catch (error) {
      if (error instanceof JobFailed && error.end.result) await snapshots.mark(snapshot, "refused")
      throw error
    }
  }

  /** Removes what has expired. The new backup is good all the same when that fails. */
  private async prune(
    image: string,
    snapshots: RdsSnapshots,
  ): Promise<{ removed: string[]; unpruned?: string }> {
    const removed: string[] = []
    try {
      removed.push(...(await snapshots.prune(this.backup.keep)))
      const { result } = await this.job("prune", "pruned", image)
      removed.push(...result.removed.filter((id) => !removed.includes(id)))
      return { removed }
    } catch (error) {
      if (isOthers(error)) throw error
      return { removed, unpruned: (error as Error).message }
    }
  }

  /** @throws JobFailed for a Job that ended in another way */
  private async job(
    mode: "before" | "after" | "compare" | "prune",
    outcome: MigrationResult["outcome"],
    image: string,
    { secrets, ...more }: { backup?: string; secrets?: Record<string, string> } = {},
  ): Promise<RunEnd & { result: MigrationResult }> {
    const end = await runIn(
      this.database,
      { ...more, mode, image },
      secrets ?? (await this.database.secrets()),
    )
    const { result } = end
    if (result?.outcome !== outcome) throw new JobFailed(end)
    return { ...end, result }
  }

  private ended(at: string, result: MigrationResult): RunEnd {
    return { at, result, message: resultText(result) }
  }

  /** One command at a time: two would remove each other's instance. */
  private async exclusively(
    task: (snapshots: RdsSnapshots, lease: Lease) => Promise<RunEnd>,
  ): Promise<RunEnd> {
    const { context, settings, say } = this.database
    const { name, namespace } = settings
    const { clock, cluster, who } = context
    const lease = await Lease.take(cluster, namespace, name, who, {
      name: `${databaseObject(name)}-backup`,
      activity: "being backed up",
      clock,
      report: say,
    })
    try {
      return await task(this.snapshots(), lease)
    } finally {
      await lease.end()
    }
  }

  /** What fails, as the end of the backup. */
  private async reported(task: () => Promise<RunEnd>): Promise<RunEnd> {
    try {
      return await task()
    } catch (error) {
      if (isOthers(error)) throw error
      if (error instanceof JobFailed) return error.end
      const at = new Date(this.database.context.cluster.now()).toISOString()
      return { at, message: oneLine((error as Error).message, 1_000) }
    }
  }

  private snapshots(): RdsSnapshots {
    const { context, settings, say } = this.database
    const { clock, cluster, rds } = context
    const { instance, region, api } = this.backup
    if (!rds) throw new Error("this command cannot reach Amazon RDS")
    return new RdsSnapshots({
      rds: rds({ region, endpoint: api }),
      owner: { environment: settings.environment, name: settings.name, instance },
      now: () => cluster.now(),
      limit: settings.limits.time,
      clock,
      say,
    })
  }
}

/** Errors that say nothing of a backup: this command stops, and another goes on. */
const isOthers = (error: unknown) => error instanceof StoppedFollowing || error instanceof LeaseHeld
