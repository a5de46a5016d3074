import { z } from "zod"
import { type Pause, retry } from "../../lib/retry.js"
import { objectNames } from "../manifests/labels.js"
import { durationMetric, isError, operatorRoutes, requestsMetric } from "./exposition.js"
import { percentiles, type Sample, type PodCounts } from "./sample.js"
import {
  keyOf,
  settle,
  steadyNow,
  withTimeout,
  type MetricsSource,
  type Timing,
  type MetricsTarget,
  podRoleOf,
} from "./sources.js"

export interface DatadogOptions {
  /** Such as `datadoghq.eu`. */
  site: string
  /** Called for each query, so that no key is kept. */
  keys: () => Promise<{ api: string; application: string }>
  /** The pods as the cluster sees them now; Datadog hears of them late. */
  pods: (version: MetricsTarget) => Promise<PodCounts>
  /** Prefix of the metrics' names, such as `f1.`. */
  prefix?: string
  /** The tags that select the metrics of one version. */
  tags?: (version: MetricsTarget) => string[]
  /** How late points may arrive, in seconds. Younger points are left for the next sample. */
  delay?: number
  fetch?: typeof fetch
  pause?: Pause
  timing?: Partial<Timing>
}

/** Seconds of one point. Samples begin and end at multiples, so that no point counts twice. */
const step = 10
/** The longest wait, in ms, that a rate limit may impose. */
const longestWait = 10_000

/** The fields of an answer of `GET /api/v1/query` that are used. */
const answerSchema = z.object({
  status: z.string(),
  error: z.string().optional(),
  series: z
    .array(
      z.object({
        metric: z.string(),
        tag_set: z.array(z.string()),
        pointlist: z.array(z.tuple([z.number(), z.number().nullable()])),
      }),
    )
    .default([]),
})
type Series = z.output<typeof answerSchema>["series"][number]

/**
 * Queries Datadog for metrics that its Agents collected from the pods with the OpenMetrics check in its default form: counters as `.count`, buckets as cumulative
 * `.bucket` with a tag `upper_bound`.
 *
 * A sample without data leaves its time to the next one, so nothing is lost.
 */
export class Datadog implements MetricsSource {
  readonly name = "datadog"
  /** For each target: when it was sampled last, in ms, and the second up to which its points are counted. */
  private readonly seen = new Map<string, { at: number; to: number }>()
  private readonly timing: Timing

  constructor(private readonly options: DatadogOptions) {
    this.timing = { now: steadyNow, limit: 5_000, ...options.timing }
  }

  async sample(version: MetricsTarget): Promise<Sample> {
    const { delay = 60, pods } = this.options
    const { now, limit } = this.timing
    const at = now()
    const before = this.seen.get(keyOf(version))
    const to = Math.floor((at / 1000 - delay) / step) * step
    const from = before?.to ?? to
    const [counted, listed] = await Promise.all([
      settle(from < to ? this.count(version, from, to) : Promise.resolve(none)),
      settle(withTimeout(limit, () => pods(version))),
    ])
    const done = "value" in counted ? Math.max(from, to) : from
    this.seen.set(keyOf(version), { at, to: done })
    const seconds = before ? Math.max(0, (at - before.at) / 1000) : 0
    const faults = [
      ...("error" in counted ? [counted.error] : []),
      ...("error" in listed ? [`the pods cannot be listed: ${listed.error}`] : []),
    ]
    return {
      at,
      seconds,
      ...("value" in counted ? counted.value : none),
      pods: "value" in listed ? listed.value : { wanted: 0, failing: 0 },
      ...(faults.length > 0 && { missing: faults.join("; ") }),
    }
  }

  private async count(version: MetricsTarget, from: number, to: number): Promise<RequestCounts> {
    const { prefix = "", tags = usualTags } = this.options
    const scope = [...tags(version), ...operatorRoutes.map((route) => `!route:${route}`)].join(",")
    const names = {
      requests: `${prefix}${requestsMetric}.count`,
      durations: `${prefix}${durationMetric}.count`,
      buckets: `${prefix}${durationMetric}.bucket`,
    }
    const query = [
      `sum:${names.requests}{${scope}} by {status}.as_count().rollup(sum, ${step})`,
      `sum:${names.durations}{${scope}}.as_count().rollup(sum, ${step})`,
      `sum:${names.buckets}{${scope}} by {upper_bound}.as_count().rollup(sum, ${step})`,
    ].join(",")
    const series = await this.ask(new URLSearchParams({ from: `${from}`, to: `${to}`, query }))
    const counts = series.map((one) => ({ ...one, count: countOf(one, from, to) }))
    const of = (metric: string) => counts.filter((one) => one.metric === metric)
    const sum = (some: { count: number }[]) => some.reduce((total, { count }) => total + count, 0)
    const requests = of(names.requests)
    const finite = of(names.buckets).map((one) => ({
      le: Number(tagOf(one, "upper_bound")),
      count: one.count,
    }))
    // The Agent omits the +Inf bucket, which equals the count.
    const all = sum(of(names.durations))
    const buckets =
      all > 0 ? [...finite.sort((one, other) => one.le - other.le), { le: Infinity, count: all }] : []
    return {
      requests: sum(requests),
      errors: sum(requests.filter((one) => isError(Number(tagOf(one, "status"))))),
      ...percentiles(buckets),
      buckets,
    }
  }

  /** Retries when Datadog is busy, broken or silent; not when it refuses. */
  private async ask(parameters: URLSearchParams): Promise<Series[]> {
    const { site, keys, fetch: request = fetch, pause = sleep } = this.options
    let asked = 0
    return retry(
      async () => {
        asked = 0
        const { api, application } = await keys()
        const headers = { "DD-API-KEY": api, "DD-APPLICATION-KEY": application, Accept: "application/json" }
        const url = `https://api.${site}/api/v1/query?${parameters}`
        return withTimeout(this.timing.limit, async (signal) => {
          const response = await request(url, { headers, signal, redirect: "error" })
          if (response.ok) return seriesOf(await response.text())
          const seconds = Number(response.headers.get("X-RateLimit-Reset") ?? 0)
          asked = response.status === 429 && Number.isFinite(seconds) ? seconds * 1000 : 0
          throw new DatadogRefusal(response.status, asked)
        })
      },
      {
        unless: (error) => error instanceof DatadogRefusal && !error.passes,
        pause: (milliseconds) => pause(Math.max(milliseconds, asked)),
      },
    ).catch((error: unknown) => {
      throw new Error(`Datadog: ${reasonOf(error)}`, { cause: error })
    })
  }
}

type RequestCounts = Pick<Sample, "requests" | "errors" | "p95" | "p50" | "buckets">
const none: RequestCounts = { requests: 0, errors: 0 }

class DatadogRefusal extends Error {
  /** Whether another try may succeed soon. */
  readonly passes: boolean

  constructor(status: number, wait: number) {
    const what: Record<number, string> = {
      400: "the query is wrong",
      401: "the keys are wrong",
      403: "the keys are wrong, or may not read metrics",
      429: "too many queries",
    }
    super(`it answered ${status}${what[status] === undefined ? "" : `: ${what[status]}`}`)
    this.passes = status >= 500 || (status === 429 && wait <= longestWait)
  }
}

function seriesOf(text: string): Series[] {
  let answer: unknown
  try {
    answer = JSON.parse(text)
  } catch (error) {
    throw new Error("its answer is no JSON", { cause: error })
  }
  const { success, data, error } = answerSchema.safeParse(answer)
  if (!success) throw new Error(`its answer has another form: ${z.prettifyError(error)}`)
  if (data.status !== "ok") throw new Error(`it answered ${data.status}: ${data.error ?? "no reason given"}`)
  return data.series
}

/** Sums the points of a period. A point is dated by its beginning, in ms; a gap is null. */
function countOf({ pointlist }: Series, from: number, to: number): number {
  return pointlist
    .filter(([at]) => at >= from * 1000 && at < to * 1000)
    .reduce((sum, [, value]) => sum + (value ?? 0), 0)
}

function tagOf({ metric, tag_set }: Series, key: string): string {
  const tag = tag_set.find((tag) => tag.startsWith(`${key}:`))
  if (tag === undefined) throw new Error(`${metric} has no tag ${key}`)
  return tag.slice(key.length + 1)
}

/** Tags that Agents add by themselves. That of the label `app.kubernetes.io/instance` differs for each revision and baseline. */
function usualTags(version: MetricsTarget): string[] {
  const { namespace, service, revision } = version
  const instance = objectNames[podRoleOf(version)](service, revision)
  return [`kube_namespace:${namespace}`, `kube_app_instance:${instance}`]
}

const sleep: Pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** The error of `fetch` has its reason in `cause`. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${reasonOf(error.cause)}`
}
