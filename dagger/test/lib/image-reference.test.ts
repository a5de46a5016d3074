import { describe, expect, it } from "vitest"
import { parseImageReference, parseRegistryAddress } from "../../src/lib/image-reference.js"

const digest = `sha256:${"a1".repeat(32)}`

describe("parseImageReference", () => {
  it.each([
    ["debian", "docker.io", "library/debian", {}],
    [`api@${digest}`, "docker.io", "library/api", { digest }],
    [`owner/api@${digest}`, "docker.io", "owner/api", { digest }],
    ["owner/api:1.2", "docker.io", "owner/api", { tag: "1.2" }],
    ["docker.io/debian", "docker.io", "library/debian", {}],
    ["index.docker.io/owner/api", "docker.io", "owner/api", {}],
    [`ghcr.io/owner/repository/api:v1@${digest}`, "ghcr.io", "owner/repository/api", { tag: "v1", digest }],
    [`localhost:5000/api@${digest}`, "localhost:5000", "api", { digest }],
    ["localhost/api", "localhost", "api", {}],
    ["registry:5000/api:5", "registry:5000", "api", { tag: "5" }],
    ["Registry/api", "Registry", "api", {}],
    ["[::1]:5000/api", "[::1]:5000", "api", {}],
  ])("reads %s", (text, registry, repository, rest) => {
    expect(parseImageReference(text)).toEqual({ registry, repository, ...rest })
  })

  it("gives the same parts for each image, however it is written", () => {
    const whole = parseImageReference(`docker.io/library/api@${digest}`)
    expect(parseImageReference(`api@${digest}`)).toEqual(whole)
    expect(parseImageReference(`index.docker.io/library/api@${digest}`)).toEqual(whole)
  })

  it.each([
    ["", "the repository is"],
    ["api:", "the tag is"],
    ["api:-1", "the tag is"],
    [`api:${"a".repeat(129)}`, "the tag is"],
    ["api@", "the digest is"],
    [`api@${digest}0`, "the digest is"],
    [`api@${digest}@${digest}`, "the digest is"],
    ["api@sha256:ABC", "the digest is"],
    ["Api", "the repository is"],
    ["owner//api", "the repository is"],
    ["owner/api/", "the repository is"],
    ["/api", "the repository is"],
    ["ghcr.io/", "the repository is"],
    ["owner/-api", "the repository is"],
    ["two words", "the repository is"],
    ["https://ghcr.io/api", "the registry is"],
    ["ghcr.io:port/api", "the registry is"],
    [`ghcr.io/${"a".repeat(300)}`, "the repository is"],
  ])("refuses %j and says what is allowed", (text, message) => {
    expect(() => parseImageReference(text)).toThrow(message)
    expect(() => parseImageReference(text)).toThrow("; allowed: ")
  })

  it("takes no time for a long text", () => {
    expect(() => parseImageReference(`${"a-".repeat(50_000)}!`)).toThrow("the repository is")
  })
})

describe("parseRegistryAddress", () => {
  it.each([
    ["ghcr.io/owner/repository", "ghcr.io", "owner/repository"],
    ["ghcr.io", "ghcr.io", ""],
    ["localhost:5000", "localhost:5000", ""],
    ["localhost:5000/", "localhost:5000", ""],
    ["owner", "docker.io", "owner"],
    ["docker.io/owner", "docker.io", "owner"],
    ["owner/team", "docker.io", "owner/team"],
  ])("reads %s", (text, registry, path) => {
    expect(parseRegistryAddress(text)).toEqual({ registry, path })
  })

  it.each(["", "docker.io", "https://ghcr.io/owner", "ghcr.io/Owner", "ghcr.io//x"])("refuses %j", (text) => {
    expect(() => parseRegistryAddress(text)).toThrow("is not the address of a registry; allowed: ")
  })
})
