import { connect, createServer, type Server, type Socket } from "node:net"
import type { Cluster } from "../kubernetes/client.js"

/** A cluster as a command sees it that can be killed: from then on nothing that it asked is ever answered, and nothing that it asks is sent. */
export function mortal(cluster: Cluster): { cluster: Cluster; kill: () => void } {
  let dead = false
  const silence = new Promise<never>(() => undefined)
  const mute = (answer: Promise<unknown>) =>
    answer.then(
      (value) => (dead ? silence : value),
      (error: unknown) => (dead ? silence : Promise.reject(error as Error)),
    )
  const member = (name: string | symbol) => {
    const own: unknown = Reflect.get(cluster, name)
    if (typeof own !== "function") return own
    return (...args: unknown[]): unknown => {
      if (dead && name !== "now") return silence
      const answer: unknown = Reflect.apply(own, cluster, args)
      return answer instanceof Promise ? mute(answer) : answer
    }
  }
  return {
    cluster: new Proxy(cluster, { get: (_, name) => member(name) }),
    kill: () => {
      dead = true
    },
  }
}

/** A line to a server that can be cut and mended. */
export class Line {
  private readonly sockets = new Set<Socket>()

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  /** @param target `host:port` */
  static async to(target: string): Promise<Line> {
    const { hostname, port } = new URL(`tcp://${target}`)
    const server = createServer((near) => {
      const far = connect(Number(port), hostname)
      for (const socket of [near, far]) {
        line.sockets.add(socket)
        // Whichever end goes first, the other one has nobody to talk to.
        socket.on("error", () => undefined)
        socket.on("close", () => {
          line.sockets.delete(socket)
          near.destroy()
          far.destroy()
        })
      }
      near.pipe(far).pipe(near)
    })
    await listen(server, 0)
    const address = server.address()
    const line = new Line(server, typeof address === "object" && address ? address.port : 0)
    return line
  }

  /** Where it begins: `host:port`. */
  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Nobody gets through, and whoever was through is cut off. */
  cut(): void {
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
  }

  async mend(): Promise<void> {
    await listen(this.server, this.port)
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject)
      resolve()
    })
  })
}
