import { execFile } from "node:child_process"
import { appendFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterEach, describe, expect, it } from "vitest"
import { copyOfTheRepository, daggerw, outcomes, tableIn } from "./daggerw.js"

let copy: string | undefined
afterEach(async () => {
  if (copy) await rm(copy, { recursive: true, force: true })
  copy = undefined
})

async function fresh() {
  copy = await copyOfTheRepository()
  return copy
}

describe("daggerw call ci", () => {
  // With an engine that has nothing yet: every package is fetched, every image built.
  it(
    "passes on this repository, and prints the gate table and nothing else on stdout",
    { timeout: 40 * 60_000 },
    async () => {
      const { code, stdout, stderr } = await daggerw(["call", "ci"]).ended
      expect(
        Object.entries(outcomes(stdout)).filter(([, outcome]) => !/passed|skipped/.test(outcome)),
        stderr,
      ).toEqual([])
      expect(stdout).toMatch(/^GATE /)
      expect(stdout).toMatch(/\n\nPassed: (all )?\d+ gates\./)
      expect(code).toBe(0)
    },
  )

  it("has each of its gates as a check of the same name", async () => {
    const [table, list] = await Promise.all([daggerw(["call", "ci"]).ended, daggerw(["check", "-l"]).ended])
    const checks = [...list.stdout.matchAll(/^pitwall:(\S+)/gm)].map(([, name = ""]) =>
      name.replaceAll("f-1-", "f1-"),
    )
    expect(new Set(checks)).toEqual(new Set(Object.keys(outcomes(table.stdout))))
  })

  it.each([
    ["--only", "pits"],
    ["--only", "f1"],
  ])("%s %s: says what there is", async (...args) => {
    const { code, stderr } = await daggerw(["call", "ci", ...args]).ended
    expect(stderr).toMatch(/there are no gates for .*; there are for api, f1-backend, /)
    expect(code).toBe(1)
  })

  const moduleGates = ["lint", "types", "format", "unit", "shell"].map((gate) => `module:${gate}`)
  const all = (outcome: string) => Object.fromEntries(moduleGates.map((gate) => [gate, outcome]))

  const unit = `import { expect, it } from "vitest"

it("is planted", () => {
  expect("planted").toBe("found")
})
`
  it.each([
    { gate: "module:format", file: "planted.md", text: "*   planted\n", words: "planted.md" },
    {
      gate: "module:lint",
      file: "dagger/test/planted.ts",
      text: "export const planted: any = 1\n",
      words: "no-explicit-any",
    },
    {
      gate: "module:types",
      file: "dagger/test/planted.ts",
      text: 'export const planted: number = "1"\n',
      words: "TS2322",
    },
    { gate: "module:unit", file: "dagger/test/planted.test.ts", text: unit, words: "is planted" },
    { gate: "module:shell", file: ".ci/run", text: "rm $1\n", words: "SC2086" },
  ])("finds a fault planted for $gate, and says so of no other gate", async ({ gate, file, text, words }) => {
    const directory = await fresh()
    await appendFile(join(directory, file), text)
    const { code, stdout, stderr } = await daggerw(["call", "ci", "--only", "module"], directory).ended
    const end = tableIn(stderr)
    expect(outcomes(end)).toEqual({ ...all("passed"), [gate]: "failed" })
    expect(end).toContain(words)
    expect(end).toContain(`Failed: ${gate} (of ${moduleGates.length} gates).`)
    expect(end).toContain(`again: ./daggerw check ${gate}`)
    expect(stdout).toBe("")
    expect(code).toBe(1)
  })

  it("does not blame the source where the tools cannot be installed, and tries again first", async () => {
    const directory = await fresh()
    await writeFile(join(directory, "package-lock.json"), "{}\n")
    const { code, stderr } = await daggerw(["call", "ci", "--only", "module"], directory).ended
    const end = tableIn(stderr)
    expect(outcomes(end)).toEqual({ ...all("could not run"), "module:shell": "passed" })
    expect(end).toContain("tried again: ")
    expect(end).not.toContain("Failed:")
    expect(code).toBe(1)
  })
})

describe("daggerw call ci --since", () => {
  const git = async (directory: string, ...args: string[]) => {
    const identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    await promisify(execFile)("git", [...identity, ...args], { cwd: directory })
  }

  it("looks at what the change touches, at nothing for no change, and at everything in doubt", async () => {
    const directory = await fresh()
    const since = async () => (await daggerw(["call", "ci", "--since", "base"], directory).ended).stdout
    await git(directory, "init", "--quiet", "--initial-branch", "main")
    await git(directory, "add", "--all")
    await git(directory, "commit", "--quiet", "--message", "base")
    await git(directory, "branch", "base")
    expect(await since()).toContain("Nothing that a gate looks at has changed since base.")

    await appendFile(join(directory, "scripts/tally.mjs"), "\n// a change that is not committed\n")
    const scripts = await since()
    expect(scripts).toContain("Looked at since base: module, for scripts/tally.mjs")
    expect(new Set(Object.keys(outcomes(scripts)).map((gate) => gate.split(":")[0]))).toEqual(
      new Set(["module", "security"]),
    )

    await rm(join(directory, ".git"), { recursive: true })
    expect(await since()).toContain("Everything is looked at: git cannot tell what changed since base")
  })
})
