import { describe, expect, it } from "vitest"
import { describePlan, migrationPlanOf } from "../../src/databases/plan.js"
import type { Examination, Migration } from "../../src/migrations/examination.js"
import { column, direction, examination, migration, statement, table } from "../migrations/fixtures.js"

const things = table("things")
const name = column("things", "name")
const lock = (mode: string, of = things) => ({ mode, relation: of.id, name: of.name })

const expand = migration({
  downgrade_loses: "sizes",
  upgrade: direction({
    seconds: 3,
    before: [things, name],
    after: [things, name, column("things", "size")],
    statements: [
      statement("ALTER TABLE things\n ADD COLUMN size int", {
        seconds: 0.5,
        locks: [lock("AccessExclusiveLock")],
      }),
      statement("SELECT pg_sleep(1)", { seconds: 1, locks: [lock("AccessExclusiveLock")] }),
      statement("CREATE INDEX CONCURRENTLY i ON things (size)", {
        seconds: 1.2,
        autocommit: true,
        locks: [lock("ShareUpdateExclusiveLock")],
      }),
      statement("ALTER TABLE things VALIDATE CONSTRAINT c", { seconds: 0.1, autocommit: true }),
      statement("CREATE TABLE new (id int)", {
        seconds: 0.1,
        locks: [lock("AccessExclusiveLock", table("new"))],
      }),
    ],
  }),
})

describe("the plan of a migration", () => {
  it("has the statements, the locks that each adds, and how long services wait", () => {
    const [planned] = migrationPlanOf(examination([expand])).migrations
    expect(planned).toMatchObject({
      revision: "a",
      kind: "expand",
      breaks: [],
      seconds: 3,
      downgradeLoses: "sizes",
    })
    // A lock is held until its transaction ends.
    expect(planned?.blockedSeconds).toBe(1.5)
    expect(planned?.statements.map(({ locks }) => locks)).toEqual([
      [{ mode: "ACCESS EXCLUSIVE", table: "things", blocks: "reads and writes" }],
      [],
      [{ mode: "SHARE UPDATE EXCLUSIVE", table: "things", blocks: "nothing" }],
      undefined,
      [],
    ])
  })

  it("is a contraction when code released before fails, marked or not", () => {
    const dropping = direction({ before: [things, name], after: [things] })
    const kinds = (more: Partial<Migration>) =>
      migrationPlanOf(examination([migration(more)])).migrations.map(({ kind, breaks }) => [kind, ...breaks])
    expect(kinds({ upgrade: dropping })).toEqual([["contract", "drops column things.name"]])
    expect(kinds({ breaking: true })).toEqual([["contract"]])
    expect(kinds({})).toEqual([["expand"]])
  })

  it.each<[string, Examination, string]>([
    [
      "fails",
      examination([migration({ upgrade: direction({ failure: { message: "no such table", line: 12 } }) })]),
      "v/a.py:12: migration a fails on the copy: no such table",
    ],
    [
      "did not run",
      examination([migration({ upgrade: null })]),
      "v/a.py: migration a did not run on the copy",
    ],
    [
      "leaves another schema than the models",
      examination([expand], { model_differences: ["add table x"] }),
      "the migrated copy differs from the models: add table x",
    ],
    [
      "has two heads",
      examination([], { heads: ["a", "b"] }),
      "migrations must have one head; these have a, b",
    ],
    ["has no head", examination([], { heads: [] }), "these have none"],
    [
      "cannot be loaded",
      examination([], { unreadable: { file: "v/a.py", line: 3, message: "invalid syntax" } }),
      "v/a.py:3: invalid syntax",
    ],
  ])("does not exist when a migration %s", (_, ran, words) => {
    expect(() => migrationPlanOf(ran)).toThrow(words)
  })

  it("is told with everything that an operator decides by", () => {
    expect(describePlan(migrationPlanOf(examination([expand])))).toBe(
      [
        "1 migration to a",
        "",
        "a (v/a.py): expand, 3.0 s on the copy, services wait 1.5 s",
        "  a downgrade loses sizes",
        "  ALTER TABLE things ADD COLUMN size int",
        "    0.5 s · ACCESS EXCLUSIVE on things blocks reads and writes",
        "  SELECT pg_sleep(1)",
        "    1.0 s · no new lock on an existing table",
        "  CREATE INDEX CONCURRENTLY i ON things (size)",
        "    1.2 s · SHARE UPDATE EXCLUSIVE on things blocks nothing",
        "  ALTER TABLE things VALIDATE CONSTRAINT c",
        "    0.1 s · locks unknown: it commits on its own",
        "  CREATE TABLE new (id int)",
        "    0.1 s · no new lock on an existing table",
      ].join("\n"),
    )
    expect(describePlan({ migrations: [], head: "a" })).toBe("at a: nothing to migrate")
  })
})
