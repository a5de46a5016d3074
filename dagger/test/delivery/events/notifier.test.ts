import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import type { Notification, Sink } from "../../../src/delivery/events/event.js"
import { Notifier } from "../../../src/delivery/events/notifier.js"
import { event } from "./event.js"

// Time goes on by itself when nothing else is to be done: limits hold on the busiest machine.
beforeEach(() => {
  vi.useFakeTimers().setTimerTickMode("nextTimerAsync")
})
afterEach(() => {
  vi.useRealTimers()
})

/** A sink that does as it is told and remembers what it took. */
class Memory implements Sink {
  readonly got: string[] = []
  readonly signals: AbortSignal[] = []

  constructor(
    readonly name: string,
    private readonly act: (event: Notification, signal: AbortSignal) => Promise<void> = () =>
      Promise.resolve(),
  ) {}

  async send(event: Notification, signal: AbortSignal): Promise<void> {
    this.signals.push(signal)
    await this.act(event, signal)
    this.got.push(event.message)
  }
}

const fullDisk = () => new Memory("a full disk", () => Promise.reject(new Error("no space left on device")))

const forever = () => new Promise<void>(() => undefined)
const after = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds))

function notifier(sinks: Sink[], { limit = 40, flush = 80 } = {}) {
  const lines: string[] = []
  return { lines, notifier: new Notifier(sinks, { limit, flush, report: (line) => lines.push(line) }) }
}

async function milliseconds(task: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await task()
  return performance.now() - began
}

describe("Notifier", () => {
  it("tells every sink, and has no troubles", async () => {
    const [one, two] = [new Memory("one"), new Memory("two")]
    const { notifier: told, lines } = notifier([one, two])
    await told.notify(event("a"))
    await told.notify(event("b"))
    expect([one.got, two.got]).toEqual([
      ["a", "b"],
      ["a", "b"],
    ])
    expect(told.failures).toEqual([])
    expect(lines).toEqual([])
  })

  it("tells sinks at the same time", async () => {
    let waiting = 0
    let both: () => void
    const met = new Promise<void>((resolve) => (both = resolve))
    const meet = () => {
      if (++waiting === 2) both()
      return met
    }
    const [one, two] = [new Memory("one", meet), new Memory("two", meet)]
    await notifier([one, two], { limit: 2_000 }).notifier.notify(event("a"))
    expect([one.got, two.got]).toEqual([["a"], ["a"]])
  })

  it("tells one sink in order, even when nobody waits", async () => {
    const sink = new Memory("slow", ({ message }) => after(message === "trouble" ? 20 : 0))
    const { notifier: told } = notifier([sink], { limit: 2_000, flush: 2_000 })
    void told.notify(event("trouble"))
    void told.notify(event("over"))
    await told.flush()
    expect(sink.got).toEqual(["trouble", "over"])
  })

  it("gives the event as it was when it was told", async () => {
    const sink = new Memory("one")
    const { notifier: told } = notifier([sink])
    const changed = event("before")
    const tell = told.notify(changed)
    changed.message = "after"
    await tell
    expect(sink.got).toEqual(["before"])
  })

  it("goes on when a sink fails, and says so once", async () => {
    const bad: Sink = { name: "slack", send: () => Promise.reject(new Error("403\nForbidden")) }
    const good = new Memory("good")
    const { notifier: told, lines } = notifier([bad, good])
    await told.notify(event("a"))
    await told.notify(event("b"))
    await told.flush()
    expect(good.got).toEqual(["a", "b"])
    expect(told.failures).toEqual([{ sink: "slack", reason: "403 Forbidden", events: 2 }])
    expect(lines).toEqual(["notifications: slack did not take an event: 403 Forbidden"])
  })

  it("goes on when a sink throws before it has begun", async () => {
    const bad: Sink = {
      name: "broken",
      send: () => {
        throw new TypeError("no address")
      },
    }
    const { notifier: told } = notifier([bad])
    await told.notify(event("a"))
    expect(told.failures).toEqual([{ sink: "broken", reason: "no address", events: 1 }])
  })

  it("tells a sink again after a failure", async () => {
    let failures = 1
    const sink = new Memory("shaky", () =>
      failures-- > 0 ? Promise.reject(new Error("502")) : Promise.resolve(),
    )
    const { notifier: told } = notifier([sink])
    await told.notify(event("a"))
    await told.notify(event("b"))
    expect(sink.got).toEqual(["b"])
    expect(told.failures).toEqual([{ sink: "shaky", reason: "502", events: 1 }])
  })

  it("keeps addresses of webhooks out of what it reports", async () => {
    const message = "POST https://user:word@hooks.example.com/services/T0/B0/secret?token=secret failed"
    const { notifier: told, lines } = notifier([
      { name: "slack", send: () => Promise.reject(new Error(message)) },
    ])
    await told.notify(event("a"))
    expect(lines).toEqual([
      "notifications: slack did not take an event: POST https://hooks.example.com/… failed",
    ])
    expect(JSON.stringify(told.failures)).not.toMatch(/secret|word/)
  })

  it("waits for a sink that hangs once, and for a bounded time", async () => {
    const hung = new Memory("pager", forever)
    const good = new Memory("good")
    const { notifier: told } = notifier([hung, good], { limit: 300, flush: 300 })
    expect(await milliseconds(() => told.notify(event("a")))).toBeGreaterThanOrEqual(290)
    expect(
      await milliseconds(async () => {
        for (const message of ["b", "c", "d", "e"]) await told.notify(event(message))
      }),
    ).toBeLessThan(290)
    expect(good.got).toEqual(["a", "b", "c", "d", "e"])
    expect(await milliseconds(() => told.flush())).toBeLessThan(2_000)
    expect(told.failures).toEqual([{ sink: "pager", reason: "no answer within 0.3 s", events: 5 }])
  })

  it("does not wait longer when much is told at once", async () => {
    const { notifier: told } = notifier([new Memory("pager", forever)], { limit: 100 })
    const all = Array.from({ length: 20 }, (_, at) => told.notify(event(String(at))))
    expect(await milliseconds(() => Promise.all(all))).toBeLessThan(1_000)
  })

  it("waits again for a sink that has come back", async () => {
    let slow = true
    const sink = new Memory("pager", () => (slow ? forever() : after(20)))
    const { notifier: told } = notifier([sink], { limit: 60, flush: 500 })
    await told.notify(event("a"))
    slow = false
    await told.notify(event("b"))
    await told.flush()
    await told.notify(event("c"))
    expect(sink.got).toEqual(["b", "c"])
  })

  it("tells a sink that nobody waits any longer", async () => {
    const sink = new Memory("pager", forever)
    const { notifier: told } = notifier([sink])
    await told.notify(event("a"))
    await told.flush()
    expect(sink.signals.map(({ aborted }) => aborted)).toEqual([true])
  })

  it("does not mind what comes of it later", async () => {
    const unhandled = vi.fn()
    process.on("unhandledRejection", unhandled)
    try {
      const sink = new Memory("pager", async () => {
        await after(50)
        throw new Error("too late")
      })
      const { notifier: told } = notifier([sink], { limit: 10 })
      await told.notify(event("a"))
      await after(80)
      expect(told.failures).toEqual([{ sink: "pager", reason: "no answer within 0.01 s", events: 1 }])
      expect(unhandled).not.toHaveBeenCalled()
    } finally {
      process.off("unhandledRejection", unhandled)
    }
  })
})

describe("flush", () => {
  it("waits for what is under way", async () => {
    const sink = new Memory("slow", () => after(30))
    const { notifier: told } = notifier([sink], { limit: 500, flush: 1_000 })
    void told.notify(event("a"))
    void told.notify(event("b"))
    expect(sink.got).toEqual([])
    await told.flush()
    expect(sink.got).toEqual(["a", "b"])
  })

  it("gives up what does not end, and all that waits behind it", async () => {
    const sink = new Memory("pager", forever)
    const { notifier: told, lines } = notifier([sink], { limit: 10_000, flush: 50 })
    for (const message of ["a", "b", "c"]) void told.notify(event(message))
    expect(await milliseconds(() => told.flush())).toBeLessThan(2_000)
    expect(told.failures).toEqual([{ sink: "pager", reason: "not done after 0.05 s", events: 3 }])
    expect(lines).toHaveLength(1)
    expect(sink.signals).toHaveLength(1)
    expect(sink.signals[0]?.aborted).toBe(true)
  })

  it("is not the end: what is told after it arrives", async () => {
    let hangs = true
    const sink = new Memory("pager", () => (hangs ? forever() : Promise.resolve()))
    const { notifier: told } = notifier([sink], { limit: 10_000, flush: 30 })
    void told.notify(event("a"))
    await told.flush()
    hangs = false
    await told.notify(event("b"))
    await told.flush()
    expect(sink.got).toEqual(["b"])
    expect(told.failures).toMatchObject([{ events: 1 }])
  })
})

describe("beside a sink that takes nothing", () => {
  it("has the events in order, and the trouble of a full disk beside them", async () => {
    const file = new Memory("a file")
    const { notifier: told, lines } = notifier([fullDisk(), file], { limit: 5_000, flush: 5_000 })
    for (let at = 0; at < 30; at++) void told.notify(event(String(at)))
    await told.flush()
    expect(file.got.map(Number)).toEqual([...Array(30).keys()])
    expect(told.failures).toEqual([{ sink: "a full disk", reason: "no space left on device", events: 30 }])
    expect(lines).toHaveLength(1)
  })

  it("reports on stderr", async () => {
    const stderr = vi.spyOn(process.stderr, "write").mockReturnValue(true)
    try {
      await new Notifier([fullDisk()]).notify(event("a"))
      expect(stderr.mock.calls).toEqual([
        ["notifications: a full disk did not take an event: no space left on device\n"],
      ])
    } finally {
      stderr.mockRestore()
    }
  })
})
