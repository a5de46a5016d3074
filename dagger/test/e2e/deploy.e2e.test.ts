// The deploy as people give it, on a cluster that a kubeconfig names, with a deployer's rights and no more: from source to all traffic, cut off by a kill and
// gone on with, taken back, and on to production with an approval.
import { readFile, rm, writeFile } from "node:fs/promises"
import http from "node:http"
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { connection, dag } from "@dagger.io/dagger"
import { afterAll, aroundAll, beforeAll, describe, expect, it } from "vitest"
import { registryPort } from "../../src/platform/cluster/throw-away-registry.js"
import { images } from "../../src/platform/base-images.js"
import type { Release } from "../../src/delivery/release.js"
import type { Notification } from "../../src/delivery/events/event.js"
import { deployFile, environmentOf, readDeploy } from "../../src/environments/configuration.js"
import { RehearsalEnvironment } from "../../src/rehearsal/environment.js"
import { copyOfTheRepository, daggerw, type Ended, repository } from "./daggerw.js"
import { newestMigration } from "./newest-migration.js"
import { Tunnels } from "./tunnels.js"
import { configure, rehearsalSource } from "./user-checkout.js"

aroundAll((suite) => connection(suite))

const [staging, production] = ["f1-staging", "f1-production"]
const deployer = "system:serviceaccount:operators:deployer"
const accounts = "operators"
const approverUser = `system:serviceaccount:${accounts}:approver`

/** As it is shipped, where this cluster's router is, and in less time. */
const rollout = `
      steps: [{ weight: 10, for: 6s }, { weight: 50, for: 6s }]
      progressDeadline: 120s
      prePromotion: 3s
      postPromotion: 0s
      scaleDownDelay: 5s
      abortDelay: 5s
      unattended: 90s`
const settings = `
environments:
  staging:
    gateway: { name: f1-staging, namespace: router, class: router, port: 8080 }
    rollout: ${rollout}
    services: { f1-backend: null }
  production:
    gateway: { name: f1-production, namespace: router, class: router, port: 8080 }
    rollout: ${rollout}
    services: { api: { replicas: { min: 1, max: 2 } }, f1-backend: null }
analysis: { interval: 2s, noDataTimeout: 60s, rules: [{ metric: error-rate, above: 10, for: 4s, requests: 1 }] }
`

/** The guards as they are shipped, at any hour, and for the people of this test. */
function committedGuards(shipped: string): string {
  const changes: [RegExp, string][] = [
    [
      /hours: \{ days: .*\}/,
      'hours: { days: [mon, tue, wed, thu, fri, sat, sun], from: "00:00", to: "24:00" }',
    ],
    [/holidays:\n( +- \{.*\}\n)+/, "holidays: []\n"],
    [
      /^identities:\n/m,
      `identities:
  - { name: Alan, emails: [alan@example.com] }
  - { name: Grace, emails: [grace@example.com], kubernetes: ["${approverUser}"] }
`,
    ],
  ]
  return changes.reduce((text, [pattern, replacement]) => {
    expect(text).toMatch(pattern)
    return text.replace(pattern, replacement)
  }, shipped)
}

/** Makes the copy a clone of a repository with one commit, by Alan. */
function commitCheckout(): void {
  const git = (...args: string[]) => execFileSync("git", args, { cwd: checkout, stdio: "pipe" })
  git("init", "--quiet", "--initial-branch=main")
  git("add", "--all")
  git("-c", "user.name=Alan", "-c", "user.email=alan@example.com", "commit", "--quiet", "--message=x")
}

const tunnels = new Tunnels()

const began = new Date()
let rehearsal: RehearsalEnvironment
/** A copy of the repository with a .env, as a user has one. */
let checkout: string

beforeAll(async () => {
  checkout = await copyOfTheRepository()
  rehearsal = await RehearsalEnvironment.start(rehearsalSource(), {
    service: "api",
    deployedTo: environmentOf(
      readDeploy(await readFile(join(repository, deployFile), "utf8"), {
        file: "settings.yaml",
        text: settings,
      }),
      "staging",
    ),
    id: "deploy-test",
    resolveEndpoint: (service, port) => tunnels.open(service, port),
  })
  await configure(checkout, rehearsal, tunnels, { settings, secrets: rehearsal.secrets })
  const file = join(checkout, "dagger/config/deploy.yaml")
  await writeFile(file, committedGuards(await readFile(file, "utf8")))
  commitCheckout()
})

afterAll(async () => {
  await rehearsal.stop()
  tunnels.close()
  await rm(checkout, { recursive: true, force: true })
})

const call = (args: string[], mortal = false) =>
  daggerw(["--progress", "plain", "call", ...args], checkout, { mortal })

async function done(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await call(args).ended
  expect(code, stderr.slice(-4_000)).toBe(0)
  return stdout
}

async function refused(...args: string[]): Promise<string> {
  const { code, stderr } = await call(args).ended
  expect(code).not.toBe(0)
  return stderr
}

async function traffic(namespace: string): Promise<Record<string, number>> {
  const route = await rehearsal.admin.read({
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { namespace, name: "api" },
  })
  const spec = route?.spec as { rules: { backendRefs: { name: string; weight: number }[] }[] } | undefined
  const shares = spec?.rules.flatMap(({ backendRefs }) => backendRefs) ?? []
  return Object.fromEntries(shares.map(({ name, weight }) => [name, weight]))
}

interface Operation {
  outcome: string
  revision?: number
  by: string
  reason: string
  digest: string
  checks?: string
  author: string
  guards?: string
}

const history = async (env: string) =>
  (JSON.parse(await done("history", "--env", env, "json")) as { operations: Operation[] }).operations

/** Asks as users do, on a connection that is kept, until it is stopped; gives back what was not answered well. */
function users(router: string, host: string): () => Promise<{ sent: number; failed: string[] }> {
  const agent = new http.Agent({ keepAlive: true })
  const failed: string[] = []
  let [sent, over] = [0, false]
  const ask = () =>
    new Promise<string>((resolve) => {
      const headers = { Host: host }
      const request = http.get(`${router}/api/recipes`, { agent, headers, timeout: 10_000 }, (response) => {
        response.resume().on("end", () => {
          resolve(String(response.statusCode))
        })
      })
      request.on("timeout", () => request.destroy(new Error("no answer within 10 s")))
      request.on("error", (error) => {
        resolve(error.message)
      })
    })
  const asking = (async () => {
    while (!over) {
      const answer = await ask()
      sent++
      if (answer !== "200") failed.push(answer)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  })()
  return async () => {
    over = true
    await asking
    agent.destroy()
    return { sent, failed }
  }
}

const second = () =>
  rehearsal.image().then((image) => rehearsal.publish(image.withEnvVariable("SERVICE_REVISION", "second")))

/** The summary.json of a report about a commit. */
function summaryOf(commit: string, outcome: "passed" | "failed"): string {
  const gate = (name: string) => ({
    gate: name,
    on: "x",
    outcome,
    seconds: 1,
    cached: false,
    retries: [],
    detail: "",
    output: "",
    failing: "",
    again: "",
    pictures: [],
  })
  return JSON.stringify({
    schemaVersion: 1,
    outcome,
    conclusion: "",
    started: "2026-11-26T10:00:00.000Z",
    seconds: 1,
    revision: commit,
    gates: [gate("api:test"), gate("security:trivy")],
    tests: { tests: 0, passed: 0, failed: 0, errors: 0, skipped: 0, flaky: 0 },
    failures: [],
    flaky: [],
    slowest: [],
    scans: [],
    problems: [],
  })
}

describe("a deploy by its command", { timeout: 20 * 60_000 }, () => {
  let digest: string
  let head: string
  beforeAll(async () => {
    head = (await newestMigration(repository)).revision
  })

  it("builds an image from source, asks ci about it, and brings it to all traffic", async () => {
    const told = await done("deploy", "--env", "staging")
    expect(told).toMatch(/^api +promoted +1 /m)
    expect(await traffic(staging)).toEqual({ "api-1": 100 })
    const [operation] = await history("staging")
    expect(operation).toMatchObject({ outcome: "promoted", revision: 1, by: deployer })
    digest = operation?.digest ?? ""
    const shown = await done("status", "--env", "staging", "text")
    expect(shown).toContain(digest.slice("sha256:".length, "sha256:".length + 12))
    const deployment = await rehearsal.admin.read({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { namespace: staging, name: "api-1" },
    })
    expect(deployment?.metadata?.annotations?.["pitwall.dev/schema-head"]).toBe(head)
  })

  it("publishes the same image as a release, which a deploy takes without building anything", async () => {
    await done("publish", "--only", "api", "export", "--path", "release.json")
    const release = JSON.parse(await readFile(join(checkout, "release.json"), "utf8")) as Release
    expect(release.commit).toMatch(/^[0-9a-f]{40}$/)
    expect(release.images.api).toEqual({
      reference: `localhost:${registryPort}/api@${digest}`,
      migrations: { head, breaking: [] },
    })
    const from = ["--env", "staging", "--release", "release.json"]
    expect(await done("plan", ...from, "text")).toContain("unchanged; revision 1 is the same")
    const { code, stdout, stderr } = await call(["deploy", ...from]).ended
    expect(code, stderr.slice(-4_000)).toBe(0)
    expect(stdout).toMatch(/^api +unchanged +1 /m)
    expect(stderr).not.toContain("dockerBuild")
  })

  let usersStop: ReturnType<typeof users>

  it("goes on where a killed one has left it", async () => {
    usersStop = users(await rehearsal.cluster.router(), "api.staging.example.com")
    const image = await second()
    const order = ["deploy", "--env", "staging", "--strategy", "canary"]
    const args = [...order, "--reason", "the second", "--image", `api=${image}`]
    const first = call(args, true)
    await first.until("10 % on revision 2")
    first.kill()
    expect((await first.ended).signal).toBe("SIGKILL")
    expect(await traffic(staging)).toEqual({ "api-1": 90, "api-2": 10 })
    // Another one stands in nobody's way.
    expect(await refused(...order, "--image", `api=localhost:${registryPort}/api@${digest}`)).toContain(
      "the deploy of revision 2",
    )
    expect(await done(...args)).toMatch(/^api +promoted +2 /m)
    expect(await traffic(staging)).toEqual({ "api-2": 100 })
    expect((await history("staging")).map(({ revision, outcome }) => [revision, outcome])).toEqual([
      [2, "promoted"],
      [1, "promoted"],
    ])
  })

  it("is taken back by a rollback, and users never noticed any of it", async () => {
    const told = await done("rollback", "--env", "staging", "--service", "api", "--reason", "it is wrong")
    expect(told).toMatch(/^api +promoted +1 /m)
    expect(await traffic(staging)).toEqual({ "api-1": 100 })
    const { sent, failed } = await usersStop()
    expect(sent).toBeGreaterThan(100)
    expect(failed).toEqual([])
  })

  it("tells of it all in a file of events", async () => {
    const told = await done("events", "--env", "staging", "contents")
    const events = told
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Notification)
      .filter(({ at }) => new Date(at) >= began)
    const seen = events.map(({ kind, revision }) => `${kind} ${revision}`)
    expect(seen.filter((one) => one.startsWith("promoted"))).toEqual([
      "promoted 1",
      "promoted 2",
      "promoted 1",
    ])
    expect(seen).toContain("resumed 2")
    expect(new Set(events.map(({ by }) => by))).toEqual(new Set([deployer]))
  })

  const image = (pinned: string) => pinned.replace("registry.local", `localhost:${registryPort}`)
  /** Calls with the token of an account, as somebody else than the deployer. */
  const as = (account: string) => ["--kube-token", `cmd://cat ${join(checkout, `token-${account}`)}`]

  const recordChecks = (release: string) => [
    ...["record-checks", "--env", "production"],
    ...["--release", release, "--from", "summary.json"],
  ]

  /** Approves what a refused deploy has recorded, as a person does: reads it, then approves exactly that. */
  async function approveRequest(refusal: string): Promise<string> {
    const id = /approve --env production --request (\S+)/.exec(refusal)?.[1] ?? ""
    const request = [...as("approver"), "approve", "--env", "production", "--request", id]
    const shown = await done(...request)
    expect(shown).toContain("Nothing is approved yet")
    expect(shown).toContain("Deployment f1-production/api-")
    for (const secret of Object.values(rehearsal.secrets)) expect(shown).not.toContain(secret)
    const code = /--confirm (\S+)/.exec(shown)?.[1] ?? ""
    const told = await done(...request, "--confirm", code)
    return /the approval is (\S+)/.exec(told)?.[1] ?? ""
  }

  it("comes to production with an approval, for images that ci has passed for, within the admission policies", async () => {
    const rights = await done(
      ...["access", "--env", "production", "--deployer", deployer],
      ...["--approver", approverUser],
      ...["--checker", `system:serviceaccount:${accounts}:ci`],
    )
    const kubectl = (...args: string[]) => ["k3s", "kubectl", "--kubeconfig=/kubeconfig", ...args]
    const admin = dag
      .container()
      .from(images.k3s)
      .withServiceBinding("cluster", rehearsal.cluster.service)
      .withMountedSecret("/kubeconfig", await rehearsal.cluster.secret("https://cluster:6443"))
      .withNewFile("/access.yaml", rights)
      .withEnvVariable("AT", String(Date.now()))
      .withExec(kubectl("apply", "--filename=/access.yaml"))
    for (const account of ["approver", "ci"]) {
      const token = await admin
        .withExec(kubectl("create", "serviceaccount", account, `--namespace=${accounts}`))
        .withExec(kubectl("create", "token", account, `--namespace=${accounts}`))
        .stdout()
      await writeFile(join(checkout, `token-${account}`), token)
    }

    const args = ["deploy", "--env", "production", "--release", "release.json"]
    // Settings cannot do without the approval.
    await writeFile(
      join(checkout, "weaker.yaml"),
      settings.replace("  production:\n", "  production:\n    guards: { approval: null }\n"),
    )
    expect(await refused("--settings", "weaker.yaml", ...args)).toMatch(
      /weaker\.yaml:\d+ weakens environments\.production\.guards\.approval: committed required, here not required/,
    )
    const refusal = await refused(...args)
    expect(refusal).toContain("checks: ci has not passed")
    await approveRequest(refusal)
    // A report of the gates, as CI has it for the commit of the release.
    const { commit = "" } = JSON.parse(await readFile(join(checkout, "release.json"), "utf8")) as Release
    await writeFile(join(checkout, "summary.json"), summaryOf(commit, "passed"))
    const record = recordChecks("release.json")
    expect(await refused(...record)).toContain("verdicts of the gates cannot be recorded")
    expect(await done(...as("ci"), ...record)).toContain("the gates passed for api")
    expect(await done(...args)).toMatch(/^api +promoted +1 /m)
    expect(await traffic(production)).toEqual({ "api-1": 100 })
    expect(
      (await history("production")).map(({ author, guards, outcome }) => [outcome, author, guards]),
    ).toEqual([
      ["promoted", "Alan", expect.stringMatching(/^sha256:/)],
      ["refused", "Alan", expect.stringMatching(/^sha256:/)],
      ["refused", "Alan", expect.stringMatching(/^sha256:/)],
    ])
    const why = await refused("deploy", "--env", "production", "--image", `api=${image(await second())}`)
    expect(why).toContain(
      "approval: it is not known who wrote the change: the release of api does not name its commit",
    )
  })

  it("goes on to a canary with its watchdog and back again, within the admission policies", async () => {
    const { commit = "" } = JSON.parse(await readFile(join(checkout, "release.json"), "utf8")) as Release
    const next = { schemaVersion: 1, commit, images: { api: { reference: image(await second()) } } }
    await writeFile(join(checkout, "next.json"), JSON.stringify(next))
    const args = ["deploy", "--env", "production", "--release", "next.json"]
    const refusal = await refused(...args)
    expect(refusal).toContain("checks")
    const approval = await approveRequest(refusal)
    await done(...as("ci"), ...recordChecks("next.json"))
    // Without requests a canary is aborted.
    const stop = users(await rehearsal.cluster.router(), "api.example.com")
    expect(await done(...args)).toMatch(/^api +promoted +2 /m)
    expect(await traffic(production)).toEqual({ "api-2": 100 })
    const back = ["rollback", "--env", "production", "--service", "api", "--reason", "it is wrong"]
    expect(await done(...back)).toMatch(/^api +promoted +1 /m)
    expect(await traffic(production)).toEqual({ "api-1": 100 })
    const { sent, failed } = await stop()
    expect(sent).toBeGreaterThan(50)
    expect(failed).toEqual([])
    // Neither a revoked approval nor a later verdict lets the image start again.
    const revoke = ["revoke", "--env", "production", "--approval", approval, "--reason", "an advisory"]
    await done(...as("approver"), ...revoke)
    await writeFile(join(checkout, "summary.json"), summaryOf(commit, "failed"))
    expect(await refused(...as("ci"), ...recordChecks("next.json"))).toContain("the gates failed for api")
    const again = await refused(...args)
    expect(again).toContain("an advisory")
    expect(again).toContain("ci has not passed")
    expect(await done("history", "--env", "production", "text")).toContain(`revoked by ${approverUser}`)
  })

  it("leaves in the registry what environments use, when others are removed", async () => {
    const dry = await done("prune", "--older-than", "1s", "--dry-run")
    expect(dry).toMatch(/stays +revision \d+ of backend api in staging$/m)
    const rows = (table: string) => table.split("\n").filter((line) => line.includes(" stays "))
    expect(rows(await done("prune", "--older-than", "1s"))).toEqual(rows(dry))
    expect(rows(await done("prune", "--older-than", "1s", "--dry-run"))).toEqual(rows(dry))
  })

  it("keeps secrets out of what it says", async () => {
    const { stdout, stderr }: Ended = await call([
      "plan",
      "--env",
      "staging",
      "--image",
      `api=${await second()}`,
      "text",
    ]).ended
    for (const secret of Object.values(rehearsal.secrets)) expect(stdout + stderr).not.toContain(secret)
    expect(stdout).toContain("Deployment f1-staging/api-3: created")
  })
})
