import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { fetchRelease, storeRelease } from "../../src/images/release.js"
import type { Release } from "../../src/delivery/release.js"
import { MemoryRegistry } from "../clients/registry/servers.js"
import { commit, newSigner } from "./images.js"

describe("a release in the registry", () => {
  const signer = newSigner()
  const release: Release = {
    schemaVersion: 1,
    commit,
    images: { api: { reference: `ghcr.io/owner/api@sha256:${"a".repeat(64)}` } },
  }
  let registry: MemoryRegistry
  const access = () => ({
    address: `${registry.address}/owner`,
    service: { start: () => Promise.resolve(), endpoint: () => Promise.resolve(registry.address) } as never,
  })
  beforeAll(async () => {
    registry = await MemoryRegistry.start({ referrers: false })
  })
  afterAll(() => {
    registry.stop()
  })

  it("is the same whenever it is published, and comes back with its signature", async () => {
    const reference = await storeRelease(release, "sha-cccc", access(), signer)
    expect(reference).toMatch(new RegExp(`^${registry.address}/owner/release@sha256:[0-9a-f]{64}$`))
    expect(await storeRelease(release, "sha-cccc", access(), signer)).toBe(reference)
    expect(await fetchRelease(reference, access(), signer.trust)).toEqual(release)
    expect(await fetchRelease(reference, access(), undefined)).toEqual(release)
    const other = await storeRelease({ ...release, authors: ["ada"] }, "sha-cccc", access(), signer)
    expect(other).not.toBe(reference)
  })

  it("is refused without its digest, of another signer, changed, or where it is none", async () => {
    const reference = await storeRelease(release, "sha-cccc", access(), signer)
    const tagged = `${registry.address}/owner/release:sha-cccc`
    await expect(fetchRelease(tagged, access(), undefined)).rejects.toThrow(
      /names no release; allowed: .*release@sha256/,
    )
    await expect(fetchRelease(reference, access(), newSigner().trust)).rejects.toThrow(
      /is not signed by the key .*: not signed by/,
    )
    const absent = `${registry.address}/owner/release@sha256:${"0".repeat(64)}`
    await expect(fetchRelease(absent, access(), undefined)).rejects.toThrow(
      /is no release: there is nothing in the registry/,
    )
    const key = `owner/release/${reference.slice(reference.indexOf("@") + 1)}`
    const stored = registry.manifests.get(key)
    if (!stored) throw new Error("no manifest")
    registry.manifests.set(key, { ...stored, bytes: Buffer.concat([stored.bytes, Buffer.from("\n")]) })
    await expect(fetchRelease(reference, access(), undefined)).rejects.toThrow(/was tampered with/)
  })

  it("needs a registry that containers reach", async () => {
    const { address } = access()
    await expect(storeRelease(release, "x", { address }, signer)).rejects.toThrow(
      /give the registry with --registry-service tcp:/,
    )
  })
})
