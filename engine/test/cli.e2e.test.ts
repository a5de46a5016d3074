import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { appendFile, cp, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, describe, expect, it } from "vitest"

const repository = fileURLToPath(new URL("../..", import.meta.url))
const gates = ["format", "lint", "types", "unit", "shell"]

interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** Starts `./daggerw ARGS…`; `until` waits for words in its progress, `ended` for its end. */
function daggerw(args: string[], directory = repository) {
  // A session of the caller's would be joined, and end with it.
  const env = { ...process.env, DAGGER_SESSION_PORT: undefined, DAGGER_SESSION_TOKEN: undefined }
  const child = spawn("./daggerw", args, { cwd: directory, env, stdio: ["ignore", "pipe", "pipe"] })
  const output = { stdout: "", stderr: "" }
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (code, signal) => {
      resolve({ code, signal, ...output })
    })
  })
  child.stdout.on("data", (chunk: Buffer) => (output.stdout += chunk.toString()))
  child.stderr.on("data", (chunk: Buffer) => (output.stderr += chunk.toString()))
  const until = (words: string) =>
    new Promise<void>((resolve, reject) => {
      child.stderr.on("data", () => {
        if (output.stderr.includes(words)) resolve()
      })
      void ended.then(() => {
        reject(new Error(`ended before "${words}":\n${output.stderr}`))
      })
    })
  return { ended, until, signal: (name: NodeJS.Signals) => child.kill(name) }
}

/** Prints a word after some seconds, in a container; never from the cache. */
const sayAfter = (seconds: number, word: string) =>
  daggerw([
    ...["core", "container", "from", "--address", "debian:bookworm-slim"],
    ...["with-exec", "--args", `sh,-c,sleep ${seconds} && echo ${word}`, "stdout"],
  ])

/** The outcome of each gate, read off the table. */
function outcomes(table: string) {
  const outcome = (gate: string) =>
    new RegExp(`^${gate} .*? (passed|failed|could not run) `, "m").exec(table)?.[1] ?? "not in the table"
  return Object.fromEntries(gates.map((gate) => [gate, outcome(gate)]))
}

const all = (outcome: string) => Object.fromEntries(gates.map((gate) => [gate, outcome]))

describe("daggerw call ci", () => {
  let copy: string | undefined
  afterEach(async () => {
    if (copy) await rm(copy, { recursive: true, force: true })
  })

  async function copyOfTheRepository() {
    const left = new Set([".git", "node_modules"])
    copy = await mkdtemp(join(tmpdir(), "pitwall-cli-"))
    await cp(repository, copy, { recursive: true, filter: (path) => !left.has(basename(path)) })
    return copy
  }

  it("passes on this repository, and prints the gate table and nothing else on stdout", async () => {
    const { code, stdout } = await daggerw(["call", "ci"]).ended
    expect(outcomes(stdout)).toEqual(all("passed"))
    expect(stdout).toMatch(/^GATE /)
    expect(stdout).toMatch(/\n\nPassed: all \d+ gates\.\n?$/)
    expect(code).toBe(0)
  })

  const unit = `import { expect, it } from "vitest"

it("is planted", () => {
  expect("planted").toBe("found")
})
`
  it.each([
    {
      gate: "format",
      file: "planted.md",
      text: "*   planted\n",
      words: "planted.md",
    },
    {
      gate: "lint",
      file: "dagger/test/planted.ts",
      text: "export const planted: any = 1\n",
      words: "no-explicit-any",
    },
    {
      gate: "types",
      file: "dagger/test/planted.ts",
      text: 'export const planted: number = "1"\n',
      words: "TS2322",
    },
    { gate: "unit", file: "dagger/test/planted.test.ts", text: unit, words: "is planted" },
    { gate: "shell", file: ".ci/run", text: "rm $1\n", words: "SC2086" },
  ])("finds a fault planted for $gate, and says so of no other gate", async ({ gate, file, text, words }) => {
    const directory = await copyOfTheRepository()
    await appendFile(join(directory, file), text)
    const { code, stdout, stderr } = await daggerw(["call", "ci"], directory).ended
    const end = stderr.slice(stderr.lastIndexOf("GATE "))
    expect(outcomes(end)).toEqual({ ...all("passed"), [gate]: "failed" })
    expect(end).toContain(words)
    expect(end).toContain(`Failed: ${gate} (of ${gates.length} gates).`)
    expect(stdout).toBe("")
    expect(code).toBe(1)
  })

  it("does not blame the source where the tools cannot be installed", async () => {
    const directory = await copyOfTheRepository()
    await writeFile(join(directory, "package-lock.json"), "{}\n")
    const { code, stderr } = await daggerw(["call", "ci"], directory).ended
    const end = stderr.slice(stderr.lastIndexOf("GATE "))
    expect(outcomes(end)).toEqual({ ...all("could not run"), shell: "passed" })
    expect(end).not.toContain("Failed:")
    expect(code).toBe(1)
  })
})

it("daggerw check -l lists the gates", async () => {
  const { code, stdout } = await daggerw(["check", "-l"]).ended
  for (const gate of gates) expect(stdout).toMatch(new RegExp(`\\b${gate}\\b`))
  expect(code).toBe(0)
})

it("two calls at once each get their own answer", async () => {
  const words = [randomUUID(), randomUUID()]
  const answers = await Promise.all(words.map((word) => sayAfter(3, word).ended))
  expect(answers.map(({ stdout }) => stdout)).toEqual(words.map((word) => `${word}\n`))
})

it("an interrupt ends the call at once, and leaves the engine and its other calls alone", async () => {
  const [interrupted, other] = [randomUUID(), randomUUID()]
  const long = sayAfter(600, interrupted)
  const short = sayAfter(15, other)
  await Promise.all([long.until(interrupted), short.until(other)])
  const started = performance.now()
  long.signal("SIGINT")
  const { code, signal } = await long.ended
  expect(performance.now() - started).toBeLessThan(10_000)
  expect(code === 0 && signal === null).toBe(false)
  expect((await short.ended).stdout).toBe(`${other}\n`)
})

it("a service that ignores SIGTERM does not keep a call from ending", async () => {
  const started = performance.now()
  const { code } = await daggerw([
    ...["core", "container", "from", "--address", "debian:bookworm-slim"],
    ...["as-service", "--args", `sh,-c,trap '' TERM; while :; do sleep 1; done; # ${randomUUID()}`, "start"],
  ]).ended
  expect(code).toBe(0)
  expect(performance.now() - started).toBeLessThan(60_000)
})
