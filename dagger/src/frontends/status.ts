import { moment, oneLine } from "../lib/text.js"
import { isLive } from "./decisions.js"
import type { Pointer } from "./pointer.js"
import { hasExpired, type NamedPreview } from "./preview.js"
import { addressOf, type FrontendSettings, previewAddress } from "./settings.js"
import { size } from "../lib/size.js"
import { type FrontendState, liveRevision } from "./state.js"

/** The state of a web app in its environment. */
export interface FrontendStatus extends Pick<FrontendState, "live" | "revisions" | "running"> {
  address: string
  /** What the edge serves; absent before the first deploy and where it could not be read. */
  pointer?: Pointer
  /** Why it could not be read. */
  unreadable?: string
  /** Whether the edge serves what the last deploy or rollback made live; unknown where it could not be read. */
  agrees: boolean | "unknown"
  /** What the edge shows by names; absent where it could not be read. */
  previews?: PreviewStatus[]
  /** Why they could not be read. */
  previewsUnreadable?: string
}

/** A preview for programs. */
export interface PreviewStatus extends Omit<NamedPreview, "until"> {
  /** ISO 8601. */
  until: string
  /** The edge shows it no longer; the next deploy removes it. */
  expired: boolean
  /** For a browser; absent where previews have no domain. */
  address?: string
}

/**
 * What is known of a web app, for people and for programs.
 *
 * @param pointer what the edge serves, or why that is not known
 * @param named.previews what the edge shows by names, or why that is not known
 * @param named.now in ms since the epoch
 */
export function statusText(
  settings: FrontendSettings,
  state: FrontendState,
  pointer: Pointer | undefined | Error,
  { previews, now }: { previews: NamedPreview[] | Error; now: number },
): { text: string; details: FrontendStatus } {
  const { app } = settings
  const { live, revisions, running } = state
  const address = addressOf(settings)
  const current = liveRevision(state)
  const known = pointer instanceof Error ? undefined : pointer
  const agrees = pointer instanceof Error ? "unknown" : current ? isLive(known, current) : known === undefined
  const lines = [
    `${app}, the web app at ${address}: ${current ? `revision ${current.number}, version ${current.version}, live since ${current.at}` : "never deployed"}`,
    ...(current
      ? [
          `  release ${current.release}, ${current.files} files with ${size(current.bytes)}, of ${current.image}`,
        ]
      : []),
    ...(pointer instanceof Error ? [`  what the edge serves is not known: ${oneLine(pointer.message)}`] : []),
    ...(agrees === false
      ? [
          `  the edge serves ${known ? `revision ${known.live.revision}, release ${known.live.release}` : "nothing"} instead: deploy or roll back`,
        ]
      : []),
    ...(known?.canary
      ? [`  canary: revision ${known.canary.revision} for ${known.canary.percent} % of the visitors`]
      : []),
    ...(running
      ? [
          `  the ${running.action} of revision ${running.revision.number} that ${running.revision.by} began at ${running.began} has no end: repeat the command, or take it back with rollback`,
        ]
      : []),
    `  kept: ${revisions.map(({ number }) => number).join(", ") || "none"}`,
    ...(previews instanceof Error
      ? [`  its previews are not known: ${oneLine(previews.message)}`]
      : previews.map((one) => `  ${previewLine(settings, one, now)}`)),
  ]
  return {
    text: lines.join("\n"),
    details: {
      address,
      agrees,
      revisions,
      ...(live !== undefined && { live }),
      ...(running && { running }),
      ...(known && { pointer: known }),
      ...(pointer instanceof Error && { unreadable: pointer.message }),
      ...(previews instanceof Error
        ? { previewsUnreadable: previews.message }
        : { previews: previews.map((one) => previewStatus(settings, one, now)) }),
    },
  }
}

function previewLine(settings: FrontendSettings, preview: NamedPreview, now: number): string {
  const { name, until, version, by } = preview
  const { url } = previewAddress(settings, name)
  const end = hasExpired(preview, now) ? "expired at" : "until"
  return `preview ${oneLine(name, 63)}${url === undefined ? "" : ` at ${url}`}: version ${oneLine(version, 60)}, ${end} ${moment(new Date(until))}, by ${oneLine(by, 60)}`
}

function previewStatus(settings: FrontendSettings, preview: NamedPreview, now: number): PreviewStatus {
  const { url: address } = previewAddress(settings, preview.name)
  return {
    ...preview,
    until: new Date(preview.until).toISOString(),
    expired: hasExpired(preview, now),
    ...(address !== undefined && { address }),
  }
}
