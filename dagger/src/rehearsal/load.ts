import { dag, ReturnType, type Service } from "@dagger.io/dagger"
import { monotonic } from "../lib/clock.js"
import { gateway } from "../platform/cluster/router.js"
import { images } from "../platform/base-images.js"
import type { KubernetesApi, KubernetesObject } from "../clients/kubernetes/client.js"
import type { LoadRequest } from "./measurements/measurements.js"

/** A load on the router of a cluster. */
export interface LoadOptions {
  /** A label of a host name. The engine would not repeat a load with an id that it knows. */
  id: string
  /** Listens on the router's port. */
  cluster: Service
  /** Host name of the requests. */
  host: string
  paths: string[]
  /** Requests per second, also while earlier ones wait for their answers. */
  rate: number
}

/** The requests of a load. Times are milliseconds since the epoch. */
export interface Load {
  requests: LoadRequest[]
  /** Requests that were due but not sent. */
  unsent: number
  /** Start and end of the task that ran under load. */
  began: number
  ended: number
}

/** Milliseconds of load before and after the task, and for the last requests to be answered: k6 cuts off those under way. */
const margins = { before: 10_000, after: 3_000, last: 4_000 }
/** Seconds until the first requests must arrive. The image of the load generator is prepared before; see {@link prepareImages}. */
const arrivalLimit = 120

/** Paths that users request without signing in, by service. */
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

/** Files of k6: a line per request, and its summary. */
const log = "/home/k6/requests.log"
const summary = "/home/k6/summary.json"

/**
 * Runs a task under steady load on kept connections.
 *
 * @param admin creates a route that tells the load generator to end
 * @param arrived tells whether requests reach the service
 * @param task what to measure
 * @throws Error if the load does not reach the service in time, and what the task throws
 */
export async function underLoad(
  options: LoadOptions,
  admin: KubernetesApi,
  arrived: () => Promise<boolean>,
  task: () => Promise<void>,
): Promise<Load> {
  const end = endOf(options)
  const run = async () => {
    try {
      for (let left = arrivalLimit; !(await arrived()); left--) {
        if (left === 0) throw new Error(`the load did not arrive within ${arrivalLimit} s`)
        await monotonic.pause(1000)
      }
      await monotonic.pause(margins.before)
      const began = Date.now()
      await task()
      const ended = Date.now()
      await monotonic.pause(margins.after)
      const over = Date.now()
      await monotonic.pause(margins.last)
      return { began, ended, over }
    } finally {
      await admin.apply(end)
    }
  }
  // Both end, even if the other one fails.
  const [loaded, done] = await Promise.allSettled([load(options), run()])
  await admin.delete(end)
  if (done.status === "rejected") throw done.reason
  if (loaded.status === "rejected") throw loaded.reason
  const { began, ended, over } = done.value
  const { requests, unsent } = loaded.value
  return { requests: requests.filter(({ at }) => at <= over), unsent, began, ended }
}

const endHost = ({ id }: LoadOptions) => `${id}.over`

/** A route that the router answers itself, with a redirect. */
const endOf = (options: LoadOptions): KubernetesObject => ({
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "HTTPRoute",
  metadata: { namespace: gateway.namespace, name: "load-over" },
  spec: {
    parentRefs: [{ name: gateway.name, namespace: gateway.namespace, sectionName: gateway.section }],
    hostnames: [endHost(options)],
    rules: [
      {
        filters: [
          { type: "RequestRedirect", requestRedirect: { hostname: endHost(options), statusCode: 302 } },
        ],
      },
    ],
  },
})

/** Sends requests until the router has the route for the end. */
async function load(options: LoadOptions): Promise<Pick<Load, "requests" | "unsent">> {
  const { cluster, host, id, paths, rate } = options
  const settings = { id, host, paths, rate, end: endHost(options), port: gateway.port }
  const ended = dag
    .container()
    .from(images.k6)
    .withServiceBinding("cluster", cluster)
    .withNewFile("/home/k6/load.js", script, { permissions: 0o644 })
    .withEnvVariable("LOAD", JSON.stringify(settings))
    .withExec(
      [
        "run",
        "--quiet",
        "--no-usage-report",
        "--log-format=raw",
        `--console-output=${log}`,
        `--summary-export=${summary}`,
        "/home/k6/load.js",
      ],
      // The script ends by an abort, which has an exit code of its own.
      { useEntrypoint: true, expect: ReturnType.Any },
    )
  const code = await ended.exitCode()
  if (code !== aborted) throw new Error(`the load ended with exit code ${code}: ${await ended.stderr()}`)
  const [lines, counts] = await Promise.all([ended.file(log).contents(), ended.file(summary).contents()])
  return { requests: readRequests(lines), unsent: readUnsent(counts) }
}

/** Exit code of k6 for a run that its script aborted. */
const aborted = 108

/**
 * Reads the log of a load: one request per line.
 *
 * @throws Error with the first other line
 */
export function readRequests(lines: string): LoadRequest[] {
  return lines
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [at, took, status, mark = ""] = line.split(" ")
      const request = { at: Number(at), took: Number(took), status: Number(status), mark }
      if ([request.at, request.took, request.status].some(Number.isNaN)) {
        throw new Error(`the load's log has a line that is not a request: ${line}`)
      }
      return request
    })
}

/** Reads from the summary of k6 how many requests were due but not sent. */
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
      executor: "constant-arrival-rate", exec: "request", rate, timeUnit: "1s", duration: "2h",
      // Enough for requests of three seconds each.
      preAllocatedVUs: rate * 3, maxVUs: rate * 5,
    },
    end: { executor: "constant-vus", exec: "watchEnd", vus: 1, duration: "2h" },
  },
  discardResponseBodies: true,
  summaryTrendStats: ["p(95)"],
}

export function request() {
  const path = paths[exec.scenario.iterationInTest % paths.length]
  const sent = Date.now()
  const { status, headers } = http.get(address + path, { headers: { Host: host }, timeout: "10s", redirects: 0 })
  console.log(sent + " " + (Date.now() - sent) + " " + status + " " + (headers["X-Rehearsal"] || ""))
}

export function watchEnd() {
  const { status } = http.get(address, { headers: { Host: end }, timeout: "10s", redirects: 0 })
  // Without the route the router answers 404.
  if (status === 302) exec.test.abort("the task has ended")
  sleep(1)
}
`
