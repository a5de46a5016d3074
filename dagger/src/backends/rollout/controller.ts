import { type Clock, monotonic } from "../../lib/clock.js"
import { compareWithBaseline } from "../analysis/comparison.js"
import { type AnalysisSettings, assess, type Assessment } from "../analysis/rules.js"
import { type Sample, summary } from "../analysis/sample.js"
import type { MetricsSource, MetricsTarget } from "../analysis/sources.js"
import { type KubernetesApi, UnreachableError } from "../../clients/kubernetes/client.js"
import type { Revision, Revisions } from "../revisions/revisions.js"
import type { PodRole } from "../manifests/labels.js"
import type { RolloutSettings } from "./configuration.js"
import type { Lease } from "./lease.js"
import { type RolloutRecord, settledRevision, Superseded } from "./record.js"
import {
  abort,
  nextState,
  analysisDuration,
  trafficSplit,
  shareTitle,
  type RolloutSnapshot,
  isOver,
  needsBaseline,
  type Rollout,
} from "./rollout.js"
import { removeWatchdog, ensureWatchdog } from "./watchdog.js"

/** What a rollout is driven with. */
export interface RolloutContext {
  cluster: KubernetesApi
  lease: Pick<Lease, "holder" | "check">
  record: RolloutRecord
  revisions: Revisions
  settings: RolloutSettings
  analysis: AnalysisSettings
  source: MetricsSource
  /** Asks a revision, at its preview address, whether it and all that it needs are well. */
  smokeTest: (revision: number) => Promise<{ ok: boolean; reason: string }>
  /** Sends requests to a revision's preview address, or to that of its baseline, so that there is something to analyse before it has users. */
  probe: (revision: number, whose: PodRole) => Promise<void>
  /** Points the Service that the cluster's own clients use to a revision; it may be done again. */
  routeInternalTraffic: (revision: number) => Promise<void>
  /** The program of the dead-man's switch. */
  watchdogProgram: string
  /** How many revisions are kept beside the one that has traffic. */
  history: number
  log: (line: string) => void
  /** Told of each state that the rollout comes to while this command drives it, whoever brought it there. */
  onStateChange?: (rollout: Rollout) => Promise<void>
  clock?: Clock
}

/** Milliseconds between two looks. */
const tick = 1000
/** Milliseconds between two lines about one and the same state. */
const quiet = 10_000

/** Takes a rollout from its state in the cluster to its end, whoever began it. */
export class Controller {
  private seen = ""
  private smoked?: { ok: boolean; reason: string }
  private history: Sample[] = []
  private baseline: Sample[] = []
  private sampled = -Infinity
  private spoke = -Infinity
  /** How many pods the candidate needs for more traffic. */
  private needed = 0
  /** How many the stable revision had when the state began. */
  private present = 0
  private readonly clock: Clock

  constructor(private readonly means: RolloutContext) {
    this.clock = means.clock ?? monotonic
  }

  /**
   * @returns the rollout, promoted or aborted, with the cluster tidied up after it
   * @throws Superseded when another command has taken over, Held when the lease is lost, UnreachableError when there is no API server for longer than a revision may
   * take to become ready
   */
  async run(): Promise<Rollout> {
    const { log: say, settings } = this.means
    for (let heard = this.clock.now(); ;) {
      try {
        const end = await this.turn()
        if (end) return end
        heard = this.clock.now()
      } catch (error) {
        if (!(error instanceof UnreachableError)) throw error
        if (this.clock.now() - heard >= settings.progressDeadline * 1000) throw error
        say(`${error.message}; looking again`)
        await this.clock.pause(tick)
      }
    }
  }

  /** One look, and what follows from it. */
  private async turn(): Promise<Rollout | undefined> {
    const { cluster, settings } = this.means
    const rollout = await this.mine()
    if (isOver(rollout)) {
      await cleanUp(rollout, this.means)
      return rollout
    }
    const look = await this.look(rollout)
    const next = nextState(rollout, look, settings, cluster.now())
    if (next === rollout) {
      this.report(rollout, look)
      await this.clock.pause(tick)
    } else {
      await this.write(next)
    }
    return undefined
  }

  /** The state in the cluster: an operator, or the watch, may have changed it. */
  private async mine(): Promise<Rollout> {
    const { lease, record } = this.means
    lease.check()
    const rollout = await record.read()
    if (!rollout) throw new Superseded("the rollout is gone: its HTTPRoute was deleted")
    if (rollout.controller !== lease.holder) {
      const { controller } = rollout
      throw new Superseded(controller === "" ? "its state was taken away" : `${controller} has taken over`)
    }
    const state = `${rollout.id} ${rollout.phase} ${rollout.step} ${rollout.since}`
    if (state !== this.seen) await this.arrive(rollout, state)
    return rollout
  }

  /** What goes with a state. It is done when the state is seen, not when it is written: the command that wrote it may have died since. */
  private async arrive(rollout: Rollout, state: string): Promise<void> {
    const { routeInternalTraffic: point, log: say, onStateChange: entered, settings, revisions } = this.means
    const { phase, stable, revision } = rollout
    const back = phase === "aborting" || phase === "aborted"
    const forth = phase === "settling" || phase === "promoted"
    const home = back ? stable : forth ? revision : undefined
    if (home !== undefined) await point(home)
    if (!isOver(rollout)) {
      // It may have to take all traffic back at any time, however little it has to do now.
      const found = stable === undefined ? undefined : await revisions.find(stable)
      this.present = Math.max(this.present, found?.wanted ?? 0)
      if (found) await revisions.holdReplicas(found.number, this.present)
      if (!back && !forth) this.needed = await revisions.holdReplicas(revision, this.present)
    }
    await this.refresh(rollout)
    const first = this.seen === ""
    this.seen = state
    this.history = []
    this.baseline = []
    this.sampled = -Infinity
    delete this.smoked
    say(describe(rollout, settings))
    if (!first) await entered?.(rollout)
  }

  /** Both sides of the comparison have equally many pods, so that a pod of either has the same work. */
  private async refresh(rollout: Rollout): Promise<void> {
    const { record, revisions } = this.means
    const { revision, stable } = rollout
    if (stable === undefined || !needsBaseline(rollout)) return
    const { port } = record.routeSettings
    await revisions.ensureBaseline(revision, { stable, replicas: this.needed, port })
  }

  private async write(next: Rollout): Promise<void> {
    try {
      await this.means.record.write(next)
    } catch (error) {
      // What was decided was decided from an old state: it looks again.
      if (!(error instanceof Superseded)) throw error
    }
  }

  /** Gathers what the phase needs for a decision. */
  private async look(rollout: Rollout): Promise<RolloutSnapshot> {
    const { revisions, smokeTest: smoke } = this.means
    const { phase, stable, revision } = rollout
    if (phase === "aborting") return { candidate: { wanted: 0, ready: 0, serving: 0 }, watchdogReady: false }
    const candidate = await revisions.readiness(revision)
    if (phase === "settling") return { candidate, watchdogReady: false }
    const baseline = needsBaseline(rollout) ? await revisions.readiness(revision, "baseline") : undefined
    if (phase === "preparing") {
      return {
        candidate: { ...candidate, wanted: Math.max(candidate.wanted, this.needed) },
        watchdogReady: false,
        ...(baseline && { baseline }),
      }
    }
    const home = stable === undefined ? undefined : await revisions.find(stable)
    if (home && home.wanted < this.present) await revisions.holdReplicas(home.number, this.present)
    if (home && home.wanted > this.needed) {
      this.needed = await revisions.holdReplicas(revision, home.wanted)
      await this.refresh(rollout)
    }
    if (phase === "verifying") this.smoked ??= await smoke(revision)
    const [guarded, assessment] = await Promise.all([this.guard(rollout, home), this.analyse(rollout)])
    return {
      candidate: { ...candidate, wanted: this.needed },
      watchdogReady: guarded,
      ...(baseline && { baseline }),
      ...(this.smoked && { smokeTest: this.smoked }),
      ...(assessment && { assessment }),
    }
  }

  /** Nothing is taken back where there is nothing to go back to, or where the revision was proven before. */
  private async guard(rollout: Rollout, stable: Revision | undefined): Promise<boolean> {
    const { cluster, record, settings, watchdogProgram: watch } = this.means
    if (!stable || rollout.kind === "rollback") return true
    const { unattended } = settings
    const why = `unattended for ${unattended} s: the watch in the cluster took traffic back`
    return ensureWatchdog(cluster, rollout, {
      ...{ namespace: record.routeSettings.namespace, image: stable.image, pullSecrets: stable.pullSecrets },
      ...{ program: watch, unattended, safePatch: record.patchOf(abort(rollout, why, cluster.now())) },
    })
  }

  private async analyse(rollout: Rollout): Promise<Assessment | undefined> {
    const { analysis, cluster, probe, settings } = this.means
    const duration = analysisDuration(rollout, settings)
    if (duration === 0) return undefined
    const { revision, stable, baseline } = rollout
    if (rollout.phase === "verifying") {
      // What warms the one warms the other.
      await Promise.all([probe(revision, "revision"), baseline && probe(revision, "baseline")])
    }
    // Side by side: only while both have users.
    const comparison = rollout.phase === "shifting" && stable !== undefined && analysis.comparison
    if (this.clock.now() - this.sampled >= analysis.interval * 1000) {
      this.sampled = this.clock.now()
      await Promise.all([
        this.sample(this.history, revision, "candidate"),
        comparison &&
          (baseline
            ? this.sample(this.baseline, revision, "baseline")
            : this.sample(this.baseline, stable, "stable")),
      ])
    }
    const found = assess(this.history, analysis, { elapsed: cluster.now() - rollout.since, duration })
    // Once a step, at its end: who asks often enough finds a difference.
    if (found.outcome !== "pass" || !comparison) return found
    const compared = compareWithBaseline(this.history, this.baseline, comparison)
    return compared.outcome === "fail"
      ? compared
      : { ...found, reason: `${found.reason}; ${compared.reason}` }
  }

  private async sample(history: Sample[], revision: number, role: MetricsTarget["role"]): Promise<void> {
    const { namespace, service } = this.means.record.routeSettings
    history.push(await this.means.source.sample({ namespace, service, revision, role }))
  }

  private report(rollout: Rollout, { candidate, baseline, assessment }: RolloutSnapshot): void {
    if (this.clock.now() - this.spoke < quiet) return
    this.spoke = this.clock.now()
    const { log: say, cluster } = this.means
    const seconds = Math.round((cluster.now() - rollout.since) / 1000)
    const count = ({ wanted, ready, pending: waiting }: RolloutSnapshot["candidate"], whose = "") =>
      `${ready} of ${wanted} pods${whose} are ready${waiting === undefined ? "" : ` (${waiting})`}`
    const counts = ({ ready, wanted }: RolloutSnapshot["candidate"]) =>
      rollout.phase === "preparing" || (!isOver(rollout) && ready < wanted)
    const news = [
      ...(counts(candidate) ? [count(candidate)] : []),
      ...(baseline && counts(baseline) ? [count(baseline, " of its baseline")] : []),
      ...(assessment ? [summary(this.history), assessment.reason] : []),
    ]
    say([`${head(rollout)} for ${seconds} s`, news.join("; ")].filter((part) => part !== "").join(": "))
  }
}

/** What is left to do when a rollout is over; it may be done again. */
export async function cleanUp(
  rollout: Rollout,
  { cluster, revisions, history }: Pick<RolloutContext, "cluster" | "revisions" | "history">,
): Promise<void> {
  const stable = settledRevision(rollout)
  await removeWatchdog(cluster, rollout, revisions.namespace)
  // Nobody has been sent there since before the delay.
  await revisions.removeBaselines()
  if (await revisions.find(rollout.revision)) {
    if (rollout.phase === "promoted") await revisions.recordOutcome(rollout.revision, "promoted")
    else if (rollout.kind === "deploy") await revisions.recordOutcome(rollout.revision, "aborted")
  }
  if (stable !== undefined) await revisions.releaseReplicas(stable)
  const others = (await revisions.all()).filter(({ number }) => number !== stable)
  await Promise.all(others.filter(({ wanted }) => wanted > 0).map(({ number }) => revisions.scale(number, 0)))
  // A row of failures must not use up the one that there is to go back to.
  const proven = others.filter(({ outcome }) => outcome === "promoted").slice(0, 1)
  const kept = [...new Set([...proven, ...others])].slice(0, history)
  const gone = others.filter((revision) => !kept.includes(revision))
  await Promise.all(gone.map(({ number }) => revisions.remove(number)))
}

/**
 * Takes a rollout that is under way back, whoever works on it: its command, if it lives, sees it and goes on from there.
 *
 * @returns the rollout as it was written
 */
export async function requestAbort(
  record: RolloutRecord,
  why: string,
  now: () => number,
): Promise<Rollout | undefined> {
  for (;;) {
    const rollout = await record.read()
    if (!rollout || isOver(rollout)) return undefined
    const back = abort(rollout, why, now())
    if (back === rollout) return rollout
    try {
      await record.write(back)
      return back
    } catch (error) {
      if (!(error instanceof Superseded)) throw error
    }
  }
}

function head({ service, revision, phase }: Rollout): string {
  return `${service} ${revision}: ${phase}`
}

function describe(rollout: Rollout, settings: RolloutSettings): string {
  const shares = trafficSplit(rollout, settings)
    .map((backend) => `${backend.weight} % on ${shareTitle(backend)}`)
    .join(", ")
  return `${head(rollout)}: ${rollout.message}${shares === "" ? "" : ` (${shares})`}`
}
