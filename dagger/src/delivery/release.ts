const digest = /^sha256:[0-9a-f]{64}$/

/**
 * Reads pairs of a service and what is of it, such as `api=ghcr.io/owner/api@sha256:…`.
 *
 * @param bare whether a digest alone is enough
 * @throws Error for a pair that is none, and for a service that is named twice
 */
export function readImages(pairs: string[], { bare = false } = {}): Record<string, string> {
  const images: Record<string, string> = {}
  for (const pair of pairs) {
    const [, service = "", image = ""] = /^([^=]+)=(.+)$/.exec(pair) ?? []
    const [repository = "", hash] = image.split("@")
    const whole = repository !== "" && hash !== undefined && digest.test(hash)
    if (service === "" || !(whole || (bare && digest.test(image)))) {
      const allowed = `SERVICE=REPOSITORY@sha256:…${bare ? ", or SERVICE=sha256:…" : ""}, with all 64 digits`
      throw new Error(`"${pair}" names no image; allowed: ${allowed}`)
    }
    if (service in images) throw new Error(`--image names ${service} twice`)
    images[service] = image
  }
  return images
}

/** The digest of an image that has one. */
export const digestOf = (image: string): string => image.slice(image.indexOf("@") + 1)
