/** What can happen to a service in a deploy. */
export type Kind =
  | "started"
  | "resumed"
  | "waiting"
  | "shifted"
  | "promoted"
  | "rolling-back"
  | "rolled-back"
  | "failed"
  | "refused"
  | "overridden"
  | "approved"

/** Something that people may want to be told. */
export interface Event {
  /** In ISO 8601. */
  at: string
  kind: Kind
  environment: string
  service: string
  revision?: number
  digest?: string
  by: string
  message: string
  /** The same for all events of one trouble, so that a pager can resolve it. */
  key: string
  severity: "info" | "warning" | "critical"
  /** The trouble with this key is over. */
  resolves?: boolean
}

/** Where events go: a file, a chat, a pager. */
export interface Sink {
  name: string
  /**
   * Takes one event; those of one sink come one after another.
   *
   * @param signal fires when nobody waits any longer
   * @throws Error when the event did not get there
   */
  send(event: Event, signal: AbortSignal): Promise<void>
}
