import { describe, expect, it } from "vitest"
import {
  decideMigration,
  decideRevert,
  type MigrationSituation,
  permitted,
  type RevertSituation,
  stillWaiting,
  waitingFor,
  waitingText,
} from "../../src/databases/decisions.js"
import type { DatabaseState, Running } from "../../src/databases/state.js"

const image = (letter: string, head = "0003", breaking: string[] = []) => ({
  reference: `registry.example.com/api@sha256:${letter.repeat(64)}`,
  migrations: { head, breaking },
})
const running: Running = {
  id: "20260302-100000-abcd",
  image: image("a").reference,
  allowBreaking: false,
  by: "dora",
  author: "alan",
  reason: "",
  began: "2026-03-02T10:00:00.000Z",
}
const state = (change: Partial<DatabaseState> = {}): DatabaseState => ({
  schemaVersion: 1,
  passed: [],
  runs: [],
  ...change,
})
const decide = (change: Partial<MigrationSituation> = {}) =>
  decideMigration({
    image: image("a"),
    state: state(),
    revisions: [],
    isActive: false,
    always: false,
    window: undefined,
    ...change,
  })
const kept = (number: number, ...breaking: string[]) => ({ number, schema: { head: "x", breaking } })

describe("decideMigration", () => {
  it("begins for a database that nothing is known of", () => {
    expect(decide()).toEqual({ kind: "begin", allowBreaking: true, waits: [] })
  })

  it("does nothing for a database at the head of the image, or past it", () => {
    expect(decide({ state: state({ heads: ["0003"] }) })).toMatchObject({
      kind: "nothing",
      reason: "at 0003",
    })
    const past = state({ heads: ["0005"], passed: ["0003", "0005"] })
    expect(decide({ state: past })).toMatchObject({ reason: "at 0005, which is past 0003 of this image" })
  })

  it("begins for a head that the database never had, and after a failure", () => {
    expect(decide({ state: state({ heads: ["0002"], passed: ["0001", "0002"] }) }).kind).toBe("begin")
    expect(decide({ state: state({ passed: ["0001", "0003"] }) }).kind).toBe("begin")
  })

  it("asks the database anyway where that is wanted, or where the image does not say what it brings", () => {
    expect(decide({ state: state({ heads: ["0003"] }), always: true }).kind).toBe("begin")
    const { reference } = image("a")
    expect(decide({ image: { reference }, state: state({ heads: ["0003"] }) }).kind).toBe("begin")
  })

  it("resumes the migration by the same image, whether its Job runs or not", () => {
    for (const isActive of [true, false]) {
      expect(decide({ state: state({ running }), isActive })).toEqual({ kind: "resume", running })
    }
  })

  it("is blocked by a migration by another image for as long as that runs", () => {
    const other = { image: image("b"), state: state({ running }) }
    expect(decide({ ...other, isActive: true })).toEqual({ kind: "blocked", running })
    expect(decide({ ...other, isActive: false }).kind).toBe("begin")
  })

  it("holds back migrations that a kept revision cannot live with", () => {
    const breaking = image("a", "0003", ["0002"])
    const decided = decide({ image: breaking, revisions: [kept(4, "0002"), kept(3), { number: 2 }] })
    expect(decided).toEqual({
      kind: "begin",
      allowBreaking: false,
      waits: [{ migration: "0002", revisions: [3, 2] }],
    })
    expect(decide({ image: breaking, revisions: [kept(4, "0002")] })).toMatchObject({ allowBreaking: true })
  })

  it("does not try again what still waits, and runs it when nothing needs the old shape", () => {
    const breaking = image("a", "0003", ["0003"])
    const waiting = state({ heads: ["0002"], waiting: { head: "0003", migrations: ["0003"] } })
    expect(decide({ image: breaking, state: waiting, revisions: [kept(1)] })).toMatchObject({
      kind: "nothing",
      reason: "at 0002; 0003 waits for revision 1, released before it and still kept",
    })
    expect(decide({ image: breaking, state: waiting, revisions: [kept(2, "0003")] })).toMatchObject({
      kind: "begin",
      allowBreaking: true,
    })
  })

  it("goes on to the migrations of a later image while others wait", () => {
    const waiting = state({ heads: ["0002"], waiting: { head: "0003", migrations: ["0003"] } })
    const later = image("b", "0004", ["0003"])
    expect(decide({ image: later, state: waiting, revisions: [kept(1)] })).toMatchObject({
      kind: "begin",
      allowBreaking: false,
    })
  })
})

describe("what waits", () => {
  it("of an image that does not say what it brings: everything, unless nothing is kept", () => {
    expect(permitted(undefined, [kept(1)], undefined)).toEqual({ allowBreaking: false })
    expect(permitted(undefined, [], undefined)).toEqual({ allowBreaking: true })
  })

  it("is a migration and the revisions that were released before it", () => {
    const waits = waitingFor({ breaking: ["0002", "0003"] }, [kept(3, "0002"), kept(2)])
    expect(waitingText(waits)).toBe(
      "0002 waits for revision 2, released before it and still kept; 0003 waits for revisions 3, 2, released before it and still kept",
    )
    expect(stillWaiting(state(), [kept(2)], undefined)).toEqual([])
  })
})

describe("a maintenance window", () => {
  const window = (isOpen: boolean) => ({ isOpen, longest: 30, text: "the window, Sun" })
  const contract = image("a", "0003", ["0003"])
  const waiting = state({ heads: ["0002"], waiting: { head: "0003", migrations: ["0003"] } })

  it("lets everything run while it is open", () => {
    const opened = { image: contract, state: waiting, window: window(true) }
    expect(decide(opened)).toEqual({ kind: "begin", allowBreaking: true, waits: [] })
  })

  it("holds back what older code cannot live with and what is long, and nothing else", () => {
    expect(decide({ image: contract, window: window(false) })).toEqual({
      kind: "begin",
      allowBreaking: false,
      longest: 30,
      waits: [],
    })
  })

  it("is waited for once it is known what waits, after the revisions that need the old shape", () => {
    const closed = { image: contract, state: waiting, window: window(false) }
    expect(decide(closed)).toEqual({ kind: "nothing", reason: "at 0002; 0003 waits for the window, Sun" })
    expect(decide({ ...closed, revisions: [kept(1)] })).toEqual({
      kind: "nothing",
      reason: "at 0002; 0003 waits for revision 1, released before it and still kept",
    })
  })
})

describe("decideRevert", () => {
  const run = {
    id: "1",
    by: "dora",
    reason: "",
    began: "",
    ended: "",
    outcome: "migrated" as const,
    from: ["0002"],
    to: ["0003"],
    message: "",
  }
  const revert = (change: Partial<RevertSituation> = {}) =>
    decideRevert({
      state: state({
        heads: ["0003"],
        runs: [
          { ...run, image: "new" },
          { ...run, image: "old" },
        ],
      }),
      service: "api",
      live: { number: 4, schema: { head: "0002" } },
      isRollingOut: false,
      to: undefined,
      loseData: false,
      ...change,
    })

  it("goes to where the serving code is, by the image of the last run", () => {
    expect(revert()).toEqual({ image: "new", back: { to: "0002", needed: ["0002"], loseData: false } })
  })

  it("goes further where that is asked for, and leaves it to the command what the serving code needs", () => {
    expect(revert({ to: "0001", loseData: true })?.back).toEqual({
      to: "0001",
      needed: ["0002"],
      loseData: true,
    })
  })

  it("is possible after a failure, when nobody knows where the database is", () => {
    const failed = state({ runs: [{ ...run, outcome: "failed", image: "new" }] })
    expect(revert({ state: failed })?.back.to).toBe("0002")
  })

  it("has nothing to do where the database is already", () => {
    expect(revert({ to: "0003" })).toBeUndefined()
  })

  it.each<[string, Partial<RevertSituation>, RegExp]>([
    ["during a rollout", { isRollingOut: true }, /a rollout of api is under way/],
    ["of a database that nobody migrated", { state: state() }, /never migrated by a deploy/],
    ["without code that serves", { live: undefined }, /no revision of api serves: name the migration/],
    ["by code that does not say", { live: { number: 4 } }, /revision 4, which serves, does not say/],
    [
      "that the serving code needs",
      { live: { number: 4, schema: { head: "0003" } } },
      /take the code back first/,
    ],
  ])("is refused %s", (_, change, message) => {
    expect(() => revert(change)).toThrow(message)
  })
})
