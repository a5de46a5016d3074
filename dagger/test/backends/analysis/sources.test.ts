import { describe, expect, it } from "vitest"
import {
  PodMetrics,
  withTimeout,
  type PodAccess,
  type RunningPods,
  type MetricsTarget,
} from "../../../src/backends/analysis/sources.js"

const version: MetricsTarget = { namespace: "staging", service: "api", revision: 3, role: "candidate" }
const page = (requests: number, errors = 0) =>
  `http_requests_total{method="GET",route="/",status="200"} ${requests - errors}\n` +
  `http_requests_total{method="GET",route="/",status="500"} ${errors}\n` +
  `http_request_duration_seconds_bucket{le="1.0",method="GET",route="/"} ${requests}\n` +
  `http_request_duration_seconds_bucket{le="+Inf",method="GET",route="/"} ${requests}\n`

/** A cluster of two pods that a test may change between two looks. */
class Cluster implements PodAccess {
  at = 0
  pages: Record<string, string | Error | undefined> = { a: page(100), b: page(200) }
  answer: RunningPods | Error = {
    wanted: 2,
    failing: 0,
    running: [
      { name: "a", instance: "1" },
      { name: "b", instance: "1" },
    ],
  }
  readonly asked: string[] = []
  readonly source = new PodMetrics(this, { now: () => this.at, limit: 50 })

  pods({ namespace, service, revision, role }: MetricsTarget) {
    this.asked.push(`${namespace} ${service} ${revision} ${role}`)
    return this.answer instanceof Error ? Promise.reject(this.answer) : Promise.resolve(this.answer)
  }

  scrape(namespace: string, pod: string) {
    this.asked.push(`${namespace} ${pod}`)
    const answer = this.pages[pod]
    if (answer === undefined) return new Promise<string>(() => undefined)
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer)
  }

  observe(seconds = 10, of = version) {
    this.at += seconds * 1000
    return this.source.sample(of)
  }
}

describe("PodMetrics", () => {
  it("asks the pods of the version, and says what they did since", async () => {
    const cluster = new Cluster()
    expect(await cluster.observe()).toMatchObject({
      seconds: 0,
      requests: 0,
      pods: { wanted: 2, failing: 0 },
    })
    expect(cluster.asked).toEqual(["staging api 3 candidate", "staging a", "staging b"])
    cluster.pages = { a: page(110, 2), b: page(220, 1) }
    const observation = await cluster.observe()
    expect(observation).toMatchObject({ at: 20_000, seconds: 10, requests: 30, errors: 3, p50: 500 })
    expect(observation).not.toHaveProperty("missing")
    expect(await cluster.observe(5)).toMatchObject({ seconds: 5, requests: 0, errors: 0 })
  })

  it("keeps roles of one revision apart", async () => {
    const cluster = new Cluster()
    await cluster.observe()
    cluster.pages = { a: page(110), b: page(220) }
    expect(await cluster.observe(10, { ...version, role: "baseline" })).toMatchObject({
      seconds: 0,
      requests: 0,
    })
    expect(await cluster.observe()).toMatchObject({ seconds: 20, requests: 30 })
  })

  it.each([
    ["refuses", new Error("connection refused")],
    ["hangs", undefined],
    ["says something else", "<html>502</html>"],
  ])("lets the others stand for a pod that %s, and counts what it did later", async (_, answer) => {
    const cluster = new Cluster()
    await cluster.observe()
    cluster.pages = { a: page(110), b: answer }
    const observation = await cluster.observe()
    expect(observation).toMatchObject({ requests: 10, pods: { failing: 0 } })
    expect(observation).not.toHaveProperty("missing")
    cluster.pages = { a: page(110), b: page(260) }
    expect(await cluster.observe()).toMatchObject({ requests: 60 })
  })

  it("has no data when no pod answers, says why, and still knows which pods fail", async () => {
    const cluster = new Cluster()
    await cluster.observe()
    cluster.pages = { a: new Error("connection refused"), b: "nonsense" }
    Object.assign(cluster.answer, { failing: 2 })
    const observation = await cluster.observe()
    expect(observation).toMatchObject({ requests: 0, seconds: 10, pods: { wanted: 2, failing: 2 } })
    expect(observation.missing).toMatch(/^no pod answers; (a: connection refused|b: line 1: no sample)/)
  })

  it("has no data when no pod runs", async () => {
    const cluster = new Cluster()
    cluster.answer = { wanted: 2, failing: 2, running: [] }
    expect(await cluster.observe()).toMatchObject({
      missing: "none of 2 pods runs",
      pods: { wanted: 2, failing: 2 },
    })
  })

  it("has no data while the cluster does not answer, and loses none", async () => {
    const cluster = new Cluster()
    const { answer } = cluster
    await cluster.observe()
    cluster.answer = new Error("503 from the API server")
    expect(await cluster.observe()).toMatchObject({
      missing: "the pods cannot be listed: 503 from the API server",
      pods: { wanted: 0, failing: 0 },
    })
    cluster.answer = answer
    cluster.pages = { a: page(101), b: page(202) }
    expect(await cluster.observe()).toMatchObject({ seconds: 10, requests: 3 })
  })

  it("counts a replaced pod from zero", async () => {
    const cluster = new Cluster()
    await cluster.observe()
    cluster.answer = {
      wanted: 2,
      failing: 0,
      running: [
        { name: "a", instance: "2" },
        { name: "c", instance: "1" },
      ],
    }
    cluster.pages = { a: page(150), c: page(7) }
    expect(await cluster.observe()).toMatchObject({ requests: 157 })
  })
})

describe("within", () => {
  it("tells the task that nobody waits any longer", async () => {
    let told = ""
    const task = (signal: AbortSignal) =>
      new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => {
          told = (signal.reason as Error).message
          reject(new Error("given up"))
        })
      })
    await expect(withTimeout(20, task)).rejects.toThrow("no answer within 0.02 s")
    expect(told).toBe("no answer within 0.02 s")
  })
})
