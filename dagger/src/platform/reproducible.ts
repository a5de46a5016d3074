import { type Container, dag, type Directory, ImageMediaTypes } from "@dagger.io/dagger"
import { z } from "zod"
import type { Descriptor } from "../clients/registry/repository.js"
import { digestPattern } from "../lib/image-reference.js"
import { images } from "./base-images.js"
import { cache } from "./caches.js"

/** Makes, compares and describes layouts. */
export const layoutsScript = "dagger/config/images/layouts.py"

const archive = (image: Container) => image.asTarball({ mediaTypes: ImageMediaTypes.OcimediaTypes })

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

/** The path of a blob in a layout. */
export const blobPath = (digest: string) => `blobs/${digest.replace(":", "/")}`

const bytes = z.record(z.string(), z.int().min(0))
const contentsSchema = z.object({
  base: z.int().min(0),
  layers: bytes,
  parts: bytes,
  programs: z.array(z.string()).min(1),
})

/** What is in an image of one platform. */
export interface ImageContents {
  /** Bytes of the layers of its base, as they are pushed. */
  base: number
  /** Bytes of each other layer, as they are pushed, by the folder that it fills. */
  layers: Record<string, number>
  /** Bytes of the files that these layers leave in the image, by package or folder. */
  parts: Record<string, number>
  /** Paths of everything in the image that can be run. */
  programs: string[]
}

/**
 * Reads what `layouts.py contents` prints.
 *
 * @throws Error for anything else
 */
export function readContents(text: string): ImageContents {
  try {
    return contentsSchema.parse(JSON.parse(text))
  } catch (error) {
    throw new Error(`${layoutsScript} printed no contents of an image`, { cause: error })
  }
}

/**
 * Looks into an image, in the form in which it is published.
 *
 * @param source the repository
 * @param base what the image begins with, if it does
 */
export async function contentsOf(
  source: Directory,
  { layout }: ReproducibleImage,
  base: Container | undefined,
): Promise<ImageContents> {
  const prepared = dag
    .container()
    .from(images.python)
    .withMountedFile("/layouts.py", source.file(layoutsScript))
    .withMountedDirectory("/image", layout)
  const printed = (base ? prepared.withMountedFile("/base.tar", archive(base)) : prepared).withExec(
    ["python", "/layouts.py", "contents", "/image", base ? "/base.tar" : "-"],
    { redirectStdout: "/contents.json" },
  )
  return readContents(await printed.file("/contents.json").contents())
}
