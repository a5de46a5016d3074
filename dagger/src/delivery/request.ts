import { createHash } from "node:crypto"
import { clip, oneLine } from "../lib/text.js"
import {
  type Change,
  type Component,
  type ComponentId,
  restorePointText,
  type WouldRun,
} from "./component.js"
import type { DeliveryEvent } from "./events/event.js"
import { digestOf } from "./release.js"

/** Most changes that a request lists, and the longest of them in characters. */
const limits = { changes: 60, length: 160 }

/** What a refused deploy would run: the audit log keeps it, so that somebody else can approve exactly that. */
export interface RecordedRequest {
  id: string
  /** Who asked for the deploy, as the API server knows them. */
  by: string
  at: string
  author: string
  reason: string
  components: (WouldRun & { component: ComponentId; changes: string[] })[]
}

/** What would change, by name and without values. */
export function requestedChanges(changes: Change[]): string[] {
  const lines = changes
    .filter(({ kind }) => kind !== "unchanged")
    .flatMap(({ object, kind, fields }) => [
      `${object}: ${kind}`,
      ...fields.map((field) => `  ${field.split(": ")[0] ?? ""}`),
    ])
    .map((line) => clip(line, limits.length))
  return lines.length > limits.changes
    ? [...lines.slice(0, limits.changes), `and ${lines.length - limits.changes} more`]
    : lines
}

/**
 * Finds the request that a refused deploy recorded.
 *
 * @throws Error when the audit log has none of that id
 */
export function requestOf(events: DeliveryEvent[], id: string): RecordedRequest {
  const found = events.filter(
    ({ kind, operation, request }) => kind === "refused" && operation === id && request,
  )
  const [first] = found
  if (!first) {
    const others = events.filter(({ kind, request }) => kind === "refused" && request)
    const known = [...new Set(others.map(({ operation }) => operation))].slice(-5)
    throw new Error(
      `no deploy request ${oneLine(id, 60)} is recorded; allowed: ${known.join(", ") || "none"}`,
    )
  }
  const names = found.map(({ component }) => component.name)
  if (found.some(({ by }) => by !== first.by) || new Set(names).size < names.length) {
    throw new Error(
      `several deploys are recorded as ${oneLine(id, 60)}: deploy again, and approve the new request`,
    )
  }
  return {
    id,
    by: first.by,
    at: first.at,
    author: first.author ?? "",
    reason: first.reason ?? "",
    components: found.flatMap(({ component, digest = "", request }) =>
      request
        ? [
            {
              component,
              image: request.image,
              digest,
              contents: { settings: request.settings, secrets: request.secrets },
              secretNames: request.secretNames,
              changes: request.changes,
              ...(request.restore && { restore: request.restore }),
              ...(request.model !== undefined && { model: request.model }),
            },
          ]
        : [],
    ),
  }
}

/**
 * Compares the settings of a request with those of this checkout, so that its approver can rely on what they read in git.
 *
 * @throws Error that names the components with other settings
 */
export function refuseOtherSettings(
  { components }: RecordedRequest,
  local: Pick<Component, "id" | "settingsDigest">[],
): void {
  const other = components.filter(({ component, image, digest, secretNames, contents }) => {
    const here = local.find(({ id }) => id.name === component.name)
    return digestOf(image) !== digest || here?.settingsDigest(image, secretNames) !== contents.settings
  })
  if (other.length === 0) return
  throw new Error(
    `the request is for other settings of ${other.map(({ component }) => component.name).join(", ")} than this checkout has: check out the commit that is deployed, and give the same --settings if it had any`,
  )
}

/** A short code of everything in a request: whoever approves names it, so that they approve what they have read. */
export function confirmationOf({ id, components }: RecordedRequest): string {
  return createHash("sha256").update(JSON.stringify({ id, components })).digest("hex").slice(0, 12)
}

/** A request for people. The settings were compared with this checkout; the changes are what the deployer's command reported. */
export function requestText({ id, by, at, author, reason, components }: RecordedRequest): string {
  return [
    `Deploy request ${id} of ${by}, ${at}`,
    ...(author === "" ? [] : [`author: ${oneLine(author)}`]),
    ...(reason === "" ? [] : [`reason: ${oneLine(reason)}`]),
    ...components.flatMap(({ component, image, contents, secretNames, changes, restore, model }) => [
      "",
      component.name,
      ...(restore ? [`  restores  ${restorePointText(restore)} in its place`] : []),
      ...(model === undefined ? [] : [`  model     ${model} serves`]),
      `  image     ${image}`,
      `  settings  ${contents.settings}, those of this checkout`,
      `  secrets   ${contents.secrets}, of ${secretNames.join(", ") || "none"}`,
      `  changes, as ${by} reported them:`,
      ...changes.map((change) => `    ${oneLine(change)}`),
    ]),
  ].join("\n")
}
