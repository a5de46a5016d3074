import { podRoleOf, type MetricsTarget, type PodAccess, type RunningPods } from "../analysis/sources.js"
import type { KubernetesApi } from "../../clients/kubernetes/client.js"
import type { ServingPod } from "../../delivery/serving-pod.js"
import { portName } from "../manifests/labels.js"
import { isReady, type Pod, Revisions } from "./revisions.js"

/** Reaches the pods of revisions through the API server: from anywhere that the kubeconfig works. */
export class ClusterPods implements PodAccess {
  constructor(private readonly cluster: KubernetesApi) {}

  async pods(target: MetricsTarget): Promise<RunningPods> {
    const { namespace, service, revision } = target
    const revisions = new Revisions(this.cluster, namespace, service)
    const role = podRoleOf(target)
    const [found, pods] = await Promise.all([revisions.find(revision, role), revisions.pods(revision, role)])
    const wanted = found?.wanted ?? 0
    return {
      wanted,
      // Pods that do not exist yet, or no longer, count as failing.
      failing: Math.max(0, wanted - pods.filter(isReady).length),
      running: pods.filter(runs).map((pod) => ({ name: addressOf(pod), instance: instanceOf(pod) })),
    }
  }

  async scrape(namespace: string, pod: string, signal: AbortSignal): Promise<string> {
    const { status, text } = await this.cluster.proxy("pods", namespace, pod, "/metrics", undefined, signal)
    if (status !== 200) throw new Error(`/metrics answered ${status}`)
    return text
  }
}

export const servingPod = (pod: Pod): ServingPod => ({
  name: pod.metadata?.name ?? "",
  uid: pod.metadata?.uid ?? "",
  address: addressOf(pod),
  ready: isReady(pod),
  restarts: Math.max(0, ...statuses(pod).map(({ restartCount }) => restartCount)),
})

/** The service's own container, by its named port: a mesh or an agent may have injected others before it. */
function serviceContainer({ spec }: Pod) {
  const containers = spec?.containers ?? []
  return containers.find(({ ports = [] }) => ports.some(({ name }) => name === portName)) ?? containers[0]
}

/** The service container's status; that of every container where the pod does not say which one it is. */
function statuses(pod: Pod) {
  const all = pod.status?.containerStatuses ?? []
  const own = all.filter(({ name }) => name === serviceContainer(pod)?.name)
  return own.length > 0 ? own : all
}

/** With the port, or the API server would ask the first container of the pod. */
function addressOf(pod: Pod): string {
  const port = serviceContainer(pod)?.ports?.find(({ name }) => name === portName)?.containerPort
  const name = pod.metadata?.name ?? ""
  return port === undefined ? name : `${name}:${port}`
}

const runs = (pod: Pod): boolean =>
  statuses(pod).length > 0 && statuses(pod).every(({ state }) => state?.running !== undefined)

/**
 * Names the process whose counters a pod shows. It changes when the service's container restarts, because counters then begin at zero; a restart of a sidecar changes
 * nothing, or all requests so far would count twice.
 */
function instanceOf(pod: Pod): string {
  const restarts = statuses(pod).map(({ restartCount }) => restartCount)
  return [pod.metadata?.uid ?? "", ...restarts].join("/")
}
