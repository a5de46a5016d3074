// `npm test` on a small repository: this runner, with suites of its own and a daggerw that only runs commands.
import { spawn } from "node:child_process"
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, expect, it, vi } from "vitest"

// Every test starts processes, beside all the other gates.
vi.setConfig({ testTimeout: 300_000 })

const here = fileURLToPath(new URL(".", import.meta.url))

/** @type {string} */
let folder
const root = () => join(folder, "repository")

/** @param {string} path @param {string} text */
function write(path, text, mode = 0o644) {
  mkdirSync(dirname(join(root(), path)), { recursive: true })
  writeFileSync(join(root(), path), text, { mode })
}

// Stands in for Vitest. Each line of a suite is a test: "pass", "fail", "skip", "reads FILE WORD", "variable NAME VALUE",
// or "grows FILE"; a suite that imports what does not exist does not load.
const fakeVitest = `#!${process.execPath}
const fs = require("node:fs")
const file = process.argv.find((arg) => arg.endsWith(".e2e.test.ts")) ?? "units.test.ts"
const lines = fs.readFileSync(file, "utf8").trim().split("\\n")
const does = {
  pass: () => true,
  fail: () => false,
  reads: (path, word) => fs.readFileSync(path, "utf8") === word,
  variable: (name, value) => process.env[name] === value,
  grows: (path) => { fs.appendFileSync(path, "more"); return true },
}
const loads = lines.every((line) => !line.startsWith("import ") || fs.existsSync(line.split(" ")[1]))
const tests = lines.filter((line) => loads && !line.startsWith("import ") && !line.startsWith("//"))
const status = (line) => {
  const [what, ...words] = line.split(" ")
  return what === "skip" ? "pending" : does[what](...words) ? "passed" : "failed"
}
const assertionResults = tests.map((line) => ({ fullName: line, status: status(line) }))
const count = (is) => assertionResults.filter(({ status }) => status === is).length
const failed = !loads || count("failed") > 0
for (const { fullName, status } of assertionResults) console.log(status + ": " + fullName)
fs.writeFileSync(process.argv.find((arg) => arg.startsWith("--outputFile.json=")).split("=")[1], JSON.stringify({
  numPassedTests: count("passed"), numFailedTests: count("failed"), numPendingTests: count("pending"), numTodoTests: 0,
  testResults: [{ name: process.cwd() + "/" + file, status: failed ? "failed" : "passed", assertionResults }],
}))
process.exitCode = failed ? 1 : 0
`
const b = "e2e/b.e2e.test.ts"

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "runner-"))
  mkdirSync(root())
  const runner = readdirSync(here).filter((name) => name.endsWith(".mjs") && !name.endsWith(".test.mjs"))
  for (const name of runner) cpSync(join(here, name), join(root(), "scripts", name))
  write("node_modules/.bin/vitest", fakeVitest, 0o755)
  write("package.json", '{ "type": "module" }')
  const table = readFileSync(join(here, "suites.mjs"), "utf8")
  const suites = `export const shared = ["package.json"]
export const unit = [{ kind: "unit", name: "units", vitest: "unit" }]
export const endToEnd = [
  { file: "e2e/session-a.e2e.test.ts", project: "session", inputs: ["a"] },
  { file: "e2e/b.e2e.test.ts", project: "command", inputs: ["b"] },
  { file: "e2e/measures.e2e.test.ts", project: "command", inputs: ["a", "b"], alone: true },
]
`
  const own = table.slice(table.indexOf("/**\n * A suite for each test file"))
  write("scripts/suites.mjs", `import { selected } from "./inputs.mjs"\n${suites}${own}`)
  write(
    "daggerw",
    '#!/bin/sh\necho "$*" >>daggerw.log\n[ "$1" != --silent ] || { shift 3; SESSION=yes exec "$@"; }\n',
    0o755,
  )
  write("a/word", "a")
  write("b/word", "b")
  write("units.test.ts", "pass\n")
  write("e2e/session-a.e2e.test.ts", "variable SESSION yes\n")
  write(
    b,
    `import e2e/helper.ts from "./helper.js"\nreads b/word b\nvariable PITWALL_HOME ${join(folder, "home")}\n`,
  )
  write("e2e/helper.ts", "")
  write("e2e/measures.e2e.test.ts", "pass\n")
  write("e2e/unlisted.e2e.test.ts", "pass\n")
})

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

/**
 * Runs the runner.
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} more
 * @returns {Promise<{ code: number | null, text: string, last: string }>}
 */
function run(args, more = {}) {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(VITEST|PITWALL_|npm_config_all$)/.test(name),
  )
  const env = {
    ...Object.fromEntries(inherited),
    PITWALL_HOME: join(folder, "daily"),
    PITWALL_TEST_HOME: join(folder, "home"),
    NO_COLOR: "1",
    ...more,
  }
  return new Promise((resolve) => {
    const child = spawn("node", ["scripts/test.mjs", ...args], { cwd: root(), env })
    let text = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (/** @type {Buffer} */ chunk) => (text += chunk.toString()))
    }
    child.on("close", (code) => {
      resolve({ code, text, last: text.trim().split("\n").at(-1) ?? "" })
    })
  })
}

const remembered = (/** @type {string} */ text) =>
  [...text.matchAll(/^(\S+): (\d+) tests passed at \d{4}-/gm)].map(([, name, count]) => `${name} ${count}`)

it("runs all suites, and then only those whose inputs have changed", async () => {
  const first = await run([])
  expect(first.text).toContain("passed: reads b/word b")
  expect([first.code, first.last], first.text).toEqual([0, "6 passed, 0 failed"])
  expect(readFileSync(join(root(), "daggerw.log"), "utf8")).toMatch(
    /^--silent run -- node_modules\/.bin\/vitest run .*\nengine stop$/m,
  )

  const second = await run([])
  expect([second.code, second.last], second.text).toEqual([0, "1 passed, 0 failed, 5 remembered"])
  expect(remembered(second.text)).toEqual([
    "e2e/session-a.e2e.test.ts 1",
    "e2e/b.e2e.test.ts 2",
    "e2e/measures.e2e.test.ts 1",
    "e2e/unlisted.e2e.test.ts 1",
  ])

  const only = await run(["e2e"])
  expect([only.code, only.last], only.text).toEqual([0, "0 passed, 0 failed, 5 remembered"])

  for (const [args, env] of /** @type {const} */ ([
    [["--all", "e2e"], {}],
    [["e2e"], { npm_config_all: "true" }],
    [["e2e"], { DAGGERW_ENGINE: "local" }],
  ])) {
    expect((await run([...args], env)).last).toBe("5 passed, 0 failed")
  }

  write("a/word", "changed")
  const changed = await run(["e2e"])
  expect(changed.last, changed.text).toBe("3 passed, 0 failed, 2 remembered")
  expect(remembered(changed.text)).toEqual(["e2e/b.e2e.test.ts 2"])

  appendFileSync(join(root(), "e2e/helper.ts"), "// changed\n")
  expect((await run(["e2e"])).last).toBe("3 passed, 0 failed, 2 remembered")
})

it("prints a suite that runs beside another in one piece", async () => {
  const { text } = await run(["e2e", "--all"])
  for (const name of ["session-a", "b"]) {
    expect(text).toContain(`started: e2e/${name}.e2e.test.ts\n`)
    const block = new RegExp(
      `^=== e2e: e2e/${name}\\.e2e\\.test\\.ts ===\n([\\s\\S]*?)^=== e2e/${name}\\S+: \\d passed, 0 failed, \\d+ s ===$`,
      "m",
    )
    const [, inside = ""] = block.exec(text) ?? []
    expect(inside).toContain("passed: ")
    expect(inside).not.toContain("===")
  }
})

it("never remembers a failure, nor a suite with a skipped test", async () => {
  write("b/word", "wrong")
  for (let time = 1; time <= 2; time++) {
    const failed = await run(["b.e2e"])
    expect([failed.code, failed.last], failed.text).toEqual([1, "1 passed, 1 failed"])
    expect(failed.text).toContain(`\nFailed:\n  ${b} > reads b/word b\n\n1 passed, 1 failed\n`)
  }
  write("b/word", "b")
  expect((await run(["b.e2e"])).last).toMatch(/^(2 passed, 0 failed|0 passed, 0 failed, 2 remembered)$/)
  appendFileSync(join(root(), b), "skip\n")
  for (let time = 1; time <= 2; time++)
    expect((await run(["b.e2e"])).last).toBe("2 passed, 0 failed, 1 skipped")
})

it("runs nothing while the table names what is not there", async () => {
  const table = readFileSync(join(root(), "scripts/suites.mjs"), "utf8")
  write("scripts/suites.mjs", table.replace('inputs: ["b"]', 'inputs: ["b", "!b/renamed", "c"]'))
  const { code, text } = await run([])
  write("scripts/suites.mjs", table)
  expect(code).not.toBe(0)
  expect(text).toContain("scripts/suites.mjs names b/renamed, c: no such file")
})

it("does not remember a suite whose inputs changed while it ran", async () => {
  write(b, "grows b/word\n")
  for (let time = 1; time <= 2; time++) {
    write("b/word", "b")
    expect((await run(["b.e2e"])).last).toBe("1 passed, 0 failed")
  }
})

it("takes a suite that does not load for a failure", async () => {
  write(b, "import e2e/nowhere.ts\npass\n")
  const broken = await run(["b.e2e"])
  expect([broken.code, broken.last], broken.text).toEqual([1, "0 passed, 1 failed"])
})

it("says which suites there are", async () => {
  for (const args of [["service"], ["--fast"]]) {
    const { code, text } = await run(args)
    expect(code).toBe(2)
    expect(text).toContain(`There is no suite ${args[0]}; allowed: --all, unit, e2e, or a part of a name:\n`)
    expect(text).toContain("  e2e  e2e/unlisted.e2e.test.ts\n")
  }
})

it("refuses a table that names a file that does not exist", async () => {
  rmSync(join(root(), "e2e/measures.e2e.test.ts"))
  const { code, text } = await run([])
  expect(code).toBe(1)
  expect(text).toContain("scripts/suites.mjs names e2e/measures.e2e.test.ts: no such file")
})
