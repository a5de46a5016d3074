import { describe, expect, it } from "vitest"
import { AuditLog, entryObject, readEntry } from "../../src/delivery/audit.js"
import { FakeCluster } from "../clients/kubernetes/fake.js"
import { FakeClock } from "../lib/fake-clock.js"
import type { DeliveryEvent } from "../../src/delivery/events/event.js"
import { checked, promoted, started } from "./events.js"

const namespace = "f1-production"

describe("an entry", () => {
  it("comes back from the cluster as it was written", () => {
    const overridden = { reason: "agreed with Ada", guards: ["freeze"] }
    for (const event of [started({ overridden }), promoted(), checked()]) {
      expect(readEntry(entryObject(namespace, event))).toEqual(event)
    }
  })

  it("is immutable, and its name tells component, operation and kind", () => {
    const object = entryObject(namespace, started())
    expect(object).toMatchObject({
      immutable: true,
      metadata: {
        namespace,
        labels: { "app.kubernetes.io/name": "api", "pitwall.dev/audit": "started" },
      },
      data: { by: "dora" },
    })
    expect(object.metadata?.name).toMatch(/^audit-api-one-started-[0-9a-f]{8}$/)
  })

  it.each<Record<string, string>>([
    {},
    { entry: "{" },
    { entry: '{"kind":"started"}' },
    { entry: JSON.stringify({ ...started(), schemaVersion: 2 }) },
    { entry: JSON.stringify({ ...started(), kind: "teleported" }) },
  ])("cannot be read from %j", (data) => {
    expect(readEntry({ metadata: { namespace, name: "odd" }, data })).toBeUndefined()
  })

  it("may have fields that this version does not know", () => {
    const later = entryObject(namespace, { ...started(), signature: "later" } as DeliveryEvent)
    expect(later.data?.entry).toContain("signature")
    expect(readEntry(later)).toEqual(started())
  })

  it("does not count with another author than the one that the admission policy has compared with the user", () => {
    const { metadata, data } = entryObject(namespace, started({ by: "grace" }))
    expect(readEntry({ ...(metadata && { metadata }), data: { ...data, by: "dora" } })).toBeUndefined()
  })

  it("does not count under the name of another one", () => {
    const { metadata } = entryObject(namespace, promoted({ kind: "rolled-back" }))
    const { data } = entryObject(namespace, promoted())
    expect(readEntry({ ...(metadata && { metadata }), ...(data && { data }) })).toBeUndefined()
  })
})

describe("the audit log", () => {
  const log = () => {
    const cluster = new FakeCluster(new FakeClock())
    return { cluster, audit: new AuditLog(cluster.client(), namespace) }
  }

  it("keeps an event once, whoever records it again", async () => {
    const { audit } = log()
    expect(await audit.write(promoted())).toBe(true)
    expect(await audit.write(promoted({ by: "grace" }))).toBe(false)
    expect((await audit.read()).events).toEqual([promoted()])
  })

  it("is not fooled by an entry that somebody wrote before", async () => {
    const { audit } = log()
    await audit.write(promoted({ message: "a lie" }))
    expect(await audit.write(promoted({ kind: "rolled-back", message: "5 % errors" }))).toBe(true)
    expect(await audit.write(promoted())).toBe(true)
    expect((await audit.read()).events).toHaveLength(3)
  })

  it("loses no event whose name somebody else has taken, and records it once all the same", async () => {
    const { audit, cluster } = log()
    const end = promoted({ kind: "rolled-back", message: "5 % errors" })
    const { data } = entryObject(namespace, promoted({ by: "eve" }))
    const taken = entryObject(namespace, end)
    cluster.put({ ...taken, ...(data && { data }) })
    expect(await audit.write(end)).toBe(true)
    expect(await audit.write({ ...end, by: "grace" })).toBe(false)
    expect(await audit.read()).toEqual({ events: [end], unreadable: [taken.metadata?.name] })
  })

  it("says so where every name of an event is taken", async () => {
    const { audit, cluster } = log()
    for (const number of [1, 2, 3, 4, 5])
      cluster.put({ ...entryObject(namespace, started(), number), data: { entry: "{}", by: "eve" } })
    await expect(audit.write(started())).rejects.toThrow(
      /other entries under the name audit-api-one-started-/,
    )
  })

  it("names entries that cannot be read, and shows all others", async () => {
    const { audit, cluster } = log()
    await audit.write(started())
    cluster.put({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { namespace, name: "odd", labels: { "pitwall.dev/audit": "started" } },
      data: { entry: "{" },
    })
    expect(await audit.read()).toEqual({ events: [started()], unreadable: ["odd"] })
  })

  it("loses what is older than a moment when it is pruned, and nothing that it cannot read", async () => {
    const { audit, cluster } = log()
    for (const event of [
      started(),
      promoted(),
      started({ operation: "two", at: "2026-11-27T10:00:00.000Z" }),
    ])
      await audit.write(event)
    cluster.put({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { namespace, name: "odd", labels: { "pitwall.dev/audit": "started" } },
    })
    expect(await audit.prune(Date.parse("2026-11-27T00:00:00Z"))).toBe(2)
    const { events, unreadable } = await audit.read()
    expect(events.map(({ operation }) => operation)).toEqual(["two"])
    expect(unreadable).toEqual(["odd"])
  })
})
