import { describe, expect, it } from "vitest"
import {
  type Entry,
  entryObject,
  historyTable,
  operations,
  type Order,
  passed,
  readEntry,
} from "../../src/delivery/audit.js"

const digest = `sha256:${"a1".repeat(32)}`
const order = (more: Partial<Order> = {}): Order => ({
  id: "one",
  at: "2026-11-26T10:00:00.000Z",
  environment: "production",
  service: "api",
  kind: "deploy",
  strategy: "canary",
  revision: 8,
  from: 7,
  digest,
  by: "dora",
  author: "alan",
  reason: "pasta with pesto",
  ...more,
})
const begun = (more: Partial<Order> = {}): Entry => ({ event: "begun", ...order(more) })
const ended = (more: object = {}): Entry => ({
  ...{ event: "ended", id: "one", service: "api", at: "2026-11-26T10:12:30.000Z" },
  ...{ outcome: "promoted", message: "error rate 0 %" },
  ...more,
})
const checked = (more: object = {}): Entry => ({
  ...{
    event: "checked",
    id: "one",
    service: "api",
    at: "2026-11-26T10:01:00.000Z",
    digest,
    checks: "passed",
  },
  ...more,
})

describe("an entry", () => {
  it("comes back from the cluster as it was written", () => {
    const overridden = { reason: "agreed with Ada", guards: ["freeze"] }
    for (const entry of [begun({ overridden }), ended(), checked()]) {
      expect(readEntry(entryObject("f1-production", entry))).toEqual(entry)
    }
  })

  it("is written once and never changed, under a name that says what it is of", () => {
    expect(entryObject("f1-production", begun())).toMatchObject({
      immutable: true,
      metadata: {
        namespace: "f1-production",
        name: "audit-api-one-begun",
        labels: { "app.kubernetes.io/name": "api", "pitwall.dev/audit": "begun" },
      },
    })
  })

  it.each<Record<string, string>>([{}, { entry: "{" }, { entry: '{"event":"begun"}' }])(
    "is not %j",
    (data) => {
      const thing = { metadata: { namespace: "f1-staging", name: "odd" }, data }
      expect(() => readEntry(thing)).toThrow("f1-staging/odd is no entry of the audit log")
    },
  )
})

describe("operations", () => {
  it("tell of one deploy from beginning to end", () => {
    expect(operations([ended(), checked(), begun()])).toEqual([
      expect.objectContaining({
        service: "api",
        from: 7,
        revision: 8,
        outcome: "promoted",
        seconds: 750,
        checks: "passed",
        began: "2026-11-26T10:00:00.000Z",
        ended: "2026-11-26T10:12:30.000Z",
      }),
    ])
  })

  it("keep services and operations apart, newest first", () => {
    const all = operations([
      begun(),
      ended({ service: "f1-backend", outcome: "aborted" }),
      begun({ service: "f1-backend" }),
      begun({ id: "two", at: "2026-11-26T11:00:00.000Z" }),
      { event: "refused", ...order({ id: "three", at: "2026-11-26T09:00:00.000Z" }), message: "frozen" },
    ])
    expect(all.map(({ id, service, outcome }) => [id, service, outcome])).toEqual([
      ["two", "api", "unfinished"],
      ["one", "api", "unfinished"],
      ["one", "f1-backend", "aborted"],
      ["three", "api", "refused"],
    ])
  })
})

describe("passed", () => {
  it("is what ci passed for, and nothing that it did not", () => {
    const other = `sha256:${"b2".repeat(32)}`
    const entries = [checked(), checked({ digest: other, checks: "failed" }), begun({ digest: other })]
    expect(passed(entries)).toEqual({ digests: [digest], at: Date.parse("2026-11-26T10:01:00.000Z") })
    expect(passed([begun(), ended()])).toBeUndefined()
  })
})

describe("historyTable", () => {
  it("has a line for each, with who and why", () => {
    const approval = { id: "x", by: "grace", at: "2026-11-26T09:00:00.000Z" }
    const overridden = { reason: "agreed with Ada", guards: ["freeze"] }
    const table = historyTable(operations([begun({ approval, overridden }), ended()]))
    expect(table.split("\n")).toHaveLength(2)
    expect(table).toMatch(
      /2026-11-26 10:00:00 +api +deploy +7 → 8 +sha256:a1a1a1a1a1a1 +promoted +12 min 30 s +dora/,
    )
    expect(table).toContain("pasta with pesto · approved by grace · freeze overridden: agreed with Ada")
  })

  it("says so when there is nothing", () => {
    expect(historyTable([])).toBe("Nothing was deployed yet.")
  })
})
