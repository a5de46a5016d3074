import type { KubeConfig, KubernetesObject } from "@kubernetes/client-node"

/** What the API server answered to a request that it refused. */
export class ApiError extends Error {
  override name = "ApiError"
  constructor(
    readonly status: number,
    readonly reason: string,
    message: string,
  ) {
    super(message)
  }
}

/** Anything that an API server keeps. */
export type Thing = KubernetesObject & {
  spec?: Record<string, unknown>
  data?: Record<string, string>
  status?: Record<string, unknown>
}

interface Asking {
  query?: Record<string, string>
  body?: unknown
  contentType?: string
  /** Milliseconds. */
  timeout?: number
}

/** Where each kind lives; what is not here, the pipeline does not touch. */
const kinds: Record<string, { plural: string; clusterWide?: true }> = {
  ClusterRole: { plural: "clusterroles", clusterWide: true },
  ClusterRoleBinding: { plural: "clusterrolebindings", clusterWide: true },
  ConfigMap: { plural: "configmaps" },
  CustomResourceDefinition: { plural: "customresourcedefinitions", clusterWide: true },
  Deployment: { plural: "deployments" },
  EndpointSlice: { plural: "endpointslices" },
  Event: { plural: "events" },
  Gateway: { plural: "gateways" },
  GatewayClass: { plural: "gatewayclasses", clusterWide: true },
  HorizontalPodAutoscaler: { plural: "horizontalpodautoscalers" },
  HTTPRoute: { plural: "httproutes" },
  Job: { plural: "jobs" },
  Lease: { plural: "leases" },
  Namespace: { plural: "namespaces", clusterWide: true },
  NetworkPolicy: { plural: "networkpolicies" },
  Node: { plural: "nodes", clusterWide: true },
  PersistentVolumeClaim: { plural: "persistentvolumeclaims" },
  Pod: { plural: "pods" },
  PodDisruptionBudget: { plural: "poddisruptionbudgets" },
  Role: { plural: "roles" },
  RoleBinding: { plural: "rolebindings" },
  Secret: { plural: "secrets" },
  SelfSubjectReview: { plural: "selfsubjectreviews", clusterWide: true },
  Service: { plural: "services" },
  ServiceAccount: { plural: "serviceaccounts" },
}

export const fieldManager = "pitwall"

/** Milliseconds before each further try of a request that found no API server, or one that is busy. */
const delays = [200, 500, 1_000, 2_000, 4_000, 8_000]
const busy = [429, 500, 502, 503, 504]

/** A Kubernetes API, asked with the rights of a kubeconfig and nothing else. */
export class Kubernetes {
  private offset = 0

  private constructor(
    private readonly library: typeof import("@kubernetes/client-node"),
    private readonly config: KubeConfig,
    private readonly pause: (milliseconds: number) => Promise<unknown>,
  ) {}

  /**
   * @param kubeconfig its text
   * @throws Error when it is no kubeconfig, or names no cluster
   */
  static async connect(
    kubeconfig: string,
    pause = (milliseconds: number): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, milliseconds)),
  ): Promise<Kubernetes> {
    const library = await import("@kubernetes/client-node")
    const config = new library.KubeConfig()
    try {
      config.loadFromString(kubeconfig)
    } catch {
      // The parser's own words quote the text, which holds keys.
      throw new Error("the kubeconfig cannot be read: it is no YAML document of kind Config")
    }
    if (!config.getCurrentCluster()) {
      throw new Error("the kubeconfig names no cluster: `current-context` must name one of its contexts")
    }
    return new Kubernetes(library, config, pause)
  }

  /** Milliseconds by the API server's clock: the one that all operators share. */
  now(): number {
    return Date.now() + this.offset
  }

  /** Who the API server takes this kubeconfig for. */
  async whoAmI(): Promise<string> {
    const review = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" }
    const { status } = await this.create(review)
    const name = (status as { userInfo?: { username?: string } } | undefined)?.userInfo?.username
    if (name === undefined) throw new Error("the API server does not say who it takes this kubeconfig for")
    return name
  }

  /** An object as it is, or nothing. */
  async read(thing: Thing): Promise<Thing | undefined> {
    try {
      return (await this.json("GET", addressOf(thing))) as Thing
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined
      throw error
    }
  }

  /** @param selector labels, as `a=b,c` */
  async list(apiVersion: string, kind: string, namespace: string, selector = ""): Promise<Thing[]> {
    const address = collectionOf({ apiVersion, kind, metadata: { namespace } })
    const query = selector === "" ? {} : { labelSelector: selector }
    const { items } = (await this.json("GET", address, { query })) as { items: Thing[] }
    return items.map((item) => ({ ...item, apiVersion, kind }))
  }

  /** Server-side apply: these fields are ours. With `dryRun`, what would come of it. */
  async apply(thing: Thing, { dryRun = false } = {}): Promise<Thing> {
    const query = { fieldManager, force: "true", ...(dryRun && { dryRun: "All" }) }
    const contentType = "application/apply-patch+yaml"
    return (await this.json("PATCH", addressOf(thing), { query, body: thing, contentType })) as Thing
  }

  /** @throws ApiError with status 409 where it is there already */
  async create(thing: Thing): Promise<Thing> {
    return (await this.json("POST", collectionOf(thing), { query: { fieldManager }, body: thing })) as Thing
  }

  /**
   * Merges fields into an object.
   *
   * @throws ApiError with status 409 when the patch names a resourceVersion and the object has moved on
   */
  async merge(thing: Thing, patch: object): Promise<Thing> {
    const contentType = "application/merge-patch+json"
    return (await this.json("PATCH", addressOf(thing), { query: { fieldManager }, body: patch, contentType })) as Thing
  }

  /** Deletes an object and what belongs to it; one that is not there is deleted already. */
  async delete(thing: Thing): Promise<void> {
    try {
      await this.json("DELETE", addressOf(thing), { query: { propagationPolicy: "Background" } })
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error
    }
  }

  /** The last lines that a container of a pod wrote. */
  async logs(namespace: string, pod: string, { previous = false, lines = 10 } = {}): Promise<string> {
    const query = { tailLines: String(lines), ...(previous && { previous: "true" }) }
    return (await this.send("GET", `/api/v1/namespaces/${namespace}/pods/${pod}/log`, { query })).text
  }

  /**
   * Asks a pod or a Service of the cluster, by way of the API server: from anywhere that the kubeconfig works.
   *
   * @param name with its port, as `api-3:8000`
   * @returns whatever was answered, refusals included
   */
  async proxy(
    kind: "pods" | "services",
    namespace: string,
    name: string,
    path: string,
    timeout = 10_000,
  ): Promise<{ status: number; text: string }> {
    const [bare = "", search = ""] = path.split("?")
    const address = `/api/v1/namespaces/${namespace}/${kind}/${name}/proxy${bare}`
    return this.once("GET", address, { timeout, query: Object.fromEntries(new URLSearchParams(search)) })
  }

  private async json(method: string, address: string, asking: Asking = {}): Promise<unknown> {
    return JSON.parse((await this.send(method, address, asking)).text) as unknown
  }

  /** Tries again while no API server answers: it restarts, and what is asked here may be asked twice. */
  private async send(method: string, address: string, asking: Asking): Promise<{ status: number; text: string }> {
    for (const [at, delay] of [...delays, undefined].entries()) {
      let trouble: Error
      try {
        const answer = await this.once(method, address, asking)
        if (answer.status < 300) return answer
        trouble = apiError(method, address, answer)
        if (!busy.includes(answer.status)) {
          // A creation whose answer was lost has happened all the same.
          if (method === "POST" && answer.status === 409 && at > 0) return this.once("GET", named(address, asking), {})
          throw trouble
        }
      } catch (error) {
        if (error instanceof ApiError) throw error
        trouble = new Error(`the API server cannot be reached: ${causeOf(error)}`, { cause: error })
      }
      if (delay === undefined) throw trouble
      await this.pause(delay)
    }

  }

  private async once(
    method: string,
    address: string,
    { query = {}, body, contentType = "application/json", timeout = 15_000 }: Asking,
  ): Promise<{ status: number; text: string }> {
    const { RequestContext, IsomorphicFetchHttpLibrary } = this.library
    const server = this.config.getCurrentCluster()?.server ?? ""
    const url = new URL(server.replace(/\/$/, "") + address)
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    const request = new RequestContext(url.href, method as never)
    request.setSignal(AbortSignal.timeout(timeout))
    if (body !== undefined) {
      request.setHeaderParam("Content-Type", contentType)
      request.setBody(JSON.stringify(body))
    }
    await this.config.applySecurityAuthentication(request)
    const answer = await new IsomorphicFetchHttpLibrary().send(request).toPromise()
    const text = await answer.body.text()
    const date = Date.parse(answer.headers["date"] ?? "")
    // The header is cut to the second: on the average half a second has passed since.
    if (!Number.isNaN(date)) this.offset = date + 500 - Date.now()
    return { status: answer.httpStatusCode, text }
  }
}

function addressOf(thing: Thing): string {
  const name = thing.metadata?.name
  if (name === undefined) throw new Error(`a ${thing.kind ?? "thing"} without a name has no address`)
  return `${collectionOf(thing)}/${name}`
}

function collectionOf({ apiVersion = "", kind = "", metadata }: Thing): string {
  const known = kinds[kind]
  if (!known) throw new Error(`the pipeline does not know the kind ${kind}`)
  const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  if (known.clusterWide) return `${group}/${known.plural}`
  if (metadata?.namespace === undefined) throw new Error(`a ${kind} without a namespace has no address`)
  return `${group}/namespaces/${metadata.namespace}/${known.plural}`
}

const named = (collection: string, { body }: Asking) => `${collection}/${(body as Thing).metadata?.name ?? ""}`

function apiError(method: string, address: string, { status, text }: { status: number; text: string }): ApiError {
  let said: { reason?: string; message?: string } = {}
  try {
    said = JSON.parse(text) as typeof said
  } catch {
    said = { message: text.slice(0, 300) }
  }
  return new ApiError(status, said.reason ?? "", `${method} ${address}: ${status} ${said.message ?? ""}`)
}

function causeOf(error: unknown): string {
  const { cause, message } = error as Error
  return cause instanceof Error ? cause.message : message
}
