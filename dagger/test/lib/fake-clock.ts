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
    let rests = 0
    for (await idle(); !state.settled; await idle()) {
      if (this.waiting.length > 0) {
        this.advance()
        rests = 0
        continue
      }
      // A file may be being read, which takes real time.
      if (rests++ > mostRests)
        throw new Error("nothing waits for a later time, so the promise would never settle")
      await new Promise((resolve) => setTimeout(resolve, rest))
    }
    return promise
  }

  /** Advances time, and runs everything that is due. */
  pass(milliseconds: number): Promise<void> {
    return this.until(this.pause(milliseconds))
  }

  /** Lets time pass at once, as on a machine that slept: what is due happens later. */
  skip(milliseconds: number): void {
    this.time += milliseconds
  }

  private advance(): void {
    const at = Math.min(...this.waiting.map((sleeper) => sleeper.at))
    this.time = Math.max(this.time, at)
    const due = this.waiting.filter((sleeper) => sleeper.at <= at)
    this.waiting = this.waiting.filter((sleeper) => sleeper.at > at)
    for (const { wake } of due) wake()
  }
}

/** Milliseconds between two looks at a promise that waits for no time, and how many of them: 20 seconds. */
const rest = 1
const mostRests = 20_000

/** Resolves after all promises that need no time. */
const idle = () => new Promise((resolve) => setImmediate(resolve))
