import type {
  Component,
  ComponentId,
  ComponentPlan,
  ComponentStatus,
  Outcome,
  WouldRun,
} from "../delivery/component.js"
import type { Release, ReleasedImage } from "../delivery/release.js"
import { readExamination } from "../migrations/examination.js"
import { mayBreak, type Waiting, waitingFor, waitingText } from "./decisions.js"
import { migrationObjects } from "./job.js"
import { LockedDatabase } from "./locked-database.js"
import { type DatabaseContext, type MigratedService, MigratedDatabase } from "./migrated-database.js"
import { describePlan, planOf } from "./plan.js"
import { headsText, type MigrationResult } from "./result.js"
import type { DatabaseSettings } from "./settings.js"
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

  async revert(): Promise<Outcome> {
    const { backup } = await this.migrated.stateRecord().read()
    const last = backup
      ? `; the last verified backup is ${backup.id} at ${backup.location}`
      : "; there is no verified backup of it"
    throw new Error(
      `a rollback does not take migrations back, because that can lose data: take the code back with --service ${this.service}, which works with the database as it is, or deploy an image whose next migration undoes the last${last}`,
    )
  }

  async status(): Promise<ComponentStatus> {
    const { migrated } = this
    const { owner, runner, settings } = migrated
    const [state, revisions] = await Promise.all([migrated.stateRecord().read(), owner.revisions()])
    const isActive = state.running ? await runner.isActive(migrated.jobOf(state.running)) : false
    return { component: this.id, ...statusText(settings, state, revisions, isActive) }
  }

  /**
   * Runs the pending migrations on a copy of the database. The database itself is only read.
   *
   * @returns the plan for people, with each statement, its locks and how long it took
   * @throws Error when a migration fails on the copy, or what it does cannot be found out
   */
  async preview(release: Release): Promise<string> {
    const { context, owner, runner, settings } = this.migrated
    const image = this.migrated.imageOf(release)
    const revisions = await owner.revisions()
    const run = {
      id: context.id,
      mode: "plan",
      image: image.reference,
      allowBreaking: mayBreak(image.migrations, revisions),
    } as const
    const objects = migrationObjects(settings, run, await this.migrated.secrets())
    await runner.ensure(objects)
    const { result, message } = await runner.follow(objects.job)
    if (!result || result.outcome === "failed") throw new Error(`${settings.name}: no plan: ${message}`)
    return `${settings.name} ${previewText(result, waitingFor({ breaking: result.waiting }, revisions))}`
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
