import { dag, ReturnType, type Service } from "@dagger.io/dagger"
import { monotonic } from "../lib/clock.js"
import { gateway } from "../platform/cluster/router.js"
import { images } from "../platform/base-images.js"
import type { KubernetesApi, KubernetesObject } from "../clients/kubernetes/client.js"
import type { Request } from "./measurements/measurements.js"

/** What a load is made from. */
export interface Wanted {
  /** Of the load: equal ones would be one and the same to the engine. A label of a host name. */
  id: string
  /** Has the router. */
  cluster: Service
  /** That requests are for. */
  host: string
  paths: string[]
  /** Requests per second, whatever comes of those before. */
  rate: number
}

/** What came of a load. Times are milliseconds since the epoch. */
export interface Load {
  requests: Request[]
  /** Requests that were due and not sent. */
  unsent: number
  /** When what was done under it began, and when it ended. */
  began: number
  ended: number
}

/** Milliseconds of load before something is done under it, and after that; and those in which the last requests may end: k6 cuts off what is under way. */
const calm = { before: 10_000, after: 3_000, last: 4_000 }
/** Seconds that the load has to arrive. */
const patience = 120

/** Addresses that users of a service ask for, without signing in. */
export const addresses: Record<string, string[]> = {
  api: [
    "/api/recipes",
    "/api/recipes?page=1&sort=title",
    "/api/recipes?q=lemon",
    "/api/recipes?q=tomato",
    "/api/tags",
  ],
  "f1-backend": [
    "/api/f1/races/next",
    "/api/f1/races",
    "/api/f1/standings",
    "/api/f1/drivers",
    "/api/f1/elo?kind=driver",
    "/api/f1/model",
  ],
}

/** Where k6 writes a line for each request, and what it knows at its end. */
const log = "/home/k6/requests.log"
const summary = "/home/k6/summary.json"

/**
 * Does something while steady load is on the router, on connections that are kept.
 *
 * @param admin may make a route, which tells the load of its end
 * @param arrived says whether requests get to where they are sent
 */
export async function underLoad(
  wanted: Wanted,
  admin: KubernetesApi,
  arrived: () => Promise<boolean>,
  act: () => Promise<void>,
): Promise<Load> {
  const end = endOf(wanted)
  const acted = async () => {
    try {
      for (let left = patience; !(await arrived()); left--) {
        if (left === 0) throw new Error(`the load did not arrive within ${patience} s`)
        await monotonic.pause(1000)
      }
      await monotonic.pause(calm.before)
      const began = Date.now()
      await act()
      const ended = Date.now()
      await monotonic.pause(calm.after)
      const over = Date.now()
      await monotonic.pause(calm.last)
      return { began, ended, over }
    } finally {
      await admin.apply(end)
    }
  }
  // Both come to their end, whatever becomes of the other one.
  const [loaded, done] = await Promise.allSettled([load(wanted), acted()])
  await admin.delete(end)
  if (done.status === "rejected") throw done.reason
  if (loaded.status === "rejected") throw loaded.reason
  const { began, ended, over } = done.value
  const { requests, unsent } = loaded.value
  return { requests: requests.filter(({ at }) => at <= over), unsent, began, ended }
}

const endHost = ({ id }: Wanted) => `${id}.over`

/** A route that answers by itself, with a redirect. */
const endOf = (wanted: Wanted): KubernetesObject => ({
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "HTTPRoute",
  metadata: { namespace: gateway.namespace, name: "load-over" },
  spec: {
    parentRefs: [{ name: gateway.name, namespace: gateway.namespace, sectionName: gateway.section }],
    hostnames: [endHost(wanted)],
    rules: [
      {
        filters: [
          { type: "RequestRedirect", requestRedirect: { hostname: endHost(wanted), statusCode: 302 } },
        ],
      },
    ],
  },
})

/** Sends requests until the router answers for the host that is its end. */
async function load(wanted: Wanted): Promise<Pick<Load, "requests" | "unsent">> {
  const { cluster, host, id, paths, rate } = wanted
  const settings = { id, host, paths, rate, end: endHost(wanted), port: gateway.port }
  const ended = dag
    .container()
    .from(images.k6)
    .withServiceBinding("cluster", cluster)
    .withNewFile("/home/k6/load.js", script, { permissions: 0o644 })
    .withEnvVariable("LOAD", JSON.stringify(settings))
    .withExec(
      [
        ...["run", "--quiet", "--no-usage-report", "--log-format=raw"],
        ...[`--console-output=${log}`, `--summary-export=${summary}`, "/home/k6/load.js"],
      ],
      // The script ends it by an abort, which k6 tells by its exit code.
      { useEntrypoint: true, expect: ReturnType.Any },
    )
  const code = await ended.exitCode()
  if (code !== aborted) throw new Error(`the load ended with exit code ${code}: ${await ended.stderr()}`)
  const [lines, counts] = await Promise.all([ended.file(log).contents(), ended.file(summary).contents()])
  return { requests: readRequests(lines), unsent: readUnsent(counts) }
}

/** The exit code of k6 for a run that its script has ended. */
const aborted = 108

export function readRequests(lines: string): Request[] {
  return lines
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [at, took, status, mark = ""] = line.split(" ")
      const request = { at: Number(at), took: Number(took), status: Number(status), mark }
      if ([request.at, request.took, request.status].some(Number.isNaN)) {
        throw new Error(`the load's log has a line that is no request: ${line}`)
      }
      return request
    })
}

export function readUnsent(text: string): number {
  const { metrics } = JSON.parse(text) as { metrics: Record<string, { count?: number }> }
  return metrics.dropped_iterations?.count ?? 0
}

const script = `
import exec from "k6/execution"
import http from "k6/http"
import { sleep } from "k6"

const { host, paths, rate, end, port } = JSON.parse(__ENV.LOAD)
const address = "http://cluster:" + port

export const options = {
  scenarios: {
    load: {
      executor: "constant-arrival-rate", exec: "ask", rate, timeUnit: "1s", duration: "2h",
      // Enough for requests that take three seconds each.
      preAllocatedVUs: rate * 3, maxVUs: rate * 5,
    },
    end: { executor: "constant-vus", exec: "ending", vus: 1, duration: "2h" },
  },
  discardResponseBodies: true,
  summaryTrendStats: ["p(95)"],
}

export function ask() {
  const path = paths[exec.scenario.iterationInTest % paths.length]
  const sent = Date.now()
  const { status, headers } = http.get(address + path, { headers: { Host: host }, timeout: "10s", redirects: 0 })
  console.log(sent + " " + (Date.now() - sent) + " " + status + " " + (headers["X-Rehearsal"] || ""))
}

export function ending() {
  const { status } = http.get(address, { headers: { Host: end }, timeout: "10s", redirects: 0 })
  // Without a route of this name the router finds nothing.
  if (status === 302) exec.test.abort("it is over")
  sleep(1)
}
`
