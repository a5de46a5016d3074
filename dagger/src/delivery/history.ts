import { columns, duration, oneLine } from "../lib/text.js"
import type { Approval } from "./guards/guards.js"
import type { AuditTrail } from "./audit.js"
import { type ComponentId, componentText, modelText } from "./component.js"
import type { DeliveryEvent } from "./events/event.js"

/** A deploy, a rollback, a migration, a training, the test of a backup or the search for drift of one component, from its beginning to its end. */
export interface OperationRecord {
  id: string
  component: ComponentId
  action: NonNullable<DeliveryEvent["action"]>
  strategy?: string
  revision?: number
  from?: number
  /** Digests of the models, of a promotion. */
  models?: DeliveryEvent["models"]
  digest: string
  by: string
  author: string
  reason: string
  /** ISO 8601. */
  began: string
  ended?: string
  seconds?: number
  outcome:
    | "promoted"
    | "migrated"
    | "restored"
    | "verified"
    | "trained"
    | "failed"
    | "aborted"
    | "refused"
    | "unfinished"
  message: string
  checks: "passed" | "failed" | "not asked"
  /** Digest of the guards that it met. */
  guards?: string
  overridden?: DeliveryEvent["overridden"]
  approval?: DeliveryEvent["approval"]
}

/** One page of the history of an environment. */
export interface History {
  /** Newest first. */
  operations: OperationRecord[]
  /** The id to continue with; absent on the last page. */
  next?: string
  /** Newest first; empty where none are needed. */
  approvals: Approval[]
  /** Entries that this version cannot read. */
  unreadable: string[]
}

/** Which part of the history is asked for. */
export interface HistoryQuery {
  /** Names of components; all, if empty. */
  only: string[]
  /** Most operations of a page. */
  limit: number
  /** Continue behind the operation with this id. */
  after?: string
}

/** Assembles operations from events, newest first, in one pass. */
export function operationsOf(events: DeliveryEvent[]): OperationRecord[] {
  const groups = new Map<string, DeliveryEvent[]>()
  for (const event of events) {
    const key = `${event.operation} ${componentText(event.component)}`
    const group = groups.get(key)
    if (group) group.push(event)
    else groups.set(key, [event])
  }
  return [...groups.values()]
    .flatMap((group) => operationOf(group) ?? [])
    .sort(
      (one, other) =>
        other.began.localeCompare(one.began) || one.component.name.localeCompare(other.component.name),
    )
}

/** Outcomes by the event that ends an operation. */
const outcomes = {
  promoted: "promoted",
  "rolled-back": "aborted",
  migrated: "migrated",
  "migration-failed": "failed",
  restored: "restored",
  "restore-failed": "failed",
  "backup-verified": "verified",
  "backup-not-verified": "failed",
  compared: "verified",
  drifted: "failed",
  trained: "trained",
  "training-failed": "failed",
} as const

/** Operations of one event. */
const ofOneEvent = [
  "refused",
  "backup-verified",
  "backup-not-verified",
  "compared",
  "drifted",
  "trained",
  "training-failed",
] as const

function operationOf(group: DeliveryEvent[]): OperationRecord | undefined {
  const find = (...kinds: DeliveryEvent["kind"][]) => group.find(({ kind }) => kinds.includes(kind))
  const first = find("started", ...ofOneEvent)
  if (!first) return undefined
  const ends = group.flatMap((event) =>
    event.kind in outcomes ? [{ ...event, outcome: outcomes[event.kind as keyof typeof outcomes] }] : [],
  )
  // Any deployer can write an entry, so one that says it went well hides none that says it did not.
  const end = ends.find(({ outcome }) => ["aborted", "failed"].includes(outcome)) ?? ends[0]
  const others = ends.filter(({ outcome }) => outcome !== end?.outcome)
  const { operation: id, component, action = "deploy", at, by, message } = first
  const known = {
    id,
    component,
    action,
    digest: first.digest ?? "",
    by,
    author: first.author ?? "",
    reason: first.reason ?? "",
    began: at,
    checks: find("checked")?.checks ?? "not asked",
    ...(first.strategy !== undefined && { strategy: first.strategy }),
    ...(first.revision !== undefined && { revision: first.revision }),
    ...(first.from !== undefined && { from: first.from }),
    ...(first.models && { models: first.models }),
    ...(first.guards !== undefined && { guards: first.guards }),
    ...(first.overridden && { overridden: first.overridden }),
    ...(first.approval && { approval: first.approval }),
  } as const
  if (first.kind === "refused") return { ...known, ended: at, seconds: 0, outcome: "refused", message }
  if (!end) return { ...known, outcome: "unfinished", message: "its end was not recorded" }
  return {
    ...known,
    ended: end.at,
    seconds: Math.round((Date.parse(end.at) - Date.parse(at)) / 1000),
    outcome: end.outcome,
    message: [end.message, ...others.map((one) => `recorded as ${one.outcome} too, by ${one.by}`)].join("; "),
  }
}

/** @throws Error for an `after` that names no operation */
export function historyOf(
  { events, unreadable }: AuditTrail,
  { only, limit, after }: HistoryQuery,
  given: Approval[] = [],
): History {
  if (!Number.isInteger(limit) || limit < 1)
    throw new Error(`a page of ${limit} operations; allowed: 1 and more`)
  const all = operationsOf(events).filter(
    ({ component }) => only.length === 0 || only.includes(component.name),
  )
  const last = after === undefined ? -1 : all.map(({ id }) => id).lastIndexOf(after)
  if (after !== undefined && last < 0)
    throw new Error(`the history has no operation "${after}" to continue after`)
  // All components of one operation stay on one page.
  let end = Math.min(last + 1 + limit, all.length)
  while (end < all.length && all[end]?.id === all[end - 1]?.id) end++
  const operations = all.slice(last + 1, end)
  const next = end < all.length ? operations.at(-1)?.id : undefined
  const approvals = given
    .filter(({ digests }) => only.length === 0 || only.some((name) => name in digests))
    .slice(-limit)
    .reverse()
  return { operations, approvals, unreadable, ...(next !== undefined && { next }) }
}

/**
 * The history as tables for a terminal.
 *
 * @param now milliseconds since the epoch
 */
export function historyText({ operations, approvals, next, unreadable }: History, now: number): string {
  const rows = operations.map((one) => [
    one.began.slice(0, 19).replace("T", " "),
    one.component.name,
    one.action,
    one.models
      ? `${modelText(one.models.from)} → ${modelText(one.models.to)}`
      : one.from === undefined
        ? `${one.revision ?? "–"}`
        : `${one.from} → ${one.revision ?? "–"}`,
    one.digest.slice(0, 19),
    one.outcome,
    one.seconds === undefined ? "" : duration(one.seconds),
    one.by,
    [
      one.reason,
      ...(one.outcome === "promoted" ? [] : [one.message]),
      ...(one.approval ? [`approved by ${one.approval.by}`] : []),
      ...(one.overridden ? overrideText(one.overridden, one.guards) : []),
    ]
      .map((part) => oneLine(part))
      .filter((part) => part !== "")
      .join(" · "),
  ])
  const head = ["BEGAN (UTC)", "COMPONENT", "ACTION", "REVISION", "IMAGE", "OUTCOME", "TOOK", "BY", "WHY"]
  const [some, more] = [unreadable.slice(0, 5), unreadable.length > 5 ? ", …" : ""]
  return [
    rows.length === 0 ? "Nothing was deployed yet." : columns([head, ...rows]),
    ...(next === undefined ? [] : [`Older operations: --after ${next}`]),
    ...(approvals.length === 0 ? [] : ["", approvalsTable(approvals, now)]),
    ...(unreadable.length === 0
      ? []
      : [`Skipped ${unreadable.length} that this version cannot read: ${some.join(", ")}${more}`]),
  ].join("\n")
}

function overrideText(
  { guards, reason, weakened = [] }: NonNullable<OperationRecord["overridden"]>,
  digest = "",
): string[] {
  return [
    `${guards.join(", ")} overridden: ${reason}`,
    ...(weakened.length > 0
      ? [`settings weakened ${weakened.join(", ")} (guards ${digest.slice(0, 19)})`]
      : []),
  ]
}

function approvalsTable(approvals: Approval[], now: number): string {
  const rows = approvals.map(({ id, at, by, digests, expires, note, revoked }) => [
    id,
    moment(at),
    by,
    Object.entries(digests)
      .map(([service, digest]) => `${service}@${digest.slice(0, 19)}`)
      .join(" "),
    revoked ? `revoked by ${revoked.by}` : expires > now ? `until ${moment(expires)}` : "expired",
    oneLine(revoked?.reason ?? note ?? ""),
  ])
  return columns([["APPROVAL", "AT (UTC)", "BY", "IMAGES", "STATE", "NOTE"], ...rows])
}

const moment = (at: number) =>
  Number.isFinite(at) ? new Date(at).toISOString().slice(0, 19).replace("T", " ") : "?"
