/** A registry of the base images that the local engine has made, for container runtimes that cannot pull from anywhere. */
import { createHash } from "node:crypto"
import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"

const digestOf = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`

/** The newest manifest of each image in a store, by names such as `node:24-bookworm-slim`. */
function manifests(store: string): Map<string, string> {
  const made = readdirSync(store)
    .filter((entry) => entry.startsWith("image-") && existsSync(join(store, entry, "manifest.json")))
    .sort((a, b) => statSync(join(store, a)).mtimeMs - statSync(join(store, b)).mtimeMs)
  return new Map(
    made.flatMap((entry) => {
      const [image = "", arch] = readFileSync(join(store, entry, "name"), "utf8").split(" ")
      return arch === "amd64"
        ? [[image, readFileSync(join(store, entry, "manifest.json"), "utf8")] as const]
        : []
    }),
  )
}

/**
 * Serves a store's images on loopback, read-only.
 *
 * @param store the folder of the local engine's artifacts
 * @returns `has`: whether the store has an image now; `missing`: what was asked for and is not there
 */
export async function serveStore(
  store: string,
): Promise<{ server: Server; port: number; has: (image: string) => boolean; missing: Set<string> }> {
  const missing = new Set<string>()
  const server = createServer((request, response) => {
    const path = request.url?.split("?")[0] ?? ""
    const [, repository = "", kind, reference = ""] =
      /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path) ?? []
    const file = join(store, "blobs", ...reference.split(":"))
    if (path === "/v2/") response.end("{}")
    else if (kind === "blobs" && /^sha256:[0-9a-f]{64}$/.test(reference) && existsSync(file)) {
      response.setHeader("Content-Length", statSync(file).size)
      if (request.method === "HEAD") response.end()
      else createReadStream(file).pipe(response)
    } else {
      const image = repository.replace(/^library\//, "")
      const all = manifests(store)
      const manifest = reference.startsWith("sha256:")
        ? [...all.values()].find((text) => digestOf(text) === reference)
        : all.get(`${image}:${reference}`)
      if (kind !== "manifests" || manifest === undefined) {
        missing.add(`${image}:${reference}`)
        response.writeHead(404).end()
        return
      }
      const { mediaType } = JSON.parse(manifest) as { mediaType?: string }
      response.setHeader("Content-Type", mediaType ?? "application/vnd.oci.image.manifest.v1+json")
      response.setHeader("Docker-Content-Digest", digestOf(manifest))
      response.setHeader("Content-Length", Buffer.byteLength(manifest))
      response.end(request.method === "HEAD" ? undefined : manifest)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    server,
    port: (server.address() as AddressInfo).port,
    has: (image) => manifests(store).has(image),
    missing,
  }
}
