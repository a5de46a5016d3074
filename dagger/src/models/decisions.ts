import { modelText } from "../delivery/component.js"
import { count } from "../lib/text.js"
import type { PointerStep } from "./job.js"
import type { RunningPromotion } from "./promotion-state.js"
import type { Examination } from "./result.js"
import type { PodReport } from "./serving.js"

/** What a deploy of a model has to do. */
export type PromotionAction =
  | { kind: "nothing"; reason: string }
  /** The promotion of this model was begun before, and its end is not recorded. */
  | { kind: "resume"; running: RunningPromotion }
  | { kind: "blocked"; reason: string }
  | { kind: "begin"; change: ModelChange; verdict: string; because: string; shadow: boolean }

/** One model in the place of another. */
export interface ModelChange {
  /** The champion until then. */
  from?: string
  to: string
  version: string
  /** Where a rollback went until then. */
  previous?: string
}

export interface PromotionSituation {
  /** What was asked for: a digest, or the challenger. */
  wanted: string | undefined
  examined: Examination
  pods: PodReport[]
  /** Whether the settings ask for shadow predictions. */
  shadow: boolean
}

/** Decides on a deploy of a model. A model that the gate has refused, or that cannot be served, is not promoted. */
export function decidePromotion({ wanted, examined, pods, shadow }: PromotionSituation): PromotionAction {
  const { champion, problem, verdict = "not known", reason = "" } = examined
  const change = changeOf(examined)
  if (!change) {
    return {
      kind: "nothing",
      reason: `there is no challenger; ${champion === undefined ? "no model serves" : `${modelText(champion)} stays`}`,
    }
  }
  if (change.to === champion) return { kind: "nothing", reason: `${modelText(champion)} serves` }
  if (problem !== undefined)
    return { kind: "blocked", reason: `${modelText(change.to)} cannot be served: ${problem}` }
  if (verdict !== "better" && (wanted === undefined || verdict !== "unproven"))
    return { kind: "blocked", reason: `${modelText(change.to)} was not found better (${verdict}): ${reason}` }
  const mute = pods.find(({ ready, served }) => ready && !served)
  if (mute) {
    return {
      kind: "blocked",
      reason: `${mute.name} ${mute.silence ?? "says nothing"}, so nobody would see what it serves: deploy its service from this version first`,
    }
  }
  const beside = shadow && champion !== undefined && pods.some(({ served }) => served?.follows_registry)
  return { kind: "begin", change, verdict, because: reason, shadow: beside }
}

/**
 * What a rollback has to do.
 *
 * @param to the digest that was asked for; the champion before, if absent
 * @returns nothing, where that model serves already
 * @throws Error when there is no such model, or it cannot be served
 */
export function decideRollback(examined: Examination, to: string | undefined): ModelChange | undefined {
  const { champion, problem } = examined
  const change = changeOf(examined)
  if (!change) {
    throw new Error(
      "there is no champion before the present one to go back to: name a model by its digest with --to",
    )
  }
  if (change.to === champion) return undefined
  if (problem !== undefined) {
    const other = to === undefined ? ": name another one with --to" : ""
    throw new Error(`${modelText(change.to)} cannot be served: ${problem}${other}`)
  }
  return change
}

function changeOf({ champion, digest, previous, version }: Examination): ModelChange | undefined {
  if (digest === undefined) return undefined
  return {
    to: digest,
    version: version ?? "of an unknown version",
    ...(champion !== undefined && { from: champion }),
    ...(previous !== undefined && { previous }),
  }
}

/** The change of the pointer that a promotion makes. */
export const forwards = ({ action, from, to }: RunningPromotion): PointerStep => ({
  kind: "point",
  model: to,
  champion: from,
  // What was rolled back from is nothing to go back to.
  previous: action === "deploy" ? from : undefined,
})

/** The change that takes it back. */
export const backwards = ({ from, to, previous }: RunningPromotion): PointerStep => ({
  kind: "point",
  model: from,
  champion: to,
  previous,
})

/** Whether a deploy of what was asked for goes on with what is in progress. */
export const continues = ({ action, to }: RunningPromotion, wanted: string | undefined): boolean =>
  action === "deploy" && (wanted === undefined || wanted === to)

/** What pods say of a model that should serve. */
export interface Judged {
  /** Why it is to be taken back. */
  broken?: string
  /** Pods that do not serve it yet, each with what it does instead; empty once all of them do. */
  waiting: string[]
  /** No pod follows the registry, so none will ever serve it. */
  unfollowed: boolean
}

/**
 * Judges what pods say of a model that should serve. A pod that says nothing serves nothing, and no pod at all is no success.
 *
 * @param began how often each pod had been restarted when it was seen first, by its uid
 */
export function judgePods(reports: PodReport[], target: string, began: ReadonlyMap<string, number>): Judged {
  const broken = reports.flatMap((report) => faultOf(report, target, began) ?? [])[0]
  const waiting = reports.flatMap((report) => waitsFor(report, target) ?? [])
  const unfollowed = reports.length > 0 && reports.every(({ served }) => served?.follows_registry === false)
  return {
    waiting: reports.length === 0 ? ["no pod runs"] : waiting,
    unfollowed,
    ...(broken !== undefined && { broken }),
  }
}

function faultOf(
  { name, uid, restarts, served, answered }: PodReport,
  target: string,
  began: ReadonlyMap<string, number>,
): string | undefined {
  const { champion, refused } = served ?? {}
  if (refused?.digest === target) return `${name} cannot load it: ${refused.reason}`
  if (restarts > (began.get(uid) ?? restarts)) return `${name} was restarted`
  if (champion?.digest !== target) return undefined
  if (champion.failures > 0) {
    const all = champion.predictions + champion.failures
    return `${name}: ${champion.failures} of ${count(all, "prediction")} failed, the last with ${champion.last_failure ?? "an unknown error"}`
  }
  // A 503 says that the database is away, or that the pod is about to end.
  return answered !== undefined && answered >= 500 && answered !== 503
    ? `${name} answers ${answered} to a request for a prediction`
    : undefined
}

function waitsFor({ name, ready, served, silence }: PodReport, target: string): string | undefined {
  if (!served) return `${name} ${silence ?? "says nothing"}`
  if (served.champion?.digest !== target)
    return `${name} serves ${modelText(served.champion?.digest ?? undefined)}`
  return ready ? undefined : `${name} is not ready`
}

/** What pods say of a model that predicts beside the champion. */
export interface JudgedShadow {
  /** Why it is not promoted. */
  refused?: string
  /** Pods that have compared nothing yet, each with why. */
  waiting: string[]
  /** What was compared so far, in a sentence. */
  compared: string
}

/** Judges shadow predictions. One that failed, or is no number, refuses the model; how far predictions differ is for people to read. */
export function judgeShadow(reports: PodReport[], target: string): JudgedShadow {
  const ready = reports.filter((one) => one.ready)
  const refused = ready.flatMap((report) => shadowFault(report, target) ?? [])[0]
  const shadows = ready.flatMap(({ served }) => (served?.shadow?.digest === target ? [served.shadow] : []))
  const sum = (of: (one: (typeof shadows)[number]) => number) =>
    shadows.reduce((all, one) => all + of(one), 0)
  const requests = sum((one) => one.requests)
  const mean = requests === 0 ? 0 : sum((one) => one.mean_difference * one.requests) / requests
  const largest = Math.max(0, ...shadows.map((one) => one.largest_difference))
  const points = (value: number) => `${(value * 100).toFixed(1)} points`
  return {
    waiting:
      ready.length === 0 ? ["no pod is ready"] : ready.flatMap((one) => comparesNot(one, target) ?? []),
    compared: `the answers to ${count(requests, "request")} on ${count(shadows.length, "pod")} were compared: chances of winning differ by ${points(mean)} of a hundred on average and ${points(largest)} at most, and the favourite is another one in ${sum((one) => one.other_favourite)}`,
    ...(refused !== undefined && { refused }),
  }
}

function shadowFault({ name, served, answered }: PodReport, target: string): string | undefined {
  const { shadow } = served ?? {}
  if (answered === 404) return `no race is to come, so there is nothing to compare on ${name}`
  if (shadow?.digest !== target) return undefined
  if (shadow.problem !== null) return `${name} cannot load it beside the champion: ${shadow.problem}`
  const { failures = 0, last_failure: last } = shadow.model ?? {}
  return failures > 0
    ? `${name}: ${count(failures, "shadow prediction")} failed, the last with ${last ?? "an unknown error"}`
    : undefined
}

function comparesNot({ name, served, silence, answered }: PodReport, target: string): string | undefined {
  if (!served) return `${name} ${silence ?? "says nothing"}`
  if (served.shadow?.digest !== target) return `${name} has not loaded it yet`
  if (served.shadow.requests > 0) return undefined
  return `${name} has compared nothing yet${answered === 200 ? "" : `, and answers ${answered ?? "nothing"}`}`
}
