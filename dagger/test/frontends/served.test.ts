// A web app deployed to moto, with the functions of the edge in front of it, as visitors get it. Skipped without moto.
import { brotliDecompressSync, gunzipSync } from "node:zlib"
import { get } from "node:http"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { AuditLog } from "../../src/delivery/audit.js"
import type { Operation } from "../../src/delivery/component.js"
import { Notifier } from "../../src/delivery/events/notifier.js"
import { Journal } from "../../src/delivery/journal.js"
import { type AuditFiles, type AuditRequest, auditSection } from "../../src/frontends/audit.js"
import { Frontend } from "../../src/frontends/frontend.js"
import { frontendSection, type FrontendSettings } from "../../src/frontends/settings.js"
import { storesOf } from "../../src/frontends/stores.js"
import { monotonic } from "../../src/lib/clock.js"
import { FakeCluster } from "../clients/kubernetes/fake.js"
import { image } from "../delivery/fake-platform.js"
import { FakeClock } from "../lib/fake-clock.js"
import { auditFiles, build, recipesApi, removeBuilds, scriptOf } from "./fixtures.js"
import { store } from "./platform.js"
import { EdgeServer, KeyValueServer, Moto, withoutMoto } from "./servers.js"

const credentials = { accessKeyId: "key", secretAccessKey: "secret-key" }

describe.skipIf(withoutMoto !== undefined)("a web app behind its edge", () => {
  let moto: Moto
  let values: KeyValueServer
  let edge: EdgeServer
  let settings: FrontendSettings
  const cluster = new FakeCluster(new FakeClock())
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
          api: { current: () => Promise.resolve({ reference: image("a") }), deployed: false },
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
})
