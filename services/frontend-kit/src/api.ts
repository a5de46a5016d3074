import ky, { HTTPError, TimeoutError } from "ky"
import createClient, { type Client } from "openapi-fetch"

/** A problem as RFC 9457 describes it, with the platform's list of field errors. */
export interface Problem {
  type?: string
  title?: string
  status?: number
  detail?: string
  instance?: string
  errors?: unknown[]
}

/** A request that did not succeed. */
export class ApiError extends Error {
  override name = "ApiError"
  /** Whether the server answered with an error, did not answer in time, or could not be reached at all. */
  readonly kind: "problem" | "timeout" | "network"
  /** HTTP status, where there was an answer. */
  readonly status?: number
  /** Body of the answer, where it was a problem. */
  readonly problem: Problem
  /** The id under which the server logged the request. */
  readonly requestId?: string

  constructor(kind: ApiError["kind"], message: string, answer: Answer = {}, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
    this.status = answer.status
    this.problem = answer.problem ?? {}
    this.requestId = answer.requestId
  }
}

interface Answer {
  status?: number
  problem?: Problem
  requestId?: string
}

export interface ApiOptions {
  /** `RuntimeConfig.apiBaseUrl`. */
  baseUrl: string
  /** Gives the bearer token of the person signed in, if any. */
  token?: () => string | null
  /** Called when the server does not accept the token that was sent (401). */
  onUnauthorized?: () => void
  /** Milliseconds for one attempt. Default 10 000. */
  timeoutMs?: number
  /** How often a failed GET or HEAD is tried again. Default 2. */
  retries?: number
}

/**
 * A client typed by an OpenAPI schema (`paths` as openapi-typescript writes it). Its calls reject with an ApiError; `data` of a
 * resolved call is always there. GET and HEAD are retried with full jitter, as is an answer that names its Retry-After.
 */
export function createApi<Paths extends object>(options: ApiOptions): Client<Paths> {
  const { baseUrl, token, onUnauthorized, timeoutMs = 10_000, retries = 2 } = options
  const http = ky.create({
    timeout: timeoutMs,
    retry: {
      limit: retries,
      methods: ["get", "head"],
      statusCodes: [429, 502, 503, 504],
      backoffLimit: 3000,
      maxRetryAfter: 5000,
      jitter: true,
    },
  })
  return createClient<Paths>({
    baseUrl: new URL(baseUrl || "/", location.href).href.replace(/\/$/, ""),
    querySerializer: { array: { style: "form", explode: true } },
    async fetch(request) {
      const sent = token?.()
      if (sent) request.headers.set("Authorization", `Bearer ${sent}`)
      request.headers.set("X-Request-ID", crypto.randomUUID())
      try {
        return await http(request)
      } catch (error) {
        if (request.signal.aborted) throw error
        const failure = asApiError(error)
        if (failure.status === 401 && sent) onUnauthorized?.()
        throw failure
      }
    },
  })
}

function asApiError(error: unknown): ApiError {
  if (error instanceof HTTPError) {
    const { status, headers } = error.response
    const problem = isProblem(error.data) ? error.data : {}
    const message = problem.detail ?? problem.title ?? `The server answered ${status}.`
    const requestId = headers.get("X-Request-ID") ?? undefined
    return new ApiError("problem", message, { status, problem, requestId }, { cause: error })
  }
  if (error instanceof TimeoutError) {
    return new ApiError("timeout", "The server took too long to answer.", {}, { cause: error })
  }
  return new ApiError("network", "The server cannot be reached.", {}, { cause: error })
}

function isProblem(body: unknown): body is Problem {
  return typeof body === "object" && body !== null
}
