import { expect, test } from "vitest"
import { day, duration } from "./time.ts"

test.each([
  [5, "5 min"],
  [60, "1 h"],
  [90, "1 h 30 min"],
  [1440, "24 h"],
])("%i minutes are %s", (minutes, text) => {
  expect(duration(minutes)).toBe(text)
})

test("a timestamp is shown as a day", () => {
  expect(day("2026-03-03T12:00:00Z")).toBe("3 March 2026")
})
