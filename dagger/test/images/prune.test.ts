// Pruning registries of others, with real images, signatures and releases, and with faults.
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import type { Signer } from "../../src/attestations/signer.js"
import { verifierFor } from "../../src/attestations/trust.js"
import { verifyImage } from "../../src/attestations/verify.js"
import { Repository } from "../../src/clients/registry/repository.js"
import type { ImageInUse } from "../../src/delivery/component.js"
import { pruneRegistry } from "../../src/images/prune.js"
import { fetchRelease, storeRelease } from "../../src/images/release.js"
import { attest, newSigner, pushImage, said } from "../attestations/images.js"
import { describeRegistries } from "../clients/registry/describe.js"
import { clientOf, MemoryRegistry, type TestRegistry } from "../clients/registry/servers.js"

const day = 86_400_000
const signer: Signer = newSigner()
const onlySigned: typeof said = (subject) => said(subject, undefined).slice(0, 1)
let count = 0

/** A place of its own in a registry. */
class Place {
  readonly path = `owner-${++count}`
  readonly api: Repository
  /** What belongs to the images, by their digests. */
  private readonly closures = new Map<string, string[]>()

  constructor(readonly registry: TestRegistry) {
    this.api = new Repository(clientOf(registry), `${this.path}/api`)
  }

  get access() {
    const { address } = this.registry
    return {
      address: `${address}/${this.path}`,
      service: { start: () => Promise.resolve(), endpoint: () => Promise.resolve(address) } as never,
    }
  }

  /** Pushes an image with all that is said of it. @returns its digest */
  async image(text: string, tag: string, of = onlySigned): Promise<string> {
    const parts = await pushImage(this.api, ["amd64", "arm64"], text, tag)
    await attest(this.api, parts, signer, of)
    const digest = parts[0]?.descriptor.digest ?? ""
    this.closures.set(digest, await this.closure(digest))
    return digest
  }

  /** @returns what the command prints */
  prune(
    inUse: (() => Promise<ImageInUse[]>) | string[] = [],
    { later = 40 * day, dryRun = false, say }: { later?: number; dryRun?: boolean; say?: () => void } = {},
  ): Promise<string> {
    const read = Array.isArray(inUse)
      ? () => Promise.resolve(inUse.map((digest) => ({ digest, use: "revision 7" })))
      : inUse
    return pruneRegistry(["api", "web"], this.access, {
      inUse: read,
      age: 30 * 86_400,
      now: Date.now() + later,
      dryRun,
      say: say ?? (() => undefined),
    })
  }

  /** Whether an image has everything that it was pushed with. */
  async isWhole(digest: string): Promise<boolean> {
    const now = await this.closure(digest)
    return (this.closures.get(digest) ?? []).every((one) => now.includes(one))
  }

  /** What speaks against an image. */
  async faults(digest: string): Promise<string[]> {
    const trust = await verifierFor(signer.trust)
    const expected = { platforms: ["linux/amd64", "linux/arm64"] }
    const found = await verifyImage(
      clientOf(this.registry),
      `${this.api.address}@${digest}`,
      trust,
      expected,
      {
        layers: true,
      },
    )
    return found.faults
  }

  /** Digests of what is left of an image. */
  async left(digests: string[]): Promise<string[]> {
    const found = await Promise.all(digests.map((one) => this.api.manifest(one)))
    return digests.filter((_, at) => found[at])
  }

  /** An image, what it consists of and what is said of it. */
  async closure(digest: string): Promise<string[]> {
    const top = await this.api.manifest(digest)
    const parts = [digest, ...(top?.json.manifests ?? []).map((one) => one.digest)]
    const beside = await Promise.all(parts.map((one) => this.api.referrers(one)))
    return this.left([...parts, ...beside.flat().map((one) => one.digest)])
  }
}

describeRegistries("pruning a registry", { timeout: 5 * 60_000 }, (running) => {
  let registry: TestRegistry
  beforeAll(() => {
    registry = running()
  })

  it("leaves what is in use with all that is said of it, and nothing of what is not", async () => {
    const place = new Place(registry)
    const used = await place.image("used", "sha-used", said)
    const all = await place.closure(await place.image("unused", "sha-unused"))
    expect(all).toHaveLength(3 + 3)
    const dry = await place.prune([used], { dryRun: true })
    expect(dry).toMatch(/^api:sha-used .* stays +revision 7$/m)
    expect(dry).toMatch(/^api:sha-unused .* goes +not in use, \d+ manifests$/m)
    expect(await place.left(all)).toEqual(all)
    expect(await place.prune([used])).toContain("Removed 1 of 2.")
    expect(await place.left(all)).toEqual([])
    expect(await place.faults(used)).toEqual([])
    expect((await place.api.tags()).filter((tag) => !tag.startsWith("sha256-"))).toEqual(["sha-used"])
    // Lists that stand in for the registry's own are gone with their images.
    const subjects = await place.closure(used)
    for (const tag of await place.api.tags())
      if (tag.startsWith("sha256-")) expect(subjects).toContain(tag.replace("-", ":"))
    expect(await place.prune([used])).toContain("Removed 0 of 1.")
  })

  it("leaves what is young, and the images of a release that stays", async () => {
    const place = new Place(registry)
    const [a, b] = [await place.image("a", "sha-a"), await place.image("b", "sha-b")]
    const reference = (digest: string) => `${place.api.address}@${digest}`
    const release = {
      schemaVersion: 1 as const,
      images: { api: { reference: reference(a) }, web: { reference: reference(b) } },
    }
    const stored = await storeRelease(release, "sha-x", place.access, signer)
    expect(await place.prune([], { later: 29 * day })).toContain("Removed 0 of 3.")
    expect(await place.prune([a])).toContain("Removed 0 of 3.")
    expect(await place.isWhole(b)).toBe(true)
    expect(await fetchRelease(stored, place.access, signer.trust)).toEqual(release)
    expect(await place.prune([])).toContain("Removed 3 of 3.")
    expect(await place.left([a, b])).toEqual([])
    await expect(fetchRelease(stored, place.access, undefined)).rejects.toThrow(/there is nothing/)
  })

  it("goes on where one ended that was killed, after each of its deletions", async () => {
    const place = new Place(registry)
    const used = await place.image("used", "sha-used")
    const all = await place.closure(await place.image("a", "sha-a"))
    expect(all).toHaveLength(3 + 3)
    const killed = () => {
      throw new Error("killed")
    }
    const reference = `${place.api.address}@${all[0] ?? ""}`
    await storeRelease({ schemaVersion: 1, images: { api: { reference } } }, "sha-a", place.access, signer)
    let runs = 1
    while ((await place.prune([used], { say: killed }).catch(String)) === "Error: killed") runs++
    // The release and its signature, too; where the registry has no list of its own, there are others that stand in for it.
    expect(runs - 1).toBeGreaterThanOrEqual(all.length + 2)
    expect(await place.left(all)).toEqual([])
    expect((await place.api.tags()).filter((tag) => !tag.startsWith("sha256-"))).toEqual(["sha-used"])
    expect(await place.prune([used])).toContain("Removed 0 of 1.")
    expect(await place.isWhole(used)).toBe(true)
  })

  it("leaves the manifests that an image in use without a tag shares with one that goes", async () => {
    const place = new Place(registry)
    const used = await place.image("same", "latest")
    // The tag moves on to an image with one manifest of the other.
    const top = await place.api.manifest(used)
    const [first] = top?.json.manifests ?? []
    if (!first) throw new Error("no platform")
    const { descriptor } = await place.api.putManifest(
      { schemaVersion: 2, mediaType: top?.descriptor.mediaType, manifests: [first] } as never,
      "latest",
    )
    expect(await place.prune([used])).toMatch(/^api:latest .* removed/m)
    expect(await place.left([descriptor.digest])).toEqual([])
    expect(await place.isWhole(used)).toBe(true)
  })
})

describe("pruning", { timeout: 5 * 60_000 }, () => {
  let registry: MemoryRegistry
  beforeAll(async () => {
    registry = await MemoryRegistry.start({ referrers: false })
  })
  afterEach(() => {
    registry.fault = () => undefined
  })
  afterAll(() => {
    registry.stop()
  })

  it("removes nothing when an environment cannot be read, or changes meanwhile", async () => {
    const place = new Place(registry)
    const digest = await place.image("a", "sha-a")
    await expect(place.prune(() => Promise.reject(new Error("forbidden")))).rejects.toThrow("forbidden")
    let asked = 0
    const changing = () => Promise.resolve(asked++ === 0 ? [] : [{ digest, use: "revision 8" }])
    await expect(place.prune(changing)).rejects.toThrow(/came into use .*\(revision 8\): nothing is removed/)
    expect(await place.isWhole(digest)).toBe(true)
  })

  it("removes nothing when something of the registry cannot be read", async () => {
    const place = new Place(registry)
    const digest = await place.image("a", "sha-a")
    for (const what of ["tags/list", "referrers/", "manifests/sha-a", "blobs/"]) {
      registry.fault = (request) =>
        request.startsWith("GET") && request.includes(`/api/${what}`)
          ? { status: 403, body: "denied" }
          : undefined
      await expect(place.prune([]), what).rejects.toThrow(/403 denied/)
    }
    registry.fault = () => undefined
    expect(registry.requests.some((one) => one.startsWith("DELETE"))).toBe(false)
    expect(await place.isWhole(digest)).toBe(true)
  })

  it("removes what is said of an image that somebody else has deleted, and no more", async () => {
    const place = new Place(registry)
    const used = await place.image("used", "sha-used")
    const digest = await place.image("a", "sha-a")
    const all = await place.closure(digest)
    // The index and its platforms, without what is beside them.
    for (const one of all.slice(0, 3)) await place.api.remove(one, ["sha-a"])
    expect(await place.left(all)).toHaveLength(3)
    expect(await place.prune([used])).toMatch(/^api@sha256:\w+ .* removed +incomplete, 2 manifests$/m)
    expect(await place.left(all)).toEqual([])
    const beside = digest.replace(":", "-")
    expect(await place.api.tags()).not.toContain(beside)
    expect(await place.isWhole(used)).toBe(true)
  })

  it("twice at once removes the same", async () => {
    const place = new Place(registry)
    const used = await place.image("used", "sha-used")
    const all = await place.closure(await place.image("a", "sha-a"))
    await Promise.all([place.prune([used]), place.prune([used])])
    expect(await place.left(all)).toEqual([])
    expect(await place.isWhole(used)).toBe(true)
  })

  it("leaves a tag that has moved on meanwhile", async () => {
    const place = new Place(registry)
    const old = await place.image("old", "latest")
    let next = ""
    let pushed: Promise<void> | undefined
    const moving = () => {
      // After the registry was read.
      pushed ??= place.image("new", "latest").then((digest) => {
        next = digest
      })
      return pushed.then(() => [])
    }
    let asked = 0
    await place.prune(() => (asked++ === 0 ? Promise.resolve([]) : moving()))
    expect(await place.left([old])).toEqual([])
    expect((await place.api.manifest("latest"))?.descriptor.digest).toBe(next)
    expect(await place.isWhole(next)).toBe(true)
  })

  it("says that a registry does not delete", async () => {
    const place = new Place(registry)
    const digest = await place.image("a", "sha-a")
    registry.fault = (request) =>
      request.startsWith("DELETE") ? { status: 405, body: '{"errors":[{"code":"UNSUPPORTED"}]}' } : undefined
    await expect(place.prune([])).rejects.toThrow(/does not let anybody delete: .*405 UNSUPPORTED/)
    registry.fault = () => undefined
    expect(await place.isWhole(digest)).toBe(true)
  })
})
