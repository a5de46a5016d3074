import { z } from "zod"
import type { KubernetesApi } from "../clients/kubernetes/client.js"
import { modelObject } from "../delivery/access.js"
import { StateRecord } from "../delivery/state-record.js"
import { clip } from "../lib/text.js"
import { modelLabels } from "./job.js"
import type { TrainingResult } from "./result.js"

/** Trainings that the state keeps. */
const kept = 10
const text = z.string().transform((all) => clip(all, 500))

const running = z.object({
  /** Of the command that began it; part of the Job's name. */
  id: z.string(),
  image: z.string(),
  force: z.boolean(),
  by: text,
  /** ISO 8601, by the API server's clock. */
  began: z.string(),
})
/** A training whose end is not recorded yet. */
export type Running = z.output<typeof running>

const schema = z.object({
  schemaVersion: z.literal(1),
  running: running.optional(),
  /** Newest first. */
  runs: z.array(
    running.omit({ force: true }).extend({
      ended: z.string(),
      /** `failed` also where it ended without a result. */
      outcome: z.enum(["nothing-new", "deferred", "challenger", "unproven", "refused", "failed"]),
      message: text,
      digest: z.string().optional(),
    }),
  ),
})
/** What is known of a model's trainings in an environment; bounded, as it is one object in the cluster. */
export type ModelState = z.output<typeof schema>

/** The state after a training has begun. */
export const begun = (state: ModelState, began: Running): ModelState => ({
  ...state,
  running: running.parse(began),
})

/** The state after the training in progress has ended. */
export function ended(
  state: ModelState,
  { at, result, message }: { at: string; result?: TrainingResult; message: string },
): ModelState {
  const { running: over, runs } = state
  if (!over) return state
  const { id, image, by, began } = over
  const run = { id, image, by, began, ended: at, outcome: result?.outcome ?? "failed", message }
  return schema.parse({
    schemaVersion: 1,
    runs: [{ ...run, ...(result?.digest !== undefined && { digest: result.digest }) }, ...runs].slice(
      0,
      kept,
    ),
  })
}

/** The state of a model. */
export const modelState = (
  cluster: KubernetesApi,
  namespace: string,
  name: string,
): StateRecord<ModelState> =>
  new StateRecord<ModelState>(cluster, {
    metadata: { namespace, name: modelObject(name), labels: modelLabels(name) },
    schema,
    nothing: { schemaVersion: 1, runs: [] },
    kind: "model",
    name,
    remedy: "an administrator repairs or deletes it; models and their pointer are in the registry",
  })
