import {
  assetsFolder,
  cacheControl,
  configFile,
  type Copy,
  encodings,
  extensionOf,
  fileTypes,
  listFile,
  type ReleaseManifest,
  releaseId,
} from "./manifest.js"

/**
 * Where things of a web app lie in its bucket. Every folder ends in a slash, so that none is the beginning of another one's name.
 *
 * - `assets/`: shared by all releases; a name has a hash of its contents, so that an open page finds its files after a deploy
 * - `releases/ID/`: all other files of a release, and its manifest, which is written last
 * - `config/ID.json`: configurations of the environment
 * - `audits/ID/`: what the audit of a release found, with its report and screenshots
 * - `live/`: copies of what all users get; the edge serves them where it cannot ask which release is live
 */
export interface Layout {
  root: string
  assets: string
  releases: string
  release: (id: string) => string
  manifest: (id: string) => string
  configs: string
  config: (id: string) => string
  audits: string
  audit: (id: string) => string
  live: string
  /** Says what is live, where there is no key-value store. */
  pointer: string
  /** Is written to find out what the store can do. */
  probe: string
}

export function layoutOf({ prefix, app }: { prefix: string | undefined; app: string }): Layout {
  const root = `${prefix === undefined ? "" : `${prefix}/`}${app}/`
  const release = (id: string) => `${root}releases/${id}/`
  return {
    root,
    assets: `${root}${assetsFolder}`,
    releases: `${root}releases/`,
    release,
    manifest: (id) => `${release(id)}${listFile}`,
    configs: `${root}config/`,
    config: (id) => `${root}config/${id}.json`,
    audits: `${root}audits/`,
    audit: (id) => `${root}audits/${id}/`,
    live: `${root}live/`,
    pointer: `${root}pointer.json`,
    probe: `${root}probe.json`,
  }
}

/** What an object of the bucket must be. */
export interface StoredObject {
  key: string
  /** In hexadecimal digits. */
  sha256: string
  /** In bytes. */
  size: number
  type: string
  cache: string
  encoding?: string
  /** Of a compressed copy that releases share: the SHA-256 of the file that it is a copy of. */
  plain?: string
  /** The release that it belongs to; absent for what releases share. */
  release?: string
}

/** An object and the file of the build with its contents. */
export interface ReleaseObject extends StoredObject {
  source: string
  /** Relative to the site, with the extension of a compressed copy. */
  path: string
}

/**
 * The objects of a release but for its manifest.
 *
 * The edge asks for a compressed copy without knowing whether there is one, so each file of such a type has all copies. One that the build did not write, because the
 * file is small, has the plain contents and no encoding.
 */
export function objectsOf(layout: Layout, manifest: ReleaseManifest): ReleaseObject[] {
  const id = releaseId(manifest)
  return manifest.files.flatMap(({ path, sha256, size, type, cache, copies }) => {
    const shared = cache === "immutable"
    const folder = shared ? layout.root : layout.release(id)
    const common = { type, cache: cacheControl[cache], ...(!shared && { release: id }) }
    const plain = { key: `${folder}${path}`, path, source: path, sha256, size, ...common }
    const compressed = fileTypes[extensionOf(path)]?.compressed
    if (!compressed) return [plain]
    const others = (Object.keys(encodings) as Copy[]).map((extension): ReleaseObject => {
      const name = `${path}.${extension}`
      const copy = copies[extension]
      const other = { ...plain, key: `${folder}${name}`, path: name, ...(shared && { plain: sha256 }) }
      return copy ? { ...other, ...copy, source: name, encoding: encodings[extension] } : other
    })
    return [plain, ...others]
  })
}

/** Objects of a release that is live, as copies: the page last, because it names the others. */
export function liveObjects(
  layout: Layout,
  manifest: ReleaseManifest,
): { from: string; object: StoredObject }[] {
  const own = objectsOf(layout, manifest).filter(({ key }) => !key.startsWith(layout.assets))
  const isPage = ({ path }: ReleaseObject) => path.startsWith("index.html")
  return [...own.filter((one) => !isPage(one)), ...own.filter(isPage)].map(({ key, path, ...object }) => ({
    from: key,
    object: { ...object, key: `${layout.live}${path}` },
  }))
}

/** The path of the configuration among the copies of what is live. */
export const liveConfig = (layout: Layout): string => `${layout.live}${configFile}`
