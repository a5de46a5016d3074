// A fault for every gate, planted in a copy of the repository: the gate that it is meant for finds it, and no other does. Faults that do not hide each
// other are planted together: a run takes minutes, and each gate names what it has found.
import { createHash } from "node:crypto"
import { appendFile, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { copyOfTheRepository, daggerw, type Ended, findings, outcomes, tableIn } from "./daggerw.js"
import { newestMigration, versions } from "./newest-migration.js"

interface Fault {
  fault: string
  gate: string
  /** What the gate's finding has to name, and that of no other gate. */
  words: RegExp
  plant: (write: (file: string, text: string) => Promise<void>, root: string) => Promise<void>
}

/** A run of the pipeline on a copy with some faults. */
interface Run {
  command: string
  faults: Fault[]
  /** The command is given twice, and its gate takes at least so many seconds the second time, too. */
  again?: number
}

/** A file of its own with a text, or a text behind what is there. */
const file =
  (path: string, text: string): Fault["plant"] =>
  (write) =>
    write(path, text)

const replaced =
  (path: string, from: string | RegExp, to: string): Fault["plant"] =>
  async (_, root) => {
    const text = await readFile(join(root, path), "utf8")
    const changed = text.replace(from, to)
    if (changed === text) throw new Error(`${path} has no ${String(from)} to plant a fault in`)
    await writeFile(join(root, path), changed)
  }

/** A migration that black and flake8 have nothing against. */
const migrationText = (
  revision: string,
  down: string | undefined,
  up: string[],
  back: string[],
  marks = "",
) => {
  const body = (lines: string[]) => (lines.length > 0 ? lines : ["pass"]).map((line) => `    ${line}`)
  const code = [...up, ...back].join("\n")
  return [
    '"""Planted."""',
    "",
    ...(code.includes("op.") ? ["from alembic import op"] : []),
    ...(code.includes("outside_transaction")
      ? ["from servicekit.migrations import outside_transaction"]
      : []),
    ...(code === "" || !/op\.|outside_/.test(code) ? [] : [""]),
    `revision = "${revision}"`,
    `down_revision = ${down === undefined ? "None" : `"${down}"`}`,
    ...(marks === "" ? [] : [marks]),
    "",
    "",
    "def upgrade() -> None:",
    ...body(up),
    "",
    "",
    "def downgrade() -> None:",
    ...body(back),
    "",
  ].join("\n")
}

/** A second migration behind the same one. */
const secondHead: Fault["plant"] = async (write, root) => {
  const { parent } = await newestMigration(root)
  await write(join(versions, "planted.py"), migrationText("planted", parent, [], []))
}

/** A migration behind the newest one. */
const migration =
  (up: string[], back: string[]): Fault["plant"] =>
  async (write, root) => {
    const { revision } = await newestMigration(root)
    await write(join(versions, "planted.py"), migrationText("planted", revision, up, back))
  }

const sql = (text: string) => `op.execute("${text}")`
const add = (column: string) => sql(`ALTER TABLE planted ADD COLUMN ${column}`)
const drop = (column: string) => sql(`ALTER TABLE planted DROP COLUMN ${column}`)
const loses = 'downgrade_loses = "planted"'

/** Migrations with a fault each, behind one that creates a table for them. The examination runs all of them. */
const chained: { fault: string; words: RegExp; up: string[]; back: string[]; marks?: string }[] = [
  {
    fault: "an index that blocks writes",
    words: /planted_1\.py:\d+: \[require-concurrent-index-creation\]/,
    up: [sql("CREATE INDEX planted_plain ON planted (a)")],
    back: [sql("DROP INDEX planted_plain")],
  },
  {
    fault: "a statement that waits for locks without limit",
    words: /planted_2\.py:\d+: \[lock-timeout\]/,
    up: [sql("SET lock_timeout = 0"), add("b int")],
    back: [drop("b")],
    marks: loses,
  },
  {
    fault: "a statement that may hold a lock without limit",
    words: /planted_3\.py:\d+: \[statement-timeout\] It may hold planted/,
    up: [sql("SET statement_timeout = 0"), add("c int")],
    back: [drop("c")],
    marks: loses,
  },
  {
    fault: "a dropped column",
    words: /planted_4\.py:\d+: \[breaks-old-code\] It drops column planted\.c:/,
    up: [drop("c")],
    back: [add("c int")],
  },
  {
    fault: "a renamed column",
    words: /planted_5\.py:\d+: \[breaks-old-code\] It renames column planted\.b to planted\.d:/,
    up: [sql("ALTER TABLE planted RENAME COLUMN b TO d")],
    back: [sql("ALTER TABLE planted RENAME COLUMN d TO b")],
  },
  {
    fault: "a column that old code does not fill",
    words: /planted_6\.py:\d+: \[breaks-old-code\] It adds column planted\.e, which is NOT NULL/,
    up: [add("e int NOT NULL")],
    back: [drop("e")],
    marks: loses,
  },
  {
    fault: "another type of a column",
    words:
      /planted_7\.py:\d+: \[breaks-old-code\] It changes the type of column planted\.a from integer to bigint/,
    up: [sql("ALTER TABLE planted ALTER COLUMN a TYPE bigint")],
    back: [sql("ALTER TABLE planted ALTER COLUMN a TYPE int")],
    marks: 'accepted = {"changing-column-type": "The table is empty."}',
  },
  {
    fault: "a constraint that old code may violate",
    words: /planted_8\.py:\d+: \[breaks-old-code\] It adds constraint planted\.planted_check/,
    up: [sql("ALTER TABLE planted ADD CONSTRAINT planted_check CHECK (a > 0) NOT VALID")],
    back: [sql("ALTER TABLE planted DROP CONSTRAINT planted_check")],
  },
  {
    fault: "a dropped table",
    words: /planted_9\.py:\d+: \[breaks-old-code\] It drops table planted_too:/,
    up: [sql("DROP TABLE planted_too")],
    back: [sql("CREATE TABLE planted_too (a int)")],
  },
  {
    fault: "all rows changed in one transaction",
    words: /planted_10\.py:\d+: \[data-in-one-transaction\]/,
    up: [sql("UPDATE planted SET a = 1")],
    back: [],
  },
  {
    fault: "a migration that fails when it runs again",
    words: /planted_11\.py:\d+: \[not-repeatable\]/,
    up: [
      add("f int"),
      "with outside_transaction():",
      `    ${sql("CREATE INDEX CONCURRENTLY IF NOT EXISTS planted_f ON planted (f)")}`,
    ],
    back: [drop("f")],
    marks: loses,
  },
  {
    fault: "a downgrade that leaves something behind",
    words:
      /planted_12\.py:\d+: \[downgrade-incomplete\] After the downgrade: sequence planted_sequence is left over/,
    up: [sql("CREATE SEQUENCE IF NOT EXISTS planted_sequence")],
    back: [],
  },
  {
    fault: "a downgrade that drops a column and does not say so",
    words: /planted_13\.py:\d+: \[downgrade-loses\] The downgrade drops column planted\.g/,
    up: [add("g int")],
    back: [drop("g")],
  },
]

/** Plants one of `chained`, and the first of them also the table. */
const link =
  (at: number): Fault["plant"] =>
  async (write, root) => {
    const { up, back, marks } = chained[at] ?? { up: [], back: [] }
    const name = (number: number) => `planted_${number}`
    if (at === 0) {
      const { revision } = await newestMigration(root)
      const tables = [sql("CREATE TABLE planted (a int)"), sql("CREATE TABLE planted_too (a int)")]
      const undo = [sql("DROP TABLE planted_too"), sql("DROP TABLE planted")]
      await write(join(versions, `${name(0)}.py`), migrationText(name(0), revision, tables, undo, loses))
    }
    const text = migrationText(name(at + 1), name(at), up, back, marks)
    await write(join(versions, `${name(at + 1)}.py`), text)
  }

const uncovered = Array.from(
  { length: 400 },
  (_, at) =>
    `\n\n\ndef planted_${at}(value: int) -> int:\n    if value > ${at}:\n        return value\n    return ${at}`,
).join("")
const uncoveredTypeScript = Array.from(
  { length: 200 },
  (_, at) =>
    `export function planted${at}(value: number): number {\n  return value > ${at} ? value : ${at}\n}\n`,
).join("\n")

const failingVitest = `import { expect, it } from "vitest"

it("is planted", () => {
  expect("planted").toBe("found")
})
`

/** A token of GitHub's form that nobody has. */
const planted = (name: string) => `ghp_${createHash("sha256").update(name).digest("hex").slice(0, 36)}`

const kit = "services/servicekit"
const app = "services/frontend-kit"
const catalog = "dagger/config/services.yaml"

/** One service's own limits, in seconds. */
const limited = (service: string, limits: string) =>
  replaced(
    catalog,
    `  ${service}:\n    kind: python\n`,
    `  ${service}:\n    kind: python\n    limits: ${limits}\n`,
  )

const runs: Run[] = [
  {
    command: "ci --only module,servicekit,frontend-kit,api",
    faults: [
      {
        fault: "badly formatted Markdown",
        gate: "module:format",
        words: /planted-format\.md/,
        plant: file("dagger/planted-format.md", "*   planted\n"),
      },
      {
        fault: "a lint finding in the module",
        gate: "module:lint",
        words: /planted-any\.ts[\s\S]*no-explicit-any/,
        plant: file("dagger/test/planted-any.ts", "export const planted: any = 1\n"),
      },
      {
        fault: "a type error in the module",
        gate: "module:types",
        words: /planted-number\.ts.*TS2322/,
        plant: file("dagger/test/planted-number.ts", 'export const planted: number = "1"\n'),
      },
      {
        fault: "a failing unit test of the module",
        gate: "module:unit",
        words: /planted-unit\.test\.ts[\s\S]*is planted/,
        plant: file("dagger/test/planted-unit.test.ts", failingVitest),
      },
      {
        fault: "an unquoted word in a shell script",
        gate: "module:shell",
        words: /SC2086/,
        plant: file(".ci/run", "rm $1\n"),
      },
      {
        fault: "badly formatted Python",
        gate: "servicekit:format",
        words: /planted_format\.py/,
        plant: file(`${kit}/tests/planted_format.py`, "PLANTED = 'single quotes'\n"),
      },
      {
        fault: "unused import",
        gate: "servicekit:lint",
        words: /planted_lint\.py:1:1: F401/,
        plant: file(`${kit}/tests/planted_lint.py`, "import os\n"),
      },
      {
        fault: "type error in Python",
        gate: "servicekit:types",
        words: /planted_types\.py:1: error: .*\[assignment\]/,
        plant: file(`${kit}/tests/planted_types.py`, 'PLANTED: int = "one"\n'),
      },
      {
        fault: "failing pytest",
        gate: "servicekit:test",
        words:
          /test_planted\.py:2 .*test_is_planted[\s\S]*again: .*call test --gate servicekit:test --select/,
        plant: file(
          `${kit}/tests/test_planted.py`,
          'def test_is_planted() -> None:\n    assert len("planted") == 5\n',
        ),
      },
      {
        fault: "badly formatted TypeScript",
        gate: "frontend-kit:format",
        words: /planted-format\.ts/,
        plant: file(`${app}/testing/planted-format.ts`, "export const planted = { a : 1 }\n"),
      },
      {
        fault: "a lint finding in TypeScript",
        gate: "frontend-kit:lint",
        words: /testing\/planted-lint\.ts[\s\S]*no-explicit-any/,
        plant: file(`${app}/testing/planted-lint.ts`, "export const planted: any = 1\n"),
      },
      {
        fault: "a type error in TypeScript",
        gate: "frontend-kit:types",
        words: /testing\/planted-types\.ts.*TS2322/,
        plant: file(`${app}/testing/planted-types.ts`, 'export const planted: number = "one"\n'),
      },
      {
        fault: "a failing Vitest",
        gate: "frontend-kit:test",
        words: /src\/planted\.test\.ts:4[\s\S]*again: .*call test --gate frontend-kit:test --select/,
        plant: file(`${app}/src/planted.test.ts`, failingVitest),
      },
      {
        fault: "two heads of migrations",
        gate: "api:migrations",
        words: /There are 2 heads/,
        plant: secondHead,
      },
      {
        fault: "an image that does not build",
        gate: "api:image",
        words: /RUN exit 3|exit code: 3/,
        // Before its last stage: that one has no shell in the end.
        plant: replaced("services/api/Dockerfile", "WORKDIR /build\n", "WORKDIR /build\nRUN exit 3\n"),
      },
    ],
  },
  {
    command: "ci --only servicekit,frontend-kit,api",
    faults: [
      {
        fault: "coverage of Python drops",
        gate: "servicekit:coverage",
        words: /planted\.py/,
        plant: file(`${kit}/src/servicekit/planted.py`, `"""Planted."""${uncovered}\n`),
      },
      {
        fault: "coverage of TypeScript drops",
        gate: "frontend-kit:coverage",
        words: /planted\.ts/,
        plant: file(`${app}/src/planted.ts`, uncoveredTypeScript),
      },
      {
        fault: "a model without its migration",
        gate: "api:migrations",
        words: /\[models\] .*table.*planted_model/,
        plant: file(
          "services/api/src/recipes/models.py",
          '\n\nclass Planted(Base):\n    """Planted."""\n\n    __tablename__ = "planted_model"\n    id: Mapped[int] = mapped_column(primary_key=True)\n',
        ),
      },
    ],
  },
  {
    command: "ci --only servicekit,api",
    faults: [
      {
        fault: "a test that hangs",
        gate: "servicekit:test",
        words: /The command exceeded its limit of 90 seconds/,
        plant: async (write, root) => {
          await write(
            `${kit}/tests/test_planted.py`,
            "import threading\n\n\ndef test_is_planted() -> None:\n    threading.Event().wait()\n",
          )
          await limited("servicekit", "{ tool: 900, test: 90, ready: 180 }")(write, root)
        },
      },
      {
        fault: "a service that never becomes ready",
        gate: "api:smoke",
        words: /404: File not found|was not ready after 20 s/,
        plant: async (write, root) => {
          await write(
            "services/api/Dockerfile",
            'ENTRYPOINT ["python", "-m", "http.server", "8000"]\nCMD []\n',
          )
          await limited("api", "{ tool: 900, test: 1800, ready: 20 }")(write, root)
        },
      },
    ],
  },
  {
    command: "ci --only api",
    faults: [
      {
        fault: "a service that ends at once",
        gate: "api:smoke",
        words: /exit/,
        plant: file("services/api/Dockerfile", 'ENTRYPOINT ["false"]\n'),
      },
    ],
  },
  {
    command: "ci --only api",
    faults: [
      {
        fault: "an image that runs as root",
        gate: "api:image",
        words: /services\/api\/Dockerfile: the image runs as root/,
        plant: file("services/api/Dockerfile", "USER root\n"),
      },
      {
        fault: "a shell in an image",
        gate: "api:image",
        words: /\/usr\/bin\/planted\/dash: shell/,
        plant: file(
          "services/api/Dockerfile",
          "COPY --from=build --chmod=755 /bin/dash /usr/bin/planted/dash\n",
        ),
      },
      {
        fault: "a reason for a program that an image does not have",
        gate: "api:image",
        words:
          /services\.api\.programs allows bash, which is no package manager, compiler or shell of the image/,
        plant: replaced(
          catalog,
          "  api:\n    kind: python\n",
          "  api:\n    kind: python\n    programs: { bash: Planted. }\n",
        ),
      },
      {
        fault: "an image beyond its budget",
        gate: "api:image",
        words:
          /The image adds [\d.]+ MB to its base[\s\S]*\/planted[\s\S]*usr\/lib\/planted: (new, )?30\.0 MB/,
        plant: replaced(
          "services/api/Dockerfile",
          "WORKDIR /app\nUSER",
          'RUN ["python", "-c", "import os, pathlib as p; p.Path(\'/usr/lib/planted\').mkdir(); p.Path(\'/usr/lib/planted/file\').write_bytes(os.urandom(30_000_000))"]\nWORKDIR /app\nUSER',
        ),
      },
    ],
  },
  {
    command: "ci --only api",
    faults: [
      {
        fault: "a service that writes beside its temporary files",
        gate: "api:smoke",
        words: /Read-only file system|exit/,
        // Its user may write there, so that it starts unless the root file system forbids it.
        plant: file(
          "services/api/Dockerfile",
          [
            "USER root",
            'RUN ["install", "-d", "-o", "10001", "/state"]',
            "USER 10001:10001",
            `ENTRYPOINT ["python", "-c", "import os; open('/state/planted', 'w').close(); os.execvp('python', ['python', '-m', 'recipes', 'serve'])"]`,
            "CMD []",
            "",
          ].join("\n"),
        ),
      },
    ],
  },
  {
    command: "ci --only api",
    faults: [
      {
        fault: "a secret in the history of an image",
        gate: "api:scan",
        words: /github-pat/,
        plant: file("services/api/Dockerfile", `ENV PLANTED_TOKEN=${planted("history")}\n`),
      },
    ],
  },
  {
    command: "ci --only web",
    faults: [
      {
        fault: "types that are not the backend's",
        gate: "web:contract",
        words: /types are not up-to-date/,
        plant: file("services/web/src/api/schema.ts", "\n/** Planted. */\nexport type Planted = string\n"),
      },
      {
        fault: "a start page beyond its budget",
        gate: "web:size",
        words: /The start page's scripts and styles are [\d.]+ kB[\s\S]*assets\/index\.js: .* kB more/,
        plant: file(
          "services/web/src/main.tsx",
          `\ndocument.documentElement.dataset.planted =\n  "${incompressible(40_000)}"\n`,
        ),
      },
      {
        fault: "a failing journey in the browser",
        gate: "web:browser",
        words: /planted\.spec\.ts:\d+[\s\S]*again: .*call test --gate web:browser --select/,
        plant: file(
          "services/web/e2e/planted.spec.ts",
          'import { expect, test } from "@playwright/test"\n\ntest("is planted", async ({ page }) => {\n  await page.goto("/")\n  await expect(page.getByRole("heading", { name: "planted" })).toBeVisible({ timeout: 2000 })\n})\n',
        ),
      },
    ],
  },
  {
    command: "load-test --only api --duration 20s --users 20",
    faults: [
      {
        fault: "a slow endpoint",
        gate: "api:load",
        words: /95 % of answers took up to \d+ ms; at most 2000 ms is allowed/,
        plant: replaced(
          "services/api/src/recipes/routes.py",
          /^(def _json\(.*\n)/m,
          '$1    __import__("time").sleep(3)\n',
        ),
      },
    ],
    again: 20,
  },
]

/** Text of so many characters, half a byte each when it is compressed. */
function incompressible(length: number): string {
  const part = (_: unknown, at: number) => createHash("sha256").update(String(at)).digest("hex")
  return Array.from({ length: Math.ceil(length / 64) }, part).join("")
}

/** Faults of migrations, one or a chain of them for each run. */
const migrationRuns: Run[] = [
  {
    command: "ci --only api",
    // Their table has no model.
    faults: [
      ...chained.map(({ fault, words }, at) => ({ fault, gate: "api:migrations", words, plant: link(at) })),
      {
        fault: "a table without a model",
        gate: "api:migrations",
        words: /\[models\] .*remove_table.*planted/,
        plant: () => Promise.resolve(),
      },
    ],
  },
  {
    command: "ci --only api",
    faults: [
      {
        fault: "a concurrent index in a transaction",
        gate: "api:migrations",
        words: /planted\.py:\d+: \[in-transaction\] .*\n.*outside_transaction/,
        plant: migration(
          [sql("CREATE INDEX CONCURRENTLY planted ON recipes (minutes)")],
          [sql("DROP INDEX planted")],
        ),
      },
    ],
  },
  {
    command: "ci --only api",
    faults: [
      {
        fault: "a downgrade that does not work",
        gate: "api:migrations",
        words: /planted\.py:\d+: \[downgrade-fails\] downgrade\(\) fails: NotImplementedError/,
        plant: migration([], ["raise NotImplementedError"]),
      },
    ],
  },
  {
    command: "ci --only api",
    faults: [
      {
        fault: "a downgrade that deletes rows and does not say so",
        gate: "api:downgrade",
        words: /planted\.py:\d+: \[downgrade-loses\] The downgrade loses table users: 1 row became 0/,
        plant: migration([], [sql("DELETE FROM users")]),
      },
    ],
  },
]
const all = [...runs, ...migrationRuns]

const caught: string[] = []
afterAll(() => {
  console.log(["", "FAULT  →  CAUGHT BY", ...caught].join("\n"))
})

describe.each(all)("call $command", ({ command, faults, again }) => {
  let ended: Ended
  let end: string
  beforeAll(async () => {
    const root = await copyOfTheRepository()
    try {
      for (const { plant } of faults) {
        await plant((path, text) => appendFile(join(root, path), text), root)
      }
      const given = () => daggerw(["call", ...command.split(" ")], root).ended
      ended = await given()
      if (again !== undefined) ended = await given()
      end = tableIn(ended.stderr)
      if (end === "") throw new Error(`there is no gate table:\n${ended.stderr.slice(-6000)}`)
    } finally {
      await rm(root, { recursive: true, force: true })
    }
  }, 20 * 60_000)

  it.each(faults)("$fault: $gate finds it, and no other", ({ fault, gate, words }) => {
    const { [gate]: own = "", ...others } = findings(end)
    expect(own, end).toMatch(words)
    for (const [other, found] of Object.entries(others)) expect(found, other).not.toMatch(words)
    caught.push(`${fault}  →  ${gate}`)
  })

  it("finds nothing else, and says how to run just that again", () => {
    const gates = faults.map(({ gate }) => gate)
    const all = Object.entries(outcomes(end))
    const bad = all.filter(([, is]) => !["passed", "skipped"].includes(is))
    expect(Object.fromEntries(bad), end).toEqual(Object.fromEntries(gates.map((gate) => [gate, "failed"])))
    expect(end).toContain(
      `Failed: ${bad.map(([gate]) => gate).join(", ")} (of ${all.length} ${all.length === 1 ? "gate" : "gates"}).`,
    )
    for (const gate of gates)
      expect(end).toContain(`── ${gate}: failed · run again: ./daggerw check ${gate} ──`)
    expect(ended.stdout).toBe("")
    expect(ended.code).toBe(1)
  })

  if (again !== undefined) {
    it("does not remember that it failed", () => {
      const [, seconds] = /^\S+ +failed +([\d.]+) s /m.exec(end) ?? []
      expect(Number(seconds), end).toBeGreaterThanOrEqual(again)
    })
  }
})
