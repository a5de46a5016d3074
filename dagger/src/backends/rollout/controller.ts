import { type Clock, monotonic } from "../../lib/clock.js"
import { ApiError, type KubernetesApi, UnreachableError } from "../../clients/kubernetes/client.js"
import { compareWithBaseline } from "../analysis/comparison.js"
import { type AnalysisSettings, assess, type Assessment } from "../analysis/rules.js"
import { type Sample, summary } from "../analysis/sample.js"
import type { MetricsSource, MetricsTarget } from "../analysis/sources.js"
import type { PodRole } from "../manifests/labels.js"
import type { Readiness, Revision, Revisions } from "../revisions/revisions.js"
import type { RolloutSettings } from "./configuration.js"
import { type Lease, LeaseHeld } from "../../delivery/lease.js"
import { previousRevision } from "../revisions/previous.js"
import { type RolloutRecord, settledRevision, Superseded } from "./record.js"
import {
  abort,
  analysisDuration,
  isExposed,
  isOver,
  needsBaseline,
  nextState,
  type Rollout,
  type RolloutSnapshot,
  shareTitle,
  trafficSplit,
} from "./rollout.js"
import { ensureWatchdog, removeWatchdog, type WatchdogStatus } from "./watchdog.js"

/** Everything that a {@link RolloutController} works with. */
export interface RolloutContext {
  cluster: KubernetesApi
  lease: Pick<Lease, "holder" | "check">
  record: RolloutRecord
  revisions: Revisions
  settings: RolloutSettings
  analysis: AnalysisSettings
  source: MetricsSource
  /** Asks a revision, at its preview address, whether it and everything it needs work. */
  smokeTest: (revision: number) => Promise<{ ok: boolean; reason: string }>
  /** Sends requests to the preview address of a revision or its baseline, so that there is something to analyse before it has users. */
  probe: (revision: number, role: PodRole) => Promise<void>
  /** Points the Service that the cluster's own clients use to a revision. Called more than once. */
  routeInternalTraffic: (revision: number) => Promise<void>
  /** The source of the watchdog's program. */
  watchdogProgram: string
  /** How many revisions are kept beside the one that has traffic. */
  history: number
  /** Receives lines for people. */
  log: (line: string) => void
  /** Called for each state that the rollout enters while this command works on it, whoever wrote that state. */
  onStateChange?: (rollout: Rollout) => Promise<void>
  clock?: Clock
}

/** Milliseconds between two looks at the cluster. */
const tick = 1000
/** Milliseconds between two lines about the same state. */
const reportInterval = 10_000
/** How often a turn may fail in a row for a reason that may pass, such as one lost request. */
const maxFailures = 3

/** Takes a rollout from its state in the cluster to its end, whoever began it. */
export class RolloutController {
  private seen = ""
  private smokeTest?: { ok: boolean; reason: string }
  private candidateSamples: Sample[] = []
  private baselineSamples: Sample[] = []
  private sampledAt = -Infinity
  private reportedAt = -Infinity
  /** When this command saw the rollout enter its phase or step. API servers' clocks jump and differ from each other; this one does not. */
  private enteredAt = 0
  private failures = 0
  /** How many pods the candidate needs for more traffic. */
  private neededPods = 0
  /** The most pods that the stable revision had during the rollout. */
  private stablePods = 0
  private readonly clock: Clock

  constructor(private readonly context: RolloutContext) {
    this.clock = context.clock ?? monotonic
  }

  /**
   * Drives the rollout.
   *
   * @returns the rollout, promoted or aborted, after the cluster was cleaned up
   * @throws Superseded when another command has taken over, LeaseHeld when the lease is lost, UnreachableError when no API server answers for `progressDeadline`, and
   * whatever keeps it from taking the rollout back
   */
  async run(): Promise<Rollout> {
    const { log, settings } = this.context
    for (let answeredAt = this.clock.now(); ;) {
      try {
        const end = await this.turn()
        this.failures = 0
        if (end) return end
        answeredAt = this.clock.now()
      } catch (error) {
        if (error instanceof UnreachableError) {
          if (this.clock.now() - answeredAt >= settings.progressDeadline * 1000) throw error
          log(`${error.message}; trying again`)
          await this.clock.pause(tick)
        } else {
          answeredAt = this.clock.now()
          await this.recover(error)
        }
      }
    }
  }

  /** Tries again after an error that may pass. After any other error it takes the rollout back first: an unproven revision must not keep users. */
  private async recover(error: unknown): Promise<void> {
    if (error instanceof Superseded || error instanceof LeaseHeld) throw error
    const { cluster, log, record } = this.context
    const message = error instanceof Error ? error.message : String(error)
    if (!isRefusal(error) && ++this.failures < maxFailures) {
      log(`${message}; trying again`)
      await this.clock.pause(tick)
      return
    }
    const rollout = await record.read().catch(() => undefined)
    if (!rollout || isOver(rollout) || ["settling", "aborting"].includes(rollout.phase)) throw error
    if (rollout.controller !== this.context.lease.holder) throw error
    log(`${message}; the rollout is taken back`)
    try {
      await record.write(abort(rollout, message, cluster.now()))
    } catch (other) {
      if (other instanceof Superseded) return
      // Nothing more can be done from here; the first error is the cause.
      throw error
    }
    this.failures = 0
  }

  /** Looks at the cluster once and acts on it. */
  private async turn(): Promise<Rollout | undefined> {
    const { cluster, settings } = this.context
    const rollout = await this.readOwn()
    if (isOver(rollout)) {
      await cleanUp(rollout, this.context)
      return rollout
    }
    const snapshot = await this.observe(rollout)
    const next = nextState(rollout, snapshot, settings, cluster.now())
    if (next === rollout) {
      this.report(rollout, snapshot)
      await this.clock.pause(tick)
    } else {
      await this.write(next)
    }
    return undefined
  }

  private get elapsed(): number {
    return this.clock.now() - this.enteredAt
  }

  /** Reads the state from the cluster: an operator or the watchdog may have changed it. */
  private async readOwn(): Promise<Rollout> {
    const { lease, record } = this.context
    lease.check()
    const rollout = await record.read()
    if (!rollout) throw new Superseded("the rollout is gone: its HTTPRoute was deleted")
    if (rollout.controller !== lease.holder) {
      const { controller } = rollout
      throw new Superseded(controller === "" ? "its state was removed" : `${controller} has taken over`)
    }
    const state = `${rollout.id} ${rollout.phase} ${rollout.step} ${rollout.since}`
    if (state !== this.seen) await this.enter(rollout, state)
    return rollout
  }

  /** Does what belongs to a new state. This happens when the state is read, because the command that wrote it may have died since. */
  private async enter(rollout: Rollout, state: string): Promise<void> {
    const { log, onStateChange, revisions, routeInternalTraffic, settings } = this.context
    const { phase, stable, revision } = rollout
    const back = phase === "aborting" || phase === "aborted"
    const proven = phase === "settling" || phase === "promoted"
    const target = back ? stable : proven ? revision : undefined
    if (target !== undefined) await routeInternalTraffic(target)
    if (!isOver(rollout)) {
      // All traffic may have to go back at any time, so an idle stable revision must not shrink.
      const found = stable === undefined ? undefined : await revisions.find(stable)
      this.stablePods = Math.max(this.stablePods, found?.wanted ?? 0)
      if (found) await revisions.holdReplicas(found.number, this.stablePods)
      if (!back && !proven) this.neededPods = await revisions.holdReplicas(revision, this.stablePods)
    }
    await this.refreshBaseline(rollout)
    const first = this.seen === ""
    this.seen = state
    this.enteredAt = this.clock.now()
    this.candidateSamples = []
    this.baselineSamples = []
    this.sampledAt = -Infinity
    delete this.smokeTest
    log(stateLine(rollout, settings))
    if (!first) await onStateChange?.(rollout)
  }

  /** Candidate and baseline have equally many pods, so that each pod has the same work. */
  private async refreshBaseline(rollout: Rollout): Promise<void> {
    const { record, revisions } = this.context
    const { revision, stable } = rollout
    if (stable === undefined || !needsBaseline(rollout)) return
    const { port } = record.routeSettings
    await revisions.ensureBaseline(revision, { stable, replicas: this.neededPods, port })
  }

  private async write(next: Rollout): Promise<void> {
    try {
      await this.context.record.write(next)
    } catch (error) {
      // The decision was made from an old state; the next turn reads the new one.
      if (!(error instanceof Superseded)) throw error
    }
  }

  /** Gathers everything that the phase needs for a decision. */
  private async observe(rollout: Rollout): Promise<RolloutSnapshot> {
    const { record, revisions, smokeTest } = this.context
    const { phase, stable, revision } = rollout
    const common = {
      elapsed: this.elapsed,
      route: record.status(),
      watchdog: { ready: false, reason: "it is not needed in this phase" },
    }
    if (phase === "aborting") return { ...common, candidate: { wanted: 0, ready: 0, serving: 0 } }
    const candidate = await revisions.readiness(revision)
    if (phase === "settling") return { ...common, candidate }
    const baseline = needsBaseline(rollout) ? await revisions.readiness(revision, "baseline") : undefined
    if (phase === "preparing") {
      return {
        ...common,
        candidate: { ...candidate, wanted: Math.max(candidate.wanted, this.neededPods) },
        ...(baseline && { baseline }),
      }
    }
    const found = stable === undefined ? undefined : await revisions.find(stable)
    if (found && found.wanted < this.stablePods) await revisions.holdReplicas(found.number, this.stablePods)
    if (found && found.wanted > this.neededPods) {
      this.neededPods = await revisions.holdReplicas(revision, found.wanted)
      await this.refreshBaseline(rollout)
    }
    if (phase === "verifying") this.smokeTest ??= await smokeTest(revision)
    const [watchdog, assessment] = await Promise.all([
      this.ensureWatchdog(rollout, found),
      this.analyse(rollout),
    ])
    return {
      ...common,
      candidate: { ...candidate, wanted: this.neededPods },
      watchdog,
      ...(baseline && { baseline }),
      ...(this.smokeTest && { smokeTest: this.smokeTest }),
      ...(assessment && { assessment }),
    }
  }

  private async ensureWatchdog(rollout: Rollout, stable: Revision | undefined): Promise<WatchdogStatus> {
    const { cluster, record, revisions, settings, watchdogProgram: program } = this.context
    if (!stable || rollout.kind === "rollback")
      return { ready: true, reason: "there is nothing to go back to" }
    const { unattended } = settings
    const why = `unattended for ${unattended} s: the watchdog in the cluster took traffic back`
    const candidate = await revisions.find(rollout.revision)
    const status = await ensureWatchdog(cluster, rollout, {
      namespace: record.routeSettings.namespace,
      image: candidate?.image ?? stable.image,
      pullSecrets: candidate?.pullSecrets ?? stable.pullSecrets,
      program,
      unattended,
      safePatch: record.patchOf(abort(rollout, why, cluster.now())),
    })
    if (status.ready || rollout.phase !== "verifying") return status
    // A hotfix must get through while the stable revision is down: going back to it would help nobody.
    const { serving } = await revisions.readiness(stable.number)
    return serving === 0 ? { ready: true, reason: "the stable revision is down" } : status
  }

  private async analyse(rollout: Rollout): Promise<Assessment | undefined> {
    const { analysis, probe, settings } = this.context
    const duration = analysisDuration(rollout, settings)
    if (duration === 0) return undefined
    const { revision, stable, baseline } = rollout
    if (rollout.phase === "verifying") {
      // The same requests warm up both.
      await Promise.all([probe(revision, "revision"), baseline && probe(revision, "baseline")])
    }
    // Side by side: only while both have users.
    const comparison = rollout.phase === "shifting" && stable !== undefined && analysis.comparison
    if (this.clock.now() - this.sampledAt >= analysis.interval * 1000) {
      this.sampledAt = this.clock.now()
      await Promise.all([
        this.sample(this.candidateSamples, revision, "candidate"),
        comparison &&
          (baseline
            ? this.sample(this.baselineSamples, revision, "baseline")
            : this.sample(this.baselineSamples, stable, "stable")),
      ])
    }
    const assessment = assess(this.candidateSamples, analysis, { elapsed: this.elapsed, duration })
    // Once a step, at its end: repeated tests find a difference by chance.
    if (assessment.outcome !== "pass" || !comparison) return assessment
    const compared = compareWithBaseline(this.candidateSamples, this.baselineSamples, comparison)
    return compared.outcome === "fail"
      ? compared
      : { ...assessment, reason: `${assessment.reason}; ${compared.reason}` }
  }

  private async sample(samples: Sample[], revision: number, role: MetricsTarget["role"]): Promise<void> {
    const { namespace, service } = this.context.record.routeSettings
    samples.push(await this.context.source.sample({ namespace, service, revision, role }))
  }

  private report(rollout: Rollout, { candidate, baseline, assessment, ...snapshot }: RolloutSnapshot): void {
    if (this.clock.now() - this.reportedAt < reportInterval) return
    this.reportedAt = this.clock.now()
    const { phase } = rollout
    const count = ({ wanted, ready, pending }: Readiness, whose = "") =>
      `${ready} of ${wanted} pods${whose} are ready${pending === undefined ? "" : ` (${pending})`}`
    const incomplete = ({ ready, wanted }: Readiness) =>
      phase === "preparing" || (!isOver(rollout) && ready < wanted)
    const waiting = [
      ...(phase === "verifying" && !snapshot.watchdog.ready
        ? [`the watchdog: ${snapshot.watchdog.reason}`]
        : []),
      ...((phase === "verifying" || isExposed(rollout)) && !snapshot.route.accepted
        ? [snapshot.route.reason]
        : []),
    ]
    const news = [
      ...(incomplete(candidate) ? [count(candidate)] : []),
      ...(baseline && incomplete(baseline) ? [count(baseline, " of its baseline")] : []),
      ...waiting,
      ...(assessment ? [summary(this.candidateSamples), assessment.reason] : []),
    ]
    const seconds = Math.round(this.elapsed / 1000)
    this.context.log([`${title(rollout)} for ${seconds} s`, news.join("; ")].filter(Boolean).join(": "))
  }
}

/** Whether the API server, or a webhook of it, will refuse the same request again. */
const isRefusal = (error: unknown): boolean =>
  error instanceof ApiError &&
  error.status >= 400 &&
  error.status < 500 &&
  ![404, 408, 409, 429].includes(error.status)

/** Removes what a finished rollout no longer needs. Safe to call again. */
export async function cleanUp(
  rollout: Rollout,
  { cluster, revisions, history }: Pick<RolloutContext, "cluster" | "revisions" | "history">,
): Promise<void> {
  const stable = settledRevision(rollout)
  await removeWatchdog(cluster, rollout, revisions.namespace)
  // They got no traffic during the whole delay before.
  await revisions.removeBaselines()
  if (await revisions.find(rollout.revision)) {
    const deployed = rollout.kind === "deploy"
    if (rollout.phase === "promoted") {
      // A rollback does not change what the revision itself replaced.
      await revisions.recordOutcome(
        rollout.revision,
        "promoted",
        deployed ? (rollout.stable ?? "none") : undefined,
      )
    } else if (deployed) await revisions.recordOutcome(rollout.revision, "aborted")
  }
  if (stable !== undefined) await revisions.releaseReplicas(stable)
  const all = await revisions.all()
  const others = all.filter(({ number }) => number !== stable)
  await Promise.all(others.filter(({ wanted }) => wanted > 0).map(({ number }) => revisions.scale(number, 0)))
  // A series of failures must not push out the revision that a rollback goes to.
  const previous = stable === undefined ? undefined : previousRevision(all, stable)
  const newestProven = others.find(({ outcome }) => outcome === "promoted")
  const first = previous ?? newestProven
  const kept = [...new Set([...(first ? [first] : []), ...others])].slice(0, history)
  const obsolete = others.filter((revision) => !kept.includes(revision))
  await Promise.all(obsolete.map(({ number }) => revisions.remove(number)))
}

/**
 * Asks for a rollout to be taken back, whichever command works on it. That command, if it is alive, sees the new state and carries it out.
 *
 * @returns the rollout as it was written; undefined when there is none under way
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

function title({ service, revision, phase }: Rollout): string {
  return `${service} ${revision}: ${phase}`
}

function stateLine(rollout: Rollout, settings: RolloutSettings): string {
  const shares = trafficSplit(rollout, settings)
    .map((share) => `${share.weight} % on ${shareTitle(share)}`)
    .join(", ")
  return `${title(rollout)}: ${rollout.message}${shares === "" ? "" : ` (${shares})`}`
}
