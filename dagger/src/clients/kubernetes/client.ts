import http from "node:http"
import https from "node:https"
import { setTimeout as sleep } from "node:timers/promises"
import type { Manifest } from "./manifest.js"
import { type ClusterConnection, readKubeconfig } from "./kubeconfig.js"

/** The API server refused a request. */
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

/** No API server answered, or only one that was not ready, until the last retry. */
export class UnreachableError extends Error {
  override name = "UnreachableError"
}

/** An object as the API server returns it. */
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
  signal?: AbortSignal
}

interface ApiResponse {
  status: number
  text: string
  /** The Date header in milliseconds since the epoch; NaN without one. */
  date: number
  /** The request was sent twice, because the connection broke before the first answer. */
  resent: boolean
}

/** Where the API server keeps the objects of a kind. */
interface Resource {
  plural: string
  namespaced: boolean
}
/** By kind. */
type Resources = Map<string, Resource>

export const fieldManager = "pitwall"

/** Milliseconds before each retry of a request that reached no API server, or a busy one. */
const delays = [200, 500, 1_000, 2_000, 4_000, 8_000]
const busy = [429, 500, 502, 503, 504]

/** Objects that one page of a list has. */
const pageSize = 500

interface ListPage {
  items: KubernetesObject[]
  metadata?: { continue?: string }
}

/** The operations of a {@link KubernetesClient}; tests implement them with a fake API server. */
export type KubernetesApi = Pick<KubernetesClient, keyof KubernetesClient>

/** A client of the Kubernetes API with the rights of one kubeconfig. */
// @kubernetes/client-node only provides types: version 2 cannot be loaded by Node.js 20, where the unit tests run, and drops fields that it does not know.
// It also neither retries while an API server restarts nor passes on the server's time, and loading it takes longer than a whole cached call may.
export class KubernetesClient {
  private offset = 0
  private readonly agent: http.Agent
  /** By group and version. */
  private readonly resources = new Map<string, Promise<Resources>>()

  private constructor(
    private readonly connection: ClusterConnection,
    private readonly pause: (milliseconds: number) => Promise<unknown>,
  ) {
    const { server, tls } = connection
    this.agent =
      server.protocol === "https:"
        ? new https.Agent({ ...tls, keepAlive: true })
        : new http.Agent({ keepAlive: true })
  }

  /**
   * @param kubeconfig its text
   * @param options.token used instead of the credentials of the kubeconfig's user
   * @param options.fromContainer the kubeconfig comes from outside the container that this code runs in, so a loopback address in it is refused
   * @param options.pause waits before a retry
   * @throws Error if the kubeconfig cannot be read, has no current cluster, or refers to files or commands
   */
  static async connect(
    kubeconfig: string,
    {
      token,
      fromContainer = false,
      pause = sleep,
    }: {
      token?: string
      fromContainer?: boolean
      pause?: (milliseconds: number) => Promise<unknown>
    } = {},
  ): Promise<KubernetesClient> {
    // Errors of the constructor reach the caller as a rejection, as those of requests do.
    await Promise.resolve()
    return new KubernetesClient(readKubeconfig(kubeconfig, { token, fromContainer }), pause)
  }

  /** The API server's time in milliseconds since the epoch. All operators use it, because their own clocks may differ. */
  now(): number {
    return Date.now() + this.offset
  }

  /** The user as whom the API server authenticates this client, and the user's groups. */
  async whoAmI(): Promise<{ name: string; groups: string[] }> {
    const review = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" }
    const { status } = await this.create(review)
    const { userInfo } = (status ?? {}) as { userInfo?: { username?: string; groups?: string[] } }
    if (userInfo?.username === undefined)
      throw new Error("the API server does not say which user this kubeconfig is")
    return { name: userInfo.username, groups: userInfo.groups ?? [] }
  }

  /** @returns the object, or undefined if it does not exist */
  async read(object: KubernetesObject): Promise<KubernetesObject | undefined> {
    try {
      return (await this.json("GET", await this.pathOf(object))) as KubernetesObject
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined
      throw error
    }
  }

  /**
   * Lists objects of a kind, read page by page.
   *
   * @param selector labels, as `a=b,c`
   */
  async list(
    apiVersion: string,
    kind: string,
    namespace: string,
    selector = "",
  ): Promise<KubernetesObject[]> {
    const path = await this.collectionOf({ apiVersion, kind, metadata: { namespace } })
    const query = { limit: String(pageSize), ...(selector !== "" && { labelSelector: selector }) }
    const found: KubernetesObject[] = []
    for (let token = ""; ;) {
      const page = await this.page(path, { ...query, ...(token !== "" && { continue: token }) })
      // The snapshot that the pages come from has expired: the list is read anew.
      if (page === "expired") found.length = 0
      else found.push(...page.items.map((item) => ({ ...item, apiVersion, kind })))
      token = page === "expired" ? "" : (page.metadata?.continue ?? "")
      if (page !== "expired" && token === "") return found
    }
  }

  private async page(path: string, query: Record<string, string>): Promise<ListPage | "expired"> {
    try {
      return (await this.json("GET", path, { query })) as ListPage
    } catch (error) {
      if (error instanceof ApiError && error.status === 410 && "continue" in query) return "expired"
      throw error
    }
  }

  /**
   * Server-side apply; takes over fields of other managers.
   *
   * @param options.dryRun only returns what the object would become
   */
  async apply(object: KubernetesObject, { dryRun = false } = {}): Promise<KubernetesObject> {
    const query = { fieldManager, force: "true", ...(dryRun && { dryRun: "All" }) }
    const contentType = "application/apply-patch+yaml"
    const path = await this.pathOf(object)
    return (await this.json("PATCH", path, { query, body: object, contentType })) as KubernetesObject
  }

  /** @throws ApiError with status 409 if the object exists and was not created by this very request */
  async create(object: KubernetesObject): Promise<KubernetesObject> {
    const path = await this.collectionOf(object)
    return (await this.json("POST", path, { query: { fieldManager }, body: object })) as KubernetesObject
  }

  /**
   * Merges a patch into an object.
   *
   * @throws ApiError with status 409 if the patch names a resourceVersion and another writer has changed the object since
   */
  async merge(object: KubernetesObject, patch: object): Promise<KubernetesObject> {
    const contentType = "application/merge-patch+json"
    const path = await this.pathOf(object)
    return (await this.json("PATCH", path, {
      query: { fieldManager },
      body: patch,
      contentType,
    })) as KubernetesObject
  }

  /** Deletes an object and its dependents. An object that does not exist counts as deleted. */
  async delete(object: KubernetesObject): Promise<void> {
    try {
      await this.json("DELETE", await this.pathOf(object), { query: { propagationPolicy: "Background" } })
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error
    }
  }

  /**
   * The last lines that a container of a pod wrote, standard output and standard error alike.
   *
   * @param options.container the API server refuses to choose one where a mesh or an agent has injected others
   * @param options.previous those of the process before the present one
   * @param options.lines Infinity: all that the node has kept
   */
  async logs(
    namespace: string,
    pod: string,
    {
      container,
      previous = false,
      lines = 10,
    }: { container?: string; previous?: boolean; lines?: number } = {},
  ): Promise<string> {
    const query = {
      ...(lines !== Infinity && { tailLines: String(lines) }),
      ...(container !== undefined && { container }),
      ...(previous && { previous: "true" }),
    }
    return (await this.send("GET", `/api/v1/namespaces/${namespace}/pods/${pod}/log`, { query })).text
  }

  /**
   * Sends a GET request to a pod or Service through the API server, which works wherever the kubeconfig does. It is not retried.
   *
   * @param name with its port, as `api-3:8000`; without one, the first port of the pod
   * @param timeout milliseconds
   * @returns the answer, also if its status is an error
   * @throws Error if there was no answer
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
    const target = `/api/v1/namespaces/${namespace}/${kind}/${name}/proxy${bare}`
    const query = Object.fromEntries(new URLSearchParams(search))
    // The Date header is the pod's, so it does not set the clock.
    const { status, text } = await this.once("GET", target, { timeout, query, ...(signal && { signal }) })
    return { status, text }
  }

  private async pathOf(object: KubernetesObject): Promise<string> {
    const { kind = "object", metadata } = object
    if (metadata?.name === undefined) throw new Error(`a ${kind} without a name cannot be requested`)
    return `${await this.collectionOf(object)}/${metadata.name}`
  }

  private async collectionOf({ apiVersion = "", kind = "", metadata }: KubernetesObject): Promise<string> {
    const base = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`
    const { plural, namespaced } = (await this.resourceOf(base, kind)) ?? guess(kind, metadata?.namespace)
    if (!namespaced) return `${base}/${plural}`
    if (metadata?.namespace === undefined) {
      throw new Error(`a ${kind} without a namespace cannot be requested`)
    }
    return `${base}/namespaces/${metadata.namespace}/${plural}`
  }

  /**
   * Looks a kind up in what the API server says about its group and version. The answer is kept, and read again for a kind that it lacks: the kind may have
   * been defined since.
   *
   * @returns undefined if the API server does not serve the group at all
   * @throws ApiError with status 404 if it serves the group, but not the kind
   */
  private async resourceOf(base: string, kind: string): Promise<Resource | undefined> {
    const kept = this.resources.get(base)
    const found = kept && (await kept).get(kind)
    if (found) return found
    const kinds = await this.discover(base)
    const resource = kinds.get(kind)
    if (resource || kinds.size === 0) return resource
    throw new ApiError(404, "NotFound", `the API server does not know the kind ${kind} in ${base.slice(1)}`)
  }

  /** @returns resources by kind; none if the API server does not serve the group */
  private discover(base: string): Promise<Resources> {
    const discovered = this.readResources(base)
    // Kept at once, so that parallel requests share one answer.
    this.resources.set(base, discovered)
    discovered.catch(() => this.resources.delete(base))
    return discovered
  }

  private async readResources(base: string): Promise<Resources> {
    try {
      const { resources = [] } = (await this.json("GET", base)) as {
        resources?: { name: string; kind: string; namespaced: boolean }[]
      }
      // Names with a slash are subresources.
      const own = resources.filter(({ name }) => !name.includes("/"))
      return new Map(own.map(({ name, kind, namespaced }) => [kind, { plural: name, namespaced }]))
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return new Map()
      throw error
    }
  }

  private async json(method: string, path: string, options: RequestOptions = {}): Promise<unknown> {
    return JSON.parse((await this.send(method, path, options)).text) as unknown
  }

  /** Retries while no API server answers, for example while it restarts. Every request may be sent twice without harm. */
  private async send(method: string, path: string, options: RequestOptions): Promise<ApiResponse> {
    for (let tried = 0; ; tried++) {
      const result = await this.tryOnce(method, path, options, tried > 0)
      if (!(result instanceof Error)) return result
      const delay = delays[tried]
      if (delay === undefined) throw result
      await this.pause(delay)
    }
  }

  /**
   * @param retried an earlier attempt may have succeeded without an answer
   * @returns the answer, or the reason why the request may be retried
   * @throws ApiError if the request was refused
   */
  private async tryOnce(
    method: string,
    path: string,
    options: RequestOptions,
    retried: boolean,
  ): Promise<ApiResponse | UnreachableError> {
    let response: ApiResponse
    try {
      response = await this.once(method, path, options)
      // An API server that has just started refuses everybody until it has read the roles. Only a refusal by a ready one is final.
      if (response.status === 403) {
        const { status } = await this.once("GET", "/readyz", {})
        if (status !== 200) {
          const refusal = apiError(method, path, response)
          const message = `${refusal.message}; the API server may not be ready: /readyz answered ${status}`
          return new UnreachableError(message, { cause: refusal })
        }
        response = await this.once(method, path, options)
      }
    } catch (error) {
      return new UnreachableError(`the API server cannot be reached: ${(error as Error).message}`, {
        cause: error,
      })
    }
    // The header has no fractions of a second; on average half a second has passed.
    if (!Number.isNaN(response.date)) this.offset = response.date + 500 - Date.now()
    if (response.status < 300) return response
    const refusal = apiError(method, path, response)
    if (busy.includes(response.status)) return new UnreachableError(refusal.message, { cause: refusal })
    if (response.status === 409 && (retried || response.resent)) {
      const own = await this.ownWrite(method, path, options)
      if (own) return own
    }
    throw refusal
  }

  /** The object, if a write whose answer was lost has made it what it is. */
  private async ownWrite(
    method: string,
    path: string,
    { body }: RequestOptions,
  ): Promise<ApiResponse | undefined> {
    const { metadata = {}, ...rest } = body as KubernetesObject
    const target = method === "POST" ? `${path}/${metadata.name ?? ""}` : path
    const live = await this.once("GET", target, {})
    // A patch names the version before it.
    const wanted = { ...rest, metadata: { ...metadata, resourceVersion: undefined } }
    return live.status === 200 && includes(JSON.parse(live.text), wanted) ? live : undefined
  }

  private async once(method: string, path: string, options: RequestOptions): Promise<ApiResponse> {
    const { query = {}, body, contentType = "application/json", timeout = 15_000, signal } = options
    const { server, headers } = this.connection
    const url = new URL(server.href.replace(/\/$/, "") + path)
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    const timedOut = AbortSignal.timeout(timeout)
    const content = body === undefined ? undefined : JSON.stringify(body)
    return exchange(url, content, {
      method,
      agent: this.agent,
      signal: signal ? AbortSignal.any([signal, timedOut]) : timedOut,
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

/** Sends one request. If the server had closed a kept connection meanwhile, it is sent again on a new one. */
function exchange(
  url: URL,
  body: string | undefined,
  options: http.RequestOptions,
  resent = false,
): Promise<ApiResponse> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => {
      if (request.reusedSocket && (error as NodeJS.ErrnoException).code === "ECONNRESET") {
        resolve(exchange(url, body, options, true))
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
        const text = Buffer.concat(parts).toString()
        resolve({ status, text, date: Date.parse(headers.date ?? ""), resent })
      })
    })
    request.on("error", failed)
    request.end(body)
  })
}

/** Whether an object has all fields of a patch or manifest. The API server may have added others; a null field must be absent. */
function includes(found: unknown, wanted: unknown): boolean {
  if (typeof wanted !== "object" || wanted === null) return (found ?? null) === wanted
  if (typeof found !== "object" || found === null) return false
  if (Array.isArray(wanted) && wanted.length !== (found as unknown[]).length) return false
  return Object.entries(wanted)
    .filter(([, value]) => value !== undefined)
    .every(([key, value]) => includes((found as Record<string, unknown>)[key], value))
}

/** The usual resource of a kind. A request for it gets the API server's own answer, which says that it does not serve the group. */
function guess(kind: string, namespace: string | undefined): Resource {
  const name = kind.toLowerCase()
  const plural = /(s|x|ch|sh)$/.test(name) ? `${name}es` : `${name.replace(/([^aeiou])y$/, "$1ie")}s`
  return { plural, namespaced: namespace !== undefined }
}

function apiError(
  method: string,
  path: string,
  { status, text }: { status: number; text: string },
): ApiError {
  let details: { reason?: string; message?: string }
  try {
    details = JSON.parse(text) as typeof details
  } catch {
    details = { message: text.slice(0, 300) }
  }
  const { reason = "", message = "" } = details
  // Nobody but an administrator makes namespaces, so this is the first step that is missing.
  const hint =
    status === 404 && message.startsWith("namespaces ")
      ? "; an administrator applies what the function access prints, once for each environment"
      : ""
  return new ApiError(status, reason, `${method} ${path}: ${status} ${message}${hint}`)
}

/** The error with the actual cause: Node.js wraps those of several addresses, and those of aborted requests. */
function causeOf(error: Error): Error {
  const [first] = error instanceof AggregateError ? (error.errors as Error[]) : []
  if (first) return first
  return error.name === "AbortError" && error.cause instanceof Error ? error.cause : error
}
