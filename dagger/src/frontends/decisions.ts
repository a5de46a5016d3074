import { day } from "../lib/clock.js"
import type { ListedObject } from "./bucket.js"
import type { Layout } from "./layout.js"
import type { Pointer, PointerChange, Variant } from "./pointer.js"
import type { FrontendRevision, FrontendState, RunningSwitch } from "./state.js"

/** What a deploy has to do. */
export type FrontendAction =
  | { kind: "nothing"; revision: FrontendRevision }
  /** This very deploy was begun before, and its end is not recorded. */
  | { kind: "resume"; running: RunningSwitch }
  | { kind: "begin"; number: number; from?: FrontendRevision }

/** What is to be live. */
export type Wanted = Pick<FrontendRevision, "image" | "release" | "config">

const same = (one: Wanted, other: Wanted) =>
  one.image === other.image && one.release === other.release && one.config === other.config

export function decideSwitch(
  state: FrontendState,
  pointer: Pointer | undefined,
  wanted: Wanted,
): FrontendAction {
  const { running } = state
  if (running?.action === "deploy" && same(running.revision, wanted)) return { kind: "resume", running }
  const live = state.revisions.find(({ number }) => number === state.live)
  // Somebody else may have changed what the edge serves.
  if (live && same(live, wanted) && !running && isLive(pointer, live) && !pointer?.canary) {
    return { kind: "nothing", revision: live }
  }
  return { kind: "begin", number: state.last + 1, ...(live && { from: live }) }
}

export const isLive = (pointer: Pointer | undefined, { release, config }: Wanted): boolean =>
  pointer?.live.release === release && pointer.live.config === config

export const variantOf = ({
  release,
  config,
  number,
}: Pick<FrontendRevision, "release" | "config" | "number">): Variant => ({
  release,
  config,
  revision: number,
})

/**
 * The pointer with another live revision.
 *
 * @param kept what was live before, so that it is not taken for gone when the same switch is made again
 */
export function promoted(now: Pointer | undefined, live: Variant): ReturnType<PointerChange> {
  const before = now && now.live.revision !== live.revision ? now.live : now?.previous
  return { live, ...(before && { previous: before }) }
}

/** The pointer with a part of the visitors on another revision. */
export function withCanary(
  now: Pointer | undefined,
  canary: Variant,
  percent: number,
): ReturnType<PointerChange> {
  if (!now) throw new Error("nothing is live yet, so there is nobody to keep on it beside a canary")
  const { live, previous } = now
  return { live, ...(previous && { previous }), canary: { ...canary, percent } }
}

/** The pointer without a canary. */
export function withoutCanary({ live, previous }: Pointer): ReturnType<PointerChange> {
  return { live, ...(previous && { previous }) }
}

/**
 * The revision that a rollback goes to.
 *
 * @param to a number; the revision before the live one, if absent
 * @throws Error when there is none, or its files are not kept
 */
export function targetOf(
  { revisions, live }: FrontendState,
  app: string,
  to: string | undefined,
): FrontendRevision {
  const kept = revisions.filter(({ number }) => number !== live)
  const numbers = kept.map(({ number }) => number).join(", ") || "none"
  if (to !== undefined) {
    const found = revisions.find(({ number }) => String(number) === to)
    if (!found) throw new Error(`${app} has no kept revision "${to}"; allowed: ${numbers}`)
    return found
  }
  const earlier = kept.filter(({ number }) => live === undefined || number < live)
  const [target] = earlier.sort((one, other) => other.number - one.number)
  if (!target)
    throw new Error(`${app} has no revision before ${live ?? "the first"}; with --to, allowed: ${numbers}`)
  return target
}

/**
 * The revisions whose files stay: the newest, those that were live within the age, and whatever is live, the one before it, a canary and what an operation works on.
 *
 * @param keep.days for which a release that was live stays
 * @param now in ms since the epoch
 */
export function keptRevisions(
  state: FrontendState,
  pointer: Pointer | undefined,
  keep: { releases: number; days: number },
  now: number,
): FrontendRevision[] {
  const needed = [
    state.live,
    pointer?.live.revision,
    pointer?.previous?.revision,
    pointer?.canary?.revision,
    state.running?.from,
  ]
  return state.revisions.filter(
    ({ number, until }, at) =>
      at < keep.releases ||
      needed.includes(number) ||
      until === undefined ||
      Date.parse(until) > now - keep.days * day,
  )
}

/**
 * Objects that no kept release needs, and that are older than that: another command may be uploading newer ones.
 *
 * @param objects everything below the folder of the app
 * @param kept ids of releases and configurations, and keys of assets that are kept
 * @param before ms since the epoch
 */
export function leftOver(
  objects: ListedObject[],
  layout: Layout,
  kept: { releases: Set<string>; configs: Set<string>; assets: Set<string> },
  before: number,
): string[] {
  const isKept = (key: string) => {
    if (key.startsWith(layout.assets)) return kept.assets.has(key)
    for (const folder of [layout.releases, layout.audits])
      if (key.startsWith(folder)) return kept.releases.has(key.slice(folder.length).split("/")[0] ?? "")
    if (key.startsWith(layout.configs))
      return kept.configs.has(key.slice(layout.configs.length).replace(/\.json$/, ""))
    return true
  }
  return objects.filter(({ key, at }) => at < before && !isKept(key)).map(({ key }) => key)
}
