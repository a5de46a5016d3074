import { describe, expect, it } from "vitest"
import { schemaOf } from "../../src/platform/schema.js"
import { timeOf } from "../lib/time-of.js"

const migration = (revision: string, down: string, more = "") =>
  `"""A migration."""\n\nrevision = "${revision}"\ndown_revision = ${down}\n${more}\n\ndef upgrade() -> None:\n    pass\n`
const base = {
  "1.py": migration("a1", "None"),
  "2.py": migration("b1", "'a1'"),
  "3.py": migration("b2", "'a1'"),
}

describe("the schema of a service", () => {
  it("is the head of its migrations, and those that break older code", () => {
    expect(
      schemaOf({
        "1.py": migration("0001", "None"),
        "2.py": migration("0002", '"0001"', "breaking = True\n"),
        "3.py": migration("0003", '"0002"', "breaking: bool = False\n"),
      }),
    ).toEqual({ head: "0003", breaking: ["0002"] })
    expect(schemaOf({})).toBeUndefined()
  })

  it.each([
    ["a tuple", "('b1', 'b2')"],
    [
      "a tuple over lines, with comments and a trailing comma",
      '(\n    "b1",  # ("no")\n    # "no",\n    "b2",\n)',
    ],
    ["a tuple without parentheses", '"b1", "b2"'],
    ["a list", '["b1", "b2"]'],
    ["a set", '{"b1", "b2"}'],
    ["joined strings", '("b" "1", "b" + "2")'],
    ["a continued line", '"b1", \\\n    "b2"'],
    ["escapes and raw strings", '("\\x62\\U00000031", r"b2")'],
    ["several quotes", `("""b1""", '''b2''')`],
    ["names assigned before", "(FIRST, SECOND)"],
  ])("reads down_revision from %s", (_, down) => {
    const text = `FIRST = "b1"\nSECOND: str = "b2"\nrevision: str = ("m1")\ndown_revision: str | Sequence[str] | None = ${down}\n`
    expect(schemaOf({ ...base, "m.py": text })).toEqual({ head: "m1", breaking: [] })
  })

  it("takes the last assignment at the top of the file, and nothing of comments, texts, functions and classes", () => {
    const text =
      '"""\nrevision = "doc"\n"""\n# revision = "comment"\nrevision = "old"; revision = _id = "new"\nrevision: str\n' +
      'down_revision = None\nTEXT = """\nbreaking = True\n"""\n\n\ndef upgrade():\n    revision = "function"\n    breaking = 1\n\n\n' +
      'class Table:\n    revision = "class"\n'
    expect(schemaOf({ "1.py": text })).toEqual({ head: "new", breaking: [] })
  })

  it.each([
    "(breaking := True)",
    "from marks import breaking",
    "from marks import other as breaking",
    "import marks as breaking",
    "for breaking in [True]:\n    pass",
    "for _, (breaking, *_) in pairs:\n    pass",
    "with marks() as breaking:\n    pass",
    "try:\n    pass\nexcept Exception as breaking:\n    pass",
    "def breaking():\n    pass",
    "@mark\nclass breaking:\n    pass",
    "type breaking = bool",
    "match mark:\n    case breaking:\n        pass",
    "[breaking] = [True]",
    "(breaking, other) = True, 1",
    "*breaking, other = marks",
    "breaking = False\ndel breaking",
    "breaking = False\nbreaking |= True",
    "if True:\n    breaking = True",
  ])("never takes a migration for harmless that says so in a way that is not read: %s", (mark) => {
    expect(() => schemaOf({ "1.py": migration("a1", "None", `${mark}\n`) })).toThrow(
      /^1\.py:\d+: breaking must be True or False, written out \(found an expression\)$/,
    )
  })

  it("never takes a migration for harmless that imports every name of another module", () => {
    const harmless = migration("a1", "None")
    const read = (text: string) => () => schemaOf({ "1.py": text })
    expect(read(`from marks import *\n${harmless}`)).toThrow("1.py:1: breaking must be True or False")
    expect(read(`${harmless}from marks import *\n`)).toThrow("revision must be a string, written out")
  })

  it("reads what is assigned behind an import of every name", () => {
    const text = `from marks import *\n${migration("a1", "None", "breaking = False\n")}`
    expect(schemaOf({ "1.py": text })).toEqual({ head: "a1", breaking: [] })
  })

  it("is not taken in by names of something else", () => {
    const marks =
      "marks.breaking = True\nmarks['breaking'] = True\nfrom marks import breaking as other\nfor marks.breaking in [1]:\n    pass\n"
    expect(schemaOf({ "1.py": migration("a1", "None", marks) })).toEqual({ head: "a1", breaking: [] })
  })

  it("reads a file with a byte order mark, and one with the ends of lines of Windows", () => {
    const text = migration("a1", "(\n    None\n)", "breaking = True\n")
    expect(schemaOf({ "1.py": `\ufeff${text.replaceAll("\n", "\r\n")}` })).toEqual({
      head: "a1",
      breaking: ["a1"],
    })
  })

  it("takes time that grows with a file", () => {
    const lines = (number: number) => "x = 1\n".repeat(number)
    const time = (number: number) =>
      timeOf(() => schemaOf({ "1.py": migration("a1", "None", lines(number)) }))
    time(5_000)
    expect(time(80_000)).toBeLessThan(40 * Math.max(time(10_000), 1))
  })

  it("ignores the files that Alembic ignores", () => {
    const ignored = {
      "api/migrations/versions/__init__.py": "",
      ".#2.py": "x",
      "README.md": "x",
      "x.pyc": "x",
    }
    expect(schemaOf({ ...ignored, "api/migrations/versions/1.py": migration("a1", "None") })?.head).toBe("a1")
    expect(schemaOf(ignored)).toBeUndefined()
  })

  it.each([
    [
      "two heads",
      { "1.py": migration("a", "None"), "2.py": migration("b", "None") },
      "these have a (1.py), b (2.py)",
    ],
    ["a circle", { "1.py": migration("a", '"a"') }, "these have none"],
    ["no revision", { "x/1.py": "pass\n" }, 'x/1.py:1: a migration must assign revision = "…"'],
    [
      "a revision only by annotation",
      { "1.py": "revision: str\n" },
      "1.py:1: a migration must assign revision",
    ],
    [
      "a computed revision",
      { "1.py": "\nrevision = make()\n" },
      "1.py:2: revision must be a string, written out",
    ],
    ["a number", { "1.py": "revision = 1\n" }, "1.py:1: revision must be a string, written out (found 1)"],
    ["bytes", { "1.py": 'revision = b"a"\n' }, "1.py:1: revision must be a string"],
    ["a formatted string", { "1.py": 'revision = f"a{x}"\n' }, "1.py:1: revision must be a string"],
    [
      "an appended revision",
      { "1.py": 'revision = "a"\nrevision += "b"\n' },
      "1.py:2: revision must be a string",
    ],
    ["several targets", { "1.py": 'revision, x = "a", "b"\n' }, "1.py:1: revision must be a string"],
    [
      "a condition",
      { "1.py": migration("a", "None", "if NEW:\n    breaking = True\n") },
      "1.py:6: breaking must be True or False, written out (found an expression)",
    ],
    [
      "another value",
      { "1.py": migration("a", "None", "breaking = MAYBE") },
      "1.py:5: breaking must be True or False",
    ],
    [
      "a part that is no string",
      { "1.py": migration("a", '("b", None)') },
      '1.py:4: down_revision must be None, a string or a tuple of strings, written out (found ["b",null])',
    ],
    ["an unknown parent", { "1.py": migration("a", '"z"') }, '1.py:4: down_revision "z" is not a migration'],
    [
      "one revision twice",
      { "1.py": migration("a", "None"), "2.py": migration("a", "None") },
      "also in 1.py",
    ],
    ["what is not Python", { "1.py": 'revision = "a"\ndown_revision = (\n' }, "1.py:3: not valid Python"],
  ])("is refused for %s", (_, migrations: Record<string, string>, message) => {
    expect(() => schemaOf(migrations)).toThrow(message)
  })
})
