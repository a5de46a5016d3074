import { clip } from "../lib/text.js"
import { type AuditLog, auditedKinds } from "./audit.js"
import { alertOf, type DeliveryEvent, eventVersion, longestMessage } from "./events/event.js"
import type { Notifier } from "./events/notifier.js"

/** What a caller says of an event; the rest follows from the context. */
export type Happening = Pick<DeliveryEvent, "kind" | "component" | "message"> &
  Partial<Omit<DeliveryEvent, "schemaVersion" | "environment" | "by">>

/** Records what happens in an environment: once in the audit log where it belongs there, and with every sink. */
export class Journal {
  constructor(
    private readonly context: {
      environment: string
      /** Who runs the command, as the API server knows them. */
      by: string
      /** The operation of events that name no other. */
      operation: string
      audit: AuditLog
      notifier: Notifier
      /** Milliseconds by the API server's clock. */
      now: () => number
    },
  ) {}

  /** Records an event. An audited event that a resumed command records again is neither kept nor sent twice. */
  async record(happening: Happening): Promise<void> {
    const { environment, by, operation, audit, notifier, now } = this.context
    const { message, overridden, reason } = happening
    const event: DeliveryEvent = {
      schemaVersion: eventVersion,
      at: iso(now()),
      operation,
      environment,
      by,
      ...happening,
      message: clip(message, longestMessage),
      ...(reason !== undefined && { reason: clip(reason, longestMessage) }),
      ...(overridden && { overridden: { ...overridden, reason: clip(overridden.reason, longestMessage) } }),
    }
    const isNew = !auditedKinds.includes(event.kind) || (await audit.write(event))
    if (isNew) await notifier.notify({ ...event, ...alertOf(event) })
  }
}

/** Milliseconds since the epoch in ISO 8601. */
export const iso = (milliseconds: number): string => new Date(milliseconds).toISOString()

/** An operation's id, for example `20261126-101500-x7k2`: sorts by time and is valid in object names. */
export function newId(now: number): string {
  const random = Math.random().toString(36).slice(2, 6).padEnd(4, "0")
  return `${iso(now).slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-")}-${random}`
}
