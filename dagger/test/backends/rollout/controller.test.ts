import { describe, expect, it } from "vitest"
import { Revisions } from "../../../src/backends/revisions/revisions.js"
import { cleanUp, requestAbort } from "../../../src/backends/rollout/controller.js"
import { LeaseHeld } from "../../../src/delivery/lease.js"
import { RolloutRecord, Superseded } from "../../../src/backends/rollout/record.js"
import { abort, type Rollout, takeOver } from "../../../src/backends/rollout/rollout.js"
import { rollout, settings } from "./fixtures.js"
import { beside, deployment, entrance, nameOf, Platform, rights, service } from "./platform.js"

describe("Controller", () => {
  it("shifts a good canary step by step, with as many pods as there were", async () => {
    const platform = await Platform.begin()
    const states: string[] = []
    const entered = ({ phase, step }: Rollout) => states.push(`${phase} ${step}`)
    expect(await platform.run({}, { entered })).toMatchObject({ phase: "promoted", revision: 2 })
    expect(platform.shares).toEqual([10, 50, 100])
    expect(states).toEqual([
      "verifying 0",
      "shifting 0",
      "shifting 1",
      "promoting 0",
      "settling 0",
      "promoted 0",
    ])
    platform.expectOn(2, 1)
    expect(platform.cluster.get("Deployment", nameOf(2))?.metadata?.annotations).toMatchObject({
      "pitwall.dev/outcome": "promoted",
    })
    expect(platform.leaseSpec).not.toHaveProperty("holderIdentity")
  })

  it("switches blue-green at once, and keeps blue with its pods until the delay is over", async () => {
    const platform = await Platform.begin()
    const seen: Record<string, unknown> = {}
    const entered = ({ phase }: Rollout) => {
      seen[phase] = [
        platform.cluster.serving(nameOf(1)),
        platform.cluster.serving(nameOf(2)),
        platform.inside,
      ]
    }
    await platform.run({ strategy: "blue-green" }, { entered })
    expect(platform.shares).toEqual([100])
    expect(seen).toEqual({
      verifying: [4, 4, "1"],
      promoting: [4, 4, "1"],
      settling: [4, 4, "2"],
      promoted: [4, 4, "2"],
    })
    platform.expectOn(2, 1)
  })

  it("holds capacity: no autoscaler takes pods from who may soon have all traffic", async () => {
    const platform = await Platform.begin(7)
    const seen: Record<string, unknown> = {}
    const entered = ({ phase }: Rollout) => {
      seen[phase] = [platform.least(1), platform.least(2), platform.replicas(2)]
      // More users come while the canary is at it.
      if (phase === "shifting") platform.cluster.merge(deployment(1), { spec: { replicas: 8 } })
    }
    await platform.run({}, { entered })
    expect(seen).toMatchObject({ verifying: [7, 7, 7], promoting: [8, 8, 8], settling: [8, 8, 8] })
    platform.expectOn(2, 1, 8)
  })

  it.each([
    ["canary", [10, 0]],
    ["blue-green", [100, 0]],
  ] as const)("takes a %s with errors back", async (strategy, shares) => {
    const platform = await Platform.begin()
    const end = platform.deploy(
      { strategy },
      {
        plan: { prePromotion: 0 },
        entered: ({ phase }) => {
          if (["shifting", "promoting"].includes(phase)) platform.traffic.errors.set(2, 100)
        },
      },
    )
    expect(await platform.clock.until(end)).toMatchObject({
      phase: "aborted",
      message: expect.stringContaining("error rate 100 % is above 10 %") as string,
    })
    expect(platform.shares).toEqual(shares)
    platform.expectOn(1, 2)
    expect(platform.cluster.get("Deployment", nameOf(2))?.metadata?.annotations).toMatchObject({
      "pitwall.dev/outcome": "aborted",
    })
  })

  it.each([
    ["crashing", "ended with exit code 1, 2 times; its log ends with:\nValueError: no such setting"],
    ["never ready", "0 of 4 pods were ready after 60 s"],
  ] as const)("gives a revision that is %s no traffic", async (health, message) => {
    const platform = await Platform.begin()
    platform.cluster.health.set(2, health)
    const end = await platform.run()
    expect(end).toMatchObject({ phase: "aborted", message: expect.stringContaining(message) as string })
    expect(platform.shares).toEqual([])
    platform.expectOn(1, 2)
  })

  it("gives a revision that is not well no traffic", async () => {
    const platform = await Platform.begin()
    platform.smoke = { ok: false, reason: "its database does not answer" }
    expect(await platform.run()).toMatchObject({ phase: "aborted", message: "its database does not answer" })
    expect(platform.shares).toEqual([])
  })

  it("does not wait for a rule when no pod of the canary is left", async () => {
    const platform = await Platform.begin()
    let crashed = 0
    const entered = ({ phase }: Rollout) => {
      if (phase === "shifting") {
        platform.cluster.health.set(2, "crashing")
        crashed = platform.clock.now()
      }
      if (phase === "aborting") expect(platform.clock.now() - crashed).toBeLessThanOrEqual(1000)
    }
    const end = await platform.run({}, { entered })
    expect(end).toMatchObject({
      phase: "aborted",
      message: expect.stringContaining("none of 4 pods") as string,
    })
    expect(platform.shares).toEqual([10, 0])
  })

  it("brings a stable revision that somebody scaled down back before it needs it", async () => {
    const platform = await Platform.begin()
    const seen: Record<string, unknown> = {}
    const entered = ({ phase }: Rollout) => {
      seen[phase] = platform.cluster.serving(nameOf(1))
      if (phase === "promoting") platform.cluster.merge(deployment(1), { spec: { replicas: 0 } })
    }
    await platform.run({}, { entered })
    expect(seen).toMatchObject({ promoting: 4, settling: 4, promoted: 4 })
  })

  it("scales a kept revision up, to what there is now, before a rollback gives it traffic", async () => {
    const platform = await Platform.begin(6)
    await platform.run({ strategy: "blue-green" })
    expect(platform.replicas(1)).toBe(0)
    platform.shares.length = 0
    const back = { id: "r3", kind: "rollback", strategy: "blue-green", revision: 1, stable: 2 } as const
    expect(await platform.run(back)).toMatchObject({ phase: "promoted", revision: 1 })
    platform.expectOn(1, 2, 6)
    expect(platform.cluster.get("Deployment", nameOf(2))?.metadata?.annotations).toMatchObject({
      "pitwall.dev/outcome": "promoted",
    })
  })

  it("goes back by an operator's word, whatever the command is doing", async () => {
    const platform = await Platform.begin()
    const entered = ({ phase, step }: Rollout) => {
      if (phase !== "shifting" || step !== 1) return
      const record = new RolloutRecord(platform.cluster.client(), entrance, settings())
      void requestAbort(record, "grace saw something", () => platform.cluster.now())
    }
    expect(await platform.run({}, { entered })).toMatchObject({
      phase: "aborted",
      message: "grace saw something",
    })
    expect(platform.shares).toEqual([10, 50, 0])
    platform.expectOn(1, 2)
  })

  it("stops when its lease is another's, and leaves the rollout to it", async () => {
    const platform = await Platform.begin()
    const entered = ({ phase }: Rollout) => {
      const lease = platform.cluster.get("Lease", `${service}-rollout`) ?? {}
      if (phase === "shifting") platform.cluster.merge(lease, { spec: { holderIdentity: "grace (2)" } })
    }
    await expect(platform.run({}, { entered })).rejects.toThrow(LeaseHeld)
    expect(platform.shares).toEqual([10])
  })

  it("stops when another command has taken over", async () => {
    const platform = await Platform.begin()
    const entered = (state: Rollout) => {
      const record = new RolloutRecord(platform.cluster.client(), entrance, settings())
      if (state.phase === "shifting") {
        void record.read().then(() => record.write(takeOver(state, "grace (2)", platform.cluster.now())))
      }
    }
    const end = platform.run({}, { entered })
    await expect(end).rejects.toThrow(Superseded)
    await expect(end).rejects.toThrow("grace (2) has taken over")
  })

  it("goes on after an API server that restarts", async () => {
    const platform = await Platform.begin()
    const entered = ({ phase }: Rollout) => {
      if (phase !== "shifting") return
      platform.cluster.down = true
      void platform.clock.pause(40_000).then(() => {
        platform.cluster.down = false
      })
    }
    expect(await platform.run({}, { entered })).toMatchObject({ phase: "promoted" })
    expect(platform.said).toContain("the API server cannot be reached: connect ECONNREFUSED; trying again")
    platform.expectOn(2, 1)
  })

  it("keeps the newest revisions, and always one that was proven", async () => {
    const platform = await Platform.begin()
    const cluster = platform.cluster.client()
    const revisions = new Revisions(cluster, entrance.namespace, service)
    for (const number of [2, 3, 4, 5, 6]) {
      await revisions.ensure(platform.objects(number), String(number))
      await revisions.recordOutcome(number, "aborted")
    }
    const over = rollout({ phase: "promoted", revision: 6 })
    await cleanUp(over, { cluster, revisions, history: 2 })
    await cleanUp(over, { cluster, revisions, history: 2 })
    expect((await revisions.all()).map(({ number }) => number)).toEqual([6, 5, 1])
    expect(platform.cluster.get("ConfigMap", nameOf(3))).toBeUndefined()
    expect(platform.cluster.get("ConfigMap", nameOf(5))).toBeDefined()
  })

  it("keeps the revision that a rollback goes to, whatever was deployed between", async () => {
    const platform = await Platform.begin()
    const cluster = platform.cluster.client()
    const revisions = new Revisions(cluster, entrance.namespace, service)
    // Revision 2 replaced 1, was rolled back from, and 3 replaced 1.
    for (const number of [2, 3]) await revisions.ensure(platform.objects(number), String(number))
    const finish = (change: Partial<Rollout>) =>
      cleanUp(rollout({ phase: "promoted", ...change }), { cluster, revisions, history: 1 })
    await cleanUp(rollout({ phase: "promoted" }), { cluster, revisions, history: 3 })
    await cleanUp(rollout({ phase: "promoted", kind: "rollback", revision: 1, stable: 2 }), {
      cluster,
      revisions,
      history: 3,
    })
    await finish({ revision: 3, stable: 1 })
    expect((await revisions.all()).map(({ number, replaced }) => [number, replaced])).toEqual([
      [3, 1],
      [1, undefined],
    ])
  })

  describe("compared against a fresh baseline", () => {
    const comparison = { metric: "p50", confidence: 98, points: 8, baseline: "fresh" } as const
    const long = { steps: [{ weight: 10, for: 30 }] }
    const compared = { baseline: true } as const
    const aborted = (message: string) => ({
      phase: "aborted",
      message: expect.stringContaining(message) as string,
    })

    it("shares users between two of the same age, with equally many pods, until it is over", async () => {
      const platform = await Platform.begin()
      const steps = [10, 50, 60].map((weight) => ({ weight, for: 6 }))
      const seen: Record<string, unknown>[] = []
      const pods: unknown[] = []
      const entered = ({ phase }: Rollout) => {
        seen.push(platform.routed)
        pods.push([platform.replicas(2), platform.cluster.serving(beside)])
        // What has had users still drains.
        if (phase === "promoted") expect(platform.cluster.get("Service", beside)).toBeDefined()
      }
      expect(await platform.run(compared, { entered, plan: { steps } })).toMatchObject({ phase: "promoted" })
      expect(seen.slice(1, 5)).toEqual([
        { [nameOf(1)]: 80, [beside]: 10, [nameOf(2)]: 10 },
        { [beside]: 50, [nameOf(2)]: 50 },
        { [beside]: 40, [nameOf(2)]: 60 },
        { [nameOf(2)]: 100 },
      ])
      expect(pods).toEqual(Array(7).fill([4, 4]))
      expect(platform.said.join("\n")).toContain("10 % on the baseline of revision 2, 10 % on revision 2")
      platform.expectOn(2, 1)
    })

    it("grows as the candidate grows, when more users come", async () => {
      const platform = await Platform.begin()
      const pods: Record<string, unknown> = {}
      const entered = ({ phase, step }: Rollout) => {
        pods[`${phase} ${step}`] = [platform.replicas(2), platform.cluster.serving(beside)]
        if (phase === "verifying") platform.cluster.merge(deployment(1), { spec: { replicas: 6 } })
      }
      await platform.run(compared, { entered })
      expect(pods).toMatchObject({ "verifying 0": [4, 4], "shifting 0": [6, 6], "shifting 1": [6, 6] })
      platform.expectOn(2, 1, 6)
    })

    it("is held against that, and not against pods with warm caches", async () => {
      const platform = await Platform.begin()
      platform.comparison = comparison
      Object.assign(platform.traffic.took, { stable: 5, baseline: 50, candidate: 50 })
      expect(await platform.run(compared, { plan: long })).toMatchObject({ phase: "promoted" })
      expect(platform.traffic.asked).toContain("baseline 2")
      expect(platform.traffic.asked).not.toContain("stable 1")
    })

    it("is warmed up as its baseline is, by the same requests", async () => {
      const platform = await Platform.begin()
      await platform.run(compared)
      const often = (whose: string) => platform.probes.filter((probe) => probe === `${whose} 2`).length
      expect(often("revision")).toBeGreaterThan(0)
      expect(often("baseline")).toBe(often("revision"))
      platform.probes.length = 0
      await platform.run({ id: "r3", revision: 1, stable: 2, strategy: "canary" })
      expect(platform.probes.filter((probe) => probe.startsWith("baseline"))).toEqual([])
    })

    it("is held against the stable revision without one, whatever the settings say by now", async () => {
      const platform = await Platform.begin()
      platform.comparison = comparison
      Object.assign(platform.traffic.took, { stable: 5, baseline: 50, candidate: 50 })
      expect(await platform.run({}, { plan: long })).toMatchObject(aborted("p50 is 45 ms above"))
      expect(platform.traffic.asked).not.toContain("baseline 2")
    })

    it("is taken back when it is slower, and nothing is left of it", async () => {
      const platform = await Platform.begin()
      platform.comparison = comparison
      platform.traffic.took.candidate = 130
      expect(await platform.run(compared, { plan: long })).toMatchObject(
        aborted("p50 is 80 ms above the baseline's"),
      )
      expect(platform.shares).toEqual([10, 0])
      platform.expectOn(1, 2)
    })

    it.each([
      ["never ready", "0 of 4 pods of its baseline were ready after 60 s"],
      ["crashing", `its baseline: ${beside}-pod-`],
    ] as const)("gets no users without a baseline: one that is %s", async (health, message) => {
      const platform = await Platform.begin()
      platform.cluster.health.set(beside, health)
      const end = await platform.run(compared)
      expect(end).toMatchObject(aborted(message))
      expect(end.message).toContain("make room for them, or set the comparison's baseline: stable")
      expect(platform.shares).toEqual([])
      platform.expectOn(1, 2)
    })

    it.each(["dies", "is deleted"])("goes back at once when its baseline %s", async (how) => {
      const platform = await Platform.begin()
      let ended = 0
      const entered = ({ phase }: Rollout) => {
        if (phase === "shifting") {
          ended = platform.clock.now()
          if (how === "dies") platform.cluster.health.set(beside, "never ready")
          else void platform.cluster.client().delete({ ...deployment(2), metadata: { name: beside } })
        }
        if (phase === "aborting") expect(platform.clock.now() - ended).toBeLessThanOrEqual(1000)
      }
      expect(await platform.run(compared, { entered })).toMatchObject(
        aborted("pods of its baseline is ready"),
      )
      expect(platform.shares).toEqual([10, 0])
    })

    it("leaves nothing behind when the watch took it back and its command is dead", async () => {
      const platform = await Platform.begin()
      const client = platform.cluster.client()
      const entered = (state: Rollout) => {
        if (state.phase !== "shifting") return
        client.kill()
        const patch = new RolloutRecord(client, entrance, settings()).patchOf(
          abort(state, "unattended", platform.cluster.now()),
        )
        platform.cluster.merge(
          platform.cluster.get("HTTPRoute", service) ?? {},
          patch as Record<string, unknown>,
        )
      }
      const first = platform.deploy(compared, { client, entered })
      await platform.clock.until(Promise.race([first, client.dead]))
      await platform.clock.pass(60_000)
      expect(platform.routed).toEqual({ [nameOf(1)]: 100 })
      expect(platform.cluster.get("Deployment", beside)).toBeDefined()
      const back = await platform.run(compared, { who: "grace" })
      expect(back).toMatchObject({ phase: "aborted", message: "unattended" })
      platform.expectOn(1, 2)
    })

    it("leaves nothing behind when its command died at the very end", async () => {
      const platform = await Platform.begin()
      platform.smoke = { ok: false, reason: "its database does not answer" }
      const client = platform.cluster.client()
      const entered = ({ phase }: Rollout) => {
        if (phase === "aborted") client.kill()
      }
      const first = platform.deploy(compared, { client, entered })
      await platform.clock.until(Promise.race([first, client.dead]))
      expect(platform.cluster.get("Deployment", beside)).toBeDefined()
      await platform.run(compared, { who: "grace" })
      platform.expectOn(1, 2)
    })
  })

  describe.each([
    ["a canary", { strategy: "canary" }],
    ["blue-green", { strategy: "blue-green" }],
    ["a canary with a fresh baseline", { strategy: "canary", baseline: true }],
  ] as const)("of %s", (_, asked) => {
    const { strategy } = asked
    /** Nothing to analyse, so that there are few requests, and each of them can be the last one. */
    const brief = {
      prePromotion: 0,
      postPromotion: 0,
      scaleDownDelay: 1,
      steps: [{ weight: 10, for: 0 }],
    }

    /** A deploy that is killed at one of its requests, and another one that finds what it left. */
    async function killed(dies: number, after: boolean) {
      const platform = await Platform.begin()
      const client = platform.cluster.client({ dies, after, may: rights() })
      const first = platform.deploy(asked, { client, plan: brief })
      await platform.clock.until(Promise.race([first, client.dead]))
      const { phase } = await platform.run(asked, { who: "grace", plan: brief })
      return { platform, phase, requests: client.requests }
    }

    it("is finished by another command wherever the first one was killed", async () => {
      const { requests } = await killed(Infinity, false)
      expect(requests).toBeGreaterThan(50)
      for (let dies = 1; dies <= requests; dies++) {
        const { platform, phase } = await killed(dies, dies % 2 === 0)
        expect({ dies, phase }).toEqual({ dies, phase: "promoted" })
        platform.expectOn(2, 1)
      }
    }, 60_000)

    it.each([
      ["verifying", 4],
      ["shifting", 6],
      ["promoting", 6],
      ["settling", 0],
      ["promoted", 0],
    ] as const)(
      "is analysed again from the start when its command was killed in %s",
      async (where, seconds) => {
        const platform = await Platform.begin()
        const client = platform.cluster.client()
        const fatal = strategy === "blue-green" && where === "shifting" ? "promoting" : where
        const kill = ({ phase }: Rollout) => {
          if (phase === fatal) client.kill()
        }
        const first = platform.deploy(asked, { client, entered: kill })
        await platform.clock.until(Promise.race([first, client.dead]))
        // The lease is to be free by then: what counts is the time that the other command takes.
        await platform.clock.pass(1000)
        const moments: number[] = []
        const entered = () => moments.push(platform.cluster.now())
        const end = platform.run(asked, { who: "grace", entered })
        expect(await end).toMatchObject({ phase: "promoted" })
        platform.expectOn(2, 1)
        const taken = Date.parse(String(platform.leaseSpec?.acquireTime))
        expect((moments[0] ?? Infinity) - taken).toBeGreaterThanOrEqual(seconds * 1000)
      },
    )
  })
})
