import type { DeliveryEvent } from "../../src/delivery/events/event.js"

export const digest = `sha256:${"a1".repeat(32)}`

/** The start of a deploy, and what comes after it. */
export const started = (more: Partial<DeliveryEvent> = {}): DeliveryEvent => ({
  schemaVersion: 1,
  kind: "started",
  at: "2026-11-26T10:00:00.000Z",
  environment: "production",
  component: { kind: "backend", name: "api" },
  operation: "one",
  by: "dora",
  message: "revision 8 is brought up",
  action: "deploy",
  strategy: "canary",
  revision: 8,
  from: 7,
  digest,
  author: "alan",
  reason: "pasta with pesto",
  ...more,
})

export const promoted = (more: Partial<DeliveryEvent> = {}): DeliveryEvent =>
  started({ kind: "promoted", at: "2026-11-26T10:12:30.000Z", message: "error rate 0 %", ...more })

export const checked = (more: Partial<DeliveryEvent> = {}): DeliveryEvent =>
  started({
    kind: "checked",
    at: "2026-11-26T10:01:00.000Z",
    message: "the gates passed",
    checks: "passed",
    ...more,
  })
