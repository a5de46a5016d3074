import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { type Context, OpenAPIBackend, type Request } from "openapi-backend"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import {
  type Existing,
  GitHubReleases,
  isPrerelease,
  missingFiles,
} from "../../src/clients/github/releases.js"

const digest = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`
const asset = (name: string, text: string, id = 1) => ({ id, name, state: "uploaded", digest: digest(text) })
const existing = (more: Partial<Existing>): Existing => ({
  id: 1,
  tag_name: "v1.0.0",
  draft: true,
  html_url: "",
  upload_url: "",
  assets: [],
  ...more,
})

describe("the files of a release", () => {
  const files = { "release.json": "one", "notes.md": "two" }

  it("are uploaded where they are missing, cut off or others", () => {
    const assets = [
      { ...asset("release.json", "one", 7), state: "starter" },
      asset("notes.md", "other", 8),
      asset("old.txt", "x", 9),
    ]
    expect(missingFiles(existing({ assets }), files)).toEqual({
      remove: [7, 8, 9],
      upload: ["release.json", "notes.md"],
    })
  })

  it("stay as they are once published", () => {
    const assets = [asset("release.json", "one"), asset("notes.md", "two")]
    expect(missingFiles(existing({ draft: false, assets }), files)).toEqual({ remove: [], upload: [] })
    expect(() => missingFiles(existing({ draft: false, assets: assets.slice(1) }), files)).toThrow(
      "GitHub has published the release v1.0.0 with other files: release.json.",
    )
  })

  it.each([
    ["v1.2.0", false],
    ["1.2.0-rc.1", true],
    ["v1.2.0-0", true],
    ["nightly-2026-03-02", false],
  ])("of %s are those of a prerelease: %s", (tag, expected) => {
    expect(isPrerelease(tag)).toBe(expected)
  })
})

type Asked = Context<unknown, Record<string, string>, Record<string, string>>

/** GitHub with one repository. It answers 422 to requests that its OpenAPI description does not allow. */
class GitHub {
  readonly releases: (Existing & { body?: string; prerelease?: boolean; target_commitish?: string })[] = []
  tags: Record<string, string> = {}
  /** Answers to give before its own. */
  readonly failures: { status: number; headers?: Record<string, string> }[] = []
  readonly requests: string[] = []
  address = ""
  private ids = 0
  private readonly api = new OpenAPIBackend({
    definition: join(import.meta.dirname, "github-api.json"),
    quick: true,
    ajvOpts: { strict: false },
    handlers: {
      validationFail: ({ validation }: Context) => ({ status: 422, body: { errors: validation.errors } }),
      notFound: () => ({ status: 404, body: { message: "Not Found" } }),
      "repos/get-commit": ({ request }: Asked) => {
        const sha = this.tags[(request.params.ref ?? "").replace(/^tags\//, "")]
        return sha === undefined
          ? { status: 422, body: { message: "No commit found for SHA" } }
          : { status: 200, body: { sha } }
      },
      "repos/list-releases": ({ request }: Asked) => {
        const { page = "1", per_page = "30" } = request.query
        const [from, size] = [(Number(page) - 1) * Number(per_page), Number(per_page)]
        const next = `<${this.address}/repos/owner/name/releases?per_page=${per_page}&page=${Number(page) + 1}>; rel="next"`
        const headers: Record<string, string> = from + size < this.releases.length ? { link: next } : {}
        return { status: 200, body: this.releases.slice(from, from + size), headers }
      },
      "repos/create-release": ({ request }: Asked) => {
        const id = ++this.ids
        const release = {
          ...existing({ id }),
          ...(request.requestBody as object),
          html_url: `https://github.example.org/owner/name/releases/${id}`,
          upload_url: `${this.address}/repos/owner/name/releases/${id}/assets{?name,label}`,
        }
        this.releases.unshift(release)
        return { status: 201, body: release }
      },
      "repos/update-release": ({ request }: Asked) => {
        const release = this.releases.find(({ id }) => id === Number(request.params.release_id))
        if (!release) return { status: 404, body: {} }
        return { status: 200, body: Object.assign(release, request.requestBody) }
      },
      "repos/upload-release-asset": ({ request }: Asked, text: string) => {
        const release = this.releases.find(({ id }) => id === Number(request.params.release_id))
        const { name = "" } = request.query
        if (release?.assets.some((one) => one.name === name))
          return { status: 422, body: { message: "already_exists" } }
        release?.assets.push(asset(name, text, ++this.ids))
        return { status: 201, body: {} }
      },
      "repos/delete-release-asset": ({ request }: Asked) => {
        for (const release of this.releases)
          release.assets = release.assets.filter(({ id }) => id !== Number(request.params.asset_id))
        return { status: 204, body: undefined }
      },
    },
  })
  private readonly server: Server = createServer((request, response) => {
    void this.answer(request, response)
  })

  async start() {
    await this.api.init()
    await new Promise<void>((listening) => this.server.listen(0, "127.0.0.1", listening))
    this.address = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  stop() {
    this.server.close()
  }

  private async answer(request: IncomingMessage, response: ServerResponse) {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    const { pathname, search, searchParams } = new URL(request.url ?? "", this.address)
    this.requests.push(`${request.method ?? ""} ${pathname}`)
    const failure = this.failures.shift()
    const send = (status: number, body: unknown, headers: Record<string, string> = {}) => {
      response.writeHead(status, { "content-type": "application/json", ...headers })
      response.end(status === 204 ? undefined : JSON.stringify(body))
    }
    if (failure) {
      send(failure.status, { message: "unavailable" }, failure.headers)
      return
    }
    if (request.headers.authorization !== "token secret") {
      send(401, { message: "Bad credentials" })
      return
    }
    const isUpload = pathname.endsWith("/assets") && request.method === "POST"
    const incoming: Request = {
      method: request.method ?? "GET",
      path: pathname,
      query: search === "" ? {} : Object.fromEntries(searchParams),
      headers: request.headers as Record<string, string>,
      ...(text !== "" && !isUpload && { body: JSON.parse(text) as object }),
    }
    const answer = (await this.api.handleRequest(incoming, text)) as {
      status: number
      body: unknown
      headers?: Record<string, string>
    }
    send(answer.status, answer.body, answer.headers)
  }
}

describe("a release on GitHub", () => {
  let github: GitHub
  beforeAll(async () => {
    github = new GitHub()
    await github.start()
  })
  afterAll(() => {
    github.stop()
  })
  beforeEach(() => {
    github.releases.length = 0
    github.requests.length = 0
    github.failures.length = 0
    github.tags = {}
  })

  const commit = "1".repeat(40)
  const wanted = { tag: "v1.2.0", commit, notes: "# Changes", files: { "release.json": '{"a":1}\n' } }
  const publish = async (release = wanted, token = "secret") =>
    (await GitHubReleases.of("owner/name", token, github.address)).publish(release)

  it("is published with its notes and files, for the commit of the release", async () => {
    expect(await publish()).toMatch(/^https:\/\/github.example.org\/owner\/name\/releases\/\d+$/)
    expect(github.releases).toMatchObject([
      {
        tag_name: "v1.2.0",
        target_commitish: commit,
        body: "# Changes",
        draft: false,
        prerelease: false,
        assets: [{ name: "release.json", digest: digest('{"a":1}\n') }],
      },
    ])
  })

  it("is not published again", async () => {
    const address = await publish()
    const before = github.requests.length
    expect(await publish()).toBe(address)
    expect(github.requests.slice(before).filter((request) => !request.startsWith("GET "))).toEqual([])
    await expect(publish({ ...wanted, files: { "release.json": "other" } })).rejects.toThrow(
      "with other files",
    )
    expect(github.releases).toHaveLength(1)
  })

  it("is a draft until it is whole, and the same call completes it", async () => {
    github.releases.push({
      ...existing({
        id: 900,
        tag_name: "v1.2.0",
        upload_url: `${github.address}/repos/owner/name/releases/900/assets{?name,label}`,
      }),
      assets: [{ id: 5, name: "release.json", state: "starter", digest: null }],
    })
    await publish()
    expect(github.releases).toMatchObject([
      { id: 900, draft: false, assets: [{ name: "release.json", digest: digest('{"a":1}\n') }] },
    ])
  })

  it("is found among many", async () => {
    for (let at = 0; at < 130; at++)
      github.releases.push(existing({ id: 1000 + at, tag_name: `v0.${at}.0`, draft: false }))
    const last = existing({
      id: 2000,
      tag_name: "v1.2.0",
      draft: false,
      html_url: "https://github.example.org/there",
    })
    github.releases.push({ ...last, assets: [asset("release.json", '{"a":1}\n')] })
    expect(await publish()).toBe("https://github.example.org/there")
  })

  it("is refused for a tag of another commit, before anything is made", async () => {
    github.tags["v1.2.0"] = "2".repeat(40)
    await expect(publish()).rejects.toThrow(
      `the tag v1.2.0 names commit ${"2".repeat(40)}, and the release was built from ${commit}`,
    )
    expect(github.releases).toEqual([])
    github.tags["v1.2.0"] = commit
    await publish()
    expect(github.releases).toHaveLength(1)
  })

  it("is a prerelease where its version says so", async () => {
    await publish({ ...wanted, tag: "v1.2.0-rc.1" })
    expect(github.releases).toMatchObject([{ prerelease: true }])
  })

  it("survives a server that fails for a moment", async () => {
    github.failures.push({ status: 502 }, { status: 503 })
    await publish()
    expect(github.releases).toMatchObject([{ draft: false }])
  })

  it("waits as long as GitHub says where it limits requests", async () => {
    github.failures.push({ status: 429, headers: { "retry-after": "1" } })
    await publish()
    expect(github.releases).toMatchObject([{ draft: false }])
  })

  it("is refused with another token, which the message does not show", async () => {
    const failed = publish(wanted, "wrong-token")
    await expect(failed).rejects.toThrow("Bad credentials")
    await expect(failed).rejects.not.toThrow("wrong-token")
  })

  it.each(["owner", "a/b/c", "https://github.com/owner/name", ""])(
    "is refused for the repository %j",
    async (name) => {
      await expect(GitHubReleases.of(name, "secret", github.address)).rejects.toThrow(
        `"${name}" is no repository of GitHub; allowed is OWNER/NAME`,
      )
    },
  )
})
