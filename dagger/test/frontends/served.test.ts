// A web app deployed to moto, with the functions of the edge in front of it, as visitors get it. Skipped without moto.
import { brotliDecompressSync, gunzipSync } from "node:zlib"
import { get } from "node:http"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { AuditLog } from "../../src/delivery/audit.js"
import type { Operation } from "../../src/delivery/component.js"
import { Notifier } from "../../src/delivery/events/notifier.js"
import { Journal } from "../../src/delivery/journal.js"
import { type AuditFiles, type AuditRequest, auditSection } from "../../src/frontends/audit.js"
import { securityHeaders } from "../../src/frontends/edge-functions.js"
import { Frontend } from "../../src/frontends/frontend.js"
import { frontendSection, type FrontendSettings } from "../../src/frontends/settings.js"
import { storesOf } from "../../src/frontends/stores.js"
import { day, monotonic } from "../../src/lib/clock.js"
import { FakeCluster } from "../clients/kubernetes/fake.js"
import { image } from "../delivery/fake-platform.js"
import { FakeClock } from "../lib/fake-clock.js"
import { auditFiles, build, recipesApi, removeBuilds, scriptOf } from "./fixtures.js"
import { store } from "./platform.js"
import { EdgeServer, forward, KeyValueServer, Moto, TestServer, withoutMoto } from "./servers.js"

const credentials = { accessKeyId: "key", secretAccessKey: "secret-key" }

describe.skipIf(withoutMoto !== undefined)("a web app behind its edge", () => {
  let moto: Moto
  let values: KeyValueServer
  let edge: EdgeServer
  let settings: FrontendSettings
  const clock = new FakeClock()
  const cluster = new FakeCluster(clock)
  let operations = 0

  beforeAll(async () => {
    moto = await Moto.start()
    await moto.bucket("apps")
    values = await KeyValueServer.start()
    const given = {
      hostnames: ["app.example.com"],
      bucket: "apps",
      prefix: "staging",
      region: "us-east-1",
      endpoint: moto.endpoint,
      edge: { kind: "key-value-store", store, endpoint: values.server.address },
      preview: true,
      previews: { domain: "preview.example.com", expires: "2h" },
    }
    const of = { app: "web", environment: "staging", namespace: "f1-staging" }
    edge = await EdgeServer.start(`${moto.endpoint}/apps`, values.values, {
      ...frontendSection.parse(given),
      ...of,
    })
    settings = { ...frontendSection.parse({ ...given, address: edge.server.address }), ...of }
  }, 90_000)
  afterAll(async () => {
    edge.server.stop()
    values.server.stop()
    moto.stop()
    await removeBuilds()
  })

  const app = (more: Partial<FrontendSettings> = {}) => {
    const api = cluster.client({})
    const id = `20260302-10000${++operations}-abcd`
    const audit = new AuditLog(api, "f1-staging")
    const notifier = new Notifier([])
    const now = () => api.now()
    return new Frontend(
      {
        cluster: api,
        who: "dora",
        id,
        journal: new Journal({ environment: "staging", by: "dora", operation: id, audit, notifier, now }),
        say: () => undefined,
        clock: monotonic,
        backends: {
          api: {
            current: () => Promise.resolve({ reference: image("a") }),
            deployed: false,
            metrics: () => Promise.resolve([]),
          },
        },
        contract: () => Promise.resolve(recipesApi),
        audit: previewed,
        bundle: (reference) => build(reference.at(-1) ?? ""),
        stores: (of, layout) => storesOf(of, layout, { credentials, clock: monotonic }),
        fetch,
      },
      { ...settings, ...more },
    )
  }

  async function deploy(letter: string, more: Partial<FrontendSettings> = {}) {
    const frontend = app(more)
    const locked = await frontend.lock()
    const operation: Operation = {
      id: frontend.deployed.context.id,
      by: "dora",
      author: "ada",
      reason: "pesto",
      guards: "none",
    }
    await locked.plan({ schemaVersion: 1, images: { web: { reference: image(letter, "web") } } })
    try {
      return await locked.apply(operation)
    } finally {
      await locked.unlock()
    }
  }

  const ask = (path: string, headers: Record<string, string> = {}) =>
    new Promise<{ status: number; headers: Record<string, string | string[] | undefined>; body: Buffer }>(
      (resolve, reject) => {
        get(`${edge.server.address}${path}`, { headers }, (answer) => {
          const chunks: Buffer[] = []
          answer.on("data", (chunk: Buffer) => chunks.push(chunk))
          answer.on("end", () => {
            resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) })
          })
        }).on("error", reject)
      },
    )

  /** Looks at what the edge answers as a release that is not live, instead of in a browser. */
  async function previewed(request: AuditRequest): Promise<AuditFiles> {
    const answers = await Promise.all(
      ["/", "/config.json"].map((path) => ask(path, { ...request.headers, accept: "text/html" })),
    )
    for (const { status, body } of answers) seen.push(`${status} ${body.toString().slice(0, 15)}`)
    return auditFiles({ ...request, release: String(answers[0]?.headers["x-release"]) })
  }
  const seen: string[] = []

  it("shows a release with its configuration to an audit before anything is live", async () => {
    expect((await ask("/", { accept: "text/html" })).status).not.toBe(200)
    const strict = auditSection.parse({ mobile: { performance: 99 } })
    expect(await deploy("a", { audit: strict })).toMatchObject({
      result: "aborted",
      message: expect.stringContaining("/ on mobile has performance 97; at least 99 is allowed") as string,
    })
    expect(seen).toEqual(["200 <!doctype html>", '200 {\n  "apiBaseUrl'])
    expect((await ask("/", { accept: "text/html" })).status).not.toBe(200)
    const report = await fetch(`${moto.endpoint}/apps?list-type=2&prefix=staging/web/audits/`, {
      headers: { authorization: "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request" },
    })
    expect(await report.text()).toMatch(/audits\/[0-9a-f]{40}\/report\.md/)
  })

  it("serves pages, files and the configuration with their headers", async () => {
    expect(await deploy("a")).toMatchObject({ result: "promoted", revision: 2 })
    const page = await ask("/recipes/12", { accept: "text/html", "accept-encoding": "gzip, br" })
    expect(page.status).toBe(200)
    expect(page.headers).toMatchObject({
      "content-type": "text/html; charset=utf-8",
      "content-encoding": "br",
      "cache-control": "no-cache",
      "x-content-type-options": "nosniff",
      vary: "Accept-Encoding",
    })
    expect(brotliDecompressSync(page.body).toString()).toContain(`/${scriptOf("a")}`)
    const script = await ask(`/${scriptOf("a")}`, { "accept-encoding": "gzip" })
    expect(script.headers).toMatchObject({
      "content-encoding": "gzip",
      "cache-control": "public, max-age=31536000, immutable",
    })
    expect(gunzipSync(script.body).toString()).toContain("console.log")
    const icon = await ask("/icon.svg", { "accept-encoding": "br" })
    expect([icon.status, icon.headers["content-encoding"], icon.body.toString()]).toEqual([
      200,
      undefined,
      "<svg/>",
    ])
    const config = await ask("/config.json")
    expect(config.headers["cache-control"]).toBe("no-store")
    expect(JSON.parse(config.body.toString())).toMatchObject({ environment: "staging", version: "a" })
    expect((await ask("/assets/gone-1a2b3c4d.js", { accept: "*/*" })).status).toBe(404)
  })

  it.each([
    ["a page", "/", 200],
    ["a file that the bucket lacks", "/assets/gone-1a2b3c4d.js", 404],
    ["an address that no release has", "/assets/gone", 404],
    ["a preview that is none", "/?none", 404],
  ])("has all security headers on the answer for %s", async (_, path, expected) => {
    const named: Record<string, string> = path === "/?none" ? { "x-preview-release": "none" } : {}
    const { status, headers } = await ask(path, { accept: "text/html", ...named })
    expect(status).toBe(expected)
    expect(headers).toMatchObject(securityHeaders(settings))
  })

  it("serves the next release to all, and to open pages what they ask for", async () => {
    expect(await deploy("b")).toMatchObject({ result: "promoted", revision: 3 })
    expect((await ask("/", { accept: "text/html" })).body.toString()).toContain(scriptOf("b"))
    expect((await ask(`/${scriptOf("a")}`)).status).toBe(200)
  })

  it("serves what was live last while the store of the edge fails", async () => {
    edge.hasStore = false
    expect((await ask("/", { accept: "text/html" })).body.toString()).toContain(scriptOf("b"))
    expect(JSON.parse((await ask("/config.json")).body.toString())).toMatchObject({ version: "b" })
    edge.hasStore = true
  })

  it("goes back within seconds", async () => {
    expect(await app().revert({ reason: "it is wrong" })).toMatchObject({ result: "promoted", revision: 2 })
    expect((await ask("/", { accept: "text/html" })).body.toString()).toContain(scriptOf("a"))
  })

  it("gives a canary to some, who keep it", async () => {
    const done = deploy("b", { canary: [{ percent: 50, for: 20 }] })
    while (!values.values.get("web")?.includes("canary")) await monotonic.pause(100)
    const seen = new Set<string>()
    for (let visit = 0; visit < 200 && seen.size < 2; visit++) {
      const first = await ask("/", { accept: "text/html" })
      const [cookie = ""] = [first.headers["set-cookie"] ?? ""].flat().map((one) => one.split(";")[0] ?? "")
      expect(cookie).toMatch(/^pitwall-web=\d+$/)
      seen.add(String(first.headers["x-release"]))
      for (let again = 0; again < 3; again++)
        expect((await ask("/", { accept: "text/html", cookie })).headers["x-release"]).toBe(
          first.headers["x-release"],
        )
    }
    expect(seen.size).toBe(2)
    expect(await done).toMatchObject({ result: "promoted", revision: 4 })
  })

  describe("a preview", () => {
    let dashboard: EdgeServer
    const dashboardSettings = () => ({ ...settings, app: "dashboard", address: dashboard.server.address })

    beforeAll(async () => {
      dashboard = await EdgeServer.start(`${moto.endpoint}/apps`, values.values, {
        ...settings,
        app: "dashboard",
      })
      setClock()
    })
    afterAll(() => {
      dashboard.server.stop()
    })

    /** The edge's clock, in ms ahead of that of the cluster. */
    const setClock = (ahead = 0) => {
      for (const one of [edge, dashboard]) one.ahead = cluster.now() - Date.now() + ahead
    }
    const publish = async (
      name: string,
      letter: string,
      of: Partial<FrontendSettings> = {},
      s3 = moto.endpoint,
    ) => {
      const bundle = await build(letter, {}, of.app)
      return app({ endpoint: s3, ...of })
        .previews()
        .publish({ name, bundle, secrets: {} })
    }
    const at = (host: string) => ({ host, accept: "text/html" })
    const page = async (host: string) => {
      const { status, body } = await ask("/", at(host))
      return `${status} ${/index-[\w-]+\.js/.exec(body.toString())?.[0] ?? ""}`.trim()
    }
    const shows = (letter: string) => `200 ${scriptOf(letter).replace("assets/", "")}`

    it("has an address of its own, with its configuration, and visitors get what they got", async () => {
      const before = [values.values.get("web"), await page("app.example.com")]
      expect(await publish("pr-12", "c")).toContain("in a browser: https://pr-12.preview.example.com")
      for (const host of ["pr-12.preview.example.com", "PR-12.preview.example.com"])
        expect(await page(host)).toBe(shows("c"))
      const { headers } = await ask("/recipes/12", at("pr-12.preview.example.com"))
      expect([headers["x-robots-tag"], headers["x-content-type-options"]]).toEqual(["noindex", "nosniff"])
      const config = await ask("/config.json", { host: "pr-12.preview.example.com" })
      expect(JSON.parse(config.body.toString())).toEqual({
        ...{ apiBaseUrl: "", environment: "staging", version: "c", flags: {} },
        id: expect.stringMatching(/^[0-9a-f]{40}$/) as unknown,
      })
      const byHeader = await ask("/", { accept: "text/html", "x-preview-release": "pr-12" })
      expect(byHeader.body.toString()).toContain(scriptOf("c"))
      expect([values.values.get("web"), await page("app.example.com")]).toEqual(before)
    })

    it("of the same name of another app, in the same bucket and store, is another one", async () => {
      await publish("pr-12", "d", dashboardSettings())
      const theirs = await fetch(dashboard.server.address, {
        headers: { accept: "text/html", "x-preview-release": "pr-12" },
      })
      expect(await theirs.text()).toContain(scriptOf("d"))
      expect(await page("pr-12.preview.example.com")).toBe(shows("c"))
      expect(await app(dashboardSettings()).previews().remove("pr-12")).toMatch(/is removed/)
      expect(await page("pr-12.preview.example.com")).toBe(shows("c"))
    })

    it("whose upload ends half-way leaves the one before; the next command uploads the rest", async () => {
      let puts = 0
      const weak = await TestServer.start((request, response) => {
        if (request.method !== "PUT" || ++puts <= 4) {
          forward(moto.endpoint, request, response)
          return
        }
        request.resume()
        response.writeHead(403).end("<Error><Code>ExpiredToken</Code><Message>expired</Message></Error>")
      })
      await expect(publish("pr-12", "e", {}, weak.address)).rejects.toThrow(/cannot write .*ExpiredToken/)
      weak.stop()
      expect(await page("pr-12.preview.example.com")).toBe(shows("c"))
      await publish("pr-12", "e")
      expect(await page("pr-12.preview.example.com")).toBe(shows("e"))
    })

    it("of two at once is whole, whichever is last; two names do not disturb each other", async () => {
      await Promise.all([publish("pr-1", "c"), publish("pr-2", "d"), publish("pr-2", "e")])
      expect(await page("pr-1.preview.example.com")).toBe(shows("c"))
      expect([shows("d"), shows("e")]).toContain(await page("pr-2.preview.example.com"))
    })

    it("ends by itself at the edge, by its clock", async () => {
      setClock(110 * 60_000)
      expect(await page("pr-12.preview.example.com")).toBe(shows("e"))
      setClock(125 * 60_000)
      for (const path of ["/", "/config.json", `/${scriptOf("e")}`])
        expect((await ask(path, at("pr-12.preview.example.com"))).status).toBe(404)
      expect((await ask("/", { accept: "text/html" })).status).toBe(200)
      setClock()
    })

    it("is removed by its name before that", async () => {
      expect(await app().previews().remove("pr-1")).toMatch(/^web: the preview pr-1 is removed/)
      expect(await page("pr-1.preview.example.com")).toBe("404")
      expect(await page("never.preview.example.com")).toBe("404")
      const { text } = await app().status()
      expect(text).toMatch(/preview pr-12 at https:\/\/pr-12\.preview\.example\.com: version e, until/)
      expect(text).not.toContain("pr-1 ")
    })

    it("loses its files to the next deploy once it is over, and others lose none", async () => {
      clock.skip(Date.now() - cluster.now() + 30 * day)
      setClock()
      await publish("kept", "c")
      expect(await deploy("a")).toMatchObject({ result: "promoted" })
      expect([...values.values.keys()].filter((key) => key.startsWith("web"))).toEqual(["web", "web.kept"])
      const asset = async (letter: string) => (await ask(`/${scriptOf(letter)}`)).status
      expect([await asset("a"), await asset("b"), await asset("c"), await asset("e")]).toEqual([
        200, 200, 200, 404,
      ])
      expect(await page("kept.preview.example.com")).toBe(shows("c"))
    })
  })
})
