import { openAsBlob } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { mediaTypes, type Repository } from "../clients/registry/repository.js"
import { blobPath, type ReproducibleImage } from "../platform/reproducible.js"

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
