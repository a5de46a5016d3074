import { spawn } from "node:child_process"
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const daggerw = process.env.DAGGERW ?? here("../../daggerw")

let home: string

async function dagger(...args: string[]) {
  const env = { ...process.env, SECRET: "hunter2", DAGGER_NO_NAG: "1", NO_COLOR: "1" }
  const child = spawn(daggerw, ["--progress=plain", ...args], {
    cwd: home,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  })
  const exited = new Promise<number | null>((resolve, reject) =>
    child.on("close", resolve).on("error", reject),
  )
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  return { code, stdout: stdout.trim(), stderr }
}

/** The value of a call that must succeed. */
async function call(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await dagger("call", ...args)
  expect(code, stderr).toBe(0)
  return stdout
}

/** What a call that must fail says. */
async function failure(...args: string[]): Promise<string> {
  const { code, stderr } = await dagger(...args)
  expect(code, stderr).not.toBe(0)
  return stderr
}

/** With another text in one of the module's files, for as long as it takes. */
async function edited<T>(file: string, edit: (text: string) => string, work: () => Promise<T>): Promise<T> {
  const path = join(home, file)
  const before = await readFile(path, "utf8")
  await writeFile(path, edit(before))
  return work().finally(() => writeFile(path, before))
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "fixture-"))
  await cp(here("fixtures/module"), home, { recursive: true })
  // The engine has an SDK of its own; TYPESCRIPT_SDK names the folder of another one to try on it.
  if (process.env.TYPESCRIPT_SDK !== undefined) {
    await cp(process.env.TYPESCRIPT_SDK, join(home, "tried"), {
      recursive: true,
      filter: (path) => !path.includes("node_modules"),
    })
    const config = await readFile(join(home, "dagger.json"), "utf8")
    await writeFile(join(home, "dagger.json"), config.replace('"typescript"', '"./tried/runtime"'))
    await mkdir(join(home, ".git")) // A module reaches as far up as its repository goes.
  }
})

afterAll(() => rm(home, { recursive: true, force: true }))

describe("arguments and results", () => {
  it("passes plain types, with their defaults", async () => {
    const given = ["--text=a b", "--count=3", "--ratio=0.5", "--yes", "--mood=Loud", "--tags=x,y"]
    expect(JSON.parse(await call("plain", ...given))).toEqual([
      "a b",
      3,
      0.5,
      true,
      "is loud",
      ["x", "y"],
      "!",
      "is calm",
      "no note",
      null,
    ])
    const more = ["--suffix=?", "--level=Loud", "--note=n", "--nothing=something"]
    expect(JSON.parse(await call("plain", ...given, ...more))).toEqual([
      "a b",
      3,
      0.5,
      true,
      "is loud",
      ["x", "y"],
      "?",
      "is loud",
      "n",
      "something",
    ])
  })

  it("returns enums by name, and lists", async () => {
    expect(await call("mood", "--loud")).toBe("LOUD")
    expect(await call("counts", "--up-to=3")).toBe("0\n1\n2")
  })

  it("keeps the state of objects through a chain of calls", async () => {
    expect(await call("greeting", "with-word", "--word=dear", "with-person", "--name=Ann", "text")).toBe(
      "hello dear Ann",
    )
    expect(
      await call("greeting", "with-person", "--name=Ann", "with-person", "--name=Bob", "everyone", "name"),
    ).toBe("Ann\nBob")
  })

  it("gives the constructor its arguments, one from the module's own files", async () => {
    expect(await call("owner")).toBe("nobody")
    expect(await call("--owner=Ann", "owner")).toBe("Ann")
    expect(await call("colours")).toBe("red\ngreen")
  })

  it("passes directories, files, containers and secrets", async () => {
    expect(await call("entries", "--directory=data")).toBe("colours.txt\nmenu.yaml")
    expect(await call("contents", "--file=data/colours.txt")).toBe("red\ngreen")
    expect(await call("with-mark", "--directory=data", "file", "--path=mark", "contents")).toBe("x")
    expect(await call("base", "--greeting=hi", "with-exec", "--args=sh,-c,echo $GREETING", "stdout")).toBe(
      "hi",
    )
    expect(await call("hostname", "--container=node:24-bookworm-slim")).toBe("")
    expect(await call("secret-length", "--secret=env:SECRET")).toBe("7")
  })

  it("passes services", async () => {
    const server = createServer((_, response) => response.end("served")).listen(0, "127.0.0.1")
    await new Promise((resolve) => server.once("listening", resolve))
    const { port } = server.address() as AddressInfo
    expect(await call("ask", `--service=tcp://127.0.0.1:${port}`).finally(() => server.close())).toBe(
      "served",
    )
  })
})

describe("the module's files", () => {
  it("are there to be read, and packages to be imported", async () => {
    expect(await call("menu")).toBe("soup, fish")
  })

  it("are what stack traces name", async () => {
    expect(await call("stack")).toMatch(/stackFromHere \(\/src\/src\/nested\/place\.ts:9:\d+\)/)
  })
})

describe("failures", () => {
  it("show the message of what was thrown", async () => {
    expect(await failure("call", "fail")).toContain("it went wrong on purpose")
  })

  it("show the output and exit code of the command that failed", async () => {
    const said = await failure("call", "fail-in-container")
    expect(said).toContain("some output")
    expect(said).toContain("some complaint")
    expect(said).toContain("exit code: 7")
  })

  it("show in checks", async () => {
    expect((await dagger("check", "sound")).code).toBe(0)
    expect(await failure("check", "broken")).toContain("this check fails on purpose")
  })
})

describe("edits", () => {
  it("are what is called next, and cached as well", async () => {
    const dice = await call("dice")
    expect(await call("dice")).toBe(dice)
    expect(await call("fresh-dice")).not.toBe(await call("fresh-dice"))
    const swap = (text: string) => text.replaceAll("rolled", "threw")
    expect(await edited("src/index.ts", swap, () => call("dice"))).toMatch(/^threw /)
    expect(await call("dice")).toBe(dice)
  })

  it("of a file that only another one imports count", async () => {
    const swap = (text: string) => text.replace('["hello"]', '["good day"]')
    expect(await edited("src/greeting.ts", swap, () => call("greeting", "text"))).toBe("good day")
  })

  it("that do not parse are named by file and line", async () => {
    const said = await edited(
      "src/greeting.ts",
      (text) => `${text}\nconst = 1\n`,
      () => failure("call", "owner"),
    )
    expect(said).toMatch(/src\/greeting\.ts:\d+:\d+/)
    expect(said).toContain('Expected identifier but found "="')
  })

  it("that import what is not there are named by file and line", async () => {
    const missing = (text: string) =>
      `import { pad } from "left-pad"\n${text}\nexport const padded = pad("x")\n`
    const said = await edited("src/greeting.ts", missing, () => failure("call", "owner"))
    expect(said).toMatch(/src\/greeting\.ts:1:\d+/)
    expect(said).toContain('"left-pad" is neither a file of the module nor an installed package')
  })

  it("that the scan cannot follow say which type it is about", async () => {
    const unknown = (text: string) => text.replace("fail(): string", "fail(): Unheard")
    expect(await edited("src/index.ts", unknown, () => failure("call", "owner"))).toContain(
      "could not resolve type",
    )
  })
})

it("refuses dependencies on other modules", async () => {
  const other = join(home, "other")
  await mkdir(other)
  await writeFile(
    join(other, "dagger.json"),
    '{ "name": "other", "engineVersion": "v0.21.0", "sdk": { "source": "dang" } }',
  )
  await writeFile(join(other, "main.dang"), 'type Other { pub hello: String! { "hello" } }')
  const depend = (text: string) =>
    text.replace("{", '{ "dependencies": [{ "name": "other", "source": "./other" }],')
  const said = await edited("dagger.json", depend, () => failure("call", "owner"))
  expect(said).toContain("dagger.json of fixture names dependencies")
})
