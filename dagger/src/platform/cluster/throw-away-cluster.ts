import { dag, type Container, type File, type Secret, type Service } from "@dagger.io/dagger"
import { stringify } from "yaml"
import { images } from "../base-images.js"
import { KubernetesClient, type KubernetesObject } from "../../clients/kubernetes/client.js"
import { ThrowAwayRegistry } from "./throw-away-registry.js"
import { monotonic } from "../../lib/clock.js"
import { gateway, routerObjects } from "./router.js"

export interface ThrowAwayClusterOptions {
  /** Unique name, also of its node: the engine runs equal services once, and two users must not share a cluster. */
  name: string
  /** `dagger/config/kubernetes/gateway-api.yaml`. */
  gatewayApi: File
  /** The registry of its pods' images. Clusters may share one. */
  registry: ThrowAwayRegistry
  /** Token with all rights. The default follows from the name, which is enough while only this run can reach the cluster. */
  token?: string
  /** Further flags of `k3s server`. */
  flags?: string[]
  /** Resolves its endpoints; needed outside a function of a module. */
  resolveEndpoint?: ResolveEndpoint
}

/** Returns the address of a port of a running service for this process: `host:port`. */
export type ResolveEndpoint = (service: Service, port: number) => Promise<string>

/** Works in a function of a module. */
const fromModule: ResolveEndpoint = (service, port) => service.endpoint({ port })

export const apiPort = 6443

/** Seconds until a started cluster must be ready. */
const startupLimit = 180
const state = "/var/lib/rancher/k3s"
const tokens = "/etc/rancher/k3s/tokens.csv"

/** A Kubernetes cluster of one node with DNS and a router for weighted traffic. It lives for one run and leaves nothing behind. */
export class ThrowAwayCluster {
  private constructor(
    readonly name: string,
    /** Listens on {@link apiPort} and the port of the gateway. */
    readonly service: Service,
    readonly registry: ThrowAwayRegistry,
    private readonly resolveEndpoint: ResolveEndpoint,
    private readonly token: string,
  ) {}

  /**
   * Starts a cluster, and waits until its node accepts pods, DNS answers and the router is ready. Images are pulled before the limit begins.
   *
   * @throws Error with what is missing three minutes after the start
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
        `${JSON.stringify(name)} is not the name of a cluster; allowed: at most 63 lower-case letters and digits, with "-" between them`,
      )
    }
    const router = await registry.publish(dag.container().from(images.traefik), "traefik")
    const node = registry.serve(nodeContainer({ name, token, gatewayApi, router })).asService({
      useEntrypoint: true,
      args: ["server", `--node-name=${name}`, ...serverFlags, ...flags],
      insecureRootCapabilities: true,
      // k3s sets up control groups for pods only as the first process.
      noInit: true,
    })
    const cluster = new ThrowAwayCluster(name, await node.start(), registry, reach, token)
    try {
      await cluster.waitUntilReady()
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  /**
   * A kubeconfig with all rights.
   *
   * @param server address of the API server; this process's by default, `https://ALIAS:6443` in a container that the service is bound to
   */
  async kubeconfig(server?: string): Promise<string> {
    return kubeconfigOf(this.name, server ?? `https://${await this.api()}`, this.token)
  }

  /** The kubeconfig as a Secret. */
  async secret(server?: string): Promise<Secret> {
    return dag.setSecret(`kubeconfig-${this.name}`, await this.kubeconfig(server))
  }

  /** Address of the API server for this process: `host:port`. */
  api(): Promise<string> {
    return this.resolveEndpoint(this.service, apiPort)
  }

  /** URL of the router for this process. */
  async router(): Promise<string> {
    return `http://${await this.resolveEndpoint(this.service, gateway.port)}`
  }

  /** Stops the cluster. The registry may have other users and keeps running. */
  async stop(): Promise<void> {
    await this.service.stop({ kill: true })
  }

  private async waitUntilReady(): Promise<void> {
    const kubernetes = await KubernetesClient.connect(await this.kubeconfig())
    const deadline = monotonic.now() + startupLimit * 1_000
    for (;;) {
      const missing = missingParts({
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
      if (monotonic.now() > deadline) {
        throw new Error(
          `the cluster ${this.name} is not ready after ${startupLimit} s: ${missing.join("; ")}`,
        )
      }
      await monotonic.pause(250)
    }
  }
}

// Parts of k3s that the pipeline does not use, or installs itself.
const serverFlags = [
  "--disable=traefik,servicelb,metrics-server,local-storage",
  "--disable-network-policy",
  // One node needs no tunnel, and not every kernel has one.
  "--flannel-backend=host-gw",
  `--kube-apiserver-arg=token-auth-file=${tokens}`,
  // Otherwise the node accepts pods up to five seconds after it is ready.
  "--kube-controller-manager-arg=node-monitor-period=1s",
  // At the default of 20 requests a second, the controllers would wait for each other at the start.
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
      // In memory, because containerd cannot stack its layers on those of a container. Each mount hides what is below it, so they are narrow.
      .withMountedTemp(`${state}/agent/containerd`)
      .withMountedTemp(`${state}/server/db`)
      .withMountedTemp("/var/lib/kubelet")
      .withDirectory(`${state}/server/manifests`, manifests)
      .withMountedSecret(tokens, dag.setSecret(`tokens-${name}`, `${token},admin,admin,"system:masters"\n`))
      .withExposedPort(apiPort)
      // The router listens only after the node has pulled it; `waitUntilReady` waits for that.
      .withExposedPort(gateway.port, { experimentalSkipHealthcheck: true })
  )
}

// It protects nothing: the cluster lives for one run, and only this run can reach it.
const tokenOf = (name: string) => `throw-away-token-of-${name}`

/**
 * Writes the kubeconfig of a cluster. The cluster creates its certificate at the start, so the certificate is not checked.
 *
 * @param token by default that of a cluster without a token of its own
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

/** Lists why a cluster is not ready; empty if it is. */
export function missingParts(state: {
  nodes: KubernetesObject[]
  dns: KubernetesObject[]
  gateway: KubernetesObject | undefined
}): string[] {
  const missing = [
    nodeProblem(state.nodes),
    state.dns.some(
      ({ endpoints = [] }: KubernetesObject & { endpoints?: { conditions: { ready?: boolean } }[] }) =>
        endpoints.some(({ conditions }) => conditions.ready),
    )
      ? undefined
      : "DNS: no server is ready",
    conditionProblem("router", state.gateway, "Programmed"),
  ]
  return missing.filter((reason) => reason !== undefined)
}

function nodeProblem([node]: KubernetesObject[]): string | undefined {
  const taints = (node?.spec?.taints ?? []) as { key: string }[]
  return (
    conditionProblem("node", node, "Ready") ??
    (taints.length > 0 ? `node: has the taint ${taints.map(({ key }) => key).join(", ")}` : undefined)
  )
}

function conditionProblem(
  what: string,
  object: KubernetesObject | undefined,
  type: string,
): string | undefined {
  if (!object) return `${what}: missing`
  const conditions = (object.status?.conditions ?? []) as Condition[]
  const condition = conditions.find((one) => one.type === type)
  if (condition?.status === "True") return undefined
  const message = condition?.message ?? ""
  return `${what}: ${message === "" ? `not ${type}` : message}`
}
