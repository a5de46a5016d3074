/** The digest at the end of an image's name, or the whole text where it is a digest; undefined without one. */
export function imageDigest(image: string): string | undefined {
  return /(?:^|@)(sha256:[0-9a-f]{64})$/.exec(image)?.[1]
}

/** The registry that an image's name refers to: its first part where that is a host, Docker Hub otherwise. */
export function registryHost(image: string): string {
  const [first = "", ...rest] = image.split("/")
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === "localhost")
  return isHost ? first : "docker.io"
}
