import { oneLine } from "../../lib/text.js"
import type { Event, Sink } from "./event.js"

/** A sink that did not take all that it was told. */
export interface Trouble {
  sink: string
  /** Why it did not take the first of them. */
  reason: string
  /** How many events it did not take, as far as is known. */
  events: number
}

/** How long to wait, in ms, and where to report. */
export interface Patience {
  /** For a sink to take one event. */
  limit: number
  /** For all that is under way at the end. */
  flush: number
  /** Is told once of each sink in trouble, in one line. */
  report: (line: string) => void
}

const usual: Patience = {
  limit: 5_000,
  flush: 10_000,
  report: (line) => process.stderr.write(`${line}\n`),
}

/** Tells events to sinks. A deploy never fails because of one that fails, and waits for one that hangs only once. */
export class Notifier {
  private readonly lines: Line[]
  private readonly patience: Patience

  constructor(sinks: Sink[], patience: Partial<Patience> = {}) {
    this.patience = { ...usual, ...patience }
    this.lines = sinks.map((sink) => new Line(sink, this.patience))
  }

  /** The sinks that did not take all events. */
  get troubles(): Trouble[] {
    return this.lines.flatMap(({ trouble }) => (trouble ? [{ ...trouble }] : []))
  }

  /** Never throws. Returns when the sinks have the event, except those that hang. */
  async tell(event: Event): Promise<void> {
    const frozen = Object.freeze({ ...event })
    await Promise.all(this.lines.map((line) => line.send(frozen)))
  }

  /** Never throws. Waits for what is under way; what does not come to an end in time is given up. */
  async flush(): Promise<void> {
    await Promise.all(this.lines.map((line) => line.flush()))
  }
}

/** What one sink is told, in order: a pager must not hear of the end of a trouble before the trouble. */
class Line {
  trouble: Trouble | undefined
  private last: Promise<void> = Promise.resolve()
  private end = new AbortController()
  /** It was waited for in vain, and has taken nothing since. */
  private hangs = false

  constructor(
    private readonly sink: Sink,
    private readonly patience: Patience,
  ) {}

  /** Returns when the event is there or has failed; at once, with the event on its way, when the sink hangs. */
  async send(event: Event): Promise<void> {
    const { signal } = this.end
    this.last = this.last.then(() => this.attempt(event, signal))
    if (!this.hangs) this.hangs = !(await settled(this.last, this.patience.limit))
  }

  /** What is not done in time is given up with all that waits behind it; the next event has a new chance. */
  async flush(): Promise<void> {
    if (await settled(this.last, this.patience.flush)) return
    this.end.abort(new Error(`not done after ${this.patience.flush / 1000} s`))
    this.end = new AbortController()
    await this.last
  }

  private async attempt(event: Event, end: AbortSignal): Promise<void> {
    const late = new AbortController()
    const timer = setTimeout(() => {
      late.abort(new Error(`no answer within ${this.patience.limit / 1000} s`))
    }, this.patience.limit)
    try {
      const signal = AbortSignal.any([end, late.signal])
      signal.throwIfAborted()
      await Promise.race([this.sink.send(event, signal), aborted(signal)])
      this.hangs = false
    } catch (error) {
      this.failed(error)
    } finally {
      clearTimeout(timer)
    }
  }

  private failed(error: unknown): void {
    const reason = oneLine(withoutPaths(error instanceof Error ? error.message : String(error)))
    if (this.trouble) {
      this.trouble.events++
      return
    }
    this.trouble = { sink: this.sink.name, reason, events: 1 }
    this.patience.report(`notifications: ${this.sink.name} did not take an event: ${reason}`)
  }
}

/** The address of a webhook is a secret from its path on. */
const withoutPaths = (text: string) =>
  text.replace(/\b(https?:\/\/)(?:[^\s/@]*@)?([^\s/?#"']+)[^\s"']*/gi, "$1$2/…")

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      reject(signal.reason as Error)
    })
  })
}

/** Whether a promise comes to its end within a time. */
async function settled(promise: Promise<unknown>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, milliseconds, false)
  })
  const done = await Promise.race([promise.then(() => true), over])
  clearTimeout(timer)
  return done
}
