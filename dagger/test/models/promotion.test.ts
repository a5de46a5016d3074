// Promotions and rollbacks of a model by commands on a fake cluster: its Jobs change a registry, and its pods follow that.
import type { V1Job } from "@kubernetes/client-node"
import { describe, expect, it } from "vitest"
import type { Plain } from "../../src/clients/kubernetes/manifest.js"
import { predictionPath, servedPath, type ServedModels } from "../../src/models/serving.js"
import { FakeJobs } from "../databases/fixtures.js"
import type { DeliveryEvent } from "../../src/delivery/events/event.js"
import { deploy, rollback } from "../../src/delivery/executor.js"
import type { Release } from "../../src/delivery/release.js"
import { type Command, type CommandOptions, FakePlatform, releaseOf } from "../delivery/fake-platform.js"
import { modelText } from "./fixtures.js"

const [one, two, three] = ["1", "2", "3"].map((digit) => digit.repeat(64)) as [string, string, string]
const short = (digest: string) => digest.slice(0, 12)

interface Pointer {
  champion?: string | undefined
  challenger?: string | undefined
  previous?: string | undefined
}

/** Requests of the longest of these commands, at most. */
const most = 140
const promotion = (change: string) =>
  `services: { f1-backend: { model: { promotion: { timeout: 30s, watch: 10s, ${change} } } } }`

/** Milliseconds until a pod has seen a new pointer, and loaded what it names. */
const poll = 7_000

class Platform extends FakePlatform {
  readonly jobs = new FakeJobs(this.cluster, this.clock)
  /** The pointer, newest last, with the time of each change. */
  readonly pointers: (Pointer & { at: number })[] = [
    { at: -poll, champion: one, challenger: two, previous: undefined },
  ]
  verdicts: Record<string, string> = { [one]: "better", [two]: "better", [three]: "refused" }
  /** Models that cannot be served by what examines them. */
  readonly unservable = new Set<string>()
  /** Models that the last pod cannot load, those whose predictions fail there, and those that no pod ever gets to. */
  readonly unloadable = new Set<string>()
  readonly wrong = new Set<string>()
  readonly stuck = new Set<string>()
  /** Pods know no registry, as a revision from before it was named. */
  unaware = false
  /** Commands that fail, and how often. */
  readonly failures: Record<string, number> = {}
  /** Called before a step of a promotion is done. */
  before: (args: string[]) => void = () => undefined
  private readonly names: string[] = []
  private readonly compared = new Set<string>()

  constructor() {
    super()
    this.commit(modelText)
    this.set(promotion("shadow: true"))
    // One that only reads may still run when the next command begins.
    this.jobs.counts = (job) => argumentsOf(job)[1] !== "examine"
    this.jobs.script = (job) => {
      const args = argumentsOf(job)
      const [, command = "", ...rest] = args
      this.before(args)
      if ((this.failures[command] ?? 0) > 0) {
        this.failures[command] = (this.failures[command] ?? 0) - 1
        return { log: line({ outcome: "failed", message: "S3 is away" }), end: "Failed" }
      }
      return { log: line(this.registry(command, rest)), starts: 100, takes: 900 }
    }
  }

  get pointer(): Pointer {
    return this.pointers.at(-1) ?? {}
  }

  point(change: Pointer): void {
    this.pointers.push({ ...this.pointer, ...change, at: this.clock.now() })
  }

  private registry(command: string, [model = "", expected, previous]: string[]): object {
    const { champion, challenger } = this.pointer
    const none = (text: string | undefined) => (text === "none" ? undefined : text)
    if (command === "examine") {
      const named = { challenger, previous: this.pointer.previous } as Record<string, string | undefined>
      const digest = model in named ? named[model] : model
      return {
        outcome: "examined",
        message: "examined",
        ...this.pointer,
        ...(digest !== undefined && {
          digest,
          version: `v${digest[0] ?? ""}`,
          verdict: this.verdicts[digest],
          reason: "as the gate says",
          problem: this.unservable.has(digest) ? "golden predictions are off" : null,
        }),
      }
    }
    if (command === "point" && champion === none(model)) return { outcome: "pointed", message: "it is" }
    if (champion !== none(expected))
      return { outcome: "superseded", message: `the champion is ${champion ?? ""}` }
    if (command === "shadow") this.point({ challenger: model })
    else {
      const left = challenger === model ? undefined : challenger
      this.point({ champion: none(model), challenger: left, previous: none(previous) })
    }
    return { outcome: "pointed", message: "it is" }
  }

  protected override answer(name: string, path: string): { status: number; text: string } {
    if (path === servedPath) return { status: 200, text: JSON.stringify(this.served(name)) }
    if (path !== predictionPath) return super.answer(name, path)
    const { shadow } = this.served(name)
    if (shadow) this.compared.add(`${name} ${shadow.digest}`)
    return { status: 200, text: "{}" }
  }

  private served(name: string): ServedModels {
    if (!this.names.includes(name)) this.names.push(name)
    const isLast = this.names.at(-1) === name
    const cannot = (digest: string | undefined) =>
      isLast && digest !== undefined && this.unloadable.has(digest)
    const seen = this.pointers.filter(
      ({ at, champion }) => at <= this.clock.now() - poll && !this.stuck.has(champion ?? ""),
    )
    const loaded = seen.filter(({ champion }) => champion !== undefined && !cannot(champion)).at(-1)?.champion
    const { champion, challenger } = seen.at(-1) ?? {}
    const fails = (digest: string) => isLast && this.wrong.has(digest)
    const counted = (digest: string) => ({
      digest,
      version: `v${digest[0] ?? ""}`,
      predictions: 1,
      failures: fails(digest) ? 1 : 0,
      last_failure: fails(digest) ? "NotFinite" : null,
    })
    if (this.unaware) return { follows_registry: false, champion: null, refused: null, shadow: null }
    return {
      follows_registry: true,
      champion: loaded === undefined ? null : counted(loaded),
      refused: champion !== undefined && cannot(champion) ? { digest: champion, reason: "golden" } : null,
      shadow:
        challenger === undefined
          ? null
          : {
              digest: challenger,
              problem: cannot(challenger) ? "golden" : null,
              model: cannot(challenger) ? null : counted(challenger),
              requests: this.compared.has(`${name} ${challenger}`) ? 1 : 0,
              other_favourite: 0,
              largest_difference: 0.02,
              mean_difference: 0.01,
            },
    }
  }

  /** `deploy --only f1-winners`, or with a digest behind the name. */
  promote(options: CommandOptions & { model?: string; override?: string } = {}): Promise<string> {
    return this.deploy({ schemaVersion: 1, images: {} }, named(options))
  }

  /** `rollback --model f1-winners`. */
  goBack(options: CommandOptions & { to?: string } = {}): Promise<string> {
    const { to } = options
    return this.rollback({ ...(to !== undefined && { to }) }, this.command(named(options)))
  }

  /** Runs a command until it is killed. */
  async cutOff(command: Command, task: (command: Command) => Promise<unknown>): Promise<void> {
    await this.clock.until(Promise.race([command.dead, task(command).catch(() => undefined)]))
  }

  get state(): { running?: { phase: string }; runs: { action: string; result: string; message: string }[] } {
    const text = this.cluster.get("ConfigMap", "promotion-f1-winners")?.data?.state ?? `{"runs":[]}`
    return JSON.parse(text) as Platform["state"]
  }

  async modelEvents(): Promise<DeliveryEvent[]> {
    const { events } = await this.trail("staging")
    return events.filter(({ component }) => component.kind === "model")
  }

  async audited(): Promise<string[]> {
    return (await this.modelEvents()).map(({ kind }) => kind)
  }
}

/** A deploy that a test may leave unfinished. */
const begun = (command: Command, release: Release = { schemaVersion: 1, images: {} }): Promise<string> =>
  deploy(command, command.components, { release, reason: "why", authors: [], override: "" })

const argumentsOf = (job: Plain<V1Job>) => job.spec?.template.spec?.containers[0]?.args ?? []

const line = (result: object) => JSON.stringify({ event: "result", ...result })

const named = ({ model, ...options }: CommandOptions & { model?: string }): CommandOptions => ({
  ...options,
  only: [model === undefined ? "f1-winners" : `f1-winners@${model}`],
})

/** A platform whose service is deployed. */
async function serving(): Promise<Platform> {
  const platform = new Platform()
  await platform.deploy("a", { only: ["f1-backend"] })
  return platform
}

/** What is audited, without beginnings of which nothing came: the event is written before the state. */
const once = async (platform: Platform): Promise<string[]> => {
  const events = await platform.modelEvents()
  const ended = events.filter(({ kind }) => kind !== "started").map(({ operation }) => operation)
  return events.filter(({ operation }) => ended.includes(operation)).map(({ kind }) => kind)
}

/** The requests of a whole command, to be killed at each: before and after it is handled, or with every other one each. */
const moments = (both: boolean) =>
  Array.from({ length: most }, (_, index) => index + 1).flatMap((dies) =>
    [false, true].filter((after) => both || after === (dies % 2 === 0)).map((after) => ({ dies, after })),
  )

describe("deploy --only f1-winners", () => {
  it("has the challenger predict beside the champion, makes it the champion, and waits for every pod", async () => {
    const platform = await serving()
    const command = platform.command(named({}))
    const table = await platform.deploy({ schemaVersion: 1, images: {} }, {}, command)
    expect(table).toMatch(/^f1-winners +promoted /m)
    // It can be killed at each of them below.
    expect(command.requests()).toBeLessThanOrEqual(most)
    expect(table).toContain(`${short(two)} serves on every pod (2)`)
    expect(table).toContain("the answers to 2 requests on 2 pods were compared")
    expect(platform.pointer).toMatchObject({ champion: two, challenger: undefined, previous: one })
    expect(platform.state.running).toBeUndefined()
    expect(platform.state.runs).toMatchObject([{ action: "deploy", from: one, to: two, result: "promoted" }])
    expect(await platform.audited()).toEqual(["started", "promoted"])
    const [operation] = await platform.history()
    expect(operation).toMatchObject({ action: "deploy", outcome: "promoted", models: { from: one, to: two } })
    expect(platform.said.join("\n")).toContain(
      `f1-winners: from ${short(one)} to v2 (${short(two)}), better: as the gate says; it predicts beside the champion first`,
    )
    expect(await platform.status(platform.command(named({})))).toContain(`${short(two)}  1, 0 failed`)
  })

  it("asks for no signing key and no image, and runs the image that serves", async () => {
    const platform = await serving()
    await platform.promote()
    const jobs = platform.cluster.all("Job").filter(({ metadata }) => metadata?.name?.includes("-model-"))
    expect(jobs).toHaveLength(3)
    for (const job of jobs) expect(JSON.stringify(job)).toMatch(/f1-backend@sha256:a+/)
    for (const secret of platform.cluster.all("Secret"))
      expect(Object.keys(secret.data ?? {})).not.toContain("model_signing_key")
  })

  it("takes another model by its digest, which becomes the challenger first", async () => {
    const platform = await serving()
    platform.verdicts[three] = "unproven"
    expect(await platform.promote({ model: three })).toMatch(/^f1-winners +promoted /m)
    expect(platform.pointers.map(({ challenger }) => challenger)).toContain(three)
    expect(platform.pointer).toMatchObject({ champion: three, previous: one })
  })

  it("does nothing without a challenger, and for the model that serves", async () => {
    const platform = await serving()
    expect(await platform.promote({ model: one })).toMatch(/^f1-winners +unchanged /m)
    platform.point({ challenger: undefined })
    expect(await platform.promote()).toMatch(/^f1-winners +unchanged .*there is no challenger/m)
    expect(await platform.audited()).toEqual([])
  })

  it("plans without changing anything", async () => {
    const platform = await serving()
    const [component] = platform.command(named({})).components
    const plan = await platform.clock.until(
      component?.plan({ schemaVersion: 1, images: {} }) ?? Promise.reject(new Error()),
    )
    expect(plan).toMatchObject({ action: "start", start: { model: two } })
    expect(plan.changes).toMatchObject([{ fields: [`champion: ${one} → ${two}`] }])
    expect(platform.pointers).toHaveLength(1)
    expect(platform.cluster.get("ConfigMap", "promotion-f1-winners")).toBeUndefined()
  })

  it("waits for no pod where none follows the registry yet", async () => {
    const platform = await serving()
    platform.unaware = true
    platform.point({ champion: undefined })
    expect(await platform.promote()).toContain("no pod follows the registry yet")
    expect(platform.pointer).toMatchObject({ champion: two, previous: undefined })
  })

  it.each<[string, (platform: Platform) => void, string, string[]]>([
    [
      "a pod cannot load it",
      (platform) => {
        platform.set(promotion("shadow: false"))
        platform.unloadable.add(two)
      },
      "cannot load it: golden",
      ["started", "rolled-back"],
    ],
    [
      "its predictions fail",
      (platform) => {
        platform.set(promotion("shadow: false"))
        platform.wrong.add(two)
      },
      "1 of 2 predictions failed, the last with NotFinite",
      ["started", "rolled-back"],
    ],
    [
      "it fails after all pods have served it for a while",
      (platform) => {
        const { clock } = platform
        platform.before = ([, command]) => {
          if (command === "point") void clock.pause(15_000).then(() => platform.wrong.add(two))
        }
      },
      "1 of 2 predictions failed",
      ["started", "rolled-back"],
    ],
    [
      "a pod does not get there in time",
      (platform) => platform.stuck.add(two),
      "not every pod serves it within 30.0 s",
      ["started", "rolled-back"],
    ],
    [
      "it fails beside the champion",
      (platform) => platform.wrong.add(two),
      "1 shadow prediction failed, the last with NotFinite",
      ["started", "rolled-back"],
    ],
    [
      "it cannot be loaded beside the champion",
      (platform) => platform.unloadable.add(two),
      "cannot load it beside the champion: golden",
      ["started", "rolled-back"],
    ],
  ])("leaves the champion in place when %s", async (_, prepare, reason, audited) => {
    const platform = await serving()
    prepare(platform)
    await expect(platform.promote()).rejects.toThrow(reason)
    expect(platform.pointer).toMatchObject({ champion: one, previous: undefined })
    expect(platform.state.running).toBeUndefined()
    expect(platform.state.runs).toMatchObject([{ result: "aborted" }])
    expect(await platform.audited()).toEqual(audited)
  })

  it.each<[string, (platform: Platform) => void, string]>([
    ["cannot be served", (platform) => platform.unservable.add(two), "golden predictions are off"],
    [
      "the gate refused",
      (platform) => (platform.verdicts[two] = "refused"),
      "was not found better (refused)",
    ],
  ])("does not begin with a model that %s", async (_, prepare, reason) => {
    const platform = await serving()
    prepare(platform)
    await expect(platform.promote({ model: two })).rejects.toThrow(reason)
    expect(platform.pointers).toHaveLength(1)
    expect(await platform.audited()).toEqual([])
  })

  it("gives way to another writer who changes the champion meanwhile", async () => {
    const platform = await serving()
    platform.before = ([, command]) => {
      if (command === "point" && platform.pointer.champion === one) platform.point({ champion: three })
    }
    await expect(platform.promote()).rejects.toThrow("the champion is 3333")
    expect(platform.pointer).toMatchObject({ champion: three })
  })

  it.each(["shadow", "point"])("goes on where its step %s failed", async (command) => {
    const platform = await serving()
    platform.failures[command] = 1
    await expect(platform.promote()).rejects.toThrow("S3 is away")
    expect(platform.state.running).toBeDefined()
    expect(await platform.promote()).toMatch(/^f1-winners +promoted /m)
    expect(platform.pointer).toMatchObject({ champion: two, previous: one })
    expect(await platform.audited()).toEqual(["started", "promoted"])
  })

  it("is one command at a time, and a training keeps it from nothing", async () => {
    const platform = await serving()
    platform.set("services: { f1-backend: { model: { promotion: { watch: 60s } } } }")
    const first = platform.promote()
    await platform.clock.pass(8_000)
    await expect(platform.promote({ who: "grace" })).rejects.toThrow("f1-winners is being promoted by dora")
    await expect(platform.goBack({ who: "grace" })).rejects.toThrow("f1-winners is being promoted by dora")
    expect(await first).toMatch(/^f1-winners +promoted /m)
  })

  it("does not begin while the code that serves changes, nor together with it", async () => {
    const platform = await serving()
    await expect(platform.deploy("b", { only: ["f1-backend", "f1-winners"] })).rejects.toThrow(
      "model f1-winners and backend f1-backend: deploy models by a command of their own",
    )
    const command = platform.command({ only: ["f1-backend"] })
    const killed = platform.cutOff(command, () => begun(command, releaseOf("b", {}, ["f1-backend"])))
    await platform.clock.pass(1_000)
    command.kill()
    await killed
    await expect(platform.promote()).rejects.toThrow("a rollout of f1-backend is under way")
  })

  it("meets the guards, whose refusal names the model for an approval", async () => {
    const platform = await serving()
    platform.set(
      "environments: { staging: { guards: { approval: { required: true, approvers: [grace], validFor: 1h } } } }",
    )
    await expect(platform.promote()).rejects.toThrow("approval")
    expect(platform.pointers).toHaveLength(1)
    const refused = (await platform.trail("staging")).events.find(({ kind }) => kind === "refused")
    expect(refused).toMatchObject({ component: { kind: "model" }, request: { model: two } })
    const { request } = refused ?? {}
    const settings = (model: string) =>
      platform
        .command(named({ model }))
        .components[0]?.settingsDigest(request?.image ?? "", request?.secretNames ?? [])
    // What is approved is this very model.
    expect(settings(two)).toBe(request?.settings)
    expect(settings(three)).not.toBe(request?.settings)
  })

  it("is not part of a deploy that does not name it, and refuses what is no digest", async () => {
    const platform = await serving()
    expect(platform.command({ only: [] }).components.map(({ id }) => id.kind)).not.toContain("model")
    expect(() => platform.command({ only: ["f1-winners@latest"] })).toThrow("all 64 digits of its digest")
    expect(() => platform.command({ only: ["f1-losers"] })).toThrow(/allowed: .*f1-winners/)
  })

  it.each(moments(true))(
    "killed at request $dies (handled: $after) goes on to the same end",
    async ({ dies, after }) => {
      const platform = await serving()
      await platform.cutOff(platform.command({ ...named({}), dies, after }), (command) => begun(command))
      const first = platform.pointer.champion
      const table = await platform.promote()
      expect(table).toMatch(/^f1-winners +(promoted|unchanged) /m)
      expect(platform.pointer).toMatchObject({ champion: two, challenger: undefined, previous: one })
      expect(platform.state.running).toBeUndefined()
      expect(platform.state.runs).toMatchObject([{ result: "promoted" }])
      expect(await once(platform)).toEqual(["started", "promoted"])
      expect(platform.jobs.mostAtOnce).toBe(1)
      // Whoever has moved it has not moved it twice.
      expect(platform.pointers.filter(({ champion }) => champion === two)).toHaveLength(1)
      expect([one, two]).toContain(first)
    },
  )

  it.each(moments(false))(
    "killed at request $dies (handled: $after) while a pod cannot load it, ends where it began",
    async ({ dies, after }) => {
      const platform = await serving()
      platform.set(promotion("shadow: false"))
      platform.unloadable.add(two)
      await platform.cutOff(platform.command({ ...named({ model: two }), dies, after }), (command) =>
        begun(command),
      )
      await expect(platform.promote({ model: two })).rejects.toThrow("cannot load it: golden")
      expect(platform.pointer).toMatchObject({ champion: one, previous: undefined })
      expect(platform.state.running).toBeUndefined()
      const audited = await platform.audited()
      expect(audited.filter((kind) => kind === "started")).toHaveLength(platform.state.runs.length)
      expect(audited.filter((kind) => kind === "rolled-back")).toHaveLength(platform.state.runs.length)
    },
  )
})

describe("rollback --model", () => {
  /** A platform whose model was promoted. */
  const promoted = async () => {
    const platform = await serving()
    await platform.promote()
    return platform
  }

  it("returns to the champion before by the same path, and leaves none to go back to", async () => {
    const platform = await promoted()
    expect(await platform.goBack()).toMatch(
      new RegExp(`^f1-winners +promoted .*${short(one)} serves on every pod `, "m"),
    )
    expect(platform.pointer).toMatchObject({ champion: one, previous: undefined })
    expect(await platform.audited()).toEqual(["started", "promoted", "started", "promoted"])
    expect((await platform.history())[0]).toMatchObject({
      action: "rollback",
      models: { from: two, to: one },
    })
    // What was rolled back from is not what the next rollback goes to.
    await expect(platform.goBack()).rejects.toThrow("name a model by its digest with --to")
    expect(await platform.goBack({ to: one })).toMatch(/^f1-winners +unchanged /m)
    expect(await platform.goBack({ to: two })).toMatch(/^f1-winners +promoted /m)
    await expect(platform.goBack({ to: "latest" })).rejects.toThrow("all 64 hexadecimal digits")
  })

  it("waits for no guard", async () => {
    const platform = await promoted()
    platform.set(
      "environments: { staging: { guards: { approval: { required: true, approvers: [grace], validFor: 1h } } } }",
    )
    expect(await platform.goBack()).toMatch(/^f1-winners +promoted /m)
  })

  it("stays where it is when a pod cannot load the model before", async () => {
    const platform = await promoted()
    platform.unloadable.add(one)
    await expect(platform.goBack()).rejects.toThrow("cannot load it: golden")
    expect(platform.pointer).toMatchObject({ champion: two, previous: one })
  })

  it.each(moments(false))(
    "killed at request $dies (handled: $after) goes on to the same end",
    async ({ dies, after }) => {
      const platform = await promoted()
      await platform.cutOff(platform.command({ ...named({}), dies, after }), (command) =>
        rollback(command, command.components, { reason: "why" }),
      )
      const isOver = platform.state.running === undefined && platform.pointer.champion === one
      if (isOver) await expect(platform.goBack()).rejects.toThrow("no champion before")
      else expect(await platform.goBack()).toMatch(/^f1-winners +promoted /m)
      expect(platform.pointer).toMatchObject({ champion: one, previous: undefined })
      expect(platform.state.running).toBeUndefined()
      expect(await once(platform)).toEqual(["started", "promoted", "started", "promoted"])
    },
  )

  it.each(moments(false))(
    "takes a promotion back that was killed at request $dies (handled: $after)",
    async ({ dies, after }) => {
      const platform = await serving()
      await platform.cutOff(platform.command({ ...named({}), dies, after }), (command) => begun(command))
      const hasBegun =
        (await platform.audited()).includes("started") &&
        (platform.state.running !== undefined || platform.state.runs.length > 0)
      if (hasBegun) expect(await platform.goBack()).toMatch(/^f1-winners +promoted /m)
      else await expect(platform.goBack()).rejects.toThrow("no champion before")
      expect(platform.pointer.champion).toBe(one)
      expect(platform.state.running).toBeUndefined()
      // And nothing that is late moves it again.
      await platform.clock.pass(120_000)
      expect(platform.pointer.champion).toBe(one)
    },
  )

  it("is ended first by a deploy of another model: a rollback goes on, and a promotion is taken back", async () => {
    const platform = await serving()
    platform.failures.point = 1
    await expect(platform.promote()).rejects.toThrow("S3 is away")
    platform.verdicts[three] = "better"
    expect(await platform.promote({ model: three })).toMatch(/^f1-winners +promoted /m)
    expect(platform.state.runs).toMatchObject([
      { to: three, result: "promoted" },
      { to: two, result: "aborted" },
    ])
    expect(platform.pointer).toMatchObject({ champion: three, previous: one })
  })
})
