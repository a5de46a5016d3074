import type { ImageInUse } from "../delivery/component.js"
import { columns, count } from "../lib/text.js"

/** An image or a release in a registry, with everything that belongs to it. */
export interface Stored {
  /** Name of the repository within the address, such as `api` or `release`. */
  name: string
  digest: string
  tags: string[]
  /** All its manifests, each before those that belong to it: platforms, what is said of them, and lists of that. */
  manifests: { digest: string; tags: string[] }[]
  /** Of a release: digests of its images. */
  images: string[]
  /** Milliseconds since the epoch: the newest time that anything of it names; absent where nothing does. */
  at?: number
  /** A part is missing, as where another run was killed. */
  incomplete?: true
}

/** What becomes of it, and why. */
export interface Verdict {
  stored: Stored
  /** Why it stays; absent: it goes. */
  stays?: string
}

/**
 * What of a registry stays: all that is in use, all that is young, and the images of every release that stays.
 *
 * @param age seconds for which what nobody uses stays
 * @param now milliseconds since the epoch
 * @param last why the newest of a repository stays where nothing else with a tag does; absent where the registry empties repositories
 */
export function decide(
  all: Stored[],
  used: ImageInUse[],
  { age, now, last }: { age: number; now: number; last?: string | undefined },
): Verdict[] {
  const uses = new Map([...used].reverse().map(({ digest, use }) => [digest, use]))
  const useOf = ({ images, manifests, digest }: Stored) => {
    // An environment may name the index or the image of its platform.
    const own = [digest, ...manifests.map((one) => one.digest)].map((one) => uses.get(one))
    const named = images.map((image) => uses.get(image))
    return own.find((use) => use !== undefined) ?? named.find((use) => use !== undefined)
  }
  const staysOf = (stored: Stored): string | undefined => {
    const use = useOf(stored)
    if (use !== undefined) return use
    if (stored.incomplete) return undefined
    if (stored.at === undefined) return "nothing says how old it is"
    const seconds = Math.max(0, (now - stored.at) / 1_000)
    return seconds < age ? `${count(Math.floor(seconds / 86_400), "day")} old` : undefined
  }
  const first = all.map((stored): Verdict => {
    const stays = staysOf(stored)
    return { stored, ...(stays !== undefined && { stays }) }
  })
  if (last === undefined) return withReleasedImages(first)
  // A release that stays keeps its images.
  const released = withReleasedImages(withLast(first, ({ images }) => images.length > 0, last))
  return withLast(released, () => true, last)
}

function withReleasedImages(verdicts: Verdict[]): Verdict[] {
  const releases = new Map(
    verdicts.flatMap(({ stored, stays }) =>
      stays === undefined ? [] : stored.images.map((image) => [image, nameOf(stored)] as const),
    ),
  )
  return verdicts.map((verdict) => {
    const release = releases.get(verdict.stored.digest)
    return verdict.stays === undefined && release !== undefined
      ? { ...verdict, stays: `an image of ${release}` }
      : verdict
  })
}

/** Verdicts by which something with a tag stays in each repository that holds something of a kind. */
function withLast(verdicts: Verdict[], isOf: (stored: Stored) => boolean, reason: string): Verdict[] {
  const names = new Set(verdicts.flatMap(({ stored }) => (isOf(stored) ? [stored.name] : [])))
  const isTagged = ({ stored }: Verdict) => stored.manifests.some(({ tags }) => tags.length > 0)
  const rank = ({ stored: { incomplete, at = -Infinity } }: Verdict) => (incomplete ? -Infinity : at)
  const kept = [...names].flatMap((name) => {
    const tagged = verdicts.filter((one) => one.stored.name === name && isTagged(one))
    if (tagged.some(({ stays }) => stays !== undefined)) return []
    const [newest] = tagged.sort((one, other) => rank(other) - rank(one) || 0)
    return newest ? [newest] : []
  })
  return verdicts.map((one) => (kept.includes(one) ? { ...one, stays: reason } : one))
}

/** Manifests to delete from one repository, each behind those that belong to it, so that a command that is killed leaves nothing that the next does not find. */
export interface Removal {
  name: string
  /** Digest of the image or release that it belongs to. */
  of: string
  digest: string
  tags: string[]
}

/** What is to be deleted for verdicts: nothing that something which stays consists of or has beside it. */
export function removals(verdicts: Verdict[]): Removal[] {
  const key = (name: string, digest: string) => `${name}@${digest}`
  const kept = new Set(
    verdicts.flatMap(({ stored: { name, manifests }, stays }) =>
      stays === undefined ? [] : manifests.map(({ digest }) => key(name, digest)),
    ),
  )
  const seen = new Set(kept)
  return verdicts.flatMap(({ stored: { name, digest: of, manifests }, stays }) =>
    stays === undefined
      ? [...manifests].reverse().flatMap(({ digest, tags }) => {
          if (seen.has(key(name, digest))) return []
          seen.add(key(name, digest))
          return [{ name, of, digest, tags }]
        })
      : [],
  )
}

const nameOf = ({ name, digest, tags }: Stored): string =>
  tags[0] === undefined ? `${name}@${digest.slice(0, 19)}` : `${name}:${tags[0]}`

/**
 * Verdicts for people.
 *
 * @param done what goes is gone
 */
export function verdictsText(verdicts: Verdict[], { done }: { done: boolean }): string {
  if (verdicts.length === 0) return "The registry has nothing of these services."
  const rows = verdicts.map(({ stored, stays }) => [
    nameOf(stored),
    stored.digest.slice(0, 19),
    stays === undefined ? (done ? "removed" : "goes") : "stays",
    stays ??
      `${stored.incomplete ? "incomplete" : "not in use"}, ${count(stored.manifests.length, "manifest")}`,
  ])
  const going = verdicts.filter(({ stays }) => stays === undefined).length
  return [
    columns([["IMAGE", "DIGEST", "", "WHY"], ...rows]),
    done
      ? `Removed ${going} of ${verdicts.length}. The registry frees their space when it collects garbage.`
      : `${going} of ${verdicts.length} would go. Nothing is removed yet.`,
  ].join("\n")
}
