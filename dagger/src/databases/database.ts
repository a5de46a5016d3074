import {
  type Component,
  type ComponentId,
  type ComponentPlan,
  type ComponentStatus,
  type ImageInUse,
  type OperationOutcome,
  type RestorePoint,
  type RevertRequest,
  type WouldRun,
  componentText,
  exclusively,
} from "../delivery/component.js"
import type { EventKind } from "../delivery/events/event.js"
import { LeaseHeld } from "../delivery/lease.js"
import { digestOf, type Release, type ReleasedImage } from "../delivery/release.js"
import { readExamination } from "../migrations/examination.js"
import { applicationsBeside } from "./applications.js"
import { backupsOf } from "./backups.js"
import { permitted, stillWaiting, type Waiting, waitingText } from "./decisions.js"
import { isBackupId, migrationObjects, type MigrationRun, settingsDigest } from "./job.js"
import { LockedDatabase } from "./locked-database.js"
import { type DatabaseContext, type MigratedService, MigratedDatabase } from "./migrated-database.js"
import { describePlan, migrationPlanOf } from "./plan.js"
import { DatabaseRestore, readRestorePoint } from "./restore.js"
import { headsText, type MigrationResult, provenText } from "./result.js"
import type { DatabaseSettings } from "./settings.js"
import { backedUp, compared, type DatabaseState, type RunEnd } from "./state.js"
import { statusText } from "./status.js"

/** Something that the serving image checks beside the database. */
interface Check {
  /** @param image that serves */
  run: (image: string) => Promise<RunEnd>
  action: "backup" | "verify-backup" | "drift"
  passes: { outcome: MigrationResult["outcome"]; kind: EventKind }
  fails: { kind: EventKind; prefix: string }
  /** What the image does, for the error where none serves. */
  purpose: string
}

type Checked = RunEnd & { passed: boolean; text: string }

/** The database of a service as a component: migrated before the service's backends change. */
export class Database implements Component {
  readonly migrated: MigratedDatabase

  constructor(context: DatabaseContext, settings: DatabaseSettings, owner: MigratedService) {
    this.migrated = new MigratedDatabase(context, settings, owner)
  }

  get id(): ComponentId {
    return this.migrated.id
  }

  get service(): string {
    return this.migrated.settings.service
  }

  current(): Promise<ReleasedImage | undefined> {
    return this.migrated.owner.current()
  }

  async plan(release: Release): Promise<ComponentPlan> {
    const { migrated } = this
    return migrated.planOf(await migrated.prepare(release, await migrated.stateRecord().read()), release)
  }

  wouldRun(release: Release): Promise<WouldRun> {
    return this.migrated.wouldRun(this.migrated.imageOf(release).reference)
  }

  settingsDigest(image: string, secretNames: string[]): string {
    return settingsDigest(this.migrated.settings, image, secretNames)
  }

  lock(): Promise<LockedDatabase> {
    return LockedDatabase.take(this.migrated)
  }

  /**
   * Takes migrations back, after a backup and a dry run on its copy.
   *
   * @throws Error when code that serves needs them, or it is not known where the database is or is to go
   */
  revert(request: RevertRequest): Promise<OperationOutcome> {
    return exclusively(this.lock(), (locked) => locked.revert(request))
  }

  /**
   * A restore of it, which nothing begins yet.
   *
   * @param to what was read before, or the id of a backup or a moment
   * @throws Error for a text that is neither
   */
  restore(to: RestorePoint | string): DatabaseRestore {
    return new DatabaseRestore(this.migrated, typeof to === "string" ? readRestorePoint(to) : to)
  }

  async status(): Promise<ComponentStatus> {
    const { migrated } = this
    const { context, owner, runner, settings } = migrated
    const [state, revisions] = await Promise.all([migrated.stateRecord().read(), owner.revisions()])
    const isActive = state.running ? await runner.isActive(migrated.jobOf(state.running)) : false
    return {
      component: this.id,
      ...statusText(settings, state, stillWaiting(state, revisions, context.window()), isActive),
    }
  }

  async imagesInUse(): Promise<ImageInUse[]> {
    const { running } = await this.migrated.stateRecord().read()
    return running
      ? [{ digest: digestOf(running.image), use: `a migration of ${componentText(this.id)}` }]
      : []
  }

  /**
   * Runs the pending migrations on a copy of the database. The database itself is only read.
   *
   * @returns the plan for people, with each statement, its locks and how long it took
   * @throws Error when a migration fails on the copy, or what it does cannot be found out
   */
  async preview(release: Release): Promise<string> {
    const { context, owner, settings } = this.migrated
    const image = this.migrated.imageOf(release)
    const revisions = await owner.revisions()
    const { result, message } = await this.run({
      id: context.id,
      mode: "plan",
      image: image.reference,
      applications: applicationsBeside(revisions, image.reference),
      ...permitted(image.migrations, revisions, context.window()),
    })
    if (!result || result.outcome === "failed") throw new Error(`${settings.name}: no plan: ${message}`)
    const waits = stillWaiting({ waiting: { migrations: result.waiting } }, revisions, context.window())
    return `${settings.name} ${previewText(result, waits)}`
  }

  /**
   * Makes a backup, restores it beside the database and compares it; then those that have expired are removed.
   *
   * @returns what is in it, for people
   * @throws Error when it cannot be made, stored or restored
   */
  async backUp(): Promise<string> {
    const found = await this.check({
      run: (image) => backupsOf(this.migrated).make(image),
      action: "backup",
      passes: { outcome: "backed-up", kind: "backup-verified" },
      fails: { kind: "backup-not-verified", prefix: "no verified backup: " },
      purpose: `backs ${this.id.name} up`,
    })
    const backup = found.result?.backup
    if (backup?.verified) await this.note((state) => backedUp(state, found.at, backup))
    return this.concluded(found)
  }

  /**
   * Restores a backup beside the database, and compares the copy with what the backup says of itself. The database is not read.
   *
   * @param backup its id; the newest, without it
   * @returns what is in it, for people
   * @throws Error when it cannot be restored, is not complete, or there is none
   */
  async verifyBackup(backup?: string): Promise<string> {
    if (backup !== undefined && !isBackupId(backup))
      throw new Error(`"${backup}" is no id of a backup; allowed: such as 2026-03-02T10-00-00Z-0a1b2c`)
    const found = await this.check({
      run: (image) => backupsOf(this.migrated).verify(image, backup),
      action: "verify-backup",
      passes: { outcome: "verified", kind: "backup-verified" },
      fails: { kind: "backup-not-verified", prefix: "no verified backup: " },
      purpose: `verifies the backups of ${this.id.name}`,
    })
    return this.concluded(found)
  }

  /**
   * Compares the database with an empty one that gets the same migrations, and with the models of the serving image. Changes nothing.
   *
   * @throws Error with the differences, or when it could not be compared
   */
  async drift(): Promise<string> {
    const found = await this.check({
      run: (image) => this.run({ mode: "drift", id: this.migrated.context.id, image, allowBreaking: false }),
      action: "drift",
      passes: { outcome: "compared", kind: "compared" },
      fails: { kind: "drifted", prefix: "" },
      purpose: `knows what ${this.id.name} is compared with`,
    })
    const differences = found.result?.differences ?? []
    if (found.passed || differences.length > 0)
      await this.note((state) => compared(state, found.at, differences))
    return this.concluded(found)
  }

  /**
   * Has the serving image check something, and records what it found.
   *
   * @throws Error when nothing serves
   */
  private async check({ run, action, passes, fails, purpose }: Check): Promise<Checked> {
    const { context, owner, settings } = this.migrated
    const image = await owner.current()
    if (!image) throw new Error(`${settings.service} was never deployed, and its image ${purpose}`)
    const end = await run(image.reference)
    const passed = end.result?.outcome === passes.outcome
    const text = passed ? end.message : `${fails.prefix}${end.message}`
    await context.journal.record({
      kind: (passed ? passes : fails).kind,
      component: this.id,
      action,
      digest: digestOf(image.reference),
      message: text,
    })
    return { ...end, passed, text }
  }

  /** @throws Error for a check that did not pass */
  private concluded({ passed, text }: Checked): string {
    const sentence = `${this.id.name}: ${text}`
    if (!passed) throw new Error(sentence)
    return sentence
  }

  /** Notes for `status` what the audit log has already. Whoever works on the database keeps it from nothing. */
  private async note(change: (state: DatabaseState) => DatabaseState): Promise<void> {
    try {
      await exclusively(this.lock(), (locked) => locked.write(change))
    } catch (error) {
      if (!(error instanceof LeaseHeld)) throw error
      this.migrated.say(`status does not show this, because the database is in use: ${error.message}`)
    }
  }

  /** Runs the image beside the database, and follows it to its end. */
  private async run(run: MigrationRun): Promise<RunEnd> {
    const { runner, settings } = this.migrated
    return runner.run(migrationObjects(settings, run, await this.migrated.secrets()))
  }
}

function previewText(result: MigrationResult, waits: Waiting[]): string {
  const { outcome, to, examination } = result
  const more = waits.length > 0 ? `\n${waitingText(waits)}` : ""
  if (outcome === "unchanged" && (examination === undefined || examination === null))
    return `at ${headsText(to)}: nothing to migrate${more}`
  const found = readExamination(JSON.stringify(examination))
  // What waits is what the models are ahead of the copy.
  const ran = waits.length > 0 ? { ...found, model_differences: [] } : found
  const plan = migrationPlanOf(ran)
  const proven = plan.migrations.length > 0 ? `\n\n${provenText(result.proven)}` : ""
  return `${describePlan(plan)}${proven}${more}`
}
