import type { Strategy } from "../../delivery/strategy.js"
import type { AnalysisSettings, Assessment } from "../analysis/rules.js"
import type { TrafficShare } from "../manifests/objects.js"
import type { Readiness } from "../revisions/revisions.js"
import type { RolloutSettings } from "./configuration.js"

/**
 * A rollout moves a service's traffic to one revision, or back to the stable one.
 *
 *     preparing → verifying → shifting … → promoting → settling → promoted
 *          └──────────┴───────────┴────────────┴──────────┴→ aborting → aborted
 *
 * Blue-green has no steps: it goes from `verifying` to `promoting`.
 */
export const phases = [
  "preparing",
  "verifying",
  "shifting",
  "promoting",
  "settling",
  "promoted",
  "aborting",
  "aborted",
] as const
export type Phase = (typeof phases)[number]

/** The state of a rollout, as the cluster stores it beside the traffic. Times are milliseconds of the API server's clock; they are for people, no decision uses them. */
export interface Rollout {
  id: string
  service: string
  strategy: Strategy
  /** A rollback goes to a revision that was proven before, so it needs no analysis. */
  kind: "deploy" | "rollback"
  /** The revision that is to get all traffic. */
  revision: number
  /** The revision that had all traffic before; none at the first deploy. */
  stable?: number
  /** The rollout is compared with a fresh baseline. Decided when it begins, so that changed settings do not affect a running rollout. */
  baseline?: true
  /** The canary's steps, fixed before the first user sees the revision, so that changed settings do not affect a running rollout. */
  steps?: RolloutSettings["steps"]
  digest: string
  phase: Phase
  /** Index of the canary's step, from 0. */
  step: number
  /** When the phase, or its step, began. */
  since: number
  began: number
  by: string
  author: string
  /** Digest of the guards that permitted it; a rollback has none. */
  guards?: string
  /** Why the rollout was asked for. */
  reason: string
  /** What happened last, for people. */
  message: string
  /** The command that works on the rollout. */
  controller: string
}

/** Whether the Gateway routes the service's traffic as the HTTPRoute says. */
export interface RouteStatus {
  accepted: boolean
  /** The reason that the Gateway reports, when it does not. */
  reason: string
}

/** Everything that a decision depends on. */
export interface RolloutSnapshot {
  /** Milliseconds since this command saw the rollout enter its phase or step, by this machine's monotonic clock. */
  elapsed: number
  /** `wanted` is at least the number of pods of the stable revision. */
  candidate: Readiness
  /** Only while the rollout needs a baseline. */
  baseline?: Readiness
  /** Result of the smoke test; none before it ran. */
  smokeTest?: { ok: boolean; reason: string }
  watchdog: { ready: boolean; reason: string }
  route: RouteStatus
  /** Result of the analysis so far. */
  assessment?: Assessment
}

const terminal: Phase[] = ["promoted", "aborted"]

export const isOver = ({ phase }: Rollout): boolean => terminal.includes(phase)

/** Users' requests reach the candidate before it is proven: if nobody attends the rollout, its traffic must be taken back. */
export const isExposed = ({ phase }: Rollout): boolean => phase === "shifting" || phase === "promoting"

/** Whether a new rollout is compared with a fresh baseline: only a canary that shares traffic, and only when the settings ask for it. */
export const usesFreshBaseline = (
  rollout: Pick<Rollout, "strategy" | "kind" | "stable">,
  { comparison }: AnalysisSettings,
): boolean => comparison?.baseline === "fresh" && sharesTraffic(rollout)

/** Whether the baseline must exist in this phase. */
export const needsBaseline = ({ baseline, phase }: Rollout): boolean =>
  baseline === true && ["preparing", "verifying", "shifting"].includes(phase)

/**
 * The share of traffic of each backend, in percent. The shares sum to 100; at the first deploy there may be none. The baseline gets as much as the candidate where
 * the stable revision has that much to give.
 */
export function trafficSplit(rollout: Rollout, settings: RolloutSettings): TrafficShare[] {
  const { baseline, revision, stable } = rollout
  const weight = candidateWeight(rollout, stepsOf(rollout, settings))
  const beside = baseline ? Math.min(weight, 100 - weight) : 0
  const all: TrafficShare[] = [
    ...(stable === undefined ? [] : [{ revision: stable, weight: 100 - weight - beside }]),
    { revision, baseline: true, weight: beside },
    { revision, weight },
  ]
  return all.filter((share) => share.weight > 0)
}

/** Such as `revision 3` or `the baseline of revision 3`. */
export const shareTitle = ({ revision, baseline }: TrafficShare): string =>
  `${baseline ? "the baseline of " : ""}revision ${revision}`

function candidateWeight({ phase, step, strategy }: Rollout, steps: RolloutSettings["steps"]): number {
  switch (phase) {
    case "shifting":
      return (strategy === "canary" ? steps[step]?.weight : undefined) ?? 0
    case "promoting":
    case "settling":
    case "promoted":
      return 100
    case "preparing":
    case "verifying":
    case "aborting":
    case "aborted":
      return 0
  }
}

/** How long the analysis of the present phase or step takes, in milliseconds; 0 where there is none. */
export function analysisDuration(rollout: Rollout, settings: RolloutSettings): number {
  const { kind, phase, stable, step } = rollout
  if (kind === "rollback") return 0
  // A first revision may have no users yet, and there is nothing to go back to.
  if (phase === "promoting" && stable === undefined) return 0
  if (phase === "verifying") return settings.prePromotion * 1000
  if (phase === "shifting") return (stepsOf(rollout, settings)[step]?.for ?? 0) * 1000
  if (phase === "promoting") return settings.postPromotion * 1000
  return 0
}

/**
 * Decides what comes next.
 *
 * @param now milliseconds of the API server's clock, to stamp the new state
 * @returns the next state, or the same object while there is nothing to decide
 */
export function nextState(
  rollout: Rollout,
  snapshot: RolloutSnapshot,
  settings: RolloutSettings,
  now: number,
): Rollout {
  const to = (phase: Phase, message: string, step = 0): Rollout => ({
    ...rollout,
    phase,
    step,
    since: now,
    message,
  })
  const { candidate, baseline, elapsed, route, smokeTest, watchdog } = snapshot
  const { wanted, ready, serving, failure } = candidate
  const late = elapsed >= settings.progressDeadline * 1000
  // Users get errors now: no rule needs minutes to see that.
  if ((isExposed(rollout) || rollout.phase === "settling") && serving === 0) {
    return abort(
      rollout,
      `none of ${wanted} pods is ready${failure === undefined ? "" : `; ${failure}`}`,
      now,
    )
  }
  if (rollout.phase === "shifting" && baseline?.serving === 0) {
    return abort(rollout, `none of the ${baseline.wanted} pods of its baseline is ready; ${remedy}`, now)
  }

  switch (rollout.phase) {
    case "preparing": {
      if (failure !== undefined) return abort(rollout, failure, now)
      if (baseline?.failure !== undefined)
        return abort(rollout, `its baseline: ${baseline.failure}; ${remedy}`, now)
      const up = wanted > 0 && ready >= wanted
      if (up && isBaselineUp(rollout, snapshot)) {
        const verifying = to("verifying", `${ready} of ${wanted} pods are ready`)
        return sharesTraffic(rollout) ? { ...verifying, steps: stepsOf(rollout, settings) } : verifying
      }
      if (!late) return rollout
      const missing = up && baseline ? baseline : candidate
      const whose = missing === baseline ? " of its baseline" : ""
      const why = `${missing.ready} of ${missing.wanted} pods${whose} were ready after ${settings.progressDeadline} s`
      const reason = missing.pending === undefined ? why : `${why}: ${missing.pending}`
      return abort(rollout, missing === baseline ? `${reason}; ${remedy}` : reason, now)
    }
    case "verifying": {
      if (smokeTest && !smokeTest.ok) return abort(rollout, smokeTest.reason, now)
      if (!smokeTest) return rollout
      // A rollback must not wait for a router: it is the way out when something else is broken.
      if (!route.accepted && rollout.kind === "deploy")
        return late ? abort(rollout, route.reason, now) : rollout
      if (!watchdog.ready) {
        const why = `the watchdog that would take traffic back is not ready: ${watchdog.reason}`
        return late ? abort(rollout, why, now) : rollout
      }
      const [first] = sharesTraffic(rollout) ? stepsOf(rollout, settings) : []
      return analysed(rollout, snapshot, settings, now, (why) =>
        first
          ? to("shifting", `${why}; ${first.weight} % of traffic`)
          : to("promoting", `${why}; all traffic`),
      )
    }
    case "shifting": {
      const steps = stepsOf(rollout, settings)
      if (!steps[rollout.step]) {
        return abort(rollout, `there is no step ${rollout.step + 1} any more: the steps were changed`, now)
      }
      const next = steps[rollout.step + 1]
      return analysed(rollout, snapshot, settings, now, (why) =>
        next
          ? to("shifting", `${why}; ${next.weight} % of traffic`, rollout.step + 1)
          : to("promoting", `${why}; all traffic`),
      )
    }
    case "promoting":
      return analysed(rollout, snapshot, settings, now, (why) => to("settling", why))
    case "settling":
      return elapsed >= settings.scaleDownDelay * 1000 ? to("promoted", rollout.message) : rollout
    case "aborting":
      return elapsed >= settings.abortDelay * 1000 ? to("aborted", rollout.message) : rollout
    case "promoted":
    case "aborted":
      return rollout
  }
}

/** The steps that the rollout began with. A record of an older version has none, and follows the settings. */
const stepsOf = ({ steps }: Rollout, settings: RolloutSettings) => steps ?? settings.steps

/** A first revision has no other to share traffic with; a rollback needs no proof. */
const sharesTraffic = ({ strategy, kind, stable }: Pick<Rollout, "strategy" | "kind" | "stable">) =>
  strategy === "canary" && kind === "deploy" && stable !== undefined

/** What an operator can do when a baseline gets no pods. */
const remedy =
  "it takes as many pods again as the stable revision has: make room for them, or set the comparison's baseline: stable"

const isBaselineUp = (rollout: Rollout, { baseline }: RolloutSnapshot): boolean =>
  !needsBaseline(rollout) || (baseline !== undefined && baseline.ready >= baseline.wanted)

/** Moves on when the analysis passed, the route is in effect, and candidate and baseline have the pods for more traffic. */
function analysed(
  rollout: Rollout,
  snapshot: RolloutSnapshot,
  settings: RolloutSettings,
  now: number,
  passed: (why: string) => Rollout,
): Rollout {
  const { assessment, baseline, candidate, elapsed, route } = snapshot
  const { wanted, ready, pending } = candidate
  const duration = analysisDuration(rollout, settings)
  const { outcome, reason } =
    duration === 0 ? { outcome: "pass", reason: "no analysis is asked for" } : (assessment ?? {})
  if (outcome === "fail" && reason !== undefined) return abort(rollout, reason, now)
  if (outcome !== "pass" || reason === undefined) return rollout
  // A revision with all traffic does not get more.
  const up = ready >= wanted || rollout.phase === "promoting"
  // A rollback never goes back to the revision that it replaces only because a router is slow.
  const routed = route.accepted || rollout.kind === "rollback"
  if (up && routed && isBaselineUp(rollout, snapshot)) {
    return passed(route.accepted ? reason : `${reason}; ${route.reason}`)
  }
  const late = elapsed >= duration + settings.progressDeadline * 1000
  if (!late) return rollout
  const few = "pods are ready, too few for more traffic"
  const short = `${ready} of ${wanted} ${few}`
  if (!up) return abort(rollout, pending === undefined ? short : `${short}: ${pending}`, now)
  if (!routed) return abort(rollout, route.reason, now)
  return abort(
    rollout,
    `its baseline: ${baseline?.ready ?? 0} of ${baseline?.wanted ?? 0} ${few}; ${remedy}`,
    now,
  )
}

/**
 * Takes all traffic back to the stable revision. A rollout that is over does not change.
 *
 * @param why for people
 */
export function abort(rollout: Rollout, why: string, now: number): Rollout {
  if (isOver(rollout) || rollout.phase === "aborting") return rollout
  return { ...rollout, phase: "aborting", since: now, message: why }
}

/** The rollout in the hands of another command. Its analysis and its waits begin again: nobody measured anything meanwhile. */
export function takeOver(rollout: Rollout, controller: string, now: number): Rollout {
  const restarts = rollout.phase === "preparing" || rollout.phase === "verifying" || isExposed(rollout)
  return { ...rollout, controller, ...(restarts && { since: now }) }
}
