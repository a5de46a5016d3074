import { count, duration, oneLine } from "../lib/text.js"
import { breakingChanges } from "../migrations/compatibility.js"
import type { Direction, Examination, Migration, Statement } from "../migrations/examination.js"
import { blockedBy, lockName, strongest, type Blocked } from "../migrations/locks.js"

/** A lock that a statement takes on a table that services use. */
export interface PlannedLock {
  /** As in PostgreSQL's manual. */
  mode: string
  table: string
  /** What services wait for while it is held. */
  blocks: Blocked
}

export interface PlannedStatement {
  sql: string
  /** It commits on its own. */
  autocommit: boolean
  /** Seconds that it took on the copy. */
  seconds: number
  /** The strongest lock that it adds on each existing table; undefined where PostgreSQL does not tell. */
  locks?: PlannedLock[]
}

/** A migration that a database is going to get. */
export interface PlannedMigration {
  revision: string
  /** Relative to the folder of the service. */
  file: string
  /** Code released before runs on after an `expand`, and fails after a `contract`. */
  kind: "expand" | "contract"
  /** What code released before cannot live with. */
  breaks: string[]
  statements: PlannedStatement[]
  /** Seconds that it took on the copy. */
  seconds: number
  /** Seconds for which services waited on the copy: from the first lock that blocks them to the end of its transaction. */
  blockedSeconds: number
  /** What a downgrade loses, in the author's words. */
  downgradeLoses?: string
}

/** What a migration of a database does, found out on a copy of it. */
export interface MigrationPlan {
  migrations: PlannedMigration[]
  /** The revision that the database is at afterwards. */
  head: string
}

/**
 * The plan of a migration, from a run of the pending migrations on a copy of the database.
 *
 * @throws Error when the run failed, with the migration and the place
 */
export function migrationPlanOf(examination: Examination): MigrationPlan {
  const { migrations, heads, unreadable, model_differences } = examination
  if (unreadable) throw new Error(`${unreadable.file}:${unreadable.line}: ${unreadable.message}`)
  const [head, ...others] = heads
  if (head === undefined || others.length > 0) {
    throw new Error(`migrations must have one head; these have ${heads.join(", ") || "none"}`)
  }
  const planned = migrations.map(plannedMigration)
  if (model_differences.length > 0) {
    throw new Error(`the migrated copy differs from the models: ${model_differences.join("; ")}`)
  }
  return { migrations: planned, head }
}

function plannedMigration(migration: Migration): PlannedMigration {
  const { revision, file, upgrade, breaking, downgrade_loses } = migration
  if (!upgrade) throw new Error(`${file}: migration ${revision} did not run on the copy`)
  if (upgrade.failure) {
    throw new Error(
      `${file}:${upgrade.failure.line}: migration ${revision} fails on the copy: ${upgrade.failure.message}`,
    )
  }
  const breaks = breakingChanges(upgrade.before, upgrade.after)
  return {
    revision,
    file,
    kind: breaking || breaks.length > 0 ? "contract" : "expand",
    breaks,
    statements: plannedStatements(upgrade),
    seconds: upgrade.seconds,
    blockedSeconds: blockedSeconds(upgrade),
    ...(downgrade_loses !== null && { downgradeLoses: downgrade_loses }),
  }
}

function plannedStatements({ statements, before }: Direction): PlannedStatement[] {
  const existing = new Set(before.map(({ id }) => id))
  let held = new Set<string>()
  return statements.map((statement) => {
    const { sql, autocommit, seconds } = statement
    const key = ({ mode, relation }: Statement["locks"][number]) => `${mode} ${relation}`
    const fresh = statement.locks.filter((lock) => existing.has(lock.relation) && !held.has(key(lock)))
    held = new Set(autocommit ? [] : statement.locks.map(key))
    const isUnknown = autocommit && statement.locks.length === 0
    return { sql, autocommit, seconds, ...(!isUnknown && { locks: strongestByTable(fresh) }) }
  })
}

function strongestByTable(locks: Statement["locks"]): PlannedLock[] {
  const tables = [...new Set(locks.map(({ name }) => name))]
  return tables.map((table) => {
    const modes = locks.flatMap(({ name, mode }) => (name === table ? [mode] : []))
    const mode = strongest(modes) ?? ""
    return { mode: lockName(mode), table, blocks: blockedBy(mode) }
  })
}

/** Locks are held until the transaction ends, so that each statement behind the first that blocks counts too. */
function blockedSeconds({ statements, before }: Direction): number {
  const existing = new Set(before.map(({ id }) => id))
  return statements.reduce((sum, { locks, seconds }) => {
    const isBlocking = locks.some(
      ({ mode, relation }) => existing.has(relation) && blockedBy(mode) !== "nothing",
    )
    return isBlocking ? sum + seconds : sum
  }, 0)
}

/** A plan as text: each migration with its statements, what they lock, and how long they took. */
export function describePlan({ migrations, head }: MigrationPlan): string {
  if (migrations.length === 0) return `at ${head}: nothing to migrate`
  return [
    `${count(migrations.length, "migration")} to ${head}`,
    ...migrations.flatMap((migration) => [
      "",
      `${migration.revision} (${migration.file}): ${migration.kind}, ${duration(migration.seconds)} on the copy, services wait ${duration(migration.blockedSeconds)}`,
      ...migration.breaks.map((change) => `  breaks older code: it ${change}`),
      ...(migration.downgradeLoses === undefined ? [] : [`  a downgrade loses ${migration.downgradeLoses}`]),
      ...migration.statements.flatMap(({ sql, seconds, locks }) => [
        `  ${oneLine(sql, 120)}`,
        `    ${duration(seconds)} · ${describeLocks(locks)}`,
      ]),
    ]),
  ].join("\n")
}

function describeLocks(locks: PlannedLock[] | undefined): string {
  if (!locks) return "locks unknown: it commits on its own"
  if (locks.length === 0) return "no new lock on an existing table"
  return locks
    .map(
      ({ mode, table, blocks }) =>
        `${mode} on ${table} ${blocks === "nothing" ? "blocks nothing" : `blocks ${blocks}`}`,
    )
    .join(", ")
}
