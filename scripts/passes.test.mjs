import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterEach, beforeEach, expect, it } from "vitest"
import { complete, recall, remember } from "./passes.mjs"
import { nothing } from "./tally.mjs"

const now = Date.parse("2026-03-01T12:00:00Z")
const day = 86_400_000
const pass = { suite: "a.e2e.test.ts", passed: 7 }

/** @type {string} */
let folder
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "passes-")), "passes")
})
afterEach(() => {
  rmSync(dirname(folder), { recursive: true })
})

it("recalls a pass by its digest, with its time", () => {
  expect(recall(folder, "d1", now)).toBeUndefined()
  remember(folder, "d1", pass, now)
  expect(recall(folder, "d1", now + day)).toEqual({ ...pass, at: "2026-03-01T12:00:00.000Z" })
  expect(recall(folder, "d2", now + day)).toBeUndefined()
})

it("recalls nothing that is older than a week, or from the future", () => {
  remember(folder, "d1", pass, now)
  expect(recall(folder, "d1", now + 7 * day)).toBeDefined()
  expect(recall(folder, "d1", now + 7 * day + 1)).toBeUndefined()
  expect(recall(folder, "d1", now - 1)).toBeUndefined()
})

it.each(["", "{", "null", "[]", '{"suite":"a","passed":"7","at":"2026-03-01T11:00:00Z"}', '{"suite":"a"}'])(
  "recalls nothing from an unreadable file: %s",
  (text) => {
    remember(folder, "other", pass, now)
    writeFileSync(join(folder, "d1.json"), text)
    expect(recall(folder, "d1", now)).toBeUndefined()
  },
)

it("forgets what is too old, unreadable or half written, and keeps the 200 newest", () => {
  remember(folder, "old", pass, now - 9 * day)
  writeFileSync(join(folder, "broken.json"), "{")
  writeFileSync(join(folder, "half.json.1.tmp"), "{")
  remember(folder, "recent", pass, now - day)
  expect(readdirSync(folder)).toEqual(["recent.json"])
  for (let at = 0; at < 205; at++) remember(folder, `d${at}`, pass, now + at)
  expect(readdirSync(folder)).toHaveLength(200)
  expect(existsSync(join(folder, "d204.json"))).toBe(true)
  expect(existsSync(join(folder, "d5.json"))).toBe(true)
  expect(existsSync(join(folder, "d4.json"))).toBe(false)
})

it.each([
  [{ passed: 1 }, true],
  [{ passed: 1, skipped: 1 }, false],
  [{ passed: 1, failed: 1 }, false],
  [{}, false],
])("a run of %j is a pass to remember: %s", (tally, is) => {
  expect(complete({ ...nothing, ...tally })).toBe(is)
})
