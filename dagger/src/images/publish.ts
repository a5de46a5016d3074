import { dag, type Directory } from "@dagger.io/dagger"
import { reachRegistry } from "../clients/registry/reach.js"
import { mediaTypes, Repository } from "../clients/registry/repository.js"
import type { Release, ReleasedImage } from "../delivery/release.js"
import { readPlatform } from "../platform/platform.js"
import { type ReproducibleImage, reproducible } from "../platform/reproducible.js"
import type { TargetPlatform } from "../platform/targets.js"
import { schemaFrom } from "../platform/schema.js"
import { parseImageReference, parseRegistryAddress } from "../lib/image-reference.js"
import { reportProgress } from "../lib/progress.js"
import { size } from "../lib/size.js"
import { oneLine } from "../lib/text.js"
import { type RegistryAccess, signedIn } from "./access.js"
import { indexText, pushImage } from "./push.js"

/**
 * Builds services from source and pushes them to a registry. Unchanged layers are neither built nor sent again, and equal files have equal digests.
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
  const { address } = registry
  if (address === "") {
    throw new Error(
      `${services.join(", ")} must be built: put REGISTRY=ghcr.io/owner/repository into .env, or give --registry before the function's name; a deploy or a plan of existing images takes --image instead`,
    )
  }
  const { registry: host, path } = parseRegistryAddress(address)
  const platform = await readPlatform(source)
  const client = await reachRegistry(host, registry)
  const published = await Promise.all(
    services.map(async (name): Promise<[string, ReleasedImage]> => {
      const service = platform.service(name)
      // All are built before the first is pushed.
      const built = await Promise.all(
        (targets.length > 0 ? targets : [undefined]).map(async (target) => {
          const image = await platform.release(service, target)
          return { image, own: await reproducible(source, image, await platform.base(service, target)) }
        }),
      )
      const [{ image } = {}] = built
      if (!image) throw new Error(`${name} has no image`)
      const repository = new Repository(client, [path, name].filter(Boolean).join("/"))
      const { digest, sent } = await push(
        repository,
        built.map(({ own }) => own),
        tag,
      )
      reportProgress(`${name}: ${size(sent)} pushed`)
      const migrations = await schemaFrom(image)
      return [name, { reference: `${address}/${name}@${digest}`, ...(migrations && { migrations }) }]
    }),
  )
  return Object.fromEntries(published)
}

/** Pushes an image of one platform or of several: what a tag leads to comes last, so that it is never half there. */
async function push(
  repository: Repository,
  parts: ReproducibleImage[],
  tag: string,
): Promise<{ digest: string; sent: number }> {
  let sent = 0
  for (const part of parts) sent += await pushImage(repository, part)
  const [only] = parts
  const { text, mediaType } =
    parts.length === 1 && only
      ? { text: only.text, mediaType: only.descriptor.mediaType }
      : { text: indexText(parts), mediaType: mediaTypes.index }
  const { descriptor } = await repository.putManifestText(text, mediaType, tag)
  return { digest: descriptor.digest, sent }
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
