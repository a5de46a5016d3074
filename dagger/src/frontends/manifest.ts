import { z } from "zod"
import "../lib/schema-errors.js"
import { hexDigestPattern } from "../lib/image-reference.js"
import { digestOfData } from "../delivery/guards/digest.js"

/** How long a browser and the edge may keep a file without asking. */
export const cacheControl = {
  /** The name has a hash of the contents. */
  immutable: "public, max-age=31536000, immutable",
  revalidate: "no-cache",
  "no-store": "no-store",
} as const
export type CacheClass = keyof typeof cacheControl

/** Content types by extension, and whether the edge serves compressed copies. */
export const fileTypes: Record<string, { type: string; compressed: boolean }> = {
  html: { type: "text/html; charset=utf-8", compressed: true },
  css: { type: "text/css; charset=utf-8", compressed: true },
  js: { type: "text/javascript; charset=utf-8", compressed: true },
  mjs: { type: "text/javascript; charset=utf-8", compressed: true },
  json: { type: "application/json; charset=utf-8", compressed: true },
  webmanifest: { type: "application/manifest+json; charset=utf-8", compressed: true },
  txt: { type: "text/plain; charset=utf-8", compressed: true },
  svg: { type: "image/svg+xml", compressed: true },
  png: { type: "image/png", compressed: false },
  jpg: { type: "image/jpeg", compressed: false },
  jpeg: { type: "image/jpeg", compressed: false },
  webp: { type: "image/webp", compressed: false },
  avif: { type: "image/avif", compressed: false },
  ico: { type: "image/x-icon", compressed: false },
  woff: { type: "font/woff", compressed: false },
  woff2: { type: "font/woff2", compressed: false },
  wasm: { type: "application/wasm", compressed: false },
}

/** Encodings of compressed copies, by the extension of the copy. */
export const encodings = { br: "br", gz: "gzip" } as const
export type Copy = keyof typeof encodings
const copies = Object.keys(encodings) as Copy[]

/** The folder of files whose names have a hash of their contents. All releases share it. */
export const assetsFolder = "assets/"
/** The list of the files of a release, beside them. */
export const listFile = "manifest.json"
/** What a browser asks for the configuration of its environment. A build has no such file. */
export const configFile = "config.json"
export const pageFile = "index.html"

const sha256 = z.string().regex(hexDigestPattern, "a SHA-256 in hexadecimal digits")
const size = z.int().min(0)
const copy = z.object({ sha256, size })

const file = z.object({
  /** Relative to the site, such as `assets/index-1a2b3c4d.js`. */
  path: z.string(),
  sha256,
  /** In bytes. */
  size,
  type: z.string(),
  cache: z.enum(["immutable", "revalidate", "no-store"]),
  /** Compressed copies that the build wrote. */
  copies: z.object({ br: copy.optional(), gz: copy.optional() }),
})
export type ManifestFile = z.output<typeof file>

const schema = z.object({
  schemaVersion: z.literal(1),
  app: z.string(),
  /** Sorted by path. */
  files: z.array(file),
})
/** Everything that a release of a web app consists of. */
export type ReleaseManifest = z.output<typeof schema>

/** A file of a build. */
export interface BuiltFile {
  /** Relative to the folder of the build. */
  path: string
  /** In hexadecimal digits. */
  sha256: string
  /** In bytes. */
  size: number
}

/** Vite's names of assets: `NAME-HASH.EXTENSION`, with at least eight characters of the hash. */
const hashed = /[-.][A-Za-z0-9_-]{8,}\.[a-z0-9]+$/

export const extensionOf = (path: string) => /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase() ?? ""

export function cacheOf(path: string): CacheClass {
  if (path === configFile) return "no-store"
  return path.startsWith(assetsFolder) && hashed.test(path) ? "immutable" : "revalidate"
}

/**
 * The manifest of a build.
 *
 * @param builtFor the app that the build says it is
 * @throws Error with every fault: the build of another app, a file whose type is not known, an asset without a hash in its name, a copy without its file, no page
 */
export function manifestOf(app: string, builtFor: string, files: BuiltFile[]): ReleaseManifest {
  if (builtFor !== app) throw new Error(`the image is a build of ${builtFor || "nothing"}; allowed: ${app}`)
  const byPath = new Map(files.map((one) => [one.path, one]))
  const faults: string[] = []
  const found = files.flatMap(({ path, sha256, size }): ManifestFile[] => {
    const extension = extensionOf(path)
    if (copies.some((one) => one === extension)) {
      const original = path.slice(0, -extension.length - 1)
      if (!byPath.has(original)) faults.push(`${path}: a compressed copy without its file`)
      else if (!fileTypes[extensionOf(original)]?.compressed) {
        faults.push(`${path}: files of this type have no compressed copies`)
      }
      return []
    }
    const known = fileTypes[extension]
    if (!known) {
      faults.push(`${path}: the type is not known; allowed: ${Object.keys(fileTypes).join(", ")}`)
      return []
    }
    const cache = cacheOf(path)
    if (path.startsWith(assetsFolder) && cache !== "immutable") {
      faults.push(`${path}: an asset's name has a hash of its contents, such as index-1a2b3c4d.js`)
    }
    if (path === listFile)
      faults.push(
        `${path}: a release's list of files has this name; call it ${path.replace(".json", ".webmanifest")}`,
      )
    if (path === configFile) faults.push(`${path}: a build has none, because each environment has its own`)
    if (/[^A-Za-z0-9._~/@+-]|(^|\/)\.|\/\//.test(path)) {
      faults.push(`${path}: a name has letters, digits and . _ ~ @ + - and does not begin with a dot`)
    }
    return [{ path, sha256, size, type: known.type, cache, copies: copiesOf(path, byPath) }]
  })
  if (!byPath.has(pageFile)) faults.push(`there is no ${pageFile}`)
  if (faults.length > 0) throw new Error(`the build of ${app} cannot be released:\n${faults.join("\n")}`)
  return {
    schemaVersion: 1,
    app,
    files: found.sort((one, other) => (one.path < other.path ? -1 : 1)),
  }
}

function copiesOf(path: string, files: Map<string, BuiltFile>): ManifestFile["copies"] {
  const entries = copies.flatMap((extension) => {
    const found = files.get(`${path}.${extension}`)
    return found ? [[extension, { sha256: found.sha256, size: found.size }]] : []
  })
  return Object.fromEntries(entries) as ManifestFile["copies"]
}

/** Characters of a release's id: it fits into a label of a host name. */
export const idLength = 40
export const idPattern = new RegExp(`^[0-9a-f]{${idLength}}$`)

/** The first digits of the SHA-256 of plain data. */
export const idOf = (data: unknown): string => digestOfData(data).slice("sha256:".length).slice(0, idLength)

/** The id of a release: equal ids are equal files. */
export const releaseId = (manifest: ReleaseManifest): string => idOf(manifest)

export const manifestText = (manifest: ReleaseManifest): string => `${JSON.stringify(manifest)}\n`

/**
 * Reads a manifest from the bucket.
 *
 * @param id of the release that it must be of
 * @throws Error for another text, and for the manifest of another release
 */
export function readManifest(text: string, id: string): ReleaseManifest {
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch (error) {
    throw new Error(`the manifest of release ${id} is no JSON`, { cause: error })
  }
  const { data, error } = schema.safeParse(found)
  if (!data) throw new Error(`the manifest of release ${id} cannot be read: ${error.message}`)
  if (releaseId(data) !== id)
    throw new Error(`the manifest of release ${id} was changed: it is of ${releaseId(data)}`)
  return data
}

/** How two releases differ. */
export interface Difference {
  added: ManifestFile[]
  changed: ManifestFile[]
  removed: ManifestFile[]
}

export function differenceOf(before: ReleaseManifest | undefined, after: ReleaseManifest): Difference {
  const old = new Map((before?.files ?? []).map((one) => [one.path, one]))
  const now = new Set(after.files.map(({ path }) => path))
  return {
    added: after.files.filter(({ path }) => !old.has(path)),
    changed: after.files.filter(({ path, sha256 }) => old.has(path) && old.get(path)?.sha256 !== sha256),
    removed: [...old.values()].filter(({ path }) => !now.has(path)),
  }
}
