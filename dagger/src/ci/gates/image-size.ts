import { z } from "zod"
import { size } from "../../lib/size.js"
import { catalogFile, type ImageBudget } from "../../platform/catalog.js"
import type { ImageContents } from "../../platform/reproducible.js"
import { growth, type Sizes, total } from "./growth.js"

/** The file of a service's folder that holds the sizes of a former image. */
export const imageSizesFile = "image-size.json"

const bytes = z.record(z.string(), z.int().min(0))
const schema = z.strictObject({ base: z.int().min(0), layers: bytes, parts: bytes })

/** What of an image's contents is recorded. */
export type ImageSizes = z.output<typeof schema>

/** Reads what {@link writeImageSizes} has written; undefined for anything else. */
export function readImageSizes(text: string): ImageSizes | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

/** The text of `image-size.json`: equal sizes have equal texts. */
export function writeImageSizes({ base, layers, parts }: ImageSizes): string {
  const sorted = (sizes: Sizes) =>
    Object.fromEntries(Object.entries(sizes).sort(([a], [b]) => (a < b ? -1 : 1)))
  return `${JSON.stringify({ base, layers: sorted(layers), parts: sorted(parts) }, null, 2)}\n`
}

const megabyte = 1_000_000

/**
 * Why an image is not in its budget, and what grew; undefined when it is.
 *
 * @param budget in MB, each of 1,000,000 bytes, as layers are pushed
 * @param recorded the sizes of the image that the repository records
 */
export function imageTooLarge(
  name: string,
  budget: ImageBudget,
  measured: ImageSizes,
  recorded: ImageSizes | undefined,
): string | undefined {
  const added = total(measured.layers)
  const parts = [
    { words: `adds ${size(added)} to its base`, key: "added", found: added },
    { words: `has ${size(added + measured.base)}, with its base`, key: "all", found: added + measured.base },
  ] as const
  const excesses = parts.flatMap(({ words, key, found }) => {
    const more = found - budget[key] * megabyte
    if (more <= 0) return []
    return [
      `The image ${words}, as it is pushed: ${size(more)} more than ${catalogFile} allows (services.${name}.image.${key}: ${budget[key]}).`,
    ]
  })
  if (excesses.length === 0) return undefined
  return [
    ...excesses,
    ...changes(measured, recorded),
    `To record the sizes of this image: ${recordCommand(name)}`,
  ].join("\n")
}

/** The command that records the sizes of an image as it is now. */
export const recordCommand = (name: string): string =>
  `./daggerw call fix --gate ${name}:image export --path services/${name}`

const layersOf = ({ base, layers }: ImageSizes): Sizes => ({ "the base image": base, ...layers })

function changes(measured: ImageSizes, recorded: ImageSizes | undefined): string[] {
  const layers = growth(layersOf(measured), recorded && layersOf(recorded), "layer", size)
  const parts = growth(measured.parts, recorded?.parts, "part", size)
  if (layers.length + parts.length === 0) return ["Nothing is larger than when its size was last recorded."]
  const [above, below] = recorded
    ? ["Layers that grew since sizes were last recorded, as they are pushed:", "What grew in them, as files:"]
    : ["No sizes are recorded to compare with. Its layers, as they are pushed:", "What is in them, as files:"]
  return [...(layers.length > 0 ? [above, ...layers] : []), ...(parts.length > 0 ? [below, ...parts] : [])]
}

/** What is recorded of an image. */
export const sizesOf = ({ base, layers, parts }: ImageContents): ImageSizes => ({ base, layers, parts })
