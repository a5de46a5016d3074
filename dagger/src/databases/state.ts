import { z } from "zod"
import type { KubernetesApi } from "../clients/kubernetes/client.js"
import { databaseObject } from "../delivery/access.js"
import type { JobEnd } from "../delivery/job-runner.js"
import { StateRecord as KeptState } from "../delivery/state-record.js"
import { clip } from "../lib/text.js"
import { application } from "./applications.js"
import { back, databaseLabels, restoration } from "./job.js"
import type { Backup, MigrationResult } from "./result.js"

/** Longest text that the state keeps, in characters. */
const longest = 500
/** Runs and heads that the state keeps. */
const kept = { runs: 10, heads: 50, differences: 20 }

const text = z.string().transform((all) => clip(all, longest))
const heads = z.array(z.string())

const running = z.object({
  /** Of the deploy that began it; part of the Job's name. */
  id: z.string(),
  image: z.string(),
  allowBreaking: z.boolean(),
  /** Seconds that a migration may take on the copy. */
  longest: z.number().optional(),
  /** The newest migration of the image, where that is known. */
  head: z.string().optional(),
  /** Migrations are taken back. */
  back: back.optional(),
  /** A backup comes into its place. */
  restore: restoration.optional(),
  /** Older code that has to work before and after it. */
  applications: z.array(application).optional(),
  by: text,
  author: text,
  reason: text,
  guards: z.string().optional(),
  /** ISO 8601, by the API server's clock. */
  began: z.string(),
})
/** A run that migrates, takes migrations back or restores, whose end is not recorded yet. */
export type Running = z.output<typeof running>

const savedBackup = z.object({
  id: z.string(),
  location: z.string(),
  bytes: z.number(),
  heads,
  server: z.string(),
  /** When the run that verified it ended, ISO 8601. */
  verified: z.string(),
})

const run = running.pick({ id: true, image: true, by: true, reason: true, began: true }).extend({
  ended: z.string(),
  outcome: z.enum(["migrated", "unchanged", "downgraded", "restored", "failed"]),
  from: heads,
  to: heads,
  message: text,
  backup: z.string().optional(),
})

const schema = z.object({
  schemaVersion: z.literal(1),
  /** Where the database was after the last run that succeeded; absent before it, and after one that failed. */
  heads: heads.optional(),
  /** Every head that it is known to have had. */
  passed: heads,
  /** Migrations that wait until no kept revision needs the old shape, and the head of the image that has them, where that is known. */
  waiting: z.object({ head: z.string().optional(), migrations: heads }).optional(),
  running: running.optional(),
  /** How it differed from what its migrations make, when that was compared last. */
  drift: z.object({ at: z.string(), differences: z.array(text) }).optional(),
  /** The newest backup that was verified. */
  backup: savedBackup.optional(),
  /** When a backup came into its place last. */
  restored: z.string().optional(),
  /** Newest first. */
  runs: z.array(run),
})
/** What is known of a database in an environment; bounded, as it is one object in the cluster. */
export type DatabaseState = z.output<typeof schema>

const nothing: DatabaseState = { schemaVersion: 1, passed: [], runs: [] }

/** How a run ended. */
export type RunEnd = JobEnd<MigrationResult>

/** The state after a run has begun. */
export const begun = (state: DatabaseState, began: Running): DatabaseState & { running: Running } => ({
  ...state,
  running: running.parse(began),
})

/** The state after the run in progress has ended. */
export function ended(state: DatabaseState, { at, result, message }: RunEnd): DatabaseState {
  const { running: over, heads: before = [], passed, runs, waiting, backup, drift, restored } = state
  if (!over) return state
  const success = over.restore ? "restored" : over.back ? "downgraded" : "migrated"
  const outcome = result?.outcome === success || result?.outcome === "unchanged" ? result.outcome : "failed"
  const { id, image, by, reason, began, head } = over
  const lastRestore = outcome === "restored" ? at : restored
  const done = outcome === "failed" ? undefined : result
  // A restored backup may be an old one.
  const saved = result?.backup?.verified && !over.restore ? { ...result.backup, verified: at } : backup
  // What was held back did not run, whatever else failed.
  const held = over.allowBreaking ? undefined : waiting
  // Also of a run that failed half-way: what it has taken back is to be migrated again.
  const was = [...passed, ...before, ...(result?.from ?? [])]
  const undone = over.restore && done ? was : over.back ? (result?.undone ?? [...passed, ...before]) : []
  const left = done
    ? done.waiting.length > 0
      ? { ...(head !== undefined && { head }), migrations: done.waiting }
      : undefined
    : held
  return schema.parse({
    schemaVersion: 1,
    // After a failure nobody knows where the database is until the next run.
    ...(done && { heads: done.to }),
    passed: [...new Set([...was.filter((head) => !undone.includes(head)), ...(done?.to ?? [])])].slice(
      -kept.heads,
    ),
    // The next migration finds out anew what has to wait.
    ...(left && !over.back && !over.restore && { waiting: left }),
    ...(saved && { backup: saved }),
    ...(drift && { drift }),
    ...(lastRestore !== undefined && { restored: lastRestore }),
    runs: [
      {
        id,
        image,
        by,
        reason,
        began,
        ended: at,
        outcome,
        from: result?.from ?? [],
        to: done?.to ?? [],
        message,
        ...(result?.backup && { backup: result.backup.id }),
      },
      ...runs,
    ].slice(0, kept.runs),
  })
}

/** The state after a backup was made and verified. */
export const backedUp = (state: DatabaseState, at: string, backup: Backup): DatabaseState =>
  schema.parse({ ...state, backup: { ...backup, verified: at } })

/** The state after the database was compared with what its migrations make. */
export const compared = (state: DatabaseState, at: string, differences: string[]): DatabaseState =>
  schema.parse({ ...state, drift: { at, differences: differences.slice(0, kept.differences) } })

/** The state of a database. */
export class DatabaseRecord extends KeptState<DatabaseState> {
  constructor(cluster: KubernetesApi, namespace: string, name: string) {
    super(cluster, {
      metadata: { namespace, name: databaseObject(name), labels: databaseLabels(name) },
      schema,
      nothing,
      kind: "database",
      name,
      remedy: "an administrator repairs or deletes it, and then `migrate` asks the database",
    })
  }
}
