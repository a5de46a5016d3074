import { setTimeout as sleep } from "node:timers/promises"

/** Time as it passes, for what waits. */
export interface Clock {
  /** In milliseconds, from wherever; only differences say something. */
  now(): number
  /** @param options.ref whether the process is to live for it; so if not said */
  pause(milliseconds: number, options?: { ref: boolean }): Promise<unknown>
}

/** This machine's: nobody sets it while something waits. */
export const monotonic: Clock = {
  now: () => performance.now(),
  pause: (milliseconds, options) => sleep(milliseconds, undefined, options),
}
