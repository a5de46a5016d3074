import { dag } from "@dagger.io/dagger"
import { images } from "../../platform/base-images.js"
import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes/client.js"
import { revisionName } from "../../backends/manifests/labels.js"
import { gateway } from "../../platform/cluster/router.js"
import { define, install } from "./controller.js"
import {
  createPods,
  type PeerContext,
  host,
  namespace,
  type Peer,
  revision,
  type PeerState,
  until,
} from "./peer.js"
import { installPrometheus, prometheusAddress, queriesOf } from "./prometheus.js"

const group = "flagger.app"
const apiVersion = `${group}/v1beta1`

/** Seconds between two steps: the least that Flagger accepts. */
const shortestInterval = 10

/** A canary of Flagger with our weights and rules: traffic by the Gateway API, analysis by Prometheus. Each of its checks is a step. */
export class FlaggerCanary implements Peer {
  /** Flagger serves traffic from a copy of the Deployment. */
  readonly service: string

  private constructor(
    service: string,
    private readonly admin: KubernetesApi,
    readonly running: KubernetesObject,
    private readonly canary: KubernetesObject,
  ) {
    this.service = `${service}-primary`
  }

  static async start(context: PeerContext): Promise<FlaggerCanary> {
    await installFlagger(context)
    const { admin, analysis, environment, settings } = context
    const { service, workload } = settings
    const { rollout } = environment
    const deployment = await createPods(context)
    const named = (name: string) => ({ namespace, name })
    const queries = queriesOf(analysis.rules, 'pod=~"{{ target }}-[0-9a-z]+-[0-9a-z]+"')
    const templates: KubernetesObject[] = queries.map(({ rule: { metric }, query }) => ({
      apiVersion,
      kind: "MetricTemplate",
      metadata: named(metric),
      spec: { provider: { type: "prometheus", address: prometheusAddress }, query },
    }))
    const interval = Math.max(shortestInterval, ...rollout.steps.map(({ for: seconds }) => seconds))
    const canary: KubernetesObject = {
      apiVersion,
      kind: "Canary",
      metadata: named(service),
      spec: {
        targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: revisionName(service, revision) },
        progressDeadlineSeconds: rollout.progressDeadline,
        service: {
          name: service,
          port: workload.port,
          targetPort: "http",
          hosts: [host],
          // With all fields that the API server returns: Flagger repeats a step when it finds a difference.
          gatewayRefs: [
            {
              group: "gateway.networking.k8s.io",
              kind: "Gateway",
              name: gateway.name,
              namespace: gateway.namespace,
            },
          ],
        },
        analysis: {
          interval: `${interval}s`,
          threshold: Math.max(1, ...queries.map(({ rule }) => Math.ceil(rule.for / interval))),
          stepWeights: rollout.steps.map(({ weight }) => weight),
          metrics: queries.map(({ rule: { metric, above } }) => ({
            name: metric,
            templateRef: named(metric),
            thresholdRange: { max: above },
            interval: `${interval}s`,
          })),
        },
      },
    }
    for (const object of [...templates, deployment, canary]) await admin.apply(object)
    const peer = new FlaggerCanary(service, admin, deployment, canary)
    await until("the first revision is ready", async () => (await peer.status()).phase === "Initialized")
    return peer
  }

  async state(): Promise<PeerState> {
    const { phase, canaryWeight: weight = 0 } = await this.status()
    if (phase === "Succeeded") return { phase: "promoted", weight: 100, over: true }
    if (phase === "Failed") return { phase: "aborted", weight: 0, over: true }
    return { phase: phase === "Progressing" && weight > 0 ? "shifting" : "preparing", weight, over: false }
  }

  private async status(): Promise<{ phase?: string; canaryWeight?: number }> {
    return (await this.admin.read(this.canary))?.status ?? {}
  }
}

async function installFlagger({ admin, publish }: PeerContext): Promise<void> {
  const name = "flagger"
  const [image, prometheus] = await Promise.all([
    publish(dag.container().from(images.flagger), name),
    publish(dag.container().from(images.prometheus), "prometheus"),
  ])
  await define(admin, {
    group,
    version: "v1beta1",
    stated: ["Canary"],
    names: { AlertProvider: "alertproviders", Canary: "canaries", MetricTemplate: "metrictemplates" },
  })
  await installPrometheus(admin, prometheus)
  await install(admin, {
    name,
    image,
    args: [`--metrics-server=${prometheusAddress}`, "--mesh-provider=gatewayapi:v1", "--log-level=info"],
    ready: { path: "/healthz", port: 8080 },
  })
}
