// A fault for every gate, planted in a copy of the repository: the gate that it is meant for finds it, and no other does.
import { appendFile, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, afterEach, describe, expect, it } from "vitest"
import { copyOfTheRepository, daggerw, outcomes, tableIn } from "./daggerw.js"

interface Fault {
  fault: string
  gate: string
  /** What the output has to name. */
  words: RegExp
  plant: (write: (file: string, text: string) => Promise<void>, root: string) => Promise<void>
  /** Arguments of `call ci`; the gate's own group, if not given. */
  args?: string[]
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

const kit = "services/servicekit"
const app = "services/frontend-kit"
const faults: Fault[] = [
  {
    fault: "badly formatted Python",
    gate: "servicekit:format",
    words: /planted\.py/,
    plant: file(`${kit}/tests/planted.py`, "PLANTED = 'single quotes'\n"),
  },
  {
    fault: "unused import",
    gate: "servicekit:lint",
    words: /planted\.py:1:1: F401/,
    plant: file(`${kit}/tests/planted.py`, "import os\n"),
  },
  {
    fault: "type error in Python",
    gate: "servicekit:types",
    words: /planted\.py:1: error: .*\[assignment\]/,
    plant: file(`${kit}/tests/planted.py`, 'PLANTED: int = "one"\n'),
  },
  {
    fault: "failing pytest",
    gate: "servicekit:test",
    words: /test_planted\.py:2 .*test_is_planted[\s\S]*again: .*call test --gate servicekit:test --select/,
    plant: file(
      `${kit}/tests/test_planted.py`,
      'def test_is_planted() -> None:\n    assert len("planted") == 5\n',
    ),
  },
  {
    fault: "a test that hangs",
    gate: "servicekit:test",
    words: /It took longer than the 90 seconds/,
    plant: async (write, root) => {
      await write(
        `${kit}/tests/test_planted.py`,
        "import threading\n\n\ndef test_is_planted() -> None:\n    threading.Event().wait()\n",
      )
      await replaced("dagger/config/services.yaml", /test: \d+, ready/, "test: 90, ready")(write, root)
    },
  },
  {
    fault: "coverage of Python drops",
    gate: "servicekit:coverage",
    words: /planted\.py/,
    plant: file(`${kit}/src/servicekit/planted.py`, `"""Planted."""${uncovered}\n`),
  },
  {
    fault: "two heads of migrations",
    gate: "api:migrations",
    words: /There are 2 heads/,
    plant: secondHead,
  },
  {
    fault: "a model without its migration",
    gate: "api:migrations",
    words: /planted/,
    plant: file(
      "services/api/src/recipes/models.py",
      '\n\nclass Planted(Base):\n    """Planted."""\n\n    __tablename__ = "planted"\n    id: Mapped[int] = mapped_column(primary_key=True)\n',
    ),
  },
  {
    fault: "an image that does not build",
    gate: "api:image",
    words: /RUN exit 3|exit code: 3/,
    plant: file("services/api/Dockerfile", "RUN exit 3\n"),
  },
  {
    fault: "a service that never becomes ready",
    gate: "api:smoke",
    words: /404: File not found|was not ready after 20 s/,
    plant: async (write, root) => {
      await write("services/api/Dockerfile", 'ENTRYPOINT ["python", "-m", "http.server", "8000"]\nCMD []\n')
      await replaced("dagger/config/services.yaml", /ready: \d+ }/, "ready: 20 }")(write, root)
    },
  },
  {
    fault: "a service that ends at once",
    gate: "api:smoke",
    words: /exit/,
    plant: file("services/api/Dockerfile", 'ENTRYPOINT ["false"]\n'),
  },
  {
    fault: "a slow endpoint",
    gate: "api:load",
    words: /95 % of answers took up to \d+ ms; at most 2000 ms is allowed/,
    args: ["load-test", "--only", "api", "--duration", "20s", "--users", "20"],
    plant: replaced(
      "services/api/src/recipes/routes.py",
      /^(def _json\(.*\n)/m,
      '$1    __import__("time").sleep(3)\n',
    ),
  },
  {
    fault: "badly formatted TypeScript",
    gate: "frontend-kit:format",
    words: /planted\.ts/,
    plant: file(`${app}/testing/planted.ts`, "export const planted = { a : 1 }\n"),
  },
  {
    fault: "a lint finding in TypeScript",
    gate: "frontend-kit:lint",
    words: /no-explicit-any/,
    plant: file(`${app}/testing/planted.ts`, "export const planted: any = 1\n"),
  },
  {
    fault: "a type error in TypeScript",
    gate: "frontend-kit:types",
    words: /TS2322/,
    plant: file(`${app}/testing/planted.ts`, 'export const planted: number = "one"\n'),
  },
  {
    fault: "a failing Vitest",
    gate: "frontend-kit:test",
    words: /planted\.test\.ts:4[\s\S]*again: .*call test --gate frontend-kit:test --select/,
    plant: file(
      `${app}/src/planted.test.ts`,
      'import { expect, it } from "vitest"\n\nit("is planted", () => {\n  expect("planted").toBe("found")\n})\n',
    ),
  },
  {
    fault: "coverage of TypeScript drops",
    gate: "frontend-kit:coverage",
    words: /planted\.ts/,
    plant: file(`${app}/src/planted.ts`, uncoveredTypeScript),
  },
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
]

let copy: string | undefined
afterEach(async () => {
  if (copy) await rm(copy, { recursive: true, force: true })
})

const found: string[] = []
afterAll(() => {
  console.log(["", "FAULT  →  CAUGHT BY", ...found].join("\n"))
})

describe("a planted fault", () => {
  it.each(faults)("$fault: $gate finds it, and no other", async ({ fault, gate, words, plant, args }) => {
    const root = await copyOfTheRepository()
    copy = root
    await plant((path, text) => appendFile(join(root, path), text), root)
    const group = gate.split(":")[0] ?? ""
    const { code, stderr } = await daggerw(["call", ...(args ?? ["ci", "--only", group])], root).ended
    const end = tableIn(stderr)
    const failed = Object.entries(outcomes(end)).filter(
      ([, outcome]) => !["passed", "skipped"].includes(outcome),
    )
    expect(failed, stderr.slice(-6000)).toEqual([[gate, "failed"]])
    expect(end).toMatch(words)
    expect(end.trimEnd().split("\n").length).toBeGreaterThan(2)
    expect(code).toBe(1)
    found.push(`${fault}  →  ${gate}`)
  })
})
