import { spawn } from "node:child_process"
import { once } from "node:events"
import { appendFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import ts from "typescript"
import type { Event } from "../../src/notify/event.js"
import { FileSink } from "../../src/notify/file.js"
import { event } from "./event.js"

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "events-"))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

const events = (text: string) =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Event)
/** A program of its own that uses the sink. */
async function program(code: string): Promise<string> {
  const source = await readFile(new URL("../../src/notify/file.ts", import.meta.url), "utf8")
  const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 }
  await writeFile(join(folder, "file.mjs"), ts.transpile(source, options))
  const path = join(folder, "writer.mjs")
  await writeFile(path, `import { FileSink } from "./file.mjs"\n${code}`)
  return path
}

async function run(command: string, args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += String(data)))
  const [code] = (await once(child, "close")) as [number | null]
  return { code, output }
}

const messages = async (path: string) => events(await readFile(path, "utf8")).map(({ message }) => message)

describe("FileSink", () => {
  it("writes one line an event, whatever is in it", async () => {
    const path = join(folder, "deep", "events.jsonl")
    const sink = new FileSink(path)
    const odd = { ...event('two\nlines, "quotes" \u2028 é 🏎'), resolves: true }
    await sink.send(event("first"))
    await sink.send(odd)
    const text = await readFile(path, "utf8")
    expect(text.split("\n")).toHaveLength(3)
    expect(text.endsWith("}\n")).toBe(true)
    expect(events(text)).toEqual([event("first"), odd])
  })

  it("goes on after what was there", async () => {
    const path = join(folder, "events.jsonl")
    await new FileSink(path).send(event("first"))
    const before = await readFile(path, "utf8")
    await new FileSink(path).send(event("second"))
    const after = await readFile(path, "utf8")
    expect(after.startsWith(before)).toBe(true)
    expect(events(after).map(({ message }) => message)).toEqual(["first", "second"])
  })

  it("keeps its own line whole after one that was half written", async () => {
    const path = join(folder, "events.jsonl")
    await new FileSink(path).send(event("first"))
    await appendFile(path, '{"at":"2026-')
    await new FileSink(path).send(event("second"))
    await new FileSink(path).send(event("third"))
    const lines = (await readFile(path, "utf8")).split("\n")
    expect(lines).toHaveLength(5)
    expect(lines[1]).toBe('{"at":"2026-')
    expect(lines.slice(2, 4).map((line) => (JSON.parse(line) as Event).message)).toEqual(["second", "third"])
  })

  it("loses and mixes nothing of two that write at once", async () => {
    const path = join(folder, "events.jsonl")
    const long = "x".repeat(20_000)
    const [one, two] = [new FileSink(path), new FileSink(path)]
    const sent = Array.from({ length: 60 }, (_, at) => `${at} ${long}`)
    await Promise.all(sent.map((message, at) => (at % 2 === 0 ? one : two).send(event(message))))
    expect((await messages(path)).sort()).toEqual(sent.sort())
  })

  it("loses and mixes nothing of two processes", async () => {
    const path = join(folder, "events.jsonl")
    const writer = await program(`const [, , path, name] = process.argv
const sink = new FileSink(path)
for (let at = 0; at < 150; at++) await sink.send({ message: name + at + "x".repeat(9000) })`)
    const ends = await Promise.all(["a", "b"].map((name) => run(process.execPath, [writer, path, name])))
    expect(ends).toEqual([
      { code: 0, output: "" },
      { code: 0, output: "" },
    ])
    const found = (await messages(path)).map((message) => message.replace(/x+$/, ""))
    const of = (name: string) => Array.from({ length: 150 }, (_, at) => `${name}${at}`)
    expect(found.filter((name) => name.startsWith("a"))).toEqual(of("a"))
    expect(found.filter((name) => name.startsWith("b"))).toEqual(of("b"))
    expect(found).toHaveLength(300)
  })

  it("fails when there is room for half a line, and goes on when there is more", async () => {
    const path = join(folder, "events.jsonl")
    await new FileSink(path).send(event("first"))
    const { size } = await stat(path)
    const writer = await program(`await new FileSink(process.argv[2]).send({ message: "x".repeat(3000) })`)
    const limited = `ulimit -f 1 && exec "$0" "$@"`
    const { code, output } = await run("bash", ["-c", limited, process.execPath, writer, path])
    expect(code).toBe(1)
    expect(output).toContain(`only ${1024 - size} of 3015 bytes could be written`)
    await new FileSink(path).send(event("second"))
    const lines = (await readFile(path, "utf8")).split("\n")
    expect(lines).toHaveLength(4)
    expect([lines[0], lines[2]].map((line) => (JSON.parse(line ?? "") as Event).message)).toEqual([
      "first",
      "second",
    ])
  })

  it("fails on a disk that is full", async () => {
    await expect(new FileSink("/dev/full").send(event("lost"))).rejects.toThrow(/ENOSPC/)
  })

  it("fails where there can be no file, and says where", async () => {
    const path = join(folder, "taken")
    await mkdir(path)
    await expect(new FileSink(path).send(event("lost"))).rejects.toThrow(new RegExp(`EISDIR.*${path}`))
    const file = join(folder, "file")
    await writeFile(file, "")
    await expect(new FileSink(join(file, "events")).send(event("lost"))).rejects.toThrow(/EEXIST|ENOTDIR/)
  })
})
