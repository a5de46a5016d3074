import { execFile } from "node:child_process"
import { generateKeyPairSync } from "node:crypto"
import { appendFile, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterEach, beforeAll, describe, expect, it } from "vitest"
import { copyOfTheRepository, daggerw, type Ended, outcomes, tableIn } from "./daggerw.js"

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
  let ended: Ended
  // With an engine that has nothing yet: every package is fetched, every image built.
  beforeAll(async () => {
    ended = await daggerw(["call", "ci"]).ended
  }, 40 * 60_000)

  it("passes on this repository, and prints the gate table and nothing else on stdout", () => {
    const { code, stdout, stderr } = ended
    expect(code, tableIn(stderr) || stderr.slice(-6000)).toBe(0)
    expect(stdout).toMatch(/^GATE /)
    // A machine without a vulnerability database or a token skips gates.
    expect(stdout).toMatch(/\n\n(Passed: all \d+ gates\.|Incomplete: \d+ of \d+ gates passed, )/)
  })

  it("remembers each pass from its first run on", async () => {
    const { code, stdout } = await daggerw(["call", "ci"]).ended
    expect(code).toBe(0)
    const ran = [...stdout.matchAll(/^(\S+) +passed +[\d.]+ s(?! cached)/gm)].map(([, gate = ""]) => gate)
    // These ask what others have left, and run nothing.
    expect(ran.filter((gate) => !/:(image|coverage)$/.test(gate))).toEqual([])
  })

  it("has each of its gates as a check of the same name", async () => {
    const list = await daggerw(["check", "-l"]).ended
    const checks = [...list.stdout.matchAll(/^pitwall:(\S+)/gm)].map(([, name = ""]) =>
      name.replaceAll("f-1-", "f1-"),
    )
    const table = ended.stdout || tableIn(ended.stderr)
    expect(new Set(checks)).toEqual(new Set(Object.keys(outcomes(table))))
  })

  it.each([
    ["--only", "pits"],
    ["--only", "f1"],
  ])("%s %s: says what there is", async (...args) => {
    const { code, stderr } = await daggerw(["call", "ci", ...args]).ended
    expect(stderr).toMatch(/there are no gates for .*; allowed: api, f1-backend, /)
    expect(code).toBe(1)
  })

  it("does not blame the source where the tools cannot be installed, and tries again first", async () => {
    const directory = await fresh()
    await writeFile(join(directory, "package-lock.json"), "{}\n")
    const { code, stderr } = await daggerw(["call", "ci", "--only", "module"], directory).ended
    const end = tableIn(stderr)
    const npm = ["architecture", "format", "lint", "types", "unit"]
    const others = ["manifests", "shell", "workflow"]
    expect(outcomes(end)).toEqual(
      Object.fromEntries([
        ...npm.map((gate) => [`module:${gate}`, "could not run"]),
        ...others.map((gate) => [`module:${gate}`, "passed"]),
      ]),
    )
    expect(end).toContain("tried again: ")
    expect(end).not.toContain("Failed:")
    expect(code).toBe(1)
  })
})

describe("passes of another machine", () => {
  it("spare it the gates whose inputs are equal, where a trusted key has signed them", async () => {
    const directory = await fresh()
    const { privateKey, publicKey } = generateKeyPairSync("ed25519")
    const policy = join(directory, "dagger/config/security.yaml")
    const pem = publicKey.export({ type: "spki", format: "pem" })
    await writeFile(
      policy,
      (await readFile(policy, "utf8")).replace("trusted: []", `trusted: [${JSON.stringify(pem)}]`),
    )
    const secrets = join(directory, "secrets.env")
    await writeFile(secrets, `PASSES_SIGNING_KEY="${privateKey.export({ type: "pkcs8", format: "pem" })}"\n`)
    const gatesIn = async (folder: string) => {
      const summary = JSON.parse(await readFile(join(folder, "summary.json"), "utf8")) as {
        gates: { gate: string }[]
      }
      return summary.gates.map(({ gate }) => gate)
    }
    const report = async (to: string, ...global: string[]) => {
      const options = ["call", ...global, "report", "--only", "servicekit", "export", "--path", to]
      const { code, stderr } = await daggerw(options, directory).ended
      expect(code, stderr.slice(-3000)).toBe(0)
      const summary = JSON.parse(await readFile(join(directory, to, "summary.json"), "utf8")) as {
        gates: { gate: string; outcome: string; cached: boolean }[]
        tests: { passed: number }
      }
      return { ...summary, stderr }
    }

    const made = await report("made", "--secrets", `file://${secrets}`)
    expect(made.gates.map(({ outcome }) => outcome)).toEqual(made.gates.map(() => "passed"))
    expect(await readdir(join(directory, "made/passes"))).toHaveLength(made.gates.length)

    // Caches of another name are those of a machine that has run nothing.
    const brought = await report("brought", "--caches", "another-machine", "--passes", "made/passes")
    expect(brought.gates.filter(({ cached }) => !cached)).toEqual([])
    expect(brought.tests.passed).toBe(made.tests.passed)
    expect(brought.tests.passed).toBeGreaterThan(100)

    // Two machines share the run, and their reports are joined.
    const parts = ["1/2", "2/2"]
    const shares = []
    for (const [at, part] of parts.entries()) {
      const args = ["--shard", part, "export", "--path", `parts/${at}`]
      const options = ["call", "--passes", "made/passes", "report", "--only", "servicekit", ...args]
      const { code, stderr } = await daggerw(options, directory).ended
      expect(code, stderr.slice(-3000)).toBe(0)
      shares.push(await gatesIn(join(directory, `parts/${at}`)))
    }
    expect(shares.every((share) => share.length > 0 && share.length < made.gates.length)).toBe(true)
    const merge = ["call", "report", "--merge", "parts", "export", "--path", "joined"]
    expect((await daggerw(merge, directory).ended).code).toBe(0)
    expect(await gatesIn(join(directory, "joined"))).toEqual(made.gates.map(({ gate }) => gate))
    await rm(join(directory, "parts/1"), { recursive: true })
    const { code, stderr } = await daggerw(merge, directory).ended
    expect(stderr).toContain("each part must be given once; missing or given twice: 2/2")
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
    expect(await since()).toContain("No gate is affected by changes since base.")

    await appendFile(join(directory, "scripts/tally.mjs"), "\n// a change that is not committed\n")
    const scripts = await since()
    expect(scripts).toContain("Affected since base: module, by scripts/tally.mjs")
    expect(new Set(Object.keys(outcomes(scripts)).map((gate) => gate.split(":")[0]))).toEqual(
      new Set(["module", "security"]),
    )

    await rm(join(directory, ".git"), { recursive: true })
    expect(await since()).toContain("All gates run: git cannot tell what changed since base")
  })
})
