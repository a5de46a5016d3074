import { describe, expect, it } from "vitest"
import { plan } from "../../src/delivery/executor.js"
import { planText } from "../../src/delivery/plan.js"
import { type Command, FakePlatform, image, releaseOf } from "./fake-platform.js"

/** The plan for a release, as people see it. */
const planned = async (command: Command, letter: string) =>
  planText(await plan(command, command.components, { release: releaseOf(letter), author: "alan" }))

describe("deploy", () => {
  it("brings the first revision to all traffic", async () => {
    const platform = new FakePlatform()
    const table = await platform.deploy("a")
    expect(table).toMatch(/api +promoted +1 /)
    expect(table).toContain("ready: database 2 ms, redis 1 ms")
    expect(platform.traffic()).toEqual({ "api-1": 100 })
    expect(platform.home()).toBe("1")
    expect(platform.cluster.get("Deployment", "api-1")?.spec).toMatchObject({ replicas: 2 })
    expect(platform.cluster.get("Lease", "api-rollout")?.spec?.holderIdentity ?? null).toBeNull()
  })

  it("shows what will change before anything changes", async () => {
    const platform = new FakePlatform()
    await platform.deploy("a")
    platform.said.length = 0
    const command = platform.command()
    const written: string[] = []
    platform.cluster.watchers.push(() => written.push("written"))
    const tell = command.say
    command.say = (line) => {
      if (line.includes("Deploy to staging")) expect(written).toEqual([])
      tell(line)
    }
    await platform.deploy("b", {}, command)
    const [shown = ""] = platform.said
    expect(shown).toContain("backend api: revision 2 replaces 1, blue-green")
    expect(shown).toContain("+ Deployment f1-staging/api-2: created")
    expect(shown).toContain(`${image("a")} → ${image("b")}`)
    expect(shown).not.toContain("a-key")
  })

  it("switches to the next one, and keeps the one before without pods", async () => {
    const platform = new FakePlatform()
    await platform.deploy("a")
    await platform.deploy("b")
    expect(platform.traffic()).toEqual({ "api-2": 100 })
    expect(platform.home()).toBe("2")
    expect(platform.cluster.get("Deployment", "api-1")?.spec?.replicas).toBe(0)
  })

  it("does nothing for what has all traffic already, and says so", async () => {
    const platform = new FakePlatform()
    await platform.deploy("a")
    expect(await platform.deploy("a")).toMatch(/api +unchanged +1 .*it has all traffic already/)
    expect(platform.cluster.all("Deployment")).toHaveLength(1)
  })

  it("makes a revision of a secret that is another, and keeps one that is not given", async () => {
    const platform = new FakePlatform()
    await platform.deploy("a")
    expect(await platform.deploy("a", { secrets: {} })).toContain("unchanged")
    expect(await platform.deploy("a", { secrets: { STAGING_JWT_SECRET_KEY: "another" } })).toMatch(
      /promoted +2/,
    )
    const secret = platform.cluster.get("Secret", "api-2")?.data ?? {}
    const read = (name: string) => Buffer.from(secret[name] ?? "", "base64").toString()
    expect(read("jwt_secret_key")).toBe("another")
    expect(read("database_url")).toBe("postgresql://recipes@db/recipes")
  })

  it("says how to give a secret that is missing", async () => {
    await expect(new FakePlatform().deploy("a", { secrets: {} })).rejects.toThrow(
      "api needs DATABASE_URL: add STAGING_DATABASE_URL=… to the file given with --secrets",
    )
  })

  it("takes a canary back that answers with errors, and says why", async () => {
    const platform = new FakePlatform()
    await platform.deploy("a")
    const second = platform.deploy("b", { strategy: "canary" })
    platform.failing.add(2)
    await expect(second).rejects.toThrow(
      /api was not deployed to staging; traffic stays on the previous revision: .*smoke test: \/api\/recipes answered 500/s,
    )
    expect(platform.traffic()).toEqual({ "api-1": 100 })
    expect(platform.home()).toBe("1")
    const [last] = await platform.history()
    expect(last).toMatchObject({ outcome: "aborted", revision: 2, from: 1 })
    expect(platform.events.map(({ kind }) => kind)).toEqual([
      "started",
      "shifted",
      "promoted",
      "started",
      "rolling-back",
      "rolled-back",
    ])
  })

  it("is no success when the service is not well afterwards", async () => {
    const platform = new FakePlatform()
    await platform.deploy("a")
    platform.cluster.watchers.push((thing) => {
      if (thing.metadata?.annotations?.["pitwall.dev/phase"] === "promoted") platform.unwell.add(2)
    })
    await expect(platform.deploy("b")).rejects.toThrow(
      "it has all traffic and is not healthy: not ready: database failed",
    )
    expect(platform.events.at(-1)).toMatchObject({ kind: "failed", severity: "critical" })
  })
})

describe("a deploy that was cut off", () => {
  /** Every fifth request: enough to meet every phase, and the moments between what belongs together. */
  const moments = Array.from({ length: 40 }, (_, at) => 5 * at + 3)

  it.each(moments)("at its request %i is gone on with by the next command", async (dies) => {
    const platform = new FakePlatform()
    await platform.deploy("a")
    const command = platform.command({ dies })
    const cut = platform.deploy("b", {}, command)
    const ended = await platform.clock.until(
      Promise.race([cut.then(() => "done"), command.dead.then(() => "dead")]),
    )
    expect(["done", "dead"]).toContain(ended)
    const table = await platform.deploy("b", {}, platform.command({ who: "grace" }))
    expect(table).toMatch(/api +(promoted|unchanged) +[23] /)
    const [share] = Object.entries(platform.traffic())
    expect(share?.[1]).toBe(100)
    const running = platform.cluster.all("Deployment").filter(({ spec }) => spec?.replicas !== 0)
    expect(running.map(({ metadata }) => metadata?.name)).toEqual([share?.[0]])
    expect(platform.home()).toBe(share?.[0].slice("api-".length))
    const [last] = await platform.history()
    expect(last).toMatchObject({ outcome: "promoted" })
  })

  it("keeps another deploy from beginning, and says what to do", async () => {
    const platform = new FakePlatform()
    await platform.deploy("a")
    const command = platform.command({ dies: Infinity })
    const stop = new Promise<void>((resolve) => {
      platform.cluster.watchers.push((thing) => {
        if (thing.metadata?.annotations?.["pitwall.dev/phase"] === "verifying") resolve()
      })
    })
    void platform.deploy("b", {}, command).catch(() => undefined)
    await stop
    await expect(platform.deploy("c", {}, platform.command({ who: "grace" }))).rejects.toThrow(
      /api: the deploy of revision 2 by dora is under way \(verifying\): .*rollback --env staging --service api/,
    )
  })
})

describe("a deploy to production", () => {
  const production = (platform: FakePlatform, who = "dora") =>
    platform.command({ environment: "production", who })

  it("is refused with all reasons, and that is recorded", async () => {
    const platform = new FakePlatform()
    const refused = platform.deploy("a", {}, production(platform))
    await expect(refused).rejects.toThrow(/approval: no approval for api@sha256:aaaaaaaaaaaa by somebody/)
    await expect(refused).rejects.toThrow(/checks: ci has not passed for api@sha256:aaaaaaaaaaaa/)
    await expect(refused).rejects.toThrow(
      `./daggerw call approve --env production --image api=sha256:${"a".repeat(64)}`,
    )
    expect(platform.cluster.all("Deployment")).toEqual([])
    expect(platform.events.map(({ kind }) => kind)).toEqual(["refused"])
    const [entry] = platform.cluster.all("ConfigMap")
    expect(entry?.metadata?.labels).toMatchObject({ "pitwall.dev/audit": "refused" })
  })

  it("begins with an approval and with what staging's record says of ci, step by step", async () => {
    const platform = new FakePlatform()
    const checks = () => Promise.resolve({ passed: true, summary: "Passed: all 12 gates." })
    await platform.deploy("a", { checks })
    await platform.deploy("b", { checks })
    expect(platform.said).toContain("Passed: all 12 gates.")
    for (const letter of ["a", "b"]) {
      platform.approve(letter, "grace")
      await platform.deploy(letter, {}, production(platform))
    }
    const begun = platform.cluster
      .all("ConfigMap")
      .map(
        ({ data }) =>
          JSON.parse(data?.entry ?? "{}") as { kind?: string; environment?: string; approval?: object },
      )
      .filter(({ kind, environment }) => kind === "started" && environment === "production")
    expect(begun).toHaveLength(2)
    expect(begun[0]?.approval).toMatchObject({ by: "grace" })
    const shown = platform.said.join("\n")
    expect(shown).toContain("canary with 10 %, 50 %, 100 %")
    expect(shown).toMatch(/api \d: shifting: .*10 % of traffic/)
  })

  it("is not helped by a ci that failed", async () => {
    const platform = new FakePlatform()
    platform.approve("a", "grace")
    const checks = () => Promise.resolve({ passed: false, summary: "Failed: api:test." })
    await expect(platform.deploy("a", { checks }, production(platform))).rejects.toThrow(
      "checks: ci has not passed",
    )
    expect(platform.said).toContain("Failed: api:test.")
  })

  it("may set guards aside for a reason, which is recorded", async () => {
    const platform = new FakePlatform()
    const override = "the login fails, agreed with Ada"
    await platform.deploy("a", { override }, production(platform))
    const begun = platform.cluster
      .all("ConfigMap")
      .map(({ data }) => JSON.parse(data?.entry ?? "{}") as { kind?: string; overridden?: object })
      .find(({ kind }) => kind === "started")
    expect(begun?.overridden).toEqual({ reason: override, guards: ["approval", "checks"] })
    expect(platform.events.map(({ kind }) => kind)).toContain("overridden")
    await expect(platform.deploy("b", { override: "because" }, production(platform))).rejects.toThrow(
      "is no reason to override a guard",
    )
  })
})

describe("a deploy of two backends", () => {
  const both = { only: ["api", "f1-backend"] }

  it("brings both to all traffic under one operation", async () => {
    const platform = new FakePlatform()
    const table = await platform.deploy("a", both)
    expect(table).toMatch(/api +promoted +1 /)
    expect(table).toMatch(/f1-backend +promoted +1 /)
    const history = await platform.history()
    expect(history.map(({ component, outcome }) => [component.name, outcome])).toEqual([
      ["api", "promoted"],
      ["f1-backend", "promoted"],
    ])
    expect(new Set(history.map(({ id }) => id)).size).toBe(1)
  })

  it("takes back the one that fails, promotes the other, and fails as a whole", async () => {
    const platform = new FakePlatform()
    await platform.deploy("a", both)
    platform.failingServices.add("f1-backend")
    const second = platform.deploy("b", both)
    await expect(second).rejects.toThrow(/api +promoted +2 /)
    await expect(second).rejects.toThrow(/f1-backend +aborted +2 /)
    await expect(second).rejects.toThrow(
      "f1-backend was not deployed to staging; traffic stays on the previous revision",
    )
    const history = await platform.history()
    expect(history.slice(0, 2).map(({ component, outcome }) => [component.name, outcome])).toEqual([
      ["api", "promoted"],
      ["f1-backend", "aborted"],
    ])
    expect(await platform.status(platform.command(both))).toMatch(/f1-backend: deploy of revision 2: aborted/)
    // The same call deploys what is missing, and leaves the other alone.
    platform.failingServices.clear()
    const again = await platform.deploy("b", both)
    expect(again).toMatch(/api +unchanged +2 /)
    expect(again).toMatch(/f1-backend +promoted +3 /)
  })

  it("deploys one while another command works on the other", async () => {
    const platform = new FakePlatform()
    await platform.deploy("a", both)
    const api = platform.command().components[0]
    const lock = await platform.clock.until(Promise.resolve(api?.lock()))
    const second = platform.deploy("b", both, platform.command({ ...both, who: "grace" }))
    await expect(second).rejects.toThrow(/f1-backend +promoted +2 /)
    await expect(second).rejects.toThrow(/api +failed .*is being deployed by dora/)
    await lock?.unlock()
  })

  it("asks the guards once for both, and starts neither when they refuse", async () => {
    const platform = new FakePlatform()
    platform.approve("a", "grace")
    const refused = platform.deploy("a", both, platform.command({ ...both, environment: "production" }))
    await expect(refused).rejects.toThrow(/f1-backend@sha256:aaaaaaaaaaaa/)
    expect(platform.cluster.all("Deployment")).toEqual([])
    for (const service of both.only) {
      expect(platform.cluster.get("Lease", `${service}-rollout`)?.spec?.holderIdentity ?? null).toBeNull()
    }
  })
})

describe("what the gates say", () => {
  const failing = () => Promise.resolve({ passed: false, summary: "Failed: api:test." })

  it("fails a deploy to staging at its end, although staging does not wait for it", async () => {
    const platform = new FakePlatform()
    const deploying = platform.deploy("a", { checks: failing })
    await expect(deploying).rejects.toThrow("The gates failed for what was deployed to staging.")
    await expect(deploying).rejects.toThrow(/api +promoted +1 /)
    const [last] = await platform.history()
    expect(last).toMatchObject({ outcome: "promoted", checks: "failed" })
  })

  it("comes with a release, and counts for the images of the next environment", async () => {
    const platform = new FakePlatform()
    await platform.deploy(releaseOf("a", { checks: "passed" }))
    platform.approve("a", "grace")
    const production = platform.command({ environment: "production" })
    expect(await platform.deploy("a", {}, production)).toMatch(/api +promoted/)
  })

  it("counts by its latest word for an image", async () => {
    const platform = new FakePlatform()
    await platform.deploy(releaseOf("a", { checks: "passed" }))
    await platform.deploy("b")
    await expect(platform.deploy("a", { checks: failing })).rejects.toThrow("The gates failed")
    platform.approve("a", "grace")
    const production = platform.command({ environment: "production" })
    await expect(platform.deploy("a", {}, production)).rejects.toThrow("checks: ci has not passed")
  })
})

describe("guards", () => {
  it("are asked under the lease: a deploy that was taken back while the gates ran does not start again", async () => {
    const platform = new FakePlatform()
    platform.approve("a", "grace")
    const passing = () => Promise.resolve({ passed: true, summary: "Passed." })
    const production = () => platform.command({ environment: "production" })
    await platform.deploy("a", { checks: passing }, production())
    platform.approve("b", "grace")
    const first = platform.command({ environment: "production" })
    const reached = new Promise<void>((resolve) => {
      platform.cluster.watchers.push(({ metadata }) => {
        if (metadata?.annotations?.["pitwall.dev/phase"] === "shifting") resolve()
      })
    })
    const deploying = platform.deploy("b", { checks: passing }, first)
    deploying.catch(() => undefined)
    await reached
    // The same deploy again: it would resume, if the first one were not taken back while its gates run.
    const gates = async () => {
      await platform.rollback({}, platform.command({ environment: "production", who: "ada" }))
      platform.cluster.all("ConfigMap").forEach((object) => {
        if (object.metadata?.name === "approval-grace") platform.cluster.remove(object)
      })
      return { passed: false, summary: "Failed: api:test." }
    }
    const again = platform.deploy(
      "b",
      { checks: gates },
      platform.command({ environment: "production", who: "eve" }),
    )
    await expect(again).rejects.toThrow(/approval: .*\n.*checks: ci has not passed/)
    await deploying.catch(() => undefined)
    expect(platform.traffic()).toEqual({ "api-1": 100 })
  })
})

describe("a deploy that changes only where requests come in", () => {
  const spec = (platform: FakePlatform) =>
    platform.cluster.get("HTTPRoute", "api")?.spec as { hostnames: string[]; parentRefs: { name: string }[] }

  it("is carried out", async () => {
    const platform = new FakePlatform()
    await platform.deploy("a")
    platform.set(
      "environments: { staging: { services: { api: { hostnames: [new.example.com] } }, gateway: { name: other, namespace: edge } } }",
    )
    expect(await platform.deploy("a")).toMatch(/api +promoted +2 /)
    expect(spec(platform)).toMatchObject({ hostnames: ["new.example.com"], parentRefs: [{ name: "other" }] })
    expect(await platform.deploy("a")).toMatch(/api +unchanged/)
  })
})

describe("rollback", () => {
  it("goes back to the proven revision before, at once", async () => {
    const platform = new FakePlatform()
    await platform.deploy("a")
    await platform.deploy("b")
    expect(await platform.rollback()).toMatch(/api +promoted +1 /)
    expect(platform.traffic()).toEqual({ "api-1": 100 })
    expect(platform.home()).toBe("1")
    expect(platform.cluster.get("Deployment", "api-2")?.spec?.replicas).toBe(0)
    const [last] = await platform.history()
    expect(last).toMatchObject({
      action: "rollback",
      from: 2,
      revision: 1,
      outcome: "promoted",
      reason: "it is wrong",
    })
  })

  it("goes to the last revision that served and was proven, not to one that was rolled back from", async () => {
    const platform = new FakePlatform()
    await platform.deploy("a")
    await platform.deploy("b")
    await platform.rollback({ reason: "2 is bad" })
    await platform.deploy("c")
    await platform.rollback({ reason: "3 is bad" })
    expect(platform.traffic()).toEqual({ "api-1": 100 })
    await expect(platform.rollback()).rejects.toThrow("no proven revision before 1 is kept; allowed: 3, 2")
  })

  it.each(["whose command died", "whose command waits"])(
    "can be redirected from a revision that never becomes ready, %s",
    async (how) => {
      const platform = new FakePlatform()
      for (const letter of ["a", "b", "c"]) await platform.deploy(letter)
      platform.cluster.health.set(1, "never ready")
      const command = platform.command({ dies: how === "whose command died" ? 40 : Infinity })
      const first = platform.rollback({ to: 1 }, command)
      first.catch(() => undefined)
      if (how === "whose command died") await platform.clock.until(command.dead)
      else await platform.clock.pass(20_000)
      await platform.rollback({ to: 2 }, platform.command({ who: "grace" }))
      expect(platform.traffic()).toEqual({ "api-2": 100 })
    },
  )

  it("goes to a revision that was asked for, and forward again", async () => {
    const platform = new FakePlatform()
    for (const letter of ["a", "b", "c"]) await platform.deploy(letter)
    await platform.rollback({ to: 1 })
    expect(platform.traffic()).toEqual({ "api-1": 100 })
    await platform.rollback({ to: 3 })
    expect(platform.traffic()).toEqual({ "api-3": 100 })
    await expect(platform.rollback({ to: 9 })).rejects.toThrow(
      "revision 9 was not proven, or is no longer kept",
    )
    await expect(platform.rollback({ to: 1 }, platform.command({ only: [] }))).rejects.toThrow(
      "name it with --service",
    )
  })

  it("refuses a revision that cannot read the database any more", async () => {
    const platform = new FakePlatform()
    const of = (letter: string, head: string, breaking: string[]) => ({
      ...releaseOf(letter),
      images: { api: { reference: image(letter), migrations: { head, breaking } } },
    })
    await platform.deploy(of("a", "0001", []))
    await platform.deploy(of("b", "0002", ["0002"]))
    const why = "revision 2 brought migration 0002, which one of schema 0001 cannot read"
    await expect(platform.rollback()).rejects.toThrow(`it cannot go back to revision 1: ${why}`)
    await expect(
      platform.deploy(of("c", "0001", []), { override: "the database was restored" }),
    ).rejects.toThrow(why)
    expect(platform.traffic()).toEqual({ "api-2": 100 })
  })

  it("wants a word for an image that says nothing once a breaking migration came, unless it is kept", async () => {
    const platform = new FakePlatform()
    await platform.deploy({
      ...releaseOf("a"),
      images: { api: { reference: image("a"), migrations: { head: "0002", breaking: ["0002"] } } },
    })
    await expect(platform.deploy("b")).rejects.toThrow("api may not be able to work with its database")
    const override = "read with the registry of the other account"
    expect(await platform.deploy("b", { override })).toMatch(/api +promoted +2 /)
    expect(await platform.deploy("a")).toMatch(/api +promoted +3 /)
  })

  it("takes an image that its schema became known of for the same", async () => {
    const platform = new FakePlatform()
    await platform.deploy("a")
    const known = { api: { reference: image("a"), migrations: { head: "0001", breaking: [] } } }
    expect(await platform.deploy({ ...releaseOf("a"), images: known })).toMatch(/api +unchanged +1 /)
  })

  it("takes back what is under way, by the command that works on it", async () => {
    const platform = new FakePlatform()
    await platform.deploy("a")
    const under = new Promise<void>((resolve) => {
      platform.cluster.watchers.push((thing) => {
        if (thing.metadata?.annotations?.["pitwall.dev/phase"] === "shifting") resolve()
      })
    })
    const deploying = platform.deploy("b", { strategy: "canary" })
    deploying.catch(() => undefined)
    await under
    expect(await platform.rollback({}, platform.command({ who: "grace" }))).toMatch(/api +promoted +1 /)
    await expect(deploying).rejects.toThrow("taken back by grace: it is wrong")
    expect(platform.traffic()).toEqual({ "api-1": 100 })
  })

  it("takes back what its command has left, and nobody works on", async () => {
    const platform = new FakePlatform()
    await platform.deploy("a")
    const command = platform.command({ dies: 60, strategy: "canary" })
    void platform.deploy("b", {}, command).catch(() => undefined)
    await platform.clock.until(command.dead)
    expect(await platform.rollback({}, platform.command({ who: "grace" }))).toMatch(/api +promoted +1 /)
    expect(platform.traffic()).toEqual({ "api-1": 100 })
    const [last] = await platform.history()
    expect(last).toMatchObject({
      action: "deploy",
      outcome: "aborted",
      message: "taken back by grace: it is wrong",
    })
  })

  it("has nothing to go back to where nothing was", async () => {
    await expect(new FakePlatform().rollback()).rejects.toThrow("nothing was deployed yet")
  })
})

describe("a deploy with a comparison that asks for a fresh baseline", () => {
  const comparison = (baseline: string) =>
    `analysis: { comparison: { metric: error-rate, confidence: 98, points: 50, baseline: ${baseline} } }`
  const beside = "api-2-baseline"
  const phase = "pitwall.dev/phase"

  /** A deploy of a second revision, once it is in a phase. */
  async function under(there: string, more: Parameters<FakePlatform["deploy"]>[1] = { strategy: "canary" }) {
    const platform = new FakePlatform()
    platform.set(comparison("fresh"))
    await platform.deploy("a")
    expect(platform.cluster.all("Deployment")).toHaveLength(1)
    const reached = new Promise<void>((resolve) => {
      platform.cluster.watchers.push(({ metadata }) => {
        if (metadata?.annotations?.[phase] === there) resolve()
      })
    })
    const deploying = platform.deploy("b", more)
    deploying.catch(() => undefined)
    await reached
    return { platform, deploying }
  }

  it("has one while it shifts, which status shows, and none when it is promoted", async () => {
    const { platform, deploying } = await under("shifting")
    expect(platform.traffic()).toEqual({ "api-1": 80, [beside]: 10, "api-2": 10 })
    expect(platform.asked).toContain(`${beside}:8000 /api/recipes`)
    const [line] = /.*2-baseline.*/.exec(await platform.status()) ?? []
    expect(line).toMatch(/2-baseline +10 % +2 of 2 +– +sha256:aaaaaaaaaaaa/)
    expect(await deploying).toMatch(/api +promoted +2 /)
    expect(platform.cluster.get("Deployment", beside)).toBeUndefined()
    expect(await platform.status()).not.toContain("baseline")
  })

  it("has none with blue-green", async () => {
    const { platform, deploying } = await under("promoting", { strategy: "blue-green" })
    expect(platform.cluster.get("Deployment", beside)).toBeUndefined()
    await deploying
  })

  it.each([
    ["fresh", "stable", true],
    ["stable", "fresh", false],
  ])("begins with a %s baseline, and goes on so when the settings say %s", async (first, then, fresh) => {
    const platform = new FakePlatform()
    await platform.deploy("a")
    platform.set(comparison(first))
    const command = platform.command({ dies: 60, strategy: "canary" })
    platform.set(comparison(then))
    void platform.deploy("b", {}, command).catch(() => undefined)
    await platform.clock.until(command.dead)
    const { [phase]: reached } = platform.cluster.get("HTTPRoute", "api")?.metadata?.annotations ?? {}
    expect(reached).toMatch(/preparing|verifying/)
    platform.said.length = 0
    expect(await platform.deploy("b", { strategy: "canary" })).toMatch(/api +promoted +2 /)
    expect(platform.said.join("\n").includes("10 % on the baseline of revision 2")).toBe(fresh)
    expect(platform.cluster.get("Deployment", beside)).toBeUndefined()
  })

  it("is rolled back while it shifts, and leaves nothing", async () => {
    const { platform, deploying } = await under("shifting")
    expect(await platform.rollback({}, platform.command({ who: "grace" }))).toMatch(/api +promoted +1 /)
    await expect(deploying).rejects.toThrow("taken back by grace: it is wrong")
    expect(platform.traffic()).toEqual({ "api-1": 100 })
    expect(platform.cluster.get("Deployment", beside)).toBeUndefined()
  })

  it("is planned with what it takes", async () => {
    const platform = new FakePlatform()
    await platform.deploy("a")
    const shown = async (baseline: string) => {
      platform.set(comparison(baseline))
      return planned(platform.command({ strategy: "canary" }), "b")
    }
    expect(await shown("fresh")).toContain(", compared with a fresh baseline of as many pods as 1 has, ")
    expect(await shown("stable")).not.toContain("baseline of")
  })
})

describe("plan", () => {
  it("says what a deploy would do and what is against it, and changes nothing", async () => {
    const platform = new FakePlatform()
    platform.cluster.watchers.push(() => {
      throw new Error("something was written")
    })
    const text = await planned(platform.command({ environment: "production" }), "a")
    expect(text).toContain("backend api: revision 1, the first one")
    expect(text).toContain("+ Deployment f1-production/api-1: created")
    expect(text).toContain("approval: no approval for api@")
  })
})

describe("status", () => {
  it("says of each service how it is", async () => {
    const platform = new FakePlatform()
    expect(await platform.status(platform.command({ only: [] }))).toBe(
      "api: nothing was deployed yet\n\nf1-backend: nothing was deployed yet",
    )
    await platform.deploy("a")
    await platform.deploy("b")
    const text = await platform.status()
    expect(text).toContain("api: deploy of revision 2: promoted; nobody works on it")
    expect(text).toMatch(/2 +100 % +2 of 2 +promoted +sha256:bbbbbbbbbbbb/)
    expect(text).toMatch(/1 +0 % +– +promoted +sha256:aaaaaaaaaaaa/)
  })
})
