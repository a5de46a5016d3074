import { describe, expect, it } from "vitest"
import {
  compatibility,
  decideAction,
  fingerprintOf,
  blockedMessage,
  rollbackTarget,
} from "../../src/backends/decisions.js"
import type { Revision } from "../../src/backends/revisions/revisions.js"
import type { Rollout } from "../../src/backends/rollout/rollout.js"
import { full, release, workload } from "./manifests/fixtures.js"

const revision = (number: number, more: Partial<Revision> = {}): Revision => ({
  number,
  image: "i",
  digest: "d",
  version: "v",
  fingerprint: `f${number}`,
  createdAt: "",
  wanted: 0,
  ready: 0,
  configMap: "",
  pullSecrets: [],
  outcome: "promoted",
  ...more,
})
const rollout = (more: Partial<Rollout> = {}): Rollout => ({
  id: "one",
  service: "api",
  strategy: "canary",
  kind: "deploy",
  revision: 8,
  stable: 7,
  digest: "d",
  phase: "promoted",
  step: 0,
  since: 0,
  began: 0,
  by: "dora",
  author: "alan",
  reason: "",
  message: "",
  controller: "dora one",
  ...more,
})

describe("fingerprintOf", () => {
  const gateway = { name: "public", namespace: "router" }
  const print = (more = {}, yaml = full, route = {}) =>
    fingerprintOf(workload(yaml), release(more), { hostnames: ["api.example.com"], gateway, ...route })

  it("does not see the number and the values of secrets", () => {
    expect(print({ revision: 9 })).toBe(print())
    expect(print({ secrets: { database_url: "another", jwt_secret_key: "another" } })).toBe(print())
  })

  it.each([
    { config: { LOG_LEVEL: "INFO" } },
    { secrets: { database_url: "x" } },
    { version: "1.4.1" },
    { image: `x@sha256:${"b".repeat(64)}`, digest: `sha256:${"b".repeat(64)}` },
  ])("sees %j", (more) => {
    expect(print(more)).not.toBe(print())
  })

  it.each([
    { hostnames: ["api.example.com", "new.example.com"] },
    { gateway: { ...gateway, name: "private" } },
    { gateway: { ...gateway, section: "https" } },
  ])("sees where requests come in: %j", (route) => {
    expect(print({}, full, route)).not.toBe(print())
  })

  it("sees another workload", () => {
    expect(print({}, full.replace("min: 2", "min: 3"))).not.toBe(print())
  })
})

describe("decide", () => {
  const kept = [revision(8), revision(7)]

  it("begins with the first revision where there was none", () => {
    expect(decideAction(undefined, [], [])).toEqual({ kind: "begin", revision: 1 })
  })

  it("begins the next one beside what has all traffic", () => {
    expect(decideAction(rollout(), kept, [])).toEqual({ kind: "begin", revision: 9, stable: 8 })
    expect(decideAction(rollout({ phase: "aborted" }), kept, [])).toEqual({
      kind: "begin",
      revision: 9,
      stable: 7,
    })
  })

  it("does nothing when what is asked for has all traffic", () => {
    expect(decideAction(rollout(), kept, [8])).toEqual({ kind: "nothing", revision: 8 })
    expect(decideAction(rollout({ phase: "aborted" }), kept, [7])).toEqual({ kind: "nothing", revision: 7 })
  })

  it("makes a new revision of what was aborted, or had traffic before", () => {
    const aborted = [revision(8, { outcome: "aborted" }), revision(7)]
    expect(decideAction(rollout({ phase: "aborted" }), aborted, [8])).toMatchObject({
      kind: "begin",
      revision: 9,
    })
    expect(decideAction(rollout(), kept, [7])).toMatchObject({ kind: "begin", revision: 9 })
  })

  it("goes on with a revision whose command died before its rollout was written", () => {
    const orphan = revision(9, { outcome: undefined })
    expect(decideAction(rollout(), [orphan, ...kept], [9])).toEqual({ kind: "begin", revision: 9, stable: 8 })
    expect(decideAction(rollout(), [orphan, ...kept], [])).toEqual({ kind: "begin", revision: 10, stable: 8 })
  })

  it.each(["preparing", "verifying", "shifting", "promoting", "settling", "aborting"] as const)(
    "resumes its own deploy in %s",
    (phase) => {
      const found = rollout({ phase })
      expect(decideAction(found, kept, [8])).toEqual({ kind: "resume", rollout: found })
    },
  )

  it.each([
    ["preparing", "blocked"],
    ["verifying", "blocked"],
    ["shifting", "blocked"],
    ["promoting", "blocked"],
    ["settling", "finish"],
    ["aborting", "finish"],
  ] as const)("finds another's in %s: %s", (phase, kind) => {
    expect(decideAction(rollout({ phase }), kept, []).kind).toBe(kind)
  })

  it("leaves a rollback under way to rollback, even one to what is asked for", () => {
    const back = rollout({ kind: "rollback", phase: "verifying", revision: 7, stable: 8 })
    expect(decideAction(back, kept, [7]).kind).toBe("blocked")
    expect(blockedMessage(back, "staging")).toContain("./daggerw call rollback --env staging --service api")
  })
})

describe("rollbackTarget", () => {
  const kept = [revision(9), revision(8, { outcome: "aborted" }), revision(7), revision(5)]

  it("is the newest proven one before the present", () => {
    expect(rollbackTarget(kept, 9).number).toBe(7)
    expect(rollbackTarget(kept, 7).number).toBe(5)
  })

  it("is the one that the present one replaced, not one that was rolled back from", () => {
    const after = [
      revision(3, { replaced: 1 }),
      revision(2, { replaced: 1 }),
      revision(1, { replaced: "none" }),
    ]
    expect(rollbackTarget(after, 3).number).toBe(1)
    expect(rollbackTarget(after, 3, 2).number).toBe(2)
    expect(() => rollbackTarget(after, 1)).toThrow("no proven revision before 1 is kept; allowed: 3, 2")
  })

  it("passes over one that was never proven", () => {
    const chain = [
      revision(4, { replaced: 3 }),
      revision(3, { outcome: "aborted", replaced: 1 }),
      revision(2, { replaced: 1 }),
      revision(1, { replaced: "none" }),
    ]
    expect(rollbackTarget(chain, 4).number).toBe(1)
  })

  it("is any proven one that was asked for, forward too", () => {
    expect(rollbackTarget(kept, 9, 5).number).toBe(5)
    expect(rollbackTarget(kept, 5, 9).number).toBe(9)
  })

  it.each([
    [9, 8, "revision 8 was not proven, or is no longer kept; allowed: 7, 5"],
    [9, 4, "revision 4 was not proven"],
    [9, 9, "revision 9 has all traffic already"],
    [5, undefined, "no proven revision before 5 is kept; allowed: 9, 7"],
  ])("is not there from %i to %s", (present, to, message) => {
    expect(() => rollbackTarget(kept, present, to)).toThrow(message)
  })
})

describe("compatibility", () => {
  const old = { head: "0008", breaking: ["0003"] }
  const moved = { head: "0012", breaking: ["0003", "0011"] }

  it("holds while nothing breaking came since", () => {
    expect(compatibility(old, [revision(8, { schema: { head: "0010", breaking: ["0003"] } })])).toEqual({
      compatible: true,
    })
    expect(compatibility(moved, [revision(7, { schema: old })]).compatible).toBe(true)
    expect(compatibility(undefined, [revision(8)]).compatible).toBe(true)
  })

  it("does not once a breaking migration came, even with a revision that was aborted", () => {
    const kept = [revision(9, { schema: moved, outcome: "aborted" }), revision(7, { schema: old })]
    expect(compatibility(old, kept, 7)).toEqual({
      compatible: false,
      reason: "revision 9 brought migration 0011, which one of schema 0008 cannot read",
    })
    expect(compatibility(moved, kept, 9).compatible).toBe(true)
  })

  it("is not known of an image that says nothing, once a breaking migration came", () => {
    expect(compatibility(undefined, [revision(8, { schema: moved })])).toEqual({
      compatible: "unknown",
      reason: "revision 8 brought migration 0003, 0011, and the image says nothing of what it can read",
    })
  })
})
