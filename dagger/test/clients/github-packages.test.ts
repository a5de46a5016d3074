import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { GitHubPackages, VersionKept } from "../../src/clients/github/packages.js"
import { PackagesServer } from "./github-packages.js"
import { digestOf } from "./registry/servers.js"

describe("versions of a package on GitHub", () => {
  let github: PackagesServer
  beforeEach(async () => {
    github = await PackagesServer.start()
  })
  afterEach(() => {
    github.stop()
  })

  /** Puts manifests into a package. @returns their digests */
  const pushed = (name: string, count: number, tag = (at: number): string | undefined => `tag-${at}`) =>
    Array.from({ length: count }, (_, at) => {
      const bytes = Buffer.from(`{"at":"${name} ${at}"}`)
      const digest = digestOf(bytes)
      const manifest = { bytes, type: "application/json" }
      github.registry.manifests.set(`owner/${name}/${digest}`, manifest)
      const named = tag(at)
      if (named !== undefined) github.registry.manifests.set(`owner/${name}/${named}`, manifest)
      return digest
    })
  const packages = (token = "secret") => GitHubPackages.of("owner", token, github.address)
  const left = (name: string) => github.versions("owner", name).map((one) => one.name)

  it("are found by their digests among many, of a package with a slash in its name", async () => {
    const [oldest = ""] = pushed("repository/api", 230)
    const client = await packages()
    expect(await client.remove("repository/api", oldest)).toBe(true)
    expect(left("repository/api")).toHaveLength(229)
    expect(left("repository/api")).not.toContain(oldest)
    const path = "/orgs/owner/packages/container/repository%2Fapi/versions"
    expect(github.requests.filter((one) => one === `GET ${path}`)).toHaveLength(3)
    expect(github.requests.at(-1)).toMatch(new RegExp(`^DELETE ${path}/\\d+$`))
    expect(await client.remove("repository/api", digestOf("other"))).toBe(false)
    // The list is read once.
    expect(github.requests.filter((one) => one === `GET ${path}`)).toHaveLength(3)
  })

  it.each([
    ["the token's user", "owner", "/user/packages/container/api/versions"],
    ["another user", "somebody", "/users/owner/packages/container/api/versions"],
    ["a user, with the token of a workflow", undefined, "/users/owner/packages/container/api/versions"],
  ])("are those of %s", async (_, login, path) => {
    github.type = "User"
    if (login !== undefined) github.login = login
    const [first = ""] = pushed("api", 2)
    expect(await (await packages()).remove("api", first)).toBe(true)
    expect(github.requests.filter((one) => one.includes("/packages/"))).toEqual([
      `GET ${path}`,
      expect.stringContaining(`DELETE ${path}/`),
    ])
  })

  it("may have been deleted by somebody else", async () => {
    const [first = "", second = ""] = pushed("api", 3)
    const [one, other] = [await packages(), await packages()]
    await one.remove("api", first)
    await other.remove("api", first)
    expect(await one.remove("api", second)).toBe(true)
    expect(await other.remove("api", second)).toBe(false)
  })

  it("with more than 5,000 downloads stay, and so does the last one with a tag", async () => {
    const [first = "", second = ""] = pushed("api", 2)
    github.popular.add(first)
    const client = await packages()
    await expect(client.remove("api", first)).rejects.toThrow(VersionKept)
    await expect(client.remove("api", first)).rejects.toThrow(/more than 5000 downloads cannot be deleted/)
    github.popular.clear()
    await client.remove("api", first)
    await expect(client.remove("api", second)).rejects.toThrow(/the last tagged version of a package/)
    expect(left("api")).toEqual([second])
  })

  const wanted =
    /REGISTRY_PASSWORD has to be a personal access token \(classic\) with read:packages and delete:packages/
  it("stay with a token that may only read, may see nothing, or is none, and no message shows it", async () => {
    const [first = ""] = pushed("api", 2)
    github.rights = "read"
    await expect((await packages()).remove("api", first)).rejects.toThrow(
      /cannot delete api@sha256:\w+: GitHub answers 404: Package not found\.; REGISTRY_PASSWORD has to be/,
    )
    github.rights = "none"
    await expect((await packages()).remove("api", first)).rejects.toThrow(
      /cannot list the versions of api: GitHub answers 404/,
    )
    const refused = packages("wrong-token")
    await expect(refused).rejects.toThrow(wanted)
    await expect(refused).rejects.toThrow(/cannot tell who owner is: GitHub answers 401: Bad credentials/)
    await expect(refused).rejects.not.toThrow("wrong-token")
    expect(left("api")).toHaveLength(2)
  })

  it("stay where GitHub forbids it", async () => {
    const [first = ""] = pushed("api", 2)
    const client = await packages()
    await client.remove("api", digestOf("other"))
    github.failures.push({ status: 403, message: "Resource not accessible by integration" })
    await expect(client.remove("api", first)).rejects.toThrow(
      /GitHub answers 403: Resource not accessible by integration; REGISTRY_PASSWORD has to be/,
    )
    expect(await client.remove("api", first)).toBe(true)
  })

  it("are deleted after a pause that GitHub asks for, and not where that is long", async () => {
    const [first = "", second = ""] = pushed("api", 3)
    const client = await packages()
    github.failures.push(
      { status: 502 },
      {
        status: 403,
        message: "You have exceeded a secondary rate limit.",
        headers: { "retry-after": "1" },
      },
    )
    expect(await client.remove("api", first)).toBe(true)
    const reset = Math.ceil(Date.now() / 1_000) + 3_000
    github.failures.push({
      status: 403,
      message: "API rate limit exceeded",
      headers: { "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(reset) },
    })
    await expect(client.remove("api", second)).rejects.toThrow(
      `API rate limit exceeded; it limits requests; run the command again after ${new Date(reset * 1_000).toISOString()}`,
    )
    expect(await client.remove("api", second)).toBe(true)
  })
})
