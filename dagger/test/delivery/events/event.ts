import type { Notification } from "../../../src/delivery/events/event.js"

/** An event that says no more than its message. */
export const event = (message: string): Notification => ({
  schemaVersion: 1,
  at: "2026-11-26T10:00:00.000Z",
  kind: "promoted",
  environment: "staging",
  component: { kind: "backend", name: "api" },
  operation: "20261126-100000-abcd",
  revision: 7,
  by: "dora",
  message,
  key: "staging/api/rollout",
  severity: "info",
  resolves: true,
})
