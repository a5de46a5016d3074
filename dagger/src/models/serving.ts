import { z } from "zod"
import type { KubernetesApi } from "../clients/kubernetes/client.js"
import type { ServingPod } from "../delivery/serving-pod.js"
import { oneLine } from "../lib/text.js"

/** What a server says of the models that it has loaded. */
export const servedPath = "/api/f1/model/served"
/** A request whose answer is a prediction. */
export const predictionPath = "/api/f1/races/next"

const counted = z.object({
  digest: z.string().nullable(),
  version: z.string(),
  predictions: z.int(),
  failures: z.int(),
  last_failure: z.string().nullable(),
})

const served = z.object({
  follows_registry: z.boolean(),
  champion: counted.nullable(),
  /** The champion by the registry, while it cannot be loaded. */
  refused: z.object({ digest: z.string(), reason: z.string() }).nullable(),
  /** The challenger, which answers the same requests. */
  shadow: z
    .object({
      digest: z.string(),
      problem: z.string().nullable(),
      model: counted.nullable(),
      requests: z.int(),
      other_favourite: z.int(),
      largest_difference: z.number(),
      mean_difference: z.number(),
    })
    .nullable(),
})
/** Which models a server has loaded, and what became of their predictions. */
export type ServedModels = z.output<typeof served>

/** What one pod said. */
export interface PodReport extends ServingPod {
  /** Absent where it said nothing that counts; `silence` says why. */
  served?: ServedModels
  silence?: string
  /** The status of its answer to a request for a prediction; absent where it was not ready or did not answer. */
  answered?: number
}

/**
 * Asks pods which models they have loaded, those that are ready after a request for a prediction.
 *
 * A pod that does not answer has said nothing, and says why.
 */
export const askPods = (
  cluster: Pick<KubernetesApi, "proxy">,
  namespace: string,
  pods: ServingPod[],
): Promise<PodReport[]> =>
  Promise.all(
    pods.map(async (pod): Promise<PodReport> => {
      const ask = (path: string) => cluster.proxy("pods", namespace, pod.address, path)
      // Its outcome is one of the answers; that there was none is no reason to ask nothing else.
      const answered = pod.ready ? await ask(predictionPath).then(statusOf, () => undefined) : undefined
      const said = { ...pod, ...(answered !== undefined && { answered }) }
      try {
        const { status, text } = await ask(servedPath)
        if (status !== 200) return { ...said, silence: `answers ${status} to ${servedPath}` }
        return { ...said, served: served.parse(JSON.parse(text)) }
      } catch (error) {
        return { ...said, silence: `does not say what it serves: ${oneLine((error as Error).message)}` }
      }
    }),
  )

const statusOf = ({ status }: { status: number }) => status
