import { dag, type Container, type Service } from "@dagger.io/dagger"
import { images } from "../base-images.js"

export const registryPort = 5000
/** The engine pushes without TLS to a registry of this name, and to no other. */
const pushAddress = `localhost:${registryPort}`
/** What nodes pull from, and what their mirror of it is called beside them. */
const pullAddress = "registry.local"
const alias = "registry"

/** A registry that lives for one run: the pipeline publishes into it, and the nodes of clusters pull from it by digest. */
export class ThrowAwayRegistry {
  private constructor(
    /** Listens on {@link registryPort}. */
    readonly service: Service,
  ) {}

  /** @param owner who uses it: equal services are one and the same to the engine */
  static async start(owner: string): Promise<ThrowAwayRegistry> {
    const service = dag
      .container()
      .from(images.registry)
      .withEnvVariable("OWNER", owner)
      .withExposedPort(registryPort)
      .asService({ useEntrypoint: true })
    return new ThrowAwayRegistry(await service.start())
  }

  /**
   * @param repository such as `api`
   * @returns what a pod names to run it: `registry.local/api@sha256:…`
   */
  async publish(image: Container, repository: string): Promise<string> {
    const published = await image.publish(`${pushAddress}/${repository}`, { registryService: this.service })
    return published.replace(pushAddress, pullAddress)
  }

  /** Makes a node of k3s pull from it. */
  serve(node: Container): Container {
    return node
      .withServiceBinding(alias, this.service)
      .withNewFile("/etc/rancher/k3s/registries.yaml", mirrors)
  }

  async stop(): Promise<void> {
    await this.service.stop({ kill: true })
  }
}

// Every JSON document is one of YAML. Whoever publishes under the engine's name for it deploys by that name.
const endpoint = [`http://${alias}:${registryPort}`]
const mirrors = JSON.stringify({
  mirrors: { [pullAddress]: { endpoint }, [pushAddress]: { endpoint } },
})
