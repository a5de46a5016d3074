// A web app of an environment, deployed and rolled back by commands on a fake cluster, with a bucket and an edge in memory.
import { gzipSync } from "node:zlib"
import { afterEach, describe, expect, it } from "vitest"
import { plan } from "../../src/delivery/executor.js"
import { planText } from "../../src/delivery/plan.js"
import { image } from "../delivery/fake-platform.js"
import { apiOf, build, removeBuilds, scriptOf, styleName, styleText } from "./fixtures.js"
import { WebPlatform } from "./platform.js"

afterEach(removeBuilds)

const releaseOf = (letter: string) => ({
  schemaVersion: 1 as const,
  images: { web: { reference: image(letter, "web") } },
})

const hour = 3_600_000

describe("a deploy", () => {
  it("uploads the files, the manifest last, and switches; another one of the same release does nothing", async () => {
    const platform = new WebPlatform()
    expect(await platform.deployWeb("a")).toMatch(/^web +promoted +1 .*revision 1, version a, is served/m)
    const { written } = platform.bucket
    const own = written.filter((key) => key.startsWith(platform.layout.releases))
    expect(own.at(-1)).toMatch(/\/manifest\.json$/)
    expect(await platform.live()).toBe("a")
    expect(platform.state).toMatchObject({ live: 1, revisions: [{ number: 1, version: "a" }] })
    expect(platform.state.running).toBeUndefined()
    const before = written.length
    expect(await platform.deployWeb("a")).toMatch(/^web +unchanged +1 /m)
    expect(written.length).toBe(before)
    expect((await platform.trail("staging")).events.map(({ kind }) => kind)).toEqual(["started", "promoted"])
  })

  it("keeps the files that open pages of the release before ask for", async () => {
    const platform = new WebPlatform()
    await platform.deployWeb("a")
    await platform.deployWeb("b")
    expect(await platform.live()).toBe("b")
    expect(platform.bucket.objects.has(`${platform.layout.root}${scriptOf("a")}`)).toBe(true)
  })

  it("of another flag uploads the configuration alone", async () => {
    const platform = new WebPlatform("flags: { newSearch: false }")
    await platform.deployWeb("a")
    const before = platform.bucket.written.length
    platform.configure("flags: { newSearch: true }")
    expect(await platform.deployWeb("a")).toMatch(/^web +promoted +2 /m)
    const written = platform.bucket.written
      .slice(before)
      .filter((key) => !key.startsWith(platform.layout.live))
    expect(written).toEqual([platform.layout.config(platform.pointers.pointer?.live.config ?? "")])
    const config = await platform.bucket.text(written[0] ?? "")
    expect(JSON.parse(config?.text ?? "")).toEqual({
      apiBaseUrl: "",
      environment: "staging",
      version: "a",
      flags: { newSearch: true },
      id: platform.pointers.pointer?.live.config,
    })
  })

  it("whose upload fails leaves visitors alone, and goes on where it was", async () => {
    const platform = new WebPlatform()
    await platform.deployWeb("a")
    const begin = platform.bucket.written.length
    platform.bucket.before = (key) => {
      if (platform.bucket.written.length - begin >= 3) throw new Error(`503 Slow Down for ${key}`)
    }
    await expect(platform.deployWeb("b")).rejects.toThrow(/503 Slow Down/)
    expect(await platform.live()).toBe("a")
    const half = platform.bucket.written.slice(begin)
    expect(half).toHaveLength(3)
    expect(half.some((key) => key.endsWith("manifest.json"))).toBe(false)
    platform.bucket.before = () => undefined
    expect(await platform.deployWeb("b")).toMatch(/^web +promoted +2 /m)
    expect(platform.bucket.written.slice(begin + 3).filter((key) => half.includes(key))).toEqual([])
    expect(platform.state.live).toBe(2)
  })

  it("that was killed at any request is completed by the next one", async () => {
    for (const after of [false, true]) {
      for (let dies = 1; ; dies++) {
        const platform = new WebPlatform()
        await platform.deployWeb("a")
        const command = platform.web({ dies, after })
        const first = platform.deployWeb("b", command).catch(() => undefined)
        await platform.clock.until(Promise.race([command.dead, first]))
        const wasDead = command.requests() >= dies
        const result = await platform.deployWeb("b")
        expect(result, `killed at request ${dies}`).toMatch(/^web +(promoted|unchanged) +2 /m)
        expect(await platform.live()).toBe("b")
        expect(platform.state).toMatchObject({ live: 2 })
        expect(platform.state.running).toBeUndefined()
        const { events } = await platform.trail("staging")
        expect(events.filter(({ kind, revision }) => kind === "promoted" && revision === 2)).toHaveLength(1)
        if (!wasDead) break
      }
    }
  })

  it("gives way while another one has the lease", async () => {
    const platform = new WebPlatform()
    await platform.deployWeb("a")
    const [first] = platform.web().components
    const locked = await platform.clock.until(first?.lock() ?? Promise.reject(new Error("no web app")))
    await expect(platform.deployWeb("c", platform.web({ who: "grace" }))).rejects.toThrow(
      /web is being deployed by dora/,
    )
    await locked.unlock()
    expect(await platform.live()).toBe("a")
  })

  it("gives way to a newer one of another cluster; repeated, it is the newer one", async () => {
    const platform = new WebPlatform()
    await platform.deployWeb("a")
    await platform.deployWeb("b")
    const { pointer } = platform.pointers
    const since = new Date(platform.cluster.now() + hour).toISOString()
    platform.pointers.text = JSON.stringify({ ...pointer, operation: "elsewhere", since })
    await expect(platform.deployWeb("c")).rejects.toThrow(
      /revision 2 was made live by the newer command elsewhere, so this one gives way/,
    )
    expect(await platform.live()).toBe("b")
    await platform.clock.pass(2 * hour)
    expect(await platform.deployWeb("c")).toMatch(/^web +promoted +4 /m)
  })

  it("of another release ends one that was interrupted", async () => {
    const platform = new WebPlatform()
    await platform.deployWeb("a")
    platform.bucket.before = () => {
      throw new Error("503")
    }
    await expect(platform.deployWeb("b")).rejects.toThrow(/503/)
    platform.bucket.before = () => undefined
    expect(await platform.deployWeb("c")).toMatch(/^web +promoted +3 /m)
    const { events } = await platform.trail("staging")
    expect(events.map(({ kind, revision }) => `${kind} ${revision}`).slice(2)).toEqual([
      "started 2",
      "rolled-back 2",
      "started 3",
      "promoted 3",
    ])
  })

  it("of a broken release goes back", async () => {
    const platform = new WebPlatform()
    await platform.deployWeb("a")
    platform.broken.set("b", 500)
    await expect(platform.deployWeb("b")).rejects.toThrow(
      /web was not deployed to staging.*answers 500; revision 1 is live/,
    )
    expect(await platform.live()).toBe("a")
    expect(platform.state).toMatchObject({ live: 1 })
  })

  it("that the edge does not answer with is no success, is not taken back, and is gone on with", async () => {
    const platform = new WebPlatform()
    await platform.deployWeb("a")
    platform.stale = true
    await expect(platform.deployWeb("b")).rejects.toThrow(
      /still answers with release .* run the same command again/,
    )
    expect(platform.pointers.pointer?.live.revision).toBe(2)
    platform.stale = false
    expect(await platform.deployWeb("b")).toMatch(
      /^web +promoted +2 .*revision 2, version b, was live already, so that nothing was switched/m,
    )
    expect(await platform.deployWeb("b")).toMatch(
      /^web +unchanged +2 .*revision 2 is live already: nothing was switched/m,
    )
    expect(await platform.rollback({ to: "2" }, platform.web())).toMatch(
      /^web +unchanged +2 .*revision 2 is live already: nothing was switched/m,
    )
  })

  it("whose switch the store takes and does not hold is no success", async () => {
    const platform = new WebPlatform()
    await platform.deployWeb("a")
    platform.pointers.forgetful = true
    await expect(platform.deployWeb("b")).rejects.toThrow(
      /took the new value and does not hold it: nothing was switched/,
    )
    expect(await platform.live()).toBe("a")
    platform.pointers.forgetful = false
    expect(await platform.deployWeb("b")).toMatch(/^web +promoted +2 /m)
  })

  it("of a build of another app is refused before anything is uploaded", async () => {
    const platform = new WebPlatform()
    platform.builds.set("a", build("a", {}, "f1-frontend"))
    await expect(platform.deployWeb("a")).rejects.toThrow(/the image is a build of f1-frontend; allowed: web/)
    expect(platform.bucket.written).toEqual([])
    expect(platform.pointers.text).toBeUndefined()
  })

  it("turns on no flag that the build does not know", async () => {
    const platform = new WebPlatform("flags: { newSearch: true, printView: false, oldSearch: true }")
    await expect(platform.deployWeb("a")).rejects.toThrow(
      /frontends\.web\.flags turns on oldSearch, which this build does not know; allowed: newSearch/,
    )
    expect(platform.bucket.written).toEqual([])
  })

  it("never overwrites an asset with other contents", async () => {
    const platform = new WebPlatform()
    await platform.deployWeb("a")
    platform.builds.set("b", build("b", { [scriptOf("a")]: "other contents" }))
    await expect(platform.deployWeb("b")).rejects.toThrow(
      /exists with other contents, and pages that are open rely on it/,
    )
    expect(await platform.live()).toBe("a")
  })

  it("takes a copy that another compressor has made of the same asset, and none that was damaged", async () => {
    const platform = new WebPlatform()
    await platform.deployWeb("a")
    const copy = gzipSync(styleText, { level: 1 })
    platform.builds.set("b", build("b", { [`${styleName}.gz`]: copy }))
    expect(await platform.deployWeb("b")).toMatch(/^web +promoted +2 /m)
    const key = [...platform.bucket.objects.keys()].find((one) => one.endsWith(`${styleName}.gz`)) ?? "?"
    const held = platform.bucket.objects.get(key)
    expect(held && Buffer.from(held.body).equals(copy)).toBe(false)
    if (held) held.body = copy.subarray(1)
    await expect(platform.deployWeb("c")).rejects.toThrow(/exists with other contents.*SHA-256/)
  })

  it("makes good what somebody else has changed at the edge", async () => {
    const platform = new WebPlatform()
    await platform.deployWeb("a")
    await platform.deployWeb("b")
    const { pointer } = platform.pointers
    platform.pointers.text = JSON.stringify({ ...pointer, live: pointer?.previous })
    expect(await platform.status(platform.web())).toMatch(/the edge serves revision 1, .* instead/)
    expect(await platform.deployWeb("b")).toMatch(/^web +promoted +3 /m)
    expect(await platform.live()).toBe("b")
  })
})

describe("the contract with the backend", () => {
  const older = apiOf("/api/pasta")

  it("keeps a web app from being deployed before the backend that serves it, and the plan says so", async () => {
    const platform = new WebPlatform()
    platform.apis.set("a", older)
    const refusal = new RegExp(
      `web needs the contract [0-9a-f]{12} of api, which ${image("a")} does not serve: GET /api/recipes is not there`,
    )
    const command = platform.web()
    const planned = await plan(command, command.components, { release: releaseOf("b"), authors: [] })
    expect(planned.components).toMatchObject([{ action: "blocked", changes: [] }])
    expect(planText(planned)).toMatch(refusal)
    await expect(platform.deployWeb("b")).rejects.toThrow(refusal)
    expect(platform.bucket.written).toEqual([])
    expect(platform.pointers.text).toBeUndefined()
  })

  it("is named by the plan with the image that serves it", async () => {
    const platform = new WebPlatform()
    const command = platform.web()
    const text = planText(await plan(command, command.components, { release: releaseOf("b"), authors: [] }))
    expect(text).toMatch(new RegExp(`calls: contract [0-9a-f]{12} of api, served by ${image("a")}$`, "m"))
  })

  it("is kept by a backend that is deployed by the same command, and by no image that is not", async () => {
    const platform = new WebPlatform()
    platform.apis.set("a", older)
    const release = {
      schemaVersion: 1 as const,
      images: { api: { reference: image("b") }, web: { reference: image("b", "web") } },
    }
    await expect(platform.deploy(release, { only: ["web"] })).rejects.toThrow(/does not serve/)
    const table = await platform.deploy(release, { only: ["api", "web"] })
    expect(table).toMatch(/^api +promoted +2 /m)
    expect(table).toMatch(/^web +promoted +1 /m)
  })

  it("that the backend of the same command does not keep refuses both", async () => {
    const platform = new WebPlatform()
    platform.apis.set("b", older)
    const release = {
      schemaVersion: 1 as const,
      images: { api: { reference: image("b") }, web: { reference: image("b", "web") } },
    }
    await expect(platform.deploy(release, { only: ["api", "web"] })).rejects.toThrow(/does not serve/)
    expect(platform.traffic()).toEqual({ "api-1": 100 })
  })

  it.each([
    [
      "cannot be read",
      new Error("401 Unauthorized"),
      /not known what api in staging serves: 401 Unauthorized/,
    ],
    ["is no description", "<html>", /the description of what is served is no JSON/],
  ])("is not kept where what is served %s", async (_, served, reason) => {
    const platform = new WebPlatform()
    platform.apis.set("a", served)
    await expect(platform.deployWeb("b")).rejects.toThrow(reason)
    expect(platform.bucket.written).toEqual([])
  })

  it("is looked at again before the switch: the backend may have been rolled back meanwhile", async () => {
    const platform = new WebPlatform("canary: [{ percent: 10, for: 30s }]")
    await platform.deployWeb("a")
    platform.bucket.before = () => platform.apis.set("a", older)
    await expect(platform.deployWeb("b")).rejects.toThrow(
      /web was not deployed to staging; traffic stays on the previous revision: web needs the contract/,
    )
    expect(platform.pointers.pointer?.live.revision).toBe(1)
    expect(platform.pointers.pointer?.canary).toBeUndefined()
    expect(platform.state.running).toBeUndefined()
    platform.apis.delete("a")
    platform.bucket.before = () => undefined
    expect(await platform.deployWeb("b")).toMatch(/^web +promoted +3 /m)
  })

  it("that is lost while a canary was interrupted takes the canary back", async () => {
    const platform = new WebPlatform("canary: [{ percent: 10, for: 30s }]")
    await platform.deployWeb("a")
    const command = platform.web()
    void platform.deployWeb("b", command).catch(() => undefined)
    while (!platform.pointers.pointer?.canary) await platform.clock.pass(100)
    command.kill()
    platform.pointers.frozen = true
    await platform.clock.pass(120_000)
    platform.pointers.frozen = false
    platform.apis.set("a", older)
    await expect(platform.deployWeb("b")).rejects.toThrow(/does not serve.*revision 1 is live/)
    expect(platform.pointers.pointer.canary).toBeUndefined()
  })
})

describe("a canary", () => {
  const steps = "canary: [{ percent: 10, for: 30s }, { percent: 50, for: 30s }]"

  it("gets more and more visitors, and then all", async () => {
    const platform = new WebPlatform(steps)
    const shares: (number | undefined)[] = []
    platform.pointers.before = () => shares.push(platform.pointers.pointer?.canary?.percent)
    await platform.deployWeb("a")
    const begin = platform.clock.now()
    expect(await platform.deployWeb("b")).toMatch(/^web +promoted +2 /m)
    expect(shares).toEqual([undefined, undefined, 10, 50])
    expect(platform.clock.now() - begin).toBeGreaterThanOrEqual(60_000)
    expect(platform.pointers.pointer).toMatchObject({ live: { revision: 2 }, previous: { revision: 1 } })
    expect(platform.pointers.pointer?.canary).toBeUndefined()
  })

  it("that is broken is taken back before others get it", async () => {
    const platform = new WebPlatform(steps)
    await platform.deployWeb("a")
    platform.broken.set("b", 500)
    await expect(platform.deployWeb("b")).rejects.toThrow(
      /the canary was not seen: .* answers 500; revision 1 is live/,
    )
    expect(platform.pointers.pointer).toMatchObject({ live: { revision: 1 } })
    expect(platform.pointers.pointer?.canary).toBeUndefined()
  })

  it("that breaks later is taken back", async () => {
    const platform = new WebPlatform(steps)
    await platform.deployWeb("a")
    platform.pointers.before = () => {
      if (platform.pointers.pointer?.canary?.percent === 10) platform.broken.set("b", 502)
    }
    await expect(platform.deployWeb("b")).rejects.toThrow(/the canary .* answers 502/)
    expect(await platform.live()).toBe("a")
  })
})

describe("a rollback", () => {
  it("returns to the revision before, or to a named one, and uploads nothing but the copies of what is live", async () => {
    const platform = new WebPlatform()
    for (const letter of ["a", "b", "c"]) await platform.deployWeb(letter)
    const before = platform.bucket.written.length
    const begin = platform.clock.now()
    expect(await platform.rollback({}, platform.web())).toMatch(/^web +promoted +2 /m)
    expect(await platform.live()).toBe("b")
    expect(platform.clock.now() - begin).toBeLessThan(5_000)
    await platform.clock.pass(1_000)
    expect(await platform.rollback({ to: "1" }, platform.web())).toMatch(/^web +promoted +1 /m)
    expect(await platform.live()).toBe("a")
    expect(
      platform.bucket.written.slice(before).filter((key) => !key.startsWith(platform.layout.live)),
    ).toEqual([])
    expect((await platform.history())[0]).toMatchObject({
      action: "rollback",
      outcome: "promoted",
      revision: 1,
      from: 2,
    })
  })

  it("brings the configuration of that revision along", async () => {
    const platform = new WebPlatform("flags: { newSearch: false }")
    await platform.deployWeb("a")
    const { config } = platform.pointers.pointer?.live ?? {}
    platform.configure("flags: { newSearch: true }")
    await platform.deployWeb("a")
    await platform.rollback({}, platform.web())
    expect(platform.pointers.pointer?.live.config).toBe(config)
  })

  it("to a release that is not complete is refused, and changes nothing", async () => {
    const platform = new WebPlatform()
    await platform.deployWeb("a")
    await platform.deployWeb("b")
    platform.bucket.objects.delete(`${platform.layout.root}${scriptOf("a")}.br`)
    const { text } = platform.pointers
    await expect(platform.rollback({}, platform.web())).rejects.toThrow(
      /\.js\.br in the bucket is not as it must be: it is missing/,
    )
    expect(platform.pointers.text).toBe(text)
  })

  it("names what is allowed when there is no such revision", async () => {
    const platform = new WebPlatform()
    await platform.deployWeb("a")
    await expect(platform.rollback({}, platform.web())).rejects.toThrow(/web has no revision before 1/)
    await platform.deployWeb("b")
    await expect(platform.rollback({ to: "7" }, platform.web())).rejects.toThrow(
      /no kept revision "7"; allowed: 1/,
    )
  })

  it("that was killed at any request goes on to the same revision", async () => {
    let unfinished = 0
    for (let dies = 1; ; dies++) {
      const platform = new WebPlatform()
      for (const letter of ["a", "b", "c"]) await platform.deployWeb(letter)
      const command = platform.web({ dies, after: true })
      const first = platform.rollback({}, command).catch(() => undefined)
      await platform.clock.until(Promise.race([command.dead, first]))
      if (command.requests() < dies) break
      if (!platform.state.running) continue
      unfinished++
      await platform.rollback({}, platform.web())
      expect(await platform.live(), `killed at request ${dies}`).toBe("b")
      expect(platform.state).toMatchObject({ live: 2 })
      expect(platform.state.running).toBeUndefined()
    }
    expect(unfinished).toBeGreaterThan(2)
  })

  it("takes back a canary whose command was killed", async () => {
    const platform = new WebPlatform("canary: [{ percent: 10, for: 60s }]")
    await platform.deployWeb("a")
    const command = platform.web()
    void platform.deployWeb("b", command).catch(() => undefined)
    while (!platform.pointers.pointer?.canary) await platform.clock.pass(100)
    command.kill()
    expect(platform.pointers.pointer.canary).toMatchObject({ revision: 2, percent: 10 })
    platform.pointers.frozen = true
    await platform.clock.pass(120_000)
    platform.pointers.frozen = false
    expect(await platform.status(platform.web())).toMatch(
      /canary: revision 2 for 10 % .*\n.*the deploy of revision 2 that dora began .* has no end/,
    )
    expect(await platform.rollback({}, platform.web())).toMatch(
      /^web +promoted +1 .*the deploy of revision 2 is taken back/m,
    )
    expect(platform.pointers.pointer).not.toHaveProperty("canary")
    expect(await platform.live()).toBe("a")
    expect(platform.state.running).toBeUndefined()
    expect((await platform.history())[0]).toMatchObject({ revision: 2, outcome: "aborted" })
  })
})

describe("old releases", () => {
  const keep = "keep: { releases: 2, days: 1 }"
  it("are deleted by number and days, with the files that no kept release names; kept ones stay whole", async () => {
    const platform = new WebPlatform(keep)
    for (const letter of ["a", "b", "c"]) await platform.deployWeb(letter)
    expect(platform.state.revisions.map(({ number }) => number)).toEqual([3, 2, 1])
    platform.clock.skip(48 * hour)
    await platform.deployWeb("d")
    expect(platform.state.revisions.map(({ number }) => number)).toEqual([4, 3])
    const has = (letter: string) =>
      platform.bucket.objects.has(`${platform.layout.root}${scriptOf(letter)}.br`)
    expect(["a", "b", "c", "d"].map(has)).toEqual([false, false, true, true])
    expect(await platform.rollback({ to: "3" }, platform.web())).toMatch(/^web +promoted +3 /m)
  })

  it("stay when what is live cannot be read", async () => {
    const platform = new WebPlatform(keep)
    for (const letter of ["a", "b", "c"]) await platform.deployWeb(letter)
    platform.clock.skip(48 * hour)
    const release = platform.state.revisions.find(({ number }) => number === 3)?.release ?? ""
    platform.bucket.objects.delete(platform.layout.manifest(release))
    await platform.deployWeb("d")
    expect(platform.said.join("\n")).toMatch(
      /old releases were not deleted: release .* is kept and has no manifest/,
    )
    expect(platform.bucket.objects.has(`${platform.layout.root}${scriptOf("a")}`)).toBe(true)
  })

  it("of an app whose name begins alike are left alone", async () => {
    const platform = new WebPlatform(keep)
    const other = "staging/web-admin/assets/index-1a2b3c4d.js"
    await platform.bucket.put({ key: other, sha256: "", size: 1, type: "", cache: "" }, Buffer.from("x"))
    for (const letter of ["a", "b", "c"]) await platform.deployWeb(letter)
    platform.clock.skip(48 * hour)
    await platform.deployWeb("d")
    expect(platform.bucket.objects.has(other)).toBe(true)
  })
})

describe("an edge without a key-value store", () => {
  const edge = "{ kind: invalidate, distribution: E2QWRUHAPOMQZL }"

  it("serves copies, the page last, and is told to forget them by the names that it knows", async () => {
    const platform = new WebPlatform("", edge)
    expect(await platform.deployWeb("a")).toMatch(/^web +promoted +1 /m)
    const live = platform.bucket.written.filter((key) => key.startsWith(platform.layout.live))
    expect(live[0]).toBe(`${platform.layout.live}config.json`)
    expect(live.slice(-3).every((key) => key.includes("index.html"))).toBe(true)
    expect(platform.invalidated).toHaveLength(1)
    expect(platform.invalidated[0]).toContain("/staging/web/live/index.html.br")
    expect(platform.invalidated[0]).toContain("/staging/web/live/config.json")
  })

  it("serves nothing that the release has no longer, and is told to forget that too", async () => {
    const platform = new WebPlatform("", edge)
    platform.builds.set("a", build("a", { "sw.js": "old" }))
    await platform.deployWeb("a")
    expect(platform.bucket.objects.has(`${platform.layout.live}sw.js`)).toBe(true)
    await platform.deployWeb("b")
    expect(platform.bucket.objects.has(`${platform.layout.live}sw.js`)).toBe(false)
    expect(platform.invalidated.at(-1)).toContain("/staging/web/live/sw.js")
  })

  it("that is slow to forget is a warning, and no reason to go back", async () => {
    const platform = new WebPlatform("", edge)
    await platform.deployWeb("a")
    platform.warning = "the invalidation I1 is not done"
    platform.stale = true
    expect(await platform.deployWeb("b")).toMatch(/^web +promoted +2 .*the invalidation I1 is not done/m)
    expect(platform.said).toContain("web: the invalidation I1 is not done")
  })

  it("needs a store that keeps the conditions of writes", async () => {
    const platform = new WebPlatform("", edge)
    platform.bucket.conditional = false
    await expect(platform.deployWeb("a")).rejects.toThrow(/ignores the conditions of writes/)
    expect(platform.bucket.objects.has(platform.layout.pointer)).toBe(false)
  })
})

describe("a plan", () => {
  it("names the files that change, what is uploaded, the configuration and the canary", async () => {
    const platform = new WebPlatform("flags: { newSearch: false }")
    await platform.deployWeb("a")
    platform.configure("flags: { newSearch: true }\ncanary: [{ percent: 10, for: 5m }]")
    const command = platform.web()
    const before = platform.bucket.written.length
    const text = planText(
      await platform.clock.until(plan(command, command.components, { release: releaseOf("b"), authors: [] })),
    )
    expect(text).toMatch(/frontend web: revision 2, version b, 6 files with .*; canary: 10 % for 5 min 00 s/)
    expect(text).toMatch(/files: 1 new \(.*\), 1 changed \(.*\), 1 removed/)
    expect(text).toContain(`+ ${scriptOf("b")}`)
    expect(text).toContain(`- ${scriptOf("a")}`)
    expect(text).toMatch(/upload: \d+ objects with /)
    expect(text).toContain('config.json + "newSearch": true')
    expect(platform.bucket.written.length).toBe(before)
  })

  it("says when it could not look at the files", async () => {
    const platform = new WebPlatform()
    platform.builds.set("a", Promise.reject(new Error("no such image")))
    const command = platform.web()
    const text = planText(
      await platform.clock.until(plan(command, command.components, { release: releaseOf("a"), authors: [] })),
    )
    expect(text).toMatch(/whose files are not known: no such image/)
  })
})

describe("the status", () => {
  it("says what is live and kept, and whether the edge agrees", async () => {
    const platform = new WebPlatform()
    expect(await platform.status(platform.web())).toMatch(
      /web, the web app at https:\/\/app\.example\.com: never deployed/,
    )
    await platform.deployWeb("a")
    await platform.deployWeb("b")
    const text = await platform.status(platform.web())
    expect(text).toMatch(/revision 2, version b, live since/)
    expect(text).toMatch(/kept: 2, 1$/)
  })

  it("does not take an edge that cannot be read for one that agrees", async () => {
    const platform = new WebPlatform()
    await platform.deployWeb("a")
    platform.pointers.read = () => Promise.reject(new Error("403"))
    const [status] = await Promise.all(platform.web().components.map((one) => one.status()))
    expect(status?.text).toMatch(/what the edge serves is not known: 403/)
    expect(status?.details).toMatchObject({ agrees: "unknown" })
  })
})

describe("the first deploy", () => {
  it("waits for an edge that has nothing to answer with yet", async () => {
    const platform = new WebPlatform()
    platform.broken.set("a", 404)
    const deploy = platform.deployWeb("a")
    await platform.clock.pass(60_000)
    platform.broken.clear()
    expect(await deploy).toMatch(/^web +promoted +1 /m)
  })
})
