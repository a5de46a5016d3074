// Web apps with real clients and servers: moto for S3 and CloudFront, and a small server for the data plane of the key-value store. Skipped without moto.
import { readdir, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import {
  CloudFrontClient,
  CreateDistributionCommand,
  ListInvalidationsCommand,
} from "@aws-sdk/client-cloudfront"
import { HeadObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { auditOf } from "../../src/frontends/audit.js"
import { auditObjects, newestAudit } from "../../src/frontends/audit-objects.js"
import { type Bundle, readFiles } from "../../src/frontends/bundle.js"
import { S3Bucket } from "../../src/frontends/bucket.js"
import { promoted } from "../../src/frontends/decisions.js"
import { CloudFrontInvalidations } from "../../src/frontends/invalidation.js"
import { KeyValueStore } from "../../src/frontends/key-value-store.js"
import { layoutOf } from "../../src/frontends/layout.js"
import { type ReleaseManifest, manifestOf, releaseId } from "../../src/frontends/manifest.js"
import { ObjectPointer } from "../../src/frontends/object-pointer.js"
import { readPointer, switchPointer } from "../../src/frontends/pointer.js"
import { readPreviews, removePreview, writePreview } from "../../src/frontends/preview.js"
import { type Configuration, uploadRelease, verify } from "../../src/frontends/publish.js"
import { monotonic } from "../../src/lib/clock.js"
import { auditFiles, build, removeBuilds, scriptOf } from "./fixtures.js"
import { store } from "./platform.js"
import { forward, KeyValueServer, Moto, TestServer, withoutMoto } from "./servers.js"

const credentials = { accessKeyId: "key", secretAccessKey: "secret-key" }
const region = "us-east-1"
const layout = layoutOf({ prefix: "staging", app: "web" })
const configuration: Configuration = { id: "c".repeat(40), text: "{}\n" }
const variant = (revision: number) => ({ release: "a".repeat(40), config: "b".repeat(40), revision })
const writer = (minute: number) => ({ operation: `o${minute}`, since: `2026-03-02T10:0${minute}:00.000Z` })

afterEach(removeBuilds)

async function made(version: string, change = {}): Promise<{ bundle: Bundle; manifest: ReleaseManifest }> {
  const bundle = await build(version, change)
  return { bundle, manifest: manifestOf("web", bundle.app, await readFiles(bundle.folder)) }
}

if (withoutMoto !== undefined) console.log(`web apps with real servers are not tested: ${withoutMoto}`)

describe.skipIf(withoutMoto !== undefined)("a bucket", () => {
  let moto: Moto
  let client: S3Client
  let count = 0
  let name: string
  const bucketAt = (endpoint: string, more = {}) =>
    new S3Bucket({ bucket: name, region, endpoint, credentials, ...more })

  beforeAll(async () => {
    moto = await Moto.start()
    client = new S3Client({ endpoint: moto.endpoint, region, credentials, forcePathStyle: true })
  }, 90_000)
  afterAll(() => {
    moto.stop()
  })
  beforeEach(async () => {
    name = `apps-${++count}`
    await moto.bucket(name)
  })

  it("gets every file with its headers, its checksum and its compressed copies; the second time nothing", async () => {
    const bucket = bucketAt(moto.endpoint)
    const { bundle, manifest } = await made("1")
    const first = await uploadRelease(bucket, layout, bundle, manifest, configuration)
    expect(first).toMatchObject({ uploaded: 18, present: 0 })
    const head = await client.send(
      new HeadObjectCommand({
        Bucket: name,
        Key: `${layout.root}${scriptOf("1")}.br`,
        ChecksumMode: "ENABLED",
      }),
    )
    const { size } = await stat(join(bundle.folder, `${scriptOf("1")}.br`))
    expect(head).toMatchObject({
      ContentType: "text/javascript; charset=utf-8",
      ContentEncoding: "br",
      CacheControl: "public, max-age=31536000, immutable",
      ContentLength: size,
      ChecksumSHA256: expect.stringMatching(/=$/) as string,
      Metadata: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
    })
    const page = await client.send(
      new HeadObjectCommand({ Bucket: name, Key: `${layout.release(releaseId(manifest))}index.html` }),
    )
    expect(page).toMatchObject({ CacheControl: "no-cache", Metadata: { release: releaseId(manifest) } })
    const config = await client.send(
      new HeadObjectCommand({ Bucket: name, Key: layout.config(configuration.id) }),
    )
    expect(config.CacheControl).toBe("no-store")
    expect(await uploadRelease(bucket, layout, bundle, manifest, configuration)).toMatchObject({
      uploaded: 0,
      present: 18,
      bytes: 0,
    })
    expect(await verify(bucket, layout, releaseId(manifest), configuration.id)).toEqual(manifest)
  })

  it("keeps audits, of which the newest is read as it was written, pictures included", async () => {
    const bucket = bucketAt(moto.endpoint)
    expect(await newestAudit(bucket, layout)).toBeUndefined()
    const picture = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0xff, 0x00, 0xfe])
    const keep = async (release: string, faults: string[], left: string[] = []) => {
      const asked = { release, paths: ["/"], runs: 1 }
      const files = auditFiles(asked)
      for (const name of files.screenshots.keys()) files.screenshots.set(name, picture)
      const kept = { release, audit: { ...auditOf(files, asked), faults }, files }
      for (const { object, body } of auditObjects(layout, kept))
        if (!left.some((name) => object.key.endsWith(name))) await bucket.put(object, body)
    }
    await keep("a".repeat(40), [])
    // The store knows whole seconds.
    await sleep(1_100)
    await keep("b".repeat(40), ["slow"])
    const found = await newestAudit(bucket, layout)
    expect(found).toMatchObject({ release: "b".repeat(40), audit: { faults: ["slow"] }, missing: [] })
    expect(Buffer.from(found?.files.get("1-mobile.png") ?? [])).toEqual(picture)
    expect(Buffer.from(found?.files.get("report.md") ?? []).toString()).toContain("- slow")
    await sleep(1_100)
    await keep("c".repeat(40), [], ["audit.json"])
    await expect(newestAudit(bucket, layout)).rejects.toThrow(/cccc\/ has no audit\.json/)
  })

  it("is listed in whole, although a page has a thousand objects", async () => {
    const bucket = bucketAt(moto.endpoint)
    const object = { sha256: "", size: 1, type: "text/plain", cache: "no-store" }
    const sha256 = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    const keys = Array.from({ length: 1_050 }, (_, at) => `${layout.assets}${at}.txt`)
    for (let at = 0; at < keys.length; at += 50)
      await Promise.all(
        keys.slice(at, at + 50).map((key) => bucket.put({ ...object, sha256, key }, Buffer.from("x"))),
      )
    expect(await bucket.list(layout.assets)).toHaveLength(1_050)
    const page = await client.send(new ListObjectsV2Command({ Bucket: name }))
    expect(page.IsTruncated).toBe(true)
    await bucket.delete(keys)
    expect(await bucket.list(layout.root)).toEqual([])
  })

  it("that is slow or answers 503 is asked again; one that stays so fails the upload without a manifest", async () => {
    let trouble = 0
    const weak = await TestServer.start((request, response) => {
      if (request.method === "PUT" && trouble > 0) {
        trouble--
        // Every second one gets no answer in time.
        if (trouble % 2 === 0) return
        request.resume()
        response.writeHead(503).end("<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>")
        return
      }
      forward(moto.endpoint, request, response)
    })
    const { bundle, manifest } = await made("1")
    const options = { requestTimeout: 5_000 }
    trouble = 4
    expect(
      await uploadRelease(bucketAt(weak.address, options), layout, bundle, manifest, configuration),
    ).toMatchObject({ uploaded: 18 })
    const other = await made("2")
    trouble = Infinity
    await expect(
      uploadRelease(
        bucketAt(weak.address, { ...options, attempts: 2 }),
        layout,
        other.bundle,
        other.manifest,
        configuration,
      ),
    ).rejects.toThrow(/cannot write staging\/web\/.*bucket apps-/)
    expect(await bucketAt(moto.endpoint).head(layout.manifest(releaseId(other.manifest)))).toBeUndefined()
    weak.stop()
  })

  it("that was filled half-way gets the rest", async () => {
    const { bundle, manifest } = await made("1")
    let puts = 0
    const dying = await TestServer.start((request, response) => {
      if (request.method === "PUT" && ++puts > 5) request.destroy()
      else forward(moto.endpoint, request, response)
    })
    await expect(
      uploadRelease(bucketAt(dying.address, { attempts: 1 }), layout, bundle, manifest, configuration),
    ).rejects.toThrow(/cannot write/)
    dying.stop()
    const bucket = bucketAt(moto.endpoint)
    await expect(verify(bucket, layout, releaseId(manifest), configuration.id)).rejects.toThrow(
      /is not complete: it has no manifest/,
    )
    const there = (await bucket.list(layout.root)).length
    expect(there).toBeGreaterThan(0)
    expect(await uploadRelease(bucket, layout, bundle, manifest, configuration)).toMatchObject({
      uploaded: 18 - there,
      present: there,
    })
  })

  it("with an object of another checksum, type, cache header or encoding is not verified", async () => {
    const { bundle, manifest } = await made("1")
    const bucket = bucketAt(moto.endpoint)
    await uploadRelease(bucket, layout, bundle, manifest, configuration)
    const id = releaseId(manifest)
    const Key = `${layout.release(id)}index.html.br`
    const put = (more: object) =>
      client.send(
        new PutObjectCommand({
          Bucket: name,
          Key,
          Body: "x",
          ContentType: "text/html; charset=utf-8",
          ...more,
        }),
      )
    await put({ ContentEncoding: "br", Metadata: { sha256: "0".repeat(64), release: id } })
    await expect(verify(bucket, layout, id, configuration.id)).rejects.toThrow(
      /index\.html\.br in the bucket is not as it must be: size 1 instead of \d+, cache header undefined instead of no-cache, .*noted SHA-256/,
    )
    await put({ ContentType: "application/octet-stream" })
    await expect(verify(bucket, layout, id, configuration.id)).rejects.toThrow(
      /type application\/octet-stream .*encoding {2}instead of br/,
    )
    // The next deploy makes it good.
    expect(await uploadRelease(bucket, layout, bundle, manifest, configuration)).toMatchObject({
      uploaded: 1,
    })
    await verify(bucket, layout, id, configuration.id)
  })

  it("does not get a file that changed since it was read, and keeps an asset whose name is taken", async () => {
    const { bundle, manifest } = await made("1")
    const bucket = bucketAt(moto.endpoint)
    await writeFile(join(bundle.folder, "robots.txt"), "User-agent: x\n")
    await expect(uploadRelease(bucket, layout, bundle, manifest, configuration)).rejects.toThrow(
      /robots\.txt.* has changed since it was read/,
    )
    const good = await made("1")
    await uploadRelease(bucket, layout, good.bundle, good.manifest, configuration)
    const other = await made("2", { [scriptOf("1")]: "other contents" })
    await expect(uploadRelease(bucket, layout, other.bundle, other.manifest, configuration)).rejects.toThrow(
      /exists with other contents, and pages that are open rely on it/,
    )
    await verify(bucket, layout, releaseId(good.manifest), configuration.id)
  })

  it("that refuses the keys says so, and where", async () => {
    const refusing = await TestServer.start((request, response) => {
      request.resume()
      response.writeHead(403).end("<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
    })
    await expect(bucketAt(refusing.address).list("x")).rejects.toThrow(
      new RegExp(
        `cannot list x: AccessDenied Access Denied \\(403\\); at ${refusing.address}, bucket ${name}`,
      ),
    )
    refusing.stop()
  })

  it("holds what is live, and of two switches at once one wins", async () => {
    const pointers = () => new ObjectPointer(bucketAt(moto.endpoint), layout)
    await switchPointer(pointers(), writer(1), (now) => promoted(now, variant(1)), monotonic)
    const ends = await Promise.allSettled(
      [2, 3].map((one) =>
        switchPointer(pointers(), writer(one), (now) => promoted(now, variant(one)), monotonic),
      ),
    )
    expect(ends[1]?.status).toBe("fulfilled")
    expect(await readPointer(pointers())).toMatchObject({ live: { revision: 3 }, ...writer(3) })
  })

  it("of a store that ignores the conditions of writes holds nothing of it", async () => {
    const careless = await TestServer.start((request, response) => {
      delete request.headers["if-match"]
      delete request.headers["if-none-match"]
      forward(moto.endpoint, request, response)
    })
    const pointer = new ObjectPointer(bucketAt(careless.address), layout)
    await expect(
      switchPointer(pointer, writer(1), (now) => promoted(now, variant(1)), monotonic),
    ).rejects.toThrow(/ignores the conditions of writes/)
    expect(await bucketAt(moto.endpoint).list(layout.root)).toEqual([])
    careless.stop()
  })

  it("behind a distribution is forgotten by it on demand", async () => {
    const cloudFront = new CloudFrontClient({ endpoint: moto.endpoint, region, credentials })
    const { Distribution } = await cloudFront.send(
      new CreateDistributionCommand({
        DistributionConfig: {
          CallerReference: "x",
          Comment: "",
          Enabled: true,
          Origins: {
            Quantity: 1,
            Items: [
              { Id: "o", DomainName: "apps.s3.amazonaws.com", S3OriginConfig: { OriginAccessIdentity: "" } },
            ],
          },
          DefaultCacheBehavior: { TargetOriginId: "o", ViewerProtocolPolicy: "https-only" },
        },
      }),
    )
    const distribution = Distribution?.Id ?? ""
    const invalidations = new CloudFrontInvalidations(distribution, monotonic, {
      credentials,
      endpoint: moto.endpoint,
    })
    expect(await invalidations.invalidate(["/a", "/b"], "operation-1")).toBeUndefined()
    const { InvalidationList } = await cloudFront.send(
      new ListInvalidationsCommand({ DistributionId: distribution }),
    )
    expect(InvalidationList?.Quantity).toBe(1)
    const missing = new CloudFrontInvalidations("E2QWRUHAPOMQZL", monotonic, {
      credentials,
      endpoint: moto.endpoint,
    })
    await expect(missing.invalidate(["/a"], "operation-1")).rejects.toThrow(
      /the distribution E2QWRUHAPOMQZL cannot be told to forget old pages/,
    )
  })
})

describe("a key-value store", () => {
  let server: KeyValueServer
  const pointers = () => new KeyValueStore(store, "web", { credentials, endpoint: server.server.address })

  beforeEach(async () => {
    server = await KeyValueServer.start()
  })
  afterEach(() => {
    server.server.stop()
  })

  it("is read, written and read back by signed requests", async () => {
    expect(await readPointer(pointers())).toBeUndefined()
    await switchPointer(pointers(), writer(1), (now) => promoted(now, variant(1)), monotonic)
    expect(await readPointer(pointers())).toEqual({ live: variant(1), ...writer(1) })
  })

  it("lets one of two switches at once win; the older gives way", async () => {
    await switchPointer(pointers(), writer(1), (now) => promoted(now, variant(1)), monotonic)
    const ends = await Promise.allSettled(
      [2, 3].map((one) =>
        switchPointer(pointers(), writer(one), (now) => promoted(now, variant(one)), monotonic),
      ),
    )
    expect(ends[1]?.status).toBe("fulfilled")
    expect(await readPointer(pointers())).toMatchObject({ live: { revision: 3 } })
  })

  it("has previews beside what is live: all of an app, on whatever page, and none of another", async () => {
    const dashboard = new KeyValueStore(store, "dashboard", {
      credentials,
      endpoint: server.server.address,
    })
    await switchPointer(pointers(), writer(1), (now) => promoted(now, variant(1)), monotonic)
    const preview = { release: "a".repeat(40), config: "b".repeat(40), until: 1, version: "1", by: "dora" }
    const names = ["pr-1", "pr-2", "pr-3", "pr-4", "pr-5"]
    await Promise.all(names.map((name) => writePreview(pointers().previews(), name, preview, monotonic)))
    await writePreview(dashboard.previews(), "pr-1", { ...preview, until: 2 }, monotonic)
    const found = readPreviews((await pointers().previews().readAll()).values)
    expect(found).toEqual(names.map((name) => ({ name, ...preview })))
    expect(await removePreview(pointers().previews(), "pr-1", monotonic)).toBe(true)
    expect(await removePreview(pointers().previews(), "pr-1", monotonic)).toBe(false)
    expect([...(await dashboard.previews().readAll()).values.keys()]).toEqual(["pr-1"])
    expect([...(await pointers().previews().readAll()).values.keys()].sort()).toEqual(names.slice(1))
    expect(await readPointer(pointers())).toMatchObject({ live: variant(1) })
    const { version } = await pointers().previews().readAll()
    await writePreview(pointers().previews(), "pr-6", preview, monotonic)
    expect(await pointers().previews().write("pr-2", "{}", version)).toBe(false)
    expect(await pointers().previews().remove("pr-2", version)).toBe(false)
  })

  it("that says it holds a preview and does not is found out", async () => {
    server.forgetful = true
    const preview = { release: "a".repeat(40), config: "b".repeat(40), until: 1, version: "1", by: "dora" }
    await expect(writePreview(pointers().previews(), "pr-1", preview, monotonic)).rejects.toThrow(
      /took the preview pr-1 and does not hold it/,
    )
  })

  it("that says it holds a value and does not is found out", async () => {
    server.forgetful = true
    await expect(
      switchPointer(pointers(), writer(1), (now) => promoted(now, variant(1)), monotonic),
    ).rejects.toThrow(/took the new value and does not hold it/)
  })
})

describe("a build", () => {
  it("of the tests has what the tests count", async () => {
    const { folder } = await build("1")
    expect((await readdir(folder, { recursive: true })).filter((one) => one.includes("."))).toHaveLength(12)
  })
})
