import type { Clock } from "../lib/clock.js"
import type { Bucket } from "./bucket.js"
import type { Invalidations } from "./invalidation.js"
import { type Layout, liveConfig, liveObjects } from "./layout.js"
import type { ReleaseManifest } from "./manifest.js"
import {
  type Pointer,
  type PointerChange,
  type PointerStore,
  readPointer,
  switchPointer,
  type Variant,
  type Writer,
} from "./pointer.js"
import { jsonObject, manifestIn } from "./publish.js"

/** What a switch did. */
export interface Switched {
  /** Whether visitors were given something else; not, where what was asked for was live already. */
  switched: boolean
  warnings: string[]
}

/** How visitors get another release. */
export interface Edge {
  read(): Promise<Pointer | undefined>
  /**
   * Makes a change of what is live, so that visitors get it. The same change by the same operation may be made again.
   *
   * @throws PointerSuperseded when a newer command has changed it
   */
  switch(writer: Writer, change: PointerChange): Promise<Switched>
  /** Completes a switch once it has been seen to work. */
  settle(live: Variant): Promise<void>
}

interface Parts {
  bucket: Bucket
  layout: Layout
  pointers: PointerStore
  clock: Clock
}

/** The edge's function asks the key-value store at each request. Copies of what is live serve when it cannot. */
export class KeyValueEdge implements Edge {
  constructor(private readonly parts: Parts) {}

  read(): Promise<Pointer | undefined> {
    return readPointer(this.parts.pointers)
  }

  async switch(writer: Writer, change: PointerChange): Promise<Switched> {
    const { written: switched } = await switchPointer(this.parts.pointers, writer, change, this.parts.clock)
    return { switched, warnings: [] }
  }

  async settle(live: Variant): Promise<void> {
    await copyLive(this.parts, live)
  }
}

/** The edge serves copies at fixed addresses, and is told to forget those that it has cached. */
export class InvalidationEdge implements Edge {
  constructor(private readonly parts: Parts & { invalidations: Invalidations }) {}

  read(): Promise<Pointer | undefined> {
    return readPointer(this.parts.pointers)
  }

  /** The pointer first: who loses the race for it copies nothing. One that was there already may have come without its copies. */
  async switch(writer: Writer, change: PointerChange): Promise<Switched> {
    const { pointers, clock, layout, invalidations } = this.parts
    const {
      pointer: { live },
    } = await switchPointer(pointers, writer, change, clock)
    const { manifest, removed } = await copyLive(this.parts, live)
    // The cache knows a page by the name that the function has given it.
    const paths = liveObjects(layout, manifest).map(({ object }) => `/${object.key}`)
    const warning = await invalidations.invalidate(
      [...paths, ...removed.map((key) => `/${key}`), `/${liveConfig(layout)}`],
      `${writer.operation}-${live.release}-${live.config}`,
    )
    return { switched: true, warnings: warning === undefined ? [] : [warning] }
  }

  settle(): Promise<void> {
    return Promise.resolve()
  }
}

/** Copies what is live to where the edge finds it without knowing the release, the configuration first, the page last; then removes what that release lacks. */
async function copyLive(
  { bucket, layout }: Pick<Parts, "bucket" | "layout">,
  live: Variant,
): Promise<{ manifest: ReleaseManifest; removed: string[] }> {
  const [manifest, config] = await Promise.all([
    completeManifest(bucket, layout, live),
    bucket.text(layout.config(live.config)),
  ])
  if (!config) throw new Error(`the configuration ${live.config} is not in the bucket`)
  const { object, body } = jsonObject(liveConfig(layout), config.text)
  await bucket.put(object, body)
  const wanted = liveObjects(layout, manifest)
  for (const one of wanted) await bucket.copy(one.from, one.object)
  const keys = new Set([liveConfig(layout), ...wanted.map((one) => one.object.key)])
  const removed = (await bucket.list(layout.live)).map(({ key }) => key).filter((key) => !keys.has(key))
  if (removed.length > 0) await bucket.delete(removed)
  return { manifest, removed }
}

async function completeManifest(
  bucket: Bucket,
  layout: Layout,
  { release }: Variant,
): Promise<ReleaseManifest> {
  const manifest = await manifestIn(bucket, layout, release)
  if (!manifest) throw new Error(`release ${release} is not complete: it has no manifest in the bucket`)
  return manifest
}
