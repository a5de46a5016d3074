import type { V1Deployment } from "@kubernetes/client-node"
import { monotonic } from "../clock.js"
import type { Environment, Placement } from "../deploy/configuration.js"
import { digestOf } from "../deploy/images.js"
import type { Cluster, Thing } from "../kubernetes/client.js"
import { revisionObjects, routeObject } from "../manifests/objects.js"
import type { Plain } from "../manifests/plain.js"
import type { Sight } from "./measure.js"

/** Where it is, and the number by which its pods are found. */
export const namespace = "peer"
export const revision = 1
const home: Thing = { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } }

/** Seconds that its pods have to end. */
const patience = 120

/** What is compared with: a Deployment whose image is changed, as `kubectl set image` does, and waited for, as `kubectl rollout status` does. */
export class KubectlRollout {
  private constructor(
    private readonly admin: Cluster,
    private readonly deployment: Plain<V1Deployment>,
  ) {}

  /** The same pods behind the same router, as one Deployment. */
  static async begin(
    admin: Cluster,
    environment: Environment,
    { service, workload, variables: config }: Placement,
    { image, host, secrets }: { image: string; host: string; secrets: Record<string, string> },
  ): Promise<KubectlRollout> {
    const digest = digestOf(image)
    const { gateway, rollout } = environment
    const objects = revisionObjects(workload, {
      ...{ namespace, service, revision, image, digest, config, secrets },
      ...{ environment: environment.name, version: "peer", progressDeadline: rollout.progressDeadline },
    })
    const route = routeObject({
      ...{ namespace, service, gateway, port: workload.port, hostnames: [host] },
      backends: [{ revision, weight: 100 }],
    })
    await admin.apply(home)
    for (const object of [...objects, route]) await admin.apply(object)
    const deployment = objects.find(({ kind }) => kind === "Deployment")
    if (!deployment) throw new Error(`${service} has no Deployment`)
    const peer = new KubectlRollout(admin, deployment)
    await peer.status()
    return peer
  }

  /** Changes the image and waits for what comes of it; what was seen meanwhile. */
  async set(image: string, variables: Record<string, string>): Promise<Sight[]> {
    const began = { at: Date.now(), phase: "rolling", weight: 0 }
    const { spec } = this.deployment
    const pod = spec?.template.spec
    const env = Object.entries(variables).map(([name, value]) => ({ name, value }))
    const containers = pod?.containers.map((container) => ({ ...container, image, env }))
    const template = { ...spec?.template, spec: { ...pod, containers } }
    await this.admin.apply({ ...this.deployment, spec: { ...spec, template } })
    const phase = await this.status()
    return [began, { at: Date.now(), phase, weight: phase === "promoted" ? 100 : 0 }]
  }

  /** Returns when it is gone: the next one has the same names. */
  async remove(): Promise<void> {
    await this.admin.delete(home)
    for (let left = patience; await this.admin.read(home); left--) {
      if (left === 0) throw new Error(`the namespace ${namespace} is not gone after ${patience} s`)
      await monotonic.pause(1000)
    }
  }

  /** Waits until all pods are new and available, or the Deployment gives up: it then stays as it is. */
  private async status(): Promise<"promoted" | "stuck"> {
    for (;;) {
      const { metadata, spec, status } = (await this.admin.read(this.deployment)) as Plain<V1Deployment>
      const {
        conditions = [],
        observedGeneration,
        replicas,
        updatedReplicas,
        availableReplicas,
      } = status ?? {}
      if (observedGeneration === metadata?.generation) {
        const wanted = spec?.replicas
        if ([replicas, updatedReplicas, availableReplicas].every((count) => count === wanted))
          return "promoted"
        if (conditions.some(({ reason }) => reason === "ProgressDeadlineExceeded")) return "stuck"
      }
      await monotonic.pause(500)
    }
  }
}
