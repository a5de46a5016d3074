// A web app deployed by the commands of a user to a throw-away cluster's environment: its image built from source, its files in an S3 store, and the functions of the edge
// in front of it. After the backend that it calls. Killed half-way and gone on with, another flag, a rollback, the build of another app, and canaries by what visitors' browsers
// tell. A deployer's rights and no more.
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connection, type Container, type Service } from "@dagger.io/dagger"
import { afterAll, aroundAll, beforeAll, describe, expect, it } from "vitest"
import {
  deployFile,
  environmentOf,
  frontendSettings,
  readDeploy,
} from "../../src/environments/configuration.js"
import { registryPort } from "../../src/platform/cluster/throw-away-registry.js"
import { readPlatform } from "../../src/platform/platform.js"
import { RehearsalEnvironment } from "../../src/rehearsal/environment.js"
import { store } from "../frontends/platform.js"
import { anyKey, EdgeServer, KeyValueServer } from "../frontends/servers.js"
import { copyOfTheRepository, daggerw, repository } from "./daggerw.js"
import { s3, storePort } from "./s3.js"
import { machine, Tunnels } from "./tunnels.js"
import { configure, rehearsalSource } from "./user-checkout.js"
import { visit, type Visited, visitedDuring } from "./visitors.js"

aroundAll((suite) => connection(suite))

const bucket = "apps"
const previews = { domain: "preview.example.com", expires: "2h" }

let rehearsal: RehearsalEnvironment
let moto: Service
let values: KeyValueServer
let edge: EdgeServer
/** Where this machine reaches the S3 store. */
let s3Address: string
/** A copy of the repository with a .env, as a user has one. */
let checkout: string
/** Writes the settings anew, with a flag and whatever else. */
let flagged: (printView: boolean, more?: object) => Promise<void>
const tunnels = new Tunnels()

/** As it is shipped, where this cluster's router is, with a web app, all of whose visitors come from one address. */
const settingsOf = (web: string) => `
environments:
  staging:
    gateway: { name: f1-staging, namespace: router, class: router, port: 8080 }
    services: { api: { variables: { RATE_LIMIT_VISITS: 10000/minute } }, f1-backend: null }
    frontends: { web: ${web} }
  production:
    gateway: { name: f1-production, namespace: router, class: router, port: 8080 }
    services: { f1-backend: null }
`

const webOf = (endpoint: string, keyValues: string, more: object): string =>
  JSON.stringify({
    hostnames: ["app.example.com"],
    bucket,
    prefix: "staging",
    region: "us-east-1",
    endpoint,
    images: ["https:"],
    edge: { kind: "key-value-store", store, endpoint: keyValues },
    ...more,
  })

beforeAll(async () => {
  checkout = await copyOfTheRepository()
  const shipped = await readFile(join(repository, deployFile), "utf8")
  moto = await s3("frontends-test").start()
  s3Address = `http://${await tunnels.open(moto, storePort)}`
  const made = await fetch(`${s3Address}/${bucket}`, { method: "PUT" })
  expect(made.status, await made.text()).toBe(200)
  values = await KeyValueServer.start(machine)
  const configured = (more: object) =>
    environmentOf(
      readDeploy(shipped, {
        file: "settings.yaml",
        text: settingsOf(webOf(s3Address, values.server.address, more)),
      }),
      "staging",
    )
  const [web] = frontendSettings(configured({ preview: true, previews }))
  if (!web) throw new Error("the settings have no web app")
  edge = await EdgeServer.start(`${s3Address}/${bucket}`, values.values, web, machine)
  const settings = (printView: boolean, more: object = {}) =>
    settingsOf(
      webOf(s3Address, values.server.address, {
        ...{ address: edge.server.address, flags: { printView }, preview: true, previews },
        ...more,
      }),
    )
  const environment = configured({ address: edge.server.address })
  // With what an administrator applies, for the web app too.
  rehearsal = await RehearsalEnvironment.start(rehearsalSource(), {
    service: "api",
    deployedTo: environment,
    id: "frontends-test",
    resolveEndpoint: (service, port) => tunnels.open(service, port),
  })
  flagged = (printView, more) => writeFile(join(checkout, "settings.yaml"), settings(printView, more))
  await configure(checkout, rehearsal, tunnels, {
    settings: settings(false),
    secrets: {
      ...rehearsal.secrets,
      AWS_ACCESS_KEY_ID: "key-of-the-test",
      AWS_SECRET_ACCESS_KEY: "secret-key-of-the-test",
    },
  })
})

afterAll(async () => {
  await rehearsal.stop()
  await moto.stop({ kill: true })
  edge.server.stop()
  values.server.stop()
  tunnels.close()
  await rm(checkout, { recursive: true, force: true })
})

/** Writes a release of a changed image, published for the cluster, and returns the arguments that name it. */
async function releaseOf(
  name: string,
  change: (image: Container) => Container,
  service = "web",
): Promise<string[]> {
  const platform = await readPlatform(rehearsalSource())
  const published = await rehearsal.publish(change(platform.image(platform.service(service))), service)
  const reference = published.replace("registry.local", `localhost:${registryPort}`)
  const file = `release-${name}.json`
  const release = { schemaVersion: 1, images: { [service]: { reference } } }
  await writeFile(join(checkout, file), JSON.stringify(release))
  return ["--release", file]
}

const call = (args: string[], mortal = false) =>
  daggerw(["--progress", "plain", "call", ...args], checkout, { mortal })

async function done(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await call(args).ended
  if (code !== 0) throw new Error(`${args.join(" ")}\n${stderr.slice(-4_000)}`)
  return stdout
}

async function refused(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await call(args).ended
  if (code === 0) throw new Error(`${args.join(" ")} succeeded:\n${stdout}`)
  return stderr
}

const deploy = (release: string[]) => ["deploy", "--env", "staging", "--only", "web", ...release]
const page = async () => {
  const answer = await fetch(`${edge.server.address}/recipes`, { headers: { accept: "text/html" } })
  return { status: answer.status, headers: answer.headers, text: await answer.text() }
}
const configuration = async () =>
  (await (await fetch(`${edge.server.address}/config.json`)).json()) as Record<string, unknown>
/** A script that the page names. */
const scriptOf = (html: string) => /src="(\/assets\/[^"]+\.js)"/.exec(html)?.[1] ?? "?"

describe("a web app", { timeout: 20 * 60_000 }, () => {
  let first: string
  let second: string[]

  it("waits for the backend that it calls", async () => {
    const own = await releaseOf("first", (image) => image)
    const reason =
      /web needs the contract [0-9a-f]{12} of api, and api is not live in staging: deploy it first/
    expect(await done("plan", "--env", "staging", "--only", "web", ...own, "text")).toMatch(reason)
    expect(await refused(...deploy(own))).toMatch(reason)
    expect((await page()).status).not.toBe(200)
    const backend = await releaseOf("api", (image) => image, "api")
    const told = await done("deploy", "--env", "staging", "--only", "api", ...backend, "--override", "a test")
    expect(told).toMatch(/^api +promoted +1 /m)
    const plan = await done("plan", "--env", "staging", "--only", "web", ...own, "text")
    expect(plan).toMatch(/calls: contract [0-9a-f]{12} of api, served by localhost:.*\/api@sha256:/)
  })

  it("is built from source, uploaded and served", async () => {
    const { code, stdout, stderr } = await call(["deploy", "--env", "staging", "--only", "web"]).ended
    expect(code, stderr.slice(-4_000)).toBe(0)
    expect(stdout).toMatch(/^web +promoted +1 .*is served/m)
    const { status, headers, text } = await page()
    expect(status).toBe(200)
    expect(headers.get("x-release")).toMatch(/^[0-9a-f]{40}$/)
    expect(headers.get("content-security-policy")).toContain("img-src 'self' data: https:")
    first = scriptOf(text)
    expect((await fetch(`${edge.server.address}${first}`)).headers.get("cache-control")).toContain(
      "immutable",
    )
    expect(await configuration()).toMatchObject({ environment: "staging", flags: { printView: false } })
  })

  it("is deployed again by a command that is killed and run again; open pages find their files", async () => {
    second = await releaseOf("second", (image) =>
      image.withNewFile("/srv/www/robots.txt", "User-agent: second\n", { permissions: 0o644 }),
    )
    const plan = await done("plan", "--env", "staging", "--only", "web", ...second, "text")
    expect(plan).toMatch(/~ robots\.txt, /)
    const killed = call(deploy(second), true)
    await killed.until("web: ")
    killed.kill()
    expect((await killed.ended).signal).toBe("SIGKILL")
    expect(await done(...deploy(second))).toMatch(/^web +(promoted|unchanged) +2 /m)
    expect(await (await fetch(`${edge.server.address}/robots.txt`)).text()).toBe("User-agent: second\n")
    expect((await fetch(`${edge.server.address}${first}`)).status).toBe(200)
  })

  it("gets another flag without another build", async () => {
    await flagged(true)
    expect(await done(...deploy(second))).toMatch(/^web +promoted +3 /m)
    expect(await configuration()).toMatchObject({ flags: { printView: true } })
  })

  it("goes back to the revision before, and to a named one", async () => {
    const back = ["rollback", "--env", "staging", "--service", "web", "--reason", "it is wrong"]
    expect(await done(...back)).toMatch(/^web +promoted +2 /m)
    expect(await configuration()).toMatchObject({ flags: { printView: false } })
    expect(await done(...back, "--to", "1")).toMatch(/^web +promoted +1 /m)
    expect(await (await fetch(`${edge.server.address}/robots.txt`)).text()).not.toContain("second")
    const status = await done("status", "--env", "staging", "--only", "web", "text")
    expect(status).toMatch(/web, the web app at .*: revision 1, /)
    expect(status).toMatch(/kept: 3, 2, 1/)
  })

  it("is previewed from the working tree under a name, killed half-way, replaced and ended, and visitors see nothing of it", async () => {
    const file = join(checkout, "services/web/public/robots.txt")
    const robots = async (name?: string) => {
      const headers: Record<string, string> = name === undefined ? {} : { "x-preview-release": name }
      const answer = await fetch(`${edge.server.address}/robots.txt`, { headers })
      return `${answer.status} ${await answer.text()}`
    }
    const preview = ["preview", "--name", "pr-12"]
    const before = [values.values.get("web"), await robots()]
    const own = await readFile(file, "utf8")
    expect(await refused("preview", "--name", "PR-12")).toMatch(
      /--name: "PR-12" is no name of a preview; allowed: a label of a host name/,
    )
    expect(await robots("pr-12")).toMatch(/^404 /)
    await writeFile(file, "User-agent: previewed\n")
    const killed = call(preview, true)
    await killed.until("web: ")
    killed.kill()
    expect((await killed.ended).signal).toBe("SIGKILL")
    const told = await done(...preview)
    expect(told).toMatch(/web: the preview pr-12 is shown until 20..-..-.. ..:.. UTC: release [0-9a-f]{40}/)
    expect(told).toContain("in a browser: https://pr-12.preview.example.com")
    expect(await robots("pr-12")).toBe("200 User-agent: previewed\n")
    await writeFile(file, "User-agent: again\n")
    await done(...preview, "--env", "staging", "--only", "web")
    expect(await robots("pr-12")).toBe("200 User-agent: again\n")
    // A build with a secret in it.
    await writeFile(file, "User-agent: secret-key-of-the-test\n")
    const leak = await refused(...preview)
    expect(leak).toMatch(/AWS_SECRET_ACCESS_KEY in robots\.txt; nothing was uploaded/)
    await writeFile(file, own)
    expect(await robots("pr-12")).toBe("200 User-agent: again\n")
    expect(await done("status", "--env", "staging", "--only", "web", "text")).toMatch(
      /preview pr-12 at https:\/\/pr-12\.preview\.example\.com: version .*, until .* UTC, by /,
    )
    expect(await done(...preview, "--remove")).toMatch(/web: the preview pr-12 is removed/)
    expect(await robots("pr-12")).toMatch(/^404 /)
    expect(await done(...preview, "--remove")).toMatch(/web: there is no preview pr-12/)
    expect([values.values.get("web"), await robots()]).toEqual(before)
    expect(await done("history", "--env", "staging", "--only", "web", "text")).not.toContain("pr-12")
  })

  it("is not replaced by the build of another app", async () => {
    const wrong = await releaseOf("wrong", (image) => image.withEnvVariable("SERVICE_NAME", "f1-frontend"))
    expect(await refused(...deploy(wrong))).toMatch(/the image is a build of f1-frontend; allowed: web/)
    expect((await page()).status).toBe(200)
  })

  describe("as a canary", () => {
    let canary: string[]
    let visited: Visited
    /** Half of the visitors get it, for seconds; then it waits for so many views of it and of what is live. */
    const halfOf = (seconds: number, visits: { views: number; wait: string }) =>
      flagged(false, { canary: [{ percent: 50, for: `${seconds}s` }], visits })
    const healthy = () => visit(visited, () => false)
    const pointer = () =>
      JSON.parse(values.values.get("web") ?? "") as { live: { release: string }; canary?: object }
    const live = () => pointer().live.release

    beforeAll(async () => {
      const router = await rehearsal.cluster.router()
      visited = { edge: edge.server.address, router, backend: "api.staging.example.com" }
      canary = await releaseOf("canary", (image) =>
        image.withNewFile("/srv/www/robots.txt", "User-agent: canary\n", { permissions: 0o644 }),
      )
    })

    it("is taken back when pages of it fail", async () => {
      const before = live()
      await halfOf(30, { views: 20, wait: "10m" })
      const failing = () => visit(visited, (release) => release !== before)
      expect(await visitedDuring(refused(...deploy(canary)), failing)).toMatch(
        /the canary is worse: pages with a failure: \d+ of \d+ \(\S+ %\), and 0 of \d+ \(0 %\) of the live release .*; revision \d+ is live/,
      )
      expect(live()).toBe(before)
      expect(pointer()).not.toHaveProperty("canary")
      expect((await page()).headers.get("x-release")).toBe(before)
    })

    it("is taken back when too few pages of it are told of", async () => {
      const before = live()
      await halfOf(5, { views: 10_000, wait: "5s" })
      expect(await visitedDuring(refused(...deploy(canary)), healthy)).toMatch(
        /too little is known of the canary 5\.0 s after its time: browsers told of \d+ views of the canary and \d+ of the live release, .*; each has to be 10000; revision \d+ is live/,
      )
      expect(live()).toBe(before)
      expect(pointer()).not.toHaveProperty("canary")
    })

    it("waits while too little is known, and goes on once pages of it are told to be as good", async () => {
      const before = live()
      await halfOf(5, { views: 20, wait: "10m" })
      const deploying = call(deploy(canary))
      await deploying.until("web: waits: browsers told of 0 views of the canary")
      expect(pointer()).toMatchObject({ live: { release: before }, canary: { percent: 50 } })
      const { code, stdout, stderr } = await visitedDuring(deploying.ended, healthy)
      expect(code, stderr.slice(-4_000)).toBe(0)
      expect(stderr).toMatch(
        /web: browsers told of \d+ views of the canary and \d+ of the live release; none of what they told is worse/,
      )
      expect(stdout).toMatch(/^web +promoted +\d+ /m)
      expect(live()).not.toBe(before)
      expect(pointer()).not.toHaveProperty("canary")
      expect((await page()).headers.get("x-release")).toBe(live())
    })
  })

  // Twice ten runs of Lighthouse, on a machine that does other work.
  const long = { timeout: 45 * 60_000 }
  it(
    "is audited at its preview in a browser before visitors get it, and refused for what axe finds",
    long,
    async () => {
      // Scores depend on how busy the machine is; what axe finds does not.
      const least = { performance: 0, accessibility: 80, bestPractices: 0 }
      await flagged(false, { audit: { paths: ["/"], mobile: least, desktop: least } })
      const worse = await releaseOf("inaccessible", (image) =>
        image
          .withUser("root")
          .withExec(["sed", "-i", 's/<html lang="[^"]*"/<html/', "/srv/www/index.html"])
          .withExec(["rm", "/srv/www/index.html.br", "/srv/www/index.html.gz"]),
      )
      const before = (await page()).headers.get("x-release")
      expect(await refused(...deploy(worse))).toMatch(
        /the audit refuses release [0-9a-f]{40}: .*<html> element must have a lang attribute \(html-has-lang, serious\)/,
      )
      expect((await page()).headers.get("x-release")).toBe(before)
      const better = await releaseOf("accessible", (image) =>
        image.withNewFile("/srv/www/robots.txt", "User-agent: third\n", { permissions: 0o644 }),
      )
      expect(await done(...deploy(better))).toMatch(
        /^web +promoted .*audit: mobile \d+ \/ \d+ \/ \d+, desktop/m,
      )
    },
  )

  it("is not replaced while the backend describes less than it calls", async () => {
    const text = await readFile(join(repository, "services/api/openapi.json"), "utf8")
    const { paths, ...rest } = JSON.parse(text) as { paths: Record<string, unknown> }
    const fewer = Object.fromEntries(Object.entries(paths).filter(([path]) => path !== "/api/recipes"))
    const description = JSON.stringify({ ...rest, paths: fewer })
    const older = await releaseOf(
      "older",
      (image) => image.withNewFile("/app/openapi.json", description, { permissions: 0o644 }),
      "api",
    )
    await done("deploy", "--env", "staging", "--only", "api", ...older, "--override", "a test")
    expect(await refused(...deploy(second))).toMatch(
      /which localhost:.*\/api@sha256:.* does not serve: GET \/api\/recipes is not there; POST \/api\/recipes is not there/,
    )
    expect((await page()).status).toBe(200)
  })

  it("shows no key in what is said of it", async () => {
    const { stdout, stderr } = await call(["status", "--env", "staging", "--only", "web", "json"]).ended
    expect(stdout + stderr).not.toContain("secret-key-of-the-test")
  })
})

describe("a rollback that would leave a web app without what it calls", { timeout: 20 * 60_000 }, () => {
  const back = (service: string, to: string) =>
    ["rollback", "--env", "staging", "--service", service, "--to", to, "--reason", "it is wrong"] as const

  it("is refused for the web app, under a backend that serves less by now, and goes with a reason", async () => {
    expect(await refused(...back("web", "1"))).toMatch(
      /it cannot go back to revision 1: revision 1 of web needs the contract [0-9a-f]{12} of api, which .* does not serve: GET \/api\/recipes is not there/,
    )
    expect(await done(...back("web", "1"), "--override", "the recipes are not shown anyway")).toMatch(
      /^web +promoted +1 /m,
    )
    expect(await done("history", "--env", "staging", "--only", "web", "text")).toContain(
      "contract overridden: the recipes are not shown anyway",
    )
  })

  it("is refused for the backend, under a live web app that calls more than the older one serves", async () => {
    expect(await done(...back("api", "1"))).toMatch(/^api +promoted +1 /m)
    expect(await refused(...back("api", "2"))).toMatch(
      /it cannot go back to revision 2: revision 1 of web needs the contract .*GET \/api\/recipes is not there.*take the web app back first/,
    )
    expect((await page()).status).toBe(200)
  })
})

describe("the audits of an environment", { timeout: 20 * 60_000 }, () => {
  const exported = async (): Promise<{ folder: string; stdout: string }> => {
    const folder = await mkdtemp(join(tmpdir(), "audits-"))
    const stdout = await done("audits", "--env", "staging", "export", "--path", folder)
    return { folder, stdout }
  }
  const inBucket = async (key: string) =>
    fetch(`${s3Address}/${bucket}/staging/web/audits/${key}`, { headers: { authorization: anyKey } }).then(
      async (answer) => ({ status: answer.status, body: Buffer.from(await answer.arrayBuffer()) }),
    )

  it("are a page with the pictures, as the bucket has them, and a summary", async () => {
    const { folder, stdout } = await exported()
    const [page, summary, files] = await Promise.all([
      readFile(join(folder, "index.html"), "utf8"),
      readFile(join(folder, "summary.md"), "utf8"),
      readdir(join(folder, "web")),
    ])
    expect(files.sort()).toEqual(["1-desktop.png", "1-mobile.png", "audit.json", "report.md"])
    const [, release = ""] = /Release `([0-9a-f]{40})`/.exec(summary) ?? []
    expect(summary).toMatch(/^## web: passed$/m)
    expect(summary).toMatch(/^\| \/, mobile \| \d+/m)
    for (const name of files) {
      const kept = await readFile(join(folder, "web", name))
      const { status, body } = await inBucket(`${release}/${name}`)
      expect(status, `${name}: ${body.toString()}`).toBe(200)
      expect(kept.equals(body), name).toBe(true)
      expect(page).toContain(`"web/${name}"`)
    }
    expect((await readFile(join(folder, "web/1-mobile.png"))).subarray(1, 4).toString()).toBe("PNG")
    expect(stdout + page + summary).not.toContain("secret-key-of-the-test")
    await rm(folder, { recursive: true })
  })

  it("say of one that cannot be read that it cannot", async () => {
    const key = `${"f".repeat(40)}/audit.json`
    const made = await fetch(`${s3Address}/${bucket}/staging/web/audits/${key}`, { method: "PUT", body: "{" })
    expect(made.status, await made.text()).toBe(200)
    const { folder } = await exported()
    const summary = await readFile(join(folder, "summary.md"), "utf8")
    expect(summary).toMatch(/^## web: cannot be read$/m)
    expect(summary).toMatch(/f{40}\/audit\.json is no audit/)
    expect(await readdir(folder)).not.toContain("web")
    await rm(folder, { recursive: true })
    await fetch(`${s3Address}/${bucket}/staging/web/audits/${key}`, { method: "DELETE" })
  })

  it("are not those of an app that there is not", async () => {
    expect(
      await refused("audits", "--env", "staging", "--only", "shop", "export", "--path", checkout),
    ).toMatch(/staging has no web app shop; allowed: web/)
  })
})
