import type { Service } from "@dagger.io/dagger"
import { isThisMachine, Registry } from "./registry.js"

/** How to sign in to a registry, and where it is. */
export interface RegistryKeys {
  user?: string | undefined
  password?: string | undefined
  /** Serves the registry's address where that is a Dagger service. */
  service?: Service | undefined
}

/**
 * A client of a registry, for code that runs in a container of the engine.
 *
 * @param registry host and port, as references to images name it
 * @throws Error for a registry of the operator's machine that is not given as a service
 */
export async function reachRegistry(registry: string, keys: RegistryKeys): Promise<Registry> {
  const { user, password, service } = keys
  if (!isThisMachine(registry)) return new Registry({ registry, user, password })
  if (!service) {
    throw new Error(
      `${registry} is this machine, which the pipeline's containers do not reach: give the registry with --registry-service tcp://${registry}`,
    )
  }
  await service.start()
  return new Registry({ registry, user, password, origin: `http://${await service.endpoint()}` })
}
