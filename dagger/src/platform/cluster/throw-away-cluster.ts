import { setTimeout as pause } from "node:timers/promises"
import { dag, type Container, type File, type Secret, type Service } from "@dagger.io/dagger"
import { stringify } from "yaml"
import { images } from "../base-images.js"
import { KubernetesClient, type KubernetesObject } from "../../clients/kubernetes/client.js"
import { ThrowAwayRegistry } from "./throw-away-registry.js"
import { gateway, routerObjects } from "./router.js"

/** What a cluster is started with. */
export interface ThrowAwayClusterOptions {
  /** Its own, also as the name of its node: equal services are one and the same to the engine, and two users must not share a cluster. */
  name: string
  /** The kinds of the Gateway API, as YAML: `dagger/config/kubernetes/gateway-api.yaml`. */
  gatewayApi: File
  /** Where its pods' images come from. One may serve many clusters. */
  registry: ThrowAwayRegistry
  /** Opens it to all; by default one that its name tells, which will do as long as only this run can reach it. */
  token?: string
  /** Further flags of `k3s server`. */
  flags?: string[]
  /** How it is reached, where not from a function of a module. */
  resolveEndpoint?: ResolveEndpoint
}

/** Gives the address of a port of a running service, from where this code runs: `host:port`. */
export type ResolveEndpoint = (service: Service, port: number) => Promise<string>

/** From a function of a module. */
const fromModule: ResolveEndpoint = (service, port) => service.endpoint({ port })

export const apiPort = 6443

/** Seconds that a cluster has to come up. */
const patience = 180
const state = "/var/lib/rancher/k3s"
const tokens = "/etc/rancher/k3s/tokens.csv"

/** A Kubernetes of one node as a Service, with DNS and a router for weighted traffic. It lives for one run, and nothing of it is left behind. */
export class ThrowAwayCluster {
  private constructor(
    readonly name: string,
    /** Listens on `apiPort` and on the port of its gateway. */
    readonly service: Service,
    readonly registry: ThrowAwayRegistry,
    private readonly reach: ResolveEndpoint,
    private readonly token: string,
  ) {}

  /**
   * Starts a cluster, and waits until its node takes pods, names resolve and the router routes.
   *
   * @throws Error that says what of it is missing after three minutes
   */
  static async start({
    name,
    gatewayApi,
    registry,
    token = tokenOf(name),
    flags = [],
    resolveEndpoint: reach = fromModule,
  }: ThrowAwayClusterOptions): Promise<ThrowAwayCluster> {
    if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)) {
      throw new Error(
        `a cluster cannot be called ${JSON.stringify(name)}: allowed are lower-case letters, digits and "-" between them, 63 at most`,
      )
    }
    const router = await registry.publish(dag.container().from(images.traefik), "traefik")
    const node = registry.serve(nodeContainer({ name, token, gatewayApi, router })).asService({
      useEntrypoint: true,
      args: ["server", `--node-name=${name}`, ...serverFlags, ...flags],
      insecureRootCapabilities: true,
      // It makes room for pods among the control groups only as the first process.
      noInit: true,
    })
    const cluster = new ThrowAwayCluster(name, await node.start(), registry, reach, token)
    try {
      await cluster.ready()
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  /**
   * A kubeconfig with all rights.
   *
   * @param server from where it is used; if not given, from here. It is `https://ALIAS:6443` from a container that the service is bound to
   */
  async kubeconfig(server?: string): Promise<string> {
    return kubeconfigOf(this.name, server ?? `https://${await this.api()}`, this.token)
  }

  /** The same for a container or a function that takes a Secret. */
  async secret(server?: string): Promise<Secret> {
    return dag.setSecret(`kubeconfig-${this.name}`, await this.kubeconfig(server))
  }

  /** Where the API server is reached from here: `host:port`. */
  api(): Promise<string> {
    return this.reach(this.service, apiPort)
  }

  /** Where the router is reached from here. */
  async router(): Promise<string> {
    return `http://${await this.reach(this.service, gateway.port)}`
  }

  /** Ends it and all that runs in it. The registry, which may have other users, stays. */
  async stop(): Promise<void> {
    await this.service.stop({ kill: true })
  }

  private async ready(): Promise<void> {
    const kubernetes = await KubernetesClient.connect(await this.kubeconfig())
    const deadline = Date.now() + patience * 1_000
    for (;;) {
      const missing = whatIsMissing({
        nodes: await kubernetes.list("v1", "Node", ""),
        dns: await kubernetes.list(
          "discovery.k8s.io/v1",
          "EndpointSlice",
          "kube-system",
          "kubernetes.io/service-name=kube-dns",
        ),
        gateway: await kubernetes.read({
          apiVersion: "gateway.networking.k8s.io/v1",
          kind: "Gateway",
          metadata: { namespace: gateway.namespace, name: gateway.name },
        }),
      })
      if (missing.length === 0) return
      if (Date.now() > deadline) {
        throw new Error(`the cluster ${this.name} is not up after ${patience} s: ${missing.join("; ")}`)
      }
      await pause(250)
    }
  }
}

// What k3s brings along and the pipeline does not use, or brings itself.
const serverFlags = [
  "--disable=traefik,servicelb,metrics-server,local-storage",
  "--disable-network-policy",
  // One node needs no tunnel, and not every machine's kernel has one.
  "--flannel-backend=host-gw",
  `--kube-apiserver-arg=token-auth-file=${tokens}`,
  // The node takes pods as soon as it is ready, and not up to five seconds later.
  "--kube-controller-manager-arg=node-monitor-period=1s",
  // Its dozens of controllers all ask at its start, and would wait for each other at 20 requests a second.
  "--kube-controller-manager-arg=kube-api-qps=500",
  "--kube-controller-manager-arg=kube-api-burst=500",
]

function nodeContainer(wanted: { name: string; token: string; gatewayApi: File; router: string }): Container {
  const { name, token, gatewayApi, router } = wanted
  const manifests = dag
    .directory()
    .withFile("1-gateway-api.yaml", gatewayApi)
    .withNewFile(
      "2-router.yaml",
      routerObjects(router)
        .map((object) => stringify(object, { aliasDuplicateObjects: false }))
        .join("---\n"),
    )
  return (
    dag
      .container()
      .from(images.k3s)
      // In memory: containerd's layers cannot lie on those of a container, and nothing is to stay. A mount hides what is below it, so these are narrow.
      .withMountedTemp(`${state}/agent/containerd`)
      .withMountedTemp(`${state}/server/db`)
      .withMountedTemp("/var/lib/kubelet")
      .withDirectory(`${state}/server/manifests`, manifests)
      .withMountedSecret(tokens, dag.setSecret(`tokens-${name}`, `${token},admin,admin,"system:masters"\n`))
      .withExposedPort(apiPort)
      // It listens once the node has pulled it, which `ready` waits for.
      .withExposedPort(gateway.port, { experimentalSkipHealthcheck: true })
  )
}

// Of a cluster that lives for one run and that only this run can reach: no secret.
const tokenOf = (name: string) => `throw-away-token-of-${name}`

/**
 * The kubeconfig of a cluster that goes by this name. Its certificate is made at its start, so it is known by its address alone.
 *
 * @param token whose rights it has; if not given, that of a cluster that got none of its own
 */
export function kubeconfigOf(name: string, server: string, token = tokenOf(name)): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    "current-context": name,
  })
}

interface Condition {
  type: string
  status: string
  message?: string
}

/** Why a cluster is not up yet; nothing, if it is. */
export function whatIsMissing(seen: {
  nodes: KubernetesObject[]
  dns: KubernetesObject[]
  gateway: KubernetesObject | undefined
}): string[] {
  const trouble = [
    nodeTrouble(seen.nodes),
    seen.dns.some(
      ({ endpoints = [] }: KubernetesObject & { endpoints?: { conditions: { ready?: boolean } }[] }) =>
        endpoints.some(({ conditions }) => conditions.ready),
    )
      ? undefined
      : "DNS: no server is ready",
    conditionTrouble("router", seen.gateway, "Programmed"),
  ]
  return trouble.filter((reason) => reason !== undefined)
}

function nodeTrouble([node]: KubernetesObject[]): string | undefined {
  const taints = (node?.spec?.taints ?? []) as { key: string }[]
  return (
    conditionTrouble("node", node, "Ready") ??
    (taints.length > 0 ? `node: it has the taint ${taints.map(({ key }) => key).join(", ")}` : undefined)
  )
}

function conditionTrouble(
  what: string,
  thing: KubernetesObject | undefined,
  type: string,
): string | undefined {
  if (!thing) return `${what}: there is none`
  const conditions = (thing.status?.conditions ?? []) as Condition[]
  const condition = conditions.find((one) => one.type === type)
  if (condition?.status === "True") return undefined
  const message = condition?.message ?? ""
  return `${what}: ${message === "" ? `not ${type}` : message}`
}
