// Previews of web apps: published, replaced, ended and expired, on a fake cluster, with a bucket and an edge in memory.
import { afterEach, describe, expect, it } from "vitest"
import type { Bundle } from "../../src/frontends/bundle.js"
import { Frontend, previewsOf } from "../../src/frontends/frontend.js"
import {
  checkPreviewName,
  clockTolerance,
  hasExpired,
  overPreviews,
  type Preview,
  previewText,
  readPreviews,
} from "../../src/frontends/preview.js"
import { build, removeBuilds, scriptOf } from "./fixtures.js"
import { WebPlatform } from "./platform.js"

afterEach(removeBuilds)

const hour = 3_600_000
const id = "a".repeat(40)
const preview: Preview = { release: id, config: id, until: 1_000, version: "1", by: "dora" }

const on = "preview: true\npreviews: { domain: preview.example.com, expires: 48h }"

async function publish(
  platform: WebPlatform,
  name: string,
  what: string | Bundle,
  {
    secrets = {},
    command = platform.web(),
  }: { secrets?: Record<string, string>; command?: ReturnType<WebPlatform["web"]> } = {},
): Promise<string> {
  const [app] = command.opened.frontends(["web"])
  const bundle = typeof what === "string" ? await build(what) : what
  const done = app?.previews().publish({ name, bundle, secrets }) ?? Promise.resolve("")
  return platform.clock.until(done)
}

const remove = (platform: WebPlatform, name: string): Promise<string> =>
  platform.clock.until(platform.web().opened.frontends([])[0]?.previews().remove(name) ?? Promise.resolve(""))

const has = (platform: WebPlatform, letter: string) =>
  platform.bucket.objects.has(`${platform.layout.root}${scriptOf(letter)}.br`)

/** The letter of the build that a preview shows. */
const letterOf = (platform: WebPlatform, name: string) =>
  (
    JSON.parse(
      Buffer.from(
        platform.bucket.objects.get(platform.layout.config(platform.preview(name)?.config ?? ""))?.body ?? [],
      ).toString() || "{}",
    ) as { version?: string }
  ).version

describe("the name of a preview", () => {
  it.each(["pr-12", "a", "7", "a".repeat(63), "b".repeat(40)])("may be %s", (name) => {
    const refuse = () => {
      checkPreviewName(name)
    }
    if (/^[0-9a-f]{40}$/.test(name)) expect(refuse).toThrow(/no id of a release/)
    else expect(refuse).not.toThrow()
  })

  it.each(["", "PR-12", "pr_12", "pr.12", "-pr", "pr-", "a".repeat(64), "é", "pr 12", "a/b", "pr-12\n"])(
    "is not %j",
    (name) => {
      expect(() => {
        checkPreviewName(name)
      }).toThrow(/is no name of a preview; allowed: a label of a host name, of up to 63 lower-case letters/)
    },
  )
})

describe("the value of a preview", () => {
  it("fits into the store whoever publishes whatever", () => {
    const longest = { ...preview, by: "é".repeat(5_000), version: '"'.repeat(5_000) }
    const text = previewText(longest)
    expect(text.length).toBeLessThanOrEqual(1_024)
    expect(
      readPreviews(
        new Map([
          ["b", text],
          ["a", previewText(preview)],
        ]),
      ),
    ).toMatchObject([
      { name: "a", ...preview },
      { name: "b", release: id },
    ])
  })

  it.each([
    "",
    "{",
    "{}",
    JSON.stringify({ ...preview, release: "../x" }),
    JSON.stringify({ ...preview, until: "soon" }),
  ])("is not taken for a preview that it is not: %s", (text) => {
    expect(() => readPreviews(new Map([["pr-12", text]]))).toThrow(/the preview pr-12 is malformed/)
  })
})

describe("the end of a preview", () => {
  it("is a moment; what it needs stays for as long as a clock may be wrong", () => {
    expect(hasExpired(preview, 999)).toBe(false)
    expect(hasExpired(preview, 1_000)).toBe(true)
    const over = (now: number) => overPreviews([{ name: "a", ...preview }], now).length
    expect(over(1_000 + clockTolerance - 1)).toBe(0)
    expect(over(1_000 + clockTolerance)).toBe(1)
    expect(clockTolerance).toBeGreaterThanOrEqual(15 * 60_000)
  })
})

describe("a preview", () => {
  it("is shown beside what is live, and changes neither that nor the history", async () => {
    const platform = new WebPlatform(on)
    await platform.deployWeb("a")
    const before = [platform.pointers.text, platform.state, (await platform.history()).length]
    const text = await publish(platform, "pr-12", "b")
    expect(text).toMatch(
      /^web: the preview pr-12 is shown until 20..-..-.. ..:.. UTC: release [0-9a-f]{40}, version b$/m,
    )
    expect(text).toContain("in a browser: https://pr-12.preview.example.com")
    expect(text).toContain(
      "by header: curl --header 'x-preview-release: pr-12' --header 'accept: text/html' https://app.example.com/",
    )
    expect(letterOf(platform, "pr-12")).toBe("b")
    expect(platform.preview("pr-12")?.until).toBeGreaterThan(platform.cluster.now() + 47 * hour)
    expect([platform.pointers.text, platform.state, (await platform.history()).length]).toEqual(before)
    expect(await platform.live()).toBe("a")
  })

  it("needs nothing that is live, and uploads what the bucket lacks alone; a deploy of it uploads nothing then", async () => {
    const platform = new WebPlatform(on)
    await publish(platform, "pr-12", "b")
    expect(platform.pointers.pointer).toBeUndefined()
    expect(letterOf(platform, "pr-12")).toBe("b")
    const { written } = platform.bucket
    const first = written.length
    await publish(platform, "pr-12", "b")
    expect(written.slice(first)).toEqual([])
    await platform.deployWeb("b")
    expect(written.slice(first).filter((key) => !key.startsWith(platform.layout.live))).toEqual([])
    expect(platform.state).toMatchObject({ live: 1 })
  })

  it("has the configuration of the environment and nothing else", async () => {
    const platform = new WebPlatform(`${on}\nflags: { newSearch: true }\napi: "https://api.example.com"`)
    await publish(platform, "pr-12", "b")
    const held = await platform.bucket.text(platform.layout.config(platform.preview("pr-12")?.config ?? ""))
    expect(JSON.parse(held?.text ?? "")).toEqual({
      ...{ apiBaseUrl: "https://api.example.com", environment: "staging", version: "b" },
      flags: { newSearch: true },
      id: platform.preview("pr-12")?.config,
    })
  })

  it("is replaced by the next one of its name, whose time begins anew", async () => {
    const platform = new WebPlatform(on)
    await publish(platform, "pr-12", "b")
    const { until = 0 } = platform.preview("pr-12") ?? {}
    platform.clock.skip(24 * hour)
    await publish(platform, "pr-12", "c")
    expect(letterOf(platform, "pr-12")).toBe("c")
    expect(platform.preview("pr-12")?.until).toBeGreaterThanOrEqual(until + 24 * hour)
    expect(platform.pointers.shown.size).toBe(1)
  })

  it("of two at once is whole under each name, and under one name one of both", async () => {
    const platform = new WebPlatform(on)
    const other = platform.web({ who: "grace" })
    await Promise.all([publish(platform, "pr-1", "a"), publish(platform, "pr-2", "b", { command: other })])
    expect([letterOf(platform, "pr-1"), letterOf(platform, "pr-2")]).toEqual(["a", "b"])
    await Promise.all([publish(platform, "pr-3", "c"), publish(platform, "pr-3", "d", { command: other })])
    expect(["c", "d"]).toContain(letterOf(platform, "pr-3"))
  })

  it("is written although others change the store again and again, and is not without an end", async () => {
    const platform = new WebPlatform(on)
    let others = 3
    platform.pointers.before = () => {
      if (others-- > 0) platform.pointers.version++
    }
    await publish(platform, "pr-12", "b")
    expect(letterOf(platform, "pr-12")).toBe("b")
    others = Infinity
    await expect(publish(platform, "pr-13", "b")).rejects.toThrow(
      /the preview pr-13 was changed by others 6 times/,
    )
    expect(platform.preview("pr-13")).toBeUndefined()
  })

  it("that was killed at any request is published by the next one; the one before stays until then", async () => {
    for (const after of [false, true]) {
      for (let dies = 1; ; dies++) {
        const platform = new WebPlatform(on)
        await publish(platform, "pr-12", "a")
        const command = platform.web({ dies, after })
        const first = publish(platform, "pr-12", "b", { command }).catch(() => undefined)
        await platform.clock.until(Promise.race([command.dead, first]))
        const wasDead = command.requests() >= dies
        expect(["a", "b"]).toContain(letterOf(platform, "pr-12"))
        await publish(platform, "pr-12", "b")
        expect(letterOf(platform, "pr-12"), `killed at request ${dies}`).toBe("b")
        if (!wasDead) break
      }
    }
  })

  it("whose upload ends half-way shows what it did before, and goes on where it was", async () => {
    const platform = new WebPlatform(on)
    await publish(platform, "pr-12", "a")
    const begin = platform.bucket.written.length
    platform.bucket.before = (key) => {
      if (platform.bucket.written.length - begin >= 3) throw new Error(`503 Slow Down for ${key}`)
    }
    await expect(publish(platform, "pr-12", "b")).rejects.toThrow(/503 Slow Down/)
    expect(letterOf(platform, "pr-12")).toBe("a")
    const half = platform.bucket.written.slice(begin)
    platform.bucket.before = () => undefined
    await publish(platform, "pr-12", "b")
    expect(letterOf(platform, "pr-12")).toBe("b")
    expect(platform.bucket.written.slice(begin + 3).filter((key) => half.includes(key))).toEqual([])
  })

  it("is no success where the store does not hold it, or the edge does not show it", async () => {
    const forgetful = new WebPlatform(on)
    forgetful.pointers.forgetful = true
    await expect(publish(forgetful, "pr-12", "b")).rejects.toThrow(
      /took the preview pr-12 and does not hold it/,
    )
    const broken = new WebPlatform(on)
    broken.broken.set("b", 500)
    await expect(publish(broken, "pr-12", "b")).rejects.toThrow(
      /the preview pr-12 was published, and the edge does not show it: .*answers 500; apply the output of frontend-infrastructure again/,
    )
  })

  it("of the build of another app, or with a flag that is not known, is refused before anything is uploaded", async () => {
    const platform = new WebPlatform(on)
    await expect(publish(platform, "pr-12", await build("b", {}, "dashboard"))).rejects.toThrow(
      /the image is a build of dashboard; allowed: web/,
    )
    platform.configure(`${on}\nflags: { oldSearch: true }`)
    await expect(publish(platform, "pr-12", "b")).rejects.toThrow(/turns on oldSearch/)
    expect([platform.bucket.written, [...platform.pointers.shown]]).toEqual([[], []])
  })

  it("with a secret in it is refused before anything is uploaded; the value is not shown", async () => {
    const platform = new WebPlatform(on)
    const secret = "hunter2-hunter2"
    for (const form of [secret, Buffer.from(secret).toString("base64")]) {
      const bundle = await build("b", { "robots.txt": `User-agent: ${form}\n` })
      const refused = await publish(platform, "pr-12", bundle, {
        secrets: { STAGING_JWT_SECRET_KEY: secret, REGISTRY_USER: "Pesto", SNYK_TOKEN: "not-in-there-1" },
      }).catch((error: unknown) => String(error))
      expect(refused).toContain(
        "web cannot be shown to everybody: it has STAGING_JWT_SECRET_KEY in robots.txt; nothing was uploaded",
      )
      expect(refused).not.toContain(form)
    }
    platform.configure(`${on}\napi: "https://hunter2-hunter2"`)
    await expect(publish(platform, "pr-12", "b", { secrets: { SNYK_TOKEN: secret } })).rejects.toThrow(
      /it has SNYK_TOKEN in config\.json/,
    )
    expect([platform.bucket.written, [...platform.pointers.shown]]).toEqual([[], []])
  })

  it("calls a backend that does not serve it all the same, and says so", async () => {
    const platform = new WebPlatform(on)
    platform.apis.set("a", '{ "openapi": "3.1.0", "info": { "title": "x", "version": "1" }, "paths": {} }')
    await publish(platform, "pr-12", "b")
    expect(platform.said.join("\n")).toMatch(
      /web: the preview is published all the same: .*does not serve: GET \/api\/recipes/,
    )
    expect(letterOf(platform, "pr-12")).toBe("b")
  })

  it("is removed by its name, at once and once", async () => {
    const platform = new WebPlatform(on)
    await publish(platform, "pr-12", "b")
    await publish(platform, "pr-13", "b")
    platform.pointers.shown.set("odd", "{")
    expect(await remove(platform, "pr-12")).toMatch(/^web: the preview pr-12 is removed/)
    expect([platform.preview("pr-12"), letterOf(platform, "pr-13")]).toEqual([undefined, "b"])
    expect(await remove(platform, "pr-12")).toBe("web: there is no preview pr-12")
    expect(await remove(platform, "odd")).toMatch(/removed/)
  })

  it.each([
    ["with preview: false", "", undefined],
    ["without a key-value store", "preview: true", "{ kind: invalidate, distribution: E2QWRUHAPOMQZL }"],
  ])("is refused for an app %s", async (_, more, edge) => {
    const platform = new WebPlatform(more, edge)
    await expect(publish(platform, "pr-12", "b")).rejects.toThrow(
      /web has no previews: .* needs preview: true/,
    )
    expect(platform.web().opened.frontends([])[0]?.hasPreviews).toBe(false)
    expect(platform.bucket.written).toEqual([])
  })

  it("is refused with every app named that has none", () => {
    const platform = new WebPlatform("preview: false")
    const [app] = platform.web().opened.frontends([])
    if (!app) throw new Error("staging has no web app")
    const { context, settings } = app.deployed
    const other = (name: string, preview: boolean) =>
      new Frontend(context, { ...settings, app: name, preview })
    expect(() => previewsOf([other("shown", true), app, other("shop", false)])).toThrow(
      "web, shop have no previews: environments.staging.frontends.web, environments.staging.frontends.shop need preview: true and",
    )
    expect(() => previewsOf([app])).toThrow(
      "web has no previews: environments.staging.frontends.web needs preview: true and",
    )
    expect(previewsOf([other("shown", true)]).map((one) => one.app.service)).toEqual(["shown"])
  })

  it("is of web apps that there are", () => {
    const { opened } = new WebPlatform(on).web()
    expect(() => opened.frontends(["api"])).toThrow(/staging has no web app api; allowed: web/)
    expect(() => new WebPlatform(on).command({ environment: "production" }).opened.frontends([])).toThrow(
      /production has no web app; allowed: none, until/,
    )
  })
})

describe("an expired preview", () => {
  const keep = `${on}\nkeep: { releases: 2, days: 1 }`

  it("is shown no longer, and its files go with a later deploy; those of what is kept stay", async () => {
    const platform = new WebPlatform(keep)
    for (const letter of ["a", "b"]) await platform.deployWeb(letter)
    await publish(platform, "pr-12", "c")
    await publish(platform, "same-as-live", "b")
    platform.clock.skip(30 * hour)
    await publish(platform, "pr-13", "d")
    platform.clock.skip(17 * hour)
    await platform.deployWeb("e")
    expect(letterOf(platform, "pr-12")).toBe("c")
    expect(["a", "b", "c", "d", "e"].map((one) => has(platform, one))).toEqual([
      false,
      true,
      true,
      true,
      true,
    ])

    platform.clock.skip(hour + 60_000)
    expect(platform.preview("pr-12")).toBeUndefined()
    await platform.deployWeb("f")
    // By another clock it may last some minutes yet.
    expect(has(platform, "c")).toBe(true)

    platform.clock.skip(clockTolerance)
    await platform.deployWeb("0")
    expect([...platform.pointers.shown.keys()]).toEqual(["pr-13"])
    expect([has(platform, "c"), letterOf(platform, "pr-13"), has(platform, "d")]).toEqual([false, "d", true])
    expect(platform.said.join("\n")).toMatch(/2 previews that expired removed/)
    expect(await platform.live()).toBe("0")
  })

  it("takes nothing from the live and the previous release that have the same files", async () => {
    const platform = new WebPlatform(keep)
    await publish(platform, "pr-1", "a")
    await publish(platform, "pr-2", "b")
    await platform.deployWeb("a")
    await platform.deployWeb("b")
    platform.clock.skip(100 * hour)
    await platform.deployWeb("c")
    expect([...platform.pointers.shown.keys()]).toEqual([])
    expect(["b", "c"].map((one) => has(platform, one))).toEqual([true, true])
    expect(await platform.rollback({ to: "2" }, platform.web())).toMatch(/^web +promoted +2 /m)
  })

  it("and everything else stays when the previews cannot be read", async () => {
    const platform = new WebPlatform(keep)
    await publish(platform, "pr-12", "a")
    await platform.deployWeb("b")
    platform.pointers.shown.set("odd", "{")
    platform.clock.skip(100 * hour)
    await platform.deployWeb("c")
    expect(platform.said.join("\n")).toMatch(/old releases were not deleted: the preview odd is malformed/)
    expect([has(platform, "a"), platform.pointers.shown.has("pr-12")]).toEqual([true, true])
  })

  it("loses no files to a deploy that prunes while it is published again: the two take turns", async () => {
    const platform = new WebPlatform(keep)
    await publish(platform, "pr-12", "c")
    platform.clock.skip(100 * hour)
    let end: () => void = () => undefined
    const [app] = platform.web({ who: "grace" }).opened.frontends([])
    const held = app?.deployed.withFiles(() => new Promise<void>((resolve) => (end = resolve)))
    await platform.clock.pass(1_000)
    expect(await platform.deployWeb("a")).toMatch(/^web +promoted/m)
    expect(platform.said.join("\n")).toMatch(
      /old releases were not deleted: web is having its files changed by grace/,
    )
    expect([has(platform, "c"), platform.pointers.shown.has("pr-12")]).toEqual([true, true])
    await expect(publish(platform, "pr-12", "d")).rejects.toThrow(
      /web is having its files changed by grace .*: wait for it/,
    )
    expect(has(platform, "d")).toBe(false)
    end()
    await held
    await publish(platform, "pr-12", "d")
    expect(letterOf(platform, "pr-12")).toBe("d")
    await platform.deployWeb("b")
    expect([has(platform, "c"), has(platform, "d")]).toEqual([false, true])
  })
})

describe("the status", () => {
  it("lists previews with their end", async () => {
    const platform = new WebPlatform(on)
    await publish(platform, "pr-12", "b")
    platform.clock.skip(47 * hour)
    await publish(platform, "pr-13", "c")
    platform.clock.skip(2 * hour)
    const text = await platform.status(platform.web())
    expect(text).toMatch(
      /^ {2}preview pr-12 at https:\/\/pr-12\.preview\.example\.com: version b, expired at .* UTC, by dora$/m,
    )
    expect(text).toMatch(/^ {2}preview pr-13 at .*: version c, until .* UTC, by dora$/m)
    const [status] = await Promise.all(platform.web().components.map((one) => one.status()))
    expect(status?.details).toMatchObject({
      previews: [
        { name: "pr-12", expired: true, address: "https://pr-12.preview.example.com" },
        { name: "pr-13", expired: false, until: expect.stringMatching(/Z$/) as string },
      ],
    })
  })

  it("does not take previews that cannot be read for none", async () => {
    const platform = new WebPlatform(on)
    platform.pointers.shown.set("pr-12", "{")
    expect(await platform.status(platform.web())).toMatch(
      /its previews are not known: the preview pr-12 is malformed/,
    )
  })
})
