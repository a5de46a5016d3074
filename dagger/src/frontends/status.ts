import { oneLine } from "../lib/text.js"
import { isLive } from "./decisions.js"
import type { Pointer } from "./pointer.js"
import { addressOf, type FrontendSettings } from "./settings.js"
import { size } from "./size.js"
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
}

/**
 * What is known of a web app, for people and for programs.
 *
 * @param pointer what the edge serves, or why that is not known
 */
export function statusText(
  settings: FrontendSettings,
  state: FrontendState,
  pointer: Pointer | undefined | Error,
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
    },
  }
}
