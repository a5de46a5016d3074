import { setTimeout as sleep } from "node:timers/promises"

/** Milliseconds of a day. */
export const day = 86_400_000

/** A clock for waiting; tests use a fake one. */
export interface Clock {
  /** Milliseconds since an arbitrary moment: only differences have a meaning. */
  now(): number
  /** @param options.ref keeps the process alive while it waits; true by default */
  pause(milliseconds: number, options?: { ref: boolean }): Promise<unknown>
}

/** The clock of this machine that never jumps when the time is set. */
export const monotonic: Clock = {
  now: () => performance.now(),
  pause: (milliseconds, options) => sleep(milliseconds, undefined, options),
}
