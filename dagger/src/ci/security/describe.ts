import type { Container } from "@dagger.io/dagger"
import { images } from "../../platform/base-images.js"
import type { VulnerabilityDatabase } from "./database.js"
import { offline, scanner, withDatabase } from "./scanner.js"
import { readTrivy } from "./trivy.js"

/** What a scanner says of an image: its packages in two formats, and their vulnerabilities where it has a database of them. */
export interface ImageDescription {
  spdx: unknown
  cyclonedx: unknown
  scan?: {
    scanner: { uri: string; version: string }
    database: { uri: string; made: string }
    found: { id: string; severity: string; package: string }[]
    /** ISO 8601. */
    started: string
    finished: string
  }
}

const [, version = ""] = /:([\d.]+)@/.exec(images.trivy) ?? []

/**
 * Lists what is in an image, and scans it.
 *
 * @param reference OCI reference of the database
 * @throws Error when Trivy does not finish
 */
export async function describeImage(
  image: Container,
  database: VulnerabilityDatabase,
  reference: string,
): Promise<ImageDescription> {
  const container = scanner().withMountedFile("/image.tar", image.asTarball())
  const listed = container.withExec(["sh", "-ec", list])
  const [spdx, cyclonedx] = await Promise.all(
    ["/spdx.json", "/cyclonedx.json"].map(
      async (file) => JSON.parse(await listed.file(file).contents()) as unknown,
    ),
  )
  if ("missing" in database) return { spdx, cyclonedx }
  const started = new Date().toISOString()
  const scanned = withDatabase(container, database.folder).withExec(["sh", "-ec", scan])
  const results = readTrivy(await scanned.file("/scan.json").contents())
  return {
    spdx,
    cyclonedx,
    scan: {
      scanner: { uri: `pkg:github/aquasecurity/trivy@v${version}`, version },
      database: { uri: `oci://${reference}`, made: database.made },
      found: results.flatMap(({ Vulnerabilities }) =>
        (Vulnerabilities ?? []).map(({ VulnerabilityID: id, Severity, PkgIdentifier, PkgName }) => ({
          id,
          severity: Severity.toLowerCase(),
          package: PkgIdentifier?.PURL ?? PkgName,
        })),
      ),
      started,
      finished: new Date().toISOString(),
    },
  }
}

const list = `
trivy image --quiet --input /image.tar --format spdx-json --output /spdx.json
trivy image --quiet --input /image.tar --format cyclonedx --output /cyclonedx.json`
const scan = `trivy image --quiet --input /image.tar --scanners vuln ${offline} --format json --output /scan.json`
