import type { Repository, StoredManifest } from "../clients/registry/repository.js"
import { RegistryError } from "../clients/registry/registry.js"
import { digestOf } from "../delivery/release.js"
import { hexDigest } from "../lib/image-reference.js"
import type { Stored } from "./reachability.js"
import { isRelease, releaseOf } from "./release.js"

/** The tag of a list of referrers, or of what older versions of cosign store beside an image. */
const besideTag = new RegExp(`^sha256-(${hexDigest})(\\..+)?$`)
const created = "org.opencontainers.image.created"
/** Milliseconds since the epoch. Reproducible builds write a time before it. */
const earliest = Date.UTC(2000, 0)

/**
 * Reads what repositories contain, as far as tags and the given digests lead to it.
 *
 * @param repositories by the name within the address
 * @param digests of images that matter with or without a tag
 * @throws Error when something cannot be read: then nobody knows what belongs together
 */
export async function contentsOf(
  repositories: Record<string, Repository>,
  digests: string[],
): Promise<Stored[]> {
  const all = Object.entries(repositories).map(([name, repository]) => new Contents(name, repository))
  // One after another: a registry limits how much is asked of it at once.
  const found: Stored[] = []
  for (const one of all) found.push(...(await one.tagged()))
  const known = new Set(found.flatMap(({ manifests }) => manifests.map(({ digest }) => digest)))
  const wanted = new Set([...digests, ...found.flatMap(({ images }) => images)])
  const untagged = [...wanted].filter((digest) => !known.has(digest))
  for (const one of all) found.push(...(await one.untagged(untagged)), ...(await one.left()))
  return found
}

/** Reads one repository. */
class Contents {
  private readonly manifests = new Map<string, Promise<StoredManifest | undefined>>()
  /** Tags by the digest that they lead to. */
  private readonly tags = new Map<string, string[]>()
  /** Digests of what tags put beside an image, by its digest. */
  private readonly beside = new Map<string, Set<string>>()
  /** Digests that belong to what was read. */
  private readonly seen = new Set<string>()

  constructor(
    private readonly name: string,
    private readonly repository: Repository,
  ) {}

  /** What has a tag of its own. */
  async tagged(): Promise<Stored[]> {
    const tops = new Set<string>()
    for (const tag of await this.repository.tags()) {
      const manifest = await this.repository.manifest(tag)
      // Another command has removed it meanwhile.
      if (!manifest) continue
      const { digest } = manifest.descriptor
      this.manifests.set(digest, Promise.resolve(manifest))
      this.tags.set(digest, [...(this.tags.get(digest) ?? []), tag])
      const [, subject] = besideTag.exec(tag) ?? []
      if (subject === undefined) tops.add(digest)
      else {
        const of = `sha256:${subject}`
        this.beside.set(of, (this.beside.get(of) ?? new Set()).add(digest))
      }
    }
    return this.storedAll([...tops])
  }

  /** Those of some images that are here. */
  async untagged(digests: string[]): Promise<Stored[]> {
    const here: string[] = []
    for (const digest of digests) if (await this.manifest(digest)) here.push(digest)
    return this.storedAll(here)
  }

  /** What is beside images that nothing leads to, or that are gone. */
  async left(): Promise<Stored[]> {
    const found: Stored[] = []
    for (const [subject, things] of this.beside) {
      if ([...things].every((one) => this.seen.has(one))) continue
      found.push(await this.stored(subject))
    }
    return found
  }

  private async storedAll(digests: string[]): Promise<Stored[]> {
    const found: Stored[] = []
    for (const digest of digests) found.push(await this.stored(digest))
    return found
  }

  private async stored(digest: string): Promise<Stored> {
    const closure = await this.closure(digest)
    for (const one of closure) this.seen.add(one)
    const top = await this.manifest(digest)
    const times = await Promise.all(closure.map((one) => this.timesOf(one)))
    const newest = Math.max(...times.flat(), -Infinity)
    const release = top && isRelease(top) ? await releaseOf(this.repository, top) : undefined
    return {
      name: this.name,
      digest,
      tags: this.tags.get(digest) ?? [],
      manifests: closure.map((one) => ({ digest: one, tags: this.tags.get(one) ?? [] })),
      images: release ? Object.values(release.images).map(({ reference }) => digestOf(reference)) : [],
      ...(newest > earliest && { at: newest }),
      ...((!top || (newest <= earliest && (await this.lacksParts(top)))) && { incomplete: true }),
    }
  }

  /** Whether a platform is missing, or the signature that every release has. */
  private async lacksParts(top: StoredManifest): Promise<boolean> {
    const needed = isRelease(top)
      ? await this.repository.referrers(top.descriptor.digest)
      : (top.json.manifests ?? [])
    const parts = await Promise.all(needed.map(({ digest }) => this.manifest(digest)))
    if (isRelease(top)) return parts.every((part) => part === undefined)
    return parts.some((part) => part === undefined)
  }

  /** A manifest and all that belongs to it, each behind what it belongs to, and without those that are missing. */
  private async closure(digest: string): Promise<string[]> {
    const all = new Set([digest])
    const there: string[] = []
    // What is added is visited too.
    for (const one of all) {
      const manifest = await this.manifest(one)
      const referrers = manifest ? await this.repository.referrers(one) : []
      if (manifest) there.push(one)
      const children = [...(manifest?.json.manifests ?? []), ...referrers].map((other) => other.digest)
      for (const other of [...(this.beside.get(one) ?? []), ...children]) all.add(other)
    }
    return there
  }

  /** What an image and what is said of it say of when they were made, in milliseconds since the epoch. */
  private async timesOf(digest: string): Promise<number[]> {
    const manifest = await this.manifest(digest)
    if (!manifest) return []
    const { annotations, config } = manifest.json
    const texts = [annotations?.[created], await this.createdIn(config)]
    return texts.flatMap((text) => {
      const time = Date.parse(text ?? "")
      return Number.isNaN(time) ? [] : [time]
    })
  }

  private async createdIn(config: StoredManifest["json"]["config"]): Promise<string | undefined> {
    if (!config || !/\.(image\.config|container\.image)\.v1\+json$/.test(config.mediaType)) return undefined
    try {
      const { created: time } = JSON.parse((await this.repository.blob(config.digest)).toString()) as {
        created?: unknown
      }
      return typeof time === "string" ? time : undefined
    } catch (error) {
      // The registry has collected it already.
      if (error instanceof RegistryError && error.status === 404) return undefined
      throw error
    }
  }

  private manifest(digest: string): Promise<StoredManifest | undefined> {
    const known = this.manifests.get(digest)
    if (known) return known
    const read = this.repository.manifest(digest)
    this.manifests.set(digest, read)
    return read
  }
}
