import { describe, expect, it } from "vitest"
import { ApiError, type KubernetesObject } from "../../src/clients/kubernetes/client.js"
import { ClusterPods } from "../../src/backends/revisions/pods.js"
import { Revisions } from "../../src/backends/revisions/revisions.js"
import { revisionObjects } from "../../src/backends/manifests/objects.js"
import { FakeClock } from "../lib/fake-clock.js"
import { full, release, workload } from "./manifests/fixtures.js"
import { FakeCluster, startup } from "../clients/kubernetes/fake.js"

const plan = workload(full)

function begin() {
  const clock = new FakeClock()
  const cluster = new FakeCluster(clock)
  const client = cluster.client()
  const revisions = new Revisions(client, "f1-staging", "f1-backend")
  const objects = (change = {}) => revisionObjects(plan, release(change))
  return { clock, cluster, client, revisions, objects }
}

describe("Revisions", () => {
  it("makes pods when all that they mount is there, and belongs to their Deployment", async () => {
    const { cluster, revisions, objects } = begin()
    const order: string[] = []
    cluster.watchers.push(({ kind = "", spec }) => {
      order.push(`${kind} ${kind === "Deployment" ? String(spec?.replicas) : ""}`.trim())
    })
    await revisions.ensure(objects(), "print")
    expect(order.filter((step) => step.startsWith("Deployment"))).toEqual(["Deployment 0", "Deployment 2"])
    expect(order.at(-1)).toBe("Deployment 2")
    const uid = cluster.get("Deployment", "f1-backend-7")?.metadata?.uid
    for (const kind of ["ConfigMap", "Secret", "Service", "HorizontalPodAutoscaler"]) {
      expect(cluster.get(kind, "f1-backend-7")?.metadata?.ownerReferences).toMatchObject([{ uid }])
    }
    await revisions.remove(7)
    expect(cluster.get("Secret", "f1-backend-7")).toBeUndefined()
    expect(cluster.get("ServiceAccount", "f1-backend")).toBeDefined()
  })

  it("may be asked twice, and leaves the number of pods as it is", async () => {
    const { revisions, objects } = begin()
    await revisions.ensure(objects(), "print")
    await revisions.scale(7, 5)
    await revisions.ensure(objects(), "print")
    expect(await revisions.find(7)).toMatchObject({ wanted: 5 })
  })

  it("never makes another thing of a revision", async () => {
    const { revisions, objects } = begin()
    await revisions.ensure(objects(), "print")
    await expect(revisions.ensure(objects(), "another")).rejects.toThrow("exists with other contents")
    const secrets = { jwt_secret_key: "hunter2-another-key" }
    const changed = revisions.ensure(objects({ secrets }), "print")
    await expect(changed).rejects.toThrow("Secret f1-backend-7 exists with other contents")
    await expect(changed).rejects.not.toThrow(/hunter2/)
  })

  it("does not use what is about to go with another Deployment", async () => {
    const { cluster, client, revisions, objects } = begin()
    await revisions.ensure(objects(), "print")
    const left = cluster.get("ConfigMap", "f1-backend-7")
    await revisions.remove(7)
    cluster.put(left ?? {})
    await expect(revisions.ensure(objects(), "print")).rejects.toThrow("belongs to a Deployment that is gone")
    await client.delete(left ?? {})
    await revisions.ensure(objects(), "print")
  })

  it("says what it keeps, newest first", async () => {
    const { clock, revisions, objects } = begin()
    await revisions.ensure(objects({ revision: 2 }), "two")
    await revisions.ensure(objects({ revision: 10 }), "ten")
    await revisions.recordOutcome(2, "promoted")
    await clock.pass(startup)
    const [newest, older] = await revisions.all()
    expect(newest).toEqual({
      number: 10,
      image: release().image,
      digest: release().digest,
      version: "1.4.0",
      fingerprint: "ten",
      createdAt: "2026-03-02T10:00:00.000Z",
      wanted: 2,
      ready: 2,
      schema: { head: "0012", breaking: ["0009", "0011"] },
      pullSecrets: ["registry"],
      configMap: "f1-backend-10",
    })
    expect(older).toMatchObject({ number: 2, outcome: "promoted" })
    expect(await revisions.find(3)).toBeUndefined()
  })

  it("says how far a revision has come, and what is in its way", async () => {
    const { clock, cluster, revisions, objects } = begin()
    expect(await revisions.readiness(7)).toMatchObject({ failure: "the Deployment of revision 7 is gone" })
    await revisions.ensure(objects(), "print")
    expect(await revisions.readiness(7)).toEqual({ wanted: 2, ready: 0, serving: 0 })
    await clock.pass(startup)
    expect(await revisions.readiness(7)).toEqual({ wanted: 2, ready: 2, serving: 2 })
    cluster.health.set(7, "crashing")
    expect((await revisions.readiness(7)).failure).toMatch(/^f1-backend-7-pod-\d+: it ended with exit code 1/)
  })

  it("shows the log of the container that crashed, wherever others were injected", async () => {
    const { clock, cluster, client, objects } = begin()
    const asked: unknown[] = []
    // The API server chooses no container for a caller that names none.
    const logs: typeof client.logs = (...asking) => {
      asked.push(asking)
      return Promise.resolve(`${"x".repeat(200_000)}\n${"y\n".repeat(50)}ValueError: no such setting`)
    }
    const revisions = new Revisions({ ...client, logs }, "f1-staging", "f1-backend")
    await revisions.ensure(objects(), "print")
    await clock.pass(startup)
    cluster.health.set(7, "crashing")
    const { failure = "" } = await revisions.readiness(7)
    expect(failure).toMatch(/its log ends with:\n[^]*\nValueError: no such setting$/)
    expect(failure.length).toBeLessThan(2_000)
    expect(asked).toEqual([["f1-staging", expect.any(String), { container: "f1-backend", previous: true }]])
  })

  it("shows no secret of the pod in the log of a crash, and no log without knowing the secrets", async () => {
    const { clock, cluster, client, objects } = begin()
    const { secrets } = release()
    const logs = () => Promise.resolve(`bad settings: ${Object.values(secrets).join(", ")}`)
    const revisions = new Revisions({ ...client, logs }, "f1-staging", "f1-backend")
    await revisions.ensure(objects(), "print")
    await clock.pass(startup)
    cluster.health.set(7, "crashing")
    expect((await revisions.readiness(7)).failure).toMatch(
      /its log ends with:\nbad settings: \*\*\*, \*\*\*$/,
    )
    const read: typeof client.read = (object) =>
      object.kind === "Secret" ? Promise.reject(new ApiError(403, "Forbidden", "no")) : client.read(object)
    const blind = new Revisions({ ...client, logs, read }, "f1-staging", "f1-backend")
    expect((await blind.readiness(7)).failure).toMatch(/its log cannot be read: no$/)
  })

  it("holds pods as far as the autoscaler may go, and lets them go again", async () => {
    const { cluster, revisions, objects } = begin()
    await revisions.ensure(objects(), "print")
    const state = async () => ({
      least: cluster.get("HorizontalPodAutoscaler", "f1-backend-7")?.spec?.minReplicas,
      wanted: (await revisions.find(7))?.wanted,
    })
    expect(await revisions.holdReplicas(7, 4)).toBe(4)
    expect(await revisions.holdReplicas(7, 9)).toBe(6)
    expect(await state()).toEqual({ least: 6, wanted: 6 })
    await revisions.scale(7, 0)
    expect(await revisions.holdReplicas(7, 0)).toBe(2)
    await revisions.releaseReplicas(7)
    await revisions.releaseReplicas(7)
    expect(await state()).toEqual({ least: 2, wanted: 2 })
  })
})

describe("a fresh baseline", () => {
  /** Revision 7 in service, and revision 8 that is to be judged against it. */
  async function judged() {
    const there = begin()
    const { clock, cluster, revisions, objects } = there
    await revisions.ensure(objects(), "seven")
    await revisions.ensure(objects({ revision: 8 }), "eight")
    await revisions.ensureBaseline(8, { stable: 7, replicas: 3, port: 8000 })
    await clock.pass(startup)
    return { ...there, deployment: () => cluster.get("Deployment", "f1-backend-8-baseline") }
  }

  it("is neither of the two revisions, and neither has its pods", async () => {
    const { client, revisions } = await judged()
    expect((await revisions.all()).map(({ number }) => number)).toEqual([8, 7])
    expect(await revisions.baselines()).toMatchObject([
      { number: 8, digest: release().digest, image: release().image, wanted: 3, ready: 3 },
    ])
    const names = async (whose?: "baseline") =>
      (await revisions.pods(8, whose)).map(({ metadata }) => metadata?.name?.replace(/-pod.*/, ""))
    expect(await names()).toEqual(Array(2).fill("f1-backend-8"))
    expect(await names("baseline")).toEqual(Array(3).fill("f1-backend-8-baseline"))
    expect(await revisions.pods(7)).toHaveLength(2)
    const version = { namespace: "f1-staging", service: "f1-backend", revision: 8 }
    const measured = async (role: "candidate" | "baseline") =>
      (await new ClusterPods(client).pods({ ...version, role })).wanted
    expect([await measured("candidate"), await measured("baseline")]).toEqual([2, 3])
  })

  it("may be asked for twice, grows and never shrinks, and stays what it is", async () => {
    const { client, cluster, revisions, deployment } = await judged()
    const before = deployment()
    cluster.merge(cluster.get("Deployment", "f1-backend-7") ?? {}, {
      spec: { template: { metadata: { annotations: { restarted: "now" } } } },
    })
    const address = cluster.get("Service", "f1-backend-8-baseline") ?? {}
    // As after a command that died between the two.
    await client.delete(address)
    await revisions.ensureBaseline(8, { stable: 7, replicas: 2, port: 8000 })
    expect(deployment()).toEqual(before)
    expect(cluster.get("Service", "f1-backend-8-baseline")?.spec).toEqual(address.spec)
    await revisions.ensureBaseline(8, { stable: 7, replicas: 5, port: 8000 })
    expect(deployment()?.spec).toEqual({ ...before?.spec, replicas: 5 })
  })

  it("goes with the revision that is judged against it, and its Service goes with it", async () => {
    const { cluster, revisions, deployment } = await judged()
    const owner = (thing = deployment()) => thing?.metadata?.ownerReferences?.map(({ name }) => name)
    const address = () => cluster.get("Service", "f1-backend-8-baseline")
    expect([owner(), owner(address())]).toEqual([["f1-backend-8"], ["f1-backend-8-baseline"]])
    await revisions.remove(8)
    expect([deployment(), address()]).toEqual([undefined, undefined])
  })

  it("is taken away with whatever was left of others, and nothing else is", async () => {
    const { cluster, revisions } = await judged()
    await revisions.ensureBaseline(7, { stable: 8, replicas: 1, port: 8000 })
    await revisions.removeBaselines()
    await revisions.removeBaselines()
    expect(cluster.all("Deployment").map(({ metadata }) => metadata?.name)).toEqual([
      "f1-backend-7",
      "f1-backend-8",
    ])
    expect(cluster.all("Service").map(({ metadata }) => metadata?.name)).toEqual([
      "f1-backend-7",
      "f1-backend-8",
    ])
  })

  it("says how far it has come, and where there is nothing to make it of", async () => {
    const { cluster, revisions } = await judged()
    expect(await revisions.readiness(8, "baseline")).toEqual({ wanted: 3, ready: 3, serving: 3 })
    cluster.health.set("f1-backend-8-baseline", "crashing")
    expect((await revisions.readiness(8, "baseline")).failure).toMatch(
      /^f1-backend-8-baseline-pod-\d+: it ended/,
    )
    await revisions.removeBaselines()
    await revisions.remove(7)
    await revisions.ensureBaseline(8, { stable: 7, replicas: 3, port: 8000 })
    expect(await revisions.readiness(8, "baseline")).toMatchObject({
      serving: 0,
      failure: "the Deployment of revision 8's baseline is gone",
    })
  })
})

describe("ClusterPods", () => {
  const version = { namespace: "f1-staging", service: "f1-backend", revision: 7, role: "candidate" } as const

  it("knows which pods of a revision run, and how many fail", async () => {
    const { clock, cluster, client, revisions, objects } = begin()
    const pods = new ClusterPods(client)
    await revisions.ensure(objects(), "print")
    const starting = await pods.pods(version)
    expect(starting).toMatchObject({ wanted: 2, failing: 2 })
    expect(starting.running).toHaveLength(2)
    await clock.pass(startup)
    expect(await pods.pods(version)).toEqual({ ...starting, failing: 0 })
    cluster.health.set(7, "crashing")
    expect(await pods.pods(version)).toEqual({ wanted: 2, failing: 2, running: [] })
    expect(await pods.pods({ ...version, revision: 8 })).toEqual({ wanted: 0, failing: 0, running: [] })
  })

  it("looks at the service's own container, wherever others were injected", async () => {
    const { client } = begin()
    const status = (sidecarRestarts: number, restarts: number, sidecar = true) => ({
      containerStatuses: [
        { name: "mesh", restartCount: sidecarRestarts, state: sidecar ? { running: {} } : { waiting: {} } },
        { name: "f1-backend", restartCount: restarts, state: { running: {} } },
      ],
    })
    const containers = [
      { name: "mesh", ports: [{ name: "http-admin", containerPort: 15000 }] },
      { name: "f1-backend", ports: [{ name: "http", containerPort: 8000 }] },
    ]
    const running = async (now: object) => {
      const pod = {
        metadata: { name: "pod-1", uid: "u" },
        spec: { containers },
        status: now,
      } as KubernetesObject
      return (await new ClusterPods({ ...client, list: () => Promise.resolve([pod]) }).pods(version)).running
    }
    const before = await running(status(0, 1))
    expect(before).toEqual([{ name: "pod-1:8000", instance: "u/1" }])
    expect(await running(status(3, 1, false))).toEqual(before)
    expect(await running(status(3, 2))).toEqual([{ name: "pod-1:8000", instance: "u/2" }])
  })

  it("reads a pod's metrics through the API server", async () => {
    const { client } = begin()
    const asked: unknown[] = []
    const answers = { status: 200, text: "http_requests_total 1" }
    const proxy = (...asking: unknown[]) => {
      asked.push(asking)
      return Promise.resolve(answers)
    }
    const pods = new ClusterPods({ ...client, proxy })
    const { signal } = new AbortController()
    expect(await pods.scrape("f1-staging", "f1-backend-7-x", signal)).toBe("http_requests_total 1")
    expect(asked).toEqual([["pods", "f1-staging", "f1-backend-7-x", "/metrics", undefined, signal]])
    answers.status = 503
    await expect(pods.scrape("f1-staging", "f1-backend-7-x", signal)).rejects.toThrow("/metrics answered 503")
  })
})
