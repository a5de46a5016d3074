// A fault for every gate, planted in a copy of the repository: the gate that it is meant for finds it, and no other does. Faults that do not hide each
// other are planted together: a run takes minutes, and each gate names what it has found.
import { appendFile, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { copyOfTheRepository, daggerw, type Ended, findings, outcomes, tableIn } from "./daggerw.js"

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

const versions = "services/api/src/recipes/migrations/versions"

/** A second migration behind the same one. */
const secondHead: Fault["plant"] = async (write, root) => {
  const names = (await readdir(join(root, versions))).filter(
    (name) => name.endsWith(".py") && name !== "__init__.py",
  )
  const newest = await readFile(join(root, versions, names.sort().at(-1) ?? ""), "utf8")
  const parent = /^down_revision.*= (.*)$/m.exec(newest)?.[1] ?? "None"
  const text = (revision: string, down: string) =>
    `"""Planted."""\n\nrevision = "${revision}"\ndown_revision = ${down}\nbranch_labels = None\ndepends_on = None\n\n\ndef upgrade() -> None:\n    pass\n\n\ndef downgrade() -> None:\n    pass\n`
  await write(join(versions, "planted.py"), text("planted", parent))
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
        plant: file("services/api/Dockerfile", "RUN exit 3\n"),
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
        words: /table.*planted/,
        plant: file(
          "services/api/src/recipes/models.py",
          '\n\nclass Planted(Base):\n    """Planted."""\n\n    __tablename__ = "planted"\n    id: Mapped[int] = mapped_column(primary_key=True)\n',
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
    command: "ci --only web",
    faults: [
      {
        fault: "types that are not the backend's",
        gate: "web:contract",
        words: /types are not up-to-date/,
        plant: file("services/web/src/api/schema.ts", "\n/** Planted. */\nexport type Planted = string\n"),
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

const caught: string[] = []
afterAll(() => {
  console.log(["", "FAULT  →  CAUGHT BY", ...caught].join("\n"))
})

describe.each(runs)("call $command", ({ command, faults, again }) => {
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
