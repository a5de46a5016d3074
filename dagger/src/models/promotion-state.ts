import { z } from "zod"
import type { KubernetesApi } from "../clients/kubernetes/client.js"
import { promotionObject } from "../delivery/access.js"
import { StateRecord } from "../delivery/state-record.js"
import { hexDigestPattern } from "../lib/image-reference.js"
import { clip } from "../lib/text.js"
import { modelLabels } from "./job.js"

/** Promotions that the state keeps. */
const kept = 10
const text = z.string().transform((all) => clip(all, 500))
const digest = z.string().regex(hexDigestPattern)

const running = z.object({
  /** Of the command that began it; part of its Jobs' names. */
  id: z.string(),
  action: z.enum(["deploy", "rollback"]),
  /** The image whose commands change the pointer. */
  image: z.string(),
  /** Digests of the champion until then, of the model that takes its place, and of where a rollback went until then. */
  from: digest.optional(),
  to: digest,
  previous: digest.optional(),
  version: text,
  by: text,
  author: text,
  reason: text,
  guards: z.string().optional(),
  /** ISO 8601, by the API server's clock. */
  began: z.string(),
  /** `shadowing`: the pointer has not moved. `moving`: it may have. `returning`: it is taken back, `why` says for what. */
  phase: z.enum(["shadowing", "moving", "returning"]),
  why: text.optional(),
  /** What shadow predictions came to. */
  compared: text.optional(),
  /** Jobs that failed, so that the next one of a step has another name. */
  failed: z.int().min(0).default(0),
  /** How it ended, until that is in the audit log. */
  end: z.object({ result: z.enum(["promoted", "aborted"]), at: z.string(), message: text }).optional(),
})
/** A promotion or a rollback whose end is not recorded. */
export type RunningPromotion = z.output<typeof running>

const schema = z.object({
  schemaVersion: z.literal(1),
  running: running.optional(),
  /** Newest first. */
  runs: z.array(
    running
      .pick({
        id: true,
        action: true,
        from: true,
        to: true,
        version: true,
        by: true,
        reason: true,
        began: true,
      })
      .extend({ ended: z.string(), result: z.enum(["promoted", "aborted"]), message: text }),
  ),
})
/** What is known of a model's promotions in an environment; bounded, as it is one object in the cluster. */
export type PromotionState = z.output<typeof schema>

/** The state with an operation that begins, or goes on. */
export const withRunning = (
  state: PromotionState,
  now: z.input<typeof running>,
): PromotionState & { running: RunningPromotion } => ({ ...state, running: running.parse(now) })

/** The state after the operation in progress has ended. */
export function ended(state: PromotionState): PromotionState {
  const { running: over, runs } = state
  if (!over?.end) return state
  const { id, action, from, to, version, by, reason, began, end } = over
  const run = {
    id,
    action,
    to,
    version,
    by,
    reason,
    began,
    ended: end.at,
    ...(from !== undefined && { from }),
  }
  return schema.parse({
    schemaVersion: 1,
    runs: [{ ...run, result: end.result, message: end.message }, ...runs].slice(0, kept),
  })
}

/** The state of a model's promotions. */
export const promotionState = (
  cluster: KubernetesApi,
  namespace: string,
  name: string,
): StateRecord<PromotionState> =>
  new StateRecord<PromotionState>(cluster, {
    metadata: { namespace, name: promotionObject(name), labels: modelLabels(name) },
    schema,
    nothing: { schemaVersion: 1, runs: [] },
    kind: "promotions of the model",
    name,
    remedy: "an administrator repairs or deletes it; which model serves is in the registry",
  })
