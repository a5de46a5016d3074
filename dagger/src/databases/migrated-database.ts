import type { V1Job } from "@kubernetes/client-node"
import type { KubernetesApi } from "../clients/kubernetes/client.js"
import type { Plain } from "../clients/kubernetes/manifest.js"
import {
  type Change,
  type ComponentId,
  type ComponentPlan,
  type RestorePoint,
  restorePointText,
  type WouldRun,
} from "../delivery/component.js"
import type { MigrationWindow } from "../delivery/guards/calendar.js"
import { type JobKind, JobRunner } from "../delivery/job-runner.js"
import type { Journal } from "../delivery/journal.js"
import type { Release, ReleasedImage } from "../delivery/release.js"
import { wouldRunWith } from "../delivery/would-run.js"
import type { Clock } from "../lib/clock.js"
import { duration, oneLine } from "../lib/text.js"
import { type Application, applicationsBeside, type ServingRevision } from "./applications.js"
import { decideMigration, type KeptRevision, type MigrationAction, waitingText } from "./decisions.js"
import { containerNames, credentialsFile, migrationObjects, runOf, settingsDigest } from "./job.js"
import { headsText, type MigrationResult, readLog, resultText } from "./result.js"
import type { Rds } from "./rds/client.js"
import type { DatabaseSettings } from "./settings.js"
import { type DatabaseState, type Running, DatabaseRecord } from "./state.js"

/** The service that owns a database's migrations, as it is in the environment. */
export interface MigratedService {
  /** The image with all traffic; nothing before the first deploy. */
  current(): Promise<ReleasedImage | undefined>
  /** Every revision in the cluster, newest first. */
  revisions(): Promise<(KeptRevision & ServingRevision & { digest: string; commit?: string })[]>
  /** The number of the revision with all traffic. */
  live(): Promise<number | undefined>
  /** Whether its traffic is being moved. */
  isRollingOut(): Promise<boolean>
  /**
   * The secrets of its pods by file name: those given, otherwise those of the present revision.
   *
   * @throws Error when one is neither given nor readable
   */
  secrets(): Promise<Record<string, string>>
}

/** What all databases of an environment work with. */
export interface DatabaseContext {
  cluster: KubernetesApi
  /** Who runs the command, as the API server knows them. */
  who: string
  /** The operation's id. */
  id: string
  journal: Journal
  /**
   * Keys for backups; without them, the pods' account has to have a role of the cloud.
   *
   * @throws Error for one key without the other
   */
  backupKeys: () => { id: string; secret: string } | undefined
  /** Amazon RDS in a Region; absent where no database has backups there. */
  rds?: (place: { region: string; endpoint?: string | undefined }) => Rds
  say: (line: string) => void
  clock: Clock
  /** Ask the database even when nothing seems to be left to do. */
  always: boolean
  /** The maintenance window as it is now. */
  window: () => MigrationWindow | undefined
}

/** What a deploy does to a database, worked out against what the cluster holds. */
export interface PreparedMigration {
  image: ReleasedImage
  state: DatabaseState
  /** As it was when the action was decided. */
  window: MigrationWindow | undefined
  action: MigrationAction
  /** Older code that has to work before and after it. */
  applications: Application[]
}

const migrations: JobKind<MigrationResult> = {
  noun: "migration",
  container: containerNames.migrate,
  readLog,
  text: resultText,
  next: "it asks the database what is left to do",
}

/** A database in its environment: what is known of it, and the runs that change it. */
export class MigratedDatabase {
  readonly id: ComponentId
  readonly runner: JobRunner<MigrationResult>

  constructor(
    readonly context: DatabaseContext,
    readonly settings: DatabaseSettings,
    readonly owner: MigratedService,
  ) {
    this.id = { kind: "database", name: settings.name }
    this.runner = new JobRunner({ cluster: context.cluster, clock: context.clock, say: this.say }, migrations)
  }

  readonly say = (line: string): void => {
    this.context.say(`${this.settings.name}: ${line}`)
  }

  stateRecord(): DatabaseRecord {
    const { namespace, name } = this.settings
    return new DatabaseRecord(this.context.cluster, namespace, name)
  }

  /** @param restore what a restore puts into its place; without it, a migration runs */
  async wouldRun(image: string, restore?: RestorePoint): Promise<WouldRun> {
    const { namespace, name } = this.settings
    const settings = (names: string[]) => settingsDigest(this.settings, image, names, restore)
    return {
      ...wouldRunWith({ namespace, name, settings }, image, await this.secrets()),
      ...(restore && { restore }),
    }
  }

  /** Breaking migrations that the service's kept revisions know, and that have not run. */
  async waiting(): Promise<string[]> {
    const { running, waiting } = await this.stateRecord().read()
    return running?.allowBreaking ? [] : (waiting?.migrations ?? [])
  }

  /** @throws Error when the release has no image of the service */
  imageOf(release: Release): ReleasedImage {
    const released = release.images[this.settings.service]
    if (released) return released
    const all = Object.keys(release.images).join(", ") || "none"
    throw new Error(
      `the release has no image of ${this.settings.service}, whose migrations ${this.id.name} gets; it has ${all}`,
    )
  }

  async prepare(release: Release, state: DatabaseState): Promise<PreparedMigration> {
    const image = this.imageOf(release)
    const { running } = state
    const [revisions, isActive] = await Promise.all([
      this.owner.revisions(),
      running ? this.runner.isActive(this.jobOf(running)) : false,
    ])
    const { always } = this.context
    const window = this.context.window()
    const action = decideMigration({ image, state, revisions, isActive, always, window })
    return { image, state, window, action, applications: applicationsBeside(revisions, image.reference) }
  }

  async planOf(prepared: PreparedMigration, release: Release): Promise<ComponentPlan> {
    const { action } = prepared
    const actions = { nothing: "none", resume: "resume", blocked: "blocked", begin: "start" } as const
    const plan = {
      component: this.id,
      action: actions[action.kind],
      summary: this.summaryOf(prepared),
      changes: [] as Change[],
    }
    if (action.kind !== "begin") return plan
    const [run, number, revisions] = await Promise.all([
      this.wouldRun(prepared.image.reference),
      this.owner.live(),
      this.owner.revisions(),
    ])
    const live = revisions.find((revision) => revision.number === number)
    const commit = release.commit ?? revisions.find(({ digest }) => digest === run.digest)?.commit
    return {
      ...plan,
      changes: [this.changeOf(prepared)],
      start: {
        ...run,
        compatibility: { compatible: true },
        ...(commit !== undefined && { commit }),
        ...(live && {
          live: { revision: live.number, ...(live.commit !== undefined && { commit: live.commit }) },
        }),
      },
    }
  }

  /** The Job of a run, by what names it. */
  jobOf(running: Running): Plain<V1Job> {
    return migrationObjects(this.settings, runOf(running), {}).job
  }

  /** Values of the Secret of a run, by file name: of the service's secrets only the address of the database. */
  async secrets(): Promise<Record<string, string>> {
    const keys = this.context.backupKeys()
    const { database_url: address } = await this.owner.secrets()
    return {
      ...(address !== undefined && { database_url: address }),
      ...(keys && {
        [credentialsFile]: `[default]\naws_access_key_id = ${keys.id}\naws_secret_access_key = ${keys.secret}\n`,
      }),
    }
  }

  /** What another command's run is, and what to do. */
  underWay({ by, began, image, back, restore }: Running): string {
    const what = restore
      ? `the restore of ${restorePointText(restore.point)}`
      : back
        ? `the way back to ${back.to}`
        : `the migration by ${image}`
    return `${this.id.name}: ${what} that ${by} began at ${began} is under way: wait for its end, or repeat the command that began it to follow it`
  }

  private summaryOf({ action, image, state, window, applications }: PreparedMigration): string {
    switch (action.kind) {
      case "nothing":
        return `unchanged; ${action.reason}`
      case "resume":
        return `resumes the migration that ${action.running.by} began at ${action.running.began}`
      case "blocked": {
        return this.underWay(action.running)
      }
      case "begin": {
        const from = state.heads ? headsText(state.heads) : "where it is"
        const to = image.migrations?.head ?? "the newest migration of the image"
        const waits = action.waits.length > 0 ? `; ${waitingText(action.waits)}` : ""
        const short =
          window && !window.isOpen
            ? `; what older code cannot live with, or takes longer than ${duration(window.longest)} on the copy, waits for ${window.text}`
            : ""
        const beside = applications.map(({ revision }) => `revision ${revision}`)
        return oneLine(
          `from ${from} to ${to}, by ${image.reference}, after a backup that is verified, with reads of ${[...beside, "the image"].join(", ")} answered on its copy${waits}${short}`,
          800,
        )
      }
    }
  }

  private changeOf({ action, image, state }: PreparedMigration): Change {
    const { namespace, name } = this.settings
    const { head, breaking = [] } = image.migrations ?? {}
    const breaks = action.kind === "begin" && action.allowBreaking && breaking.length > 0
    return {
      object: `Database ${namespace}/${name}`,
      kind: "changed",
      fields: [
        `revision: ${state.heads ? headsText(state.heads) : "not known"} → ${head ?? "the newest of the image"}`,
        ...(breaks ? [`breaking: ${breaking.join(", ")}, where they have not run`] : []),
      ],
    }
  }
}
