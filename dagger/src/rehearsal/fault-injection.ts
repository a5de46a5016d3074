import { connect, createServer, type Server, type Socket } from "node:net"
import type { V1Pod } from "@kubernetes/client-node"
import { monotonic } from "../lib/clock.js"
import { type KubernetesApi, type KubernetesObject, UnreachableError } from "../clients/kubernetes/client.js"
import type { Plain } from "../clients/kubernetes/manifest.js"

/** A cluster as a command sees it that can be killed: from then on nothing that it asked is ever answered, and nothing that it asks is sent. */
export function mortal(cluster: KubernetesApi): { cluster: KubernetesApi; kill: () => void } {
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

/** Run where it sees the processes of the node. */
const killer = `
import os, signal, sys
def command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""  # it has ended meanwhile
found = [pid for pid in os.listdir("/proc") if pid.isdigit() and command(pid).startswith(b"kube-apiserver\\0")]
if not found:
    sys.exit("no process here is called kube-apiserver")
for pid in found:
    os.kill(int(pid), signal.SIGKILL)
`

/**
 * Kills the API server, as a crash would, by a pod on its node; what runs it is to start it again.
 *
 * @param image one with Python 3
 * @throws Error when the node has no such process: the k3s of the Rancher project runs it within its own, with which the cluster would end
 */
export async function killApiServer(admin: KubernetesApi, image: string): Promise<void> {
  const pod: Plain<V1Pod> = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "kube-system", name: "kill-api-server" },
    spec: {
      hostPID: true,
      restartPolicy: "Never",
      containers: [
        {
          ...{ name: "kill", image, command: ["python3", "-c", killer] },
          securityContext: { runAsUser: 0, runAsNonRoot: false },
        },
      ],
    },
  }
  const { metadata } = pod
  await admin.create(pod)
  for (let left = 60; left > 0; left--) {
    await monotonic.pause(500)
    const phase = (await readAgain(admin, pod))?.status?.phase
    if (phase === "Succeeded") return admin.delete(pod)
    if (phase !== "Failed") continue
    const said = await admin.logs("kube-system", metadata?.name ?? "", {})
    throw new Error(`the API server cannot be killed: ${said.trim()}`)
  }
  throw new Error("the API server was not killed within 30 s")
}

/** Nothing while there is no API server. */
async function readAgain(
  admin: KubernetesApi,
  thing: KubernetesObject,
): Promise<KubernetesObject | undefined> {
  try {
    return await admin.read(thing)
  } catch (error) {
    if (error instanceof UnreachableError) return undefined
    throw error
  }
}
