import { describe, expect, it } from "vitest"
import { readLog, resultText } from "../../src/databases/result.js"
import { backup, resultLine, step } from "./fixtures.js"

describe("the log of a migration", () => {
  it("gives its steps and its result, between lines of the log", () => {
    const text = [
      step("backup", "started"),
      '{"ts": "2026-03-02", "level": "INFO", "message": "dumping"}',
      "a warning of libpq",
      step("backup", "done", { seconds: 12.34, bytes: 5 }),
      JSON.stringify({ event: "retrying", revision: "0002", reason: "lock timeout" }),
      step("migrate", "failed", { message: "no such column" }),
      resultLine(),
      "",
    ].join("\n")
    const { progress, result, problem, tail } = readLog(text)
    expect(progress).toEqual([
      "backup: started",
      "backup: done, 12.3 s",
      "retrying: revision 0002, reason lock timeout",
      "migrate: failed: message no such column",
    ])
    expect(result).toMatchObject({ outcome: "migrated", from: ["0001"], to: ["0002"], waiting: [] })
    expect(problem).toBeUndefined()
    expect(tail).toEqual([
      '{"ts": "2026-03-02", "level": "INFO", "message": "dumping"}',
      "a warning of libpq",
    ])
  })

  it.each([
    ["an empty log", ""],
    ["a log without a result", step("migrate", "done")],
    ["a result that is cut off", resultLine().slice(0, -5)],
    ["a result that something follows", `${resultLine()}\n${step("verify", "started")}`],
    ["a result without an outcome", JSON.stringify({ event: "result", from: [], to: [] })],
    ["a migration that names no backup", resultLine({ backup: null })],
    ["a backup without a place", resultLine({ backup: { ...backup, location: undefined } })],
    ["an unknown outcome", resultLine({ outcome: "fine" })],
    ["heads that are no list", resultLine({ to: "0002" })],
  ])("never gives a result for %s", (_, text) => {
    const { result, problem } = readLog(text)
    expect(result).toBeUndefined()
    expect(problem).toMatch(/no result|cannot be read/)
  })

  it("names differences from the models", () => {
    const line = JSON.stringify({ event: "drift", differences: ["one table", "two columns"] })
    expect(readLog(line).progress).toEqual(["drift: differences one table; two columns"])
  })

  it("has no result of another tool's objects", () => {
    expect(readLog('{"event": 3}\n["event"]\nnull\n{"event":').problem).toBe("its log has no result")
  })
})

describe("resultText", () => {
  const textOf = (change: object) => {
    const { result } = readLog(resultLine(change))
    if (!result) throw new Error("no result")
    return resultText(result)
  }
  it.each([
    [
      { proven: { "revision-3": 41, "the new image": 1 } },
      `0001 → 0002, after the verified backup ${backup.id}; on the copy, revision-3 answered 41 reads, the new image answered 1 read`,
    ],
    [
      { from: [] },
      `no revision → 0002, after the verified backup ${backup.id}; on the copy, no code was asked whether it works`,
    ],
    [
      { waiting: ["0003"], proven: { "the new image": 7 } },
      `0001 → 0002, after the verified backup ${backup.id}; on the copy, the new image answered 7 reads; 0003 waits`,
    ],
    [{ outcome: "unchanged", backup: null, to: ["0001"] }, "at 0001, nothing to migrate"],
    [
      { outcome: "failed", step: "backup", message: "disk full" },
      "backup failed: disk full; the database is at 0002",
    ],
  ])("of %j", (change, text) => {
    expect(textOf(change)).toBe(text)
  })
})
