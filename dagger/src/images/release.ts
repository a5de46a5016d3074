import { signature } from "../attestations/statement.js"
import { attach, attachedTo } from "../attestations/store.js"
import type { Signer } from "../attestations/signer.js"
import { predicateTypes } from "../attestations/statement.js"
import { type Trust, trustText, verifierFor } from "../attestations/trust.js"
import { reachRegistry, type RegistryKeys } from "../clients/registry/reach.js"
import { mediaTypes, Repository, type StoredManifest } from "../clients/registry/repository.js"
import { parseImageReference, parseRegistryAddress } from "../lib/image-reference.js"
import { readRelease, type Release, releaseText } from "../delivery/release.js"
import type { RegistryAccess } from "./access.js"

/** Name of the releases' repository, beside those of the images. */
export const releaseRepository = "release"
const releaseType = "application/vnd.pitwall.release.v1+json"

/**
 * Stores a release in the registry, beside its images, and signs it.
 *
 * @returns its reference with its digest: the same for the same release
 */
export async function storeRelease(
  release: Release,
  tag: string,
  registry: RegistryAccess,
  signer: Signer,
): Promise<string> {
  const { registry: host, path } = parseRegistryAddress(registry.address)
  const name = path === "" ? releaseRepository : `${path}/${releaseRepository}`
  const repository = new Repository(await reachRegistry(host, registry), name)
  const [config, layer] = await Promise.all([
    repository.putBlob(Buffer.from("{}"), mediaTypes.empty),
    repository.putBlob(Buffer.from(releaseText(release)), releaseType),
  ])
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType: releaseType,
    config,
    layers: [layer],
  }
  const { descriptor } = await repository.putManifest(manifest)
  const subject = { name: repository.address, digest: descriptor.digest }
  await attach(repository, descriptor, [signature(subject)], signer)
  // A tag comes last, and only so that a registry that deletes what has none keeps it.
  await repository.putManifest(manifest, tag)
  return `${registry.address.replace(/\/$/, "")}/${releaseRepository}@${descriptor.digest}`
}

/**
 * Reads a release from the registry.
 *
 * @param reference with its digest
 * @param trust by whom it has to be signed; absent: by anybody, its digest says which it is
 * @throws Error when it is not there, is no release, or is not signed by whom it must be
 */
export async function fetchRelease(
  reference: string,
  keys: RegistryKeys,
  trust: Trust | undefined,
): Promise<Release> {
  const { registry, repository: path, digest } = parseImageReference(reference)
  if (digest === undefined)
    throw new Error(
      `"${reference}" names no release; allowed: REPOSITORY/release@sha256:…, as publish says it`,
    )
  const repository = new Repository(await reachRegistry(registry, keys), path)
  const manifest = await repository.manifest(digest)
  if (!manifest || !isRelease(manifest))
    throw new Error(`${reference} is no release${manifest ? "" : ": there is nothing in the registry"}`)
  if (trust) {
    const { statements, rejected } = await attachedTo(repository, digest, await verifierFor(trust))
    if (!statements.some(({ predicateType }) => predicateType === predicateTypes.signature)) {
      const why = rejected.length > 0 ? `: ${rejected.join("; ")}` : ""
      throw new Error(`the release ${reference} is not signed by ${trustText(trust)}${why}`)
    }
  }
  return releaseOf(repository, manifest)
}

export const isRelease = ({ json }: StoredManifest): boolean => json.artifactType === releaseType

/** @throws Error for a release that cannot be read */
export async function releaseOf(repository: Repository, { json }: StoredManifest): Promise<Release> {
  const [layer] = json.layers ?? []
  if (!layer) throw new Error(`a release of ${repository.address} has no content`)
  return readRelease((await repository.blob(layer.digest)).toString())
}
