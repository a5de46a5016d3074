// The rules of github.com/distribution/reference. The npm packages for them are unmaintained or do not validate.

/** An image as containers' tools name it, with the defaults of Docker Hub filled in. */
export interface ImageReference {
  /** Host and port; `docker.io` if the reference names none. */
  registry: string
  /** Path within the registry: `owner/api`; `library/debian` for an official image of Docker Hub. */
  repository: string
  tag?: string
  /** `sha256:` and 64 hexadecimal digits. */
  digest?: string
}

/** A place to push images to: `ghcr.io/owner`, `localhost:5000`, or `owner` on Docker Hub. */
export interface RegistryAddress {
  registry: string
  /** Path before the name of each image; empty if the images lie at the top. */
  path: string
}

const dockerHub = "docker.io"
const part = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*"
const pathPattern = new RegExp(`^${part}(?:/${part})*$`)
const label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
const hostPattern = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[0-9a-fA-F:]+\\])(?::\\d+)?$`)
const tagPattern = /^\w[\w.-]{0,127}$/
/** A SHA-256 in hexadecimal digits, as part of a pattern. */
export const hexDigest = "[0-9a-f]{64}"
export const hexDigestPattern = new RegExp(`^${hexDigest}$`)
export const digestPattern = new RegExp(`^sha256:${hexDigest}$`)

/**
 * Parses an image reference such as `api`, `owner/api:1.2` or `ghcr.io/owner/api@sha256:…`.
 *
 * @throws Error that names the wrong part and what is allowed there
 */
export function parseImageReference(text: string): ImageReference {
  const at = text.indexOf("@")
  const digest = at < 0 ? undefined : text.slice(at + 1)
  const tagged = at < 0 ? text : text.slice(0, at)
  // A colon before the last slash belongs to the port.
  const colon = tagged.indexOf(":", tagged.lastIndexOf("/") + 1)
  const tag = colon < 0 ? undefined : tagged.slice(colon + 1)
  const { registry, path } = splitHost(colon < 0 ? tagged : tagged.slice(0, colon))
  const refuse = (what: string, found: string, allowed: string): never => {
    throw new Error(`"${text}" is not an image reference: ${what} is "${found}"; allowed: ${allowed}`)
  }
  if (!hostPattern.test(registry)) refuse("the registry", registry, "HOST or HOST:PORT")
  if (!pathPattern.test(path) || registry.length + path.length > 254) {
    refuse("the repository", path, "lower-case letters and digits, with . _ - and / between them")
  }
  if (tag !== undefined && !tagPattern.test(tag)) {
    refuse("the tag", tag, "letters, digits, . _ and -, at most 128")
  }
  if (digest !== undefined && !digestPattern.test(digest)) {
    refuse("the digest", digest, "sha256: and 64 hexadecimal digits")
  }
  const repository = registry === dockerHub && !path.includes("/") ? `library/${path}` : path
  return { registry, repository, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) }
}

/** The parts of an image reference; undefined for a text that is none. */
export function readImageReference(text: string): ImageReference | undefined {
  try {
    return parseImageReference(text)
  } catch {
    return undefined
  }
}

/** Writes a reference out in full: two references to the same image give the same text. */
export function formatImageReference({ registry, repository, tag, digest }: ImageReference): string {
  const suffix = `${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`
  return `${registry}/${repository}${suffix}`
}

/**
 * Parses the address that images are pushed to.
 *
 * @throws Error that says what is allowed
 */
export function parseRegistryAddress(text: string): RegistryAddress {
  const trimmed = text.replace(/\/$/, "")
  const address = isHost(trimmed) ? { registry: hubName(trimmed), path: "" } : splitHost(trimmed)
  const { registry, path } = address
  // Nobody may push to the top of Docker Hub.
  const whole = path === "" ? registry !== dockerHub : pathPattern.test(path)
  if (hostPattern.test(registry) && whole) return address
  throw new Error(
    `"${text}" is not the address of a registry; allowed: HOST[:PORT][/PATH] such as ghcr.io/owner, or OWNER on Docker Hub`,
  )
}

/** The first component is a host only if it cannot be a path: this is how Docker tells `owner/api` from `ghcr.io/api`. */
const isHost = (component: string) =>
  !component.includes("/") &&
  (component === "localhost" || /[.:]/.test(component) || component !== component.toLowerCase())

const hubName = (host: string) => (host === "index.docker.io" ? dockerHub : host)

function splitHost(name: string): { registry: string; path: string } {
  const slash = name.indexOf("/")
  const first = name.slice(0, Math.max(slash, 0))
  return slash > 0 && isHost(first)
    ? { registry: hubName(first), path: name.slice(slash + 1) }
    : { registry: dockerHub, path: name }
}
