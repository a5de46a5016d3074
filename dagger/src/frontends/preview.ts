import { z } from "zod"
import type { Clock } from "../lib/clock.js"
import { clip, oneLine } from "../lib/text.js"
import { idPattern } from "./manifest.js"
import { longestValue } from "./pointer.js"

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

const tries = 6
const pauses = { conflict: 500, readBack: 1_000 }

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
  await change(store, clock, ({ version }) => store.write(name, text, version))
  for (let tried = 0; tried < tries; tried++) {
    if ((await store.readAll()).values.get(name) === text) return
    await clock.pause(pauses.readBack)
  }
  throw new Error(`the store took the preview ${name} and does not hold it: run this command again`)
}

/** @returns whether there was one */
export async function removePreview(store: PreviewStore, name: string, clock: Clock): Promise<boolean> {
  let existed = false
  await change(store, clock, ({ values, version }) => {
    existed = values.has(name)
    return existed ? store.remove(name, version) : Promise.resolve(true)
  })
  return existed
}

/** Others change the store at the same time: what is live, and other previews. */
async function change(
  store: PreviewStore,
  clock: Clock,
  make: (now: Awaited<ReturnType<PreviewStore["readAll"]>>) => Promise<boolean>,
): Promise<void> {
  for (let tried = 0; tried < tries; tried++) {
    if (await make(await store.readAll())) return
    await clock.pause(pauses.conflict * (tried + 1))
  }
  throw new Error(`the store was changed by others ${tries} times meanwhile: run this command again`)
}
