import { z } from "zod"
import { type JobLog, readJobLog } from "../delivery/job-log.js"
import { count, oneLine } from "../lib/text.js"

// What the command `database` of a service's image writes to its standard output: JSON Lines, the last one with the result.

const backup = z.object({
  id: z.string(),
  /** Such as `s3://bucket/prefix`. */
  location: z.string(),
  bytes: z.number(),
  sha256: z.string(),
  /** Revisions of the database that it holds. */
  heads: z.array(z.string()),
  /** Version of the server. */
  server: z.string(),
  /** When its snapshot was taken, ISO 8601. */
  taken: z.string().optional(),
  /** Rows of each table. */
  rows: z.record(z.string(), z.number()).optional(),
  /** Tables that changed while a snapshot was made: they were read in whole, and not compared. */
  changed: z
    .array(z.string())
    .nullish()
    .transform((tables) => tables ?? []),
  /** It was restored and compared. */
  verified: z.boolean(),
})
/** A backup that a run has made. */
export type Backup = z.output<typeof backup>

const result = z
  .object({
    event: z.literal("result"),
    outcome: z.enum([
      "unchanged",
      "planned",
      "migrated",
      "downgraded",
      "verified",
      "compared",
      "restored",
      "backed-up",
      "observed",
      "pruned",
      "failed",
    ]),
    from: z.array(z.string()),
    to: z.array(z.string()),
    /** Migrations that older code cannot live with, and that did not run for that. */
    waiting: z
      .array(z.string())
      .nullish()
      .transform((revisions) => revisions ?? []),
    /** Migrations that were taken back, newest first. */
    undone: z
      .array(z.string())
      .nullish()
      .transform((revisions) => revisions ?? []),
    /** Ids of backups that expired and were removed. */
    removed: z
      .array(z.string())
      .nullish()
      .transform((ids) => ids ?? []),
    /** Why backups that have expired, or an instance that was restored to compare one, are still there. */
    unpruned: z.string().nullish(),
    /** Rows that the database has more than the backup that it is restored from, by table; fewer are negative. */
    lost: z
      .record(z.string(), z.number())
      .nullish()
      .transform((rows) => rows ?? {}),
    /** How the database differs from what its migrations make. */
    differences: z
      .array(z.string())
      .nullish()
      .transform((lines) => lines ?? []),
    /** Reads that code answered on the copy after the migrations, by its name. */
    proven: z
      .record(z.string(), z.number())
      .nullish()
      .transform((reads) => reads ?? {}),
    backup: backup.nullish(),
    /** See `migrations/examination.ts`. */
    examination: z.unknown(),
    /** The step that failed. */
    step: z.string().nullish(),
    message: z.string().nullish(),
  })
  .refine(
    ({ outcome, backup }) =>
      !["migrated", "downgraded", "verified", "restored", "backed-up"].includes(outcome) || backup?.verified,
    {
      error: "it succeeded and names no backup that is verified",
      path: ["backup"],
    },
  )
/** What a run of the command came to. */
export type MigrationResult = z.output<typeof result>

/** Reads the log of a run. */
export const readLog = (text: string): JobLog<MigrationResult> => readJobLog(text, result)

/** Revisions of a database for people. */
export const headsText = (heads: string[]): string => heads.join(", ") || "no revision"

/** What a run came to, in one sentence. */
export function resultText(result: MigrationResult): string {
  const { outcome, from, to, backup, step, message, waiting, undone, lost, removed, unpruned, proven } =
    result
  const problem = unpruned ? `; not removed: ${unpruned}` : ""
  const waits = waiting.length > 0 ? `; ${waiting.join(", ")} ${waiting.length > 1 ? "wait" : "waits"}` : ""
  switch (outcome) {
    case "unchanged":
      return `at ${headsText(to)}, nothing to migrate${waits}`
    case "planned":
      return `at ${headsText(from)}, planned to ${headsText(to)}${waits}`
    case "migrated":
      return `${headsText(from)} → ${headsText(to)}, after the verified backup ${backup?.id ?? ""}; ${provenText(proven)}${waits}`
    case "downgraded":
      return `back from ${headsText(from)} to ${headsText(to)}, after the verified backup ${backup?.id ?? ""}; taken back: ${undone.join(", ")}`
    case "backed-up": {
      const gone = removed.length > 0 ? `; expired and removed: ${removed.join(", ")}` : ""
      return `the backup ${backup?.id ?? ""} was made and can be restored: ${contentsText(backup)}${oneLine(`${gone}${problem}`, 500)}`
    }
    case "restored":
      return `at ${headsText(to)}; ${oneLine(message ?? "", 300)}${lostText(lost)}`
    case "compared":
      return `at ${headsText(to)}, as its migrations and models say`
    case "observed":
      return `what is in the database is noted for the snapshot ${backup?.id ?? ""}`
    case "pruned":
      return `expired and removed: ${removed.join(", ") || "none"}`
    case "verified":
      return `the backup ${backup?.id ?? ""} can be restored: ${contentsText(backup)}${oneLine(problem, 500)}`
    case "failed":
      return oneLine(
        `${step ? `${step} failed` : "failed"}: ${oneLine(message ?? "it does not say why", 500)}; the database is at ${headsText(to)}`,
        700,
      )
  }
}

/** For example `on the copy, revision-3 answered 41 reads, the new image answered 43 reads`. */
export function provenText(proven: MigrationResult["proven"]): string {
  const all = Object.entries(proven).map(([name, reads]) => `${name} answered ${count(reads, "read")}`)
  return `on the copy, ${all.join(", ") || "no code was asked whether it works"}`
}

/** For example `; rows that only the replaced database has: recipes 3`. */
export function lostText(lost: MigrationResult["lost"]): string {
  const counted = (rows: [string, number][]) =>
    rows.map(([table, count]) => `${table} ${Math.abs(count).toLocaleString("en-GB")}`).join(", ")
  const all = Object.entries(lost)
  const more = all.filter(([, count]) => count > 0)
  const fewer = all.filter(([, count]) => count < 0)
  return [
    ...(more.length > 0 ? [`; rows that the backup lacks: ${counted(more)}`] : []),
    ...(fewer.length > 0 ? [`; rows that only the backup has: ${counted(fewer)}`] : []),
  ].join("")
}

/** For example `3 tables with 1,234 rows as when it was taken, 2026-03-02 10:00 UTC, at 0003`. */
export function contentsText(backup: Backup | null | undefined): string {
  const { rows = {}, heads = [], taken = "", changed = [] } = backup ?? {}
  const all = Object.values(rows)
  const sum = all.reduce((total, count) => total + count, 0).toLocaleString("en-GB")
  const when = taken === "" ? "" : ` ${taken.slice(0, 16).replace("T", " ")} UTC,`
  const more =
    changed.length > 0
      ? `; changed while it was taken, so read in whole and not compared: ${changed.join(", ")}`
      : ""
  return `${all.length} tables with ${sum} rows as when it was taken,${when} at ${headsText(heads)}${more}`
}
