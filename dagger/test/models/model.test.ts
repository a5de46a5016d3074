// Models of an environment, trained by commands on a fake cluster whose Jobs run by themselves.
import { describe, expect, it } from "vitest"
import { type Command, type CommandOptions, FakePlatform, secrets } from "../delivery/fake-platform.js"
import { FakeJobs, type JobScript } from "../databases/fixtures.js"
import { modelText, publicKey } from "./fixtures.js"

const digest = "ab".repeat(32)

const line = (outcome: string, message: string, more: object = {}) =>
  JSON.stringify({ event: "result", outcome, message, digest: null, version: null, champion: null, ...more })

const challenger = line("challenger", "20261122-0a1b (abab) is the challenger: clearly better", { digest })

class Platform extends FakePlatform {
  readonly jobs = new FakeJobs(this.cluster, this.clock)

  constructor(script: JobScript = { log: challenger }) {
    super()
    this.commit(modelText)
    this.run(script)
  }

  run(script: JobScript): this {
    this.jobs.script = () => script
    return this
  }

  /** The command `train`. */
  train(
    options: CommandOptions & { force?: boolean } = {},
    command = this.command(options),
  ): Promise<string> {
    const [model] = command.opened.models()
    return this.clock.until(model?.train(options.force ?? false) ?? Promise.resolve("no model"))
  }

  /** Runs the command until it is killed. */
  async cutOff(command: Command): Promise<void> {
    await this.clock.until(Promise.race([command.dead, this.train({}, command)]))
  }

  get state(): { running?: { id: string }; runs: { outcome: string; message: string }[] } {
    const text = this.cluster.get("ConfigMap", "model-f1-winners")?.data?.state ?? "{}"
    return JSON.parse(text) as Platform["state"]
  }

  async audited(): Promise<string[]> {
    const { events } = await this.trail("staging")
    return events
      .filter(({ component }) => component.kind === "model")
      .map(({ kind, message }) => `${kind}: ${message}`)
  }
}

const keyed = { secrets: { ...secrets, STAGING_MODEL_SIGNING_KEY: "private" }, only: ["f1-backend"] }

/** A platform whose service is deployed. */
async function serving(script?: JobScript): Promise<Platform> {
  const platform = new Platform(script)
  await platform.deploy("a", keyed)
  return platform
}

describe("train", () => {
  it("runs the serving image, with its secrets and the signing key, and records the verdict", async () => {
    const platform = await serving()
    expect(await platform.train(keyed)).toBe(
      "f1-winners: 20261122-0a1b (abab) is the challenger: clearly better",
    )
    const [name = ""] = platform.jobs.created
    const job = platform.cluster.get("Job", name) as unknown as {
      spec: {
        template: { spec: { containers: { image: string; args: string[] }[]; serviceAccountName: string } }
      }
    }
    const { containers, serviceAccountName } = job.spec.template.spec
    expect(containers[0]).toMatchObject({ args: ["registry", "train"] })
    expect(containers[0]?.image).toMatch(/f1-backend@sha256:a+/)
    expect(serviceAccountName).toBe("pitwall-model-f1-winners")
    const secret = platform.cluster.get("Secret", name) as unknown as { data: Record<string, string> }
    expect(Object.keys(secret.data).sort()).toEqual([
      ...["database_url", "jwt_secret_key", "model_signing_key", "redis_url"],
    ])
    expect(platform.cluster.get("ConfigMap", name)?.data).toMatchObject({
      ENVIRONMENT: "staging",
      MODEL_REGISTRY: "s3://models/f1",
      MODEL_PUBLIC_KEY: publicKey,
    })
    expect(platform.state).toMatchObject({ runs: [{ outcome: "challenger", digest }] })
    expect(platform.state.running).toBeUndefined()
    expect(await platform.audited()).toEqual([
      "trained: 20261122-0a1b (abab) is the challenger: clearly better",
    ])
  })

  it.each([
    ["nothing-new", "nothing new: the champion has seen 2026/2 China and all before it"],
    ["deferred", "put off, the champion serves: https://api.jolpi.ca: status 502"],
  ])("%s ends well, and nobody is told", async (outcome, message) => {
    const platform = await serving({ log: line(outcome, message) })
    expect(await platform.train(keyed)).toBe(`f1-winners: ${message}`)
    expect(await platform.audited()).toEqual([])
    expect(platform.state.runs).toMatchObject([{ outcome, message }])
  })

  it("tells why it trained, and records it", async () => {
    const because = "monitoring found: the model is worse than a logit on log grid"
    const platform = await serving({ log: line("unproven", "x: too little evidence", { digest, because }) })
    const text = `x: too little evidence; trained because ${because}`
    expect(await platform.train(keyed)).toBe(`f1-winners: ${text}`)
    expect(await platform.audited()).toEqual([`trained: ${text}`])
    // What did not train has no reason to do so.
    platform.run({ log: line("nothing-new", "nothing new", { because }) })
    expect(await platform.train(keyed)).toBe("f1-winners: nothing new")
  })

  it.each(["unproven", "refused"])("%s is recorded with its reason", async (outcome) => {
    const platform = await serving({ log: line(outcome, "x: because", { digest }) })
    expect(await platform.train(keyed)).toBe("f1-winners: x: because")
    expect(await platform.audited()).toEqual(["trained: x: because"])
  })

  it("asks for a training although nothing is new by --force", async () => {
    const platform = await serving()
    await platform.train({ ...keyed, force: true })
    const job = platform.cluster.get("Job", platform.jobs.created[0] ?? "")
    expect(JSON.stringify(job)).toContain('"args":["registry","train","--force"]')
  })

  it.each<[string, JobScript, RegExp]>([
    ["that says so", { log: line("failed", "no space"), end: "Failed" }, /^f1-winners: failed: no space$/],
    [
      "that is stopped",
      { log: "killed", end: "Failed", message: "deadline" },
      /it was stopped: deadline.*; run the same command again: it trains what is not in the registry yet/,
    ],
    [
      "whose challenger has no name",
      { log: line("challenger", "x") },
      /its result cannot be read: digest: it names no model/,
    ],
  ])("throws for a training %s", async (_, script, text) => {
    const platform = await serving(script)
    await expect(platform.train(keyed)).rejects.toThrow(text)
    expect(platform.state.runs).toMatchObject([{ outcome: "failed" }])
    expect((await platform.audited())[0]).toMatch(/^training-failed: /)
    // The next one is a new one.
    expect(await platform.run({ log: challenger }).train(keyed)).toContain("is the challenger")
    expect(platform.jobs.created).toHaveLength(2)
  })

  const moments = Array.from({ length: 24 }, (_, index) => index + 1)
  const cases = moments.flatMap((dies) => [false, true].map((after) => ({ dies, after })))
  it.each(cases)("killed at request $dies (handled: $after) is gone on with", async ({ dies, after }) => {
    const platform = await serving()
    await platform.cutOff(platform.command({ ...keyed, dies, after }))
    expect(await platform.train(keyed)).toContain("is the challenger")
    // Never two at once, and every one that began is in the log.
    expect(platform.jobs.mostAtOnce).toBe(1)
    expect(await platform.audited()).toHaveLength(platform.jobs.created.length)
    expect(platform.state.running).toBeUndefined()
  })

  it("needs the signing key, a service that serves, and a model", async () => {
    const platform = await serving()
    await expect(platform.train({ only: ["f1-backend"] })).rejects.toThrow("add STAGING_MODEL_SIGNING_KEY")
    await expect(new Platform().train(keyed)).rejects.toThrow("f1-backend was never deployed")
    expect(() => new FakePlatform().command().opened.models()).toThrow("add services.SERVICE.model")
  })
})
