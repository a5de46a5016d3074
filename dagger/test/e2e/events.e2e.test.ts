// The file that events of deploys go to, in a volume of the engine.
import { CacheSharingMode, type Container, connection, dag } from "@dagger.io/dagger"
import { aroundAll, describe, expect, it } from "vitest"
import { images } from "../../src/platform/base-images.js"
import type { Notification } from "../../src/delivery/events/event.js"
import { EventFile } from "../../src/delivery/events/file.js"
import { event } from "../delivery/events/event.js"

aroundAll((suite) => connection(suite))

let count = 0
/** An environment that nothing has happened to. */
const environment = () => `test-${Date.now()}-${++count}`

const lines = async (file: EventFile) => (await file.file().contents()).split("\n")
const messages = async (file: EventFile) =>
  (await lines(file)).filter((line) => line !== "").map((line) => (JSON.parse(line) as Notification).message)

/** Does something to the volume of an environment, as a writer might that died in it. */
async function meddle(name: string, command: string): Promise<Container> {
  return dag
    .container()
    .from(images.debian)
    .withMountedCache("/events", dag.cacheVolume(`events-${name}`), { sharing: CacheSharingMode.Locked })
    .withExec(["sh", "-ec", command])
    .sync()
}

describe("the file of events", () => {
  it("is empty where nothing has happened", async () => {
    expect(await new EventFile(environment()).file().contents()).toBe("")
  })

  it("holds one line an event, whatever is in it, and nothing of another environment", async () => {
    const [file, other] = [new EventFile(environment()), new EventFile(environment())]
    const odd = {
      ...event(`two\nlines, "quotes" $(date) \u2028 é 🏎 ${"x".repeat(20_000)}`),
      resolves: true as const,
    }
    await file.send(event("first"))
    await other.send(event("elsewhere"))
    await file.send(odd)
    const [first = "", second = "", ...rest] = await lines(file)
    expect([JSON.parse(first), JSON.parse(second)]).toEqual([event("first"), odd])
    expect(rest).toEqual([""])
  })

  it("has an event twice that was sent twice", async () => {
    const file = new EventFile(environment())
    await file.send(event("again"))
    await file.send(event("again"))
    expect(await messages(file)).toEqual(["again", "again"])
  })

  it("loses and mixes nothing of several that write at once", async () => {
    const name = environment()
    const sent = Array.from({ length: 8 }, (_, at) => `${at} ${"x".repeat(10_000)}`)
    await Promise.all(sent.map((message) => new EventFile(name).send(event(message))))
    expect((await messages(new EventFile(name))).sort()).toEqual(sent)
  })

  it("keeps a line whole after one that was half written", async () => {
    const name = environment()
    await new EventFile(name).send(event("first"))
    await meddle(name, `printf '{"at":"2026-' >> /events/events.jsonl`)
    await new EventFile(name).send(event("second"))
    const [, half, whole = "", ...rest] = await lines(new EventFile(name))
    expect(half).toBe('{"at":"2026-')
    expect((JSON.parse(whole) as Notification).message).toBe("second")
    expect(rest).toEqual([""])
  })

  it("says so where an event cannot be written", async () => {
    const name = environment()
    await meddle(name, "mkdir /events/events.jsonl")
    await expect(new EventFile(name).send(event("lost"))).rejects.toThrow(/events\.jsonl: Is a directory/)
  })
})
