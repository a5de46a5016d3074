import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Repository } from "../../src/clients/registry/repository.js"
import * as statements from "../../src/attestations/statement.js"
import type { Signer } from "../../src/attestations/signer.js"
import { attach, bundleType } from "../../src/attestations/store.js"
import { verifierFor } from "../../src/attestations/trust.js"
import { type ImagePart, verifyImage } from "../../src/attestations/verify.js"
import { describeRegistries } from "../clients/registry/describe.js"
import { clientOf, digestOf, MemoryRegistry, type TestRegistry } from "../clients/registry/servers.js"
import {
  attest,
  commit,
  cyclonedxDocument,
  gates,
  newSigner,
  packages,
  pushImage,
  said,
  spdxDocument,
} from "./images.js"

const both = ["linux/amd64", "linux/arm64"]
const signer = newSigner()
let count = 0

const findings = async (
  registry: Pick<TestRegistry, "address">,
  repository: Repository,
  { by = signer, more = {}, layers = false }: { by?: Signer; more?: object; layers?: boolean } = {},
) =>
  verifyImage(
    clientOf(registry),
    `${repository.address}:latest`,
    await verifierFor(by.trust),
    { commit, platforms: both, ...more },
    { layers },
  )

describeRegistries("an image in a registry", {}, (running) => {
  let registry: TestRegistry
  beforeAll(() => {
    registry = running()
  })

  it("is verified when everything is said of each platform, by whom it must be", async () => {
    const repository = new Repository(clientOf(registry), `owner/api-${++count}`)
    const parts = await pushImage(repository)
    await attest(repository, parts, signer)
    const found = await findings(registry, repository, { layers: true })
    expect(found.faults).toEqual([])
    expect(found.platforms).toEqual(both)
    expect(found.reference).toBe(`${repository.address}@${parts[0]?.descriptor.digest ?? ""}`)
    expect(found.built[0]).toEqual({ commit, builder: "https://pitwall.dev/builder/key-holder" })
  })

  it("gets nothing twice when publishing is repeated", async () => {
    const repository = new Repository(clientOf(registry), `owner/api-${++count}`)
    const parts = await pushImage(repository)
    const numbers = async () =>
      Promise.all(parts.map(async ({ descriptor }) => (await repository.referrers(descriptor.digest)).length))
    // The first call is killed after some of it.
    await attest(repository, parts, signer, (subject, platform) => said(subject, platform).slice(0, 2))
    expect(await numbers()).toEqual([2, 2, 2])
    await attest(repository, parts, signer)
    expect(await numbers()).toEqual([3, 6, 6])
    await attest(repository, parts, signer)
    expect(await numbers()).toEqual([3, 6, 6])
    expect((await findings(registry, repository)).faults).toEqual([])
  })
})

describe("an image", () => {
  let registry: MemoryRegistry
  beforeAll(async () => {
    registry = await MemoryRegistry.start({ referrers: false })
  })
  afterAll(() => {
    registry.stop()
  })

  /** An image with everything that `of` says of its parts. */
  async function attested(of = said, by = signer, architectures?: string[]) {
    const repository = new Repository(clientOf(registry), `owner/api-${++count}`)
    const parts = await pushImage(repository, architectures)
    await attest(repository, parts, by, of)
    return { repository, parts }
  }
  const faults = async ({ repository }: { repository: Repository }, options = {}) =>
    (await findings(registry, repository, options)).faults.map((fault) => fault.replace(/sha256:\w+/g, "…"))

  it("that nobody signed lacks everything, on each part", async () => {
    expect(await faults(await attested(() => []))).toEqual([
      "index …: no signature",
      "index …: no provenance",
      "index …: no test result",
      ...both.flatMap((platform) => [
        `${platform} …: no signature`,
        `${platform} …: no provenance`,
        `${platform} …: no test result`,
        `${platform} …: no SBOM in SPDX`,
        `${platform} …: no SBOM in CycloneDX`,
        `${platform} …: no vulnerability scan`,
      ]),
    ])
  })

  it("that another key signed is as one that nobody signed, and the key is named", async () => {
    const other = newSigner()
    const found = await faults(await attested(said, other))
    expect(found).toHaveLength(15 + 15)
    expect(found).toContain("linux/arm64 …: no signature")
    expect(found.find((fault) => fault.includes("not signed by"))).toMatch(
      /^index …: …: not signed by the key [\w+/]+=: /,
    )
  })

  it("lacks what one platform lacks", async () => {
    const image = await attested((subject, platform) =>
      said(subject, platform, platform === "linux/arm64" ? { cyclonedx: undefined } : {}),
    )
    expect(await faults(image)).toEqual(["linux/arm64 …: no SBOM in CycloneDX"])
  })

  it("with the packages of another platform is refused", async () => {
    const image = await attested((subject, platform) =>
      said(subject, platform, {
        ...(platform === "linux/arm64" && {
          spdx: statements.spdx(subject, spdxDocument(packages("amd64"))),
          cyclonedx: statements.cyclonedx(
            subject,
            cyclonedxDocument([
              ...packages("arm64"),
              `pkg:oci/api@${encodeURIComponent(`sha256:${"1".repeat(64)}`)}`,
            ]),
          ),
        }),
      }),
    )
    expect(await faults(image)).toEqual([
      "linux/arm64 …: the SBOM in SPDX is of another platform: its packages are for amd64",
      "linux/arm64 …: the SBOM in CycloneDX is about …",
    ])
  })

  it("whose list of packages is empty has none", async () => {
    const image = await attested((subject, platform) =>
      said(
        subject,
        platform,
        platform === "linux/amd64" ? { spdx: statements.spdx(subject, spdxDocument([])) } : {},
      ),
    )
    expect(await faults(image)).toEqual(["linux/amd64 …: the SBOM in SPDX lists no package"])
  })

  it("does not get the test result of another commit, and one for its own is enough", async () => {
    const elsewhere = "e".repeat(40)
    const tests = (subject: statements.Subject, at: string) =>
      statements.tests(subject, { commit: at, gates, report: `sha256:${"d".repeat(64)}` })
    const image = await attested((subject, platform) =>
      said(subject, platform, { tests: tests(subject, elsewhere) }),
    )
    expect(await faults(image)).toEqual(
      ["index", ...both].map(
        (part) => `${part} …: the test result is about eeeeeeeeeeee, not about cccccccccccc`,
      ),
    )
    await attest(image.repository, image.parts, signer, (subject) => [tests(subject, commit)])
    expect(await faults(image)).toEqual([])
  })

  it("built from another commit than the release is refused", async () => {
    const image = await attested()
    expect(await faults(image, { more: { commit: "f".repeat(40) } })).toContain(
      "linux/amd64 …: built from cccccccccccc, not from ffffffffffff",
    )
    expect(await faults(image, { more: { commit: undefined } })).toEqual([])
  })

  it("with a failed gate is refused, even beside a pass", async () => {
    const image = await attested()
    const failed = [{ gate: "api:test", outcome: "failed" as const }]
    await attest(image.repository, image.parts.slice(0, 1), signer, (subject) => [
      statements.tests(subject, { commit, gates: failed, report: `sha256:${"d".repeat(64)}` }),
    ])
    expect(await faults(image)).toEqual(["index …: the test result is FAILED api:test"])
  })

  it("does not pass by a test result that was forged: of another signer, or changed after it was signed", async () => {
    const image = await attested((subject, platform) => said(subject, platform, { tests: undefined }))
    const [part] = image.parts
    if (!part) throw new Error("no part")
    const subject = { name: "x", digest: part.descriptor.digest }
    const [tests] = said(subject, undefined).slice(-1)
    if (!tests) throw new Error("no test result")
    await attach(image.repository, part.descriptor, [tests], newSigner())
    const bundle = JSON.parse(await signer.sign({ ...tests, predicate: { result: "FAILED" } })) as {
      dsseEnvelope: { payload: string }
    }
    bundle.dsseEnvelope.payload = Buffer.from(JSON.stringify(tests)).toString("base64")
    await image.repository.attach(part.descriptor, {
      artifactType: bundleType,
      content: Buffer.from(JSON.stringify(bundle)),
      contentType: bundleType,
    })
    const found = (await faults(image)).filter((fault) => fault.startsWith("index"))
    expect(found.slice(0, 1)).toEqual(["index …: no test result"])
    expect(found.slice(1)).toEqual([
      expect.stringContaining("signature verification failed"),
      expect.stringContaining("signature verification failed"),
    ])
  })

  it("does not pass by what was said of another image", async () => {
    const other = await attested()
    const repository = new Repository(clientOf(registry), `owner/api-${++count}`)
    const parts = await pushImage(repository, undefined, "another layer")
    const [part] = parts
    const [theirs] = other.parts
    if (!part || !theirs) throw new Error("no parts")
    const subject = { name: other.repository.address, digest: theirs.descriptor.digest }
    await attach(repository, part.descriptor, said(subject, undefined), signer)
    const found = (await faults({ repository })).filter((fault) => fault.startsWith("index"))
    expect(found).toContain("index …: no signature")
    expect(found).toContain("index …: …: the statement is about another image")
  })

  it("lacks a platform, has one twice, or another one", async () => {
    expect(await faults(await attested(said, signer, ["amd64"]))).toEqual([
      "no image for linux/arm64; it has linux/amd64",
    ])
    expect(await faults(await attested(said, signer, ["amd64", "amd64", "arm64"]))).toEqual([
      "two images for linux/amd64",
    ])
  })

  it("with a layer or a manifest that was tampered with is refused", async () => {
    const { repository, parts } = await attested()
    const part = parts.find(({ platform }) => platform === "linux/arm64")
    const [layer] = part?.json.layers ?? []
    if (!part || !layer) throw new Error("no layer")
    registry.blobs.set(`${repository.name}/${layer.digest}`, Buffer.from("evil!"))
    expect(await findings(registry, repository)).toMatchObject({ faults: [] })
    expect((await findings(registry, repository, { layers: true })).faults).toEqual([
      `linux/arm64: the layer ${layer.digest} was tampered with: what the registry has is ${digestOf("evil!")}`,
    ])
    const key = `${repository.name}/${part.descriptor.digest}`
    const stored = registry.manifests.get(key)
    if (!stored) throw new Error("no manifest")
    registry.manifests.set(key, { ...stored, bytes: Buffer.concat([stored.bytes, Buffer.from(" ")]) })
    await expect(findings(registry, repository)).rejects.toThrow(/was tampered with/)
  })

  it("is not called unsigned when the registry cannot be read", async () => {
    const { repository } = await attested()
    registry.fault = (request) => (request.includes("/referrers/") ? { status: 500 } : undefined)
    await expect(findings(registry, repository)).rejects.toThrow(/was refused: 500/)
    registry.fault = () => undefined
  })

  it("is completed by another call after a failure at any request, and gets nothing twice", async () => {
    for (let dies = 1, completed = false; !completed; dies += 17) {
      const repository = new Repository(clientOf(registry), `owner/api-${++count}`)
      const parts: ImagePart[] = await pushImage(repository, ["amd64"])
      let sent = 0
      registry.fault = () => (++sent >= dies ? { status: 403 } : undefined)
      completed = await attest(repository, parts, signer).then(
        () => true,
        () => false,
      )
      registry.fault = () => undefined
      await attest(repository, parts, signer)
      const [part] = parts
      expect(await repository.referrers(part?.descriptor.digest ?? "")).toHaveLength(6)
      expect(await faults({ repository }, { more: { platforms: ["linux/amd64"] } })).toEqual([])
    }
  })
})
