import { dag } from "@dagger.io/dagger"
import { gateway, routerName } from "../../platform/cluster/router.js"
import { images } from "../../platform/base-images.js"
import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes/client.js"
import { revisionName } from "../../backends/manifests/labels.js"
import { allRights, define, install } from "./controller.js"
import {
  createPods,
  type PeerContext,
  host,
  isRunning,
  namespace,
  type Peer,
  revision,
  type PeerState,
  until,
} from "./peer.js"
import { installPrometheus, prometheusAddress, queriesOf } from "./prometheus.js"

const group = "argoproj.io"
const apiVersion = `${group}/v1alpha1`
const traefik = { group: "traefik.io", apiVersion: "traefik.io/v1alpha1" }
const hash = "canary-hash"

/** The fields of a Rollout's status that tell its state. */
interface RolloutStatus {
  observedGeneration?: string
  phase?: string
  abort?: boolean
  stableRS?: string
  currentPodHash?: string
}

/** A canary of Argo Rollouts with our steps and rules: traffic by Traefik, analysis by Prometheus. */
export class ArgoRollout implements Peer {
  private constructor(
    readonly service: string,
    private readonly admin: KubernetesApi,
    readonly running: KubernetesObject,
    private readonly weights: KubernetesObject,
  ) {}

  static async start(context: PeerContext): Promise<ArgoRollout> {
    await installArgo(context)
    const { admin, analysis, environment, settings } = context
    const { service, workload } = settings
    const { rollout: rolloutSettings } = environment
    const { spec } = await createPods(context)
    if (!spec) throw new Error(`${service} has no pods`)
    const named = (name: string) => ({ namespace, name })
    const [stable, canary] = [`${service}-stable`, `${service}-canary`]
    const { port } = workload
    const services: KubernetesObject[] = [stable, canary].map((name) => ({
      apiVersion: "v1",
      kind: "Service",
      metadata: named(name),
      spec: { selector: spec.selector.matchLabels, ports: [{ name: "http", port, targetPort: "http" }] },
    }))
    const weights: KubernetesObject = {
      apiVersion: traefik.apiVersion,
      kind: "TraefikService",
      metadata: named(service),
      spec: {
        weighted: {
          services: [
            { name: stable, port, weight: 100 },
            { name: canary, port, weight: 0 },
          ],
        },
      },
    }
    const route: KubernetesObject = {
      apiVersion: traefik.apiVersion,
      kind: "IngressRoute",
      metadata: named(service),
      spec: {
        entryPoints: [gateway.section],
        routes: [
          {
            kind: "Rule",
            match: `Host(\`${host}\`)`,
            services: [{ kind: "TraefikService", name: service }],
          },
        ],
      },
    }
    const template: KubernetesObject = {
      apiVersion,
      kind: "AnalysisTemplate",
      metadata: named(service),
      spec: {
        args: [{ name: hash }],
        metrics: queriesOf(analysis.rules, `hash="{{args.${hash}}}"`).map(({ rule, query }) => ({
          name: rule.metric,
          interval: `${analysis.interval}s`,
          // As many bad values as there are checks in the time for which a rule must be broken.
          failureLimit: Math.ceil(rule.for / analysis.interval) - 1,
          successCondition: `len(result) == 0 || isNaN(result[0]) || result[0] <= ${rule.above}`,
          provider: { prometheus: { address: prometheusAddress, query } },
        })),
      },
    }
    const rollout: KubernetesObject = {
      apiVersion,
      kind: "Rollout",
      metadata: named(revisionName(service, revision)),
      spec: {
        replicas: spec.replicas,
        minReadySeconds: spec.minReadySeconds,
        progressDeadlineSeconds: spec.progressDeadlineSeconds,
        // Otherwise a revision that never becomes ready would stay.
        progressDeadlineAbort: true,
        selector: spec.selector,
        template: spec.template,
        strategy: {
          canary: {
            stableService: stable,
            canaryService: canary,
            trafficRouting: { traefik: { weightedTraefikServiceName: service } },
            scaleDownDelaySeconds: rolloutSettings.scaleDownDelay,
            abortScaleDownDelaySeconds: rolloutSettings.abortDelay,
            analysis: {
              templates: [{ templateName: service }],
              startingStep: 1,
              args: [{ name: hash, valueFrom: { podTemplateHashValue: "Latest" } }],
            },
            steps: rolloutSettings.steps.flatMap(({ weight, for: seconds }) => [
              { setWeight: weight },
              { pause: { duration: `${seconds}s` } },
            ]),
          },
        },
      },
    }
    for (const object of [...services, weights, route, template, rollout]) await admin.apply(object)
    const peer = new ArgoRollout(service, admin, rollout, weights)
    await until("the first revision is ready", async () => (await peer.state()).phase === "promoted")
    return peer
  }

  async state(): Promise<PeerState> {
    const [live, shared] = await Promise.all([this.admin.read(this.running), this.admin.read(this.weights)])
    const spec = shared?.spec as { weighted: { services: { weight: number }[] } } | undefined
    const weight = spec?.weighted.services[1]?.weight ?? 0
    const { observedGeneration, phase, abort, stableRS, currentPodHash } = (live?.status ??
      {}) as RolloutStatus
    const seen = observedGeneration === String(live?.metadata?.generation)
    if (seen && phase === "Healthy" && stableRS === currentPodHash) {
      return { phase: "promoted", weight: 100, over: true }
    }
    // Only now has the stable revision all traffic again.
    if (seen && abort === true && weight === 0) return { phase: "aborted", weight, over: true }
    return { phase: weight === 0 || weight === 100 ? "preparing" : "shifting", weight, over: false }
  }
}

/** Installs the controller and Prometheus, and makes the router read Traefik's own kinds, in which Argo Rollouts sets weights. */
async function installArgo({ admin, publish }: PeerContext): Promise<void> {
  const name = "argo-rollouts"
  const [image, prometheus] = await Promise.all([
    publish(dag.container().from(images.argoRollouts), name),
    publish(dag.container().from(images.prometheus), "prometheus"),
  ])
  await define(admin, {
    group,
    version: "v1alpha1",
    stated: ["Rollout"],
    names: {
      AnalysisRun: "analysisruns",
      AnalysisTemplate: "analysistemplates",
      ClusterAnalysisTemplate: "clusteranalysistemplates",
      Experiment: "experiments",
      Rollout: "rollouts",
    },
  })
  await define(admin, {
    group: traefik.group,
    version: "v1alpha1",
    stated: [],
    names: {
      IngressRoute: "ingressroutes",
      IngressRouteTCP: "ingressroutetcps",
      IngressRouteUDP: "ingressrouteudps",
      Middleware: "middlewares",
      MiddlewareTCP: "middlewaretcps",
      ServersTransport: "serverstransports",
      ServersTransportTCP: "serverstransporttcps",
      TLSOption: "tlsoptions",
      TLSStore: "tlsstores",
      TraefikService: "traefikservices",
    },
  })
  await readTraefikKinds(admin)
  await installPrometheus(admin, prometheus)
  await install(admin, {
    name,
    image,
    args: [`--traefik-api-group=${traefik.group}`, `--traefik-api-version=${traefik.apiVersion}`],
    ready: { path: "/metrics", port: 8090 },
  })
}

async function readTraefikKinds(admin: KubernetesApi): Promise<void> {
  const flag = "--providers.kubernetesCRD=true"
  const address: KubernetesObject = { apiVersion: "apps/v1", kind: "Deployment", metadata: routerName }
  await admin.apply(allRights(routerName))
  const live = await admin.read(address)
  const { template } = live?.spec as { template: { spec: { containers: { args: string[] }[] } } }
  const [container] = template.spec.containers
  if (!container || container.args.includes(flag)) return
  const containers = [{ ...container, args: [...container.args, flag] }]
  await admin.merge(address, { spec: { template: { spec: { containers } } } })
  await until("the router reads Traefik's kinds", () => isRunning(admin, address))
}
