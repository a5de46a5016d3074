import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { count } from "../lib/text.js"
import type { Bucket, ObjectHead } from "./bucket.js"
import { type Bundle, sha256Of } from "./bundle.js"
import { type Layout, objectsOf, type ReleaseObject, type StoredObject } from "./layout.js"
import {
  cacheControl,
  fileTypes,
  type ReleaseManifest,
  manifestText,
  readManifest,
  releaseId,
} from "./manifest.js"

/** Requests at the same time. */
const parallel = 16

/** What an upload did. */
export interface Published {
  uploaded: number
  /** Objects that were there already. */
  present: number
  bytes: number
  requests: number
}

/** A configuration of an environment, as browsers get it. */
export interface Configuration {
  id: string
  text: string
}

/**
 * Uploads what a release lacks in the bucket, and looks at every object of it. The manifest comes last: a release without it is not complete. An upload that was
 * interrupted goes on where it was.
 *
 * @throws Error for an asset whose name exists with other contents, and for an object that is not as it must be
 */
export async function uploadRelease(
  bucket: Bucket,
  layout: Layout,
  bundle: Bundle,
  manifest: ReleaseManifest,
  configuration: Configuration,
): Promise<Published> {
  const before = bucket.sent()
  const id = releaseId(manifest)
  const config = configObject(layout, configuration)
  const objects = objectsOf(layout, manifest)
  const existing = new Set(
    (
      await Promise.all([
        bucket.list(layout.assets),
        bucket.list(layout.release(id)),
        bucket.list(config.object.key),
      ])
    )
      .flat()
      .map(({ key }) => key),
  )
  let uploaded = 0
  const ensure = async (object: StoredObject, bytes: () => Promise<Uint8Array>) => {
    if (existing.has(object.key)) {
      const faults = faultsOf(object, await bucket.head(object.key))
      if (faults.length === 0) return
      if (object.key.startsWith(layout.assets)) {
        throw new Error(
          `${object.key} exists with other contents, and pages that are open rely on it: ${faults.join(", ")}; build the file under another name`,
        )
      }
    }
    const body = await bytes()
    if (sha256Of(body) !== object.sha256) throw new Error(`${object.key} has changed since it was read`)
    await bucket.put(object, body)
    uploaded++
    refuse(object, faultsOf(object, await bucket.head(object.key)))
  }
  await inParallel([...objects], (object: ReleaseObject) =>
    ensure(object, () => readFile(join(bundle.folder, object.source))),
  )
  await ensure(config.object, () => Promise.resolve(config.body))
  const last = manifestObject(layout, manifest)
  await ensure(last.object, () => Promise.resolve(last.body))
  const after = bucket.sent()
  return {
    uploaded,
    present: objects.length + 2 - uploaded,
    bytes: after.bytes - before.bytes,
    requests: after.requests - before.requests,
  }
}

/**
 * Looks at every object of a release in the bucket.
 *
 * @throws Error when the release is not complete, with what is missing or wrong
 */
export async function verify(
  bucket: Bucket,
  layout: Layout,
  id: string,
  config: string,
): Promise<ReleaseManifest> {
  const [manifest, found] = await Promise.all([
    manifestIn(bucket, layout, id),
    bucket.head(layout.config(config)),
  ])
  if (!manifest) throw new Error(`release ${id} is not complete: it has no manifest in the bucket`)
  if (!found) throw new Error(`the configuration ${config} is not in the bucket`)
  await inParallel(objectsOf(layout, manifest), async (object) => {
    refuse(object, faultsOf(object, await bucket.head(object.key)))
  })
  return manifest
}

/**
 * The manifest of a release in the bucket; nothing for a release that is not complete.
 *
 * @throws Error for one that cannot be read
 */
export async function manifestIn(
  bucket: Bucket,
  layout: Layout,
  id: string,
): Promise<ReleaseManifest | undefined> {
  const found = await bucket.text(layout.manifest(id))
  return found && readManifest(found.text, id)
}

/** Objects that an upload would write. Their contents are not looked at. */
export async function missingObjects(
  bucket: Bucket,
  layout: Layout,
  manifest: ReleaseManifest,
): Promise<ReleaseObject[]> {
  const lists = await Promise.all([
    bucket.list(layout.assets),
    bucket.list(layout.release(releaseId(manifest))),
  ])
  const existing = new Set(lists.flat().map(({ key }) => key))
  return objectsOf(layout, manifest).filter(({ key }) => !existing.has(key))
}

export const publishedText = ({ uploaded, present, bytes, requests }: Published): string =>
  `${count(uploaded, "object")} uploaded (${count(bytes, "byte")}), ${present.toLocaleString("en-US")} there already, by ${count(requests, "request")}`

/** The object with a configuration. Its name has a hash of its contents, and browsers get it as `/config.json`. */
export function configObject(
  layout: Layout,
  { id, text }: Configuration,
): { object: StoredObject; body: Uint8Array } {
  return jsonObject(layout.config(id), text)
}

/** Headers of a configuration wherever it lies. */
export function jsonObject(
  key: string,
  text: string,
  release?: string,
): { object: StoredObject; body: Uint8Array } {
  const body = Buffer.from(text)
  return {
    object: {
      key,
      sha256: sha256Of(body),
      size: body.length,
      type: fileTypes.json?.type ?? "",
      cache: cacheControl["no-store"],
      ...(release !== undefined && { release }),
    },
    body,
  }
}

const manifestObject = (layout: Layout, manifest: ReleaseManifest) => {
  const id = releaseId(manifest)
  return jsonObject(layout.manifest(id), manifestText(manifest), id)
}

/** How an object differs from what it must be. */
export function faultsOf(object: StoredObject, found: ObjectHead | undefined): string[] {
  if (!found) return ["it is missing"]
  // Another version of the compressor writes other bytes, and a browser gets the same file from either.
  const isEqualCopy = object.plain !== undefined && found.plain === object.plain
  const same = <Value>(value: Value, found: Value) => (isEqualCopy ? found : value)
  const pairs: [string, unknown, unknown][] = [
    ["size", same(object.size, found.size), found.size],
    ["type", object.type, found.type],
    ["cache header", object.cache, found.cache],
    ["encoding", same(object.encoding ?? "", found.encoding ?? ""), found.encoding ?? ""],
    ["SHA-256", same(object.sha256, found.sha256), found.checksum ?? same(object.sha256, found.sha256)],
    ["noted SHA-256", same(object.sha256, found.sha256), found.sha256],
    ["release", object.release ?? "", found.release ?? ""],
  ]
  return pairs
    .filter(([, wanted, is]) => wanted !== is)
    .map(([what, wanted, is]) => `${what} ${String(is)} instead of ${String(wanted)}`)
}

function refuse({ key }: StoredObject, faults: string[]): void {
  if (faults.length > 0) throw new Error(`${key} in the bucket is not as it must be: ${faults.join(", ")}`)
}

/** Runs a task for each of several things, some at a time. After a failure nothing further is begun, and what is under way ends first. */
async function inParallel<One>(all: readonly One[], task: (one: One) => Promise<void>): Promise<void> {
  const left = [...all]
  let failed = false
  const worker = async () => {
    for (let one = left.shift(); one !== undefined && !failed; one = left.shift()) {
      try {
        await task(one)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: parallel }, worker))
  for (const end of ends) if (end.status === "rejected") throw end.reason
}
