import { z } from "zod"
import { componentId, override, restorePoint } from "../component.js"

/** The version of the event format; readers skip events of versions that they do not know. */
export const eventVersion = 1

/** What can happen to a component. */
export const eventKinds = [
  "started",
  "resumed",
  "shifted",
  "promoted",
  "rolling-back",
  "rolled-back",
  "failed",
  "refused",
  "overridden",
  "approved",
  "revoked",
  "checked",
  "migrated",
  "migration-failed",
  "restored",
  "restore-failed",
  "backup-verified",
  "backup-not-verified",
  "compared",
  "drifted",
  "trained",
  "training-failed",
] as const
export type EventKind = (typeof eventKinds)[number]

/** Something that happened to a component: the one model of the audit log and of notifications. */
export const deliveryEvent = z.object({
  schemaVersion: z.literal(eventVersion),
  kind: z.enum(eventKinds),
  /** ISO 8601, by the API server's clock. */
  at: z.string(),
  environment: z.string(),
  component: componentId,
  /** The same for all events of one deploy, rollback or approval. */
  operation: z.string(),
  by: z.string(),
  message: z.string(),
  action: z
    .enum(["deploy", "rollback", "migrate", "restore", "backup", "verify-backup", "drift", "train"])
    .optional(),
  strategy: z.string().optional(),
  revision: z.int().optional(),
  /** The revision that served before. */
  from: z.int().optional(),
  digest: z.string().optional(),
  /** Of a promotion: digests of the model that serves until then, and of the one that takes its place. */
  models: z.object({ from: z.string().optional(), to: z.string().optional() }).optional(),
  author: z.string().optional(),
  reason: z.string().optional(),
  /** Digest of the guards in effect: equal digests are equal guards. */
  guards: z.string().optional(),
  overridden: override.optional(),
  approval: z.object({ id: z.string(), by: z.string(), at: z.string() }).optional(),
  /** Of a refused deploy: what it would run, for an approval of exactly that. */
  request: z
    .object({
      image: z.string(),
      settings: z.string(),
      secrets: z.string(),
      secretNames: z.array(z.string()),
      /** Objects and fields that would change, without values. */
      changes: z.array(z.string()),
      restore: restorePoint.optional(),
      /** Digest of the model that would serve. */
      model: z.string().optional(),
    })
    .optional(),
  /** What the gates said of the very digest. */
  checks: z.enum(["passed", "failed"]).optional(),
})
export type DeliveryEvent = z.output<typeof deliveryEvent>

/** How a pager or a chat treats an event. */
export interface Alert {
  /** The same for all events about one problem, so that a pager can resolve it. */
  key: string
  severity: "info" | "warning" | "critical"
  /** The problem with this key is over. */
  resolves?: true
}

/** An event as sinks receive it. */
export type Notification = DeliveryEvent & Alert

const severities: Partial<Record<EventKind, Alert["severity"]>> = {
  "rolling-back": "critical",
  failed: "critical",
  "migration-failed": "critical",
  "restore-failed": "critical",
  "backup-not-verified": "critical",
  "rolled-back": "warning",
  refused: "warning",
  overridden: "warning",
  drifted: "warning",
  // The champion goes on serving.
  "training-failed": "warning",
  revoked: "warning",
}

/** A rollout or a migration is one problem for a pager; a refusal, an override and an approval are problems of their own. */
const topics: Partial<Record<EventKind, string>> = {
  refused: "refused",
  overridden: "overridden",
  approved: "approval",
  revoked: "approval",
  checked: "checks",
  "backup-verified": "backup",
  "backup-not-verified": "backup",
  compared: "drift",
  drifted: "drift",
  trained: "training",
  "training-failed": "training",
}

export function alertOf({ kind, environment, component }: DeliveryEvent): Alert {
  return {
    key: `${environment}/${component.name}/${topics[kind] ?? (component.kind === "database" ? "migration" : "rollout")}`,
    severity: severities[kind] ?? "info",
    ...([
      "promoted",
      "rolled-back",
      "migrated",
      "restored",
      "backup-verified",
      "compared",
      "trained",
    ].includes(kind) && {
      resolves: true,
    }),
  }
}

/** Where events go: a file, a chat, a pager. */
export interface Sink {
  name: string
  /**
   * Takes one event. Calls for one sink never overlap.
   *
   * @param signal aborts when nobody waits for the result any longer
   * @throws Error when the event could not be delivered
   */
  send(event: Notification, signal: AbortSignal): Promise<void>
}

/** Longest message that an event keeps, in characters. A crash log belongs into the log, not into the audit trail. */
export const longestMessage = 1_000
