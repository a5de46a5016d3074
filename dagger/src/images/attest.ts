import { type Container, dag, type Platform } from "@dagger.io/dagger"
import { normalizeCyclonedx, normalizeSpdx } from "../attestations/sbom.js"
import type { Signer } from "../attestations/signer.js"
import {
  type BuildSource,
  cyclonedx,
  provenance,
  signature,
  spdx,
  type Statement,
  type TestedSource,
  tests,
  vulnerabilities,
  type VulnerabilityScan,
} from "../attestations/statement.js"
import { attach } from "../attestations/store.js"
import { partsOf } from "../attestations/verify.js"
import { reachRegistry } from "../clients/registry/reach.js"
import { Repository } from "../clients/registry/repository.js"
import { parseImageReference } from "../lib/image-reference.js"
import { count } from "../lib/text.js"
import { type RegistryAccess, signedIn } from "./access.js"

/** What is said of an image, and by whom. */
export interface Attestation {
  signer: Signer
  source: BuildSource
  /** The gates' results; absent: nothing is said of them. */
  tested?: Pick<TestedSource, "gates" | "report">
  /** Lists what is in an image. */
  describe: (image: Container) => Promise<{ spdx: unknown; cyclonedx: unknown; scan?: VulnerabilityScan }>
  /** When the build began, ISO 8601. */
  started: string
}

/**
 * Describes and signs an image that was pushed: each platform's, then its index. What was said of it before is not said again, so an interrupted call is completed by the
 * same call.
 *
 * @param reference with its digest
 * @returns one line for people
 */
export async function attestImage(
  service: string,
  reference: string,
  registry: RegistryAccess,
  { signer, source, tested, describe, started }: Attestation,
): Promise<string> {
  const { registry: host, repository: path, digest: whole = "" } = parseImageReference(reference)
  const repository = new Repository(await reachRegistry(host, registry), path)
  const parts = await partsOf(repository, whole)
  const platforms = parts.flatMap(({ platform }) => platform ?? [])
  const finished = new Date().toISOString()
  const run = {
    builder: signer.builder,
    ...(signer.run && { invocation: signer.run.invocation }),
    started,
    finished,
  }
  let added = 0
  // The index comes last: what is signed as a whole is complete.
  for (const { descriptor, platform } of [...parts].reverse()) {
    const { digest } = descriptor
    const subject = { name: repository.address, digest }
    const statements: Statement[] = [
      provenance(subject, { service, platforms }, source, run),
      ...(tested ? [tests(subject, { ...source, ...tested })] : []),
    ]
    if (platform !== undefined) {
      const image = signedIn(dag.container({ platform: platform as Platform }), host, registry).from(
        `${host}/${path}@${digest}`,
        { ...(registry.service && { registryService: registry.service }) },
      )
      const found = await describe(image)
      const described = { ...subject, platform }
      statements.push(
        spdx(subject, normalizeSpdx(found.spdx, described)),
        cyclonedx(subject, normalizeCyclonedx(found.cyclonedx, described)),
        ...(found.scan ? [vulnerabilities(subject, found.scan)] : []),
      )
    }
    added += (await attach(repository, descriptor, [...statements, signature(subject)], signer)).length
  }
  return `${service}: signed by ${signer.name}, with ${count(added, "new attestation")}`
}
