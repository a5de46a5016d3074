import type {
  DatabaseObject,
  Direction,
  Examination,
  Migration,
  Statement,
} from "../../src/migrations/examination.js"

/** A statement of a migration with the limits that `run_environment` sets. */
export const statement = (sql: string, more: Partial<Statement> = {}): Statement => ({
  sql,
  line: 10,
  autocommit: false,
  batch: false,
  lock_timeout_ms: 2_000,
  statement_timeout_ms: 5_000,
  tag: /^\w+( \w+)?/.exec(sql)?.[0] ?? "",
  locks: [],
  seconds: 0.01,
  ...more,
})

const object = (kind: string, id: string, name: string, more: Partial<DatabaseObject>): DatabaseObject => ({
  kind,
  id,
  name,
  parent: null,
  columns: [],
  facts: {},
  ...more,
})

/** A table with the id `relation:NAME`. */
export const table = (name: string, more: Partial<DatabaseObject> = {}): DatabaseObject =>
  object("table", `relation:${name}`, name, {
    parent: "schema:public",
    facts: { "row security": false },
    ...more,
  })

/** A nullable text column with the id `column:TABLE.NAME`. */
export const column = (
  of: string,
  name: string,
  facts: Record<string, unknown> = {},
  more: Partial<DatabaseObject> = {},
): DatabaseObject =>
  object("column", `column:${of}.${name}`, `${of}.${name}`, {
    parent: `relation:${of}`,
    facts: { type: "text", "not null": false, default: null, identity: "", generated: null, ...facts },
    ...more,
  })

/** A constraint of a table on some of its columns. */
export const constraint = (of: string, name: string, columns: string[]): DatabaseObject =>
  object("constraint", `constraint:${name}`, `${of}.${name}`, {
    parent: `relation:${of}`,
    columns: columns.map((one) => `column:${of}.${one}`),
    facts: { definition: "CHECK (true)" },
  })

/** An object of another kind. */
export const other = object

/** A run of `upgrade` or `downgrade`. */
export const direction = (more: Partial<Direction> = {}): Direction => ({
  line: 8,
  statements: [],
  seconds: 0.01,
  failure: null,
  before: [],
  after: [],
  ...more,
})

/** A migration in the file v/a.py whose upgrade and downgrade do nothing. */
export const migration = (more: Partial<Migration> = {}): Migration => ({
  revision: "a",
  file: "v/a.py",
  breaking: false,
  downgrade_loses: null,
  accepted: {},
  upgrade: direction(),
  downgrade: direction({ line: 20 }),
  left_over: [],
  not_restored: [],
  lost: [],
  ...more,
})

/** What the examination of these migrations found, without faults of its own. */
export const examination = (migrations: Migration[], more: Partial<Examination> = {}): Examination => ({
  migrations,
  heads: ["a"],
  model_differences: [],
  unreadable: null,
  ...more,
})
