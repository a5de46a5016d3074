import { z } from "zod"

// What `python -m servicekit.migrations.examine` writes.

const databaseObject = z.object({
  /** Stays the same when the object is renamed or altered. */
  id: z.string(),
  kind: z.string(),
  name: z.string(),
  /** The object that this one disappears with. */
  parent: z.string().nullable(),
  /** Ids of the columns that a constraint or an index covers. */
  columns: z.array(z.string()),
  facts: z.record(z.string(), z.unknown()),
})
const statement = z.object({
  sql: z.string(),
  line: z.int(),
  /** It commits on its own; otherwise it is part of the migration's transaction. */
  autocommit: z.boolean(),
  /** It is one of the statements of `in_batches`. */
  batch: z.boolean(),
  lock_timeout_ms: z.int(),
  statement_timeout_ms: z.int(),
  tag: z.string(),
  /** All that its transaction held after it. Of autocommitted statements, only those that build, drop or rebuild an index concurrently are known. */
  locks: z.array(z.object({ mode: z.string(), relation: z.string(), name: z.string() })),
  seconds: z.number(),
})
const direction = z.object({
  line: z.int(),
  statements: z.array(statement),
  seconds: z.number(),
  failure: z.object({ message: z.string(), line: z.int() }).nullable(),
  before: z.array(databaseObject),
  after: z.array(databaseObject),
})
const migration = z.object({
  revision: z.string(),
  /** Relative to the folder of the service. */
  file: z.string(),
  breaking: z.boolean(),
  downgrade_loses: z.string().nullable(),
  accepted: z.record(z.string(), z.string()),
  upgrade: direction.nullable(),
  downgrade: direction.nullable(),
  left_over: z.array(z.string()),
  not_restored: z.array(z.string()),
  lost: z.array(z.string()),
})
const schema = z.object({
  /** Oldest first. */
  migrations: z.array(migration),
  heads: z.array(z.string()),
  model_differences: z.array(z.string()),
  unreadable: z
    .object({ file: z.string(), line: z.int(), message: z.string() })
    .nullable()
    .describe("A file that Alembic cannot load. There are no migrations then."),
})

/** An object of PostgreSQL's catalogue. */
export type DatabaseObject = z.output<typeof databaseObject>
/** A statement that a migration ran. */
export type Statement = z.output<typeof statement>
/** One run of `upgrade` or `downgrade`. */
export type Direction = z.output<typeof direction>
/** A migration and what it does. */
export type Migration = z.output<typeof migration>
/** All migrations of a service, run on a throw-away database. */
export type Examination = z.output<typeof schema>

/** @throws Error for another form */
export function readExamination(text: string): Examination {
  return schema.parse(JSON.parse(text))
}
