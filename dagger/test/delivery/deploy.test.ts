import { describe, expect, it } from "vitest"
import { Approvals } from "../../src/delivery/approvals.js"
import { approve } from "../../src/delivery/approve.js"
import type { DeliveryEvent } from "../../src/delivery/events/event.js"
import { type DeployRequest, plan } from "../../src/delivery/executor.js"
import { historyOf, historyText, operationsOf } from "../../src/delivery/history.js"
import { planText } from "../../src/delivery/plan.js"
import type { Release } from "../../src/delivery/release.js"
import { confirmationOf, refuseOtherSettings, requestOf, requestText } from "../../src/delivery/request.js"
import {
  authorOf,
  type Command,
  type CommandOptions,
  FakePlatform,
  image,
  releaseOf,
  secrets,
} from "./fake-platform.js"

/** The plan for a release, as people see it. */
const planned = async (command: Command, letter: string) =>
  planText(
    await plan(command, command.components, {
      release: releaseOf(letter),
      authors: [],
      readAuthors: command.readAuthors,
    }),
  )

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

  it("ends with no command for GitHub's runner, whatever a service says of itself", async () => {
    const platform = new FakePlatform()
    await platform.deploy("a")
    platform.cluster.watchers.push((thing) => {
      if (thing.metadata?.annotations?.["pitwall.dev/phase"] === "promoted") platform.unwell.add(2)
    })
    platform.complaint = "lost\r\n::add-mask::x\n##[error]y"
    const end = await platform.deploy("b").then(String, String)
    expect(end).toContain("lost")
    expect(end).not.toMatch(/^\s*::|##\[|\r/m)
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
  /** Somebody who may override every guard. */
  const manager = (platform: FakePlatform) =>
    platform.command({ environment: "production", groups: ["incident-managers"] })

  it("is refused with all reasons, and that is recorded", async () => {
    const platform = new FakePlatform()
    const refused = platform.deploy("a", {}, production(platform))
    await expect(refused).rejects.toThrow(/approval: no approval for api@sha256:aaaaaaaaaaaa by somebody/)
    await expect(refused).rejects.toThrow(/checks: ci has not passed for api@sha256:aaaaaaaaaaaa/)
    await expect(refused).rejects.toThrow(
      /\.\/daggerw call approve --env production --request \d{8}-\d{6}-\w{4}/,
    )
    expect(platform.cluster.all("Deployment")).toEqual([])
    expect(platform.events.map(({ kind }) => kind)).toEqual(["refused"])
    const [entry] = platform.cluster.all("ConfigMap")
    expect(entry?.metadata?.labels).toMatchObject({ "pitwall.dev/audit": "refused" })
  })

  it("begins with an approval and a verdict of the gates, step by step", async () => {
    const platform = new FakePlatform()
    for (const letter of ["a", "b"]) {
      platform.approve(letter, "grace")
      platform.verdict(letter)
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

  it.each([
    [
      "other variables",
      "services: { api: { workload: { environment: { LOG_LEVEL: DEBUG } } } }",
      {},
      "settings or variables",
    ],
    [
      "other replicas",
      "services: { api: { workload: { history: 3, minReady: 9s } } }",
      {},
      "settings or variables",
    ],
    [
      "another host name",
      "environments: { production: { services: { api: { hostnames: [b.example.com] } } } }",
      {},
      "settings or variables",
    ],
    ["another secret", "", { PRODUCTION_REDIS_URL: "redis://evil" }, "secrets"],
  ])("is refused with %s than what was approved", async (_, settings, secret, what) => {
    const platform = new FakePlatform()
    platform.approve("a", "grace")
    platform.verdict("a")
    if (settings !== "") platform.set(settings)
    const command = platform.command({ environment: "production", secrets: { ...secrets, ...secret } })
    await expect(platform.deploy("a", {}, command)).rejects.toThrow(
      `that of grace does not count: it is for other ${what} of api`,
    )
  })

  it("is refused once its approval was revoked", async () => {
    const platform = new FakePlatform()
    platform.approve("a", "grace", { id: "one" })
    platform.verdict("a")
    platform.approvals({ "one.revoked": "by=ada\nat=2026-03-02T10:00:00.000Z\nreason=an advisory" })
    await expect(platform.deploy("a", {}, production(platform))).rejects.toThrow(
      "it was revoked by ada: an advisory",
    )
  })

  it("records what it would run when it is refused, and an approval of exactly that lets it begin", async () => {
    const platform = new FakePlatform()
    platform.verdict("a")
    await expect(platform.deploy("a", {}, production(platform))).rejects.toThrow(
      "approve --env production --request",
    )
    const grace = production(platform, "grace")
    const { events } = await grace.audit.read()
    const request = requestOf(events, events[0]?.operation ?? "")
    expect(request.components[0]?.changes).toEqual(
      expect.arrayContaining(["Deployment f1-production/api-1: created"]),
    )
    const shown = requestText(request)
    expect(shown).toContain("Deploy request")
    expect(shown).toContain("database_url, jwt_secret_key, redis_url")
    for (const value of Object.values(secrets)) expect(JSON.stringify(events)).not.toContain(value)
    expect(() => {
      refuseOtherSettings(request, grace.components)
    }).not.toThrow()
    platform.approvals({})
    const approvals = new Approvals(platform.cluster.client(), "f1-production")
    await platform.clock.until(
      approve({ ...grace, approvals }, request.components, { note: "", validFor: 3600 }),
    )
    expect(await platform.deploy("a", {}, production(platform))).toMatch(/api +promoted/)
  })

  it("cannot be approved by its request from a checkout with other settings, or once the request has changed", async () => {
    const platform = new FakePlatform()
    await expect(platform.deploy("a", {}, production(platform))).rejects.toThrow()
    const { events } = await production(platform).audit.read()
    const [first] = events
    if (!first) throw new Error("nothing was recorded")
    const request = requestOf(events, first.operation)
    platform.set("services: { api: { workload: { environment: { LOG_LEVEL: DEBUG } } } }")
    expect(() => {
      refuseOtherSettings(request, production(platform, "grace").components)
    }).toThrow("the request is for other settings of api than this checkout has")
    const forged = { ...first, digest: `sha256:${"f".repeat(64)}` }
    expect(confirmationOf(requestOf([forged], first.operation))).not.toBe(confirmationOf(request))
    expect(() => requestOf([first, forged], first.operation)).toThrow("several deploys are recorded as")
    expect(() => requestOf(events, "another")).toThrow(`allowed: ${first.operation}`)
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
    await platform.deploy("a", { override }, manager(platform))
    const begun = platform.cluster
      .all("ConfigMap")
      .map(({ data }) => JSON.parse(data?.entry ?? "{}") as { kind?: string; overridden?: object })
      .find(({ kind }) => kind === "started")
    expect(begun?.overridden).toEqual({ reason: override, guards: ["approval", "checks"] })
    expect(platform.events.map(({ kind }) => kind)).toContain("overridden")
    await expect(platform.deploy("b", { override: "because" }, manager(platform))).rejects.toThrow(
      "is no reason to override a guard",
    )
  })
})

describe("a deploy with settings that weaken guards", () => {
  const passed = { checks: () => Promise.resolve({ passed: true, summary: "Passed." }) }
  const override = "the login fails, agreed with Ada"
  const entriesOf = (platform: FakePlatform) =>
    platform.cluster
      .all("ConfigMap")
      .flatMap(({ data }) => (data?.entry === undefined ? [] : [JSON.parse(data.entry) as DeliveryEvent]))

  it.each<[string, string, string[]]>([
    ["guards: { approval: null }", "guards.approval: committed required, here not required", ["approval"]],
    ["guards: { checks: none }", "guards.checks: committed required, here none", ["checks"]],
    ["guards: { hours: null }", "guards.hours: committed Mon–Fri 09:00–16:00, here none", ["hours"]],
    ["namespace: mine", "namespace: committed f1-production, here mine", ["approval", "checks"]],
    [
      "guards: { overrides: { approval: ['group:system:authenticated'] } }",
      "guards.overrides.approval: committed group:incident-managers, here group:system:authenticated",
      ["approval"],
    ],
  ])("%s is refused without an override, and recorded with one", async (field, why, guards) => {
    const platform = new FakePlatform()
    platform.set(`environments: { production: { ${field} } }`)
    platform.approve("a", "grace")
    const production = { environment: "production" as const, groups: ["incident-managers"] }
    expect(await planned(platform.command(production), "a")).toContain(why)
    const refused = platform.deploy("a", passed, platform.command(production))
    await expect(refused).rejects.toThrow(`weakens environments.production.${why}`)
    await expect(refused).rejects.toThrow(/Who may:\n {2}\w+: allowed: group:/)
    expect(platform.cluster.all("Deployment")).toEqual([])
    await platform.deploy("a", { ...passed, override }, platform.command(production))
    const started = entriesOf(platform).find(({ kind }) => kind === "started")
    expect(started?.overridden?.guards).toEqual(expect.arrayContaining(guards))
    expect(started?.overridden).toMatchObject({
      reason: override,
      weakened: [`environments.production.${why}`],
    })
    expect(platform.events.find(({ kind }) => kind === "overridden")?.message).toContain(guards.join(", "))
    expect(
      historyText(
        historyOf(await platform.trail("production"), { only: [], limit: 9 }),
        platform.cluster.now(),
      ),
    ).toContain(`settings weakened environments.production.${why} (guards sha256:`)
  })

  it("needs somebody whom the committed file lets override that guard", async () => {
    const platform = new FakePlatform()
    const everybody = "['group:system:authenticated']"
    platform.set(
      `environments: { production: { guards: { approval: null, checks: none, overrides: { approval: ${everybody}, checks: ${everybody}, ownChanges: ${everybody} } } } }`,
    )
    const deploying = platform.deploy("a", { override }, platform.command({ environment: "production" }))
    await expect(deploying).rejects.toThrow(
      "dora may not override it; allowed: group:incident-managers (guards.overrides.approval)",
    )
    expect(platform.cluster.all("Deployment")).toEqual([])
    expect(platform.events.map(({ kind }) => kind)).toEqual(["refused"])
  })

  it("is not needed for stricter settings, nor for what starts nothing", async () => {
    const platform = new FakePlatform()
    const production = () => platform.command({ environment: "production" })
    platform.set("environments: { production: { guards: { approval: { validFor: 23h } } } }")
    platform.approve("a", "grace")
    expect(await platform.deploy("a", passed, production())).toMatch(/api +promoted/)
    platform.set("environments: { production: { guards: { approval: null } } }")
    expect(await platform.deploy("a", passed, production())).toMatch(/api +unchanged/)
  })

  it("never takes staging into production", async () => {
    const platform = new FakePlatform()
    platform.set(
      "environments: { staging: { namespace: f1-production }, production: { namespace: elsewhere } }",
    )
    const deploying = platform.deploy("a", { override, groups: ["incident-managers"] })
    await expect(deploying).rejects.toThrow(
      "environment: a setting weakens environments.staging.namespace: committed f1-staging, here f1-production, which is of production",
    )
    expect(platform.cluster.all("Deployment")).toEqual([])
  })

  it("leaves the digest of the guards in every entry of the audit log, and in the history", async () => {
    const platform = new FakePlatform()
    const production = () => platform.command({ environment: "production", groups: ["incident-managers"] })
    await expect(platform.deploy("a", passed, production())).rejects.toThrow("no approval")
    platform.approve("a", "grace")
    await platform.deploy("a", passed, production())
    const before = entriesOf(platform)
    expect(before.map(({ kind }) => kind).sort()).toEqual(["checked", "promoted", "refused", "started"])
    const [digest, ...others] = new Set(before.map(({ guards }) => guards))
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(others).toEqual([])
    platform.set("environments: { production: { guards: { hours: null } } }")
    platform.approve("b", "ada")
    await platform.deploy("b", { ...passed, override }, production())
    const { operations } = historyOf(await platform.trail("production"), { only: [], limit: 9 })
    expect(operations.map(({ guards }) => guards === digest)).toEqual([false, true, true])
  })
})

describe("the authors of a change", () => {
  const passed = { checks: () => Promise.resolve({ passed: true, summary: "Passed." }) }
  const production = (platform: FakePlatform, more: CommandOptions = {}) =>
    platform.command({ environment: "production", ...more })
  /** A platform with release a live in production. */
  async function live() {
    const platform = new FakePlatform()
    platform.approve("a", "grace")
    await platform.deploy("a", passed, production(platform))
    return platform
  }

  it("are those of every commit since what is live, and none of them may approve", async () => {
    const platform = await live()
    platform.authors.b = [authorOf("grace", "b")]
    platform.approve("c", "grace")
    await expect(platform.deploy("c", passed, production(platform))).rejects.toThrow(
      "that of grace does not count: they wrote the change",
    )
    platform.approve("c", "ada")
    await platform.deploy("c", passed, production(platform))
    const operations = operationsOf((await platform.trail("production")).events)
    expect(operations.find(({ approval }) => approval?.by === "ada")).toMatchObject({ author: "Grace, Alan" })
    // What is live has moved on: her commit is not part of the next change.
    platform.approve("d", "grace")
    expect(await platform.deploy("d", passed, production(platform))).toMatch(/api +promoted +3/)
  })

  it("are those of the whole history before the first deploy", async () => {
    const platform = new FakePlatform()
    platform.authors.a = [authorOf("grace", "a")]
    platform.approve("b", "grace")
    await expect(platform.deploy("b", passed, production(platform))).rejects.toThrow("they wrote the change")
  })

  it("are also those whom the release and the command name, who can only be more", async () => {
    const platform = await live()
    platform.approve("b", "grace")
    await expect(
      platform.deploy("b", { ...passed, authors: ["grace@example.com"] }, production(platform)),
    ).rejects.toThrow("they wrote the change")
    await expect(
      platform.deploy(releaseOf("b", { authors: ["grace"] }), passed, production(platform)),
    ).rejects.toThrow("they wrote the change")
    platform.approve("b", "alan")
    await expect(
      platform.deploy("b", { ...passed, authors: ["eve"] }, production(platform, { who: "grace" })),
    ).rejects.toThrow("that of alan does not count: they wrote the change")
  })

  it("are remembered with the revision: the same image of another commit is the same", async () => {
    const platform = await live()
    const { metadata, spec } = platform.cluster.get("Deployment", "api-1", "f1-production") ?? {}
    expect(metadata?.annotations?.["pitwall.dev/commit"]).toBe("a".repeat(40))
    expect(JSON.stringify(spec)).not.toContain("pitwall.dev/commit")
    const again = releaseOf("a", { commit: releaseOf("c").commit ?? "" })
    expect(await platform.deploy(again, passed, production(platform))).toMatch(/api +unchanged +1/)
    // What runs was built from a, so the commit c is not live.
    platform.authors.c = [authorOf("grace", "c")]
    platform.approve("d", "grace")
    await expect(platform.deploy("d", passed, production(platform))).rejects.toThrow("they wrote the change")
  })

  it("must be in deploy.yaml", async () => {
    const platform = await live()
    platform.authors.b = [authorOf("mallory", "b")]
    platform.approve("b", "grace")
    await expect(platform.deploy("b", passed, production(platform))).rejects.toThrow(
      "the author mallory <mallory@example.com> (commit bbbbbbbbbbbb) is nobody that is known: add this e-mail or login to identities in dagger/config/deploy.yaml",
    )
  })

  it.each<[string, (platform: FakePlatform) => [string | Release, Partial<DeployRequest>], string]>([
    [
      "the release names no commit",
      () => {
        const { images, schemaVersion } = releaseOf("b")
        return [{ images, schemaVersion }, {}]
      },
      "the release of api does not name its commit",
    ],
    [
      "git cannot tell",
      () => ["b", { readAuthors: () => Promise.reject(new Error("this is a shallow clone")) }],
      "this is a shallow clone",
    ],
    ["there are none", () => ["b", { readAuthors: () => Promise.resolve([]) }], "it has no author"],
  ])("are unknown where %s: then no approval counts", async (_, change, why) => {
    const platform = await live()
    platform.approve("b", "grace")
    const [release, more] = change(platform)
    await expect(platform.deploy(release, { ...passed, ...more }, production(platform))).rejects.toThrow(
      `approval: it is not known who wrote the change: ${why}`,
    )
  })

  it("are unknown where what is live names no commit, which only those may override who may for their own changes", async () => {
    const platform = await live()
    const deployment = platform.cluster.get("Deployment", "api-1")
    platform.cluster.merge(deployment ?? {}, { metadata: { annotations: { "pitwall.dev/commit": null } } })
    platform.approve("b", "grace")
    const why = "revision 1 of api, which is live, does not name its commit"
    await expect(platform.deploy("b", passed, production(platform))).rejects.toThrow(why)
    const override = "the login fails, agreed with Ada"
    const manager = { groups: ["incident-managers"] }
    await expect(
      platform.deploy("b", { ...passed, override }, production(platform, manager)),
    ).rejects.toThrow("guards.overrides.ownChanges says who may all the same")
    platform.commit(
      "environments: { production: { guards: { overrides: { ownChanges: [group:incident-managers] } } } }",
    )
    expect(await platform.deploy("b", { ...passed, override }, production(platform, manager))).toMatch(
      /api +promoted +2/,
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

  it("counts for existing images where deployers can only read", async () => {
    const platform = new FakePlatform()
    platform.approve("a", "grace")
    platform.verdict("a")
    const production = platform.command({ environment: "production" })
    expect(await platform.deploy("a", {}, production)).toMatch(/api +promoted/)
  })

  it("does not count for existing images when a deployer, an audit entry or a release says it", async () => {
    const platform = new FakePlatform()
    const passing = () => Promise.resolve({ passed: true, summary: "Passed." })
    await platform.deploy("a", { checks: passing })
    platform.approve("a", "grace")
    const production = platform.command({ environment: "production" })
    await production.journal.record({
      kind: "checked",
      component: { kind: "backend", name: "api" },
      digest: `sha256:${"a".repeat(64)}`,
      checks: "passed",
      message: "",
    })
    const release = { ...releaseOf("a"), checks: "passed" }
    await expect(platform.deploy(release, {}, production)).rejects.toThrow("checks: ci has not passed")
  })

  it("counts by its latest verdict of an image", async () => {
    const platform = new FakePlatform()
    platform.approve("a", "grace")
    platform.verdict("a", "passed")
    await platform.clock.until(platform.clock.pause(2_000))
    platform.verdict("a", "failed")
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
        if (object.metadata?.name === "approvals") platform.cluster.remove(object)
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
      const first = platform.rollback({ to: "1" }, command)
      first.catch(() => undefined)
      if (how === "whose command died") await platform.clock.until(command.dead)
      else await platform.clock.pass(20_000)
      await platform.rollback({ to: "2" }, platform.command({ who: "grace" }))
      expect(platform.traffic()).toEqual({ "api-2": 100 })
    },
  )

  it("goes to a revision that was asked for, and forward again", async () => {
    const platform = new FakePlatform()
    for (const letter of ["a", "b", "c"]) await platform.deploy(letter)
    await platform.rollback({ to: "1" })
    expect(platform.traffic()).toEqual({ "api-1": 100 })
    await platform.rollback({ to: "3" })
    expect(platform.traffic()).toEqual({ "api-3": 100 })
    await expect(platform.rollback({ to: "9" })).rejects.toThrow(
      "revision 9 was not proven, or is no longer kept",
    )
    await expect(platform.rollback({ to: "1" }, platform.command({ only: [] }))).rejects.toThrow(
      "name that with --service, --database or --model",
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
    [
      `analysis: { comparison: { metric: error-rate, confidence: 98, points: 8, baseline: ${baseline} } }`,
      "environments: { production: { rollout: { steps: [{ weight: 10, for: 16s }, { weight: 50, for: 6s }] } } }",
    ].join("\n")
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
