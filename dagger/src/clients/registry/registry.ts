import type { Pause } from "../../lib/retry.js"
import { monotonic } from "../../lib/clock.js"
import { oneLine } from "../../lib/text.js"
import { retryAfter } from "./retry-after.js"

/** The registry refused a request, or never answered it. */
export class RegistryError extends Error {
  override name = "RegistryError"
  constructor(
    message: string,
    /** Absent: there was no answer. */
    readonly status?: number,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

export interface RegistryOptions {
  /** Host and port, as references to images name it. */
  registry: string
  /** Where it is reached, such as `http://10.87.0.3:5000`. Default: https at its own name, or http for a name of this machine. */
  origin?: string | undefined
  user?: string | undefined
  password?: string | undefined
  pause?: Pause
}

/** Milliseconds before each further try. */
export const delays = [1_000, 2_000, 4_000, 8_000, 16_000]
/** Milliseconds: the least that a busy registry is left alone, and the most that a command waits for it at a time. */
const wait = { least: 1_000, most: 60_000 }
/** Milliseconds for an answer with its content. */
export const requestTimeout = 60_000
const busy = [408, 429, 500, 502, 503, 504]
const dockerHub = { name: "docker.io", origin: "https://registry-1.docker.io" }
/** Whether a registry's address is of the machine itself, where registries have no TLS. */
export const isThisMachine = (registry: string) => /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/.test(registry)

export interface Request {
  method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE"
  /** An address, or a path of the registry. */
  url: string
  headers?: Record<string, string>
  body?: string | Uint8Array | Blob
  /** Statuses beside 2xx that are an answer. */
  allowed?: number[]
  /** A refusal that passes, as that of a busy registry does. */
  passing?: RegExp
  timeout?: number
}

/** A client of the OCI distribution API with the rights of one account. */
// npm has no maintained client that pushes, lists referrers and keeps the stand-in tag of registries without that API.
export class Registry {
  private readonly origin: string
  readonly pause: Pause
  /** The header Authorization by scope. */
  private readonly authorizations = new Map<string, string>()

  /** Host and port, as references to images name it. */
  readonly name: string

  constructor(private readonly options: RegistryOptions) {
    const { registry, origin } = options
    this.name = registry
    this.pause = options.pause ?? ((milliseconds) => monotonic.pause(milliseconds))
    this.origin =
      origin ??
      (registry === dockerHub.name
        ? dockerHub.origin
        : `${isThisMachine(registry) ? "http" : "https"}://${registry}`)
  }

  /**
   * Sends a request, again while the registry is busy or does not answer, and signs in when it asks for that.
   *
   * @param scope what the request needs, such as `repository:owner/api:pull`
   * @param read reads the content of the answer; part of what is tried again
   * @throws RegistryError for an answer that is none, and after the last try
   */
  async send<Value>(
    scope: string,
    request: Request,
    read: (answer: Response) => Promise<Value>,
  ): Promise<Value> {
    let signedIn = false
    for (let tried = 0; ;) {
      let answer: Response
      try {
        answer = await this.once(scope, request)
        if (answer.ok || request.allowed?.includes(answer.status)) return await read(answer)
      } catch (error) {
        if (error instanceof RegistryError) throw error
        const delay = delays[tried++]
        if (delay === undefined) {
          throw new RegistryError(`${this.about(request)} was not answered: ${causeOf(error)}`, undefined, {
            cause: error,
          })
        }
        await this.pause(delay)
        continue
      }
      if (answer.status === 401 && !signedIn) {
        signedIn = true
        await answer.arrayBuffer()
        await this.signIn(scope, answer.headers.get("www-authenticate") ?? "")
        continue
      }
      const refusal = new RegistryError(await this.refusalOf(request, answer), answer.status)
      const delay = delays[tried++]
      const passes = busy.includes(answer.status) || request.passing?.test(refusal.message)
      if (!passes || delay === undefined) throw refusal
      const asked = retryAfter(answer.headers.get("retry-after") ?? "", Date.now()) ?? 0
      if (asked > wait.most) {
        throw new RegistryError(
          `${refusal.message}; it asks to wait for ${Math.ceil(asked / 1_000)} s: run the command again after that`,
          answer.status,
        )
      }
      await this.pause(Math.max(delay, asked, wait.least))
    }
  }

  private once(scope: string, { method, url, headers = {}, body, ...more }: Request): Promise<Response> {
    const address = new URL(url, this.origin)
    const authorization = this.authorizations.get(scope)
    // Uploads may continue at another host, whose address is a permission of its own.
    const own = address.origin === new URL(this.origin).origin
    return fetch(address, {
      method,
      headers: { ...headers, ...(own && authorization !== undefined && { authorization }) },
      ...(body !== undefined && { body: body as BodyInit }),
      signal: AbortSignal.timeout(more.timeout ?? requestTimeout),
    })
  }

  /** @throws RegistryError when there are no credentials or they are refused */
  private async signIn(scope: string, challenge: string): Promise<void> {
    const { registry, user = "", password } = this.options
    const basic =
      password === undefined ? undefined : `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`
    const asks = `${registry} asks for an account: add REGISTRY_USER=… and REGISTRY_PASSWORD=… to the file given with --secrets`
    if (/^basic\b/i.test(challenge)) {
      if (basic === undefined) throw new RegistryError(asks, 401)
      this.authorizations.set(scope, basic)
      return
    }
    const fields = Object.fromEntries(
      [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = "", value = ""]) => [
        key.toLowerCase(),
        value,
      ]),
    )
    if (!/^bearer\b/i.test(challenge) || !URL.canParse(fields.realm ?? ""))
      throw new RegistryError(`${registry} refuses access, and does not say how to sign in`, 401)
    const realm = new URL(fields.realm ?? "")
    if (basic !== undefined && realm.protocol !== "https:" && this.origin.startsWith("https:"))
      throw new RegistryError(`${registry} wants its password sent in the clear, to ${realm.origin}`, 401)
    if (fields.service !== undefined) realm.searchParams.set("service", fields.service)
    realm.searchParams.set("scope", scope)
    const token = await new Registry({ registry: realm.host, origin: realm.origin, pause: this.pause }).send(
      scope,
      {
        method: "GET",
        url: realm.href,
        allowed: [400, 401, 403],
        ...(basic !== undefined && { headers: { authorization: basic } }),
      },
      async (answer) => {
        if (!answer.ok) {
          throw new RegistryError(
            basic === undefined
              ? asks
              : `${registry} refuses the account "${user}" (REGISTRY_USER, REGISTRY_PASSWORD)`,
            answer.status,
          )
        }
        const { token, access_token: other } = (await answer.json()) as Record<string, unknown>
        return typeof token === "string" ? token : typeof other === "string" ? other : undefined
      },
    )
    if (token === undefined) throw new RegistryError(`${realm.host} gives no token for ${registry}`, 401)
    this.authorizations.set(scope, `Bearer ${token}`)
  }

  private about({ method, url }: Request): string {
    const { pathname } = new URL(url, this.origin)
    return `${method} ${pathname} of ${this.options.registry}`
  }

  private async refusalOf(request: Request, answer: Response): Promise<string> {
    const text = await answer.text().catch(() => "")
    const who =
      answer.status === 401 || answer.status === 403
        ? ` (${this.options.password === undefined ? "without an account: REGISTRY_USER and REGISTRY_PASSWORD in the file given with --secrets" : `as "${this.options.user ?? ""}", of REGISTRY_USER`})`
        : ""
    return `${this.about(request)} was refused${who}: ${answer.status} ${oneLine(messagesIn(text), 300)}`.trim()
  }
}

/** The messages of a registry's error, or the text as it is. */
function messagesIn(text: string): string {
  try {
    const { errors } = JSON.parse(text) as { errors?: { code?: string; message?: string }[] }
    return (errors ?? []).map(({ code = "", message = "" }) => `${code} ${message}`.trim()).join("; ") || text
  } catch {
    return text
  }
}

function causeOf(error: unknown): string {
  const { message, cause } = error as Error
  return oneLine(cause instanceof Error ? `${message}: ${cause.message || cause.name}` : message, 200)
}
