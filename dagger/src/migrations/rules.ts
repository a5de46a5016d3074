import { count } from "../lib/text.js"
import { breakingChanges } from "./compatibility.js"
import type { Direction, Examination, Migration, Statement } from "./examination.js"
import { blocksServices } from "./locks.js"
import type { Script, SquawkFinding } from "./squawk.js"

/** Something that is wrong with a migration. */
export interface MigrationFinding {
  rule: string
  /** Relative to the folder of the service. */
  file?: string
  line?: number
  message: string
  /** How to mend it. */
  fix: string
}

/** Milliseconds that a statement may wait for a lock, or run while it holds one that running services wait for. */
export const longestBlock = 5_000

/** What squawk found in one migration, with the script that it read. */
export interface Linted {
  script: Script
  found: SquawkFinding[]
}

/**
 * Everything that is wrong with the migrations of a service, from their runs on an empty database.
 *
 * @param linted what squawk found, by revision
 */
export function checkMigrations(examination: Examination, linted: Map<string, Linted>): MigrationFinding[] {
  const { migrations, heads, model_differences, unreadable } = examination
  if (unreadable) return [{ rule: "unreadable", ...unreadable, fix: "Alembic must be able to load it." }]
  if (heads.length !== 1) {
    const names = heads.map((head) => {
      const file = migrations.find(({ revision }) => revision === head)?.file
      return `${head} (${file ?? "no file"})`
    })
    return [
      {
        rule: "heads",
        message: `There are ${heads.length} heads; there must be one: ${names.join(", ") || "none"}`,
        fix: "Run `alembic merge heads`, or give one of them the other as its down_revision.",
      },
    ]
  }
  const found = migrations.flatMap((migration) => {
    const lint = linted.get(migration.revision)
    return withoutAccepted(migration, [...checkMigration(migration), ...(lint ? squawkFindings(lint) : [])])
  })
  const differences = model_differences.map((difference): MigrationFinding => ({
    rule: "models",
    message: `The migrated database differs from the models: ${difference}`,
    fix: "Write the migration: alembic revision --autogenerate.",
  }))
  return [...found, ...differences]
}

/** What the runs with rows show: downgrades that fail, or that lose rows and do not say so. */
export function checkRows({ migrations, unreadable }: Examination): MigrationFinding[] {
  if (unreadable) return [{ rule: "unreadable", ...unreadable, fix: "Alembic must be able to load it." }]
  return migrations.flatMap((migration) => {
    const { file, upgrade, downgrade, lost, downgrade_loses } = migration
    const found = failures(migration).map((finding) => ({
      ...finding,
      message: `${finding.message} (on a database with rows)`,
    }))
    if (upgrade && downgrade && lost.length > 0 && downgrade_loses === null) {
      found.push({
        rule: "downgrade-loses",
        line: downgrade.line,
        message: `The downgrade loses ${lost.join(", ")}, and does not say so`,
        fix: saySo,
      })
    }
    return withoutAccepted(
      migration,
      found.map((finding) => ({ file, ...finding })),
      { isPart: true },
    )
  })
}

function checkMigration(migration: Migration): MigrationFinding[] {
  const { file, upgrade, downgrade, breaking } = migration
  const found: Omit<MigrationFinding, "file">[] = failures(migration)
  if (upgrade) {
    found.push(...limits(upgrade), ...dataChanges(upgrade), ...unrepeatable(upgrade))
    const changes = breakingChanges(upgrade.before, upgrade.after)
    if (!breaking && changes.length > 0) {
      found.push({
        rule: "breaks-old-code",
        line: upgrade.line,
        message: `It ${changes.join(", ")}: code released before it fails`,
        fix: "Expand first, and contract in a later release that sets `breaking = True`.",
      })
    }
  }
  if (downgrade) found.push(...limits(downgrade), ...downgradeResult(migration, downgrade))
  return found.map((finding) => ({ file, ...finding }))
}

/** The runs that raised an exception. */
function failures({ upgrade, downgrade, not_restored }: Migration): Omit<MigrationFinding, "file">[] {
  const found: Omit<MigrationFinding, "file">[] = []
  for (const [name, direction] of [
    ["upgrade", upgrade],
    ["downgrade", downgrade],
  ] as const) {
    if (!direction?.failure) continue
    const { message, line } = direction.failure
    const needsNoTransaction = message.includes("cannot run inside a transaction block")
    found.push({
      rule: needsNoTransaction ? "in-transaction" : `${name}-fails`,
      line,
      message: `${name}() fails: ${message}`,
      fix: needsNoTransaction
        ? "Put it alone in `with outside_transaction():` (servicekit.migrations)."
        : name === "upgrade"
          ? "A migration must run on the database that the one before it leaves."
          : "A downgrade must work; if it cannot keep data, it sets `downgrade_loses`.",
    })
  }
  if (upgrade && downgrade && !downgrade.failure && not_restored.length > 0) {
    found.push({
      rule: "downgrade-incomplete",
      line: downgrade.line,
      message: `After downgrade and a new upgrade: ${not_restored.join(", ")}`,
      fix: "The downgrade must take back exactly what the upgrade does.",
    })
  }
  return found
}

/** Statements without limits, or with limits that let them block the running services for too long. */
function limits({ statements, before }: Direction): Omit<MigrationFinding, "file">[] {
  const existing = new Set(before.map(({ id }) => id))
  return statements.flatMap((statement): Omit<MigrationFinding, "file">[] => {
    const { line, tag, lock_timeout_ms, statement_timeout_ms } = statement
    if (changesNothing.test(tag)) return []
    const held = statement.locks.filter(
      ({ mode, relation }) => existing.has(relation) && blocksServices(mode),
    )
    const found: Omit<MigrationFinding, "file">[] = []
    // Whoever waits for these is in nobody's way.
    const mayWait =
      statement.autocommit && (statement.batch || /\bconcurrently\b|\bvalidate\s/i.test(statement.sql))
    if (lock_timeout_ms === 0 || (!mayWait && lock_timeout_ms > longestBlock)) {
      found.push({
        rule: "lock-timeout",
        line,
        message: `It waits for locks ${lock_timeout_ms === 0 ? "without limit" : `for up to ${lock_timeout_ms} ms`}, and everything behind it waits too`,
        fix: `Leave lock_timeout as run_environment sets it; at most ${longestBlock} ms is allowed.`,
      })
    }
    const blocked = [...new Set(held.map(({ name }) => name))].join(", ")
    if (statement_timeout_ms === 0 || (held.length > 0 && statement_timeout_ms > longestBlock)) {
      found.push({
        rule: "statement-timeout",
        line,
        message:
          held.length > 0
            ? `It may hold ${blocked} for ${statement_timeout_ms === 0 ? "any time" : `${statement_timeout_ms} ms`}`
            : "It may run for any time",
        fix: `Leave statement_timeout as run_environment sets it; at most ${longestBlock} ms is allowed while services wait.`,
      })
    }
    return found
  })
}

/** Statements that change rows of a table that services use, outside of `in_batches`. */
function dataChanges({ statements, before }: Direction): Omit<MigrationFinding, "file">[] {
  const tables = new Set(before.filter(({ kind }) => kind === "table").map(({ id }) => id))
  let earlier = new Set<string>()
  return statements.flatMap((statement) => {
    const writes = statement.locks.flatMap(({ mode, relation }) =>
      mode === "RowExclusiveLock" && tables.has(relation) ? [relation] : [],
    )
    const isNew = writes.some((relation) => !earlier.has(relation))
    earlier = new Set(statement.autocommit ? [] : writes)
    const isData =
      (isNew ||
        (writes.length > 0 && dataTag.test(statement.tag)) ||
        (statement.autocommit && writesRows(statement))) &&
      !isWrittenOut(statement)
    if (statement.batch || !isData) return []
    return [
      {
        rule: "data-in-one-transaction",
        line: statement.line,
        message:
          "It changes rows of an existing table in one transaction, and holds their locks until it ends",
        fix: "Use `in_batches` (servicekit.migrations) in a migration of its own.",
      },
    ]
  })
}

const dataTag = /^(UPDATE|DELETE|INSERT|MERGE|COPY)\b/
const changesNothing = /^(SET|RESET|SHOW|SELECT|BEGIN|COMMIT)\b/

const writesRows = ({ tag, sql }: Statement) =>
  dataTag.test(tag) || (/^\s*with\b/i.test(sql) && /\b(update|delete|insert|merge)\b/i.test(sql))

/** An INSERT that names each row, as for a table of constants. */
const isWrittenOut = ({ sql }: Statement) => /^\s*insert\b/i.test(sql) && !/\bselect\b/i.test(sql)

/** Statements that are committed before the migration is recorded, and fail when it runs again. */
function unrepeatable({ statements }: Direction): Omit<MigrationFinding, "file">[] {
  const last = statements
    .map(({ autocommit, tag }) => autocommit && !changesNothing.test(tag))
    .lastIndexOf(true)
  return statements.slice(0, Math.max(0, last)).flatMap(({ autocommit, tag, sql, line }) =>
    autocommit || changesNothing.test(tag) || /\bif (not )?exists\b/i.test(sql)
      ? []
      : [
          {
            rule: "not-repeatable",
            line,
            message:
              "It is committed before the rest: when the migration is stopped there, it fails when it runs again",
            fix: "Move it to a migration of its own, before this one.",
          },
        ],
  )
}

const saySo =
  'Keep the data, or set `downgrade_loses = "…"` to what is lost, so that `rollback --database` can ask for a reason.'

/** What a downgrade leaves behind, and what it drops without saying so. */
function downgradeResult(migration: Migration, downgrade: Direction): Omit<MigrationFinding, "file">[] {
  const found: Omit<MigrationFinding, "file">[] = []
  if (downgrade.failure) return found
  if (migration.left_over.length > 0) {
    found.push({
      rule: "downgrade-incomplete",
      line: downgrade.line,
      message: `After the downgrade: ${migration.left_over.join(", ")}`,
      fix: "The downgrade must take back exactly what the upgrade does.",
    })
  }
  const kept = new Set(downgrade.after.map(({ id }) => id))
  const existed = new Set(downgrade.before.map(({ id }) => id))
  const dropped = downgrade.before.filter(
    ({ id, kind, parent }) =>
      holdsData.has(kind) && !kept.has(id) && (parent === null || kept.has(parent) || !existed.has(parent)),
  )
  if (dropped.length > 0 && migration.downgrade_loses === null) {
    found.push({
      rule: "downgrade-loses",
      line: downgrade.line,
      message: `The downgrade drops ${dropped.map(({ kind, name }) => `${kind} ${name}`).join(", ")} with what is in them, and does not say so`,
      fix: saySo,
    })
  }
  return found
}

const holdsData = new Set(["table", "column"])

function squawkFindings({ script, found }: Linted): MigrationFinding[] {
  return found.map(({ line, rule_name, message, help }) => {
    const statement = script.statements[line]
    return {
      rule: rule_name,
      ...(statement && { line: statement.line }),
      message,
      fix: help ?? `https://squawkhq.com/docs/${rule_name}`,
    }
  })
}

/** Rules that have their own way to say that it is meant, or that nothing excuses. Squawk's can be accepted with a reason, and so can changed rows. */
const neverAccepted = new Set([
  "breaks-old-code",
  "downgrade-fails",
  "downgrade-incomplete",
  "downgrade-loses",
  "in-transaction",
  "lock-timeout",
  "not-repeatable",
  "statement-timeout",
  "upgrade-fails",
])

/** Leaves out what the migration accepts with a reason, and finds what it accepts for nothing. */
function withoutAccepted(
  { file, upgrade, accepted }: Migration,
  found: MigrationFinding[],
  { isPart = false } = {},
): MigrationFinding[] {
  const placed = found.map((finding) => ({ file, ...finding }))
  const isAccepted = ({ rule }: MigrationFinding) =>
    !neverAccepted.has(rule) && (accepted[rule] ?? "").trim() !== ""
  const used = new Set(placed.filter(isAccepted).map(({ rule }) => rule))
  const unused = Object.keys(accepted).filter((rule) => !used.has(rule))
  // A run that only checks some rules cannot tell, and neither can one in which the migration did not run.
  const stale = isPart || !upgrade ? [] : unused
  return [
    ...placed.filter((finding) => !isAccepted(finding)),
    ...stale.map((rule) => ({
      rule: "accepted",
      file,
      message: neverAccepted.has(rule)
        ? `It accepts ${rule}, which nothing excuses`
        : `It accepts ${rule}, which is not found here, or gives no reason`,
      fix: "Remove it from `accepted`.",
    })),
  ]
}

/** Findings as text, each with its place and how to mend it. */
export function describeFindings(found: MigrationFinding[]): string {
  const one = ({ file, line, rule, message, fix }: MigrationFinding) => {
    const place = [file, line].filter((part) => part !== undefined).join(":")
    return `${place === "" ? "" : `${place}: `}[${rule}] ${message}\n    ${fix}`
  }
  return [...found.map(one), `${count(found.length, "finding")}.`].join("\n")
}
