import { dag, ReturnType, type Service } from "@dagger.io/dagger"
import { gateway } from "../cluster/router.js"
import { images } from "../images.js"
import type { Request } from "./measure.js"

/** What a load is made from. */
export interface Wanted {
  /** Of the load; equal ones would be one and the same to the engine. */
  id: string
  /** Has the router. */
  cluster: Service
  /** That requests are for. */
  host: string
  paths: string[]
  /** Requests per second, whatever comes of those before. */
  rate: number
  /** The host name that the router answers for once the load is to end. */
  end: string
}

export interface Load {
  requests: Request[]
  /** Requests that were due and not sent. */
  unsent: number
}

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

/** Puts steady load on the router, on connections that are kept, until the router answers for `end`. */
export async function load({ id, cluster, host, paths, rate, end }: Wanted): Promise<Load> {
  const ended = dag
    .container()
    .from(images.k6)
    .withServiceBinding("cluster", cluster)
    .withNewFile("/home/k6/load.js", script, { permissions: 0o644 })
    .withEnvVariable("LOAD", JSON.stringify({ id, host, paths, rate, end, port: gateway.port }))
    .withExec(
      [
        ...["run", "--quiet", "--no-usage-report", "--log-format=raw"],
        ...[`--console-output=${log}`, `--summary-export=${summary}`, "/home/k6/load.js"],
      ],
      // The script ends it by an abort, which k6 tells by its exit code.
      { useEntrypoint: true, expect: ReturnType.Any },
    )
  const [code, said] = await Promise.all([ended.exitCode(), ended.stderr()])
  if (code !== aborted) throw new Error(`the load ended with exit code ${code}: ${said.trim()}`)
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
      // Enough for a second's requests that all take three.
      preAllocatedVUs: Math.ceil(rate / 2), maxVUs: rate * 4,
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
