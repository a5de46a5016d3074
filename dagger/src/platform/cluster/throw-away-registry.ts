import { dag, type Container, type Service } from "@dagger.io/dagger"
import { images } from "../base-images.js"

export const registryPort = 5000
/** The only name for which the engine pushes without TLS. */
const pushAddress = `localhost:${registryPort}`
/** The name in references of pods, and the host that the nodes' mirror of it runs on. */
const pullAddress = "registry.local"
const alias = "registry"

/** A registry that lives for one run. The pipeline pushes to it, and nodes of throw-away clusters pull from it by digest. */
export class ThrowAwayRegistry {
  private constructor(
    /** Listens on {@link registryPort}. */
    readonly service: Service,
  ) {}

  /** @param owner who uses it: the engine runs equal services once */
  static async start(owner: string): Promise<ThrowAwayRegistry> {
    const service = dag
      .container()
      .from(images.registry)
      .withEnvVariable("OWNER", owner)
      .withEnvVariable("REGISTRY_STORAGE_DELETE_ENABLED", "true")
      .withExposedPort(registryPort)
      .asService({ useEntrypoint: true })
    return new ThrowAwayRegistry(await service.start())
  }

  /**
   * @param repository such as `api`
   * @returns the reference for pods: `registry.local/api@sha256:…`
   */
  async publish(image: Container, repository: string): Promise<string> {
    const published = await image.publish(`${pushAddress}/${repository}`, { registryService: this.service })
    return published.replace(pushAddress, pullAddress)
  }

  /** Makes a k3s node pull from this registry. */
  serve(node: Container): Container {
    return node
      .withServiceBinding(alias, this.service)
      .withNewFile("/etc/rancher/k3s/registries.yaml", mirrors)
  }

  async stop(): Promise<void> {
    await this.service.stop({ kill: true })
  }
}

// JSON is valid YAML. The push address is mirrored too, for images that were published outside this class.
const endpoint = [`http://${alias}:${registryPort}`]
const mirrors = JSON.stringify({
  mirrors: { [pullAddress]: { endpoint }, [pushAddress]: { endpoint } },
})
