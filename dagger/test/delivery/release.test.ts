import { describe, expect, it } from "vitest"
import { digestOf, readImages, readRelease, type Release, releaseText } from "../../src/delivery/release.js"

const digest = `sha256:${"a1".repeat(32)}`

describe("readImages", () => {
  it("reads services with their images", () => {
    const images = readImages([`api=localhost:5000/api@${digest}`, `f1-backend=ghcr.io/o/f1@${digest}`])
    expect(images).toEqual({ api: `localhost:5000/api@${digest}`, "f1-backend": `ghcr.io/o/f1@${digest}` })
    expect(digestOf(images.api ?? "")).toBe(digest)
  })

  it("takes a digest alone where that is enough", () => {
    expect(readImages([`api=${digest}`], { bare: true })).toEqual({ api: digest })
    expect(digestOf(digest)).toBe(digest)
  })

  it.each(["api", "api=", `=x@${digest}`, "api=ghcr.io/o/api:latest", `api=x@${digest}0`, `api=${digest}`])(
    "does not take %j",
    (pair) => {
      expect(() => readImages([pair])).toThrow("names no image; allowed: SERVICE=REPOSITORY@sha256:…")
    },
  )

  it("does not take two for one service", () => {
    expect(() => readImages([`api=x@${digest}`, `api=y@${digest}`])).toThrow("names api twice")
  })
})

describe("a release", () => {
  const release: Release = {
    schemaVersion: 1,
    commit: "0123456789abcdef",
    images: { api: { reference: `ghcr.io/o/api@${digest}`, migrations: { head: "0002", breaking: [] } } },
  }

  it("comes back from its file as it was written", () => {
    expect(readRelease(releaseText(release))).toEqual(release)
  })

  it.each([
    ["", "Unexpected end"],
    ["[]", "must be a mapping, not a list"],
    ['{"schemaVersion":2,"images":{}}', "schemaVersion"],
    ['{"schemaVersion":1,"images":{"api":{"reference":"ghcr.io/o/api:latest"}}}', "an image with its digest"],
  ])("is not %j", (text, why) => {
    expect(() => readRelease(text)).toThrow("the release cannot be read")
    expect(() => readRelease(text)).toThrow(why)
  })
})
