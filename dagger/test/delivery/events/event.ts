import type { Event } from "../../../src/delivery/events/event.js"

/** An event that says no more than its message. */
export const event = (message: string): Event => ({
  at: "2026-11-26T10:00:00.000Z",
  kind: "promoted",
  environment: "staging",
  service: "api",
  revision: 7,
  by: "dora",
  message,
  key: "staging/api/7",
  severity: "info",
})
