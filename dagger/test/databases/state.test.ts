import { describe, expect, it } from "vitest"
import { begun, type DatabaseState, ended, DatabaseRecord } from "../../src/databases/state.js"
import type { MigrationResult } from "../../src/databases/result.js"
import { FakeCluster } from "../clients/kubernetes/fake.js"
import { FakeClock } from "../lib/fake-clock.js"
import { backup } from "./fixtures.js"

const empty: DatabaseState = { schemaVersion: 1, passed: [], runs: [] }
const running = (id: string, reason = "") => ({
  id,
  image: "api@sha256:0",
  allowBreaking: false,
  head: "0003",
  by: "dora",
  author: "alan",
  reason,
  began: "2026-03-02T10:00:00.000Z",
})
const at = "2026-03-02T10:01:00.000Z"
const result = (change: Partial<MigrationResult> = {}): MigrationResult => ({
  event: "result",
  outcome: "migrated",
  from: ["0001"],
  to: ["0002"],
  waiting: [],
  undone: [],
  removed: [],
  lost: {},
  differences: [],
  proven: {},
  examination: null,
  backup: { ...backup, changed: [] },
  ...change,
})

describe("the state after a run", () => {
  it("has the heads, the backup and the run", () => {
    const after = ended(begun(empty, running("one")), { at, result: result(), message: "done" })
    expect(after).toMatchObject({
      heads: ["0002"],
      passed: ["0001", "0002"],
      backup: { id: backup.id, verified: at },
      runs: [{ id: "one", outcome: "migrated", from: ["0001"], to: ["0002"], ended: at, backup: backup.id }],
    })
    expect(after.running).toBeUndefined()
    expect(after.waiting).toBeUndefined()
  })

  it("names what waits", () => {
    const after = ended(begun(empty, running("one")), {
      at,
      result: result({ waiting: ["0003"] }),
      message: "",
    })
    expect(after.waiting).toEqual({ head: "0003", migrations: ["0003"] })
  })

  it("names what waits of an image whose migrations are not known", () => {
    const unknown = { ...running("one"), head: undefined }
    const after = ended(begun(empty, unknown), { at, result: result({ waiting: ["0003"] }), message: "" })
    expect(after.waiting).toEqual({ migrations: ["0003"] })
  })

  it.each([
    ["failed", result({ outcome: "failed", to: ["0002"] })],
    ["left no result", undefined],
    ["only planned", result({ outcome: "planned" })],
    ["took migrations back instead", result({ outcome: "downgraded", to: ["0001"] })],
  ])("knows no heads when the run %s", (_, found) => {
    const before = { ...empty, heads: ["0001"], passed: ["0001"] }
    const after = ended(begun(before, running("one")), { at, message: "x", ...(found && { result: found }) })
    expect(after.heads).toBeUndefined()
    expect(after.passed).not.toContain("0002")
    expect(after.runs[0]).toMatchObject({ outcome: "failed", to: [] })
  })

  it("knows after a failure that what was held back did not run, and no more after one that might have run it", () => {
    const waiting = { head: "0003", migrations: ["0003"] }
    const after = (allowBreaking: boolean) =>
      ended(begun({ ...empty, waiting }, { ...running("one"), allowBreaking }), { at, message: "x" })
    expect(after(false).waiting).toEqual(waiting)
    expect(after(true).waiting).toBeUndefined()
  })

  it("takes no backup for a verified one that a failed run did not get to verify", () => {
    const unverified = result({ outcome: "failed", backup: { ...backup, changed: [], verified: false } })
    const after = ended(begun(empty, running("one")), { at, result: unverified, message: "" })
    expect(after.backup).toBeUndefined()
  })

  it("keeps the last verified backup through a failure without one", () => {
    const first = ended(begun(empty, running("one")), { at, result: result(), message: "" })
    const second = ended(begun(first, running("two")), { at, message: "gone" })
    expect(second.backup?.id).toBe(backup.id)
  })

  it("is bounded, whatever is written into it", () => {
    let state = empty
    for (let run = 0; run < 200; run++) {
      const end = { at, result: result({ from: [`a${run}`], to: [`b${run}`] }), message: "m".repeat(10_000) }
      state = ended(begun(state, running(`run-${run}`, "r".repeat(10_000))), end)
    }
    expect(state.runs).toHaveLength(10)
    expect(state.runs[0]?.id).toBe("run-199")
    expect(JSON.stringify(state).length).toBeLessThan(30_000)
  })
})

describe("StateRecord", () => {
  const cluster = new FakeCluster(new FakeClock())
  const record = () => new DatabaseRecord(cluster.client(), "f1-staging", "recipes")

  it("keeps the state in one ConfigMap", async () => {
    const own = record()
    expect(await own.read()).toEqual(empty)
    await own.write({ ...empty, heads: ["0001"] })
    await own.write({ ...empty, heads: ["0002"] })
    expect(cluster.get("ConfigMap", "database-recipes")?.metadata?.namespace).toBe("f1-staging")
    expect((await record().read()).heads).toEqual(["0002"])
  })

  it("does not overwrite what another command has written", async () => {
    const [one, other] = [record(), record()]
    await one.read()
    await other.read()
    await one.write({ ...empty, heads: ["0003"] })
    await expect(other.write(empty)).rejects.toThrow("another command has changed the state of recipes")
    expect((await record().read()).heads).toEqual(["0003"])
  })

  it.each(["", "{", '{"schemaVersion": 2, "passed": [], "runs": []}'])(
    "is no empty state when it is %j",
    async (text) => {
      cluster.put({
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { namespace: "f1-staging", name: "database-recipes" },
        data: { state: text },
      })
      await expect(record().read()).rejects.toThrow(
        "ConfigMap f1-staging/database-recipes is malformed or of a newer version",
      )
    },
  )
})
