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

/** What is measured: the pods of one revision in one role. */
export interface MetricsTarget {
  namespace: string
  service: string
  /** That of a baseline is the candidate that is judged against it. */
  revision: number
  role: "stable" | "candidate" | "baseline"
}

/** Where observations come from. */
export interface MetricsSource {
  name: string
  /**
   * What a version did since it was last asked about; the first time nothing is known yet.
   *
   * Never throws, and comes to an end: what went wrong is in `missing`.
   */
  sample(version: MetricsTarget): Promise<Sample>
}

/** The pods of a version, and those of them whose containers run. */
export interface RunningPods extends PodCounts {
  running: { name: string; instance: string }[]
}

/** What {@link PodMetrics} needs from the cluster. */
export interface PodAccess {
  pods(version: MetricsTarget): Promise<RunningPods>
  /**
   * The text of a pod's /metrics.
   *
   * @param signal fires when nobody waits any longer
   */
  scrape(namespace: string, pod: string, signal: AbortSignal): Promise<string>
}

/** In ms. */
export interface Timing {
  now: () => number
  /** How long one question may take. */
  limit: number
}

/**
 * Asks each pod of a version itself.
 *
 * A pod that does not answer says nothing, neither good nor bad: whether it fails is for its probes to say. The others stand for the version;
 * when none of them answers, there is no data. What a pod counted while it did not answer is counted when it does again.
 */
export class PodMetrics implements MetricsSource {
  readonly name = "pods"
  private readonly looks = new Map<string, Scrape>()
  private readonly timing: Timing

  constructor(
    private readonly cluster: PodAccess,
    timing: Partial<Timing> = {},
  ) {
    this.timing = { now: Date.now, limit: 5_000, ...timing }
  }

  async sample(version: MetricsTarget): Promise<Sample> {
    const before = this.looks.get(keyOf(version))
    const now = await this.look(version)
    this.looks.set(keyOf(version), carryForward(before, now))
    return sampleBetween(before, now)
  }

  private async look(version: MetricsTarget): Promise<Scrape> {
    const { now, limit } = this.timing
    const listed = await settle(withTimeout(limit, () => this.cluster.pods(version)))
    if ("error" in listed) {
      const missing = `the pods cannot be listed: ${listed.error}`
      return { at: now(), pods: { wanted: 0, failing: 0 }, readings: [], missing }
    }
    const { wanted, failing, running } = listed.value
    const faults: string[] = []
    const readings = await Promise.all(
      running.map(async ({ name, instance }): Promise<PodReading> => {
        const page = withTimeout(limit, (signal) => this.cluster.scrape(version.namespace, name, signal))
        const answer = await settle(page.then(readExposition))
        if ("value" in answer) return { pod: name, instance, reading: answer.value }
        faults.push(`${name}: ${answer.error}`)
        return { pod: name, instance }
      }),
    )
    const silent = readings.every(({ reading }) => reading === undefined)
    const missing =
      running.length === 0 ? `none of ${wanted} pods runs` : `no pod answers; ${faults[0] ?? ""}`
    return { at: now(), pods: { wanted, failing }, readings, ...(silent && { missing }) }
  }
}

/** Whose pods these are: a stable revision's and a candidate's are their own. */
export const podRoleOf = ({ role }: MetricsTarget): PodRole => (role === "baseline" ? role : "revision")

/** Two roles may have the same revision, and other pods of it. */
export function keyOf({ namespace, service, revision, role }: MetricsTarget): string {
  return `${namespace}/${service}/${revision}/${role}`
}

/** What a promise came to; never throws. */
export async function settle<Value>(promise: Promise<Value>): Promise<{ value: Value } | { error: string }> {
  try {
    return { value: await promise }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

/** Waits for a task so long and no longer, whether or not it heeds the signal. */
export async function withTimeout<Value>(
  limit: number,
  task: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const late = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new Error(`no answer within ${limit / 1000} s`)
      // First: a task that heeds the signal gives an error of its own.
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
