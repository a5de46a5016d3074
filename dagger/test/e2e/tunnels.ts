import net, { type AddressInfo } from "node:net"
import { networkInterfaces } from "node:os"
import { dag, type Service } from "@dagger.io/dagger"

/** This machine, as containers of the engine reach it. */
export const machine =
  Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.family === "IPv4" && !address.internal)?.address ?? "127.0.0.1"

/** Services of the engine at addresses that its containers and this process reach: a tunnel alone listens on loopback only. */
export class Tunnels {
  private readonly forwarders: net.Server[] = []

  /**
   * @param frontend the machine's port; any that is free, if 0
   * @returns `host:port`
   */
  async open(service: Service, port: number, frontend = 0): Promise<string> {
    const tunnel = dag.host().tunnel(service, { ports: [{ backend: port, frontend: 0 }] })
    const target = Number(new URL(`tcp://${await (await tunnel.start()).endpoint()}`).port)
    const forwarder = net.createServer((client) => {
      const upstream = net.connect(target, "127.0.0.1")
      const close = () => {
        client.destroy()
        upstream.destroy()
      }
      client.on("error", close).on("close", close)
      upstream.on("error", close).on("close", close)
      client.pipe(upstream).pipe(client)
    })
    this.forwarders.push(forwarder)
    await new Promise<void>((resolve, reject) => {
      forwarder.once("error", reject).listen(frontend, machine, resolve)
    })
    return `${machine}:${(forwarder.address() as AddressInfo).port}`
  }

  close(): void {
    for (const forwarder of this.forwarders) forwarder.close()
  }
}
