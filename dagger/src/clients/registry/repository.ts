import { createHash } from "node:crypto"
import { z } from "zod"
import { digestPattern } from "../../lib/image-reference.js"
import { delays, type Registry, RegistryError, requestTimeout } from "./registry.js"

/** What a manifest or a list says of another manifest or of a blob. */
export interface Descriptor {
  mediaType: string
  digest: string
  size: number
  artifactType?: string
  annotations?: Record<string, string>
  platform?: { os: string; architecture: string; variant?: string }
}

const descriptorSchema = z.looseObject({
  mediaType: z.string(),
  digest: z.string().regex(digestPattern, "a digest"),
  size: z.int().min(0),
  artifactType: z.string().optional(),
  annotations: z.record(z.string(), z.string()).nullish(),
  platform: z.looseObject({ os: z.string(), architecture: z.string() }).optional(),
})
const manifestSchema = z.looseObject({
  mediaType: z.string().optional(),
  artifactType: z.string().optional(),
  config: descriptorSchema.optional(),
  layers: z.array(descriptorSchema).optional(),
  manifests: z.array(descriptorSchema).nullish(),
  subject: descriptorSchema.optional(),
  annotations: z.record(z.string(), z.string()).nullish(),
})

const tagsSchema = z.looseObject({ tags: z.array(z.string()).nullish() })

/** A manifest, or an index of manifests, as it is stored. */
export interface StoredManifest {
  descriptor: Descriptor
  json: ManifestJson
}

export interface ManifestJson {
  mediaType?: string
  artifactType?: string
  config?: Descriptor
  layers?: Descriptor[]
  manifests?: Descriptor[]
  subject?: Descriptor
  annotations?: Record<string, string>
}

/** Something that is stored beside an image and refers to it. */
export interface Artifact {
  artifactType: string
  /** The content of its only layer, and the media type of that. */
  content: Buffer
  contentType: string
  annotations?: Record<string, string>
}

export const mediaTypes = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  empty: "application/vnd.oci.empty.v1+json",
} as const

const accepted = [
  mediaTypes.manifest,
  mediaTypes.index,
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
].join(", ")

/** Milliseconds for the download of a layer. */
const layerTimeout = 1_800_000
/** Bytes: manifests and attestations are small, and a registry is not trusted to say so. */
const largest = 64 * 1024 * 1024

export const sha256 = (bytes: string | Uint8Array): string =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`

type BlobKey = Pick<Descriptor, "digest" | "size">

/** Bytes in a millisecond. */
const slowestUpload = 100

/** The manifests and blobs of one image's name. */
export class Repository {
  /** By digest of the subject: writes of its list of referrers, one after another. */
  private readonly writes = new Map<string, Promise<unknown>>()
  /** By digest: blobs that are being brought here, and those that are here; how many bytes that took. */
  private readonly blobs = new Map<string, Promise<number>>()

  constructor(
    private readonly client: Registry,
    /** Path within the registry, such as `owner/repository/api`. */
    readonly name: string,
  ) {}

  /** The name with its registry, such as `ghcr.io/owner/api`. */
  get address(): string {
    return `${this.client.name}/${this.name}`
  }

  /**
   * Reads a manifest or an index.
   *
   * @param reference a tag or a digest
   * @returns undefined if there is none
   * @throws RegistryError for content that has another digest than was asked for
   */
  async manifest(reference: string): Promise<StoredManifest | undefined> {
    const where = `${this.address}${digestPattern.test(reference) ? "@" : ":"}${reference}`
    const found = await this.client.send(
      this.pull,
      {
        method: "GET",
        url: this.path(`manifests/${reference}`),
        headers: { accept: accepted },
        allowed: [404],
      },
      async (answer) => {
        if (answer.status === 404) {
          await drain(answer)
          return undefined
        }
        return { bytes: await contentOf(answer, where), type: answer.headers.get("content-type") ?? "" }
      },
    )
    if (!found) return undefined
    const { bytes, type } = found
    const digest = sha256(bytes)
    if (digestPattern.test(reference) && digest !== reference)
      throw new RegistryError(`${where} was tampered with: what the registry has is ${digest}`)
    const json = manifestIn(bytes, where)
    const mediaType = json.mediaType ?? type.split(";", 1)[0] ?? ""
    return { descriptor: { mediaType, digest, size: bytes.length }, json }
  }

  /** Stores a manifest under its digest, or under a tag. */
  putManifest(
    manifest: object & { mediaType: string },
    tag?: string,
  ): Promise<{ descriptor: Descriptor; listed: boolean }> {
    return this.putManifestText(JSON.stringify(manifest), manifest.mediaType, tag)
  }

  /** Stores a manifest, as it is written, under its digest or under a tag. */
  async putManifestText(
    text: string,
    mediaType: string,
    tag?: string,
  ): Promise<{ descriptor: Descriptor; listed: boolean }> {
    const descriptor = { mediaType, digest: sha256(text), size: Buffer.byteLength(text) }
    const listed = await this.client.send(
      this.push,
      {
        method: "PUT",
        url: this.path(`manifests/${tag ?? descriptor.digest}`),
        headers: { "content-type": mediaType },
        body: text,
        // Docker's registry does not find a blob for a moment while others upload the same one.
        passing: /\bMANIFEST_BLOB_UNKNOWN\b/,
      },
      async (answer) => {
        await drain(answer)
        return answer.headers.get("oci-subject") !== null
      },
    )
    return { descriptor, listed }
  }

  /** All tags, in no order; none for a repository that does not exist. */
  async tags(): Promise<string[]> {
    const all: string[] = []
    let url: string | undefined = this.path("tags/list?n=1000")
    while (url !== undefined) {
      const page: { tags: string[]; next: string | undefined } = await this.client.send(
        this.pull,
        { method: "GET", url, allowed: [404] },
        async (answer) => {
          const bytes = await contentOf(answer, `the tags of ${this.address}`)
          if (answer.status === 404) return { tags: [], next: undefined }
          const parsed = tagsSchema.safeParse(jsonIn(bytes))
          if (!parsed.success) throw new RegistryError(`the tags of ${this.address} cannot be read`)
          return { tags: parsed.data.tags ?? [], next: nextPage(answer) }
        },
      )
      all.push(...page.tags)
      url = page.next
    }
    return all
  }

  /**
   * Deletes a manifest, and then those of its tags that the registry has left.
   *
   * @param tags that led to it
   * @throws RegistryError for a registry that does not delete
   */
  async remove(digest: string, tags: string[] = []): Promise<void> {
    await this.removeReference(digest)
    for (const tag of tags) {
      // Some registries keep the tag, and another command may have moved it to something else.
      if ((await this.manifest(tag))?.descriptor.digest === digest) await this.removeReference(tag)
    }
  }

  private async removeReference(reference: string): Promise<void> {
    try {
      await this.client.send(
        this.delete,
        { method: "DELETE", url: this.path(`manifests/${reference}`), allowed: [404] },
        drain,
      )
    } catch (error) {
      if (!(error instanceof RegistryError && error.status === 405)) throw error
      throw new RegistryError(
        `${this.client.name} does not let anybody delete: ${error.message}`,
        error.status,
        { cause: error },
      )
    }
  }

  /** @throws RegistryError for a blob that is missing, too large or has another digest */
  async blob(digest: string): Promise<Buffer> {
    const where = `${this.address}@${digest}`
    const bytes = await this.client.send(
      this.pull,
      { method: "GET", url: this.path(`blobs/${digest}`) },
      (answer) => contentOf(answer, where),
    )
    const found = sha256(bytes)
    if (found !== digest)
      throw new RegistryError(`${where} was tampered with: what the registry has is ${found}`)
    return bytes
  }

  /**
   * Downloads a blob of any size and compares it with its digest.
   *
   * @returns what is wrong with it; undefined: nothing
   */
  async faultOfBlob({ digest, size }: Descriptor): Promise<string | undefined> {
    const found = await this.client.send(
      this.pull,
      { method: "GET", url: this.path(`blobs/${digest}`), allowed: [404], timeout: layerTimeout },
      async (answer) => {
        if (answer.status === 404) {
          await drain(answer)
          return undefined
        }
        const hash = createHash("sha256")
        let length = 0
        for await (const chunk of answer.body ?? []) {
          hash.update(chunk)
          length += (chunk as Uint8Array).length
        }
        return { digest: `sha256:${hash.digest("hex")}`, length }
      },
    )
    if (!found) return `${digest} is missing in the registry`
    if (found.digest !== digest)
      return `${digest} was tampered with: what the registry has is ${found.digest}`
    return found.length === size
      ? undefined
      : `${digest} has ${found.length} bytes, its manifest says ${size}`
  }

  /** Stores a blob unless it is there. */
  async putBlob(bytes: Buffer, mediaType: string): Promise<Descriptor> {
    const descriptor = { mediaType, digest: sha256(bytes), size: bytes.length }
    await this.bringBlob(descriptor, () => Promise.resolve(new Blob([new Uint8Array(bytes)])))
    return descriptor
  }

  /**
   * Stores a blob, which may be large, unless it is there. Who needs one that is being brought waits for that.
   *
   * @param open gives the blob; not called when it is there
   * @returns the number of bytes that were sent for this call
   */
  async bringBlob({ digest, size }: BlobKey, open: () => Promise<Blob>): Promise<number> {
    const before = this.blobs.get(digest)
    const brought = before ?? this.upload({ digest, size }, open)
    this.blobs.set(digest, brought)
    try {
      const sent = await brought
      return before ? 0 : sent
    } catch (error) {
      this.blobs.delete(digest)
      throw error
    }
  }

  private async upload({ digest, size }: BlobKey, open: () => Promise<Blob>): Promise<number> {
    const there = await this.client.send(
      this.push,
      { method: "HEAD", url: this.path(`blobs/${digest}`), allowed: [404] },
      (answer) => Promise.resolve(answer.ok),
    )
    if (there) return 0
    const body = await open()
    if (body.size !== size) throw new Error(`${digest} has ${body.size} bytes instead of ${size}`)
    const location = await this.client.send(
      this.push,
      { method: "POST", url: this.path("blobs/uploads/") },
      async (answer) => {
        await drain(answer)
        return new URL(answer.headers.get("location") ?? "", answer.url).href
      },
    )
    const url = new URL(location)
    url.searchParams.set("digest", digest)
    await this.client.send(
      this.push,
      {
        method: "PUT",
        url: url.href,
        headers: { "content-type": "application/octet-stream" },
        body,
        timeout: requestTimeout + Math.ceil(size / slowestUpload),
      },
      drain,
    )
    return size
  }

  /** Everything that is stored beside a manifest and refers to it: by the registry's own list, or by the tag that stands in for it. */
  async referrers(digest: string): Promise<Descriptor[]> {
    return (await this.listed(digest)) ?? (await this.tagged(digest))
  }

  /**
   * Stores something beside a manifest, and makes sure that it is found there.
   *
   * @throws RegistryError when the registry lists it otherwise than it was written
   */
  async attach(subject: Descriptor, artifact: Artifact): Promise<Descriptor> {
    const { artifactType, annotations, content, contentType } = artifact
    const [config, layer] = await Promise.all([
      this.putBlob(Buffer.from("{}"), mediaTypes.empty),
      this.putBlob(content, contentType),
    ])
    const { mediaType, digest, size } = subject
    const manifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      artifactType,
      config: { ...config, artifactType },
      layers: [layer],
      subject: { mediaType, digest, size },
      ...(annotations && { annotations }),
    }
    const { descriptor } = await this.putManifest(manifest)
    const entry: Descriptor = { ...descriptor, artifactType, ...(annotations && { annotations }) }
    await this.keepListed(digest, [entry])
    return entry
  }

  /**
   * Makes sure that entries are in the list of what refers to a manifest. Where a tag stands in for that list, another command may have written it meanwhile.
   *
   * @throws RegistryError when they cannot be brought there, or are listed with another type
   */
  async keepListed(subject: string, entries: Descriptor[]): Promise<void> {
    const before = this.writes.get(subject) ?? Promise.resolve()
    const write = before.catch(() => undefined).then(() => this.writeListed(subject, entries))
    this.writes.set(subject, write)
    await write
  }

  private async writeListed(subject: string, entries: Descriptor[]): Promise<void> {
    const known = new Map<string, Descriptor>(entries.map((entry) => [entry.digest, entry]))
    for (const delay of [...delays, undefined]) {
      const own = await this.listed(subject)
      const found = own ?? (await this.tagged(subject))
      const missing = [...known.values()].filter(({ digest }) => !found.some((one) => one.digest === digest))
      if (missing.length === 0) {
        refuseOtherTypes(this.address, found, entries)
        return
      }
      if (delay === undefined) {
        throw new RegistryError(
          `${this.address} does not list ${missing.map(({ digest }) => digest).join(", ")} beside ${subject}`,
        )
      }
      if (own) {
        // The registry keeps the list itself; it may need a moment.
        await this.client.pause(delay)
        continue
      }
      // What was there once stays, even if somebody else has overwritten it.
      for (const one of found) known.set(one.digest, one)
      const manifests = [...known.values()].sort((one, other) => one.digest.localeCompare(other.digest))
      await this.putManifest(
        { schemaVersion: 2, mediaType: mediaTypes.index, manifests } as object & { mediaType: string },
        standIn(subject),
      )
    }
  }

  /** The registry's own list; undefined for a registry that has none. */
  private async listed(digest: string): Promise<Descriptor[] | undefined> {
    const all: Descriptor[] = []
    let url: string | undefined = this.path(`referrers/${digest}`)
    while (url !== undefined) {
      const page: { manifests: Descriptor[]; next: string | undefined } | undefined = await this.client.send(
        this.pull,
        { method: "GET", url, headers: { accept: mediaTypes.index }, allowed: [400, 404, 405, 406] },
        async (answer) => {
          const type = (answer.headers.get("content-type") ?? "").split(";", 1)[0]
          if (!answer.ok || type !== mediaTypes.index) {
            await drain(answer)
            return undefined
          }
          const bytes = await contentOf(answer, `${this.address}@${digest}`)
          return {
            manifests: manifestIn(bytes, `the list beside ${this.address}@${digest}`).manifests ?? [],
            next: nextPage(answer),
          }
        },
      )
      if (!page) return undefined
      all.push(...page.manifests)
      url = page.next
    }
    return all
  }

  private async tagged(digest: string): Promise<Descriptor[]> {
    return (await this.manifest(standIn(digest)))?.json.manifests ?? []
  }

  private get pull(): string {
    return `repository:${this.name}:pull`
  }

  private get push(): string {
    return `repository:${this.name}:pull,push`
  }

  private get delete(): string {
    return `repository:${this.name}:pull,push,delete`
  }

  private path(rest: string): string {
    return `/v2/${this.name}/${rest}`
  }
}

/** The address of what a list goes on with. */
function nextPage(answer: Response): string | undefined {
  const [, link] = /<([^>]+)>\s*;\s*rel="?next"?/.exec(answer.headers.get("link") ?? "") ?? []
  return link === undefined ? undefined : new URL(link, answer.url).href
}

/** Reads what is left of an answer, so that its connection can be used again. */
const drain = (answer: Response): Promise<unknown> => answer.arrayBuffer()

/** The tag that stands in for the list of referrers. */
const standIn = (digest: string): string => digest.replace(":", "-")

/** A list with another type is one in which cluster policies find nothing. */
function refuseOtherTypes(address: string, found: Descriptor[], entries: Descriptor[]): void {
  for (const { digest, artifactType } of entries) {
    const listed = found.find((one) => one.digest === digest)?.artifactType
    if (listed === artifactType) continue
    throw new RegistryError(
      `${address} lists ${digest} as ${listed ?? "nothing"} instead of ${artifactType ?? "nothing"}: verifiers that ask by type would not find it`,
    )
  }
}

/** @throws RegistryError for another text than a manifest */
function manifestIn(bytes: Buffer, where: string): ManifestJson {
  const parsed = manifestSchema.safeParse(jsonIn(bytes))
  if (parsed.success) return parsed.data as ManifestJson
  throw new RegistryError(`${where} is no manifest: ${z.prettifyError(parsed.error)}`)
}

function jsonIn(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}

/** @throws RegistryError for more than is kept in memory */
async function contentOf(answer: Response, where: string): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of answer.body ?? []) {
    chunks.push(chunk)
    length += (chunk as Uint8Array).length
    if (length > largest) throw new RegistryError(`${where} has more than ${largest} bytes`)
  }
  return Buffer.concat(chunks)
}
