import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes/client.js"
import { routeObject } from "../../backends/manifests/objects.js"
import {
  type Deployed,
  furnish,
  type Ground,
  host,
  isComplete,
  namespace,
  type Peer,
  revision,
  type State,
  until,
} from "./peer.js"

/** A Deployment whose image is changed, as `kubectl set image` does, and waited for, as `kubectl rollout status` does. */
export class KubectlRollout implements Peer {
  private constructor(
    readonly service: string,
    private readonly admin: KubernetesApi,
    readonly running: KubernetesObject,
  ) {}

  static async begin(ground: Ground): Promise<KubectlRollout> {
    const { admin, environment, placement } = ground
    const { service, workload } = placement
    const deployment = await furnish(ground)
    const backends = [{ revision, weight: 100 }]
    await admin.apply(deployment)
    await admin.apply(
      routeObject({
        ...{ namespace, service, gateway: environment.gateway, port: workload.port },
        ...{ hostnames: [host], backends },
      }),
    )
    const peer = new KubectlRollout(service, admin, deployment)
    await until("the first revision is ready", async () => (await peer.state()).over)
    return peer
  }

  /** A Deployment that gives up stays as it is. */
  async state(): Promise<State> {
    const live = (await this.admin.read(this.running)) as Deployed
    if (isComplete(live)) return { phase: "promoted", weight: 100, over: true }
    const { metadata, status } = live
    const late = status?.conditions?.some(({ reason }) => reason === "ProgressDeadlineExceeded") ?? false
    return status?.observedGeneration === metadata?.generation && late
      ? { phase: "stuck", weight: 0, over: true }
      : { phase: "rolling", weight: 0, over: false }
  }
}
