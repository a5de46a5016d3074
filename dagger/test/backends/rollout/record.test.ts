import { describe, expect, it } from "vitest"
import {
  type RouteSettings,
  fromAnnotations,
  RolloutRecord,
  settledRevision,
  stateAnnotation,
  Superseded,
  toAnnotations,
} from "../../../src/backends/rollout/record.js"
import { abort, phases } from "../../../src/backends/rollout/rollout.js"
import { FakeClock } from "../../lib/fake-clock.js"
import { FakeCluster } from "../../clients/kubernetes/fake.js"
import { ApiError, type KubernetesObject } from "../../../src/clients/kubernetes/client.js"
import { rollout, settings } from "./fixtures.js"

const entrance: RouteSettings = {
  namespace: "f1-staging",
  service: "f1-backend",
  port: 8000,
  hostnames: ["f1.example"],
  gateway: { name: "public", namespace: "router" },
}

function begin() {
  const cluster = new FakeCluster(new FakeClock())
  const record = () => new RolloutRecord(cluster.client(), entrance, settings())
  const route = () => cluster.get("HTTPRoute", "f1-backend") ?? {}
  const weights = () => {
    const { rules } = route().spec as { rules: { backendRefs: { name: string; weight: number }[] }[] }
    return Object.fromEntries(rules[0]?.backendRefs.map(({ name, weight }) => [name, weight]) ?? [])
  }
  return { cluster, record, route, weights }
}

describe("RolloutRecord", () => {
  it.each(phases)("gives back what was written in %s, with its traffic", async (phase) => {
    const { record, weights } = begin()
    const state = rollout({ phase, step: 1 })
    await record().write(state)
    expect(await record().read()).toEqual(state)
    const candidate =
      phase === "shifting" ? 50 : ["promoting", "settling", "promoted"].includes(phase) ? 100 : 0
    expect(weights()).toEqual({
      ...(candidate < 100 && { "f1-backend-1": 100 - candidate }),
      ...(candidate > 0 && { "f1-backend-2": candidate }),
    })
  })

  it("says what people look for in single annotations", async () => {
    const { record, route } = begin()
    await record().write(rollout({ phase: "shifting", message: "10 % of traffic" }))
    expect(route().metadata?.annotations).toMatchObject({
      "pitwall.dev/phase": "shifting",
      "pitwall.dev/traffic": "1=90% 2=10%",
      "pitwall.dev/message": "10 % of traffic",
    })
  })

  it("sends users to the baseline of a rollout that has one, and says so", async () => {
    const { record, route, weights } = begin()
    const state = rollout({ phase: "shifting", baseline: true })
    await record().write(state)
    expect(await record().read()).toEqual(state)
    expect(weights()).toEqual({ "f1-backend-1": 80, "f1-backend-2-baseline": 10, "f1-backend-2": 10 })
    expect(route().metadata?.annotations?.["pitwall.dev/traffic"]).toBe("1=80% 2-baseline=10% 2=10%")
  })

  it("knows none where there is no HTTPRoute", async () => {
    const { record } = begin()
    expect(await record().read()).toBeUndefined()
  })

  it("refuses what was decided from an old state", async () => {
    const { record } = begin()
    await record().write(rollout())
    const [one, other] = [record(), record()]
    await Promise.all([one.read(), other.read()])
    await one.write(rollout({ phase: "verifying" }))
    await expect(other.write(rollout({ phase: "aborting" }))).rejects.toThrow(Superseded)
    expect(await record().read()).toMatchObject({ phase: "verifying" })
    await one.write(rollout({ phase: "shifting" }))
    expect(await record().read()).toMatchObject({ phase: "shifting" })
  })

  it.each(["create", "merge"] as const)(
    "recognises its own write when the answer to %s was lost",
    async (verb) => {
      const { cluster } = begin()
      if (verb === "merge") await new RolloutRecord(cluster.client(), entrance, settings()).write(rollout())
      const client = cluster.client()
      const send = client[verb] as (...asked: unknown[]) => Promise<KubernetesObject>
      Object.assign(client, {
        [verb]: async (...asked: unknown[]) => {
          await send(...asked)
          return send(...asked)
        },
      })
      const record = new RolloutRecord(client, entrance, settings())
      await record.read()
      await record.write(rollout({ phase: "verifying" }))
      expect(await record.read()).toMatchObject({ phase: "verifying" })
    },
  )

  it("keeps what an operator added to the route, and follows the settings otherwise", async () => {
    const { cluster, record, route } = begin()
    const filters = [{ type: "ResponseHeaderModifier" }]
    await record().write(rollout())
    const [rule] = route().spec?.rules as object[]
    const own = [
      { ...rule, timeouts: { request: "30s" } },
      { filters: [{ type: "RequestRedirect" }] },
      { matches: [], backendRefs: [{ name: "legacy", weight: 1 }], filters },
    ]
    const parents = route().spec?.parentRefs as object[]
    const mesh = { group: "", kind: "Service", name: "mesh" }
    cluster.merge(route(), {
      spec: { rules: own, hostnames: ["f1.example", "added.example"], parentRefs: [...parents, mesh] },
    })
    const changed = {
      ...entrance,
      hostnames: ["new.example"],
      gateway: { ...entrance.gateway, section: "https" },
    }
    const next = new RolloutRecord(cluster.client(), changed, settings())
    await next.read()
    await next.write(rollout({ phase: "shifting" }))
    const { hostnames, parentRefs, rules } = route().spec as Record<string, object[]>
    expect(hostnames).toEqual(["new.example", "added.example"])
    expect(parentRefs).toMatchObject([{ name: "public", sectionName: "https" }, { name: "mesh" }])
    expect(rules).toMatchObject([
      {
        timeouts: { request: "30s" },
        backendRefs: [
          { name: "f1-backend-1", weight: 90 },
          { name: "f1-backend-2", weight: 10 },
        ],
      },
      { filters: [{ type: "RequestRedirect" }] },
      own[2],
    ])
    expect(next.traffic()).toEqual([
      { revision: 1, weight: 90 },
      { revision: 2, weight: 10 },
    ])
  })

  it("shortens its message where other annotations leave no room for it", async () => {
    const { cluster, weights } = begin()
    await new RolloutRecord(cluster.client(), entrance, settings()).write(rollout({ phase: "promoting" }))
    const client = cluster.client()
    const { merge } = client
    client.merge = (thing, patch) =>
      JSON.stringify(patch).length > 2000
        ? Promise.reject(new ApiError(422, "Invalid", "metadata.annotations: Too long"))
        : merge(thing, patch)
    const record = new RolloutRecord(client, entrance, settings())
    await record.read()
    await record.write(rollout({ phase: "aborting", message: "x".repeat(1900) }))
    expect(weights()).toEqual({ "f1-backend-1": 100 })
    expect((await record.read())?.message).toBe(`${"x".repeat(99)}…`)
  })

  it("shows the traffic that there is, not the one that its state stands for", async () => {
    const { cluster, record, route } = begin()
    await record().write(rollout({ phase: "shifting" }))
    const [{ backendRefs }] = route().spec?.rules as [{ backendRefs: object[] }]
    const byHand = backendRefs.map((ref, at) => ({ ...ref, weight: at === 0 ? 1 : 3 }))
    cluster.merge(route(), { spec: { rules: [{ backendRefs: byHand }] } })
    const reader = record()
    await reader.read()
    expect(reader.traffic()).toEqual([
      { revision: 1, weight: 25 },
      { revision: 2, weight: 75 },
    ])
  })

  it("lets one of two begin", async () => {
    const { record } = begin()
    const [one, other] = [record(), record()]
    await Promise.all([one.read(), other.read()])
    await one.write(rollout({ id: "one" }))
    await expect(other.write(rollout({ id: "other" }))).rejects.toThrow(Superseded)
  })

  it("is not taken in by a status that the router writes", async () => {
    const { cluster, record, route } = begin()
    const mine = record()
    await mine.write(rollout())
    cluster.merge(route(), { status: { parents: [{ conditions: [] }] } })
    await mine.write(rollout({ phase: "verifying" }))
    expect(await record().read()).toMatchObject({ phase: "verifying" })
  })

  it("does not write on when the HTTPRoute was deleted", async () => {
    const { cluster, record, route } = begin()
    const mine = record()
    await mine.write(rollout())
    await cluster.client().delete(route())
    await expect(mine.write(rollout({ phase: "verifying" }))).rejects.toThrow(Superseded)
    expect(cluster.get("HTTPRoute", "f1-backend")).toBeUndefined()
  })

  it("takes traffic as it finds it when its annotations were taken away", async () => {
    const { cluster, record, route, weights } = begin()
    await record().write(rollout({ phase: "shifting" }))
    cluster.merge(route(), { metadata: { annotations: { [stateAnnotation]: null } } })
    const mine = record()
    const found = await mine.read()
    expect(settledRevision(found)).toBe(1)
    await mine.write(rollout({ id: "next", revision: 3 }))
    expect(weights()).toEqual({ "f1-backend-1": 100 })
  })

  it.each([
    ["10", 0, "1", 1],
    ["50, of which the stable revision has none by itself", 1, "1", 1],
    ["60", 2, "1", 2],
  ])("takes a baseline's traffic for the stable revision's at %s", async (_, step, home, stable) => {
    expect(settledRevision(await unannotated(step, home))).toBe(stable)
  })

  it("does not guess whose a baseline's traffic was", async () => {
    await expect(unannotated(1, undefined)).rejects.toThrow(
      "sends requests to the Service f1-backend-2-baseline, which is no revision of f1-backend",
    )
  })

  /** What is made of a rollout with a baseline whose annotations were taken away. */
  async function unannotated(step: number, home: string | undefined) {
    const { cluster } = begin()
    const steps = [10, 50, 60].map((weight) => ({ weight, for: 6 }))
    const record = new RolloutRecord(cluster.client(), entrance, settings({ steps }))
    await record.write(rollout({ phase: "shifting", step, baseline: true }))
    if (home !== undefined) {
      cluster.put({
        apiVersion: "v1",
        kind: "Service",
        metadata: { namespace: "f1-staging", name: "f1-backend" },
        spec: { selector: { "pitwall.dev/revision": home } },
      })
    }
    cluster.merge(cluster.get("HTTPRoute", "f1-backend") ?? {}, {
      metadata: { annotations: { [stateAnnotation]: null } },
    })
    return record.read()
  }

  it("does not touch traffic of others", async () => {
    const { cluster, record } = begin()
    const rules = [{ backendRefs: [{ name: "legacy", port: 80, weight: 1 }] }]
    cluster.put({
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "HTTPRoute",
      metadata: { namespace: "f1-staging", name: "f1-backend" },
      spec: { rules },
    })
    await expect(record().read()).rejects.toThrow(
      "the HTTPRoute f1-backend sends requests to the Service legacy, which is no revision of f1-backend",
    )
  })

  it("has a patch that leads where the state leads, and leaves host names alone", async () => {
    const { cluster, record, route, weights } = begin()
    const mine = record()
    const state = rollout({ phase: "promoting" })
    await mine.write(state)
    cluster.merge(route(), { spec: { hostnames: ["new.example"] } })
    cluster.merge(route(), mine.patchOf(abort(state, "unattended", 5)) as Record<string, unknown>)
    expect(weights()).toEqual({ "f1-backend-1": 100 })
    expect(route().spec?.hostnames).toEqual(["new.example"])
    expect(await record().read()).toMatchObject({ phase: "aborting", message: "unattended", since: 5 })
  })
})

describe("fromAnnotations", () => {
  it.each([
    ["no JSON", "{", /remove it to begin anew with the traffic as it is/],
    ["another version's", JSON.stringify({ id: "r1" }), /service: is missing: it must be text/],
    [
      "a phase that there is not",
      JSON.stringify(rollout({ phase: "resting" as never })),
      /phase: allowed: "/,
    ],
  ])("says what is wrong with %s", (_, text, message) => {
    expect(() => fromAnnotations({ [stateAnnotation]: text })).toThrow(message)
    expect(() => fromAnnotations({ [stateAnnotation]: text })).toThrow(
      `the annotation ${stateAnnotation} of the HTTPRoute cannot be read`,
    )
  })

  it("reads what was written before there were baselines", () => {
    const old =
      '{"id":"r2","service":"f1-backend","strategy":"canary","kind":"deploy","revision":2,"stable":1,' +
      '"digest":"sha256:b2","phase":"shifting","step":1,"since":5,"began":1,"by":"ada","author":"grace",' +
      '"reason":"release","message":"50 % of traffic","controller":"ada (1)"}'
    expect(fromAnnotations({ [stateAnnotation]: old })).toEqual(JSON.parse(old))
  })

  it("knows none where there is none", () => {
    expect(fromAnnotations({ other: "x" })).toBeUndefined()
    expect(fromAnnotations(undefined)).toBeUndefined()
    expect(fromAnnotations(toAnnotations(rollout(), settings()))).toEqual(rollout())
  })
})

describe("stableOf", () => {
  it.each([
    ["promoted", 2],
    ["aborted", 1],
    ["preparing", undefined],
    ["settling", undefined],
    ["aborting", undefined],
  ] as const)("is, when a rollout is %s, %s", (phase, stable) => {
    expect(settledRevision(rollout({ phase }))).toBe(stable)
  })

  it("is none without a rollout", () => {
    expect(settledRevision(undefined)).toBeUndefined()
  })
})
