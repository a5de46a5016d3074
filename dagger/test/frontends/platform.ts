import type { AuditFiles, AuditRequest } from "../../src/frontends/audit.js"
import type { Bundle } from "../../src/frontends/bundle.js"
import type { Invalidations } from "../../src/frontends/invalidation.js"
import { InvalidationEdge, KeyValueEdge } from "../../src/frontends/edge.js"
import { type Layout, layoutOf } from "../../src/frontends/layout.js"
import { ObjectPointer } from "../../src/frontends/object-pointer.js"
import type { Pointer, PointerStore } from "../../src/frontends/pointer.js"
import type { Preview, PreviewStore } from "../../src/frontends/preview.js"
import { type Command, FakePlatform, image } from "../delivery/fake-platform.js"
import { auditFiles, build, MemoryBucket, recipesApi } from "./fixtures.js"

export const store = "arn:aws:cloudfront::123456789012:key-value-store/7c5a2a52-0c26-4d0f-a1b6-1d5f4a9cf001"

/** A key-value store in memory. */
export class MemoryPointers implements PointerStore {
  text?: string
  version = 1
  /** Takes values and does not hold them. */
  forgetful = false
  /** Does not answer writes: a command that writes now stays there, as one that was killed. */
  frozen = false
  /** Called before each write: somebody else may write first. */
  before: () => void = () => undefined

  read() {
    return Promise.resolve({
      version: String(this.version),
      ...(this.text !== undefined && { text: this.text }),
    })
  }

  write(text: string, version: string): Promise<boolean> {
    if (this.frozen) return new Promise(() => undefined)
    this.before()
    if (version !== String(this.version)) return Promise.resolve(false)
    this.version++
    if (!this.forgetful) this.text = text
    return Promise.resolve(true)
  }

  /** Values of previews by name. */
  readonly shown = new Map<string, string>()

  previews(): PreviewStore {
    const changed = (version: string, change: () => void): Promise<boolean> => {
      if (this.frozen) return new Promise(() => undefined)
      this.before()
      if (version !== String(this.version)) return Promise.resolve(false)
      this.version++
      if (!this.forgetful) change()
      return Promise.resolve(true)
    }
    return {
      readAll: () => Promise.resolve({ values: new Map(this.shown), version: String(this.version) }),
      write: (name, text, version) => changed(version, () => this.shown.set(name, text)),
      remove: (name, version) => changed(version, () => this.shown.delete(name)),
    }
  }

  get pointer(): Pointer | undefined {
    return this.text === undefined ? undefined : (JSON.parse(this.text) as Pointer)
  }
}

/** The release that an audit asks for. */
export const releaseIn = ({ headers }: AuditRequest): string =>
  (headers["x-preview-release"] ?? "").split(".")[0] ?? ""

/** The objects of a backend `api` that was deployed with the image a. */
const liveApi = await (async () => {
  const platform = new FakePlatform()
  await platform.deploy("a")
  return ["Deployment", "HTTPRoute"].flatMap((kind) => platform.cluster.all(kind))
})()

/** A platform with a backend that is live, and the web app `web`, whose bucket and edge are in memory. */
export class WebPlatform extends FakePlatform {
  readonly bucket = new MemoryBucket(() => this.cluster.now())
  readonly pointers = new MemoryPointers()
  readonly invalidated: string[][] = []
  /** What an invalidation says. */
  warning?: string
  /** Builds by the letter of their image. */
  readonly builds = new Map<string, Bundle | Promise<Bundle>>()
  /** Descriptions of what images of backends serve, by the letter of the image; an error, where it cannot be read. */
  readonly apis = new Map<string, string | Error>()
  /** Audits that were asked for. */
  readonly audits: AuditRequest[] = []
  /** What an audit finds. */
  audited: (request: AuditRequest) => Promise<AuditFiles> = (request) =>
    Promise.resolve(auditFiles({ ...request, release: releaseIn(request) }))
  /** Answers of the edge for releases that are wrong there, by letter of the image. */
  readonly broken = new Map<string, number>()
  /** The edge goes on with what it served. */
  stale = false
  readonly layout: Layout = layoutOf({ prefix: "staging", app: "web" })
  private served?: { release: string; config: string }

  constructor(more = "", edge = `{ kind: key-value-store, store: "${store}" }`) {
    super()
    for (const one of liveApi) this.cluster.put(structuredClone(one))
    this.configure(more, edge)
    // Files are read in real time, in which the clock of the test has nothing to wait for.
    void this.tick()
    this.frontends = {
      bundle: async (reference) => {
        const letter = reference.at(-1) ?? ""
        const made = this.builds.get(letter) ?? build(letter)
        this.builds.set(letter, made)
        return made
      },
      contract: (reference) => {
        const found = this.apis.get(reference.at(-1) ?? "") ?? recipesApi
        return typeof found === "string" ? Promise.resolve(found) : Promise.reject(found)
      },
      audit: (request) => {
        this.audits.push(request)
        return this.audited(request)
      },
      stores: (settings, layout) => {
        const parts = { bucket: this.bucket, layout, clock: this.clock }
        const invalidations: Invalidations = {
          invalidate: (paths) => {
            this.invalidated.push(paths)
            return Promise.resolve(this.warning)
          },
        }
        return {
          bucket: this.bucket,
          edge:
            settings.edge.kind === "invalidate"
              ? new InvalidationEdge({
                  ...parts,
                  invalidations,
                  pointers: new ObjectPointer(this.bucket, layout),
                })
              : new KeyValueEdge({ ...parts, pointers: this.pointers }),
          ...(settings.preview && { previews: this.pointers.previews() }),
        }
      },
      fetch: (url, { headers }) => this.answered(new URL(url).pathname, headers),
    }
  }

  /** Lays other settings of the app over those before. */
  configure(more: string, edge = `{ kind: key-value-store, store: "${store}" }`): void {
    this.commit(`
environments:
  staging:
    frontends:
      web:
        hostnames: [app.example.com]
        bucket: apps
        prefix: staging
        region: eu-central-1
        edge: ${edge}
${more
  .split("\n")
  .map((line) => `        ${line}`)
  .join("\n")}
`)
  }

  private async tick(): Promise<void> {
    for (;;) await this.clock.pause(100)
  }

  web(options: Parameters<FakePlatform["command"]>[0] = {}): Command {
    return this.command({ only: ["web"], ...options })
  }

  deployWeb(letter: string, command = this.web()): Promise<string> {
    return this.deploy(
      { schemaVersion: 1, commit: letter.repeat(40), images: { web: { reference: image(letter, "web") } } },
      { only: ["web"] },
      command,
    )
  }

  get state(): {
    live?: number
    running?: object
    revisions: { number: number; release: string; config: string }[]
  } {
    const text = this.cluster.get("ConfigMap", "frontend-web")?.data?.state ?? `{"revisions":[]}`
    return JSON.parse(text) as WebPlatform["state"]
  }

  /** The letter of the image whose files visitors get. */
  async live(): Promise<string> {
    return (await (await this.answered("/", {})).text()).includes("<p>")
      ? this.letterOf(this.now()?.live.release)
      : "?"
  }

  private now(): Pointer | undefined {
    const object = this.bucket.objects.get(this.layout.pointer)
    return object ? (JSON.parse(Buffer.from(object.body).toString()) as Pointer) : this.pointers.pointer
  }

  private letterOf(release: string | undefined): string {
    const page = this.bucket.objects.get(`${this.layout.release(release ?? "")}index.html`)
    const script = /assets\/index-[\w-]+\.js/.exec(Buffer.from(page?.body ?? []).toString())?.[0] ?? ""
    return (
      /"(\w)/.exec(
        Buffer.from(this.bucket.objects.get(`${this.layout.root}${script}`)?.body ?? []).toString(),
      )?.[1] ?? "?"
    )
  }

  private async answered(path: string, headers: Record<string, string>): Promise<Response> {
    await Promise.resolve()
    const name = headers["x-preview-release"]
    if (name !== undefined) return this.fileOf(path, this.preview(name))
    const pointer = this.now()
    if (!pointer) return new Response("", { status: 503 })
    const variant = headers.cookie === "pitwall-web=0" ? (pointer.canary ?? pointer.live) : pointer.live
    if (!this.stale) this.served = variant
    return this.fileOf(path, this.served ?? variant)
  }

  /** The preview of a name, as the edge finds it. */
  preview(name: string): Preview | undefined {
    const text = this.pointers.shown.get(name)
    const found = text === undefined ? undefined : (JSON.parse(text) as Preview)
    return found && this.cluster.now() < found.until ? found : undefined
  }

  private fileOf(path: string, variant: { release: string; config: string } | undefined): Response {
    if (!variant) return new Response("", { status: 404 })
    const { release, config } = variant
    const key = path.startsWith("/assets/")
      ? `${this.layout.root}${path.slice(1)}`
      : path === "/config.json"
        ? this.layout.config(config)
        : `${this.layout.release(release)}index.html`
    const held = this.bucket.objects.get(key)
    const status = this.broken.get(this.letterOf(release)) ?? (held ? 200 : 404)
    return new Response(Buffer.from(held?.body ?? []), { status, headers: { "x-release": release } })
  }
}
