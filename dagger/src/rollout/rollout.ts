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
export type Phase = "preparing" | "verifying" | "shifting" | "promoting" | "settling" | "promoted" | "aborting" | "aborted"

export type Strategy = "blue-green" | "canary"

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
  /** Pods of the candidate. `broken`: why they will never be ready. */
  candidate: { wanted: number; ready: number; broken?: string }
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
export function backends(rollout: Rollout, { steps }: RolloutSettings): { revision: number; weight: number }[] {
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
    default:
      return 0
  }
}

/** How long the present analysis is to last, in milliseconds; 0: there is none. */
export function analysisOf({ kind, phase, step }: Rollout, settings: RolloutSettings): number {
  if (kind === "rollback") return 0
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
  const to = (phase: Phase, message: string, step = 0): Rollout => ({ ...rollout, phase, step, since: now, message })
  const elapsed = now - rollout.since
  const steps = rollout.strategy === "canary" && rollout.stable !== undefined ? settings.steps : []

  switch (rollout.phase) {
    case "preparing": {
      const { wanted, ready, broken } = facts.candidate
      if (broken !== undefined) return abort(rollout, broken, now)
      if (wanted > 0 && ready >= wanted) return to("verifying", `${ready} of ${wanted} pods are ready`)
      if (elapsed >= settings.progressDeadline * 1000) {
        return abort(rollout, `${ready} of ${wanted} pods were ready after ${settings.progressDeadline} s`, now)
      }
      return rollout
    }
    case "verifying": {
      if (facts.smoke && !facts.smoke.ok) return abort(rollout, facts.smoke.reason, now)
      if (!facts.smoke) return rollout
      if (!facts.guarded) {
        const late = elapsed >= settings.progressDeadline * 1000
        return late ? abort(rollout, "the watch that would take traffic back did not start", now) : rollout
      }
      return analysed(rollout, facts, settings, now, (why) => {
        const [first] = steps
        return first ? to("shifting", `${why}; ${first.weight} % of traffic`) : to("promoting", `${why}; all traffic`)
      })
    }
    case "shifting":
      return analysed(rollout, facts, settings, now, (why) => {
        const next = steps[rollout.step + 1]
        return next
          ? to("shifting", `${why}; ${next.weight} % of traffic`, rollout.step + 1)
          : to("promoting", `${why}; all traffic`)
      })
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

function analysed(
  rollout: Rollout,
  { assessment }: Facts,
  settings: RolloutSettings,
  now: number,
  passed: (why: string) => Rollout,
): Rollout {
  if (analysisOf(rollout, settings) === 0) return passed("no analysis is asked for")
  if (assessment?.outcome === "fail") return abort(rollout, assessment.reason, now)
  if (assessment?.outcome === "pass") return passed(assessment.reason)
  return rollout
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

/** A rollout that another command goes on with. What was analysed under the old one is not known: the analysis of the phase begins again. */
export function takeOver(rollout: Rollout, controller: string, now: number): Rollout {
  const afresh = rollout.phase === "verifying" || isExposed(rollout)
  return { ...rollout, controller, ...(afresh && { since: now }) }
}
