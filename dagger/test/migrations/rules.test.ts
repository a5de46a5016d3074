import { describe, expect, it } from "vitest"
import { readFileSync } from "node:fs"
import type { Migration, Statement } from "../../src/migrations/examination.js"
import { checkMigrations, checkRows, describeFindings } from "../../src/migrations/rules.js"
import { scriptOf } from "../../src/migrations/squawk.js"
import { images } from "../../src/platform/base-images.js"
import { column, direction, examination, migration, statement, table } from "./fixtures.js"

const things = table("things")
const holding = (mode: string) => ({ locks: [{ mode, relation: things.id, name: "things" }] })

/** The rules that one migration breaks, with lines. */
const broken = (more: Partial<Migration>): string[] =>
  checkMigrations(examination([migration(more)]), new Map()).map(({ rule, line }) =>
    `${rule} ${line ?? ""}`.trim(),
  )
const upgrading = (...statements: Statement[]): string[] =>
  broken({ upgrade: direction({ statements, before: [things], after: [things] }) })

describe("the rules of migrations", () => {
  it("find nothing in a migration that keeps them", () => {
    expect(
      upgrading(statement("ALTER TABLE things ADD COLUMN a int", holding("AccessExclusiveLock"))),
    ).toEqual([])
  })

  it("ask for exactly one head, and name each with its file", () => {
    const two = [migration(), migration({ revision: "b", file: "v/b.py" })]
    const [found] = checkMigrations(examination(two, { heads: ["a", "b"] }), new Map())
    expect(found?.message).toBe("There are 2 heads; there must be one: a (v/a.py), b (v/b.py)")
    expect(checkMigrations(examination([], { heads: [] }), new Map())).toHaveLength(1)
  })

  it("ask that the migrated database equals the models", () => {
    const found = checkMigrations(
      examination([migration()], { model_differences: ["add table x"] }),
      new Map(),
    )
    expect(found.map(({ message }) => message)).toEqual([
      "The migrated database differs from the models: add table x",
    ])
  })

  it("name a file that Alembic cannot load", () => {
    const unreadable = { file: "v/a.py", line: 3, message: "invalid syntax" }
    const [found, ...others] = checkMigrations(examination([], { heads: [], unreadable }), new Map())
    expect(found).toMatchObject(unreadable)
    expect(others).toEqual([])
    expect(checkRows(examination([], { heads: [], unreadable }))).toMatchObject([unreadable])
  })

  it.each<[string, Partial<Statement>, string[]]>([
    ["no lock_timeout", { lock_timeout_ms: 0 }, ["lock-timeout 10"]],
    ["a lock_timeout that is too long", { lock_timeout_ms: 5_001 }, ["lock-timeout 10"]],
    ["no statement_timeout", { statement_timeout_ms: 0 }, ["statement-timeout 10"]],
    [
      "a statement_timeout that is too long for a lock",
      { statement_timeout_ms: 5_001, ...holding("ShareLock") },
      ["statement-timeout 10"],
    ],
    [
      "a long statement that is in nobody's way",
      { statement_timeout_ms: 600_000, ...holding("ShareUpdateExclusiveLock") },
      [],
    ],
    ["a long statement on a new table", { statement_timeout_ms: 600_000 }, []],
  ])("limit how long a statement waits and blocks: %s", (_, more, found) => {
    expect(upgrading(statement("ALTER TABLE things SET (fillfactor = 50)", more))).toEqual(found)
  })

  it("let a concurrent index, a validation and a batch wait for locks, outside of a transaction", () => {
    const long = { lock_timeout_ms: 3_600_000, statement_timeout_ms: 3_600_000, autocommit: true }
    const index = "CREATE INDEX CONCURRENTLY IF NOT EXISTS a ON things (name)"
    expect(upgrading(statement(index, long))).toEqual([])
    expect(upgrading(statement("ALTER TABLE things VALIDATE CONSTRAINT a", long))).toEqual([])
    expect(upgrading(statement("UPDATE things SET a = 1", { ...long, batch: true }))).toEqual([])
    expect(upgrading(statement("DROP INDEX a", long))).toEqual(["lock-timeout 10"])
  })

  it("limit downgrades too", () => {
    const statements = [statement("ALTER TABLE things DROP CONSTRAINT a", { lock_timeout_ms: 0 })]
    expect(broken({ downgrade: direction({ statements }) })).toEqual(["lock-timeout 10"])
  })

  it("ask that changes that old code cannot live with are marked", () => {
    const dropping = { upgrade: direction({ before: [things, column("things", "a")], after: [things] }) }
    expect(broken(dropping)).toEqual(["breaks-old-code 8"])
    expect(broken({ ...dropping, breaking: true })).toEqual([])
  })

  it.each<[string, Statement, boolean]>([
    ["an UPDATE", statement("UPDATE things SET a = 1", holding("RowExclusiveLock")), true],
    ["a block that updates", statement("DO $$…$$", { tag: "DO", ...holding("RowExclusiveLock") }), true],
    ["an INSERT of a query", statement("INSERT INTO things SELECT 1", holding("RowExclusiveLock")), true],
    [
      "an INSERT of written rows",
      statement("INSERT INTO things VALUES (1)", holding("RowExclusiveLock")),
      false,
    ],
    ["a batch", statement("UPDATE things SET a = 1", { autocommit: true, batch: true }), false],
    ["an UPDATE that commits on its own", statement("UPDATE things SET a = 1", { autocommit: true }), true],
    [
      "a DELETE within a query",
      statement("WITH x AS (DELETE FROM things) SELECT 1", { autocommit: true }),
      true,
    ],
    [
      "a change of a new table",
      statement("UPDATE other SET a = 1", {
        locks: [{ mode: "RowExclusiveLock", relation: "relation:other", name: "other" }],
      }),
      false,
    ],
  ])("ask that rows are changed in batches: %s", (_, one, found) => {
    expect(upgrading(one)).toEqual(found ? ["data-in-one-transaction 10"] : [])
  })

  it("find each statement that changes rows, and not those behind it in the same transaction", () => {
    const update = statement("UPDATE things SET a = 1", { ...holding("RowExclusiveLock"), tag: "UPDATE 3" })
    const comment = statement("COMMENT ON TABLE things IS ''", { ...holding("RowExclusiveLock"), line: 11 })
    expect(upgrading(update, comment, { ...update, line: 12 })).toEqual([
      "data-in-one-transaction 10",
      "data-in-one-transaction 12",
    ])
  })

  it("ask that what is committed early can run again", () => {
    const index = statement("CREATE INDEX CONCURRENTLY IF NOT EXISTS a ON things (b)", {
      autocommit: true,
      line: 12,
    })
    expect(upgrading(statement("ALTER TABLE things ADD COLUMN b int"), index)).toEqual(["not-repeatable 10"])
    expect(upgrading(statement("ALTER TABLE things ADD COLUMN IF NOT EXISTS b int"), index)).toEqual([])
    expect(upgrading(index, statement("ALTER TABLE things ADD COLUMN b int"))).toEqual([])
  })

  it("say how to build a concurrent index", () => {
    const failure = {
      message: "CREATE INDEX CONCURRENTLY cannot run inside a transaction block",
      line: 12,
    }
    const [found] = checkMigrations(
      examination([migration({ upgrade: direction({ failure }), downgrade: null })]),
      new Map(),
    )
    expect(found).toMatchObject({ rule: "in-transaction", line: 12, file: "v/a.py" })
    expect(found?.fix).toContain("outside_transaction")
  })

  it("ask for downgrades that work, take back everything and say what they lose", () => {
    const failure = { message: "relation a does not exist", line: 21 }
    expect(broken({ downgrade: direction({ failure }) })).toEqual(["downgrade-fails 21"])
    expect(broken({ left_over: ["sequence a is left over"] })).toEqual(["downgrade-incomplete 20"])
    expect(broken({ not_restored: ["sequence a is missing"] })).toEqual(["downgrade-incomplete 20"])
    const dropping = {
      downgrade: direction({ line: 20, before: [things, column("things", "a")], after: [things] }),
    }
    expect(broken(dropping)).toEqual(["downgrade-loses 20"])
    expect(broken({ ...dropping, downgrade_loses: "a" })).toEqual([])
  })

  it("ask that a downgrade of rows says what it loses", () => {
    const lossy = migration({ lost: ["values of things.a"], downgrade: direction({ line: 20 }) })
    expect(checkRows(examination([lossy]))).toMatchObject([
      { rule: "downgrade-loses", line: 20, file: "v/a.py" },
    ])
    expect(checkRows(examination([{ ...lossy, downgrade_loses: "a" }]))).toEqual([])
    const failure = { message: "duplicate key", line: 21 }
    const failing = migration({ downgrade: direction({ failure }), upgrade: null })
    expect(checkRows(examination([failing]))).toMatchObject([
      { rule: "downgrade-fails", message: "downgrade() fails: duplicate key (on a database with rows)" },
    ])
  })
})

describe("what squawk finds", () => {
  const add = statement("ALTER TABLE things\n  ADD COLUMN a int", { line: 12 })
  const index = statement("CREATE INDEX CONCURRENTLY i ON things (a);", { line: 14, autocommit: true })
  const upgrade = direction({
    statements: [add, index, { ...add, line: 16 }],
    before: [things],
    after: [things],
  })
  const script = scriptOf(upgrade)
  const found = [{ file: "0.sql", line: 3, rule_name: "a-rule", message: "It locks.", help: null }]

  it("comes from the SQL as it ran, with its transactions and limits", () => {
    expect(script.text.split("\n")).toEqual([
      "SET lock_timeout = 2000;",
      "SET statement_timeout = 5000;",
      "BEGIN;",
      "ALTER TABLE things",
      "  ADD COLUMN a int",
      ";",
      "COMMIT;",
      "CREATE INDEX CONCURRENTLY i ON things (a);",
      "BEGIN;",
      "ALTER TABLE things",
      "  ADD COLUMN a int",
      ";",
      "COMMIT;",
      "",
    ])
  })

  it("says nothing of limits that are not there", () => {
    const unlimited = statement("SELECT 1", { lock_timeout_ms: 0, statement_timeout_ms: 0 })
    expect(scriptOf(direction({ statements: [unlimited] })).text).toBe("BEGIN;\nSELECT 1\n;\nCOMMIT;\n")
  })

  const check = (more: Partial<Migration>) =>
    checkMigrations(
      examination([
        migration({
          upgrade: { ...upgrade, statements: [{ ...add, sql: "ALTER TABLE things SET (x = 1)" }] },
          ...more,
        }),
      ]),
      new Map([["a", { script, found }]]),
    )

  it("has the line of the statement in the migration's file", () => {
    expect(check({})).toEqual([
      {
        rule: "a-rule",
        file: "v/a.py",
        line: 12,
        message: "It locks.",
        fix: "https://squawkhq.com/docs/a-rule",
      },
    ])
  })

  it("can be accepted with a reason, but not for nothing", () => {
    expect(check({ accepted: { "a-rule": "The table has 20 rows." } })).toEqual([])
    expect(check({ accepted: { "a-rule": " " } }).map(({ rule }) => rule)).toEqual(["a-rule", "accepted"])
    expect(check({ accepted: { "a-rule": "small", "b-rule": "small" } })).toMatchObject([
      { rule: "accepted", message: "It accepts b-rule, which is not found here, or gives no reason" },
    ])
  })

  it("is all that can be accepted: what has a mark of its own needs the mark", () => {
    const dropping = direction({ before: [things, column("things", "a")], after: [things] })
    const found = broken({ upgrade: dropping, accepted: { "breaks-old-code": "I say so." } })
    expect(found).toEqual(["breaks-old-code 8", "accepted"])
  })

  it("is for the version of the databases", () => {
    const configuration = readFileSync(new URL("../../config/squawk/squawk.toml", import.meta.url), "utf8")
    const [, version] = /^pg_version = "(\d+)/m.exec(configuration) ?? []
    expect(images.postgres).toMatch(new RegExp(`^postgres:${version}\\b`))
  })
})

it("describes findings with place, rule and how to mend them", () => {
  const found = [
    { rule: "heads", message: "Two.", fix: "Merge." },
    { rule: "models", file: "a.py", line: 3, message: "Differs.", fix: "Write it." },
  ]
  expect(describeFindings(found)).toBe(
    "[heads] Two.\n    Merge.\na.py:3: [models] Differs.\n    Write it.\n2 findings.",
  )
})
