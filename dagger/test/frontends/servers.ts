import { readFileSync } from "node:fs"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { createServer, get, request, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { env } from "node:process"
import { setTimeout as sleep } from "node:timers/promises"
import { createContext, Script } from "node:vm"
import { parse } from "yaml"
import {
  functionFiles,
  functionText,
  requestSettings,
  responseSettings,
} from "../../src/frontends/edge-functions.js"
import { infrastructureText } from "../../src/frontends/infrastructure.js"
import type { FrontendSettings } from "../../src/frontends/settings.js"

/** Why tests that need moto, a server with Amazon's API, are skipped; nothing where it is installed. */
export const withoutMoto =
  spawnSync("moto_server", ["--version"]).error === undefined
    ? undefined
    : "moto_server is not on the PATH: pip install --require-hashes -r dagger/config/moto/requirements.txt"

/** A header that opens private objects in moto: it takes any signature, and refuses who has none. */
export const anyKey =
  "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=b"

/** A process of moto on a port of this machine. */
export class Moto {
  private constructor(
    readonly endpoint: string,
    private readonly process: ChildProcess,
  ) {}

  /** @param variables of its environment, beside those of this process */
  static async start(variables: Record<string, string> = {}): Promise<Moto> {
    const port = await freePort()
    const process = spawn("moto_server", ["-H", "127.0.0.1", "-p", String(port)], {
      stdio: "ignore",
      env: { ...env, ...variables },
    })
    const endpoint = `http://127.0.0.1:${port}`
    for (let left = 600; left > 0; left--) {
      const answer = await fetch(`${endpoint}/moto-api/`).catch(() => undefined)
      if (answer?.ok) return new Moto(endpoint, process)
      await sleep(100)
    }
    process.kill()
    throw new Error("moto did not start within a minute")
  }

  async bucket(name: string): Promise<void> {
    const made = await fetch(`${this.endpoint}/${name}`, { method: "PUT" })
    if (!made.ok) throw new Error(await made.text())
  }

  stop(): void {
    this.process.kill()
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  const port = await listening(server)
  await new Promise((closed) => server.close(closed))
  return port
}

function listening(server: Server, host = "127.0.0.1"): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, host, () => {
      resolve((server.address() as AddressInfo).port)
    })
  })
}

/** A server of this test, with its address. */
export class TestServer {
  private constructor(
    readonly address: string,
    private readonly server: Server,
  ) {}

  /** @param host containers of an engine reach another one than that of this process alone */
  static async start(
    answer: (request: IncomingMessage, response: ServerResponse) => void,
    host = "127.0.0.1",
  ): Promise<TestServer> {
    const server = createServer(answer)
    return new TestServer(`http://${host}:${await listening(server, host)}`, server)
  }

  stop(): void {
    this.server.closeAllConnections()
    this.server.close()
  }
}

/** Sends a request on to another server, as it is. */
export function forward(endpoint: string, from: IncomingMessage, to: ServerResponse): void {
  const { hostname, port } = new URL(endpoint)
  const onward = request(
    { hostname, port, method: from.method, path: from.url, headers: from.headers },
    (answer) => {
      to.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(to)
    },
  )
  onward.on("error", () => to.destroy())
  from.pipe(onward)
}

interface EdgeValues {
  headers: Record<string, { value: string }>
  cookies?: Record<string, { value: string; attributes?: string }>
}
type EdgeFunction = (
  event: object,
) => Promise<EdgeValues & { uri?: string; statusCode?: number; body?: string }>

const sourceOf = (file: string) => readFileSync(new URL(`../../../${file}`, import.meta.url), "utf8")

interface HeadersPolicy {
  SecurityHeadersConfig: {
    ContentSecurityPolicy?: { ContentSecurityPolicy: string }
    StrictTransportSecurity?: { AccessControlMaxAgeSec: number; IncludeSubdomains: boolean }
    ContentTypeOptions?: object
    FrameOptions?: { FrameOption: string }
    ReferrerPolicy?: { ReferrerPolicy: string }
  }
  CustomHeadersConfig: { Items: { Header: string; Value: string }[] }
}
interface HeadersTemplate {
  Resources: {
    Headers?: { Properties: { ResponseHeadersPolicyConfig: HeadersPolicy } }
    Distribution: {
      Properties: {
        DistributionConfig: { DefaultCacheBehavior: { ResponseHeadersPolicyId?: { Ref: string } } }
      }
    }
  }
}

/** The headers that CloudFront adds to all that the bucket answers, by a template's policy, if its distribution has it. */
export function policyHeaders(settings: FrontendSettings): Record<string, string> {
  const { Resources } = parse(
    infrastructureText(settings, {
      request: sourceOf(functionFiles.request),
      response: sourceOf(functionFiles.response),
    }),
  ) as HeadersTemplate
  const { ResponseHeadersPolicyId: attached } =
    Resources.Distribution.Properties.DistributionConfig.DefaultCacheBehavior
  const config = attached?.Ref === "Headers" && Resources.Headers?.Properties.ResponseHeadersPolicyConfig
  if (!config) return {}
  const {
    ContentSecurityPolicy: content,
    StrictTransportSecurity: transport,
    ContentTypeOptions: type,
    FrameOptions: frame,
    ReferrerPolicy: referrer,
  } = config.SecurityHeadersConfig
  return {
    ...(content && { "content-security-policy": content.ContentSecurityPolicy }),
    ...(transport && {
      "strict-transport-security": `max-age=${transport.AccessControlMaxAgeSec}${transport.IncludeSubdomains ? "; includeSubDomains" : ""}`,
    }),
    ...(type && { "x-content-type-options": "nosniff" }),
    ...(frame && { "x-frame-options": frame.FrameOption }),
    ...(referrer && { "referrer-policy": referrer.ReferrerPolicy }),
    ...Object.fromEntries(
      config.CustomHeadersConfig.Items.map(({ Header, Value }): [string, string] => [
        Header.toLowerCase(),
        Value,
      ]),
    ),
  }
}

/** The functions of the edge and the policy of its headers, in front of a bucket: CloudFront without a cache. */
export class EdgeServer {
  server!: TestServer
  /** Whether the functions can ask the key-value store. */
  hasStore = true
  /** Milliseconds that the clock of the functions is ahead. */
  ahead = 0

  private constructor(
    private readonly bucket: string,
    private readonly values: ReadonlyMap<string, string>,
    private readonly programs: { request: string; response: string },
    private readonly policy: Record<string, string>,
  ) {}

  /**
   * @param bucket address of the bucket
   * @param values of the key-value store
   */
  static async start(
    bucket: string,
    values: ReadonlyMap<string, string>,
    settings: FrontendSettings,
    host?: string,
  ): Promise<EdgeServer> {
    const program = (file: string, of: object) => functionText(sourceOf(file), of).replace(/^import .*$/m, "")
    const programs = {
      request: program(functionFiles.request, requestSettings(settings)),
      response: program(functionFiles.response, responseSettings(settings)),
    }
    const edge = new EdgeServer(bucket, values, programs, policyHeaders(settings))
    edge.server = await TestServer.start((request, response) => {
      edge.answer(request, response).catch((error: unknown) => response.writeHead(502).end(String(error)))
    }, host)
    return edge
  }

  private run(program: string): EdgeFunction {
    const get = (key: string) => {
      const value = this.hasStore ? this.values.get(key) : undefined
      return value === undefined ? Promise.reject(new Error("KeyNotFound")) : Promise.resolve(value)
    }
    const context = createContext({ cf: { kvs: () => ({ get }) }, console: { log: () => undefined } })
    const clock = `Date.now = () => ${Date.now() + this.ahead}`
    new Script(`${clock}\n${program}\nglobalThis.handler = handler`).runInContext(context)
    return (context as unknown as { handler: EdgeFunction }).handler
  }

  private async answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const valuesOf = (headers: Iterable<[string, string]>) =>
      Object.fromEntries([...headers].map(([name, value]) => [name, { value }]))
    const headers = Object.entries(incoming.headers).map(([name, value]): [string, string] => [
      name,
      String(value),
    ])
    const cookies = (incoming.headers.cookie ?? "")
      .split("; ")
      .filter((one) => one.includes("="))
      .map((one) => one.split("=") as [string, string])
    const request = {
      method: incoming.method,
      uri: (incoming.url ?? "").split("?")[0],
      querystring: {},
      headers: valuesOf(headers),
      cookies: valuesOf(cookies),
    }
    const routed = await this.run(this.programs.request)({ request })
    if (routed.statusCode !== undefined) {
      const own = Object.entries(routed.headers).map(([name, { value }]): [string, string] => [name, value])
      outgoing.writeHead(routed.statusCode, Object.fromEntries(own)).end(routed.body)
      return
    }
    const stored = await new Promise<IncomingMessage>((resolve, reject) => {
      get(`${this.bucket}${routed.uri ?? ""}`, { headers: { authorization: anyKey } }, resolve).on(
        "error",
        reject,
      )
    })
    const response: EdgeValues & { statusCode: number } = {
      statusCode: stored.statusCode ?? 502,
      headers: valuesOf([
        ...Object.entries(stored.headers)
          .filter(([name]) => !["connection", "transfer-encoding"].includes(name))
          .map(([name, value]): [string, string] => [name, String(value)]),
        // Of an error too, and before a function sees the answer.
        ...Object.entries(this.policy),
      ]),
    }
    // CloudFront runs no function for an error of the origin.
    const answered =
      response.statusCode >= 400 ? response : await this.run(this.programs.response)({ request, response })
    const own = Object.entries(answered.headers).map(([name, { value }]): [string, string] => [name, value])
    const set = Object.entries(answered.cookies ?? {}).map(
      ([name, { value, attributes = "" }]) => `${name}=${value}; ${attributes}`,
    )
    outgoing.writeHead(response.statusCode, {
      ...Object.fromEntries(own),
      ...(set.length > 0 && { "set-cookie": set }),
    })
    stored.pipe(outgoing)
  }
}

/** The data plane of CloudFront's key-value stores, for one store. */
export class KeyValueServer {
  readonly values = new Map<string, string>()
  private version = 1
  /** Takes values and does not hold them. */
  forgetful = false
  /** Keys that it lists at once. */
  readonly page = 2
  server!: TestServer

  static async start(host?: string): Promise<KeyValueServer> {
    const store = new KeyValueServer()
    store.server = await TestServer.start((request, response) => {
      void store.answer(request, response)
    }, host)
    return store
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://store")
    const [, , , keys, name] = pathname.split("/")
    const key = name === undefined ? undefined : decodeURIComponent(name)
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const say = (status: number, body: object, headers: Record<string, string> = {}) =>
      response
        .writeHead(status, { "content-type": "application/json", etag: String(this.version), ...headers })
        .end(JSON.stringify(body))
    if (!(request.headers.authorization ?? "").startsWith("AWS4-ECDSA-P256-SHA256 "))
      return void say(403, { Message: "not signed" }, { "x-amzn-errortype": "AccessDeniedException" })
    if ((request.method === "PUT" || request.method === "DELETE") && key !== undefined) {
      if (request.headers["if-match"] !== String(this.version))
        return void say(409, { Message: "another version" }, { "x-amzn-errortype": "ConflictException" })
      this.version++
      if (request.method === "DELETE") {
        this.values.delete(key)
        return void say(200, { ItemCount: this.values.size, TotalSizeInBytes: 0 })
      }
      const { Value: value } = JSON.parse(Buffer.concat(chunks).toString()) as { Value: string }
      if (!this.forgetful) this.values.set(key, value)
      return void say(200, { ItemCount: this.values.size, TotalSizeInBytes: 0 })
    }
    if (keys !== undefined && key === undefined) {
      const begin = Number(searchParams.get("NextToken") ?? 0)
      const end = begin + this.page
      const items = [...this.values].slice(begin, end).map(([Key, Value]) => ({ Key, Value }))
      return void say(200, { Items: items, ...(end < this.values.size && { NextToken: String(end) }) })
    }
    if (key === undefined)
      return void say(200, { ItemCount: this.values.size, TotalSizeInBytes: 0, KvsARN: "", Created: 0 })
    const value = this.values.get(key)
    if (value === undefined)
      return void say(404, { Message: "none" }, { "x-amzn-errortype": "ResourceNotFoundException" })
    say(200, { Key: key, Value: value, ItemCount: this.values.size, TotalSizeInBytes: 0 })
  }
}
