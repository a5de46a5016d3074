import type {
  Component,
  ComponentId,
  ComponentPlan,
  ComponentStatus,
  Outcome,
  RevertRequest,
  WouldRun,
} from "../delivery/component.js"
import { digestOf, type Release, type ReleasedImage } from "../delivery/release.js"
import { readExamination } from "../migrations/examination.js"
import { permitted, stillWaiting, type Waiting, waitingText } from "./decisions.js"
import { backupPattern, migrationObjects, type MigrationRun } from "./job.js"
import { LockedDatabase } from "./locked-database.js"
import { type DatabaseContext, type MigratedService, MigratedDatabase } from "./migrated-database.js"
import { describePlan, planOf } from "./plan.js"
import { headsText, type MigrationResult, resultText } from "./result.js"
import type { DatabaseSettings } from "./settings.js"
import type { RunEnd } from "./state.js"
import { statusText } from "./status.js"

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
    return this.migrated.wouldRun(release)
  }

  settingsDigest(image: string, secretNames: string[]): string {
    return this.migrated.settingsDigest(image, secretNames)
  }

  lock(): Promise<LockedDatabase> {
    return LockedDatabase.take(this.migrated)
  }

  /**
   * Takes migrations back, after a backup and a dry run on its copy.
   *
   * @throws Error when code that serves needs them, or it is not known where the database is or is to go
   */
  async revert(request: RevertRequest): Promise<Outcome> {
    const locked = await this.lock()
    try {
      return await locked.revert(request)
    } finally {
      await locked.unlock()
    }
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
      ...permitted(image.migrations, revisions, context.window()),
    })
    if (!result || result.outcome === "failed") throw new Error(`${settings.name}: no plan: ${message}`)
    const waits = stillWaiting({ waiting: { migrations: result.waiting } }, revisions, context.window())
    return `${settings.name} ${previewText(result, waits)}`
  }

  /**
   * Restores a backup into a throw-away PostgreSQL beside the database, and compares the copy with what the backup says of itself. The database is not read.
   *
   * @param backup its id; the newest, without it
   * @returns what is in it, for people
   * @throws Error when it cannot be restored, is not complete, or there is none
   */
  async verifyBackup(backup?: string): Promise<string> {
    const { context, owner, settings } = this.migrated
    const { name, service } = settings
    if (backup !== undefined && !new RegExp(`^${backupPattern}$`).test(backup))
      throw new Error(`"${backup}" is no id of a backup; allowed: such as 2026-03-02T10-00-00Z-0a1b2c`)
    const image = await owner.current()
    if (!image)
      throw new Error(`${service} was never deployed, and its image verifies the backups of ${name}`)
    const { result, message } = await this.run({
      id: context.id,
      mode: "verify",
      image: image.reference,
      allowBreaking: false,
      ...(backup !== undefined && { backup }),
    })
    const isVerified = result?.outcome === "verified"
    const text = isVerified ? resultText(result) : `no verified backup: ${message}`
    await context.journal.record({
      kind: isVerified ? "backup-verified" : "backup-not-verified",
      component: this.id,
      action: "verify-backup",
      digest: digestOf(image.reference),
      message: text,
    })
    if (!isVerified) throw new Error(`${name}: ${text}`)
    return `${name}: ${text}`
  }

  /**
   * Compares the database with an empty one that gets the same migrations, and with the models of the serving image. Changes nothing.
   *
   * @throws Error with the differences, or when it could not be compared
   */
  async drift(): Promise<string> {
    const { context, owner, settings } = this.migrated
    const { name, service } = settings
    const image = await owner.current()
    if (!image)
      throw new Error(`${service} was never deployed, and its image knows what ${name} is compared with`)
    const { at, result, message } = await this.run({
      id: context.id,
      mode: "drift",
      image: image.reference,
      allowBreaking: false,
    })
    const differences = result?.differences ?? []
    const isCompared = result?.outcome === "compared"
    const text = isCompared ? resultText(result) : message
    await context.journal.record({
      kind: isCompared ? "compared" : "drifted",
      component: this.id,
      action: "drift",
      digest: digestOf(image.reference),
      message: text,
    })
    if (isCompared || differences.length > 0) {
      const locked = await this.lock()
      await locked.recordDrift(at, differences).finally(() => locked.unlock())
    }
    if (!isCompared) throw new Error(`${name}: ${text}`)
    return `${name}: ${text}`
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
  return `${describePlan(planOf(ran))}${more}`
}
