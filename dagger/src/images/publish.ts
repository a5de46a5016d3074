import { dag, type Directory } from "@dagger.io/dagger"
import { digestOf, type Release, type ReleasedImage } from "../delivery/release.js"
import { readPlatform } from "../platform/platform.js"
import type { TargetPlatform } from "../platform/targets.js"
import { schemaFrom } from "../platform/schema.js"
import { parseImageReference, parseRegistryAddress } from "../lib/image-reference.js"
import { oneLine } from "../lib/text.js"
import { type RegistryAccess, signedIn } from "./access.js"

/**
 * Builds services from source and pushes them to a registry. Unchanged layers are neither built nor sent again.
 *
 * @param tag of the images, so that a registry that deletes untagged images keeps them
 * @param targets platforms of each image; that of the engine, if empty
 * @throws Error when no registry was given
 */
export async function publish(
  source: Directory,
  services: string[],
  registry: RegistryAccess,
  tag: string,
  targets: TargetPlatform[] = [],
): Promise<Release["images"]> {
  const { address, service: registryService } = registry
  if (address === "") {
    throw new Error(
      `${services.join(", ")} must be built: put REGISTRY=ghcr.io/owner/repository into .env, or give --registry before the function's name; a deploy or a plan of existing images takes --image instead`,
    )
  }
  const { registry: host } = parseRegistryAddress(address)
  const platform = await readPlatform(source)
  const published = await Promise.all(
    services.map(async (service): Promise<[string, ReleasedImage]> => {
      const [image, ...others] = await Promise.all(
        (targets.length > 0 ? targets : [undefined]).map((target) =>
          platform.release(platform.service(service), target),
        ),
      )
      if (!image) throw new Error(`${service} has no image`)
      // One after another, each platform would be pushed before it is known that all can be built.
      const reference = await signedIn(image, host, registry).publish(`${address}/${service}:${tag}`, {
        ...(others.length > 0 && { platformVariants: others }),
        ...(registryService && { registryService }),
      })
      const migrations = await schemaFrom(image)
      return [
        service,
        { reference: `${address}/${service}@${digestOf(reference)}`, ...(migrations && { migrations }) },
      ]
    }),
  )
  return Object.fromEntries(published)
}

/**
 * Reads what existing images say of their migrations.
 *
 * An image that cannot be read from here is no error: the nodes of the cluster may have access of their own. Its migrations are unknown then, and the guards say so.
 */
export async function describeImages(
  references: Record<string, string>,
  registry: RegistryAccess,
  say: (line: string) => void,
): Promise<Release["images"]> {
  const described = await Promise.all(
    Object.entries(references).map(async ([service, reference]): Promise<[string, ReleasedImage]> => {
      try {
        const migrations = await schemaFrom(
          signedIn(dag.container(), parseImageReference(reference).registry, registry).from(reference),
        )
        return [service, { reference, ...(migrations && { migrations }) }]
      } catch (error) {
        const why = oneLine((error as Error).message, 200)
        say(`${service}: the registry does not show its image here, so its migrations are unknown: ${why}`)
        return [service, { reference }]
      }
    }),
  )
  return Object.fromEntries(described)
}
