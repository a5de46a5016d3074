import type { Octokit } from "@octokit/rest"
import { once } from "../../lib/once.js"
import { count, oneLine } from "../../lib/text.js"
import { gitHub } from "./client.js"

/** GitHub deletes one version never: it was downloaded too often, or nothing with a tag would be left. */
export class VersionKept extends Error {
  override name = "VersionKept"
}

/** Whose packages they are: the beginning of their addresses in the API. */
type Owner = "/user" | "/orgs/{owner}" | "/users/{owner}"

const needed =
  "a personal access token (classic) with read:packages and delete:packages, or the token of a workflow with packages: write, of somebody who is an admin of the package"

/** The images of an owner on ghcr.io, whose registry does not delete: GitHub's API does. */
export class GitHubPackages {
  /** Ids of versions by digest, for each package. */
  private readonly versions = new Map<string, () => Promise<Map<string, number>>>()

  private constructor(
    private readonly octokit: Octokit,
    private readonly owner: string,
    private readonly kind: Owner,
  ) {}

  /**
   * @param owner a user or an organization
   * @param token what signs in to ghcr.io
   * @param api address of the API, of an own server
   * @throws Error when GitHub refuses the token, or does not know the owner
   */
  static async of(owner: string, token: string, api?: string): Promise<GitHubPackages> {
    const octokit = await gitHub(token, api)
    try {
      const { data } = await octokit.rest.users.getByUsername({ username: owner })
      if (data.type === "Organization") return new GitHubPackages(octokit, owner, "/orgs/{owner}")
      // Only the user is shown all that is not public. The token of a workflow is nobody's.
      const own = await octokit.rest.users.getAuthenticated().then(
        ({ data: { login } }) => login.toLowerCase() === owner.toLowerCase(),
        (error: unknown) => {
          if (statusOf(error) === 403 && !isLimit(error)) return false
          throw error
        },
      )
      return new GitHubPackages(octokit, owner, own ? "/user" : "/users/{owner}")
    } catch (error) {
      if (statusOf(error) === 404)
        throw new Error(`GitHub knows no user and no organization ${owner}`, { cause: error })
      throw failure(`tell who ${owner} is`, error)
    }
  }

  /**
   * Deletes an image with its tags.
   *
   * @param name of the package, such as `repository/api`
   * @returns false when there is no such version
   * @throws VersionKept when GitHub never deletes it, and Error when it does not let this token
   */
  async remove(name: string, digest: string): Promise<boolean> {
    const list = this.versions.get(name) ?? once(() => this.list(name))
    this.versions.set(name, list)
    const id = (await list()).get(digest)
    if (id === undefined) return false
    const version = { ...this.about(name), id }
    const path = `${this.kind}/packages/container/{name}/versions/{id}`
    try {
      await this.octokit.request(`DELETE ${path}`, version)
      return true
    } catch (error) {
      const what = `delete ${name}@${digest}`
      const status = statusOf(error)
      // The two reasons have no status of their own.
      if (status === 400) throw new VersionKept(messageOf(error), { cause: error })
      if (status !== 404) throw failure(what, error)
      // Another command has deleted it, or the token may only read.
      const isThere = await this.octokit.request(`GET ${path}`, version).then(
        () => true,
        (other: unknown) => {
          if (statusOf(other) === 404) return false
          throw failure(what, other)
        },
      )
      if (isThere) throw failure(what, error)
      return false
    }
  }

  private async list(name: string): Promise<Map<string, number>> {
    const found = new Map<string, number>()
    try {
      const pages = this.octokit.paginate.iterator(`GET ${this.kind}/packages/container/{name}/versions`, {
        ...this.about(name),
        per_page: 100,
      })
      for await (const { data } of pages)
        for (const { id, name: digest } of data as { id: number; name: string }[]) found.set(digest, id)
    } catch (error) {
      throw failure(`list the versions of ${name}`, error)
    }
    return found
  }

  private about(name: string): { name: string; owner?: string } {
    return { name, ...(this.kind !== "/user" && { owner: this.owner }) }
  }
}

interface RequestFailure {
  status?: number
  message?: string
  response?: { headers?: Record<string, string | number | undefined>; data?: { message?: string } }
}

const statusOf = (error: unknown): number | undefined => (error as RequestFailure).status
const headersOf = (error: unknown) => (error as RequestFailure).response?.headers ?? {}
const messageOf = (error: unknown): string => {
  const { response, message = String(error) } = error as RequestFailure
  return oneLine(response?.data?.message ?? message, 300)
}

const isLimit = (error: unknown): boolean => {
  const headers = headersOf(error)
  return (
    statusOf(error) === 429 ||
    (statusOf(error) === 403 &&
      (headers["retry-after"] !== undefined || String(headers["x-ratelimit-remaining"]) === "0"))
  )
}

/** What GitHub did not do, and what to do about it. It never shows the token. */
function failure(what: string, error: unknown): Error {
  const status = statusOf(error)
  const said = `cannot ${what}: GitHub answers ${status ?? "nothing"}: ${messageOf(error)}`
  const remedy = isLimit(error)
    ? `it limits requests; run the command again ${limitEnd(error)}`
    : status === 401 || status === 403 || status === 404
      ? `REGISTRY_PASSWORD has to be ${needed}`
      : "run the command again"
  return new Error(`${said}; ${remedy}`, { cause: error })
}

function limitEnd(error: unknown): string {
  const headers = headersOf(error)
  const after = Number(headers["retry-after"])
  if (after > 0) return `in ${count(after, "second")}`
  const reset = Number(headers["x-ratelimit-reset"])
  return reset > 0 ? `after ${new Date(reset * 1_000).toISOString()}` : "in an hour"
}
