import { describe, expect, it } from "vitest"
import type { ComponentId } from "../../src/delivery/component.js"
import { historyOf, historyText, operationsOf, passedImages } from "../../src/delivery/history.js"
import { checked, digest, promoted, started } from "./events.js"

const f1: ComponentId = { kind: "backend", name: "f1-backend" }
const all = { only: [], limit: 50 }

describe("operationsOf", () => {
  it("tells a deploy from beginning to end", () => {
    expect(operationsOf([promoted(), checked(), started()])).toEqual([
      expect.objectContaining({
        component: { kind: "backend", name: "api" },
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

  it("keeps components and operations apart, newest first", () => {
    const found = operationsOf([
      started(),
      promoted({ component: f1, kind: "rolled-back" }),
      started({ component: f1 }),
      started({ operation: "two", at: "2026-11-26T11:00:00.000Z" }),
      started({ kind: "refused", operation: "three", at: "2026-11-26T09:00:00.000Z", message: "frozen" }),
    ])
    expect(found.map(({ id, component, outcome }) => [id, component.name, outcome])).toEqual([
      ["two", "api", "unfinished"],
      ["one", "api", "unfinished"],
      ["one", "f1-backend", "aborted"],
      ["three", "api", "refused"],
    ])
  })

  it("is linear: 60,000 events are read within the time limit of a test", () => {
    const many = Array.from({ length: 30_000 }, (_, at) => {
      const operation = `op-${at}`
      return [started({ operation }), promoted({ operation })]
    }).flat()
    expect(operationsOf(many)).toHaveLength(30_000)
  })
})

describe("historyOf", () => {
  const events = Array.from({ length: 5 }, (_, at) => [
    started({ operation: `op-${at}`, at: `2026-11-26T1${at}:00:00.000Z` }),
    started({ operation: `op-${at}`, at: `2026-11-26T1${at}:00:00.000Z`, component: f1 }),
  ]).flat()

  it("is paged, and never parts the components of an operation", () => {
    const seen: string[] = []
    let after: string | undefined
    for (let page = 0; page < 9; page++) {
      const { operations, next } = historyOf(
        { events, unreadable: [] },
        { only: [], limit: 3, ...(after !== undefined && { after }) },
      )
      seen.push(...operations.map(({ id, component }) => `${id} ${component.name}`))
      after = next
      if (next === undefined) break
      expect(operations).toHaveLength(4)
    }
    expect(seen).toHaveLength(10)
    expect(new Set(seen).size).toBe(10)
    expect(seen[0]).toBe("op-4 api")
  })

  it("refuses a page of nothing, and an operation that it does not have", () => {
    expect(() => historyOf({ events, unreadable: [] }, { only: [], limit: 0 })).toThrow("allowed: 1 and more")
    expect(() => historyOf({ events, unreadable: [] }, { ...all, after: "op-9" })).toThrow(
      'no operation "op-9" to continue after',
    )
  })

  it("shows the components that are asked for", () => {
    const { operations } = historyOf({ events, unreadable: [] }, { only: ["f1-backend"], limit: 50 })
    expect(new Set(operations.map(({ component }) => component.name))).toEqual(new Set(["f1-backend"]))
  })
})

describe("passedImages", () => {
  const other = `sha256:${"b2".repeat(32)}`

  it("are those that passed, and no others", () => {
    const events = [checked(), checked({ digest: other, checks: "failed" }), started({ digest: other })]
    expect(passedImages(events)).toEqual({ digests: [digest], at: Date.parse("2026-11-26T10:01:00.000Z") })
    expect(passedImages([started(), promoted()])).toBeUndefined()
  })

  it("lose a pass to a later failure, in whatever order they are read", () => {
    const later = checked({ checks: "failed", at: "2026-11-26T10:02:00.000Z" })
    expect(passedImages([checked(), later])).toBeUndefined()
    expect(passedImages([later, checked()])).toBeUndefined()
    expect(passedImages([later, checked({ at: "2026-11-26T10:03:00.000Z" })])?.digests).toEqual([digest])
  })
})

describe("historyText", () => {
  it("has a line per operation, with who and why", () => {
    const approval = { id: "x", by: "grace", at: "2026-11-26T09:00:00.000Z" }
    const overridden = { reason: "agreed with Ada", guards: ["freeze"] }
    const trail = { events: [started({ approval, overridden }), promoted()], unreadable: [] }
    const table = historyText(historyOf(trail, all))
    expect(table.split("\n")).toHaveLength(2)
    expect(table).toMatch(
      /2026-11-26 10:00:00 +api +deploy +7 → 8 +sha256:a1a1a1a1a1a1 +promoted +12 min 30 s +dora/,
    )
    expect(table).toContain("pasta with pesto · approved by grace · freeze overridden: agreed with Ada")
  })

  it("says when there is nothing, when there is more, and what could not be read", () => {
    expect(historyText({ operations: [], unreadable: [] })).toBe("Nothing was deployed yet.")
    const text = historyText({ operations: [], next: "op-3", unreadable: ["odd"] })
    expect(text).toContain("--after op-3")
    expect(text).toContain("Skipped 1 that this version cannot read: odd")
  })
})
