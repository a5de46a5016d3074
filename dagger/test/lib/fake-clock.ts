import type { Clock } from "../../src/lib/clock.js"

/** A clock that stops while code runs, and then jumps to the next moment that code waits for. */
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

  /** Advances time until a promise is settled. */
  async until<Value>(promise: Promise<Value>): Promise<Value> {
    const state = { settled: false }
    const mark = () => {
      state.settled = true
    }
    promise.then(mark, mark)
    for (await idle(); !state.settled; await idle()) this.advance()
    return promise
  }

  /** Advances time, and runs everything that is due. */
  pass(milliseconds: number): Promise<void> {
    return this.until(this.pause(milliseconds))
  }

  private advance(): void {
    const at = Math.min(...this.waiting.map((sleeper) => sleeper.at))
    if (at === Infinity) throw new Error("nothing waits for a later time, so the promise would never settle")
    this.time = Math.max(this.time, at)
    const due = this.waiting.filter((sleeper) => sleeper.at <= at)
    this.waiting = this.waiting.filter((sleeper) => sleeper.at > at)
    for (const { wake } of due) wake()
  }
}

/** Resolves after all promises that need no time. */
const idle = () => new Promise((resolve) => setImmediate(resolve))
