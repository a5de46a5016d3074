import type {
  ComponentId,
  ComponentPlan,
  LockedComponent,
  Operation,
  OperationOutcome,
  RevertRequest,
} from "../delivery/component.js"
import { databaseObject } from "../delivery/access.js"
import { iso } from "../delivery/journal.js"
import { Lease } from "../delivery/lease.js"
import { Operations, type Said } from "../delivery/operations.js"
import { digestOf, type Release } from "../delivery/release.js"
import { continues, decideRevert } from "./decisions.js"
import type { MigratedDatabase, PreparedMigration } from "./migrated-database.js"
import { oneLine } from "../lib/text.js"
import { migrationObjects, migrationPattern, runOf } from "./job.js"
import { begun, ended, type DatabaseState, type RunEnd, type Running, type DatabaseRecord } from "./state.js"

/** A database under this command's lease. */
export class LockedDatabase implements LockedComponent {
  private prepared?: PreparedMigration
  private readonly operations: Operations<DatabaseState, Running>

  private constructor(
    private readonly database: MigratedDatabase,
    private readonly lease: Lease,
    private readonly record: DatabaseRecord,
  ) {
    this.operations = new Operations({
      component: database.id,
      context: database.context,
      record,
      begun,
      facts: ({ image, back, restore }) => ({
        action: restore ? "restore" : back ? "rollback" : "migrate",
        digest: digestOf(image),
      }),
    })
  }

  /** @throws LeaseHeld while another command has the lease */
  static async take(database: MigratedDatabase): Promise<LockedDatabase> {
    const { clock, cluster, who } = database.context
    const { name, namespace } = database.settings
    const lease = await Lease.take(cluster, namespace, name, who, {
      name: databaseObject(name),
      activity: "being migrated",
      clock,
      report: database.say,
    })
    return new LockedDatabase(database, lease, database.stateRecord())
  }

  get id(): ComponentId {
    return this.database.id
  }

  settle(release: Release): Promise<void> {
    return this.recordOthers((running) => continues(running, this.database.imageOf(release)))
  }

  /** Records the end of a run by another command whose Job has ended. */
  async recordOthers(isOwn: (running: Running) => boolean): Promise<void> {
    const state = await this.read()
    const { running } = state
    if (running && !isOwn(running)) await this.recordEnd(state, running)
  }

  read(): Promise<DatabaseState> {
    return this.record.read()
  }

  async plan(release: Release): Promise<ComponentPlan> {
    this.prepared = await this.database.prepare(release, await this.record.read())
    return this.database.planOf(this.prepared, release)
  }

  async apply(operation: Operation): Promise<OperationOutcome> {
    const { database, prepared } = this
    if (!prepared) throw new Error(`${database.id.name}: apply without a plan`)
    const { action } = prepared
    switch (action.kind) {
      case "nothing":
        return { result: "unchanged", message: action.reason }
      case "resume":
        return this.resume(prepared.state, action.running, "its migration is followed again")
      case "begin":
        return this.begin(prepared, action, operation)
      case "blocked":
        throw new Error(`${database.id.name}: another migration is under way`)
    }
  }

  /**
   * Takes migrations back, or goes on with that where it was interrupted.
   *
   * @throws Error when it is not known how far, code that serves needs them, or a migration is under way
   */
  async revert({ to, reason, loseData }: RevertRequest): Promise<OperationOutcome> {
    const { database } = this
    const { context, owner, settings } = database
    if (to !== undefined && !new RegExp(`^${migrationPattern}$`).test(to))
      throw new Error(`"${oneLine(to, 60)}" is no id of a migration; allowed: such as 0003 or 1a2b3c4d5e6f`)
    let state = await this.record.read()
    const { running } = state
    if (running?.back && (to === undefined || to === running.back.to)) {
      return this.resume(state, running, "its way back is followed again")
    }
    if (running) {
      if (!(await this.recordEnd(state, running))) {
        throw new Error(
          `the migration that ${running.by} began at ${running.began} is under way: wait for its end`,
        )
      }
      state = await this.record.read()
    }
    const [number, revisions, isRollingOut] = await Promise.all([
      owner.live(),
      owner.revisions(),
      owner.isRollingOut(),
    ])
    const decided = decideRevert({
      state,
      service: settings.service,
      live: revisions.find((revision) => revision.number === number),
      isRollingOut,
      to,
      loseData: loseData !== undefined,
    })
    if (!decided) return { result: "unchanged", message: `at ${to ?? ""} already` }
    const { image, back } = decided
    const begin = {
      id: context.id,
      image,
      allowBreaking: false,
      back,
      by: context.who,
      author: context.who,
      reason,
      began: iso(context.cluster.now()),
    }
    return this.start(state, begin, {
      message: `goes back to ${back.to}`,
      ...(loseData !== undefined && { overridden: { reason: loseData, guards: ["data-loss"] } }),
    })
  }

  /** Records what was found beside the database. */
  async write(change: (state: DatabaseState) => DatabaseState): Promise<void> {
    await this.record.write(change(await this.record.read()))
  }

  unlock(): Promise<void> {
    return this.lease.end()
  }

  private begin(
    { image, state, applications }: PreparedMigration,
    { allowBreaking, longest }: { allowBreaking: boolean; longest?: number },
    { id, by, author, reason, guards, overridden, approval }: Operation,
  ): Promise<OperationOutcome> {
    const head = image.migrations?.head
    const begin = {
      id,
      image: image.reference,
      allowBreaking,
      applications,
      by,
      author,
      reason,
      guards,
      began: iso(this.database.context.cluster.now()),
      ...(head !== undefined && { head }),
      ...(longest !== undefined && { longest }),
    }
    return this.start(state, begin, {
      message: `migrates to ${head ?? "the newest migration of the image"}`,
      ...(overridden && { overridden }),
      ...(approval && { approval }),
    })
  }

  /** Begins a run, which an interrupted command leaves to be resumed. */
  async start(state: DatabaseState, begin: Running, said: Said): Promise<OperationOutcome> {
    const after = await this.operations.begin(state, begin, said)
    return this.run(after, after.running)
  }

  /** Follows a run that an interrupted command has begun. */
  async resume(state: DatabaseState, running: Running, message: string): Promise<OperationOutcome> {
    await this.operations.event("resumed", running, { message })
    return this.run(state, running)
  }

  /** Records the end of a run whose Job has ended. */
  private async recordEnd(state: DatabaseState, running: Running): Promise<boolean> {
    const end = await this.database.runner.ended(this.database.jobOf(running))
    if (end) await this.finish(state, running, end)
    return end !== undefined
  }

  /** Runs a migration that is written down, or follows it where it runs already, and records its end. */
  private async run(state: DatabaseState, running: Running): Promise<OperationOutcome> {
    const { database, lease } = this
    const objects = migrationObjects(database.settings, runOf(running), await database.secrets())
    lease.check()
    const end = await database.runner.run(objects)
    lease.check()
    return this.finish(state, running, end)
  }

  private async finish(state: DatabaseState, running: Running, end: RunEnd): Promise<OperationOutcome> {
    const { at, message } = end
    const after = ended(state, end)
    const outcome = after.runs[0]?.outcome ?? "failed"
    // The event first: a command that dies in between records the same event again, and the log keeps it once.
    const [passed, failed] = running.restore
      ? (["restored", "restore-failed"] as const)
      : (["migrated", "migration-failed"] as const)
    await this.operations.event(outcome === "failed" ? failed : passed, running, { message, at })
    await this.record.write(after)
    return { result: outcome, message }
  }
}
