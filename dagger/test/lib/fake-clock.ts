import type { Clock } from "../../src/lib/clock.js"

/** A clock that stands still while anything is being done, and then goes on to the next moment that somebody waits for. */
export class FakeClock implements Clock {
  private time = 0
  private waiting: { at: number; wake: () => void }[] = []

  now(): number {
    return this.time
  }

  pause(milliseconds: number): Promise<void> {
    return new Promise((wake) => {
      this.waiting.push({ at: this.time + milliseconds, wake })
    })
  }

  /** Lets time pass until a promise is settled. */
  async until<Value>(promise: Promise<Value>): Promise<Value> {
    const state = { settled: false }
    const mark = () => {
      state.settled = true
    }
    promise.then(mark, mark)
    for (await idle(); !state.settled; await idle()) this.advance()
    return promise
  }

  /** Lets so much time pass, and all that happens in it happen. */
  pass(milliseconds: number): Promise<void> {
    return this.until(this.pause(milliseconds))
  }

  private advance(): void {
    const at = Math.min(...this.waiting.map((sleeper) => sleeper.at))
    if (at === Infinity) throw new Error("nobody waits for anything: time would stand still for ever")
    this.time = Math.max(this.time, at)
    const due = this.waiting.filter((sleeper) => sleeper.at <= at)
    this.waiting = this.waiting.filter((sleeper) => sleeper.at > at)
    for (const { wake } of due) wake()
  }
}

/** All promises that need no time are settled by then. */
const idle = () => new Promise((resolve) => setImmediate(resolve))
