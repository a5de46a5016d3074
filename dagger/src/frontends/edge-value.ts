import type { Clock } from "../lib/clock.js"

/** Characters that a value in CloudFront's store has at most. */
export const longestValue = 1_024

const tries = 6
const pauses = { conflict: 500, readBack: 1_000 }

/**
 * Repeats a change of the edge's store that others refuse by changing it at the same time.
 *
 * @param make reads, and writes what it has read with its change; undefined when somebody else has written between
 * @param what names what is changed
 * @throws Error when others are always first
 */
export async function changed<Made>(
  what: string,
  clock: Clock,
  make: () => Promise<Made | undefined>,
): Promise<Made> {
  for (let tried = 0; tried < tries; tried++) {
    const made = await make()
    if (made !== undefined) return made
    await clock.pause(pauses.conflict * (tried + 1))
  }
  throw new Error(`${what} was changed by others ${tries} times meanwhile: run this command again`)
}

/**
 * Waits until the store gives back what it took.
 *
 * @param what names what was written
 * @throws Error when it does not
 */
export async function readBack(what: string, clock: Clock, holds: () => Promise<boolean>): Promise<void> {
  for (let tried = 0; tried < tries; tried++) {
    if (await holds()) return
    await clock.pause(pauses.readBack)
  }
  throw new Error(`the store took ${what} and does not hold it: nothing was switched; run this command again`)
}
