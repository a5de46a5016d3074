import { describe, expect, it } from "vitest"
import { normalizeCyclonedx, normalizeSpdx } from "../../src/attestations/sbom.js"
import { faultsOf } from "../../src/attestations/requirements.js"
import { cyclonedx, spdx } from "../../src/attestations/statement.js"

const digest = `sha256:${"a".repeat(64)}`
const image = { name: "ghcr.io/owner/api", digest, platform: "linux/arm64" }

/** As Trivy writes it, with what it makes up each time. */
const bom = ([system, library]: [string, string], timestamp: string) => ({
  bomFormat: "CycloneDX",
  specVersion: "1.6",
  serialNumber: "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
  version: 1,
  metadata: {
    timestamp,
    tools: { components: [{ type: "application", name: "trivy", version: "0.66.0" }] },
    component: { "bom-ref": "6b1bb2b8-4d62-4d6d-b5d5-5cbd4b84d0b1", type: "container", name: "/image.tar" },
  },
  components: [
    { "bom-ref": system, type: "operating-system", name: "debian", version: "12" },
    { "bom-ref": library, type: "library", name: "notes", version: "1" },
    {
      "bom-ref": "pkg:deb/debian/libc6@2.36?arch=arm64",
      type: "library",
      name: "libc6",
      purl: "pkg:deb/debian/libc6@2.36?arch=arm64",
    },
  ].sort(() => (system < library ? 1 : -1)),
  dependencies: [
    { ref: "6b1bb2b8-4d62-4d6d-b5d5-5cbd4b84d0b1", dependsOn: [library, system] },
    { ref: system, dependsOn: ["pkg:deb/debian/libc6@2.36?arch=arm64"] },
  ],
})
const first: [string, string] = [
  "11111111-1111-4111-8111-111111111111",
  "22222222-2222-4222-8222-222222222222",
]
const second: [string, string] = [
  "44444444-4444-4444-8444-444444444444",
  "33333333-3333-4333-8333-333333333333",
]

const spdxOf = (id: string, created: string) => ({
  spdxVersion: "SPDX-2.3",
  SPDXID: "SPDXRef-DOCUMENT",
  name: "/image.tar",
  documentNamespace: `http://aquasecurity.github.io/trivy/container_image//image.tar-${id}`,
  creationInfo: { creators: ["Organization: aquasecurity", "Tool: trivy-0.66.0"], created },
  packages: [
    { SPDXID: `SPDXRef-ContainerImage-${id}`, name: "/image.tar", downloadLocation: "NONE" },
    {
      SPDXID: `SPDXRef-Package-${id}`,
      name: "libc6",
      downloadLocation: "NONE",
      externalRefs: [
        {
          referenceCategory: "PACKAGE-MANAGER",
          referenceType: "purl",
          referenceLocator: "pkg:deb/debian/libc6@2.36?arch=arm64",
        },
      ],
      annotations: [
        {
          annotator: "Tool: trivy-0.66.0",
          annotationDate: created,
          annotationType: "OTHER",
          comment: "PkgType: debian",
        },
      ],
    },
  ],
  relationships: [
    {
      spdxElementId: "SPDXRef-DOCUMENT",
      relationshipType: "DESCRIBES",
      relatedSpdxElement: `SPDXRef-ContainerImage-${id}`,
    },
    {
      spdxElementId: `SPDXRef-ContainerImage-${id}`,
      relationshipType: "CONTAINS",
      relatedSpdxElement: `SPDXRef-Package-${id}`,
    },
  ],
})

describe("a list of packages", () => {
  it("in CycloneDX is the same whenever it is made, and says which image it is about", () => {
    const one = normalizeCyclonedx(bom(first, "2026-11-29T10:00:00Z"), image)
    expect(JSON.stringify(normalizeCyclonedx(bom(second, "2026-11-30T11:00:00Z"), image))).toBe(
      JSON.stringify(one),
    )
    const { metadata, components, dependencies, serialNumber } = one as {
      metadata: { component: { purl: string; "bom-ref": string }; timestamp?: string }
      components: { "bom-ref": string }[]
      dependencies: { ref: string; dependsOn: string[] }[]
      serialNumber: string
    }
    expect(metadata.timestamp).toBeUndefined()
    expect(metadata.component.purl).toBe(
      `pkg:oci/api@sha256%3A${"a".repeat(64)}?arch=arm64&repository_url=ghcr.io%2Fowner%2Fapi`,
    )
    expect(serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
    // Every reference leads somewhere.
    const known = [metadata.component["bom-ref"], ...components.map((each) => each["bom-ref"])]
    expect(
      dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn]).filter((ref) => !known.includes(ref)),
    ).toEqual([])
  })

  it("in SPDX too", () => {
    const one = normalizeSpdx(spdxOf("1f3a", "2026-11-29T10:00:00Z"), image)
    expect(JSON.stringify(normalizeSpdx(spdxOf("9c2b", "2026-11-30T11:00:00Z"), image))).toBe(
      JSON.stringify(one),
    )
    const { packages, relationships } = one as {
      packages: { SPDXID: string; name: string }[]
      relationships: { spdxElementId: string; relatedSpdxElement: string }[]
    }
    const known = ["SPDXRef-DOCUMENT", ...packages.map(({ SPDXID }) => SPDXID)]
    const named = relationships.flatMap((each) => [each.spdxElementId, each.relatedSpdxElement])
    expect(named.filter((id) => !known.includes(id))).toEqual([])
    expect(packages.map(({ name }) => name).sort()).toEqual(["ghcr.io/owner/api", "libc6"])
  })

  it("is one that the verification takes for this image, and for no other", () => {
    const subject = { name: image.name, digest }
    const statements = [
      spdx(subject, normalizeSpdx(spdxOf("1f3a", "2026-11-29T10:00:00Z"), image)),
      cyclonedx(subject, normalizeCyclonedx(bom(first, "2026-11-29T10:00:00Z"), image)),
    ]
    const faults = (of: string, platform: string) =>
      faultsOf([{ digest: of, platform, statements, rejected: [] }], { platforms: [] }).filter((fault) =>
        fault.includes("SBOM"),
      )
    expect(faults(digest, "linux/arm64")).toEqual([])
    expect(faults(digest, "linux/amd64")).toHaveLength(2)
    expect(faults(`sha256:${"b".repeat(64)}`, "linux/arm64")).toHaveLength(2)
  })

  it("without a package is none", () => {
    expect(() => normalizeCyclonedx({ ...bom(first, ""), components: [] }, image)).toThrow(/lists no package/)
    expect(() =>
      normalizeSpdx({ ...spdxOf("1", ""), packages: spdxOf("1", "").packages.slice(0, 1) }, image),
    ).toThrow(/lists no package/)
    expect(() => normalizeSpdx(undefined, image)).toThrow(/lists no package/)
  })
})
