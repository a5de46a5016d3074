import type {
  ComponentId,
  ComponentPlan,
  LockedComponent,
  Operation,
  Outcome,
} from "../delivery/component.js"
import { databaseObject } from "../delivery/access.js"
import { iso } from "../delivery/journal.js"
import { Lease } from "../delivery/lease.js"
import { digestOf, type Release } from "../delivery/release.js"
import type { MigratedDatabase, PreparedMigration } from "./migrated-database.js"
import { migrationObjects } from "./job.js"
import { JobRefused } from "./runner.js"
import { begun, ended, type DatabaseState, type RunEnd, type Running, type StateRecord } from "./state.js"

/** A database under this command's lease. */
export class LockedDatabase implements LockedComponent {
  private prepared?: PreparedMigration

  private constructor(
    private readonly database: MigratedDatabase,
    private readonly lease: Lease,
    private readonly record: StateRecord,
  ) {}

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

  /** Records the end of a migration by another image whose Job has ended. */
  async settle(release: Release): Promise<void> {
    const { database } = this
    const state = await this.record.read()
    const { running } = state
    if (!running || digestOf(running.image) === digestOf(database.imageOf(release).reference)) return
    const end = await database.runner.ended(database.jobOf(running))
    if (end) await this.finish(state, running, end)
  }

  async plan(release: Release): Promise<ComponentPlan> {
    this.prepared = await this.database.prepare(release, await this.record.read())
    return this.database.planOf(this.prepared, release)
  }

  async apply(operation: Operation): Promise<Outcome> {
    const { database, prepared } = this
    if (!prepared) throw new Error(`${database.id.name}: apply without a plan`)
    const { action } = prepared
    switch (action.kind) {
      case "nothing":
        return { result: "unchanged", message: action.reason }
      case "resume":
        await this.recordEvent("resumed", action.running, { message: "its migration is followed again" })
        return this.run(prepared.state, action.running)
      case "begin": {
        const { state, running } = await this.begin(prepared, action.allowBreaking, operation)
        return this.run(state, running)
      }
      case "blocked":
        throw new Error(`${database.id.name}: another migration is under way`)
    }
  }

  async unlock(): Promise<void> {
    // The operation's own error matters more, and a lease that is not released expires.
    await this.lease.release().catch((error: unknown) => {
      this.database.say(`the lease was not released: ${(error as Error).message}`)
    })
  }

  /** Writes down what begins, before anything runs: an interrupted command is resumed from there. */
  private async begin(
    { image, state }: PreparedMigration,
    allowBreaking: boolean,
    operation: Operation,
  ): Promise<{ state: DatabaseState; running: Running }> {
    const { overridden, approval, ...by } = operation
    const head = image.migrations?.head
    const after = begun(state, {
      id: operation.id,
      image: image.reference,
      allowBreaking,
      by: by.by,
      author: by.author,
      reason: by.reason,
      guards: by.guards,
      began: iso(this.database.context.cluster.now()),
      ...(head !== undefined && { head }),
    })
    const { running } = after
    await this.recordEvent("started", running, {
      message: `migrates to ${head ?? "the newest migration of the image"}`,
      at: running.began,
      ...(overridden && { overridden }),
      ...(approval && { approval }),
    })
    await this.record.write(after)
    return { state: after, running }
  }

  /** Runs a migration that is written down, or follows it where it runs already, and records its end. */
  private async run(state: DatabaseState, running: Running): Promise<Outcome> {
    const { database, lease } = this
    const objects = migrationObjects(
      database.settings,
      { ...running, mode: "migrate" },
      await database.secrets(),
    )
    lease.check()
    let end: RunEnd
    try {
      await database.runner.ensure(objects)
      end = await database.runner.follow(objects.job)
    } catch (error) {
      if (!(error instanceof JobRefused)) throw error
      end = { at: iso(database.context.cluster.now()), message: error.message }
    }
    lease.check()
    return this.finish(state, running, end)
  }

  private async finish(state: DatabaseState, running: Running, end: RunEnd): Promise<Outcome> {
    const { at, message } = end
    const after = ended(state, end)
    const outcome = after.runs[0]?.outcome ?? "failed"
    // The event first: a command that dies in between records the same event again, and the log keeps it once.
    await this.recordEvent(outcome === "failed" ? "migration-failed" : "migrated", running, { message, at })
    await this.record.write(after)
    return { result: outcome, message }
  }

  private async recordEvent(
    kind: "started" | "resumed" | "migrated" | "migration-failed",
    { id, image, author, guards, reason }: Running,
    more: { message: string; at?: string } & Partial<Pick<Operation, "overridden" | "approval">>,
  ): Promise<void> {
    await this.database.context.journal.record({
      kind,
      component: this.database.id,
      operation: id,
      action: "migrate",
      digest: digestOf(image),
      author,
      reason,
      ...(guards !== undefined && { guards }),
      ...more,
    })
  }
}
