import { z } from "zod"
import "../lib/schema-errors.js"
import { digestPattern, parseImageReference, readImageReference } from "../lib/image-reference.js"

const migrations = z.object({
  /** The newest migration that the image brings. */
  head: z.string(),
  /** Those that older code cannot work with. */
  breaking: z.array(z.string()),
})

const releasedImage = z.object({
  /** `repository@sha256:…`. */
  reference: z.string().refine(isPinned, "an image with its digest"),
  /** What the image does to its database; absent where it has none, or where that is not known. */
  migrations: migrations.optional(),
})
export type ReleasedImage = z.output<typeof releasedImage>

const schema = z.object({
  schemaVersion: z.literal(1),
  /** The commit it was built from. */
  commit: z.string().optional(),
  /** Authors beside those that git knows: logins of GitHub, e-mails or users of the cluster. */
  authors: z.array(z.string().trim().min(1)).max(1000).optional(),
  /** Images by service. */
  images: z.record(z.string(), releasedImage),
})

/** What is delivered: made once, never changed, and the same in every environment. */
export type Release = Readonly<z.output<typeof schema>>

/** The file `release.json`. */
export const releaseText = (release: Release): string => `${JSON.stringify(release, undefined, 2)}\n`

/** @throws Error with every fault for a file that is no release */
export function readRelease(text: string): Release {
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch (error) {
    throw new Error(`the release cannot be read: ${(error as Error).message}`, { cause: error })
  }
  const result = schema.safeParse(found)
  if (result.success) return result.data
  const faults = result.error.issues.map(({ path, message }) =>
    [path.join("."), message].filter(Boolean).join(": "),
  )
  throw new Error(`the release cannot be read: ${faults.join("; ")}`)
}

/**
 * Reads pairs of a service and its image, such as `api=ghcr.io/owner/api@sha256:…`.
 *
 * @param options.bare whether a digest without a repository is enough
 * @throws Error for a pair that is malformed, and for a service that is named twice
 */
export function readImages(pairs: string[], { bare = false } = {}): Record<string, string> {
  const images: Record<string, string> = {}
  for (const pair of pairs) {
    const [, service = "", image = ""] = /^([^=]+)=(.+)$/.exec(pair) ?? []
    if (service === "" || !(isPinned(image) || (bare && digestPattern.test(image)))) {
      const allowed = `SERVICE=REPOSITORY@sha256:…${bare ? ", or SERVICE=sha256:…" : ""}, with all 64 digits`
      throw new Error(`"${pair}" names no image; allowed: ${allowed}`)
    }
    if (service in images) throw new Error(`--image names ${service} twice`)
    images[service] = image
  }
  return images
}

/**
 * The digest of an image, or of a digest itself.
 *
 * @throws Error for an image without one
 */
export function digestOf(image: string): string {
  const digest = digestPattern.test(image) ? image : parseImageReference(image).digest
  if (digest === undefined) throw new Error(`the image ${image} has no digest; allowed: REPOSITORY@sha256:…`)
  return digest
}

function isPinned(reference: string): boolean {
  return readImageReference(reference)?.digest !== undefined
}
