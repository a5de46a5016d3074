import { z } from "zod"
import { type Clock } from "../lib/clock.js"
import { changed, longestValue, readBack } from "./edge-value.js"
import { idPattern } from "./manifest.js"

const id = z.string().regex(idPattern)
const variant = z.object({
  release: id,
  config: id,
  /** Of the revision in the environment. */
  revision: z.int().min(1),
})

/** What a visitor gets: a release and its configuration. */
export type Variant = z.output<typeof variant>

const schema = z.object({
  live: variant,
  previous: variant.optional(),
  /** A part of the visitors gets this instead. */
  canary: variant.extend({ percent: z.int().min(1).max(100) }).optional(),
  /** The operation that wrote it, and when that began, ISO 8601: an older one gives way. */
  operation: z.string(),
  since: z.iso.datetime(),
})

/** What the edge serves: one value, so that all of it changes at once. */
export type Pointer = z.output<typeof schema>

/** Who writes a pointer. */
export type Writer = Pick<Pointer, "operation" | "since">
/** Makes the new pointer of the present one. */
export type PointerChange = (now: Pointer | undefined) => Omit<Pointer, keyof Writer>

/** One value that is replaced only by who has read it last. */
export interface PointerStore {
  /** @returns the value, nothing before the first one, and what a write has to name */
  read(): Promise<{ text?: string; version: string }>
  /** @returns false when the value has changed since that version was read */
  write(text: string, version: string): Promise<boolean>
}

/** A newer command has changed what is live. */
export class PointerSuperseded extends Error {
  override name = "PointerSuperseded"
}

/** @throws Error for a value that this version cannot read */
export function parsePointer(text: string): Pointer {
  try {
    return schema.parse(JSON.parse(text))
  } catch (error) {
    throw new Error(
      "what says which release is live is malformed, or was written by a newer version of Pitwall",
      {
        cause: error,
      },
    )
  }
}

export function pointerText(pointer: Pointer): string {
  const text = JSON.stringify(schema.parse(pointer))
  if (text.length > longestValue)
    throw new Error(`what says which release is live has ${text.length} characters; allowed: ${longestValue}`)
  return text
}

export async function readPointer(store: PointerStore): Promise<Pointer | undefined> {
  const { text } = await store.read()
  return text === undefined ? undefined : parsePointer(text)
}

/**
 * Changes what is live, by a write that fails when somebody else has written meanwhile, and reads it back.
 *
 * @returns the pointer, and whether it was not there already
 * @throws PointerSuperseded when a newer command has written, and Error when the store takes the value and does not hold it
 */
export async function switchPointer(
  store: PointerStore,
  writer: Writer,
  change: PointerChange,
  clock: Clock,
): Promise<{ pointer: Pointer; written: boolean }> {
  return changed("what is live", clock, async () => {
    const { text: before, version } = await store.read()
    const now = before === undefined ? undefined : parsePointer(before)
    refuseOlder(now, writer)
    const next: Pointer = { ...change(now), ...writer }
    const text = pointerText(next)
    if (text === before) return { pointer: next, written: false }
    if (!(await store.write(text, version))) return undefined
    await readBack("the new value", clock, async () => {
      const { text: found } = await store.read()
      if (found !== undefined && found !== text) refuseOlder(parsePointer(found), writer)
      return found === text
    })
    return { pointer: next, written: true }
  })
}

function refuseOlder(now: Pointer | undefined, { since }: Writer): void {
  if (now === undefined || Date.parse(now.since) <= Date.parse(since)) return
  throw new PointerSuperseded(
    `revision ${now.live.revision} was made live by the newer command ${now.operation}, so this one gives way`,
  )
}
