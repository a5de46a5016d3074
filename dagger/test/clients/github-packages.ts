// GitHub's API for versions of packages, in front of a registry in memory that does not delete, as its documentation and its answers have it.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { digestOf, MemoryRegistry } from "./registry/servers.js"

interface Version {
  id: number
  name: string
  metadata: { package_type: "container"; container: { tags: string[] } }
}

export class PackagesServer {
  /** Whose packages these are. */
  type: "Organization" | "User" = "Organization"
  /** Who the token `secret` is of; absent: the token of a workflow. */
  login?: string
  /** What the token may: those who are no admins of a package are told that it is not there. */
  rights: "admin" | "read" | "none" = "admin"
  /** Digests of what was downloaded more than 5,000 times. */
  readonly popular = new Set<string>()
  /** Answers to give before its own. */
  readonly failures: { status: number; message?: string; headers?: Record<string, string> }[] = []
  /** Every request, as `GET /orgs/…`. */
  readonly requests: string[] = []
  private readonly ids = new Map<string, number>()
  private readonly server: Server = createServer((request, response) => {
    this.answer(request, response)
  })

  private constructor(readonly registry: MemoryRegistry) {}

  static async start(): Promise<PackagesServer> {
    const server = new PackagesServer(await MemoryRegistry.start({ referrers: false }))
    server.registry.fault = (request) =>
      request.startsWith("DELETE") ? { status: 405, body: '{"errors":[{"code":"UNSUPPORTED"}]}' } : undefined
    await new Promise<void>((listening) => server.server.listen(0, "127.0.0.1", listening))
    return server
  }

  stop(): void {
    this.registry.stop()
    this.server.closeAllConnections()
    this.server.close()
  }

  get address(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  /** Versions of a package, the newest first. */
  versions(owner: string, name: string): Version[] {
    const prefix = `${owner}/${name}/`
    const tags = new Map<string, string[]>()
    for (const [key, { bytes }] of this.registry.manifests) {
      const reference = key.slice(prefix.length)
      if (!key.startsWith(prefix) || reference.includes("/")) continue
      const digest = digestOf(bytes)
      tags.set(digest, [...(tags.get(digest) ?? []), ...(reference === digest ? [] : [reference])])
    }
    return [...tags].reverse().map(([digest, own]) => {
      const id = this.ids.get(prefix + digest) ?? this.ids.size + 1
      this.ids.set(prefix + digest, id)
      return { id, name: digest, metadata: { package_type: "container", container: { tags: own } } }
    })
  }

  private remove(owner: string, name: string, digest: string): void {
    for (const [key, { bytes }] of this.registry.manifests)
      if (key.startsWith(`${owner}/${name}/`) && digestOf(bytes) === digest)
        this.registry.manifests.delete(key)
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const { method = "GET", url = "/" } = request
    const { pathname, searchParams } = new URL(url, this.address)
    this.requests.push(`${method} ${pathname}`)
    const send = (status: number, body: unknown, headers: Record<string, string> = {}) => {
      response.writeHead(status, { "content-type": "application/json", ...headers })
      response.end(status === 204 ? undefined : JSON.stringify(body))
    }
    const failure = this.failures.shift()
    if (failure) {
      send(failure.status, { message: failure.message ?? "unavailable" }, failure.headers)
      return
    }
    if (request.headers.authorization !== "token secret") {
      send(401, { message: "Bad credentials" })
      return
    }
    const [, user] = /^\/users\/([^/]+)$/.exec(pathname) ?? []
    if (user !== undefined) {
      send(200, { login: user, type: this.type })
      return
    }
    if (pathname === "/user") {
      if (this.login === undefined) send(403, { message: "Resource not accessible by integration" })
      else send(200, { login: this.login, type: "User" })
      return
    }
    const [, kind = "", owner = this.login ?? "", encoded = "", id] =
      /^\/(orgs|users|user)(?:\/([^/]+))?\/packages\/container\/([^/]+)\/versions(?:\/(\d+))?$/.exec(
        pathname,
      ) ?? []
    const isOwn = kind === (this.type === "Organization" ? "orgs" : this.login === owner ? "user" : "users")
    const name = decodeURIComponent(encoded)
    const versions = this.versions(owner, name)
    if (!isOwn || versions.length === 0 || this.rights === "none") {
      send(404, { message: "Package not found." })
      return
    }
    if (id === undefined) {
      const [page, size] = [Number(searchParams.get("page") ?? 1), Number(searchParams.get("per_page") ?? 30)]
      const next = `<${this.address}${pathname}?per_page=${size}&page=${page + 1}>; rel="next"`
      const shown = versions.slice((page - 1) * size, page * size)
      send(200, shown, page * size < versions.length ? { link: next } : {})
      return
    }
    const version = versions.find((one) => one.id === Number(id))
    if (!version || (method === "DELETE" && this.rights !== "admin")) {
      send(404, { message: "Package not found." })
      return
    }
    if (method !== "DELETE") {
      send(200, version)
      return
    }
    const isTagged = (one: Version) => one.metadata.container.tags.length > 0
    if (this.popular.has(version.name)) {
      send(400, {
        message:
          "Publicly visible package versions with more than 5000 downloads cannot be deleted. Contact GitHub support for further assistance.",
      })
    } else if (isTagged(version) && versions.filter(isTagged).length === 1) {
      send(400, {
        message:
          "You cannot delete the last tagged version of a package. You must delete the package instead.",
      })
    } else {
      this.remove(owner, name, version.name)
      send(204, undefined)
    }
  }
}
