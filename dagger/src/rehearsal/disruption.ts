import type { KubernetesApi } from "../clients/kubernetes/client.js"
import { monotonic } from "../lib/clock.js"
import { CuttableProxy, killable, killApiServer } from "./fault-injection.js"
import type { Disruption } from "./faults.js"
import type { RolloutObserver } from "./observer.js"

/** What a disruption works on. */
export interface DisruptedDeploy {
  /** Runs the deploy command on a connection, and returns its last output, also if it fails. */
  deploy: (cluster: KubernetesApi) => Promise<string>
  /** Opens a connection with the deployer's rights; `address` replaces that of the API server, as `host:port`. */
  connect: (address?: string) => Promise<KubernetesApi>
  observer: RolloutObserver
  /** All rights on the cluster. */
  admin: KubernetesApi
  /** The API server as `host:port`. */
  apiAddress: () => Promise<string>
  /** An image with Python that the nodes have. */
  image: string
}

/**
 * Runs a deploy command and disrupts it.
 *
 * @returns the last output of the command
 */
export async function deployDisrupted(
  disruption: Disruption | undefined,
  { deploy, connect, observer, admin, apiAddress, image }: DisruptedDeploy,
): Promise<string> {
  const command = async () => deploy(await connect())
  switch (disruption?.kind) {
    case undefined:
      return command()
    case "killed": {
      const { cluster, kill } = killable(await connect())
      // Not awaited: a killed command never ends.
      void deploy(cluster)
      await observer.until(disruption.at)
      kill()
      if (disruption.resumed) return command()
      await observer.until("aborting")
      return "the watchdog took traffic back"
    }
    case "two deployers": {
      const first = command()
      await observer.until("preparing")
      const second = await command()
      if (!second.includes("is being deployed by")) {
        throw new Error(`a second deploy was not refused: ${second}`)
      }
      return first
    }
    case "no API": {
      const proxy = await CuttableProxy.to(await apiAddress())
      const output = deploy(await connect(proxy.address))
      await observer.until(disruption.at)
      proxy.cut()
      await monotonic.pause(disruption.seconds * 1000)
      await proxy.restore()
      try {
        return await output
      } finally {
        proxy.cut()
      }
    }
    case "API killed": {
      const output = command()
      await observer.until(disruption.at)
      await killApiServer(admin, image)
      return output
    }
    case "no room": {
      const nodes = await admin.list("v1", "Node", "")
      const cordon = (unschedulable: boolean) =>
        Promise.all(nodes.map((node) => admin.merge(node, { spec: { unschedulable } })))
      await cordon(true)
      try {
        return await command()
      } finally {
        await cordon(false)
      }
    }
    case "clock": {
      const { TZ } = process.env
      process.env.TZ = disruption.zone
      try {
        return await command()
      } finally {
        if (TZ === undefined) delete process.env.TZ
        else process.env.TZ = TZ
      }
    }
  }
}
