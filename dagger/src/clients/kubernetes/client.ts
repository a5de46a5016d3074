import http from "node:http"
import https from "node:https"
import { setTimeout as sleep } from "node:timers/promises"
import type { Manifest } from "./manifest.js"
import { type Connection, readKubeconfig } from "./kubeconfig.js"

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

/** No API server answered, or none that could do its work, for as long as a request is tried. */
export class UnreachableError extends Error {
  override name = "Unreachable"
}

/** Anything that an API server keeps. */
export type KubernetesObject = Manifest & {
  spec?: Record<string, unknown>
  data?: Record<string, string>
  status?: Record<string, unknown>
}

interface RequestOptions {
  query?: Record<string, string>
  body?: unknown
  contentType?: string
  /** Milliseconds. */
  timeout?: number
  /** Fires when nobody waits any longer. */
  signal?: AbortSignal
}

interface ApiResponse {
  status: number
  text: string
  /** When it was given, by whoever gave it. */
  date: number
}

/** Where each kind lives; what is not here, the pipeline does not touch. */
const kinds: Record<string, { plural: string; clusterWide?: true }> = {
  AnalysisTemplate: { plural: "analysistemplates" },
  Canary: { plural: "canaries" },
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
  IngressRoute: { plural: "ingressroutes" },
  Job: { plural: "jobs" },
  Lease: { plural: "leases" },
  MetricTemplate: { plural: "metrictemplates" },
  Namespace: { plural: "namespaces", clusterWide: true },
  NetworkPolicy: { plural: "networkpolicies" },
  Node: { plural: "nodes", clusterWide: true },
  PersistentVolumeClaim: { plural: "persistentvolumeclaims" },
  Pod: { plural: "pods" },
  PodDisruptionBudget: { plural: "poddisruptionbudgets" },
  Role: { plural: "roles" },
  RoleBinding: { plural: "rolebindings" },
  Rollout: { plural: "rollouts" },
  Secret: { plural: "secrets" },
  SelfSubjectReview: { plural: "selfsubjectreviews", clusterWide: true },
  Service: { plural: "services" },
  ServiceAccount: { plural: "serviceaccounts" },
  TraefikService: { plural: "traefikservices" },
}

export const fieldManager = "pitwall"

/** Milliseconds before each further try of a request that found no API server, or one that is busy. */
const delays = [200, 500, 1_000, 2_000, 4_000, 8_000]
const busy = [429, 500, 502, 503, 504]

/** What a {@link KubernetesClient} can be asked. */
export type KubernetesApi = Pick<KubernetesClient, keyof KubernetesClient>

/** A Kubernetes API, asked with the rights of a kubeconfig and nothing else. */
// Of @kubernetes/client-node only the types: its client tries nothing again, and does not tell the server's time, by which all operators go.
export class KubernetesClient {
  private offset = 0
  private readonly agent: http.Agent

  private constructor(
    private readonly access: Connection,
    private readonly pause: (milliseconds: number) => Promise<unknown>,
  ) {
    const { server, tls } = access
    // Idle connections are kept, and keep nothing alive.
    this.agent =
      server.protocol === "https:"
        ? new https.Agent({ ...tls, keepAlive: true })
        : new http.Agent({ keepAlive: true })
  }

  /**
   * @param kubeconfig its text
   * @param means a token of somebody else than the kubeconfig's user, and how to wait before a further try
   * @throws Error when it is no kubeconfig, names no cluster, or needs more than itself
   */
  // A promise, so that all refusals of this class come the same way.
  static connect(
    kubeconfig: string,
    { token, pause = sleep }: { token?: string; pause?: (milliseconds: number) => Promise<unknown> } = {},
  ): Promise<KubernetesClient> {
    return Promise.resolve().then(() => new KubernetesClient(readKubeconfig(kubeconfig, token), pause))
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
  async read(thing: KubernetesObject): Promise<KubernetesObject | undefined> {
    try {
      return (await this.json("GET", addressOf(thing))) as KubernetesObject
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined
      throw error
    }
  }

  /** @param selector labels, as `a=b,c` */
  async list(
    apiVersion: string,
    kind: string,
    namespace: string,
    selector = "",
  ): Promise<KubernetesObject[]> {
    const address = collectionOf({ apiVersion, kind, metadata: { namespace } })
    const query = selector === "" ? undefined : { labelSelector: selector }
    const { items } = (await this.json("GET", address, { ...(query && { query }) })) as {
      items: KubernetesObject[]
    }
    return items.map((item) => ({ ...item, apiVersion, kind }))
  }

  /** Server-side apply: these fields are ours. With `dryRun`, what would come of it. */
  async apply(thing: KubernetesObject, { dryRun = false } = {}): Promise<KubernetesObject> {
    const query = { fieldManager, force: "true", ...(dryRun && { dryRun: "All" }) }
    const contentType = "application/apply-patch+yaml"
    return (await this.json("PATCH", addressOf(thing), {
      query,
      body: thing,
      contentType,
    })) as KubernetesObject
  }

  /** @throws ApiError with status 409 where it is there already */
  async create(thing: KubernetesObject): Promise<KubernetesObject> {
    return (await this.json("POST", collectionOf(thing), {
      query: { fieldManager },
      body: thing,
    })) as KubernetesObject
  }

  /**
   * Merges fields into an object.
   *
   * @throws ApiError with status 409 when the patch names a resourceVersion and the object has moved on
   */
  async merge(thing: KubernetesObject, patch: object): Promise<KubernetesObject> {
    const contentType = "application/merge-patch+json"
    return (await this.json("PATCH", addressOf(thing), {
      query: { fieldManager },
      body: patch,
      contentType,
    })) as KubernetesObject
  }

  /** Deletes an object and what belongs to it; one that is not there is deleted already. */
  async delete(thing: KubernetesObject): Promise<void> {
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
   * @param name with its port, as `api-3:8000`; without one, the first that a pod has
   * @returns whatever was answered, refusals included
   * @throws Error when nothing was answered
   */
  async proxy(
    kind: "pods" | "services",
    namespace: string,
    name: string,
    path: string,
    timeout = 10_000,
    signal?: AbortSignal,
  ): Promise<{ status: number; text: string }> {
    const [bare = "", search = ""] = path.split("?")
    const address = `/api/v1/namespaces/${namespace}/${kind}/${name}/proxy${bare}`
    const query = Object.fromEntries(new URLSearchParams(search))
    // Its date is that of who was asked, and not the API server's.
    const { status, text } = await this.once("GET", address, { timeout, query, ...(signal && { signal }) })
    return { status, text }
  }

  private async json(method: string, address: string, asking: RequestOptions = {}): Promise<unknown> {
    return JSON.parse((await this.send(method, address, asking)).text) as unknown
  }

  /** Tries again while no API server answers: it restarts, and what is asked here may be asked twice. */
  private async send(method: string, address: string, asking: RequestOptions): Promise<ApiResponse> {
    for (let tried = 0; ; tried++) {
      const trouble = await this.attempt(method, address, asking, tried > 0)
      if (!(trouble instanceof Error)) return trouble
      const delay = delays[tried]
      if (delay === undefined) throw trouble
      await this.pause(delay)
    }
  }

  /**
   * @returns the answer, or why it may be asked again
   * @throws ApiError when it was refused
   */
  private async attempt(
    method: string,
    address: string,
    asking: RequestOptions,
    again: boolean,
  ): Promise<ApiResponse | UnreachableError> {
    let answer: ApiResponse
    try {
      answer = await this.once(method, address, asking)
      // One that has just started refuses everybody until it has read who may do what: only a ready one's refusal is final.
      if (answer.status === 403) {
        const { status } = await this.once("GET", "/readyz", {})
        if (status !== 200) {
          const refusal = apiError(method, address, answer)
          const why = `${refusal.message}; nor is the API server known to be ready: /readyz answered ${status}`
          return new UnreachableError(why, { cause: refusal })
        }
        answer = await this.once(method, address, asking)
      }
    } catch (error) {
      return new UnreachableError(`the API server cannot be reached: ${(error as Error).message}`, {
        cause: error,
      })
    }
    // The header is cut to the second: on the average half a second has passed since.
    if (!Number.isNaN(answer.date)) this.offset = answer.date + 500 - Date.now()
    if (answer.status < 300) return answer
    const refusal = apiError(method, address, answer)
    if (busy.includes(answer.status)) return new UnreachableError(refusal.message, { cause: refusal })
    // A creation whose answer was lost has happened all the same; but so may somebody else's.
    const made = method === "POST" && answer.status === 409 && again
    const live = made ? await this.once("GET", named(address, asking), {}) : undefined
    if (live?.status === 200 && holds(JSON.parse(live.text), asking.body)) return live
    throw refusal
  }

  private async once(method: string, address: string, asking: RequestOptions): Promise<ApiResponse> {
    const { query = {}, body, contentType = "application/json", timeout = 15_000, signal } = asking
    const { server, headers } = this.access
    const url = new URL(server.href.replace(/\/$/, "") + address)
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    const late = AbortSignal.timeout(timeout)
    const content = body === undefined ? undefined : JSON.stringify(body)
    return exchange(url, content, {
      method,
      agent: this.agent,
      signal: signal ? AbortSignal.any([signal, late]) : late,
      headers: {
        ...headers,
        Accept: "application/json",
        "User-Agent": fieldManager,
        ...(content !== undefined && {
          "Content-Type": contentType,
          "Content-Length": Buffer.byteLength(content),
        }),
      },
    })
  }
}

/** One request. A kept connection that the other side has closed meanwhile is no answer: it is asked again on a new one. */
function exchange(url: URL, body: string | undefined, options: http.RequestOptions): Promise<ApiResponse> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => {
      if (request.reusedSocket && (error as NodeJS.ErrnoException).code === "ECONNRESET") {
        resolve(exchange(url, body, options))
      } else {
        reject(causeOf(error))
      }
    }
    const request = (url.protocol === "https:" ? https : http).request(url, options, (response) => {
      const parts: Buffer[] = []
      response.on("data", (part: Buffer) => parts.push(part))
      response.on("error", failed)
      response.on("end", () => {
        const { statusCode: status = 0, headers } = response
        resolve({ status, text: Buffer.concat(parts).toString(), date: Date.parse(headers.date ?? "") })
      })
    })
    request.on("error", failed)
    request.end(body)
  })
}

/** Whether an object has all that another one has; the API server adds defaults. */
function holds(found: unknown, wanted: unknown): boolean {
  if (typeof wanted !== "object" || wanted === null) return found === wanted
  if (typeof found !== "object" || found === null) return false
  return Object.entries(wanted).every(([key, value]) => holds((found as Record<string, unknown>)[key], value))
}

function addressOf(thing: KubernetesObject): string {
  const name = thing.metadata?.name
  if (name === undefined) throw new Error(`a ${thing.kind ?? "thing"} without a name has no address`)
  return `${collectionOf(thing)}/${name}`
}

function collectionOf({ apiVersion = "", kind = "", metadata }: KubernetesObject): string {
  const known = kinds[kind]
  if (!known) throw new Error(`the pipeline does not know the kind ${kind}`)
  const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  if (known.clusterWide) return `${group}/${known.plural}`
  if (metadata?.namespace === undefined) throw new Error(`a ${kind} without a namespace has no address`)
  return `${group}/namespaces/${metadata.namespace}/${known.plural}`
}

const named = (collection: string, { body }: RequestOptions) =>
  `${collection}/${(body as KubernetesObject).metadata?.name ?? ""}`

function apiError(
  method: string,
  address: string,
  { status, text }: { status: number; text: string },
): ApiError {
  let said: { reason?: string; message?: string } = {}
  try {
    said = JSON.parse(text) as typeof said
  } catch {
    said = { message: text.slice(0, 300) }
  }
  return new ApiError(status, said.reason ?? "", `${method} ${address}: ${status} ${said.message ?? ""}`)
}

/** What was wrong, and not merely that something was: several addresses may each have refused. */
function causeOf(error: Error): Error {
  const [first] = error instanceof AggregateError ? (error.errors as Error[]) : []
  if (first) return first
  return error.name === "AbortError" && error.cause instanceof Error ? error.cause : error
}
