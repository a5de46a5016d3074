import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { createHash } from "node:crypto"
import { brotliCompressSync, gzipSync } from "node:zlib"
import type { Bucket, WriteCondition, ListedObject, ObjectHead } from "../../src/frontends/bucket.js"
import { sha256Of, type Bundle } from "../../src/frontends/bundle.js"
import type { AuditFiles } from "../../src/frontends/audit.js"
import type { NeededContract } from "../../src/frontends/contract.js"
import type { StoredObject } from "../../src/frontends/layout.js"

/** The description of an API with operations, by path. */
export const apiOf = (...paths: string[]): string =>
  JSON.stringify({
    openapi: "3.1.0",
    info: { title: "Recipes", version: "1" },
    paths: Object.fromEntries(paths.map((path) => [path, { get: { responses: { "200": {} } } }])),
  })
/** The API that builds call unless told. */
export const recipesApi = apiOf("/api/recipes")

export const contractOf = (text: string, backend = "api"): NeededContract => ({
  backend,
  sha256: sha256Of(Buffer.from(text)),
  text,
})

const goodRun = {
  ...{ performance: 0.97, accessibility: 1, "best-practices": 1 },
  ...{ lcp: 1_200, cls: 0, tbt: 40, bytes: 120_000 },
}
/** A run of Lighthouse. */
export type AuditRun = typeof goodRun
export interface AuditViolation {
  id: string
  impact: "minor" | "moderate" | "serious" | "critical"
  help: string
  places: string[]
}

/**
 * What an audit of good pages writes.
 *
 * @param change of single runs, and what axe finds
 */
export function auditFiles(
  { paths, runs, release }: { paths: string[]; runs: number; release: string },
  {
    run = () => ({}),
    violations = [],
  }: { run?: (at: number, device: string) => Partial<AuditRun>; violations?: AuditViolation[] } = {},
): AuditFiles {
  const pages = paths.flatMap((path, at) =>
    ["mobile", "desktop"].map((device) => ({
      ...{ path, device, release, violations, screenshot: `${at + 1}-${device}.png` },
      runs: Array.from({ length: runs }, (_, number) => ({ ...goodRun, ...run(number, device) })),
    })),
  )
  const screenshots = pages.map(({ screenshot }): [string, Uint8Array] => [screenshot, Buffer.from("png")])
  return { result: JSON.stringify({ pages }), screenshots: new Map(screenshots) }
}

const folders: string[] = []

/** Removes the builds of a test. */
export async function removeBuilds(): Promise<void> {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })))
}

const hashOf = (text: string) => createHash("sha256").update(text).digest("base64url").slice(0, 8)

/** The name of the script of a version, as Vite makes it. */
export const scriptOf = (version: string) => `assets/index-${hashOf(scriptText(version))}.js`
const scriptText = (version: string) => `console.log(${JSON.stringify(version.repeat(300))})\n`
export const styleText = "body { color: black }\n".repeat(50)
export const styleName = `assets/index-${hashOf(styleText)}.css`

/**
 * A build of a web app: a page, a script and a style, with compressed copies, and small files without.
 *
 * @param change files to add or replace, or to leave out
 */
export async function build(
  version: string,
  change: Record<string, string | Uint8Array | undefined> = {},
  app = "web",
): Promise<Bundle> {
  const folder = await mkdtemp(join(tmpdir(), "build-"))
  folders.push(folder)
  const page = `<!doctype html><script src="/${scriptOf(version)}"></script>\n${"<p>Pesto</p>".repeat(60)}`
  const large = { "index.html": page, [scriptOf(version)]: scriptText(version), [styleName]: styleText }
  const files: Record<string, string | Uint8Array | undefined> = {
    ...large,
    ...Object.fromEntries(
      Object.entries(large).flatMap(([path, text]) => [
        [`${path}.br`, brotliCompressSync(text)],
        [`${path}.gz`, gzipSync(text)],
      ]),
    ),
    "robots.txt": "User-agent: *\n",
    "icon.svg": "<svg/>",
    "icon-192.png": Buffer.from([137, 80, 78, 71]),
    ...change,
  }
  for (const [path, contents] of Object.entries(files)) {
    if (contents === undefined) continue
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), contents)
  }
  return { app, version, flags: ["newSearch"], contract: contractOf(recipesApi), folder }
}

interface Held {
  object: StoredObject
  body: Uint8Array
  etag: string
  at: number
}

/** A bucket in memory, for tests of decisions. The tests of the client ask a real server. */
export class MemoryBucket implements Bucket {
  readonly objects = new Map<string, Held>()
  /** Writes that have succeeded. */
  readonly written: string[] = []
  /** Whether it honours the conditions of writes. */
  conditional = true
  /** Called before each write with its key; may throw, as a store does that is down or a command that is killed. */
  before: (key: string) => void = () => undefined
  private count = 0
  private bytes = 0

  constructor(private readonly now: () => number = () => 0) {}

  sent() {
    return { requests: this.count, bytes: this.bytes }
  }

  list(prefix: string): Promise<ListedObject[]> {
    this.count++
    return Promise.resolve(
      [...this.objects.values()]
        .filter(({ object }) => object.key.startsWith(prefix))
        .map(({ object, body, at }) => ({ key: object.key, size: body.length, at })),
    )
  }

  head(key: string): Promise<ObjectHead | undefined> {
    this.count++
    const held = this.objects.get(key)
    if (!held) return Promise.resolve(undefined)
    const { type, cache, encoding, sha256, plain, release } = held.object
    return Promise.resolve({
      size: held.body.length,
      type,
      cache,
      encoding,
      sha256,
      plain,
      release,
      checksum: sha256Of(held.body),
    })
  }

  text(key: string): Promise<{ text: string; version: string } | undefined> {
    this.count++
    const held = this.objects.get(key)
    return Promise.resolve(held && { text: Buffer.from(held.body).toString(), version: held.etag })
  }

  contents(key: string): Promise<Uint8Array | undefined> {
    this.count++
    return Promise.resolve(this.objects.get(key)?.body)
  }

  put(object: StoredObject, body: Uint8Array, condition?: WriteCondition): Promise<boolean> {
    this.count++
    const live = this.objects.get(object.key)
    const holds = !condition || ("absent" in condition ? !live : live?.etag === condition.version)
    if (this.conditional && !holds) return Promise.resolve(false)
    return this.store(object, body)
  }

  copy(from: string, object: StoredObject): Promise<void> {
    const held = this.objects.get(from)
    if (!held) return Promise.reject(new Error(`${from} is missing`))
    return this.store(object, held.body).then(() => undefined)
  }

  delete(keys: string[]): Promise<void> {
    for (const key of keys) this.objects.delete(key)
    return Promise.resolve()
  }

  private async store(object: StoredObject, body: Uint8Array): Promise<boolean> {
    await Promise.resolve()
    this.before(object.key)
    this.bytes += body.length
    this.objects.set(object.key, { object, body, etag: `"${this.count}-${sha256Of(body)}"`, at: this.now() })
    this.written.push(object.key)
    return true
  }
}
