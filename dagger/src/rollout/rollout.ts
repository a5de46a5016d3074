import type { Assessment } from "../analysis/rules.js"
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

export const strategies = ["blue-green", "canary"] as const
export type Strategy = (typeof strategies)[number]

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
export interface Facts {
  /**
   * Pods of the candidate: how many it needs for more traffic, no fewer than the stable revision has; how many have been ready for long enough; how many take
   * requests at this moment. `broken`: why one of them will never be ready.
   */
  candidate: { wanted: number; ready: number; serving: number; broken?: string }
  /** What the smoke test said; none while it has not been run. */
  smoke?: { ok: boolean; reason: string }
  /** The watch that takes traffic back from an unattended rollout is on duty. */
  guarded: boolean
  /** What the analysis of the phase or step says so far. */
  assessment?: Assessment
}

const terminal: Phase[] = ["promoted", "aborted"]

export const isOver = ({ phase }: Rollout): boolean => terminal.includes(phase)

/** The candidate gets requests of users in this phase, and is not proven yet: left alone, it is to be taken back. */
export const isExposed = ({ phase }: Rollout): boolean => phase === "shifting" || phase === "promoting"

/** The share of traffic that each revision is to have, in percent; they sum to 100, or to nothing at the first deploy. */
export function backends(
  rollout: Rollout,
  { steps }: RolloutSettings,
): { revision: number; weight: number }[] {
  const weight = candidateWeight(rollout, steps)
  const stable = rollout.stable === undefined ? [] : [{ revision: rollout.stable, weight: 100 - weight }]
  return [...stable, { revision: rollout.revision, weight }].filter((backend) => backend.weight > 0)
}

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
export function analysisOf({ kind, phase, stable, step }: Rollout, settings: RolloutSettings): number {
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
export function advance(rollout: Rollout, facts: Facts, settings: RolloutSettings, now: number): Rollout {
  const to = (phase: Phase, message: string, step = 0): Rollout => ({
    ...rollout,
    ...{ phase, step, since: now, message },
  })
  const elapsed = now - rollout.since
  const late = elapsed >= settings.progressDeadline * 1000
  const { wanted, ready, serving, broken } = facts.candidate
  // What has users must answer them: no rule needs minutes to see that nobody does.
  if ((isExposed(rollout) || rollout.phase === "settling") && serving === 0) {
    return abort(rollout, `none of ${wanted} pods is ready${broken === undefined ? "" : `; ${broken}`}`, now)
  }

  switch (rollout.phase) {
    case "preparing":
      if (broken !== undefined) return abort(rollout, broken, now)
      if (wanted > 0 && ready >= wanted) return to("verifying", `${ready} of ${wanted} pods are ready`)
      return late
        ? abort(rollout, `${ready} of ${wanted} pods were ready after ${settings.progressDeadline} s`, now)
        : rollout
    case "verifying": {
      if (facts.smoke && !facts.smoke.ok) return abort(rollout, facts.smoke.reason, now)
      if (!facts.smoke) return rollout
      if (!facts.guarded) {
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
const stepsOf = ({ strategy, kind, stable }: Rollout, { steps }: RolloutSettings) =>
  strategy === "canary" && kind === "deploy" && stable !== undefined ? steps : []

/** Goes on where the analysis is over and the candidate has the pods for more traffic. */
function analysed(
  rollout: Rollout,
  { assessment, candidate: { wanted, ready } }: Facts,
  settings: RolloutSettings,
  now: number,
  passed: (why: string) => Rollout,
): Rollout {
  const duration = analysisOf(rollout, settings)
  const { outcome, reason } =
    duration === 0 ? { outcome: "pass", reason: "no analysis is asked for" } : (assessment ?? {})
  if (outcome === "fail" && reason !== undefined) return abort(rollout, reason, now)
  if (outcome !== "pass" || reason === undefined) return rollout
  // One that has all traffic has no more to get.
  if (ready >= wanted || rollout.phase === "promoting") return passed(reason)
  const late = now - rollout.since >= duration + settings.progressDeadline * 1000
  return late
    ? abort(rollout, `${ready} of ${wanted} pods are ready, too few for more traffic`, now)
    : rollout
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
