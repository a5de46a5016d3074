import type { MigrationWindow } from "../delivery/guards/calendar.js"
import type { RestorePoint } from "../delivery/component.js"
import { digestOfData } from "../delivery/guards/digest.js"
import { digestOf, type ReleasedImage } from "../delivery/release.js"
import { headsText } from "./result.js"
import type { Back, Restoration } from "./job.js"
import type { DatabaseState, Running } from "./state.js"

/** What a kept revision knows of the database's migrations. */
export interface KeptRevision {
  number: number
  schema?: { head: string; breaking: string[] }
}

/** A migration that waits: for kept revisions that need the shape before it, or else for a maintenance window. */
export interface Waiting {
  migration: string
  revisions: number[]
  /** For people. */
  window?: string
}

/** What a deploy of an image has to do to the database. */
export type MigrationAction =
  | { kind: "nothing"; reason: string }
  /** The migration by the same image was begun before, and its end is not recorded. */
  | { kind: "resume"; running: Running }
  /** The migration by another image is under way. */
  | { kind: "blocked"; running: Running }
  /** `longest`: seconds that a migration may take on the copy; without it, any time. */
  | { kind: "begin"; allowBreaking: boolean; longest?: number; waits: Waiting[] }

/**
 * The migrations of an image that have to wait. One that older code cannot live with waits for every kept revision that was released before it, because a
 * rollback may return to it.
 *
 * @param schema of the image
 */
export function waitingFor(schema: { breaking: string[] }, revisions: KeptRevision[]): Waiting[] {
  return schema.breaking.flatMap((migration) => {
    const older = revisions.filter(({ schema: known }) => !known?.breaking.includes(migration))
    return older.length > 0 ? [{ migration, revisions: older.map(({ number }) => number) }] : []
  })
}

/**
 * Which migrations may run now: those that code released before cannot live with need that none of it is kept and the maintenance window, and long ones need the
 * window. Of an image that does not say what it brings, nothing is known to be safe for such code.
 *
 * @param schema of the image
 */
export function permitted(
  schema: ReleasedImage["migrations"],
  revisions: KeptRevision[],
  window: MigrationWindow | undefined,
): { allowBreaking: boolean; longest?: number } {
  const isClosed = window !== undefined && !window.isOpen
  const needed = schema ? waitingFor(schema, revisions).length > 0 : revisions.length > 0
  return { allowBreaking: !needed && !isClosed, ...(isClosed && { longest: window.longest }) }
}

/** What waits in a database, of the migrations that its last run left out. */
export function stillWaiting(
  { waiting }: Pick<DatabaseState, "waiting">,
  revisions: KeptRevision[],
  window: MigrationWindow | undefined,
): Waiting[] {
  if (!waiting) return []
  const held = waitingFor({ breaking: waiting.migrations }, revisions)
  if (!window || window.isOpen) return held
  const others = waiting.migrations.filter((one) => !held.some(({ migration }) => migration === one))
  return [...held, ...others.map((migration) => ({ migration, revisions: [], window: window.text }))]
}

export interface MigrationSituation {
  image: ReleasedImage
  state: DatabaseState
  /** Every revision of the service in the cluster. */
  revisions: KeptRevision[]
  /** Whether the Job of the migration in progress still runs. */
  isActive: boolean
  /** The database is asked even when nothing seems to be left to do. */
  always: boolean
  window: MigrationWindow | undefined
}

export function decideMigration(situation: MigrationSituation): MigrationAction {
  const { image, state, revisions, isActive, always, window } = situation
  const { running, heads = [], passed, waiting } = state
  if (running) {
    if (continues(running, image)) return { kind: "resume", running }
    // The lock records the end of one whose Job has ended.
    if (isActive) return { kind: "blocked", running }
  }
  const { migrations: schema } = image
  const held = stillWaiting(state, revisions, window).filter(({ migration }) =>
    schema?.breaking.includes(migration),
  )
  const needed = schema ? waitingFor(schema, revisions) : []
  const waits = [...needed, ...held.filter((one) => one.window !== undefined)]
  if (schema && state.heads && !always) {
    if (heads.includes(schema.head)) return { kind: "nothing", reason: `at ${headsText(heads)}` }
    if (passed.includes(schema.head)) {
      return { kind: "nothing", reason: `at ${headsText(heads)}, which is past ${schema.head} of this image` }
    }
    if (waiting?.head === schema.head && held.length > 0) {
      return { kind: "nothing", reason: `at ${headsText(heads)}; ${waitingText(held)}` }
    }
  }
  return { kind: "begin", waits, ...permitted(schema, revisions, window) }
}

/** Whether a deploy of the image goes on with the run in progress. */
export const continues = (running: Running, image: ReleasedImage): boolean =>
  running.back === undefined &&
  running.restore === undefined &&
  digestOf(running.image) === digestOf(image.reference)

export interface RevertSituation {
  state: DatabaseState
  service: string
  /** The service's revision with all traffic. */
  live: { number: number; schema?: { head: string } | undefined } | undefined
  /** Whether a rollout of the service is under way. */
  isRollingOut: boolean
  /** The migration to go back to; without it, the one that the live revision was built for. */
  to: string | undefined
  loseData: boolean
}

/**
 * What taking migrations back has to do.
 *
 * @returns the image that knows how, and how far; nothing, where the database is there already
 * @throws Error when it is not known where the database is or is to go, or code that serves needs it as it is
 */
export function decideRevert(situation: RevertSituation): { image: string; back: Back } | undefined {
  const { state, service, live, isRollingOut, to, loseData } = situation
  const { heads, runs } = state
  refuseRollingOut(service, isRollingOut)
  // The image of the last run knows where the database is, also after a failure.
  const [last] = runs
  if (!last)
    throw new Error("it was never migrated by a deploy, so nobody knows where it is: run `migrate` first")
  const target = to ?? live?.schema?.head
  if (target === undefined) {
    throw new Error(
      `${live ? `revision ${live.number}, which serves, does not say which migration it was built for` : `no revision of ${service} serves`}: name the migration to go back to with --to`,
    )
  }
  if (heads?.includes(target)) {
    if (to !== undefined || !live) return undefined
    throw new Error(
      `revision ${live.number}, which serves, was built for ${target}, where the database is: take the code back first, with rollback --service ${service}, or name an earlier migration with --to`,
    )
  }
  const needed = live?.schema ? [live.schema.head] : []
  return { image: last.image, back: { to: target, needed, loseData } }
}

/** What a restore of a database runs. */
export interface RestoreSituation extends Pick<
  RevertSituation,
  "state" | "service" | "live" | "isRollingOut"
> {
  /** The image with all traffic. */
  serving: string | undefined
  point: RestorePoint
}

/**
 * The image that restores, and what.
 *
 * @throws Error when no image of the service knows the database, or its code is being changed
 */
export function decideRestore(situation: RestoreSituation): { image: string; restore: Restoration } {
  const { state, service, live, isRollingOut, serving, point } = situation
  refuseRollingOut(service, isRollingOut)
  // The image of the last run knows every migration that a backup can have.
  const image = state.runs[0]?.image ?? serving
  if (image === undefined)
    throw new Error(`${service} was never deployed, and its image restores its database`)
  const operation = digestOfData({ point, last: state.restored ?? "" }).slice("sha256:".length)
  const target = live?.schema?.head
  return {
    image,
    restore: { point, operation: operation.slice(0, 16), ...(target !== undefined && { target }) },
  }
}

function refuseRollingOut(service: string, isRollingOut: boolean): void {
  if (!isRollingOut) return
  throw new Error(
    `a rollout of ${service} is under way, whose code needs the database as it is: finish it, or take it back first`,
  )
}

/** For example `0004 waits for revisions 3, 2, released before it and still kept`. */
export const waitingText = (waits: Waiting[]): string =>
  waits
    .map(({ migration, revisions, window }) =>
      window === undefined
        ? `${migration} waits for ${revisions.length > 1 ? "revisions" : "revision"} ${revisions.join(", ")}, released before it and still kept`
        : `${migration} waits for ${window}`,
    )
    .join("; ")
