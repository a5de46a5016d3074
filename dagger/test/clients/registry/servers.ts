// Registries for tests: one in memory, which can be made to fail, and real ones where this machine has them.
import { createHash, randomUUID } from "node:crypto"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { Registry } from "../../../src/clients/registry/registry.js"
import { mediaTypes } from "../../../src/clients/registry/repository.js"
import type { Pause } from "../../../src/lib/retry.js"

/** A registry on a port of this machine. */
export interface TestRegistry {
  /** Host and port. */
  address: string
  stop: () => Promise<void> | void
}

/** What a request meets instead of an answer. */
export interface Fault {
  status?: number
  headers?: Record<string, string>
  body?: string
  /** The connection breaks. */
  drop?: boolean
}

export const digestOf = (bytes: string | Buffer): string =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`

/** A registry in memory. It keeps to the OCI distribution specification as far as the client under test uses it; the same tests run on real ones. */
export class MemoryRegistry implements TestRegistry {
  /** By repository and digest or tag. */
  readonly manifests = new Map<string, { bytes: Buffer; type: string }>()
  readonly blobs = new Map<string, Buffer>()
  /** Of uploads in parts, what has been sent so far. */
  private readonly uploads = new Map<string, Buffer>()
  /** Every request, as `GET /v2/…`. */
  readonly requests: string[] = []
  /** Called for each request. */
  fault: (request: string, message: IncomingMessage) => Fault | undefined = () => undefined
  /** How the list of referrers names the type of an entry; as written, by default. */
  typeOf: (artifactType: string | undefined) => string | undefined = (type) => type
  /** An account that is needed, by tokens. */
  account?: { user: string; password: string }
  /** Answers are for tokens with this number, which can be raised to make others expire. */
  generation = 0

  private constructor(
    private readonly server: Server,
    readonly referrers: boolean,
  ) {}

  static async start({ referrers = true } = {}): Promise<MemoryRegistry> {
    const server = createServer()
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
    const registry = new MemoryRegistry(server, referrers)
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        registry.answer(request, Buffer.concat(chunks), response)
      })
    })
    return registry
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  stop(): void {
    this.server.closeAllConnections()
    this.server.close()
  }

  private answer(request: IncomingMessage, body: Buffer, response: ServerResponse): void {
    const { method = "GET", url = "/" } = request
    this.requests.push(`${method} ${url}`)
    const send = (status: number, headers: Record<string, string> = {}, content: Buffer | string = "") => {
      response.writeHead(status, headers)
      response.end(method === "HEAD" ? undefined : content)
    }
    const fault = this.fault(`${method} ${url}`, request)
    if (fault?.drop) {
      request.socket.destroy()
      return
    }
    if (fault?.status !== undefined) {
      send(fault.status, fault.headers, fault.body)
      return
    }
    const { pathname, searchParams } = new URL(url, `http://${this.address}`)
    if (this.account && pathname === "/token") {
      const { user, password } = this.account
      const basic = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`
      if (request.headers.authorization === basic)
        send(200, {}, JSON.stringify({ token: `${this.generation} ${searchParams.get("scope") ?? ""}` }))
      else send(401)
      return
    }
    const [, name = "", kind = "", reference = ""] =
      /^\/v2\/(.+)\/(manifests|blobs|referrers|tags)\/(.*)$/.exec(pathname) ?? []
    if (this.account) {
      const scope = `repository:${name}:${["GET", "HEAD"].includes(method) ? "pull" : "pull,push"}`
      const given = request.headers.authorization ?? ""
      if (!given.startsWith(`Bearer ${this.generation} ${scope}`)) {
        const challenge = `Bearer realm="http://${this.address}/token",service="test",scope="${scope}"`
        send(401, { "www-authenticate": challenge })
        return
      }
    }
    const key = `${name}/${reference}`
    if (kind === "manifests" && method === "PUT") {
      const manifest = { bytes: body, type: request.headers["content-type"] ?? "" }
      this.manifests.set(`${name}/${digestOf(body)}`, manifest)
      this.manifests.set(key, manifest)
      const { subject } = JSON.parse(body.toString()) as { subject?: { digest: string } }
      send(201, this.referrers && subject ? { "oci-subject": subject.digest } : {})
    } else if (kind === "manifests" && method === "DELETE") {
      const there = this.manifests.delete(key)
      // What a tag leads to is gone with it, as in most registries.
      for (const [other, { bytes }] of this.manifests)
        if (other.startsWith(`${name}/`) && digestOf(bytes) === reference) this.manifests.delete(other)
      send(there ? 202 : 404)
    } else if (kind === "tags") {
      // Pages of two.
      const own = [...this.manifests.keys()].filter((one) => one.startsWith(`${name}/`))
      const all = own.map((one) => one.slice(name.length + 1)).filter((one) => !one.startsWith("sha256:"))
      const from = Number(searchParams.get("from") ?? 0)
      const next = from + 2 < all.length && { link: `</v2/${name}/tags/list?from=${from + 2}>; rel="next"` }
      send(200, { ...next }, JSON.stringify({ name, tags: all.slice(from, from + 2) }))
    } else if (kind === "manifests") {
      const found = this.manifests.get(key)
      if (found) {
        const { bytes, type } = found
        const length = String(bytes.length)
        send(
          200,
          { "content-type": type, "content-length": length, "docker-content-digest": digestOf(bytes) },
          bytes,
        )
      } else send(404)
    } else if (kind === "blobs" && method === "POST") {
      send(202, { location: `/v2/${name}/blobs/uploads/${randomUUID()}?state=1` })
    } else if (kind === "blobs" && method === "PATCH") {
      const sent = Buffer.concat([this.uploads.get(key) ?? Buffer.of(), body])
      this.uploads.set(key, sent)
      send(202, { location: `${pathname}?state=2`, range: `0-${sent.length - 1}` })
    } else if (kind === "blobs" && method === "PUT") {
      const digest = searchParams.get("digest") ?? ""
      const whole = Buffer.concat([this.uploads.get(key) ?? Buffer.of(), body])
      this.uploads.delete(key)
      if (digestOf(whole) === digest) this.blobs.set(`${name}/${digest}`, whole)
      send(this.blobs.has(`${name}/${digest}`) ? 201 : 400)
    } else if (kind === "blobs") {
      const found = this.blobs.get(key)
      if (found) send(200, {}, found)
      else send(404)
    } else if (kind === "referrers" && this.referrers) {
      send(200, { "content-type": mediaTypes.index }, JSON.stringify(this.listOf(name, reference)))
    } else send(pathname === "/v2/" ? 200 : 404)
  }

  private listOf(name: string, subject: string): object {
    const manifests = [...this.manifests].flatMap(([key, { bytes }]) => {
      if (!key.startsWith(`${name}/sha256:`)) return []
      const found = JSON.parse(bytes.toString()) as {
        mediaType: string
        artifactType?: string
        subject?: { digest: string }
        annotations?: object
      }
      if (found.subject?.digest !== subject) return []
      const { mediaType, artifactType, annotations } = found
      const digest = key.slice(name.length + 1)
      return [{ mediaType, digest, size: bytes.length, artifactType: this.typeOf(artifactType), annotations }]
    })
    return { schemaVersion: 2, mediaType: mediaTypes.index, manifests }
  }
}

const folder = mkdtempSync(join(tmpdir(), "registries-"))
process.on("exit", () => {
  rmSync(folder, { recursive: true, force: true })
})

/** Starts a program that prints its address once it listens. */
async function started(command: string, args: string[]): Promise<TestRegistry> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "ignore"] })
  const [address] = await Promise.race([
    new Promise<string[]>((resolve) => {
      createInterface(child.stdout).once("line", (line) => {
        resolve([line])
      })
    }),
    new Promise<never>((_, reject) => {
      child.once("error", reject)
      child.once("exit", (code) => {
        reject(new Error(`${command} ended with ${code ?? "a signal"}`))
      })
    }),
  ])
  return { address: address ?? "", stop: stopping(child) }
}

const stopping = (child: ChildProcess) => () => {
  child.kill("SIGKILL")
}

const hasGo = spawnSync("go", ["version"]).error === undefined
let built: string | undefined

/** The registry of go-containerregistry, which `crane` and its tests use. */
function goRegistry(referrers: boolean): Promise<TestRegistry> {
  if (built === undefined) {
    built = join(folder, "registry")
    const source = fileURLToPath(new URL("server", import.meta.url))
    const made = spawnSync("go", ["build", "-o", built, "."], { cwd: source, encoding: "utf8" })
    if (made.status !== 0) throw new Error(made.stderr)
  }
  return started(built, referrers ? ["-referrers"] : [])
}

const hasDistribution = spawnSync("docker-registry", ["--version"]).error === undefined

/** The registry of Docker, as Debian has it. */
async function distribution(): Promise<TestRegistry> {
  const server = createServer()
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  const { port } = server.address() as AddressInfo
  await new Promise((closed) => server.close(closed))
  const address = `127.0.0.1:${port}`
  const file = join(folder, `distribution-${port}.yml`)
  const storage = join(folder, `distribution-${port}`)
  const configuration = {
    version: 0.1,
    log: { level: "error" },
    storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
    http: { addr: address },
  }
  writeFileSync(file, JSON.stringify(configuration))
  const child = spawn("docker-registry", ["serve", file], { stdio: "ignore" })
  for (let left = 300; left > 0; left--) {
    if (await fetch(`http://${address}/v2/`).catch(() => undefined)) return { address, stop: stopping(child) }
    await new Promise((wait) => setTimeout(wait, 100))
  }
  child.kill("SIGKILL")
  throw new Error("docker-registry did not start within half a minute")
}

/** It lists the type of the manifest's configuration instead of that of the manifest, as some registries in use do. */
export const listsOtherTypes = "with referrers, of go-containerregistry"

/** Every registry that this machine can run; each has its reason if it cannot. */
export const registries: { name: string; start: () => Promise<TestRegistry>; missing?: string }[] = [
  { name: "with referrers, in memory", start: () => MemoryRegistry.start() },
  { name: "without referrers, in memory", start: () => MemoryRegistry.start({ referrers: false }) },
  ...[true, false].map((referrers) => ({
    name: `${referrers ? "with" : "without"} referrers, of go-containerregistry`,
    start: () => goRegistry(referrers),
    ...(!hasGo && { missing: "there is no go" }),
  })),
  {
    name: "of Docker",
    start: distribution,
    ...(!hasDistribution && {
      missing: "docker-registry is not on the PATH: apt-get install docker-registry",
    }),
  },
]

/** A client of a registry, which waits for nothing unless it is told to. */
export const clientOf = (
  { address }: Pick<TestRegistry, "address">,
  more: { user?: string; password?: string; pause?: Pause } = {},
): Registry => new Registry({ registry: address, pause: () => Promise.resolve(), ...more })
