// Images for tests, with everything that a verified one has.
import { generateKeyPairSync } from "node:crypto"
import { mediaTypes, type Repository } from "../../src/clients/registry/repository.js"
import { keySigner, type Signer } from "../../src/attestations/signer.js"
import * as statements from "../../src/attestations/statement.js"
import type { Statement, Subject } from "../../src/attestations/statement.js"
import { attach } from "../../src/attestations/store.js"
import { type ImagePart, partsOf } from "../../src/attestations/verify.js"

export const commit = "c".repeat(40)
export const moment = "2026-11-29T10:00:00.000Z"

export const newSigner = (): Signer =>
  keySigner(generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey)

/** An image of one layer for each platform, with an index where there are several. */
export async function pushImage(
  repository: Repository,
  architectures = ["amd64", "arm64"],
  text = "layer",
  name = "latest",
): Promise<ImagePart[]> {
  const manifests = []
  for (const architecture of architectures) {
    const config = await repository.putBlob(
      Buffer.from(
        JSON.stringify({
          created: moment,
          os: "linux",
          architecture,
          rootfs: { type: "layers", diff_ids: [] },
        }),
      ),
      "application/vnd.oci.image.config.v1+json",
    )
    const layer = await repository.putBlob(
      Buffer.from(`${text} of ${architecture}`),
      "application/vnd.oci.image.layer.v1.tar",
    )
    const manifest = { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [layer] }
    const tag = architectures.length === 1 ? name : undefined
    const { descriptor } = await repository.putManifest(manifest, tag)
    if (tag === undefined) await repository.putManifest(manifest)
    manifests.push({ ...descriptor, platform: { os: "linux", architecture } })
  }
  if (architectures.length > 1)
    await repository.putManifest({ schemaVersion: 2, mediaType: mediaTypes.index, manifests } as never, name)
  return partsOf(repository, name)
}

export const packages = (architecture: string) => [
  `pkg:deb/debian/libc6@2.36-9?arch=${architecture}&distro=debian-12`,
  "pkg:pypi/fastapi@0.120.0",
]

export const spdxDocument = (purls: string[]) => ({
  spdxVersion: "SPDX-2.3",
  packages: purls.map((purl) => ({
    name: purl,
    externalRefs: [{ referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: purl }],
  })),
})

export const cyclonedxDocument = (purls: string[]) => ({
  bomFormat: "CycloneDX",
  specVersion: "1.6",
  components: purls.map((purl) => ({ type: "library", name: purl, purl })),
})

export const gates = [
  { gate: "api:test", outcome: "passed" as const },
  { gate: "security:snyk", outcome: "skipped" as const },
]

/** Everything that is said of a manifest, and more or less of it. */
export function said(subject: Subject, platform: string | undefined, more: Partial<Parts> = {}): Statement[] {
  const architecture = platform?.split("/")[1] ?? ""
  const parts: Parts = {
    signature: statements.signature(subject),
    provenance: statements.provenance(
      subject,
      { service: "api", platforms: ["linux/amd64", "linux/arm64"] },
      { commit },
      { builder: "https://pitwall.dev/builder/key-holder", started: moment, finished: moment },
    ),
    tests: statements.tests(subject, { commit, gates, report: `sha256:${"d".repeat(64)}` }),
    ...(platform !== undefined && {
      spdx: statements.spdx(subject, spdxDocument(packages(architecture))),
      cyclonedx: statements.cyclonedx(subject, cyclonedxDocument(packages(architecture))),
      vulnerabilities: statements.vulnerabilities(subject, {
        scanner: { uri: "pkg:github/aquasecurity/trivy@v0.66.0", version: "0.66.0" },
        database: { uri: "oci:ghcr.io/aquasecurity/trivy-db:2", made: moment },
        found: [],
        started: moment,
        finished: moment,
      }),
    }),
    ...more,
  }
  const all: (Statement | undefined)[] = Object.values(parts)
  return all.flatMap((one) => one ?? [])
}

type Parts = Partial<Record<keyof typeof statements.predicateTypes, Statement | undefined>>

/** Attaches to each part of an image what is said of it. */
export async function attest(
  repository: Repository,
  parts: ImagePart[],
  signer: Signer,
  of = (subject: Subject, platform: string | undefined) => said(subject, platform),
): Promise<void> {
  for (const { descriptor, platform } of parts) {
    const subject = { name: repository.address, digest: descriptor.digest }
    await attach(repository, descriptor, of(subject, platform), signer)
  }
}
