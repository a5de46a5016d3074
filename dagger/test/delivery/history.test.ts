import { describe, expect, it } from "vitest"
import type { ComponentId } from "../../src/delivery/component.js"
import type { Approval } from "../../src/delivery/guards/guards.js"
import { historyOf, historyText, operationsOf } from "../../src/delivery/history.js"
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

  it("shows no aborted deploy as promoted, whoever writes that", () => {
    const lie = promoted({ by: "eve", at: "2026-11-26T10:05:00.000Z" })
    const end = promoted({ kind: "rolled-back", message: "5 % errors" })
    expect(operationsOf([started(), lie, end])).toMatchObject([
      { outcome: "aborted", message: "5 % errors; recorded as promoted too, by eve" },
    ])
  })

  it.each([
    ["trained", "trained"],
    ["training-failed", "failed"],
    ["backup-verified", "verified"],
    ["drifted", "failed"],
  ] as const)("has an operation of the one event %s", (kind, outcome) => {
    const component: ComponentId = { kind: "model", name: "f1-winners" }
    const event = started({ kind, component, action: "train", message: "is the challenger" })
    expect(operationsOf([event])).toMatchObject([
      { component, outcome, message: "is the challenger", seconds: 0 },
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
    const sizes: number[] = []
    let after: string | undefined
    for (let page = 0; page < 9; page++) {
      const { operations, next } = historyOf(
        { events, unreadable: [] },
        { only: [], limit: 3, ...(after !== undefined && { after }) },
      )
      seen.push(...operations.map(({ id, component }) => `${id} ${component.name}`))
      sizes.push(operations.length)
      after = next
      if (next === undefined) break
    }
    expect(sizes).toEqual([4, 4, 2])
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

const now = Date.parse("2026-11-26T12:00:00Z")

describe("historyText", () => {
  it("has a line per operation, with who and why", () => {
    const approval = { id: "x", by: "grace", at: "2026-11-26T09:00:00.000Z" }
    const overridden = { reason: "agreed with Ada", guards: ["freeze"] }
    const trail = { events: [started({ approval, overridden }), promoted()], unreadable: [] }
    const table = historyText(historyOf(trail, all), now)
    expect(table.split("\n")).toHaveLength(2)
    expect(table).toMatch(
      /2026-11-26 10:00:00 +api +deploy +7 → 8 +sha256:a1a1a1a1a1a1 +promoted +12 min 30 s +dora/,
    )
    expect(table).toContain("pasta with pesto · approved by grace · freeze overridden: agreed with Ada")
  })

  it("says when there is nothing, when there is more, and what could not be read", () => {
    expect(historyText({ operations: [], approvals: [], unreadable: [] }, now)).toBe(
      "Nothing was deployed yet.",
    )
    const text = historyText({ operations: [], approvals: [], next: "op-3", unreadable: ["odd"] }, now)
    expect(text).toContain("--after op-3")
    expect(text).toContain("Skipped 1 that this version cannot read: odd")
  })

  it("lists approvals with their state", () => {
    const given = (id: string, more: Partial<Approval>): Approval => ({
      id,
      by: "grace",
      at: now - 1000,
      expires: now + 1000,
      digests: { api: digest },
      contents: {},
      ...more,
    })
    const history = historyOf({ events: [], unreadable: [] }, all, [
      given("one", { expires: now - 1 }),
      given("two", { revoked: { by: "ada", at: now, reason: "an advisory" } }),
      given("three", { note: "read it all" }),
      given("four", { digests: { "f1-backend": digest } }),
    ])
    const lines = historyText(history, now).split("\n").slice(3)
    expect(lines[0]).toMatch(/^four /)
    expect(lines[1]).toMatch(
      /^three .*grace +api@sha256:a1a1a1a1a1a1 +until 2026-11-26 12:00:01 +read it all/,
    )
    expect(lines[2]).toMatch(/^two .*revoked by ada +an advisory/)
    expect(lines[3]).toMatch(/^one .*expired/)
    expect(
      historyOf({ events: [], unreadable: [] }, { only: ["f1-backend"], limit: 5 }, history.approvals)
        .approvals,
    ).toHaveLength(1)
  })
})
