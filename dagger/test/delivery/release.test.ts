import { describe, expect, it } from "vitest"
import { digestOf, readImages } from "../../src/delivery/release.js"

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
