import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import { Datadog, type DatadogOptions } from "../../../src/backends/analysis/datadog.js"
import type { MetricsTarget } from "../../../src/backends/analysis/sources.js"

const version: MetricsTarget = {
  namespace: "production",
  service: "f1-backend",
  revision: 12,
  role: "candidate",
}

/** One series in the form of Datadog's documentation of GET /api/v1/query; points as [seconds, value]. */
const series = (metric: string, tags: string[], points: [number, number | null][]) => ({
  unit: null,
  query_index: 0,
  aggr: "sum",
  metric,
  tag_set: tags,
  expression: `sum:${metric}{service:f1-backend}`,
  scope: tags.join(","),
  interval: 10,
  length: points.length,
  start: 1_700_000_000_000,
  end: 1_700_000_059_000,
  pointlist: points.map(([at, value]) => [at * 1000, value]),
  display_name: metric,
  attributes: {},
})
const answer = (list: unknown[]) =>
  JSON.stringify({
    status: "ok",
    res_type: "time_series",
    resp_version: 1,
    query: "sum:http_requests.count{service:f1-backend}",
    from_date: 1_700_000_000_000,
    to_date: 1_700_000_010_000,
    series: list,
    values: [],
    times: [],
    message: "",
    group_by: ["status"],
  })
const buckets = (counts: [string, number][], at: number) =>
  counts.map(([le, count]) =>
    series("http_request_duration_seconds.bucket", [`upper_bound:${le}`], [[at, count]]),
  )

type Reply = (response: ServerResponse, request: IncomingMessage) => void
const says = (status: number, body: string, headers: Record<string, string> = {}): Reply => {
  return (response) =>
    response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(body)
}

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

/**
 * Datadog, as far as the test says what it answers; the last reply stays.
 *
 * @param limit ms that an answer may take: short only where there is none, as a busy machine is slow
 */
async function datadog(replies: Reply[], options: Partial<DatadogOptions> = {}, limit = 10_000) {
  const requests: { url: URL; headers: IncomingMessage["headers"] }[] = []
  const server = createServer((request, response) => {
    requests.push({ url: new URL(request.url ?? "", "http://server"), headers: request.headers })
    const reply = replies.length > 1 ? replies.shift() : replies[0]
    reply?.(response, request)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const pauses: number[] = []
  const clock = { at: 1_700_000_065_000 }
  const source = new Datadog({
    site: "datadoghq.eu",
    keys: () => Promise.resolve({ api: "api-key", application: "application-key" }),
    pods: () => Promise.resolve({ wanted: 3, failing: 1 }),
    fetch: (url, init) => fetch((url as string).replace("https://api.datadoghq.eu", address), init),
    pause: (milliseconds) => {
      pauses.push(milliseconds)
      return Promise.resolve()
    },
    timing: { now: () => clock.at, limit },
    ...options,
  })
  const next = (seconds = 10, role = version.role) => {
    clock.at += seconds * 1000
    return source.sample({ ...version, role })
  }
  return { source, requests, pauses, next, server }
}
/** What a first observation, at :05, leaves to the second: from :00 (less the minute that points may be late) to :10. */
const from = 1_700_000_000

describe("Datadog", () => {
  it("asks for the version's traffic in whole points since the last time", async () => {
    const { next, requests } = await datadog([says(200, answer([]))])
    expect(await next(0)).toEqual({
      at: 1_700_000_065_000,
      seconds: 0,
      requests: 0,
      errors: 0,
      pods: { wanted: 3, failing: 1 },
    })
    expect(requests).toEqual([])
    await next()
    const [{ url, headers } = { url: new URL("http://none"), headers: {} }] = requests
    expect(url.pathname).toBe("/api/v1/query")
    expect([url.searchParams.get("from"), url.searchParams.get("to")]).toEqual([`${from}`, `${from + 10}`])
    const scope =
      "{kube_namespace:production,kube_app_instance:f1-backend-12," +
      "!route:/health/live,!route:/health/ready,!route:/metrics}"
    expect(url.searchParams.get("query")?.split(/,(?=sum:)/)).toEqual([
      `sum:http_requests.count${scope} by {status}.as_count().rollup(sum, 10)`,
      `sum:http_request_duration_seconds.count${scope}.as_count().rollup(sum, 10)`,
      `sum:http_request_duration_seconds.bucket${scope} by {upper_bound}.as_count().rollup(sum, 10)`,
    ])
    expect(headers).toMatchObject({ "dd-api-key": "api-key", "dd-application-key": "application-key" })
    await next(3)
    expect(requests).toHaveLength(1)
    await next(17)
    expect(requests[1]?.url.searchParams.get("from")).toBe(`${from + 10}`)
    expect(requests[1]?.url.searchParams.get("to")).toBe(`${from + 30}`)
  })

  it("makes an observation of the answer", async () => {
    const list = [
      series("http_requests.count", ["status:200"], [[from, 90]]),
      series("http_requests.count", ["status:499"], [[from, 2]]),
      series("http_requests.count", ["status:503"], [[from, 8]]),
      series("http_request_duration_seconds.count", [], [[from, 100]]),
      // Not in order, as they come; the bucket of all is left out by the Agent.
      ...buckets(
        [
          ["10.0", 99],
          ["0.5", 50],
          ["1.0", 80],
          ["2.0", 95],
        ],
        from,
      ),
    ]
    const { next } = await datadog([says(200, answer(list))])
    await next(0)
    expect(await next()).toMatchObject({
      at: 1_700_000_075_000,
      seconds: 10,
      requests: 100,
      errors: 8,
      p95: 2000,
      p50: 500,
      buckets: [0.5, 1, 2, 10, Infinity].map((le) => expect.objectContaining({ le }) as object),
      pods: { wanted: 3, failing: 1 },
    })
  })

  it("counts the points of its time, each once, and no gaps", async () => {
    const points: [number, number | null][] = [
      [from - 10, 1000],
      [from, 7],
      [from + 5, null],
      [from + 10, 1000],
    ]
    const { next } = await datadog([
      says(200, answer([series("http_requests.count", ["status:200"], points)])),
    ])
    await next(0)
    expect(await next()).toMatchObject({ requests: 7, errors: 0 })
  })

  it("takes no series for no requests, not for health: there is no percentile either", async () => {
    const { next } = await datadog([says(200, answer([]))])
    await next(0)
    const observation = await next()
    expect(observation).toMatchObject({ requests: 0, errors: 0 })
    expect(observation).not.toHaveProperty("p95")
  })

  it("waits as long as it is told when there are too many queries, and asks again", async () => {
    const busy = says(429, `{"errors":["Rate limit exceeded"]}`, { "X-RateLimit-Reset": "7" })
    const { next, pauses, requests } = await datadog([busy, says(200, answer([]))])
    await next(0)
    expect(await next()).not.toHaveProperty("missing")
    expect(pauses).toEqual([7000])
    expect(requests).toHaveLength(2)
  })

  it("does not wait too long", async () => {
    const busy = says(429, `{"errors":["Rate limit exceeded"]}`, { "X-RateLimit-Reset": "600" })
    const { next, requests } = await datadog([busy])
    await next(0)
    expect((await next()).missing).toBe("Datadog: it answered 429: too many queries")
    expect(requests).toHaveLength(1)
  })

  it("asks a broken Datadog three times, and gives its time to the next observation", async () => {
    const broken = says(502, "<html>Bad gateway</html>")
    const list = [
      series(
        "http_requests.count",
        ["status:200"],
        [
          [from, 4],
          [from + 10, 5],
        ],
      ),
    ]
    const { next, pauses, requests } = await datadog([broken, broken, broken, says(200, answer(list))])
    await next(0)
    expect(await next()).toMatchObject({
      seconds: 10,
      requests: 0,
      errors: 0,
      missing: "Datadog: it answered 502",
      pods: { wanted: 3 },
    })
    expect(pauses).toEqual([1000, 5000])
    expect(requests).toHaveLength(3)
    const observation = await next()
    expect(observation).toMatchObject({ seconds: 10, requests: 9 })
    expect(observation).not.toHaveProperty("missing")
  })

  it("gives up on one that hangs", async () => {
    const { next, requests } = await datadog([() => undefined], {}, 100)
    await next(0)
    expect((await next()).missing).toBe("Datadog: no answer within 0.1 s")
    expect(requests).toHaveLength(3)
  })

  it("gives up on one that hangs in the middle of its answer", async () => {
    const { next } = await datadog([(response) => response.writeHead(200).write(`{"status":`)], {}, 100)
    await next(0)
    expect((await next()).missing).toBe("Datadog: no answer within 0.1 s")
  })

  it("says why it cannot be reached", async () => {
    const { next, server } = await datadog([says(200, "{}")])
    await next(0)
    await new Promise((resolve) => server.close(resolve))
    expect((await next()).missing).toMatch(/^Datadog: fetch failed: .*ECONNREFUSED/)
  })

  it.each([
    [
      says(403, `{"errors":["Forbidden"]}`),
      1,
      "it answered 403: the keys are wrong, or may not read metrics",
    ],
    [says(400, `{"errors":["Error parsing query"]}`), 1, "it answered 400: the query is wrong"],
    [says(200, "<html>"), 3, "its answer is no JSON"],
    [says(200, "[]"), 3, "its answer has another form"],
    [says(200, `{"status":"error","error":"Rule parse error"}`), 3, "it answered error: Rule parse error"],
    [says(302, "", { Location: "http://127.0.0.1:1/" }), 3, "redirect"],
    [says(200, answer([series("http_requests.count", [], [])])), 1, "http_requests.count has no tag status"],
  ])("says what is wrong with an answer (%#)", async (reply, times, message) => {
    const { next, requests } = await datadog([reply])
    await next(0)
    const { missing } = await next()
    expect(missing).toContain(message)
    expect(missing).not.toContain("-key")
    expect(requests).toHaveLength(times)
  })

  it("has no data without the pods, but keeps what it counted", async () => {
    const list = [series("http_requests.count", ["status:200"], [[from, 4]])]
    const { next } = await datadog([says(200, answer(list))], {
      pods: () => Promise.reject(new Error("forbidden")),
    })
    await next(0)
    expect(await next()).toMatchObject({
      requests: 4,
      pods: { wanted: 0, failing: 0 },
      missing: "the pods cannot be listed: forbidden",
    })
  })

  it("asks for a baseline's own pods", async () => {
    const { next, requests } = await datadog([says(200, answer([]))])
    await next(0, "baseline")
    await next(10, "baseline")
    const query = requests[0]?.url.searchParams.get("query")
    expect(query).toContain("{kube_namespace:production,kube_app_instance:f1-backend-12-baseline,")
  })

  it("takes other names and tags", async () => {
    const { next, requests } = await datadog([says(200, answer([]))], {
      prefix: "f1.",
      tags: ({ service, revision, role }) => [`app:${service}`, `rev:${revision}`, `role:${role}`],
    })
    await next(0)
    await next()
    expect(requests[0]?.url.searchParams.get("query")).toContain(
      "sum:f1.http_requests.count{app:f1-backend,rev:12,role:candidate,!route:",
    )
  })
})
