import { openAsBlob } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Container, dag, type Directory, ImageMediaTypes } from "@dagger.io/dagger"
import { z } from "zod"
import { type Descriptor, mediaTypes, type Repository } from "../clients/registry/repository.js"
import { images } from "../platform/base-images.js"
import { cache } from "../platform/caches.js"
import { digestPattern } from "../lib/image-reference.js"

/** Makes and compares layouts. */
export const layoutsScript = "dagger/config/images/layouts.py"

const descriptor = z.object({
  mediaType: z.string(),
  digest: z.string().regex(digestPattern),
  size: z.int().min(0),
})
const indexSchema = z.object({
  manifests: z.tuple([
    descriptor.extend({
      platform: z.object({ os: z.string(), architecture: z.string(), variant: z.string().optional() }),
    }),
  ]),
})
const manifestSchema = z.object({ config: descriptor, layers: z.array(descriptor) })

/** An image of one platform that is made of its files alone: equal files have equal digests, whenever and wherever they were built. */
export interface ReproducibleImage {
  /** With the platform. */
  descriptor: Descriptor
  /** The manifest as it is stored. */
  text: string
  /** The configuration, then the layers. */
  blobs: Descriptor[]
  /** An OCI layout. */
  layout: Directory
}

/**
 * Takes everything out of an image that comes from when and where it was built: times, the names of owners, its history.
 *
 * Layers of the base stay as they are: registries and nodes that have it need nothing of them.
 *
 * @param source the repository
 * @param base what the image begins with, if it does
 */
export async function reproducible(
  source: Directory,
  image: Container,
  base: Container | undefined,
): Promise<ReproducibleImage> {
  const archive = (one: Container) => one.asTarball({ mediaTypes: ImageMediaTypes.OcimediaTypes })
  const prepared = dag
    .container()
    .from(images.python)
    .withMountedCache("/cache", cache("normalised-layers"))
    .withMountedFile("/layouts.py", source.file(layoutsScript))
    .withMountedFile("/image.tar", archive(image))
  const layout = (base ? prepared.withMountedFile("/base.tar", archive(base)) : prepared)
    .withExec([
      "python",
      "/layouts.py",
      "normalise",
      "/image.tar",
      base ? "/base.tar" : "-",
      "/cache",
      "/out",
    ])
    .directory("/out")
  const index = indexSchema.parse(JSON.parse(await layout.file("index.json").contents()))
  const [found] = index.manifests
  const text = await layout.file(blobPath(found.digest)).contents()
  const { config, layers } = manifestSchema.parse(JSON.parse(text))
  return { descriptor: found, text, blobs: [config, ...layers], layout }
}

const blobPath = (digest: string) => `blobs/${digest.replace(":", "/")}`

/**
 * Brings the blobs and the manifest of an image into a repository, as far as they are not there.
 *
 * @returns the number of bytes that were sent
 */
export async function pushImage(repository: Repository, image: ReproducibleImage): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "image-"))
  try {
    const sent = await Promise.all(
      image.blobs.map((blob) =>
        repository.bringBlob(blob, async () => {
          const path = join(folder, blob.digest.replace(":", "-"))
          await image.layout.file(blobPath(blob.digest)).export(path)
          return openAsBlob(path)
        }),
      ),
    )
    await repository.putManifestText(image.text, image.descriptor.mediaType)
    return sent.reduce((sum, one) => sum + one, 0)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** The list of an image's platforms. Its order does not depend on who names them. */
export const indexText = (parts: ReproducibleImage[]): string =>
  JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests: parts
      .map(({ descriptor }) => descriptor)
      .sort((one, other) => (one.digest < other.digest ? -1 : 1)),
  })
