import { describe, expect, it } from "vitest"
import { secondsOf } from "../../src/lib/duration.js"

describe("secondsOf", () => {
  it.each([
    ["60s", 60],
    ["5m", 300],
    ["1h30m", 5400],
    ["200000h", 720_000_000],
  ])("%s is %i", (text, seconds) => {
    expect(secondsOf(text)).toBe(seconds)
  })

  it.each(["", "60", "s", "0s", "-5s", "5 m", "1.5h", "5d", "5m later"])(
    "refuses %j, and says what is allowed",
    (text) => {
      expect(() => secondsOf(text)).toThrow(`"${text}" is not a duration; allowed: numbers with a unit`)
    },
  )

  it.each(["200001h", "99999999999999999999h"])("refuses %j, which ends beyond what clocks count", (text) => {
    expect(() => secondsOf(text)).toThrow(`"${text}" is too long; allowed: up to 200000h`)
  })
})
