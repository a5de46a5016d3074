import { describe, expect, it } from "vitest"
import { retryAfter } from "../../../src/clients/registry/retry-after.js"

const now = Date.parse("2026-11-29T10:00:00Z")

describe("Retry-After", () => {
  it.each([
    ["120", 120_000],
    ["0", 0],
    ["1.5", 1_500],
    ["35.852µs", 0.035852],
    ["250ms", 250],
    ["1m30s", 90_000],
    ["2h", 7_200_000],
    ["Sun, 29 Nov 2026 10:00:30 GMT", 30_000],
    ["Sun, 29 Nov 2026 09:00:00 GMT", 0],
  ])("%s is %d ms", (text, expected) => {
    expect(retryAfter(text, now)).toBeCloseTo(expected, 5)
  })

  it.each(["", "soon", "-5", "5 minutes", "10x", "s"])("%j says nothing", (text) => {
    expect(retryAfter(text, now)).toBeUndefined()
  })
})
