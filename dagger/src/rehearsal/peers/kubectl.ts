import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes/client.js"
import { routeObject } from "../../backends/manifests/objects.js"
import { gateway } from "../../platform/cluster/router.js"
import {
  type DeploymentState,
  createPods,
  type PeerContext,
  host,
  isComplete,
  namespace,
  type Peer,
  revision,
  type PeerState,
  until,
} from "./peer.js"

/** Changes the image of a Deployment as `kubectl set image` does, and waits as `kubectl rollout status` does. */
export class KubectlRollout implements Peer {
  private constructor(
    readonly service: string,
    private readonly admin: KubernetesApi,
    readonly running: KubernetesObject,
  ) {}

  static async start(context: PeerContext): Promise<KubectlRollout> {
    const { admin, settings } = context
    const { service, workload } = settings
    const deployment = await createPods(context)
    const backends = [{ revision, weight: 100 }]
    await admin.apply(deployment)
    await admin.apply(
      routeObject({
        namespace,
        service,
        gateway,
        port: workload.port,
        hostnames: [host],
        backends,
      }),
    )
    const peer = new KubectlRollout(service, admin, deployment)
    await until("the first revision is ready", async () => (await peer.state()).over)
    return peer
  }

  /** A Deployment that exceeds its deadline stays as it is. */
  async state(): Promise<PeerState> {
    const live = (await this.admin.read(this.running)) as DeploymentState
    if (isComplete(live)) return { phase: "promoted", weight: 100, over: true }
    const { metadata, status } = live
    const late = status?.conditions?.some(({ reason }) => reason === "ProgressDeadlineExceeded") ?? false
    return status?.observedGeneration === metadata?.generation && late
      ? { phase: "stuck", weight: 0, over: true }
      : { phase: "rolling", weight: 0, over: false }
  }
}
