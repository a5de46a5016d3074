import { connect, createServer, type Server, type Socket } from "node:net"
import type { V1Pod } from "@kubernetes/client-node"
import { monotonic } from "../lib/clock.js"
import { type KubernetesApi, type KubernetesObject, UnreachableError } from "../clients/kubernetes/client.js"
import type { Plain } from "../clients/kubernetes/manifest.js"

/**
 * Wraps a client so that its command can be killed: afterwards none of its requests is sent or answered.
 *
 * A real kill would end the whole rehearsal, which runs in the same process.
 */
export function killable(cluster: KubernetesApi): { cluster: KubernetesApi; kill: () => void } {
  let killed = false
  const silence = new Promise<never>(() => undefined)
  const unanswered = (answer: Promise<unknown>) =>
    answer.then(
      (value) => (killed ? silence : value),
      (error: unknown) => (killed ? silence : Promise.reject(error as Error)),
    )
  const member = (name: string | symbol) => {
    const own: unknown = Reflect.get(cluster, name)
    if (typeof own !== "function") return own
    return (...args: unknown[]): unknown => {
      if (killed && name !== "now") return silence
      const answer: unknown = Reflect.apply(own, cluster, args)
      return answer instanceof Promise ? unanswered(answer) : answer
    }
  }
  return {
    cluster: new Proxy(cluster, { get: (_, name) => member(name) }),
    kill: () => {
      killed = true
    },
  }
}

/** A TCP proxy that can be cut and restored. */
export class CuttableProxy {
  private readonly sockets = new Set<Socket>()

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  /** @param target `host:port` */
  static async to(target: string): Promise<CuttableProxy> {
    const { hostname, port } = new URL(`tcp://${target}`)
    const server = createServer((near) => {
      const far = connect(Number(port), hostname)
      for (const socket of [near, far]) {
        proxy.sockets.add(socket)
        // When one end closes, the other has nobody to talk to.
        socket.on("error", () => undefined)
        socket.on("close", () => {
          proxy.sockets.delete(socket)
          near.destroy()
          far.destroy()
        })
      }
      near.pipe(far).pipe(near)
    })
    await listen(server, 0)
    const address = server.address()
    const proxy = new CuttableProxy(server, typeof address === "object" && address ? address.port : 0)
    return proxy
  }

  /** Its own address, as `host:port`. */
  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Refuses new connections, and ends all existing ones. */
  cut(): void {
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
  }

  async restore(): Promise<void> {
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

/** Runs in a pod that sees the processes of the node. */
const killer = `
import os, signal, sys
def command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""  # the process has ended meanwhile
found = [pid for pid in os.listdir("/proc") if pid.isdigit() and command(pid).startswith(b"kube-apiserver\\0")]
if not found:
    sys.exit("no process is called kube-apiserver")
for pid in found:
    os.kill(int(pid), signal.SIGKILL)
`

/**
 * Kills the API server by a pod on its node, as a crash would. Its supervisor starts it again.
 *
 * @param image with Python 3
 * @throws Error if the node has no such process: Rancher's k3s runs the API server within its own process, which is the whole cluster
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
          name: "kill",
          image,
          command: ["python3", "-c", killer],
          securityContext: { runAsUser: 0, runAsNonRoot: false },
        },
      ],
    },
  }
  const { metadata } = pod
  await admin.create(pod)
  for (let left = 60; left > 0; left--) {
    await monotonic.pause(500)
    const phase = (await readIfUp(admin, pod))?.status?.phase
    if (phase === "Succeeded") return admin.delete(pod)
    if (phase !== "Failed") continue
    const output = await admin.logs("kube-system", metadata?.name ?? "", {})
    throw new Error(`the API server cannot be killed: ${output.trim()}`)
  }
  throw new Error("the API server was not killed within 30 s")
}

/** Reads an object; undefined also while the API server is down. */
async function readIfUp(
  admin: KubernetesApi,
  object: KubernetesObject,
): Promise<KubernetesObject | undefined> {
  try {
    return await admin.read(object)
  } catch (error) {
    if (error instanceof UnreachableError) return undefined
    throw error
  }
}
