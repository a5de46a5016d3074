import { reachRegistry, type RegistryKeys } from "../clients/registry/reach.js"
import type { Registry } from "../clients/registry/registry.js"
import { Repository, type StoredManifest } from "../clients/registry/repository.js"
import { formatImageReference, parseImageReference } from "../lib/image-reference.js"
import { oneLine } from "../lib/text.js"
import { type Built, type Evidence, type Expectation, faultsOf, readProvenance } from "./requirements.js"
import { predicateTypes } from "./statement.js"
import { attachedTo } from "./store.js"
import { type Trust, trustText, type Verifier, verifierFor } from "./trust.js"

/** What is known of an image. */
export interface ImageFindings {
  /** The image by its digest. */
  reference: string
  digest: string
  platforms: string[]
  /** Why it must not be trusted; nothing: it may be. */
  faults: string[]
  built: Built[]
}

/**
 * Which SLSA build level a provenance can claim at most: a key is in the hands of whoever builds, the identity of a workflow is not.
 */
export const levelOf = ({ builder }: Built, trust: Trust): 1 | 2 =>
  "identity" in trust && builder === trust.identity ? 2 : 1

/** The findings for people: a line for each image, and what speaks against it. */
export function findingsText(found: ImageFindings[], trust: Trust): string {
  return found
    .map(({ reference, platforms, faults, built }) => {
      if (faults.length > 0)
        return [
          `${reference} is not verified by ${trustText(trust)}:`,
          ...faults.map((one) => `  ${one}`),
        ].join("\n")
      const [first = { builder: undefined, commit: undefined }] = built
      return `${reference} is verified: ${platforms.join(", ")}; built from ${first.commit ?? "an unknown commit"} by ${first.builder ?? "nobody"}, SLSA build level ${levelOf(first, trust)}; signed by ${trustText(trust)}`
    })
    .join("\n")
}

/** One manifest of an image; an index has no platform. */
export interface ImagePart extends StoredManifest {
  platform?: string
}

/**
 * The manifests of an image: its index, if it has one, and that of each platform.
 *
 * @throws Error when there is no such image, or one of its manifests is missing or was tampered with
 */
export async function partsOf(repository: Repository, reference: string): Promise<ImagePart[]> {
  const top = await repository.manifest(reference)
  if (!top) throw new Error(`${repository.address} has no ${reference}`)
  if (!top.json.manifests) return [await withPlatform(repository, top)]
  const children = top.json.manifests.filter(
    // BuildKit's own attestations are not for any platform.
    ({ annotations }) => annotations?.["vnd.docker.reference.type"] === undefined,
  )
  const parts = await Promise.all(
    children.map(async ({ digest }) => {
      const manifest = await repository.manifest(digest)
      if (!manifest) throw new Error(`${repository.address} lacks ${digest}, which ${reference} consists of`)
      return withPlatform(repository, manifest)
    }),
  )
  return [top, ...parts]
}

/** The configuration says what an image runs on; what an index says of it is not signed with it. */
async function withPlatform(repository: Repository, manifest: StoredManifest): Promise<ImagePart> {
  const { config } = manifest.json
  if (!config) throw new Error(`${repository.address}@${manifest.descriptor.digest} is no image`)
  const { os, architecture, variant } = JSON.parse((await repository.blob(config.digest)).toString()) as {
    os?: string
    architecture?: string
    variant?: string
  }
  // The only variant of arm64 is its default.
  const more = variant === undefined || (architecture === "arm64" && variant === "v8") ? [] : [variant]
  return { ...manifest, platform: [os ?? "unknown", architecture ?? "unknown", ...more].join("/") }
}

/** How images are verified. */
export interface VerifyOptions {
  keys: RegistryKeys
  /** Download every layer and compare it with its digest. */
  layers?: boolean
}

/**
 * Finds everything that speaks against images. One that cannot be read is not verified.
 *
 * @throws Error for a reference that is none, and for trust that cannot be read
 */
export async function verifyImages(
  references: string[],
  trust: Trust,
  expectation: Expectation,
  { keys, layers = false }: VerifyOptions,
): Promise<ImageFindings[]> {
  const verify = await verifierFor(trust)
  return Promise.all(
    references.map(async (reference) => {
      const { registry } = parseImageReference(reference)
      try {
        return await verifyImage(await reachRegistry(registry, keys), reference, verify, expectation, {
          layers,
        })
      } catch (error) {
        const fault = `it cannot be verified: ${oneLine((error as Error).message, 300)}`
        const { digest = "" } = parseImageReference(reference)
        return { reference, digest, platforms: [], faults: [fault], built: [] }
      }
    }),
  )
}

/**
 * Finds everything that speaks against an image.
 *
 * @param reference with a digest or a tag
 * @param options.layers download every layer and compare it with its digest
 * @throws Error when the registry cannot be read
 */
export async function verifyImage(
  registry: Registry,
  reference: string,
  verify: Verifier,
  expectation: Expectation,
  { layers = false } = {},
): Promise<ImageFindings> {
  const image = parseImageReference(reference)
  const repository = new Repository(registry, image.repository)
  const parts = await partsOf(repository, image.digest ?? image.tag ?? "latest")
  const evidence = await Promise.all(
    parts.map(async ({ descriptor: { digest }, platform }): Promise<Evidence> => ({
      digest,
      ...(platform !== undefined && { platform }),
      ...(await attachedTo(repository, digest, verify)),
    })),
  )
  const damaged = layers ? await damagedLayers(repository, parts) : []
  const built = evidence.flatMap(({ statements }) =>
    statements.filter(({ predicateType }) => predicateType === predicateTypes.provenance).map(readProvenance),
  )
  const { registry: host, repository: path } = image
  const digest = parts[0]?.descriptor.digest ?? ""
  return {
    digest,
    reference: formatImageReference({
      registry: host,
      repository: path,
      digest,
    }),
    platforms: parts.flatMap(({ platform }) => (platform === undefined ? [] : [platform])),
    faults: [...faultsOf(evidence, expectation), ...damaged],
    built,
  }
}

/** One after another: layers are large. */
async function damagedLayers(repository: Repository, parts: ImagePart[]): Promise<string[]> {
  const faults: string[] = []
  const seen = new Set<string>()
  for (const { json, platform = "index" } of parts) {
    for (const layer of json.layers ?? []) {
      if (seen.has(layer.digest)) continue
      seen.add(layer.digest)
      const fault = await repository.faultOfBlob(layer)
      if (fault !== undefined) faults.push(`${platform}: the layer ${fault}`)
    }
  }
  return faults
}
