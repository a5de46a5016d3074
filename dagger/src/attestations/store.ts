import { type Descriptor, mediaTypes, type Repository } from "../clients/registry/repository.js"
import type { Signer } from "./signer.js"
import { isAbout, saysTheSame, type Statement } from "./statement.js"
import { type Verifier, verifierFor } from "./trust.js"

export const bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

/** What is attached to a manifest: statements that count, and why others do not. */
export interface Attached {
  statements: Statement[]
  rejected: string[]
}

/**
 * Reads every attestation beside a manifest.
 *
 * @throws RegistryError when the registry cannot be read: what could not be read is not missing
 */
export async function attachedTo(
  repository: Repository,
  digest: string,
  verify: Verifier,
): Promise<Attached> {
  const bundles = (await repository.referrers(digest)).filter(isBundle)
  const read = await Promise.all(
    bundles.map(async (entry) => {
      const manifest = await repository.manifest(entry.digest)
      const layer = manifest?.json.layers?.[0]
      if (!layer || manifest.json.subject?.digest !== digest)
        return { fault: `${short(entry.digest)}: listed beside the image, and about another or missing` }
      if (layer.mediaType !== bundleType) return undefined
      const found = verify((await repository.blob(layer.digest)).toString())
      if ("fault" in found) return { fault: `${short(entry.digest)}: ${found.fault}` }
      return isAbout(found.statement, digest)
        ? found
        : { fault: `${short(entry.digest)}: the statement is about another image` }
    }),
  )
  return {
    statements: read.flatMap((one) => (one && "statement" in one ? [one.statement] : [])),
    rejected: read.flatMap((one) => (one && "fault" in one ? [one.fault] : [])),
  }
}

// Some registries list the type of the manifest's configuration instead of its own.
const isBundle = ({ artifactType }: Descriptor): boolean =>
  artifactType === undefined || artifactType === bundleType || artifactType === mediaTypes.empty

const short = (digest: string): string => digest.slice(0, 19)

/**
 * Signs statements about a manifest and stores them beside it, as cosign does. What it has said before is not said again, so an interrupted call is completed by the
 * same call.
 *
 * @returns the entries that it added
 * @throws RegistryError when the registry does not keep them
 */
export async function attach(
  repository: Repository,
  subject: Descriptor,
  statements: Statement[],
  signer: Signer,
): Promise<Descriptor[]> {
  const known = await attachedTo(repository, subject.digest, await verifierFor(signer.trust))
  const wanted = statements.filter((one) => !known.statements.some((other) => saysTheSame(one, other)))
  const entries: Descriptor[] = []
  for (const statement of wanted) {
    const bundle = await signer.sign(statement)
    entries.push(
      await repository.attach(subject, {
        artifactType: bundleType,
        content: Buffer.from(bundle),
        contentType: bundleType,
        annotations: {
          "dev.sigstore.bundle.content": "dsse-envelope",
          "dev.sigstore.bundle.predicateType": statement.predicateType,
          "org.opencontainers.image.created": new Date().toISOString().replace(/\.\d+/, ""),
        },
      }),
    )
  }
  // Another command may have written the stand-in for the registry's list at the same time.
  if (entries.length > 0) await repository.keepListed(subject.digest, entries)
  return entries
}
