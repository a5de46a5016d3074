import { z } from "zod"
import type { Compatibility, RevisionContents } from "./guards/guards.js"
import type { Release, ReleasedImage } from "./release.js"

/** The kinds of components, in the order in which a deploy changes them: backends need the schema, web apps need the backends' API. */
export const componentKinds = ["database", "backend", "frontend", "model"] as const

export const componentId = z.object({ kind: z.enum(componentKinds), name: z.string() })

/** What comes into the place of a database: a backup by its id, or the newest that was taken until a moment, in UTC. */
export const restorePoint = z.union([
  z.strictObject({ backup: z.string() }),
  z.strictObject({ before: z.string() }),
])
export type RestorePoint = z.output<typeof restorePoint>

/** Names a component of an environment. */
export type ComponentId = z.output<typeof componentId>

/** A change to one object of an environment. */
export interface Change {
  /** For example `Deployment f1-staging/api-7`. */
  object: string
  kind: "created" | "changed" | "unchanged"
  /** One line per field. Never contains the value of a secret. */
  fields: string[]
}

/** What a deploy of a release would do to one component. */
export interface ComponentPlan {
  component: ComponentId
  /**
   * - `none`: the release is live already
   * - `start`: a new operation
   * - `resume`: the interrupted operation for this very release
   * - `blocked`: nothing may start: another operation is in progress and must be ended first, or something that it relies on is not there
   */
  action: "none" | "start" | "resume" | "blocked"
  /** One sentence. */
  summary: string
  changes: Change[]
  /** Only with the action `start`: what the guards evaluate. */
  start?: Start
}

/** What a new revision of a component runs: what an approval covers. */
export interface WouldRun {
  /** The image: `repository@sha256:…`. */
  image: string
  /** Digest of the image. */
  digest: string
  contents: RevisionContents
  /** Names of the secrets that it reads. */
  secretNames: string[]
  /** It runs no new code, but puts a backup into the place of a database. */
  restore?: RestorePoint
  /** It runs no new code, but makes a model the one that serves: its digest. */
  model?: string
}

/** The new operation of a plan. */
export interface Start extends WouldRun {
  revision?: number
  /** The revision that serves until then. */
  from?: number
  strategy?: string
  /** The commit that it was built from, where that is known. */
  commit?: string
  /** What serves until then, with the commit that it was built from; absent before the first deploy. */
  live?: { revision: number; commit?: string }
  /** Whether the new code can work with the database as it is. */
  compatibility: Compatibility
}

/** Why and by whose authority an operation runs; the audit log keeps it. */
export interface Operation {
  id: string
  by: string
  /** Who wrote the change, for people. */
  author: string
  reason: string
  /** Digest of the guards that permitted it. */
  guards: string
  /** Guards that were overridden. */
  overridden?: Override
  approval?: { id: string; by: string; at: string }
}

/** Guards that were overridden, and why. */
export const override = z.object({
  reason: z.string(),
  guards: z.array(z.string()),
  /** What the settings weakened of the committed guards. */
  weakened: z.array(z.string()).optional(),
})
export type Override = z.output<typeof override>

/** How an operation on one component ended. */
export interface OperationOutcome {
  /** `skipped`: a component that it depends on failed before. */
  result: "promoted" | "migrated" | "downgraded" | "restored" | "unchanged" | "aborted" | "failed" | "skipped"
  revision?: number
  message: string
}

/** What a rollback asks for. */
export interface RevertRequest {
  /**
   * The number of a kept revision; the proven one before the present, if absent. Of a database a migration; the one that the code which serves was built for, if
   * absent. Of a model its digest; the champion before, if absent.
   */
  to?: string
  reason: string
  /** Of a database: why it may lose rows or values; it may not, if absent. */
  loseData?: string
  /** Of a backend or a web app: why a web app may call what its backend does not serve; it may not, if absent. */
  override?: string
}

/** The state of one component. */
export interface ComponentStatus {
  component: ComponentId
  /** For people. */
  text: string
  /** The same for programs; plain data. */
  details: object
}

/** An image that must stay in its registry, and why. */
export interface ImageInUse {
  /** Digest of the image. */
  digest: string
  /** For people, such as `revision 7 of backend api`. */
  use: string
}

/** One thing that a deploy changes. */
export interface Component {
  readonly id: ComponentId
  /** The service whose image of a release it takes. */
  readonly service: string
  /** What serves now, as a release names it; nothing before the first deploy. */
  current(): Promise<ReleasedImage | undefined>
  /** Reads what a deploy of the release would do. Changes nothing. */
  plan(release: Release): Promise<ComponentPlan>
  /**
   * Reads what a deploy of the release would run.
   *
   * @throws Error when a secret is neither given nor readable
   */
  wouldRun(release: Release): Promise<WouldRun>
  /** The digest of the settings that this checkout has for an image; see {@link RevisionContents}. */
  settingsDigest(image: string, secretNames: string[]): string
  /**
   * Takes the exclusive right to change the component.
   *
   * @throws LeaseHeld while another command has it
   */
  lock(): Promise<LockedComponent>
  /** Takes back the operation in progress, or returns to an earlier revision. Takes the lock itself. */
  revert(request: RevertRequest): Promise<OperationOutcome>
  status(): Promise<ComponentStatus>
  /** Every image that it runs, may go back to, or works with now. */
  imagesInUse(): Promise<ImageInUse[]>
}

/** As much of a component as the executor needs to change it. */
export type Deployable = Pick<Component, "id" | "plan" | "lock">

/** A component that this command alone may change, until `unlock`. */
export interface LockedComponent {
  readonly id: ComponentId
  /** Completes what an interrupted command left half-done, so that the next plan starts from a settled state. */
  settle(release: Release): Promise<void>
  plan(release: Release): Promise<ComponentPlan>
  /** Carries out the plan that this lock made last. An interrupted apply is resumed by the next deploy of the same release. */
  apply(operation: Operation): Promise<OperationOutcome>
  unlock(): Promise<void>
}

/** Runs a task under the lock of a component, and gives the lock back however the task ends. */
export async function exclusively<Locked extends Pick<LockedComponent, "unlock">, Value>(
  lock: Promise<Locked>,
  task: (locked: Locked) => Promise<Value>,
): Promise<Value> {
  const locked = await lock
  try {
    return await task(locked)
  } finally {
    await locked.unlock()
  }
}

/** For example `the newest backup until 2026-03-02T10:00:00Z`. */
export const restorePointText = (point: RestorePoint): string =>
  "backup" in point ? `the backup ${point.backup}` : `the newest backup until ${point.before}`

/** For example `backend api`. */
export const componentText = ({ kind, name }: ComponentId): string => `${kind} ${name}`

/** A model as tables and messages name it: the beginning of its digest, or `none` where there is none. */
export const modelText = (digest: string | undefined): string => digest?.slice(0, 12) ?? "none"
