import { isDeepStrictEqual } from "node:util"
import { DateTime } from "luxon"
import type {
  ComponentId,
  ComponentPlan,
  Deployable,
  LockedComponent,
  Operation,
  OperationOutcome,
  RestorePoint,
} from "../delivery/component.js"
import { restorePointText } from "../delivery/component.js"
import { iso } from "../delivery/journal.js"
import { oneLine } from "../lib/text.js"
import { backupsOf } from "./backups.js"
import { decideRestore } from "./decisions.js"
import { isBackupId, migrationObjects, type Restoration, settingsDigest } from "./job.js"
import { LockedDatabase } from "./locked-database.js"
import type { MigratedDatabase } from "./migrated-database.js"
import { contentsText, headsText, lostText } from "./result.js"
import type { DatabaseState, Running } from "./state.js"

/**
 * Reads what to restore: the id of a backup, or a moment, for the newest backup that was taken until then.
 *
 * @throws Error for anything else, and for a moment without its offset from UTC
 */
export function readRestorePoint(text: string): RestorePoint {
  if (isBackupId(text)) return { backup: text }
  const moment = DateTime.fromISO(text, { setZone: true })
  // Whose clock a time without an offset is by, nobody can tell.
  if (!moment.isValid || !/T.*(Z|[+-]\d\d:?\d\d)$/.test(text)) {
    throw new Error(
      `"${oneLine(text, 60)}" is nothing to restore; allowed: the id of a backup, such as 2026-03-02T10-00-00Z-0a1b2c, or a moment with its offset, such as 2026-03-02T10:00:00Z`,
    )
  }
  return { before: moment.toUTC().startOf("second").toISO({ suppressMilliseconds: true }) }
}

/** What is to happen, worked out against what the cluster holds. */
interface PreparedRestore {
  state: DatabaseState
  /** The run in progress: this very restore, if `isOwn`. */
  running?: Running
  isOwn: boolean
  /** What begins, where nothing is in progress. */
  begin?: { image: string; restore: Restoration }
}

/** A backup that comes into the place of a database, which is kept beside it. */
export class DatabaseRestore implements Deployable {
  constructor(
    readonly database: MigratedDatabase,
    readonly point: RestorePoint,
  ) {}

  get id(): ComponentId {
    return this.database.id
  }

  async plan(): Promise<ComponentPlan> {
    return this.planOf(await this.prepare(await this.database.stateRecord().read()))
  }

  /** The digest of the settings that this checkout has for the restore; see `RevisionContents`. */
  settingsDigest(image: string, secretNames: string[]): string {
    return settingsDigest(this.database.settings, image, secretNames, this.point)
  }

  /** @throws LeaseHeld while another command has the database's lease */
  async lock(): Promise<LockedComponent> {
    return new LockedRestore(this, await LockedDatabase.take(this.database))
  }

  /**
   * Restores into the throw-away PostgreSQL only.
   *
   * @returns what would come into the database's place, and what it lacks
   * @throws Error when it cannot be restored, or the role of the database may not do what a restore needs
   */
  async preview(): Promise<string> {
    const { context, runner, settings } = this.database
    const { image, restore } = await this.decide(await this.database.stateRecord().read())
    const run = { id: context.id, mode: "plan" as const, image, allowBreaking: false, restore }
    const objects = migrationObjects(settings, run, await this.database.secrets())
    const { result, message } = await runner.run(objects)
    if (result?.outcome !== "planned") throw new Error(`${settings.name}: it cannot be restored: ${message}`)
    const target = restore.target === undefined ? "" : `; it is migrated to ${restore.target} then`
    return `${settings.name}: ${result.backup?.id ?? ""} can be restored, ${contentsText(result.backup)}${lostText(result.lost)}${target}. Nothing was changed.`
  }

  isOwn({ restore }: Running): boolean {
    return restore !== undefined && isDeepStrictEqual(restore.point, this.point)
  }

  async prepare(state: DatabaseState): Promise<PreparedRestore> {
    const { running } = state
    const isOwn = running !== undefined && this.isOwn(running)
    const { runner } = this.database
    if (running && (isOwn || (await runner.isActive(this.database.jobOf(running)))))
      return { state, running, isOwn }
    return { state, isOwn: false, begin: await this.decide(state) }
  }

  async planOf({ state, running, isOwn, begin }: PreparedRestore): Promise<ComponentPlan> {
    const { settings } = this.database
    const plan = { component: this.id, changes: [] }
    if (running) {
      return isOwn
        ? {
            ...plan,
            action: "resume",
            summary: `resumes the restore that ${running.by} began at ${running.began}`,
          }
        : { ...plan, action: "blocked", summary: this.database.underWay(running) }
    }
    const { image = "", restore } = begin ?? {}
    const target = restore?.target === undefined ? "" : `, migrated to ${restore.target}`
    const heads = state.heads ? headsText(state.heads) : "not known"
    return {
      ...plan,
      action: "start",
      summary: `${restorePointText(this.point)} comes into its place${target}; it is read-only until then, and kept beside it`,
      changes: [
        {
          object: `Database ${settings.namespace}/${settings.name}`,
          kind: "changed",
          fields: [`contents: at ${heads} → ${restorePointText(this.point)}${target}`],
        },
      ],
      start: {
        ...(await this.database.wouldRun(image, this.point)),
        compatibility: { compatible: true },
      },
    }
  }

  private async decide(state: DatabaseState): Promise<{ image: string; restore: Restoration }> {
    const { owner, settings } = this.database
    await backupsOf(this.database).checkRestore(this.point)
    const [number, revisions, isRollingOut, serving] = await Promise.all([
      owner.live(),
      owner.revisions(),
      owner.isRollingOut(),
      owner.current(),
    ])
    return decideRestore({
      state,
      service: settings.service,
      live: revisions.find((revision) => revision.number === number),
      isRollingOut,
      serving: serving?.reference,
      point: this.point,
    })
  }
}

/** A restore under the database's lease. */
class LockedRestore implements LockedComponent {
  private prepared?: PreparedRestore

  constructor(
    private readonly restore: DatabaseRestore,
    private readonly locked: LockedDatabase,
  ) {}

  get id(): ComponentId {
    return this.restore.id
  }

  settle(): Promise<void> {
    return this.locked.recordOthers((running) => this.restore.isOwn(running))
  }

  async plan(): Promise<ComponentPlan> {
    this.prepared = await this.restore.prepare(await this.locked.read())
    return this.restore.planOf(this.prepared)
  }

  async apply({
    id,
    by,
    author,
    reason,
    guards,
    overridden,
    approval,
  }: Operation): Promise<OperationOutcome> {
    const { locked, prepared } = this
    const { state, running, begin } = prepared ?? {}
    if (state && running) return locked.resume(state, running, "its restore is followed again")
    if (!state || !begin) throw new Error(`${this.id.name}: apply without a plan`)
    const began = iso(this.restore.database.context.cluster.now())
    return locked.start(
      state,
      { id, by, author, reason, guards, began, allowBreaking: false, ...begin },
      {
        message: `${restorePointText(this.restore.point)} comes into its place`,
        ...(overridden && { overridden }),
        ...(approval && { approval }),
      },
    )
  }

  unlock(): Promise<void> {
    return this.locked.unlock()
  }
}
