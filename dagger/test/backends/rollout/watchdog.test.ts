import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import type { V1Job } from "@kubernetes/client-node"
import { dumpYaml, loadYaml } from "@kubernetes/client-node/dist/yaml.js"
import { afterEach, describe, expect, it } from "vitest"
import { parse, stringify } from "yaml"
import { ApiError, type KubernetesObject } from "../../../src/clients/kubernetes/client.js"
import { type RouteSettings, RolloutRecord } from "../../../src/backends/rollout/record.js"
import { abort, type Rollout } from "../../../src/backends/rollout/rollout.js"
import {
  removeWatchdog,
  ensureWatchdog,
  type WatchdogSettings,
  watchdogJob,
} from "../../../src/backends/rollout/watchdog.js"
import { FakeClock } from "../../lib/fake-clock.js"
import { FakeCluster } from "../../clients/kubernetes/fake.js"
import { rollout, settings } from "./fixtures.js"

const program = readFileSync(
  fileURLToPath(new URL("../../../config/kubernetes/watchdog.py", import.meta.url)),
  "utf8",
)
const entrance: RouteSettings = {
  namespace: "f1-staging",
  service: "f1-backend",
  port: 8000,
  hostnames: [],
  gateway: { name: "public", namespace: "router" },
}
const message = "unattended for 30 s: the watchdog in the cluster took traffic back"
const lease = { metadata: { namespace: "f1-staging", name: "f1-backend-rollout" } }
const leaseObject: KubernetesObject = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", ...lease }
const moment = "Mon, 02 Mar 2026 12:00:00 GMT"

/** What the program finds in a pod, on a loopback without TLS, and with a clock that only its own pauses move. */
const pod = `
import builtins, io, ssl, time, urllib.request
now = [0.0]
time.monotonic = lambda: now[0]
def sleep(seconds): now[0] += seconds
time.sleep = sleep
ssl.create_default_context = lambda cafile: {"/var/run/secrets/kubernetes.io/serviceaccount/ca.crt": None}[cafile]
files = {"/var/run/secrets/kubernetes.io/serviceaccount/token": "token-1\\n"}
def fake_open(path, mode="r", encoding=None):
    if path not in files: raise FileNotFoundError(path)
    return io.StringIO(files[path])
builtins.open = fake_open
urlopen = urllib.request.urlopen
def plain(request, timeout, context):
    request.full_url = request.full_url.replace("https://", "http://", 1)
    return urlopen(request, timeout=timeout)
urllib.request.urlopen = plain
`

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

const watchOf = (record: RolloutRecord, state: Rollout): WatchdogSettings => ({
  namespace: "f1-staging",
  image: "registry/f1@sha256:1",
  pullSecrets: ["registry"],
  program,
  unattended: 30,
  safePatch: record.patchOf(abort(state, message, 0)),
})

/** Runs the program beside a rollout until it ends. */
async function watch(
  phase: Rollout["phase"],
  /** What happens at each look at the route, from 1; what it returns is answered instead. */
  happens: (look: number, cluster: FakeCluster) => number | undefined = () => undefined,
  {
    args = [],
    refused,
    token = true,
    unattended = 30,
  }: { args?: string[]; refused?: RegExp; token?: boolean; unattended?: number } = {},
) {
  const cluster = new FakeCluster(new FakeClock())
  const record = new RolloutRecord(cluster.client(), entrance, settings())
  // The watch is set before there are users; the rollout has gone on since.
  const verifying = rollout({ phase: "verifying" })
  await record.write(verifying)
  const job = watchdogJob(verifying, { ...watchOf(record, verifying), unattended })
  await record.write(rollout({ phase, step: 1, message: "gone on" }))
  cluster.put({ ...leaseObject, spec: { holderIdentity: "ada (1)", renewTime: "1" } })

  const patches: { type: string | undefined; authorization: string | undefined }[] = []
  let looks = 0
  const answer = (request: IncomingMessage, text: string): [number, unknown] => {
    if (refused?.test(`${request.method ?? ""} ${request.url ?? ""}`)) return [403, {}]
    const isRoute = request.url?.includes("/httproutes/") === true
    if (request.method === "GET") {
      const told = isRoute ? happens(++looks, cluster) : undefined
      if (told !== undefined) return [told, {}]
      const found = isRoute
        ? cluster.get("HTTPRoute", "f1-backend")
        : cluster.get("Lease", "f1-backend-rollout")
      return found ? [200, found] : [404, {}]
    }
    const { "content-type": type, authorization } = request.headers
    if (request.url?.endsWith("?dryRun=All")) return [200, cluster.get("HTTPRoute", "f1-backend")]
    patches.push({ type, authorization })
    try {
      const route = cluster.get("HTTPRoute", "f1-backend") ?? {}
      return [200, cluster.merge(route, JSON.parse(text) as Record<string, unknown>)]
    } catch (error) {
      return [(error as ApiError).status, {}]
    }
  }
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    let text = ""
    request.on("data", (part: Buffer) => (text += part.toString()))
    request.on("end", () => {
      const [status, body] = answer(request, text)
      response.writeHead(status, { Date: moment, Connection: "close" }).end(JSON.stringify(body))
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))

  const [container] = job.spec?.template.spec?.containers ?? []
  const [python = "", ...flags] = container?.command ?? []
  const source = flags.pop() ?? ""
  const environment = Object.fromEntries((container?.env ?? []).map(({ name, value }) => [name, value]))
  const child = spawn(
    python,
    [...flags, (token ? pod : pod.replace(/^files = .*$/m, "files = {}")) + source, ...args],
    {
      env: {
        PATH: process.env.PATH,
        ...environment,
        KUBERNETES_SERVICE_HOST: "127.0.0.1",
        KUBERNETES_SERVICE_PORT: String((server.address() as AddressInfo).port),
      },
    },
  )
  let output = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (part: Buffer) => (output += part.toString()))
  }
  const code = await new Promise((resolve, reject) => {
    child.on("error", reject)
    child.on("close", resolve)
  })
  const { spec } = cluster.get("HTTPRoute", "f1-backend") ?? {}
  const { rules = [] } = (spec ?? {}) as {
    rules?: { backendRefs?: { name: string; weight: number }[] }[]
  }
  const traffic = rules.flatMap(({ backendRefs = [] }) =>
    backendRefs.map(({ name, weight }) => [name, weight]),
  )
  return { code, output, looks, patches, rules, traffic, state: await record.read() }
}

const renewed = (cluster: FakeCluster, look: number) => {
  cluster.merge(leaseObject, { spec: { renewTime: String(look) } })
}
const enter = (cluster: FakeCluster, phase: Rollout["phase"]) => {
  const record = new RolloutRecord(cluster.client(), entrance, settings())
  cluster.merge(
    { kind: "HTTPRoute", metadata: { name: "f1-backend" } },
    record.patchOf(rollout({ phase })) as Record<string, unknown>,
  )
}

// Each starts a Python of its own.
describe("the watchdog in the cluster", { timeout: 30_000 }, () => {
  it.each(["shifting", "promoting"] as const)(
    "takes traffic of a rollout that is %s back when nobody attends it",
    async (phase) => {
      const { code, output, looks, patches, traffic, state } = await watch(phase)
      expect({ code, output }).toEqual({ code: 0, output: `${message}\n` })
      // The look that sees the lease for the first time, and one each second after it.
      expect(looks).toBe(31)
      expect(patches).toEqual([{ type: "application/merge-patch+json", authorization: "Bearer token-1" }])
      expect(traffic).toEqual([["f1-backend-1", 100]])
      expect(state).toEqual(rollout({ phase: "aborting", step: 1, message, since: Date.parse(moment) }))
    },
  )

  it("leaves a rollout alone that is attended, and ends when it is proven", async () => {
    const { code, looks, patches } = await watch("promoting", (look, cluster) => {
      if (look % 20 === 0) renewed(cluster, look)
      if (look === 90) enter(cluster, "settling")
      return undefined
    })
    expect({ code, looks, patches }).toEqual({ code: 0, looks: 90, patches: [] })
  })

  it("leaves a rollout alone that has no users yet", async () => {
    const { code, looks, patches } = await watch("verifying", (look) => (look === 100 ? 404 : undefined))
    expect({ code, looks, patches }).toEqual({ code: 0, looks: 100, patches: [] })
  })

  it("takes a lease that is gone for one that nobody renews", async () => {
    const { traffic } = await watch("shifting", (look, cluster) => {
      if (look === 1) void cluster.client().delete(leaseObject)
      return undefined
    })
    expect(traffic).toEqual([["f1-backend-1", 100]])
  })

  it("does not hold an API server's silence against the command", async () => {
    const { code, output, patches, looks } = await watch("shifting", (look, cluster) => {
      if (look > 10 && look < 80) return 503
      if (look === 85) renewed(cluster, look)
      if (look === 100) enter(cluster, "aborting")
      return undefined
    })
    expect({ code, patches, looks }).toEqual({ code: 0, patches: [], looks: 100 })
    expect(output).toContain("trying again: HTTP Error 503")
  })

  it("tries again when somebody has written meanwhile", async () => {
    const { code, output, patches, looks, state } = await watch("shifting", (look, cluster) => {
      // Once it has been answered, and before its patch.
      if (look === 31) setImmediate(enter, cluster, "settling")
      return undefined
    })
    expect({ code, looks, patches: patches.length }).toEqual({ code: 0, looks: 32, patches: 1 })
    expect(output).toContain("trying again: HTTP Error 409")
    expect(state).toMatchObject({ phase: "settling" })
  })

  it("ends with an error when it can see nothing, so that its Job does not look alive", async () => {
    const { code, output, looks } = await watch("shifting", (look) => (look > 10 ? 403 : undefined))
    expect({ code, looks }).toEqual({ code: 1, looks: 130 })
    expect(output).toContain("it cannot act: 120 tries failed, the last one with: HTTP Error 403")
  })

  it("never takes a lease for abandoned that its holder may still renew", async () => {
    const { patches, looks } = await watch(
      "shifting",
      (look, cluster) => {
        if (look % 14 === 0) renewed(cluster, look)
        if (look === 60) enter(cluster, "settling")
        return undefined
      },
      { unattended: 5 },
    )
    expect({ patches, looks }).toEqual({ patches: [], looks: 60 })
  })

  it("keeps what an operator added to the route", async () => {
    const { rules } = await watch("shifting", (look, cluster) => {
      if (look !== 1) return undefined
      const route = cluster.get("HTTPRoute", "f1-backend") ?? {}
      const [rule = {}] = (route.spec as { rules: object[] }).rules
      const docs = { filters: [{ type: "RequestRedirect" }] }
      cluster.merge(route, { spec: { rules: [{ ...rule, timeouts: { request: "30s" } }, docs] } })
      return undefined
    })
    expect(rules).toMatchObject([
      { timeouts: { request: "30s" }, backendRefs: [{ name: "f1-backend-1", weight: 100 }] },
      { filters: [{ type: "RequestRedirect" }] },
    ])
  })

  it("has nothing to do with another rollout", async () => {
    const { code, looks } = await watch("shifting", (look, cluster) => {
      const record = new RolloutRecord(cluster.client(), entrance, settings())
      const next = record.patchOf(rollout({ id: "r3", phase: "shifting" })) as Record<string, unknown>
      if (look === 5) cluster.merge({ kind: "HTTPRoute", metadata: { name: "f1-backend" } }, next)
      return undefined
    })
    expect({ code, looks }).toEqual({ code: 0, looks: 5 })
  })
})

describe("the watchdog's check, which makes its pod ready", { timeout: 30_000 }, () => {
  const check = (options: { refused?: RegExp; token?: boolean } = {}) =>
    watch("verifying", () => undefined, { ...options, args: ["check"] })

  it("tries everything that taking traffic back needs, and changes nothing", async () => {
    const { code, output, looks, patches, state } = await check()
    expect({ code, output, looks, patches }).toEqual({ code: 0, output: "", looks: 1, patches: [] })
    expect(state).toMatchObject({ phase: "verifying", message: "gone on" })
  })

  it.each([
    ["the route cannot be read", { refused: /^GET .*httproutes/ }, "HTTP Error 403"],
    ["the lease cannot be read", { refused: /^GET .*leases/ }, "HTTP Error 403"],
    ["the route cannot be changed", { refused: /^PATCH/ }, "HTTP Error 403"],
    ["there is no token", { token: false }, "/token"],
  ])("fails where %s", async (_, options, message) => {
    const { code, output } = await check(options)
    expect(code).toBe(1)
    expect(output).toContain("it could not take traffic back")
    expect(output).toContain(message)
  })
})

describe("watchdogJob", () => {
  const cluster = new FakeCluster(new FakeClock())
  const record = new RolloutRecord(cluster.client(), entrance, settings())
  const state = rollout({ phase: "verifying" })
  const job = watchdogJob(state, watchOf(record, state))

  it("knows what Kubernetes knows, and nothing else", () => {
    expect(parse(dumpYaml(loadYaml<V1Job>(stringify(job))))).toEqual(JSON.parse(JSON.stringify(job)))
  })

  it("is ready by its own check, for a pod that merely runs proves nothing", () => {
    const [container] = job.spec?.template.spec?.containers ?? []
    const command = [...(container?.command ?? []), "check"]
    expect(container?.readinessProbe).toMatchObject({ exec: { command }, failureThreshold: 1 })
  })

  it("is created once, is ready when its pod is, and is replaced when it has ended", async () => {
    const client = cluster.client()
    const set = () => ensureWatchdog(client, state, watchOf(record, state))
    expect(await set()).toMatchObject({ ready: true })
    expect(await set()).toMatchObject({ ready: true })
    const uid = cluster.all("Job")[0]?.metadata?.uid
    cluster.merge(job, { status: { ready: 0, conditions: [{ type: "Failed", status: "True" }] } })
    expect(await set()).toEqual({ ready: false, reason: "it ended: Failed" })
    expect(await set()).toMatchObject({ ready: true })
    expect(cluster.all("Job")[0]?.metadata?.uid).not.toBe(uid)
    await removeWatchdog(client, state, "f1-staging")
    await removeWatchdog(client, state, "f1-staging")
    expect(cluster.all("Job")).toEqual([])
  })
})
