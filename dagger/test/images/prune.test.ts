// Pruning registries of others, with real images, signatures and releases, and with faults.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import type { Signer } from "../../src/attestations/signer.js"
import { verifierFor } from "../../src/attestations/trust.js"
import { verifyImage } from "../../src/attestations/verify.js"
import { Repository } from "../../src/clients/registry/repository.js"
import type { ImageInUse } from "../../src/delivery/component.js"
import { pruneRegistry } from "../../src/images/prune.js"
import { fetchRelease, storeRelease } from "../../src/images/release.js"
import { attest, newSigner, pushImage, said } from "../attestations/images.js"
import { describeRegistries } from "../clients/registry/describe.js"
import { PackagesServer } from "../clients/github-packages.js"
import { clientOf, MemoryRegistry, type TestRegistry } from "../clients/registry/servers.js"

const day = 86_400_000
const signer: Signer = newSigner()
const onlySigned: typeof said = (subject) => said(subject, undefined).slice(0, 1)
let count = 0

/** A place of its own in a registry. */
class Place {
  readonly path: string
  readonly api: Repository
  /** What belongs to the images, by their digests. */
  private readonly closures = new Map<string, string[]>()

  constructor(
    readonly registry: TestRegistry,
    private readonly github?: { api: string; password?: string },
  ) {
    this.path = `owner-${++count}${github ? "/repository" : ""}`
    this.api = new Repository(clientOf(registry), `${this.path}/api`)
  }

  get access() {
    const { address } = this.registry
    return {
      address: `${address}/${this.path}`,
      ...this.github,
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
      ...(this.github && { github: { registry: this.registry.address, api: this.github.api } }),
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

// Its API wants a second between two deletions.
describe("pruning GitHub's registry", { timeout: 5 * 60_000 }, () => {
  let github: PackagesServer
  beforeEach(async () => {
    github = await PackagesServer.start()
  })
  afterEach(() => {
    github.stop()
  })
  const placeAt = (password = "secret") =>
    new Place(github.registry, { api: github.address, ...(password !== "" && { password }) })

  it("deletes by GitHub's API, and leaves what is in use with all that is said of it", async () => {
    const place = placeAt()
    const used = await place.image("used", "sha-used")
    const all = await place.closure(await place.image("unused", "sha-unused"))
    expect(await place.prune([used], { dryRun: true })).toMatch(/^api:sha-unused .* goes +not in use/m)
    expect(github.requests).toEqual([])
    expect(await place.prune([used])).toContain("Removed 1 of 2.")
    expect(await place.left(all)).toEqual([])
    expect(await place.isWhole(used)).toBe(true)
    expect(github.registry.requests.filter((one) => one.startsWith("DELETE"))).toEqual([])
    expect(await place.prune([used])).toContain("Removed 0 of 1.")
  })

  it("leaves the newest image of a package that nobody uses, which GitHub does not delete", async () => {
    const place = placeAt()
    const old = await place.image("old", "sha-old")
    const last = await place.image("new", "sha-new")
    // The images name the time of their build, which is the same for both.
    const text = await place.prune([])
    expect(text).toContain("Removed 1 of 2.")
    expect(text).toMatch(/ stays +GitHub does not delete the last image of a package/)
    expect((await place.left([old, last])).length).toBe(1)
  })

  it("goes on where one ended that was killed, after each of its deletions", async () => {
    const place = placeAt()
    const used = await place.image("used", "sha-used")
    const all = await place.closure(await place.image("a", "sha-a"))
    const killed = () => {
      throw new Error("killed")
    }
    let runs = 1
    while ((await place.prune([used], { say: killed }).catch(String)) === "Error: killed") runs++
    expect(runs - 1).toBeGreaterThanOrEqual(all.length)
    expect(await place.left(all)).toEqual([])
    expect(await place.isWhole(used)).toBe(true)
  })

  it("removes the rest where GitHub refuses to delete what was downloaded too often, and says so", async () => {
    const place = placeAt()
    const used = await place.image("used", "sha-used")
    const popular = await place.image("popular", "sha-popular")
    const other = await place.closure(await place.image("other", "sha-other"))
    // Whoever pulls an index pulls the image of a platform.
    const parts = await place.api.manifest(popular)
    const platforms = (parts?.json.manifests ?? []).map(({ digest }) => digest)
    for (const digest of [popular, ...platforms]) github.popular.add(digest)
    const refusal = place.prune([used])
    await expect(refusal).rejects.toThrow(
      /^api:sha-popular .* stays +GitHub refuses: Publicly visible package versions with more than 5000 downloads cannot be deleted/m,
    )
    await expect(refusal).rejects.toThrow(/Removed 1 of 3\.[^]*Not all was removed: .* refuses 1 image/)
    expect(await place.left(other)).toEqual([])
    expect(await place.left([popular, ...platforms])).toEqual([popular, ...platforms])
    expect(await place.isWhole(used)).toBe(true)
  })

  it("removes nothing without a token, and nothing more once GitHub refuses it", async () => {
    const without = placeAt("")
    const digest = await without.image("a", "sha-a")
    await expect(without.prune([])).rejects.toThrow(
      /wants a token: add REGISTRY_PASSWORD=… to the file given with --secrets/,
    )
    expect(await without.prune([], { dryRun: true })).toContain("sha-a")
    expect(await without.isWhole(digest)).toBe(true)
    const place = placeAt()
    const used = await place.image("used", "sha-used")
    const going = await place.image("a", "sha-a")
    github.rights = "read"
    await expect(place.prune([used])).rejects.toThrow(
      /cannot delete repository\/api@sha256:.*: GitHub answers 404: .*delete:packages/,
    )
    expect(await place.isWhole(going)).toBe(true)
    github.rights = "admin"
    expect(await place.prune([used])).toContain("Removed 1 of 2.")
  })
})
