import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"

/** Why tests that need moto, a server with Amazon's API, are skipped; nothing where it is installed. */
export const withoutMoto =
  spawnSync("moto_server", ["--version"]).error === undefined
    ? undefined
    : "moto_server is not on the PATH: pip install 'moto[server,s3,cloudfront]==5.2.5'"

/** A process of moto on a port of this machine. */
export class Moto {
  private constructor(
    readonly endpoint: string,
    private readonly process: ChildProcess,
  ) {}

  static async start(): Promise<Moto> {
    const port = await freePort()
    const process = spawn("moto_server", ["-H", "127.0.0.1", "-p", String(port)], { stdio: "ignore" })
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

function listening(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
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

  static async start(
    answer: (request: IncomingMessage, response: ServerResponse) => void,
  ): Promise<TestServer> {
    const server = createServer(answer)
    return new TestServer(`http://127.0.0.1:${await listening(server)}`, server)
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

/** The data plane of CloudFront's key-value stores, for one store. */
export class KeyValueServer {
  readonly values = new Map<string, string>()
  private version = 1
  /** Takes values and does not hold them. */
  forgetful = false
  server!: TestServer

  static async start(): Promise<KeyValueServer> {
    const store = new KeyValueServer()
    store.server = await TestServer.start((request, response) => {
      void store.answer(request, response)
    })
    return store
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, , , key] = (request.url ?? "").split("/")
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const say = (status: number, body: object, headers: Record<string, string> = {}) =>
      response
        .writeHead(status, { "content-type": "application/json", etag: String(this.version), ...headers })
        .end(JSON.stringify(body))
    if (!(request.headers.authorization ?? "").startsWith("AWS4-ECDSA-P256-SHA256 "))
      return void say(403, { Message: "not signed" }, { "x-amzn-errortype": "AccessDeniedException" })
    if (request.method === "PUT" && key !== undefined) {
      if (request.headers["if-match"] !== String(this.version))
        return void say(409, { Message: "another version" }, { "x-amzn-errortype": "ConflictException" })
      this.version++
      const { Value: value } = JSON.parse(Buffer.concat(chunks).toString()) as { Value: string }
      if (!this.forgetful) this.values.set(key, value)
      return void say(200, { ItemCount: this.values.size, TotalSizeInBytes: 0 })
    }
    if (key === undefined)
      return void say(200, { ItemCount: this.values.size, TotalSizeInBytes: 0, KvsARN: "", Created: 0 })
    const value = this.values.get(key)
    if (value === undefined)
      return void say(404, { Message: "none" }, { "x-amzn-errortype": "ResourceNotFoundException" })
    say(200, { Key: key, Value: value, ItemCount: this.values.size, TotalSizeInBytes: 0 })
  }
}
