import { z } from "zod"
import type { Clock } from "../lib/clock.js"
import { clip, oneLine } from "../lib/text.js"
import { changed, longestValue, readBack } from "./edge-value.js"
import { idPattern } from "./manifest.js"

/** Milliseconds after its end for which nothing of a preview is removed: clocks may be wrong by minutes, and the edge has its own. */
export const clockTolerance = 3_600_000

/** Longest texts that a preview keeps, in characters. */
const longest = 100
const text = z.string().transform((all) => clip(all, longest))
const id = z.string().regex(idPattern)

const schema = z.object({
  release: id,
  config: id,
  /** When the edge stops showing it, in ms since the epoch. */
  until: z.int(),
  version: text,
  /** Who published it. */
  by: text,
})
/** A release with a configuration that the edge shows to whoever asks for it by its name, until it expires. */
export type Preview = z.output<typeof schema>
export type NamedPreview = Preview & { name: string }

/** The previews of an app as values by name. One that is written or removed is that of who has read them last. */
export interface PreviewStore {
  /** @returns the values, and what a change has to name */
  readAll(): Promise<{ values: Map<string, string>; version: string }>
  /** @returns false when anything in the store has changed since that version was read */
  write(name: string, text: string, version: string): Promise<boolean>
  /** @returns false when anything in the store has changed since that version was read */
  remove(name: string, version: string): Promise<boolean>
}

/** @throws Error for a name that is no label of a host name, or that is the id of a release */
export function checkPreviewName(name: string): void {
  if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name) && !idPattern.test(name)) return
  throw new Error(
    `--name: "${oneLine(name, 80)}" is no name of a preview; allowed: a label of a host name, of up to 63 lower-case letters, digits and hyphens that neither begins nor ends with a hyphen, such as pr-12, and no id of a release`,
  )
}

export function previewText(preview: Preview): string {
  const made = JSON.stringify(schema.parse(preview))
  if (made.length > longestValue)
    throw new Error(`a preview has ${made.length} characters; allowed: ${longestValue}`)
  return made
}

/** @throws Error for a value that this version cannot read */
export function readPreviews(values: Map<string, string>): NamedPreview[] {
  const found = [...values].map(([name, value]) => {
    try {
      return { name, ...schema.parse(JSON.parse(value)) }
    } catch (error) {
      throw new Error(
        `the preview ${oneLine(name, 80)} is malformed, or was written by a newer version of Pitwall: publish it again, or take it away with --remove`,
        { cause: error },
      )
    }
  })
  return found.sort((one, other) => (one.name < other.name ? -1 : 1))
}

/** Whether the edge shows a preview no longer. */
export const hasExpired = ({ until }: Preview, now: number): boolean => until <= now

/** Previews that nobody can see any more, by any clock. */
export const overPreviews = (previews: NamedPreview[], now: number): NamedPreview[] =>
  previews.filter(({ until }) => until + clockTolerance <= now)

/**
 * Makes the edge show a preview, in place of the one of that name, and reads it back.
 *
 * @throws Error when the store takes it and does not hold it
 */
export async function writePreview(
  store: PreviewStore,
  name: string,
  preview: Preview,
  clock: Clock,
): Promise<void> {
  const text = previewText(preview)
  await changed(`the preview ${name}`, clock, async () => {
    const { version } = await store.readAll()
    return (await store.write(name, text, version)) || undefined
  })
  await readBack(`the preview ${name}`, clock, async () => (await store.readAll()).values.get(name) === text)
}

/** @returns whether there was one */
export function removePreview(store: PreviewStore, name: string, clock: Clock): Promise<boolean> {
  return changed(`the preview ${name}`, clock, async () => {
    const { values, version } = await store.readAll()
    if (!values.has(name)) return false
    return (await store.remove(name, version)) || undefined
  })
}
