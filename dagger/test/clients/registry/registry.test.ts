import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { Registry } from "../../../src/clients/registry/registry.js"
import { type Descriptor, mediaTypes, Repository, sha256 } from "../../../src/clients/registry/repository.js"
import { describeRegistries } from "./describe.js"
import {
  clientOf,
  digestOf,
  listsOtherTypes,
  MemoryRegistry,
  registries,
  type TestRegistry,
} from "./servers.js"

const type = "application/vnd.dev.sigstore.bundle.v0.3+json"
const artifact = (text: string) => ({
  artifactType: type,
  content: Buffer.from(text),
  contentType: type,
  annotations: { said: text },
})

/** Stores an image of one layer. */
async function image(repository: Repository, text = "a layer"): Promise<Descriptor> {
  const config = await repository.putBlob(
    Buffer.from(
      JSON.stringify({ os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [] } }),
    ),
    "application/vnd.oci.image.config.v1+json",
  )
  const layer = await repository.putBlob(Buffer.from(text), "application/vnd.oci.image.layer.v1.tar")
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [layer] }
  return (await repository.putManifest(manifest, "latest")).descriptor
}

describeRegistries("a registry", {}, (running) => {
  let registry: TestRegistry
  let count = 0
  let repository: Repository
  beforeAll(() => {
    registry = running()
  })
  const fresh = () => (repository = new Repository(clientOf(registry), `owner/image-${++count}`))

  it("keeps manifests and blobs, and finds them by tag and digest", async () => {
    const pushed = await image(fresh())
    const found = await repository.manifest("latest")
    expect(found?.descriptor).toEqual(pushed)
    expect(await repository.manifest(pushed.digest)).toEqual(found)
    const [layer] = found?.json.layers ?? []
    if (!layer) throw new Error("no layer")
    expect((await repository.blob(layer.digest)).toString()).toBe("a layer")
    expect(await repository.faultOfBlob(layer)).toBeUndefined()
    expect(await repository.faultOfBlob({ ...layer, size: 3 })).toBe(
      `${layer.digest} has 7 bytes, its manifest says 3`,
    )
    expect(await repository.manifest("other")).toBeUndefined()
    const absent = sha256("absent")
    expect(await repository.faultOfBlob({ ...layer, digest: absent })).toBe(
      `${absent} is missing in the registry`,
    )
  })

  it("lists what is attached to an image, in order of nothing, with type and annotations", async () => {
    const subject = await image(fresh())
    expect(await repository.referrers(subject.digest)).toEqual([])
    const one = await repository.attach(subject, artifact("one"))
    const two = await repository.attach(subject, artifact("two"))
    const listed = await repository.referrers(subject.digest)
    expect(listed.map(({ digest }) => digest).sort()).toEqual([one.digest, two.digest].sort())
    expect(listed.map(({ artifactType }) => artifactType)).toEqual([type, type])
    expect(listed.map(({ annotations }) => annotations?.said).sort()).toEqual(["one", "two"])
    const manifest = await repository.manifest(one.digest)
    expect(manifest?.json).toMatchObject({
      artifactType: type,
      config: { mediaType: mediaTypes.empty, size: 2 },
      subject: { digest: subject.digest, size: subject.size },
    })
  })

  it("loses none of many that are attached at once", async () => {
    const subject = await image(fresh())
    const texts = ["a", "b", "c", "d", "e", "f"]
    await Promise.all(texts.map((text) => repository.attach(subject, artifact(text))))
    const listed = await repository.referrers(subject.digest)
    expect(listed.map(({ annotations }) => annotations?.said).sort()).toEqual(texts)
  })

  it("has all of two commands' after both looked at their own", async () => {
    const subject = await image(fresh())
    const other = new Repository(clientOf(registry), repository.name)
    const added = await Promise.all([
      repository.attach(subject, artifact("mine")),
      other.attach(subject, artifact("theirs")),
    ])
    await repository.keepListed(subject.digest, added.slice(0, 1))
    await other.keepListed(subject.digest, added.slice(1))
    const listed = await repository.referrers(subject.digest)
    expect(listed.map(({ annotations }) => annotations?.said).sort()).toEqual(["mine", "theirs"])
  })
})

describe("a registry that lists attestations as something else", () => {
  const real = registries.find(({ name }) => name === listsOtherTypes)
  if (!real) throw new Error("there is no such registry")
  const inMemory = async () => {
    const registry = await MemoryRegistry.start()
    registry.typeOf = () => mediaTypes.empty
    return registry
  }

  it.each([
    { name: "in memory", start: inMemory, missing: undefined },
    { ...real, missing: real.missing },
  ])("is refused: $name", { timeout: 300_000 }, async ({ start, missing, name }) => {
    if (missing !== undefined) {
      console.log(`a registry ${name} is not tested: ${missing}`)
      return
    }
    const registry = await start()
    const repository = new Repository(clientOf(registry), "owner/api")
    const subject = await image(repository)
    await expect(repository.attach(subject, artifact("one"))).rejects.toThrow(
      /lists sha256:\w+ as application\/vnd.oci.empty.v1\+json instead of application\/vnd.dev.sigstore/,
    )
    await registry.stop()
  })
})

describe("a client", () => {
  let registry: MemoryRegistry
  const waited: number[] = []
  const patient = (more = {}) =>
    new Repository(
      clientOf(registry, {
        pause: (milliseconds) => {
          waited.push(milliseconds)
          return Promise.resolve()
        },
        ...more,
      }),
      "owner/api",
    )
  beforeAll(async () => {
    registry = await MemoryRegistry.start({ referrers: false })
  })
  afterEach(() => {
    registry.fault = () => undefined
    registry.typeOf = (found) => found
    delete registry.account
    waited.length = 0
    registry.requests.length = 0
  })
  afterAll(() => {
    registry.stop()
  })
  /** The first requests meet a fault. */
  const failing = (times: number, fault: object) => {
    let left = times
    registry.fault = () => (left-- > 0 ? fault : undefined)
  }

  it.each([429, 500, 502, 503, 504])("goes on after %d", async (status) => {
    const { digest } = await image(patient())
    failing(2, { status })
    expect((await patient().manifest(digest))?.descriptor.digest).toBe(digest)
    expect(waited).toEqual([1_000, 2_000])
  })

  it("goes on after connections that break, while reading and while writing", async () => {
    failing(3, { drop: true })
    const { digest } = await image(patient())
    expect(waited.slice(0, 3)).toEqual([1_000, 2_000, 4_000])
    failing(2, { drop: true })
    expect((await patient().manifest(digest))?.descriptor.digest).toBe(digest)
  })

  it.each([
    ["7", 7_000],
    ["35.852µs", 1_000],
    ["2s", 2_000],
  ])(
    "waits as long as the registry asks with Retry-After: %s, and never less than a second",
    async (text, least) => {
      const { digest } = await image(patient())
      failing(1, { status: 429, headers: { "retry-after": Buffer.from(text).toString("latin1") } })
      await patient().manifest(digest)
      expect(waited).toEqual([least])
    },
  )

  it("does not wait for an hour, and says so", async () => {
    failing(1, { status: 429, headers: { "retry-after": "3600" } })
    await expect(patient().manifest("latest")).rejects.toThrow(
      /was refused: 429.*asks to wait for 3600 s: run the command again/,
    )
    expect(waited).toEqual([])
  })

  it("gives up in the end, with what the registry said", async () => {
    const body = JSON.stringify({ errors: [{ code: "UNKNOWN", message: "no space left on device" }] })
    failing(Infinity, { status: 500, body })
    await expect(patient().manifest("latest")).rejects.toThrow(
      `GET /v2/owner/api/manifests/latest of ${registry.address} was refused: 500 UNKNOWN no space left on device`,
    )
    expect(waited).toEqual([1_000, 2_000, 4_000, 8_000, 16_000])
  })

  it("goes on when a blob is not found for a moment, because others upload it too", async () => {
    registry.fault = (request) => {
      if (!request.startsWith("PUT") || !request.includes("/manifests/")) return undefined
      registry.fault = () => undefined
      return { status: 400, body: JSON.stringify({ errors: [{ code: "MANIFEST_BLOB_UNKNOWN" }] }) }
    }
    const { digest } = await image(patient())
    expect((await patient().manifest(digest))?.descriptor.digest).toBe(digest)
    expect(waited).toEqual([1_000])
  })

  it("brings a blob once that many need at the same time", async () => {
    const repository = patient()
    const descriptors = await Promise.all(
      ["{}", "{}", "other", "{}"].map((text) => repository.putBlob(Buffer.from(text), mediaTypes.empty)),
    )
    expect(new Set(descriptors.map(({ digest }) => digest)).size).toBe(2)
    expect(registry.requests.filter((request) => request.startsWith("POST"))).toHaveLength(2)
  })

  it("does not repeat what another try would not change", async () => {
    failing(1, { status: 403, body: "denied" })
    await expect(patient().manifest("latest")).rejects.toThrow(/without an account.*403 denied/)
    expect(registry.requests).toHaveLength(1)
  })

  it("says that nobody answers", async () => {
    const gone = await MemoryRegistry.start()
    const { address } = gone
    gone.stop()
    const nobody = new Registry({ registry: address, pause: () => Promise.resolve() })
    await expect(new Repository(nobody, "owner/api").manifest("latest")).rejects.toThrow(
      /was not answered: .*ECONNREFUSED/,
    )
  })

  it("signs in by token, for each scope once, and again when it expires", async () => {
    registry.account = { user: "robot", password: "secret-word" }
    const repository = patient({ user: "robot", password: "secret-word" })
    const { digest } = await image(repository)
    await repository.manifest(digest)
    const tokens = () => registry.requests.filter((one) => one.startsWith("GET /token")).length
    expect(tokens()).toBe(2)
    registry.generation++
    expect((await repository.manifest(digest))?.descriptor.digest).toBe(digest)
    expect(tokens()).toBe(3)
  })

  it("names the entries when credentials are missing or wrong, and never shows them", async () => {
    registry.account = { user: "robot", password: "secret-word" }
    await expect(patient().manifest("latest")).rejects.toThrow(/add REGISTRY_USER=… and REGISTRY_PASSWORD=…/)
    const wrong = patient({ user: "robot", password: "another-word" }).manifest("latest")
    await expect(wrong).rejects.toThrow(/refuses the account "robot"/)
    await expect(wrong).rejects.not.toThrow(/another-word/)
  })

  it("sees a manifest that was tampered with", async () => {
    const { digest } = await image(patient())
    const stored = registry.manifests.get(`owner/api/${digest}`)
    if (!stored) throw new Error("no manifest")
    const bytes = Buffer.from(stored.bytes.toString().replace("linux", "linux"))
    bytes[bytes.length - 2] = 32
    registry.manifests.set(`owner/api/${digest}`, { ...stored, bytes })
    await expect(patient().manifest(digest)).rejects.toThrow(
      `@${digest} was tampered with: what the registry has is ${digestOf(bytes)}`,
    )
  })

  it("repairs the stand-in for the list when another command overwrites it between write and look", async () => {
    const repository = patient()
    const subject = await image(repository, "another layer")
    const first = await repository.attach(subject, artifact("first"))
    const key = `owner/api/${subject.digest.replace(":", "-")}`
    const theirs = registry.manifests.get(key)
    // The other command read the list before ours was in it, and writes it after us.
    let overwritten = false
    registry.fault = (request) => {
      const written = registry.manifests.get(key)
      if (
        !overwritten &&
        request.startsWith("GET") &&
        theirs &&
        written?.bytes.equals(theirs.bytes) === false
      ) {
        registry.manifests.set(key, theirs)
        overwritten = true
      }
      return undefined
    }
    const second = await repository.attach(subject, artifact("second"))
    expect(overwritten).toBe(true)
    const listed = (await repository.referrers(subject.digest)).map(({ digest }) => digest)
    expect(listed.sort()).toEqual([first.digest, second.digest].sort())
  })
})
