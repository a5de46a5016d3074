import { type PodAccess, type RunningPods, type MetricsTarget, podRoleOf } from "../analysis/sources.js"
import type { KubernetesApi } from "../../clients/kubernetes/client.js"
import { isReady, type Pod, Revisions } from "./revisions.js"

/** The pods of revisions, asked through the API server: from anywhere that the kubeconfig works. */
export class ClusterPods implements PodAccess {
  constructor(private readonly cluster: KubernetesApi) {}

  async pods(version: MetricsTarget): Promise<RunningPods> {
    const { namespace, service, revision } = version
    const revisions = new Revisions(this.cluster, namespace, service)
    const whose = podRoleOf(version)
    const [found, pods] = await Promise.all([
      revisions.find(revision, whose),
      revisions.pods(revision, whose),
    ])
    const wanted = found?.wanted ?? 0
    return {
      wanted,
      // A pod that is not there yet, or no longer, serves nobody either.
      failing: Math.max(0, wanted - pods.filter(isReady).length),
      running: pods
        .filter(runs)
        .map((pod) => ({ name: pod.metadata?.name ?? "", instance: instanceOf(pod) })),
    }
  }

  async scrape(namespace: string, pod: string, signal: AbortSignal): Promise<string> {
    const { status, text } = await this.cluster.proxy("pods", namespace, pod, "/metrics", undefined, signal)
    if (status !== 200) throw new Error(`/metrics answered ${status}`)
    return text
  }
}

function runs({ status }: Pod): boolean {
  const containers = status?.containerStatuses ?? []
  return containers.length > 0 && containers.every(({ state }) => state?.running !== undefined)
}

/** Another one after a restart of a container, whose counters begin at zero, and for another pod of the same name. */
function instanceOf({ metadata, status }: Pod): string {
  const restarts = (status?.containerStatuses ?? []).map(({ restartCount }) => restartCount)
  return [metadata?.uid ?? "", ...restarts].join("/")
}
