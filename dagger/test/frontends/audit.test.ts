// What an audit decides, what a deploy does with it, and the program that looks at pages, in a real Chromium where there is one.
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import {
  type AuditRequest,
  auditFaults,
  auditOf,
  auditReport,
  auditSection,
  auditSummary,
  readAudit,
} from "../../src/frontends/audit.js"
import { auditFilesIn } from "../../src/frontends/auditor.js"
import { previewHeaders } from "../../src/frontends/settings.js"
import { auditFiles, type AuditRun, type AuditViolation, removeBuilds } from "./fixtures.js"
import { releaseIn, WebPlatform } from "./platform.js"
import { TestServer } from "./servers.js"

afterEach(removeBuilds)

const release = "a".repeat(40)
const asked = { release, paths: ["/"], runs: 5 }
const image: AuditViolation = {
  ...{ id: "image-alt", impact: "critical", help: "Images must have alternative text" },
  places: ["main > img"],
}
const settings = (more: object = {}) => auditSection.parse(more)

describe("an audit", () => {
  it("counts the medians of its runs, so that a slow one changes nothing", () => {
    const performance = [0.2, 0.97, 0.4, 0.98, 0.96]
    const audit = auditOf(auditFiles(asked, { run: (at) => ({ performance: performance[at] ?? 0 }) }), asked)
    expect(audit.pages).toMatchObject([
      { path: "/", device: "mobile", performance: 96, accessibility: 100, bestPractices: 100, tbt: 40 },
      { path: "/", device: "desktop", performance: 96 },
    ])
    expect(auditFaults(audit, settings())).toEqual([])
    expect(auditSummary(audit)).toBe("mobile 96 / 100 / 100, desktop 96 / 100 / 100")
  })

  it("refuses what is below a budget of its device, with the value", () => {
    const slow = auditFiles(asked, {
      run: (_, device) => (device === "mobile" ? { performance: 0.64, accessibility: 0.9 } : {}),
    })
    const audit = auditOf(slow, asked)
    expect(auditFaults(audit, settings())).toEqual([
      "/ on mobile has performance 64; at least 90 is allowed",
      "/ on mobile has accessibility 90; at least 95 is allowed",
    ])
    expect(auditFaults(audit, settings({ mobile: { performance: 60, accessibility: 90 } }))).toEqual([])
    expect(
      auditFaults(
        audit,
        settings({ mobile: { performance: 60, accessibility: 90 }, desktop: { performance: 98 } }),
      ),
    ).toEqual(["/ on desktop has performance 97; at least 98 is allowed"])
  })

  it("refuses what axe finds from an impact on", () => {
    const of = (impact: AuditViolation["impact"]) =>
      auditOf(auditFiles(asked, { violations: [{ ...image, impact }] }), asked)
    expect(auditFaults(of("critical"), settings())[0]).toBe(
      "/ on mobile: Images must have alternative text (image-alt, critical), at main > img",
    )
    expect(auditFaults(of("moderate"), settings())).toEqual([])
    expect(auditFaults(of("moderate"), settings({ violations: "moderate" }))).toHaveLength(2)
  })

  const files = auditFiles(asked)
  const changed = (from: string, to: string) => ({ ...files, result: files.result.replaceAll(from, to) })
  it.each([
    ["of another release", changed(release, "b".repeat(40)), asked, "was of release bbb"],
    ["of no release", changed(release, ""), asked, "was of release unknown"],
    ["of fewer runs", auditFiles({ ...asked, runs: 4 }), asked, "was looked at 4 times instead of 5"],
    ["of fewer pages", files, { ...asked, paths: ["/", "/recipes"] }, "/recipes on mobile was not looked at"],
    ["of one device", changed("desktop", "mobile"), asked, "/ on desktop was not looked at"],
    ["without a score", changed('"performance":0.97', '"performance":null'), asked, "performance"],
    ["without screenshots", { ...files, screenshots: new Map() }, asked, "has no screenshot"],
    ["that wrote nothing", { ...files, result: "" }, asked, "JSON"],
  ])("%s is none", (_, given, of, reason) => {
    expect(() => auditOf(given, of)).toThrow(reason)
  })

  it("reports what differs from the release that is live, and what was found, with screenshots", () => {
    const before = auditOf(auditFiles(asked, { run: () => ({ performance: 0.99, lcp: 900 }) }), asked)
    const audit = auditOf(auditFiles(asked, { violations: [image] }), asked)
    const kept = { ...audit, faults: ["/ on mobile: bad"], before: { release: "b".repeat(40), ...before } }
    const report = auditReport(release, kept)
    expect(report).toContain(
      "| /, mobile | 97 (99) | 100 | 100 | 1.2 s (0.9 s) | 40 ms | 0.000 | 120.0 kB | 1 (0) |",
    )
    expect(report).toContain("- / on mobile: bad")
    expect(report).toContain(
      "- / on mobile: Images must have alternative text (image-alt, critical): `main > img`",
    )
    expect(report).toContain("![/ on desktop](1-desktop.png)")
    expect(report).toContain(`In brackets: release ${"b".repeat(40)}, which was live then`)
    expect(auditReport(release, { ...audit, faults: [] })).toContain(
      "The release that was live had no audit.",
    )
    // As earlier versions have kept it.
    const earlier = auditReport(release, readAudit(JSON.stringify(audit)))
    expect(earlier).toContain("An earlier version kept this audit")
    expect(earlier).not.toContain("Passed")
  })
})

describe("the newest audit", () => {
  const audited = "preview: true\naudit: {}"
  const newest = (platform: WebPlatform) => {
    const [app] = platform.web().opened.frontends([])
    if (!app) throw new Error("no web app")
    return platform.clock.until(app.newestAudit())
  }
  const folderOf = (platform: WebPlatform) =>
    platform.layout.audit(platform.pointers.pointer?.live.release ?? "")

  it("is read with its files and beside the release that was live before", async () => {
    const platform = new WebPlatform(audited)
    expect(await newest(platform)).toEqual({
      app: "web",
      found: "none",
      reason: "no release was audited yet",
    })
    await platform.deployWeb("a")
    const first = platform.pointers.pointer?.live.release
    await platform.deployWeb("b")
    const live = platform.pointers.pointer?.live.release
    const found = await newest(platform)
    if (found.found !== "audit") throw new Error(found.found)
    expect(found).toMatchObject({ app: "web", release: live, live, missing: [] })
    expect(found.audit).toMatchObject({ faults: [], before: { release: first } })
    expect([...found.files.keys()].sort()).toEqual([
      "1-desktop.png",
      "1-mobile.png",
      "audit.json",
      "report.md",
    ])
  })

  it("is that of a release that was refused, which is not the live one", async () => {
    const platform = new WebPlatform(audited)
    await platform.deployWeb("a")
    const live = platform.pointers.pointer?.live.release
    platform.audited = (request) =>
      Promise.resolve(auditFiles({ ...request, release: releaseIn(request) }, { violations: [image] }))
    await expect(platform.deployWeb("b")).rejects.toThrow(/the audit refuses/)
    const found = await newest(platform)
    if (found.found !== "audit") throw new Error(found.found)
    expect(found.live).toBe(live)
    expect(found.release).not.toBe(live)
    expect(found.audit.faults).toHaveLength(2)
  })

  it.each([
    [
      "without its figures",
      (platform: WebPlatform) => platform.bucket.delete([`${folderOf(platform)}audit.json`]),
      /has no audit\.json: the deploy of release [0-9a-f]{40} was interrupted/,
    ],
    [
      "cut off",
      async (platform: WebPlatform) => {
        const held = platform.bucket.objects.get(`${folderOf(platform)}audit.json`)
        if (held) await platform.bucket.put(held.object, held.body.subarray(0, 100))
      },
      /audit\.json is no audit: /,
    ],
    [
      "with a picture whose name leads out of its folder",
      async (platform: WebPlatform) => {
        const held = platform.bucket.objects.get(`${folderOf(platform)}audit.json`)
        const text = Buffer.from(held?.body ?? []).toString()
        if (held) await platform.bucket.put(held.object, Buffer.from(text.replace("1-mobile", "../web")))
      },
      /the name of a PNG file/,
    ],
    [
      "in a bucket that does not answer",
      (platform: WebPlatform) => {
        platform.bucket.list = () => Promise.reject(new Error("AccessDenied (403)"))
        return Promise.resolve()
      },
      /^AccessDenied \(403\)$/,
    ],
  ])("%s cannot be read, and is not absent", async (_, break_, reason) => {
    const platform = new WebPlatform(audited)
    await platform.deployWeb("a")
    await break_(platform)
    expect(await newest(platform)).toEqual({
      app: "web",
      found: "unreadable",
      reason: expect.stringMatching(reason) as string,
    })
  })

  it("without a picture names it", async () => {
    const platform = new WebPlatform(audited)
    await platform.deployWeb("a")
    await platform.bucket.delete([`${folderOf(platform)}1-mobile.png`, `${folderOf(platform)}report.md`])
    expect(await newest(platform)).toMatchObject({ found: "audit", missing: ["report.md", "1-mobile.png"] })
  })

  it("is none where the settings ask for none", async () => {
    const platform = new WebPlatform("preview: true")
    await platform.deployWeb("a")
    expect(await newest(platform)).toMatchObject({
      found: "none",
      reason: "its settings ask for none: environments.staging.frontends.web.audit",
    })
  })
})

describe("a deploy with an audit", () => {
  const audited = "preview: true\naudit: { paths: [/, /recipes] }"
  const objects = (platform: WebPlatform) =>
    [...platform.bucket.objects.keys()].filter((key) => key.startsWith(platform.layout.audits))

  it("looks at the release before anybody gets it, and keeps the report", async () => {
    const platform = new WebPlatform(audited)
    const live: unknown[] = []
    const make = platform.audited
    platform.audited = (request) => {
      live.push(platform.pointers.pointer?.live.revision, platform.pointers.pointer?.canary)
      return make(request)
    }
    expect(await platform.deployWeb("a")).toMatch(
      /^web +promoted +1 .*audit: mobile 97 \/ 100 \/ 100, desktop/m,
    )
    expect(live).toEqual([undefined, undefined])
    const { pointer } = platform.pointers
    expect(platform.audits).toEqual([
      {
        address: "https://app.example.com",
        headers: previewHeaders(pointer?.live.release ?? "", pointer?.live.config ?? ""),
        paths: ["/", "/recipes"],
        runs: 5,
      },
    ])
    const folder = platform.layout.audit(pointer?.live.release ?? "")
    expect(objects(platform).sort()).toEqual(
      ["1-desktop.png", "1-mobile.png", "2-desktop.png", "2-mobile.png", "audit.json", "report.md"].map(
        (name) => `${folder}${name}`,
      ),
    )
    expect(await platform.deployWeb("a")).toMatch(/^web +unchanged/m)
    expect(platform.audits).toHaveLength(1)
  })

  it("that is below a budget is refused before any visitor sees it, with the report beside the live release's", async () => {
    const platform = new WebPlatform(`${audited}\ncanary: [{ percent: 10, for: 30s }]`)
    await platform.deployWeb("a")
    const worse = (run: Partial<AuditRun>) => (request: AuditRequest) =>
      Promise.resolve(auditFiles({ ...request, release: releaseIn(request) }, { run: () => run }))
    const good = platform.audited
    const pointer = platform.pointers.text
    platform.audited = worse({ performance: 0.5 })
    await expect(platform.deployWeb("b")).rejects.toThrow(
      /web was not deployed to staging.*the audit refuses release [0-9a-f]{40}: \/ on mobile has performance 50; at least 90/,
    )
    expect(platform.pointers.text).toBe(pointer)
    expect(platform.state).toMatchObject({ live: 1 })
    expect(platform.state.running).toBeUndefined()
    const report = objects(platform).filter((key) => key.endsWith("report.md"))
    const texts = await Promise.all(report.map(async (key) => (await platform.bucket.text(key))?.text))
    expect(texts.some((text) => text?.includes("| /, mobile | 50 (97) |"))).toBe(true)
    platform.audited = good
    expect(await platform.deployWeb("b")).toMatch(/^web +promoted +3 /m)
  })

  it.each([
    [
      "could not run",
      () => Promise.reject(new Error("exit code 1")),
      /the audit could not be made: exit code 1/,
    ],
    [
      "looked at the live release instead",
      (request: AuditRequest) => Promise.resolve(auditFiles({ ...request, release: "" })),
      /the audit could not be made: \/ on mobile was of release unknown/,
    ],
  ])("that %s is no pass", async (_, audit, reason) => {
    const platform = new WebPlatform(audited)
    platform.audited = audit
    await expect(platform.deployWeb("a")).rejects.toThrow(reason)
    expect(platform.pointers.text).toBeUndefined()
    expect(platform.state.live).toBeUndefined()
  })

  it("that was interrupted is audited again", async () => {
    const platform = new WebPlatform(audited)
    const command = platform.web()
    const good = platform.audited
    platform.audited = () => {
      command.kill()
      return new Promise(() => undefined)
    }
    void platform.deployWeb("a", command).catch(() => undefined)
    await platform.clock.until(command.dead)
    await platform.clock.pass(120_000)
    expect(platform.pointers.text).toBeUndefined()
    platform.audited = good
    expect(await platform.deployWeb("a")).toMatch(/^web +promoted +1 .*audit: mobile/m)
    expect(platform.audits).toHaveLength(2)
  })

  it("is forgotten with its release", async () => {
    const platform = new WebPlatform(`${audited}\nkeep: { releases: 2, days: 1 }`)
    for (const letter of ["a", "b", "c"]) await platform.deployWeb(letter)
    platform.clock.skip(48 * 3_600_000)
    await platform.deployWeb("d")
    const kept = platform.state.revisions.map((one) => platform.layout.audit(one.release))
    expect(kept).toHaveLength(2)
    const folders = objects(platform).map((key) => key.slice(0, key.lastIndexOf("/") + 1))
    expect([...new Set(folders)].sort()).toEqual(kept.sort())
  })

  it("is only possible where a release can be looked at that is not live", () => {
    expect(() => new WebPlatform("audit: {}").web()).toThrow(
      /web\.audit: only with edge\.kind key-value-store and preview/,
    )
    const invalidating = "{ kind: invalidate, distribution: E2QWRUHAPOMQZL }"
    expect(() => new WebPlatform("preview: true\naudit: {}", invalidating).web()).toThrow(
      /web\.audit: only with/,
    )
  })
})

const folder = fileURLToPath(new URL("../../config/frontends/audit/", import.meta.url))
const chromium = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium"
const cannotRun = !existsSync(chromium) || !existsSync(join(folder, "node_modules"))

// With `npm ci` in dagger/config/frontends/audit, and Chromium at /usr/bin/chromium or CHROMIUM_PATH.
describe.skipIf(cannotRun)("the program that looks at pages", { timeout: 20 * 60_000 }, () => {
  const pageOf = (picture: string) =>
    `<!doctype html><html lang="en"><head><title>Pesto</title><meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,"></head><body><main><h1>Pesto</h1>${picture}</main></body></html>`
  const dot = "data:image/gif;base64,R0lGODlhAQABAAAAACw="
  let server: TestServer
  let out: string

  beforeAll(async () => {
    server = await TestServer.start((request, response) => {
      const preview = (request.headers["x-preview-release"] as string | undefined)?.split(".")[0] ?? "none"
      const bad = request.url === "/bad"
      response
        .writeHead(request.url === "/gone" ? 404 : 200, {
          "content-type": "text/html; charset=utf-8",
          "content-security-policy": "default-src 'none'; img-src data:",
          "x-release": preview,
        })
        .end(pageOf(bad ? `<img src="${dot}" width="9" height="9">` : "<p>Basil, oil, nuts.</p>"))
    })
    out = await mkdtemp(join(tmpdir(), "audit-"))
  })
  afterAll(async () => {
    server.stop()
    await rm(out, { recursive: true, force: true })
  })

  async function run(paths: string[]): Promise<{ code: number | null; errors: string }> {
    const request = { address: server.address, headers: previewHeaders(release, release), paths, runs: 1 }
    await writeFile(join(out, "request.json"), JSON.stringify(request))
    const child = spawn(process.execPath, ["audit.mjs", join(out, "request.json"), out], {
      cwd: folder,
      env: { ...process.env, CHROMIUM_PATH: chromium },
    })
    let errors = ""
    child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()))
    const code = await new Promise<number | null>((ended) => child.on("close", ended))
    return { code, errors }
  }

  it("measures a release by its preview, behind a content security policy, and finds what is wrong with a page", async () => {
    const { code, errors } = await run(["/good", "/bad"])
    expect(code, errors).toBe(0)
    const files = await auditFilesIn(out)
    const audit = auditOf(files, { release, paths: ["/good", "/bad"], runs: 1 })
    const faults = auditFaults(
      audit,
      settings({
        mobile: { performance: 0, bestPractices: 0, accessibility: 0 },
        desktop: { performance: 0, bestPractices: 0, accessibility: 0 },
      }),
    )
    expect(faults).toEqual(
      ["mobile", "desktop"].map(
        (device) =>
          expect.stringContaining(
            `/bad on ${device}: Images must have alternative text (image-alt, critical)`,
          ) as string,
      ),
    )
    const [good] = audit.pages
    expect(good).toMatchObject({ path: "/good", accessibility: 100, violations: [] })
    for (const picture of files.screenshots.values())
      expect(Buffer.from(picture.subarray(0, 4)).toString("latin1")).toBe("\x89PNG")
  })

  it("ends with an error for a page that is not there", async () => {
    const { code, errors } = await run(["/gone"])
    expect(code).not.toBe(0)
    expect(errors).toContain("/gone answers 404")
  })
})
