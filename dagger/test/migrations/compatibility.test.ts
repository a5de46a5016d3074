import { expect, it } from "vitest"
import { breakingChanges } from "../../src/migrations/compatibility.js"
import type { DatabaseObject } from "../../src/migrations/examination.js"
import { column, constraint, other, table } from "./fixtures.js"

const things = table("things")
const name = column("things", "name")
const size = column("things", "size", { "not null": true, default: "0" })
const mood = other("type", "type:1", "mood", { facts: { labels: ["good", "bad"], constraints: [] } })
const before = [things, name, size, mood]

/** The catalogue with one object replaced, or left out. */
const changed = (object: DatabaseObject, more: Partial<DatabaseObject> | null) =>
  before.flatMap((one) => (one !== object ? [one] : more === null ? [] : [{ ...one, ...more }]))
const facts = (object: DatabaseObject, more: Record<string, unknown>) =>
  changed(object, { facts: { ...object.facts, ...more } })

it.each<[string, DatabaseObject[], string]>([
  ["a dropped column", changed(name, null), "drops column things.name"],
  ["a dropped type", changed(mood, null), "drops type mood"],
  ["a renamed column", changed(name, { name: "things.title" }), "renames column things.name to things.title"],
  [
    "another type",
    facts(name, { type: "integer" }),
    "changes the type of column things.name from text to integer",
  ],
  ["NOT NULL", facts(name, { "not null": true }), "makes column things.name NOT NULL"],
  [
    "NULL allowed",
    facts(size, { "not null": false }),
    "allows NULL in column things.size, which older code may not expect",
  ],
  [
    "no default any more",
    facts(size, { default: null }),
    "removes the default of column things.size, which is NOT NULL",
  ],
  [
    "a generated column",
    facts(name, { generated: "1" }),
    "makes column things.name one that cannot be written",
  ],
  ["a removed value of a type", facts(mood, { labels: ["good"] }), 'removes the value "bad" of type mood'],
  ["row security", facts(things, { "row security": true }), "turns on row security of table things"],
  [
    "a new column NOT NULL without default",
    [...before, column("things", "new", { "not null": true })],
    "adds column things.new, which is NOT NULL and has no default",
  ],
  [
    "a new constraint",
    [...before, constraint("things", "check", ["name"])],
    "adds constraint things.check, CHECK (true)",
  ],
  [
    "a new constraint on an old and a new column",
    [...before, column("things", "new"), constraint("things", "check", ["new", "name"])],
    "adds constraint things.check, CHECK (true)",
  ],
  [
    "a new unique index",
    [
      ...before,
      other("index", "index:1", "unique_name", {
        parent: things.id,
        columns: [name.id],
        facts: { unique: true },
      }),
    ],
    "adds unique index unique_name",
  ],
])("finds %s", (_, after, change) => {
  expect(breakingChanges(before, after)).toEqual([change])
})

it("names a dropped table once, without its columns", () => {
  expect(breakingChanges(before, [mood])).toEqual(["drops table things"])
})

it("names a renamed table once, without its columns", () => {
  const after = [
    { ...things, name: "items" },
    { ...name, name: "items.name" },
    { ...size, name: "items.size" },
    mood,
  ]
  expect(breakingChanges(before, after)).toEqual(["renames table things to items"])
})

it("lets older code live with everything else that is new", () => {
  const fine = [
    column("things", "a"),
    column("things", "b", { "not null": true, default: "1" }),
    column("things", "c", { "not null": true, identity: "d" }),
    // Code that does not know the column never writes it.
    constraint("things", "check", ["a"]),
    table("more"),
    column("more", "a", { "not null": true }),
    constraint("more", "check_more", ["a"]),
    other("index", "index:1", "name_index", {
      parent: things.id,
      columns: [name.id],
      facts: { unique: false },
    }),
    other("function", "function:1", "one()", {}),
  ]
  const after = facts(mood, { labels: ["good", "bad", "worse"] })
  expect(breakingChanges(before, [...after, ...fine])).toEqual([])
})

it("does not take a dot in a quoted name for a renamed column", () => {
  const odd = { ...name, name: 'things."a.b"' }
  expect(
    breakingChanges(
      [things, odd],
      [
        { ...things, name: "items" },
        { ...odd, name: 'items."a.b"' },
      ],
    ),
  ).toEqual(["renames table things to items"])
})
