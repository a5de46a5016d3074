import { createHash, generateKeyPairSync, type KeyObject } from "node:crypto"
import type { Directory } from "@dagger.io/dagger"
import { describe, expect, it } from "vitest"
import type { EnginePasses } from "../../src/ci/passes/engine-passes.js"
import { completedBy, type Pass, type PassWithArtifacts } from "../../src/ci/passes/pass.js"
import { ResultsCache } from "../../src/ci/passes/results-cache.js"
import type { Gate } from "../../src/ci/runner/gate.js"
import type { Outcome } from "../../src/ci/runner/verdict.js"
import { isWithin } from "../../src/platform/catalog.js"
import { catalogWith } from "./catalog.js"
import type { Platform } from "../../src/platform/platform.js"

const catalog = catalogWith(["api: { kind: python }", "web: { kind: react }"], {
  api: { dockerfile: "COPY api/src /app/" },
  web: { dockerfile: "COPY web/ web/" },
})

/** A folder of files that can be filtered and digested. */
function folder(files: Record<string, string>): Directory {
  const within = (path: string, patterns: string[]) =>
    patterns.some((pattern) => isWithin(path, pattern.replace(/\/\*\*$/, "")))
  const directory = {
    filter: ({ include = ["**"], exclude = [] }: { include?: string[]; exclude?: string[] }) =>
      folder(
        Object.fromEntries(
          Object.entries(files).filter(([path]) => within(path, include) && !within(path, exclude)),
        ),
      ),
    digest: () => Promise.resolve(createHash("sha256").update(JSON.stringify(files)).digest("hex")),
    glob: () => Promise.resolve(Object.keys(files)),
    file: (path: string) => ({ contents: () => Promise.resolve(files[path]) }),
  }
  return directory as unknown as Directory
}

/** What an engine keeps, without an engine. */
class Memory implements Pick<EnginePasses, "read" | "artifacts" | "write"> {
  readonly kept: PassWithArtifacts[] = []
  read = () => Promise.resolve(new Map(this.kept.map(({ pass }) => [pass.key, pass])))
  artifacts = (passes: Pass[]) =>
    Promise.resolve(
      new Map(
        this.kept
          .filter(({ pass }) => passes.some(({ key }) => key === pass.key))
          .map(({ pass, artifacts }) => [pass.key, artifacts]),
      ),
    )
  write = (passes: PassWithArtifacts[]) => {
    this.kept.push(...passes)
    return Promise.resolve()
  }
}

const files = {
  "dagger/src/index.ts": "1",
  "services/api/app.py": "1",
  "services/web/main.ts": "1",
  "README.md": "1",
}
const gate = (name: string, more: Partial<Gate> = {}): Gate => ({
  name,
  subject: "",
  prepare: () => Promise.resolve(),
  execute: () => Promise.resolve({}),
  ...more,
})
const gates = ["api:test", "web:test", "module:unit", "security:sast"].map((name) => gate(name))
const ended = (name: string, outcome: Outcome = "passed") => {
  const pass = { schemaVersion: 1, key: "", gate: name, subject: "", detail: "", seconds: 2, at: "" } as const
  const { verdict, startedAt } = completedBy(pass, new Date(0))
  return { gate: { verdict: { ...verdict, outcome, cached: false }, startedAt }, artifacts: { junit: name } }
}

interface Machine {
  engine?: Memory
  passes?: Record<string, string>
  trusted?: KeyObject[]
  manifests?: string
  identity?: string
}

function cacheOn(source: Record<string, string>, machine: Machine = {}) {
  const { engine = new Memory(), passes, trusted = [], manifests = "", identity = "v1 linux/amd64" } = machine
  return new ResultsCache(
    {
      source: folder(source),
      platform: { catalog } as unknown as Platform,
      manifests: () => Promise.resolve({ "staging.yaml": manifests }),
    },
    { ...(passes && { folder: folder(passes) }), trusted: () => Promise.resolve(trusted) },
    engine,
    () => Promise.resolve(identity),
  )
}

/** The gates that a machine need not run. */
const foundOf = async (cache: ResultsCache, wanted = gates) => {
  await cache.prepare(wanted)
  const found = await Promise.all(wanted.map(async (one) => ((await cache.find(one)) ? [one.name] : [])))
  return found.flat()
}

/** A machine on which all gates passed. */
async function after(source: Record<string, string>, machine: Machine = {}, wanted = gates) {
  const engine = new Memory()
  const cache = cacheOn(source, { ...machine, engine })
  expect(await foundOf(cache, wanted)).toEqual([])
  await cache.keep(wanted.map(({ name }) => ended(name)))
  return { engine, cache }
}

describe("the results cache", () => {
  it.each<[string, Record<string, string>, string[]]>([
    ["nothing", {}, ["api:test", "web:test", "module:unit", "security:sast"]],
    ["a service", { "services/api/app.py": "2" }, ["web:test", "module:unit"]],
    ["a document", { "README.md": "2" }, ["api:test", "web:test"]],
    ["the pipeline", { "dagger/src/index.ts": "2" }, []],
    ["a new file of a service", { "services/web/new.ts": "1" }, ["api:test", "module:unit"]],
  ])("after a change of %s, spares every other gate", async (_, change, spared) => {
    const { engine } = await after(files)
    expect(await foundOf(cacheOn({ ...files, ...change }, { engine }))).toEqual(spared)
  })

  it.each<[string, Machine, string[]]>([
    ["other manifests", { manifests: "replicas: 2" }, ["api:test", "web:test", "security:sast"]],
    ["another engine", { identity: "v2 linux/amd64" }, []],
  ])("knows nothing of gates that depend on %s", async (_, machine, spared) => {
    const { engine } = await after(files)
    expect(await foundOf(cacheOn(files, { ...machine, engine }))).toEqual(spared)
  })

  it("asks a gate what else its result depends on", async () => {
    const on = (value: string[] | undefined) => [
      gate("api:scan", { dependsOn: () => Promise.resolve(value) }),
    ]
    const { engine } = await after(files, {}, on(["database of monday"]))
    const found = (value: string[] | undefined) => foundOf(cacheOn(files, { engine }), on(value))
    expect(await found(["database of monday"])).toEqual(["api:scan"])
    expect(await found(["database of tuesday"])).toEqual([])
    expect(await found(undefined)).toEqual([])
  })

  it("lets a gate run whose inputs cannot be read, and remembers nothing of it", async () => {
    const broken = gate("api:scan", {
      dependsOn: () => Promise.reject(new Error("security.yaml:3: no such key")),
    })
    const { engine } = await after(files, {}, [broken])
    expect(engine.kept).toEqual([])
  })

  it.each<Outcome>(["failed", "could not run", "skipped"])("never keeps a gate that %s", async (outcome) => {
    const engine = new Memory()
    const cache = cacheOn(files, { engine })
    await foundOf(cache)
    await cache.keep([ended("api:test", outcome), ended("web:test")])
    expect(engine.kept.map(({ pass }) => pass.gate)).toEqual(["web:test"])
  })

  it("keeps each pass once, and gives its reports back", async () => {
    const { engine } = await after(files)
    const again = cacheOn(files, { engine })
    const found = await foundOf(again)
    expect([...(await again.artifacts())]).toEqual(found.map((name) => [name, { junit: name }]))
    await again.keep(found.map((name) => ended(name)))
    expect(engine.kept).toHaveLength(gates.length)
  })

  it("does not show a gate without the reports that belong to it", async () => {
    const { engine } = await after(files)
    const again = cacheOn(files, { engine })
    await foundOf(again)
    engine.kept.length = 0
    await expect(again.artifacts()).rejects.toThrow("the reports of api:test have just been removed")
  })

  it("does not fail a run whose passes cannot be kept", async () => {
    const engine = new Memory()
    engine.write = () => Promise.reject(new Error("no space left on device"))
    const cache = cacheOn(files, { engine })
    await foundOf(cache)
    await expect(cache.keep([ended("api:test")])).resolves.toBeUndefined()
  })
})

describe("passes of another machine", () => {
  const main = generateKeyPairSync("ed25519")
  const other = generateKeyPairSync("ed25519")
  const signedBy = async (key: KeyObject) => {
    const { cache } = await after(files)
    const signed = cache.signed(
      gates.map(({ name }) => ended(name)),
      key,
    )
    return Object.fromEntries(
      Object.entries(signed).map(([path, text]) => [path.replace("passes/", ""), text]),
    )
  }

  it("count when a trusted key has signed them, for equal inputs only", async () => {
    const passes = await signedBy(main.privateKey)
    const machine = { passes, trusted: [main.publicKey] }
    expect(await foundOf(cacheOn(files, machine))).toEqual(gates.map(({ name }) => name))
    const changed = { ...files, "services/api/app.py": "2" }
    expect(await foundOf(cacheOn(changed, machine))).toEqual(["web:test", "module:unit"])
  })

  it("come with their reports", async () => {
    const engine = new Memory()
    const cache = cacheOn(files, {
      engine,
      passes: await signedBy(main.privateKey),
      trusted: [main.publicKey],
    })
    await foundOf(cache, gates.slice(0, 1))
    expect([...(await cache.artifacts())]).toEqual([["api:test", { junit: "api:test" }]])
  })

  it.each<[string, KeyObject[]]>([
    ["another key", [other.publicKey]],
    ["no key", []],
  ])("do not count where %s is trusted", async (_, trusted) => {
    expect(await foundOf(cacheOn(files, { passes: await signedBy(main.privateKey), trusted }))).toEqual([])
  })

  it("do not count under the name of another gate", async () => {
    const passes = await signedBy(main.privateKey)
    const [api, web] = ["api.test", "web.test"].map((gate) =>
      Object.keys(passes).find((file) => file.startsWith(gate)),
    )
    if (api === undefined || web === undefined) throw new Error("no passes")
    const swapped = { [api]: passes[web] ?? "" }
    expect(await foundOf(cacheOn(files, { passes: swapped, trusted: [main.publicKey] }))).toEqual([])
  })

  it("tell how long gates took, whatever their inputs were", async () => {
    const passes = await signedBy(main.privateKey)
    const cache = cacheOn({ ...files, "dagger/src/index.ts": "2" }, { passes, trusted: [main.publicKey] })
    expect([...(await cache.durations())].sort()).toEqual(gates.map(({ name }) => [name, 2]).sort())
  })
})
