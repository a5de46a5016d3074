import { oneLine } from "../../lib/text.js"
import type { Notification, Sink } from "./event.js"

/** A sink that did not take every event. */
export interface SinkFailure {
  sink: string
  /** Why the first event was not delivered. */
  reason: string
  /** How many events were not delivered. */
  events: number
}

/** Time limits in milliseconds, and where failures are reported. */
export interface NotifierOptions {
  /** For one event to reach a sink. */
  limit: number
  /** For all pending events at the end of a command. */
  flush: number
  /** Called once per failing sink, with one line. */
  report: (line: string) => void
}

const defaults: NotifierOptions = {
  limit: 5_000,
  flush: 10_000,
  report: (line) => process.stderr.write(`${line}\n`),
}

/** Sends events to sinks. A failing sink never fails a deploy, and a hanging one delays it only once. */
export class Notifier {
  private readonly queues: SinkQueue[]
  private readonly options: NotifierOptions

  constructor(sinks: Sink[], options: Partial<NotifierOptions> = {}) {
    this.options = { ...defaults, ...options }
    this.queues = sinks.map((sink) => new SinkQueue(sink, this.options))
  }

  /** The sinks that did not take every event. */
  get failures(): SinkFailure[] {
    return this.queues.flatMap(({ failure }) => (failure ? [{ ...failure }] : []))
  }

  /** Never throws. Returns when every sink has the event, except those that hang. */
  async notify(event: Notification): Promise<void> {
    const frozen = Object.freeze({ ...event })
    await Promise.all(this.queues.map((queue) => queue.send(frozen)))
  }

  /** Never throws. Waits for pending events and gives up those that are late. */
  async flush(): Promise<void> {
    await Promise.all(this.queues.map((queue) => queue.flush()))
  }
}

/** The events of one sink, in order: a pager must not hear that a problem is over before it hears of the problem. */
class SinkQueue {
  failure: SinkFailure | undefined
  private last: Promise<void> = Promise.resolve()
  private end = new AbortController()
  /** The last event timed out, so later ones are not waited for. */
  private hangs = false

  constructor(
    private readonly sink: Sink,
    private readonly options: NotifierOptions,
  ) {}

  /** Returns when the event was delivered or has failed; at once when the sink hangs. */
  async send(event: Notification): Promise<void> {
    const { signal } = this.end
    this.last = this.last.then(() => this.deliver(event, signal))
    if (!this.hangs) this.hangs = !(await settled(this.last, this.options.limit))
  }

  /** Gives up what is not delivered in time; the next event is tried again. */
  async flush(): Promise<void> {
    if (await settled(this.last, this.options.flush)) return
    this.end.abort(new Error(`not done after ${this.options.flush / 1000} s`))
    this.end = new AbortController()
    await this.last
  }

  private async deliver(event: Notification, end: AbortSignal): Promise<void> {
    const late = new AbortController()
    const timer = setTimeout(() => {
      late.abort(new Error(`no answer within ${this.options.limit / 1000} s`))
    }, this.options.limit)
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
    if (this.failure) {
      this.failure.events++
      return
    }
    this.failure = { sink: this.sink.name, reason, events: 1 }
    this.options.report(`notifications: ${this.sink.name} did not take an event: ${reason}`)
  }
}

/** The path of a webhook's address is a secret. */
const withoutPaths = (text: string) =>
  text.replace(/\b(https?:\/\/)(?:[^\s/@]*@)?([^\s/?#"']+)[^\s"']*/gi, "$1$2/…")

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      reject(signal.reason as Error)
    })
  })
}

/** Whether a promise settles within a time. */
async function settled(promise: Promise<unknown>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, milliseconds, false)
  })
  const done = await Promise.race([promise.then(() => true), over])
  clearTimeout(timer)
  return done
}
