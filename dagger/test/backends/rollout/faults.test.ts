import { describe, expect, it } from "vitest"
import {
  ApiError,
  type KubernetesApi,
  type KubernetesObject,
} from "../../../src/clients/kubernetes/client.js"
import type { Rollout } from "../../../src/backends/rollout/rollout.js"
import { nameOf, Platform, rights, service } from "./platform.js"

const routeOf = (platform: Platform) => platform.cluster.get("HTTPRoute", service)
const phaseOf = (platform: Platform) => routeOf(platform)?.metadata?.annotations?.["pitwall.dev/phase"]
const candidateShare = (platform: Platform) => platform.routed[nameOf(2)] ?? 0
const message = (text: string): string => expect.stringContaining(text) as string
const clientOf = (platform: Platform) => platform.cluster.client({ may: rights() })

/** Limits of an API server: 256 KiB of annotations for each object, of which other tools may have taken some. */
function withLimit(client: KubernetesApi, taken = 0): KubernetesApi {
  const check = (name: string, change: object) => {
    const annotations = (change as KubernetesObject).metadata?.annotations ?? {}
    const size = Object.entries(annotations).reduce(
      (sum, pair) => sum + Buffer.byteLength(pair.join("")),
      taken,
    )
    if (size <= 262_144) return
    throw new ApiError(422, "Invalid", `HTTPRoute "${name}" is invalid: metadata.annotations: Too long`)
  }
  return {
    ...client,
    merge: async (thing, patch) => {
      check(thing.metadata?.name ?? "", patch)
      return client.merge(thing, patch)
    },
  }
}

const whenShifting = (task: () => void) => {
  let done = false
  return ({ phase }: Rollout) => {
    if (phase !== "shifting" || done) return
    done = true
    task()
  }
}

describe("text of any length", () => {
  it.each([
    ["long lines in a crash log", 20_000, 0],
    ["hardly any room beside other annotations", 2_000, 260_500],
  ])("does not keep traffic on a bad revision: %s", async (_, width, taken) => {
    const platform = await Platform.begin()
    const line = `{"level":"error","exc_info":"${"x".repeat(width)}"}`
    const client = withLimit(clientOf(platform), taken)
    client.logs = () => Promise.resolve(Array.from({ length: 10 }, () => line).join("\n"))
    const crash = whenShifting(() => platform.cluster.health.set(2, "crashing"))
    await platform.run({}, { client, plan: { prePromotion: 0 }, entered: crash })
    expect(phaseOf(platform)).toBe("aborted")
    expect(candidateShare(platform)).toBe(0)
  })

  it("is bounded in everything that is stored", async () => {
    const platform = await Platform.begin()
    const long = "é\u0007".repeat(100_000)
    await platform.run({ reason: long, by: long, author: long })
    const size = Buffer.byteLength(JSON.stringify(routeOf(platform)?.metadata?.annotations))
    expect(size).toBeLessThan(20_000)
  })
})

describe("a refusal while the candidate has users", () => {
  it("takes traffic back: a quota refuses a new watchdog", async () => {
    const platform = await Platform.begin()
    let refuse = false
    const may = rights()
    const client = platform.cluster.client({
      may: (verb, resource) => {
        if (refuse && verb === "create" && resource.startsWith("jobs")) {
          throw new ApiError(403, "Forbidden", "jobs is forbidden: exceeded quota: q")
        }
        may(verb, resource)
      },
    })
    const entered = whenShifting(() => {
      refuse = true
      const [job = {}] = platform.cluster.all("Job")
      platform.cluster.merge(job, { status: { ready: 0, conditions: [{ type: "Failed", status: "True" }] } })
    })
    const end = await platform.run({}, { client, entered })
    expect(end).toMatchObject({ phase: "aborted", message: message("exceeded quota") })
    expect(candidateShare(platform)).toBe(0)
  })

  it("takes traffic back: a webhook refuses the route", async () => {
    const platform = await Platform.begin()
    const client = clientOf(platform)
    const { merge } = client
    client.merge = (thing, patch) =>
      JSON.stringify(patch).includes('\\"phase\\":\\"promoting')
        ? Promise.reject(new ApiError(403, "Forbidden", "the webhook denied the request: change freeze"))
        : merge(thing, patch)
    const end = await platform.run({}, { client })
    expect(end).toMatchObject({ phase: "aborted", message: message("change freeze") })
    expect(candidateShare(platform)).toBe(0)
  })

  it("ends the command when nothing at all is allowed any more, and leaves the rollout to the watchdog", async () => {
    const platform = await Platform.begin()
    let expired = false
    const may = rights()
    const client = platform.cluster.client({
      may: (verb, resource) => {
        if (expired) throw new ApiError(401, "Unauthorized", "401 Unauthorized")
        may(verb, resource)
      },
    })
    const entered = whenShifting(() => (expired = true))
    await expect(platform.run({}, { client, entered })).rejects.toThrow("401 Unauthorized")
    expect(platform.cluster.all("Job")).toHaveLength(1)
  })
})

describe("a request that fails", () => {
  const failing = async (times: number) => {
    const platform = await Platform.begin()
    let left = times
    const context = platform.context.bind(platform)
    platform.context = (...settings) => ({
      ...context(...settings),
      smokeTest: () =>
        left-- > 0
          ? Promise.reject(new Error("The operation was aborted due to timeout"))
          : Promise.resolve({ ok: true, reason: "it works" }),
    })
    return { platform, end: await platform.run() }
  }

  it("is repeated", async () => {
    const { platform, end } = await failing(2)
    expect(end.phase).toBe("promoted")
    expect(platform.said).toContain("The operation was aborted due to timeout; trying again")
  })

  it("takes the rollout back when it fails again and again, so that it does not block the next deploy", async () => {
    const { end } = await failing(Infinity)
    expect(end).toMatchObject({ phase: "aborted", message: message("aborted due to timeout") })
  })
})

describe("own writes", () => {
  it("are recognised when their answer was lost", async () => {
    const platform = await Platform.begin()
    const client = clientOf(platform)
    const { merge } = client
    let lost = false
    // As the client does: the request was carried out, its answer was lost, and it is sent again.
    client.merge = async (thing, patch) => {
      if (thing.kind === "HTTPRoute" && !lost) {
        lost = true
        await merge(thing, patch)
      }
      return merge(thing, patch)
    }
    expect(await platform.run({}, { client })).toMatchObject({ phase: "promoted" })
    expect(lost).toBe(true)
  })
})

describe("clocks", () => {
  const plan = { steps: [10, 50].map((weight) => ({ weight, for: 60 })), postPromotion: 60 }

  /** Seconds of the first step, when the API server's clock is ahead by a number of milliseconds that changes. */
  const firstStep = async (ahead: (phase: string) => number) => {
    const platform = await Platform.begin()
    const client = clientOf(platform)
    const began: number[] = []
    let now = ""
    client.now = () => platform.cluster.now() + ahead(now)
    const entered = ({ phase }: Rollout) => {
      now = phase
      if (phase === "shifting") began.push(platform.clock.now())
    }
    await platform.run({}, { client, plan, entered })
    return ((began[1] ?? 0) - (began[0] ?? 0)) / 1000
  }

  it.each([600_000, -600_000])("that step by %d ms make no step shorter or longer", async (jump) => {
    const seconds = await firstStep((phase) => (phase === "shifting" ? jump : 0))
    expect(seconds).toBeGreaterThanOrEqual(60)
    expect(seconds).toBeLessThan(70)
  })

  it("of several API servers that differ make no step shorter or longer", async () => {
    let asked = 0
    const seconds = await firstStep(() => (asked++ % 2 === 0 ? 0 : 40_000))
    expect(seconds).toBeGreaterThanOrEqual(60)
    expect(seconds).toBeLessThan(70)
  })
  describe.each([600_000, -600_000])("that step by %d ms", (jump) => {
    it.each([
      { measured: "preparing", seconds: 60, what: "the deadline of a revision that never becomes ready" },
      { measured: "aborting", seconds: 3, what: "the delay before a bad revision goes" },
      { measured: "settling", seconds: 5, what: "the delay before the old revision goes" },
    ])("change nothing of $measured, $seconds s: $what", async ({ measured, seconds }) => {
      const platform = await Platform.begin()
      if (measured !== "settling") platform.cluster.health.set(2, "never ready")
      const client = clientOf(platform)
      const began: Record<string, number> = { preparing: platform.clock.now() }
      let now = "preparing"
      client.now = () => {
        const lasts = platform.clock.now() - (began[measured] ?? Infinity)
        return platform.cluster.now() + (now === measured && lasts > 1000 ? jump : 0)
      }
      const left: Record<string, number> = {}
      const entered = ({ phase }: Rollout) => {
        left[now] = platform.clock.now()
        now = phase
        began[now] = platform.clock.now()
      }
      await platform.run({}, { client, plan, entered })
      const lasted = ((left[measured] ?? Infinity) - (began[measured] ?? 0)) / 1000
      expect(lasted).toBeGreaterThanOrEqual(seconds)
      expect(lasted).toBeLessThan(seconds + 10)
    })
  })
})

describe("a hotfix while the stable revision is down", () => {
  it.each(["canary", "blue-green"] as const)("gets through by %s", async (strategy) => {
    const platform = await Platform.begin()
    platform.cluster.health.set(1, "crashing")
    expect(await platform.run({ strategy })).toMatchObject({ phase: "promoted" })
  })

  it("gets through where no watchdog starts", async () => {
    const platform = await Platform.begin()
    platform.cluster.health.set(1, "crashing")
    expect(await platform.run({}, { client: withoutWatchdog(platform) })).toMatchObject({ phase: "promoted" })
  })

  it("does not, where the stable revision works and no watchdog starts, and says why", async () => {
    const platform = await Platform.begin()
    const end = await platform.run({}, { client: withoutWatchdog(platform) })
    expect(end).toMatchObject({
      phase: "aborted",
      message: message(
        "watchdog that would take traffic back is not ready: f1-watch-x: ErrImagePull: not found",
      ),
    })
    expect(platform.shares).toEqual([])
  })

  it("runs the watchdog on the candidate's image, which was just pulled", async () => {
    const platform = await Platform.begin()
    const images: unknown[] = []
    const entered = () => {
      const [job] = platform.cluster.all("Job")
      const { template } = (job?.spec ?? {}) as { template?: { spec: { containers: { image: string }[] } } }
      if (template) images.push(template.spec.containers[0]?.image)
    }
    const stable = platform.cluster.get("Deployment", nameOf(1)) ?? {}
    const { template } = stable.spec as { template: { spec: { containers: object[] } } }
    const [container] = template.spec.containers
    const containers = [{ ...container, image: "registry/gone@sha256:1" }]
    platform.cluster.merge(stable, { spec: { template: { spec: { containers } } } })
    await platform.run({}, { entered })
    const [candidate] = platform.objects(2).filter(({ kind }) => kind === "Deployment")
    expect(images.length).toBeGreaterThan(0)
    expect(JSON.stringify(candidate)).toContain(String(images[0]))
    expect(images).not.toContain("registry/gone@sha256:1")
  })

  function withoutWatchdog(platform: Platform): KubernetesApi {
    const client = clientOf(platform)
    const { list, read } = client
    client.read = async (thing) => {
      const live = await read(thing)
      return live?.kind === "Job" ? { ...live, status: { active: 1, ready: 0 } } : live
    }
    client.list = (apiVersion, kind, namespace, selector) =>
      selector?.startsWith("pitwall.dev/watchdog=")
        ? Promise.resolve([
            {
              kind,
              metadata: { name: "f1-watch-x" },
              status: {
                containerStatuses: [
                  { name: "mesh", state: { running: {} } },
                  { name: "watch", state: { waiting: { reason: "ErrImagePull", message: "not found" } } },
                ],
              },
            },
          ])
        : list(apiVersion, kind, namespace, selector)
    return client
  }
})

describe("pods that do not come up", () => {
  const pulling = (
    platform: Platform,
    until: number,
    waiting = { reason: "ImagePullBackOff", message: "429 Too Many Requests" },
    whose: "containerStatuses" | "initContainerStatuses" = "containerStatuses",
  ): KubernetesApi => {
    const client = clientOf(platform)
    const { list, read } = client
    client.read = async (thing) => {
      const live = await read(thing)
      const starting =
        live?.kind === "Deployment" && live.metadata?.name === nameOf(2) && platform.clock.now() < until
      return starting ? { ...live, status: { ...live.status, availableReplicas: 3 } } : live
    }
    client.list = async (apiVersion, kind, namespace, selector) => {
      const all = await list(apiVersion, kind, namespace, selector)
      if (kind !== "Pod" || !selector?.endsWith("=2") || platform.clock.now() >= until) return all
      return all.map((pod, at) =>
        at === 0
          ? { ...pod, status: { [whose]: [{ ready: false, restartCount: 0, state: { waiting } }] } }
          : pod,
      )
    }
    return client
  }

  it("are waited for while a registry refuses one of them", async () => {
    const platform = await Platform.begin()
    expect(await platform.run({}, { client: pulling(platform, 30_000) })).toMatchObject({ phase: "promoted" })
    expect(platform.said.join("\n")).toContain("3 of 4 pods are ready (f1-backend-2-")
  })

  it.each([
    ["a node has not read a new Secret", "CreateContainerConfigError", "containerStatuses"],
    ["an injected container has no image", "ErrImagePull", "initContainerStatuses"],
  ] as const)("are waited for while %s, and show that", async (_, reason, whose) => {
    const platform = await Platform.begin()
    const client = pulling(platform, 30_000, { reason, message: "not yet" }, whose)
    expect(await platform.run({}, { client })).toMatchObject({ phase: "promoted" })
    expect(platform.said.join("\n")).toMatch(`: ${reason}: not yet)`)
  })

  it("are given up at the deadline, with the reason", async () => {
    const platform = await Platform.begin()
    expect(await platform.run({}, { client: pulling(platform, Infinity) })).toMatchObject({
      phase: "aborted",
      message: expect.stringMatching(
        /^3 of 4 pods were ready after 60 s: f1-backend-2-pod-\d+: ImagePullBackOff: 429 Too Many Requests$/,
      ) as string,
    })
  })

  it("have a reason when a quota refuses them", async () => {
    const platform = await Platform.begin()
    const client = clientOf(platform)
    const { read, list } = client
    const refusal = 'pods "f1-backend-2-x" is forbidden: exceeded quota: team'
    const conditions = [{ type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: refusal }]
    client.read = async (thing) => {
      const live = await read(thing)
      return live?.kind === "Deployment" && live.metadata?.name === nameOf(2)
        ? { ...live, status: { ...live.status, availableReplicas: 0, conditions } }
        : live
    }
    client.list = (apiVersion, kind, namespace, selector) =>
      kind === "Pod" && selector?.endsWith("=2")
        ? Promise.resolve([])
        : list(apiVersion, kind, namespace, selector)
    const end = await platform.run({}, { client })
    expect(end.message).toBe(`0 of 4 pods were ready after 60 s: ${refusal}`)
    expect(platform.said.join("\n")).toContain(`0 of 4 pods are ready (${refusal})`)
  })
})

describe("a route that the Gateway does not accept", () => {
  const refusing = (platform: Platform, phases: string[]): KubernetesApi => {
    const client = clientOf(platform)
    const { read } = client
    client.read = async (thing) => {
      const live = await read(thing)
      const { generation, annotations } = live?.metadata ?? {}
      if (live?.kind !== "HTTPRoute" || !phases.includes(annotations?.["pitwall.dev/phase"] ?? ""))
        return live
      const [parentRef] = (live.spec as { parentRefs: object[] }).parentRefs
      const conditions = [
        {
          type: "Accepted",
          status: "False",
          reason: "NotAllowedByListeners",
          observedGeneration: generation,
        },
      ]
      return { ...live, status: { parents: [{ parentRef, conditions }] } }
    }
    return client
  }

  it("never gets users", async () => {
    const platform = await Platform.begin()
    expect(await platform.run({}, { client: refusing(platform, ["verifying"]) })).toMatchObject({
      phase: "aborted",
      message: message(
        "the Gateway router/public reports Accepted=False for the HTTPRoute: NotAllowedByListeners",
      ),
    })
    expect(platform.shares).toEqual([])
  })

  it("never gets users when the Gateway has left rules of it out", async () => {
    const platform = await Platform.begin()
    const client = clientOf(platform)
    const { read } = client
    client.read = async (thing) => {
      const live = await read(thing)
      if (live?.kind !== "HTTPRoute") return live
      const conditions = [
        { type: "Accepted", status: "True" },
        { type: "PartiallyInvalid", status: "True", reason: "UnsupportedValue", message: "dropped rule 0" },
      ]
      return { ...live, status: { parents: [{ conditions }] } }
    }
    expect(await platform.run({}, { client })).toMatchObject({
      phase: "aborted",
      message: message("PartiallyInvalid=True for the HTTPRoute: UnsupportedValue: dropped rule 0"),
    })
    expect(platform.shares).toEqual([])
  })

  it("is taken back when it is refused later", async () => {
    const platform = await Platform.begin()
    expect(await platform.run({}, { client: refusing(platform, ["shifting"]) })).toMatchObject({
      phase: "aborted",
      message: message("NotAllowedByListeners"),
    })
    expect(platform.shares).toEqual([10, 0])
  })

  it("is waited for, and a report about an older route does not count", async () => {
    const platform = await Platform.begin()
    const client = clientOf(platform)
    const { read } = client
    client.read = async (thing) => {
      const live = await read(thing)
      if (live?.kind !== "HTTPRoute" || platform.clock.now() > 40_000) return live
      const conditions = [{ type: "Accepted", status: "True", observedGeneration: 0 }]
      return { ...live, status: { parents: [{ conditions }] } }
    }
    const moments: number[] = []
    const entered = ({ phase }: Rollout) => {
      if (phase === "shifting") moments.push(platform.clock.now())
    }
    expect(await platform.run({}, { client, entered })).toMatchObject({ phase: "promoted" })
    expect(moments[0]).toBeGreaterThan(40_000)
  })

  it("does not keep a rollback from its end, which reports it", async () => {
    const platform = await Platform.begin()
    await platform.run({ strategy: "blue-green" })
    const back = { id: "r3", kind: "rollback", strategy: "blue-green", revision: 1, stable: 2 } as const
    const client = refusing(platform, ["preparing", "verifying", "promoting"])
    expect(await platform.run(back, { client })).toMatchObject({
      phase: "promoted",
      revision: 1,
      message: message("NotAllowedByListeners"),
    })
  })
})

describe("settings that change during a rollout", () => {
  it("do not change its steps", async () => {
    const platform = await Platform.begin()
    const client = clientOf(platform)
    const first = platform.deploy({}, { client, entered: whenShifting(client.kill) })
    await platform.clock.until(Promise.race([first, client.dead]))
    const plan = {
      steps: [
        { weight: 20, for: 6 },
        { weight: 40, for: 6 },
        { weight: 60, for: 6 },
      ],
    }
    expect(await platform.run({}, { who: "grace", plan })).toMatchObject({ phase: "promoted" })
    expect(platform.shares).toEqual([10, 50, 100])
  })
})
