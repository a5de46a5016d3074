import type { PodRole } from "../manifests/labels.js"
import { readExposition } from "./exposition.js"
import {
  sampleBetween,
  carryForward,
  type Scrape,
  type Sample,
  type PodReading,
  type PodCounts,
} from "./sample.js"

/** The pods of one revision in one role. */
export interface MetricsTarget {
  namespace: string
  service: string
  /** For a baseline: the candidate that is compared with it. */
  revision: number
  role: "stable" | "candidate" | "baseline"
}

/** Where samples come from. */
export interface MetricsSource {
  name: string
  /**
   * Measures what a version did since the previous call. The first call only sets the starting point.
   *
   * Never throws and always ends; `missing` says what went wrong.
   */
  sample(version: MetricsTarget): Promise<Sample>
}

/** The pods of a version, and those whose service container runs. */
export interface RunningPods extends PodCounts {
  running: { name: string; instance: string }[]
}

/** What {@link PodMetrics} needs from the cluster. */
export interface PodAccess {
  pods(version: MetricsTarget): Promise<RunningPods>
  /**
   * The text of a pod's /metrics.
   *
   * @param pod its name, with the port where that is known
   * @param signal fires when the caller has given up
   */
  scrape(namespace: string, pod: string, signal: AbortSignal): Promise<string>
}

/** Times in milliseconds. */
export interface Timing {
  now: () => number
  /** Time limit of one request. */
  limit: number
}

/** Milliseconds for one request. */
export const requestLimit = 5_000

/**
 * Scrapes each pod of a version.
 *
 * A pod that does not answer counts neither as good nor as bad: its probes decide whether it fails. The others stand for the version; if none answers, there is no data.
 * What a pod counted meanwhile counts when it answers again.
 */
export class PodMetrics implements MetricsSource {
  readonly name = "pods"
  private readonly looks = new Map<string, Scrape>()
  private readonly timing: Timing

  constructor(
    private readonly cluster: PodAccess,
    timing: Partial<Timing> = {},
  ) {
    this.timing = { now: steadyNow, limit: requestLimit, ...timing }
  }

  async sample(version: MetricsTarget): Promise<Sample> {
    const before = this.looks.get(keyOf(version))
    const now = await this.look(version)
    this.looks.set(keyOf(version), carryForward(before, now))
    return sampleBetween(before, now)
  }

  private async look(version: MetricsTarget): Promise<Scrape> {
    const { now, limit } = this.timing
    const found = await settle(readPages(this.cluster, version, limit))
    if (found.error !== undefined) {
      const missing = `the pods cannot be listed: ${found.error}`
      return { at: now(), pods: { wanted: 0, failing: 0 }, readings: [], missing }
    }
    const { wanted, failing, running, pages } = found.value
    const faults: string[] = []
    const readings = pages.map(({ pod, instance, page }): PodReading => {
      try {
        if (page.error !== undefined) throw new Error(page.error)
        return { pod, instance, reading: readExposition(page.value) }
      } catch (error) {
        faults.push(`${pod}: ${(error as Error).message}`)
        return { pod, instance }
      }
    })
    const silent = readings.every(({ reading }) => reading === undefined)
    const missing =
      running.length === 0 ? `none of ${wanted} pods runs` : `no pod answers; ${faults[0] ?? ""}`
    return { at: now(), pods: { wanted, failing }, readings, ...(silent && { missing }) }
  }
}

/** What one process shows at /metrics, or why it does not answer. */
export interface PodPage {
  pod: string
  instance: string
  page: Settled<string>
}

/**
 * Asks each pod of a version for its metrics.
 *
 * @param limit milliseconds for one request
 * @throws Error when the pods cannot be listed
 */
export async function readPages(
  cluster: PodAccess,
  version: MetricsTarget,
  limit: number,
): Promise<RunningPods & { pages: PodPage[] }> {
  const pods = await withTimeout(limit, () => cluster.pods(version))
  const pages = pods.running.map(async ({ name, instance }) => {
    const page = withTimeout(limit, (signal) => cluster.scrape(version.namespace, name, signal))
    return { pod: name, instance, page: await settle(page) }
  })
  return { ...pods, pages: await Promise.all(pages) }
}

/** Milliseconds since the epoch by a clock that nobody sets while it runs: samples measure durations. */
export const steadyNow = (): number => performance.timeOrigin + performance.now()

/** Whether the target's pods belong to a revision or to a baseline. */
export const podRoleOf = ({ role }: MetricsTarget): PodRole => (role === "baseline" ? role : "revision")

/** With the role: a baseline has the number of its candidate, and other pods. */
export function keyOf({ namespace, service, revision, role }: MetricsTarget): string {
  return `${namespace}/${service}/${revision}/${role}`
}

type Settled<Value> = { value: Value; error?: undefined } | { error: string }

/** The value or the error of a promise; never throws. */
export async function settle<Value>(promise: Promise<Value>): Promise<Settled<Value>> {
  try {
    return { value: await promise }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

/** Waits for a task up to a limit, whether or not the task obeys the signal. */
export async function withTimeout<Value>(
  limit: number,
  task: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const late = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new Error(`no answer within ${limit / 1000} s`)
      // Reject first, because a task that obeys the signal rejects with an error of its own.
      reject(error)
      late.abort(error)
    }, limit)
  })
  try {
    return await Promise.race([task(late.signal), over])
  } finally {
    clearTimeout(timer)
  }
}
