// What crane and oras see of images that this project described and signed, in registries of others.
import { beforeAll, expect, it } from "vitest"
import { bundleType } from "../../src/attestations/store.js"
import type { ImagePart } from "../../src/attestations/verify.js"
import { Repository } from "../../src/clients/registry/repository.js"
import { describeRegistries, real } from "../clients/registry/describe.js"
import { clientOf, type TestRegistry } from "../clients/registry/servers.js"
import { program } from "../lib/programs.js"
import { attest, newSigner, pushImage, said } from "./images.js"

const programs = {
  crane: program("crane", ["version"], "go install github.com/google/go-containerregistry/cmd/crane@v0.22.1"),
  oras: program("oras", ["version"], "go install oras.land/oras/cmd/oras@v1.3.2"),
}

describeRegistries("an image in a registry", { among: real, timeout: 10 * 60_000 }, (running) => {
  let registry: TestRegistry
  let repository: Repository
  let parts: ImagePart[]
  beforeAll(async () => {
    registry = running()
    repository = new Repository(clientOf(registry), "owner/api")
    parts = await pushImage(repository)
    await attest(repository, parts, newSigner())
  }, 300_000)
  const { crane, oras } = programs

  it.skipIf(crane.missing)("is one index of both platforms to crane", async () => {
    const [index, ...platforms] = parts.map(({ descriptor, platform }) => [platform, descriptor.digest])
    const whole = await crane.run("digest", `${repository.address}:latest`)
    expect(whole.stdout.trim(), whole.stderr).toBe(index?.[1])
    expect(platforms).toHaveLength(2)
    for (const [platform = "", digest] of platforms) {
      const one = await crane.run("digest", "--platform", platform, `${repository.address}:latest`)
      expect(one.stdout.trim(), one.stderr).toBe(digest)
    }
  })

  it.skipIf(oras.missing)("has every attestation beside it to oras", async () => {
    for (const { descriptor, platform } of parts) {
      const reference = `${repository.address}@${descriptor.digest}`
      const found = await oras.run("discover", "--plain-http", "--format", "json", reference)
      expect(found.code, found.stderr).toBe(0)
      const { referrers } = JSON.parse(found.stdout) as {
        referrers: { artifactType: string; annotations: Record<string, string> }[]
      }
      expect(new Set(referrers.map(({ artifactType }) => artifactType))).toEqual(new Set([bundleType]))
      const types = referrers.map(({ annotations }) => annotations["dev.sigstore.bundle.predicateType"])
      const subject = { name: repository.address, digest: descriptor.digest }
      expect(types.sort()).toEqual(
        said(subject, platform)
          .map((one) => one.predicateType)
          .sort(),
      )
    }
  })
})
