import { createHash } from "node:crypto"
import type { Octokit } from "@octokit/rest"
import { gitHub } from "./client.js"

/** A release as GitHub shows it. */
export interface GitHubRelease {
  /** An existing tag, or the one to make. */
  tag: string
  /** The commit that the tag names. */
  commit: string
  /** Markdown. */
  notes: string
  /** Texts by file name. */
  files: Record<string, string>
}

export interface Existing {
  id: number
  tag_name: string
  draft: boolean
  html_url: string
  upload_url: string
  assets: { id: number; name: string; state: string; digest?: string | null }[]
}

/**
 * What is to be done with the files of a release that GitHub has.
 *
 * @returns for a draft, what to remove and what to upload; nothing to do for one that is published with the very files
 * @throws Error for a published release with other files, because whoever has downloaded one must not get another one
 */
export function missingFiles(
  { draft, assets, tag_name: tag }: Existing,
  files: Record<string, string>,
): { remove: number[]; upload: string[] } {
  // GitHub has digests of what was uploaded; a file without one was cut off.
  const isWhole = ({ name, state, digest }: Existing["assets"][number]) =>
    state === "uploaded" && files[name] !== undefined && digest === digestOf(files[name])
  const whole = assets.filter(isWhole)
  const wrong = assets.filter((asset) => !isWhole(asset))
  const upload = Object.keys(files).filter((name) => !whole.some((asset) => asset.name === name))
  if (!draft && (upload.length > 0 || wrong.length > 0)) {
    const names = [...new Set([...upload, ...wrong.map(({ name }) => name)])].sort()
    throw new Error(
      `GitHub has published the release ${tag} with other files: ${names.join(", ")}. A published release does not change; give a new tag`,
    )
  }
  return { remove: wrong.map(({ id }) => id), upload }
}

const digestOf = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`

/** A version such as 1.2.0-rc.1 is not yet for everybody: https://semver.org/#spec-item-9 */
export const isPrerelease = (tag: string): boolean => /^v?\d+\.\d+\.\d+-/.test(tag)

/** The releases of a repository on GitHub. */
export class GitHubReleases {
  private constructor(
    private readonly octokit: Octokit,
    private readonly repository: { owner: string; repo: string },
  ) {}

  /**
   * @param repository such as owner/name
   * @param token that may write the contents of the repository
   * @param api address of the API, of an own server
   * @throws Error for a name that is none
   */
  static async of(repository: string, token: string, api?: string): Promise<GitHubReleases> {
    const [, owner, repo] = /^([\w.-]+)\/([\w.-]+)$/.exec(repository) ?? []
    if (owner === undefined || repo === undefined)
      throw new Error(`"${repository}" is no repository of GitHub; allowed is OWNER/NAME`)
    const octokit = await gitHub(token, api)
    return new GitHubReleases(octokit, { owner, repo })
  }

  /**
   * Publishes a release with its files. It is a draft until all files are there, so that nobody sees a part of it; run it again to resume.
   *
   * @returns its address
   * @throws Error when the tag names another commit, and when the release is published with other files
   */
  async publish({ tag, commit, notes, files }: GitHubRelease): Promise<string> {
    const { rest } = this.octokit
    const tagged = await this.commitOf(tag)
    if (tagged !== undefined && tagged !== commit)
      throw new Error(`the tag ${tag} names commit ${tagged}, and the release was built from ${commit}`)
    const prerelease = isPrerelease(tag)
    const found =
      (await this.find(tag)) ??
      (
        await rest.repos.createRelease({
          ...this.repository,
          tag_name: tag,
          target_commitish: commit,
          name: tag,
          body: notes,
          draft: true,
          prerelease,
        })
      ).data
    const { remove, upload } = missingFiles(found, files)
    if (!found.draft) return found.html_url
    for (const asset_id of remove) await rest.repos.deleteReleaseAsset({ ...this.repository, asset_id })
    for (const name of upload) {
      await this.octokit.request(`POST ${uploadAddress(found.upload_url)}`, {
        name,
        data: files[name] ?? "",
        headers: { "content-type": "application/octet-stream" },
      })
    }
    const { data } = await rest.repos.updateRelease({
      ...this.repository,
      release_id: found.id,
      body: notes,
      prerelease,
      draft: false,
      // GitHub finds out which version is the newest one.
      make_latest: "legacy",
    })
    return data.html_url
  }

  private async commitOf(tag: string): Promise<string | undefined> {
    try {
      const { data } = await this.octokit.rest.repos.getCommit({ ...this.repository, ref: `tags/${tag}` })
      return data.sha
    } catch (error) {
      // GitHub answers 422 for a reference that does not exist, and 404 for a repository that does not.
      if ((error as { status?: number }).status === 422) return undefined
      throw error
    }
  }

  /** Drafts are in the list only. */
  private async find(tag: string): Promise<Existing | undefined> {
    const pages = this.octokit.paginate.iterator(this.octokit.rest.repos.listReleases, {
      ...this.repository,
      per_page: 100,
    })
    for await (const { data } of pages) {
      const release = data.find(({ tag_name: one }) => one === tag)
      if (release) return release
    }
    return undefined
  }
}

/** An address with a template for its query, such as https://…/assets{?name,label}. */
const uploadAddress = (template: string) => `${template.replace(/\{.*$/, "")}{?name}`
