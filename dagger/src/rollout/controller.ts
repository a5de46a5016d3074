import { assess } from "../analysis/rules.js"
import type { AnalysisSettings } from "../analysis/rules.js"
import { type Observation, summaryOf } from "../analysis/observation.js"
import type { MetricsSource } from "../analysis/sources.js"
import type { Kubernetes } from "../kubernetes/client.js"
import type { Revisions } from "../kubernetes/revisions.js"
import type { RolloutSettings } from "./configuration.js"
import type { Lease } from "./lease.js"
import { type RolloutRecord, stableOf, Superseded } from "./record.js"
import { abort, advance, analysisOf, backends, type Facts, isOver, type Rollout } from "./rollout.js"
import { clearWatch, setWatch } from "./watch.js"

/** What a rollout is driven with. */
export interface Means {
  cluster: Kubernetes
  lease: Lease
  record: RolloutRecord
  revisions: Revisions
  settings: RolloutSettings
  analysis: AnalysisSettings
  source: MetricsSource
  /** Asks a revision, at its preview address, whether it and all that it needs are well. */
  smoke: (revision: number) => Promise<{ ok: boolean; reason: string }>
  /** Sends requests to a revision's preview address, so that there is something to analyse before it has users. */
  probe: (revision: number) => Promise<void>
  /** Points the Service that the cluster's own clients use to a revision. */
  point: (revision: number) => Promise<void>
  /** The program of the dead-man's switch. */
  watch: string
  /** How many revisions are kept beside the one that has traffic. */
  history: number
  say: (line: string) => void
  /** Told of each new state, once it is written. */
  entered?: (rollout: Rollout) => Promise<void>
}

const tick = 1000
/** Milliseconds between two lines about one and the same state. */
const quiet = 10_000

/** Takes a rollout from its state in the cluster to its end, whoever began it. */
export class Controller {
  private seen = ""
  private smoked?: { ok: boolean; reason: string }
  private history: Observation[] = []
  private sampled = 0
  private spoke = 0

  constructor(private readonly means: Means) {}

  /**
   * @returns the rollout, promoted or aborted, with the cluster tidied up after it
   * @throws Superseded when another command has taken over, Held when the lease is lost
   */
  async run(): Promise<Rollout> {
    for (;;) {
      const rollout = await this.mine()
      if (isOver(rollout)) {
        await tidy(rollout, this.means)
        return rollout
      }
      const facts = await this.look(rollout)
      const next = advance(rollout, facts, this.means.settings, this.means.cluster.now())
      if (next === rollout) {
        this.report(rollout, facts)
        await new Promise((resolve) => setTimeout(resolve, tick))
      } else {
        await this.enter(next)
      }
    }
  }

  /** The state in the cluster: an operator, or the watch, may have changed it. */
  private async mine(): Promise<Rollout> {
    const { lease, record } = this.means
    lease.check()
    const rollout = await record.read()
    if (!rollout) throw new Superseded("the rollout is gone: its HTTPRoute was deleted")
    if (rollout.controller !== lease.holder) throw new Superseded(`${rollout.controller} has taken over`)
    const state = `${rollout.id} ${rollout.phase} ${rollout.step} ${rollout.since}`
    if (state !== this.seen) {
      this.seen = state
      this.history = []
      this.sampled = 0
      delete this.smoked
      if (rollout.phase === "aborting") this.means.say(describe(rollout, this.means.settings))
    }
    return rollout
  }

  private async enter(next: Rollout): Promise<void> {
    const { record, point, say, entered, settings } = this.means
    try {
      await record.write(next)
    } catch (error) {
      // What was decided was decided from an old state: it looks again.
      if (error instanceof Superseded) return
      throw error
    }
    const home = next.phase === "settling" ? next.revision : next.phase === "aborting" ? next.stable : undefined
    if (home !== undefined) await point(home)
    if (next.phase !== "aborting") say(describe(next, settings))
    await entered?.(next)
  }

  /** Gathers what the phase needs for a decision. */
  private async look(rollout: Rollout): Promise<Facts> {
    const { revisions, smoke } = this.means
    if (rollout.phase === "preparing") {
      return { candidate: await revisions.readiness(rollout.revision), guarded: false }
    }
    if (rollout.phase === "verifying") this.smoked ??= await smoke(rollout.revision)
    const [guarded, assessment] = await Promise.all([this.guard(rollout), this.analyse(rollout)])
    return {
      candidate: { wanted: 0, ready: 0 },
      guarded,
      ...(this.smoked && { smoke: this.smoked }),
      ...(assessment && { assessment }),
    }
  }

  /** Nothing is taken back where there is nothing to go back to, or where the revision was proven before. */
  private async guard(rollout: Rollout): Promise<boolean> {
    const { cluster, record, revisions, settings, watch } = this.means
    const { stable, kind, phase } = rollout
    if (stable === undefined || kind === "rollback") return true
    if (phase !== "verifying") return true
    const { namespace } = record.entrance
    const image = (await revisions.find(stable))?.image
    if (image === undefined) return true
    return setWatch(cluster, rollout, {
      ...{ namespace, image, program: watch, unattended: settings.unattended },
      safePatch: record.safePatch(rollout),
    })
  }

  private async analyse(rollout: Rollout): Promise<Facts["assessment"]> {
    const { analysis, cluster, probe, record, settings, source } = this.means
    const duration = analysisOf(rollout, settings)
    if (duration === 0) return undefined
    if (rollout.phase === "verifying") await probe(rollout.revision)
    const now = cluster.now()
    if (now - this.sampled >= analysis.interval * 1000) {
      this.sampled = now
      const { namespace, service } = record.entrance
      const role = "candidate"
      this.history.push(await source.observe({ namespace, service, revision: rollout.revision, role }))
    }
    return assess(this.history, analysis, { elapsed: cluster.now() - rollout.since, duration })
  }

  private report(rollout: Rollout, { candidate, assessment }: Facts & { candidate: { waiting?: string } }): void {
    if (Date.now() - this.spoke < quiet) return
    this.spoke = Date.now()
    const { say, cluster, settings } = this.means
    const seconds = Math.round((cluster.now() - rollout.since) / 1000)
    const news =
      rollout.phase === "preparing"
        ? `${candidate.ready} of ${candidate.wanted} pods are ready${candidate.waiting ? ` (${candidate.waiting})` : ""}`
        : assessment
          ? `${summaryOf(this.history)}; ${assessment.reason}`
          : ""
    say(`${head(rollout)} for ${seconds} s${news === "" ? "" : `: ${news}`}`)
  }
}

/** What is left to do when a rollout is over; it may be done again. */
export async function tidy(rollout: Rollout, means: Pick<Means, "cluster" | "revisions" | "history">): Promise<void> {
  const { cluster, revisions, history } = means
  const stable = stableOf(rollout)
  await clearWatch(cluster, rollout, revisions.namespace)
  if (await revisions.find(rollout.revision)) {
    if (rollout.phase === "promoted") await revisions.mark(rollout.revision, "promoted")
    else if (rollout.kind === "deploy") await revisions.mark(rollout.revision, "aborted")
  }
  const others = (await revisions.all()).filter(({ number }) => number !== stable)
  await Promise.all(others.filter(({ wanted }) => wanted > 0).map(({ number }) => revisions.scale(number, 0)))
  await Promise.all(others.slice(history).map(({ number }) => revisions.remove(number)))
}

/**
 * Takes a rollout that is under way back, whoever works on it: its command, if it lives, sees it and goes on from there.
 *
 * @returns the rollout as it was written
 */
export async function askToAbort(
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
  const shares = backends(rollout, settings)
    .map(({ revision, weight }) => `${weight} % on revision ${revision}`)
    .join(", ")
  return `${head(rollout)}: ${rollout.message}${shares === "" ? "" : ` (${shares})`}`
}
