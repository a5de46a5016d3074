import type { Strategy } from "../../delivery/strategy.js"
import type { AnalysisSettings, Assessment } from "../analysis/rules.js"
import type { TrafficShare } from "../manifests/objects.js"
import type { Readiness } from "../revisions/revisions.js"
import type { RolloutSettings } from "./configuration.js"

/**
 * A rollout: one revision of a service on its way to all traffic, or back.
 *
 *     preparing → verifying → shifting … → promoting → settling → promoted
 *          └──────────┴───────────┴────────────┴──────────┴→ aborting → aborted
 *
 * Blue-green is a canary without steps: it goes from `verifying` to `promoting`.
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

/** All that is kept of a rollout, in the cluster, beside the traffic that it governs. Times are milliseconds of the API server's clock. */
export interface Rollout {
  id: string
  service: string
  strategy: Strategy
  /** A rollback goes to a revision that was proven once: it is switched to as soon as it answers. */
  kind: "deploy" | "rollback"
  /** The revision that is to get all traffic. */
  revision: number
  /** The revision that had it before; none at the first deploy. */
  stable?: number
  /** The rollout is compared with a fresh baseline. Decided when it begins, so that changed settings do not affect a running rollout. */
  baseline?: true
  digest: string
  phase: Phase
  /** Which of the canary's steps, from 0. */
  step: number
  /** When the phase, or the step of it, began. */
  since: number
  began: number
  by: string
  author: string
  /** Why it was asked for. */
  reason: string
  /** The last thing that happened to it, for people. */
  message: string
  /** Which command works on it. Another one that finds it without a lease goes on under its own name. */
  controller: string
}

/** What a decision is made from. */
export interface RolloutSnapshot {
  /** It needs as many pods for more traffic as the stable revision has, or more. */
  candidate: Readiness
  /** Of a rollout that is judged against one, for as long as that is needed. */
  baseline?: Readiness
  /** What the smoke test said; none while it has not been run. */
  smokeTest?: { ok: boolean; reason: string }
  /** The watch that takes traffic back from an unattended rollout is on duty. */
  watchdogReady: boolean
  /** What the analysis of the phase or step says so far. */
  assessment?: Assessment
}

const terminal: Phase[] = ["promoted", "aborted"]

export const isOver = ({ phase }: Rollout): boolean => terminal.includes(phase)

/** The candidate gets requests of users in this phase, and is not proven yet: left alone, it is to be taken back. */
export const isExposed = ({ phase }: Rollout): boolean => phase === "shifting" || phase === "promoting"

/** Whether a rollout that begins is compared with a fresh baseline: only a canary that shares traffic, and only when the settings ask for it. */
export const usesFreshBaseline = (
  rollout: Pick<Rollout, "strategy" | "kind" | "stable">,
  { comparison }: AnalysisSettings,
): boolean => comparison?.baseline === "fresh" && sharesTraffic(rollout)

/** The baseline is to be there in this phase: it has users, or is about to have them. */
export const needsBaseline = ({ baseline, phase }: Rollout): boolean =>
  baseline === true && ["preparing", "verifying", "shifting"].includes(phase)

/**
 * The share of traffic that each backend is to have, in percent; they sum to 100, or to nothing at the first deploy. A baseline has what the candidate has as far
 * as there is as much, and the stable revision the rest.
 */
export function trafficSplit(rollout: Rollout, { steps }: RolloutSettings): TrafficShare[] {
  const { baseline, revision, stable } = rollout
  const weight = candidateWeight(rollout, steps)
  const beside = baseline ? Math.min(weight, 100 - weight) : 0
  const all: TrafficShare[] = [
    ...(stable === undefined ? [] : [{ revision: stable, weight: 100 - weight - beside }]),
    { revision, baseline: true, weight: beside },
    { revision, weight },
  ]
  return all.filter((backend) => backend.weight > 0)
}

/** A backend in words, such as `revision 3`. */
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

/** How long the present analysis is to last, in milliseconds; 0: there is none. */
export function analysisDuration({ kind, phase, stable, step }: Rollout, settings: RolloutSettings): number {
  if (kind === "rollback") return 0
  // A first revision may have no users yet, and there is nothing to go back to.
  if (phase === "promoting" && stable === undefined) return 0
  if (phase === "verifying") return settings.prePromotion * 1000
  if (phase === "shifting") return (settings.steps[step]?.for ?? 0) * 1000
  if (phase === "promoting") return settings.postPromotion * 1000
  return 0
}

/**
 * The next state of a rollout, or the same one while there is nothing to decide.
 *
 * @param now milliseconds, by the clock of `since`
 */
export function nextState(
  rollout: Rollout,
  facts: RolloutSnapshot,
  settings: RolloutSettings,
  now: number,
): Rollout {
  const to = (phase: Phase, message: string, step = 0): Rollout => ({
    ...rollout,
    ...{ phase, step, since: now, message },
  })
  const elapsed = now - rollout.since
  const late = elapsed >= settings.progressDeadline * 1000
  const { wanted, ready, serving, failure } = facts.candidate
  // What has users must answer them: no rule needs minutes to see that nobody does.
  if ((isExposed(rollout) || rollout.phase === "settling") && serving === 0) {
    return abort(
      rollout,
      `none of ${wanted} pods is ready${failure === undefined ? "" : `; ${failure}`}`,
      now,
    )
  }
  const { baseline } = facts
  if (rollout.phase === "shifting" && baseline?.serving === 0) {
    return abort(rollout, `none of the ${baseline.wanted} pods of its baseline is ready; ${remedy}`, now)
  }

  switch (rollout.phase) {
    case "preparing": {
      if (failure !== undefined) return abort(rollout, failure, now)
      if (baseline?.failure !== undefined)
        return abort(rollout, `its baseline: ${baseline.failure}; ${remedy}`, now)
      const up = wanted > 0 && ready >= wanted
      if (up && isBaselineUp(rollout, facts)) return to("verifying", `${ready} of ${wanted} pods are ready`)
      if (!late) return rollout
      const count = (pods: Readiness) => `${pods.ready} of ${pods.wanted} pods`
      const short = up && baseline ? `${count(baseline)} of its baseline` : count(facts.candidate)
      const why = `${short} were ready after ${settings.progressDeadline} s`
      return abort(rollout, up ? `${why}; ${remedy}` : why, now)
    }
    case "verifying": {
      if (facts.smokeTest && !facts.smokeTest.ok) return abort(rollout, facts.smokeTest.reason, now)
      if (!facts.smokeTest) return rollout
      if (!facts.watchdogReady) {
        return late ? abort(rollout, "the watch that would take traffic back did not start", now) : rollout
      }
      const [first] = stepsOf(rollout, settings)
      return analysed(rollout, facts, settings, now, (why) =>
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
      return analysed(rollout, facts, settings, now, (why) =>
        next
          ? to("shifting", `${why}; ${next.weight} % of traffic`, rollout.step + 1)
          : to("promoting", `${why}; all traffic`),
      )
    }
    case "promoting":
      return analysed(rollout, facts, settings, now, (why) => to("settling", why))
    case "settling":
      return elapsed >= settings.scaleDownDelay * 1000 ? to("promoted", rollout.message) : rollout
    case "aborting":
      return elapsed >= settings.abortDelay * 1000 ? to("aborted", rollout.message) : rollout
    case "promoted":
    case "aborted":
      return rollout
  }
}

/** A first revision has nobody to share traffic with, and one that was proven needs no proof. */
const stepsOf = (rollout: Rollout, { steps }: RolloutSettings) => (sharesTraffic(rollout) ? steps : [])

const sharesTraffic = ({ strategy, kind, stable }: Pick<Rollout, "strategy" | "kind" | "stable">) =>
  strategy === "canary" && kind === "deploy" && stable !== undefined

/** What helps where a baseline has no pods. */
const remedy =
  "it takes as many pods again as the stable revision has: make room for them, or set the comparison's baseline: stable"

/** A rollout without one needs none. */
const isBaselineUp = (rollout: Rollout, { baseline }: RolloutSnapshot): boolean =>
  !needsBaseline(rollout) || (baseline !== undefined && baseline.ready >= baseline.wanted)

/** Goes on where the analysis is over, and the candidate and what it is judged against have the pods for more traffic. */
function analysed(
  rollout: Rollout,
  facts: RolloutSnapshot,
  settings: RolloutSettings,
  now: number,
  passed: (why: string) => Rollout,
): Rollout {
  const { assessment, baseline, candidate } = facts
  const { wanted, ready } = candidate
  const duration = analysisDuration(rollout, settings)
  const { outcome, reason } =
    duration === 0 ? { outcome: "pass", reason: "no analysis is asked for" } : (assessment ?? {})
  if (outcome === "fail" && reason !== undefined) return abort(rollout, reason, now)
  if (outcome !== "pass" || reason === undefined) return rollout
  // One that has all traffic has no more to get.
  const up = ready >= wanted || rollout.phase === "promoting"
  if (up && isBaselineUp(rollout, facts)) return passed(reason)
  const late = now - rollout.since >= duration + settings.progressDeadline * 1000
  if (!late) return rollout
  const few = "pods are ready, too few for more traffic"
  return up && baseline
    ? abort(rollout, `its baseline: ${baseline.ready} of ${baseline.wanted} ${few}; ${remedy}`, now)
    : abort(rollout, `${ready} of ${wanted} ${few}`, now)
}

/**
 * Takes all traffic back to the stable revision. A rollout that is over stays as it is.
 *
 * @param why for the log and for people
 */
export function abort(rollout: Rollout, why: string, now: number): Rollout {
  if (isOver(rollout) || rollout.phase === "aborting") return rollout
  return { ...rollout, phase: "aborting", since: now, message: why }
}

/**
 * A rollout that another command goes on with. What was analysed under the old one is not known, and nobody waited for its pods meanwhile: the phase begins again.
 * A delay goes on.
 */
export function takeOver(rollout: Rollout, controller: string, now: number): Rollout {
  const afresh = rollout.phase === "preparing" || rollout.phase === "verifying" || isExposed(rollout)
  return { ...rollout, controller, ...(afresh && { since: now }) }
}
