import { describe, expect, it } from "vitest"
import { schemaOf } from "../../src/platform/schema.js"

const migration = (revision: string, down: string, more = "") =>
  `"""A migration."""\n\nrevision = "${revision}"\ndown_revision = ${down}\n${more}\n\ndef upgrade() -> None:\n    pass\n`

describe("the schema of a service", () => {
  it("is the head of its migrations, and those that older code cannot work with", () => {
    expect(
      schemaOf({
        "1.py": migration("0001", "None"),
        "2.py": migration("0002", '"0001"', "breaking = True\n"),
        "3.py": migration("0003", '"0002"', "breaking: bool = False\n"),
      }),
    ).toEqual({ head: "0003", breaking: ["0002"] })
    expect(schemaOf({})).toBeUndefined()
  })

  it("knows what Alembic writes otherwise: types, and branches that were merged", () => {
    expect(
      schemaOf({
        "1.py": migration("a1", "None").replace("down_revision =", "down_revision: str | None ="),
        "2.py": migration("b1", "'a1'"),
        "3.py": migration("b2", "'a1'"),
        "4.py": migration("c1", "('b1', 'b2')"),
      }),
    ).toEqual({ head: "c1", breaking: [] })
  })

  it.each([
    ["two heads", { "1.py": migration("a", "None"), "2.py": migration("b", "None") }, "these have a, b"],
    ["a circle", { "1.py": migration("a", '"a"') }, "these have none"],
    ["no revision", { "1.py": "pass\n" }, '1.py: a migration has a line revision = "…"'],
    ["a maybe", { "1.py": migration("a", "None", "breaking = MAYBE") }, "1.py: breaking is True or False"],
  ])("is refused for %s", (_, migrations: Record<string, string>, message) => {
    expect(() => schemaOf(migrations)).toThrow(message)
  })
})
