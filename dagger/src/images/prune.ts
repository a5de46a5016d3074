import { GitHubPackages, VersionKept } from "../clients/github/packages.js"
import { reachRegistry } from "../clients/registry/reach.js"
import { Repository } from "../clients/registry/repository.js"
import type { ImageInUse } from "../delivery/component.js"
import { parseRegistryAddress } from "../lib/image-reference.js"
import { count } from "../lib/text.js"
import type { RegistryAccess } from "./access.js"
import { contentsOf } from "./contents.js"
import { decide, type Removal, removals, verdictsText } from "./reachability.js"
import { releaseRepository } from "./release.js"

/** What to remove, and what must stay. */
export interface PruneOptions {
  /** @throws Error when it is not known what is in use */
  inUse: () => Promise<ImageInUse[]>
  /** Seconds for which what nobody uses stays. */
  age: number
  /** Milliseconds since the epoch. */
  now: number
  /** Only say what would go. */
  dryRun: boolean
  say: (line: string) => void
  /** GitHub's registry, and the API that deletes from it. */
  github?: { registry: string; api?: string }
}

/** Deletes a manifest of a repository with its tags, unless it is gone. */
type Remove = (name: string, digest: string, tags: string[]) => Promise<void>

/** Why the newest image of a package stays at GitHub. */
const lastOfPackage =
  "GitHub does not delete the last image of a package; to be rid of it, delete the package there"

/**
 * Removes images and releases that nobody uses, with all that is said of them.
 *
 * @param services whose images are looked at
 * @returns a table of everything that was found, with the reason why it stays
 * @throws Error when something cannot be read, and nothing is removed then; for a registry that does not delete; and with the table where it refuses to delete some.
 *   The same call goes on where another ended.
 */
export async function pruneRegistry(
  services: string[],
  registry: RegistryAccess,
  { inUse, age, now, dryRun, say, github = { registry: "ghcr.io" } }: PruneOptions,
): Promise<string> {
  const { registry: host, path } = parseRegistryAddress(registry.address)
  const client = await reachRegistry(host, registry)
  const pathOf = (name: string) => (path === "" ? name : `${path}/${name}`)
  const repositories = Object.fromEntries(
    [...services, releaseRepository].map((name) => [name, new Repository(client, pathOf(name))]),
  )
  const isGitHub = host === github.registry
  // Before anything is read, which takes a while.
  const packages = isGitHub && !dryRun ? await packagesOf(path, registry, github.api) : undefined
  const remove: Remove = async (name, digest, tags) => {
    if (!packages) return repositories[name]?.remove(digest, tags)
    const [, ...folders] = path.split("/")
    const removed = await packages.remove([...folders, name].join("/"), digest)
    if (!removed && (await repositories[name]?.manifest(digest)))
      throw new Error(
        `${host}/${pathOf(name)} has ${digest}, and GitHub's API knows no such version of the package: run the command again`,
      )
  }
  const before = await inUse()
  const contents = await contentsOf(
    repositories,
    before.map(({ digest }) => digest),
  )
  const verdicts = decide(contents, before, { age, now, last: isGitHub ? lastOfPackage : undefined })
  if (dryRun) return verdictsText(verdicts, { done: false })
  // Reading a registry takes a while.
  const added = (await inUse()).find(({ digest }) => !before.some((one) => one.digest === digest))
  if (added)
    throw new Error(
      `an image came into use while the registry was read (${added.use}): nothing is removed; run the command again`,
    )
  const kept = await removeAll(removals(verdicts), remove, say)
  const text = verdictsText(
    verdicts.map((verdict) => {
      const reason = kept.get(keyOf(verdict.stored.name, verdict.stored.digest))
      return verdict.stays === undefined && reason !== undefined ? { ...verdict, stays: reason } : verdict
    }),
    { done: true },
  )
  if (kept.size > 0)
    throw new Error(`${text}\nNot all was removed: ${host} refuses ${count(kept.size, "image")}.`)
  return text
}

const keyOf = (name: string, digest: string) => `${name}@${digest}`

/**
 * Deletes manifests. Where the registry never deletes one, what is left of its image stays.
 *
 * @returns why, by the image
 */
async function removeAll(
  all: Removal[],
  remove: Remove,
  say: PruneOptions["say"],
): Promise<Map<string, string>> {
  const kept = new Map<string, string>()
  for (const { name, of, digest, tags } of all) {
    const image = keyOf(name, of)
    if (kept.has(image)) continue
    try {
      await remove(name, digest, tags)
      say(`removed ${keyOf(name, digest)}`)
    } catch (error) {
      if (!(error instanceof VersionKept)) throw error
      kept.set(image, `GitHub refuses: ${error.message}`)
      say(`${keyOf(name, digest)} stays: GitHub refuses: ${error.message}`)
    }
  }
  return kept
}

/** @throws Error without a token, and without an owner */
async function packagesOf(
  path: string,
  { address, password }: RegistryAccess,
  api: string | undefined,
): Promise<GitHubPackages> {
  const [owner = ""] = path.split("/")
  if (owner === "") throw new Error(`${address} names no owner; allowed: ghcr.io/OWNER/REPOSITORY`)
  if (password === undefined)
    throw new Error(
      "images at GitHub are deleted by its API, which wants a token: add REGISTRY_PASSWORD=… to the file given with --secrets, a personal access token (classic) with read:packages and delete:packages",
    )
  return GitHubPackages.of(owner, password, api)
}
