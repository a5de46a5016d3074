import { describe, expect, it, vi } from "vitest"
import { readLoadResult, violations, withoutRememberedFailure } from "../../src/ci/gates/load.js"

const endpoint = (times: Record<string, number>, failures = 0) => ({
  name: "/recipes",
  num_requests: Object.values(times).reduce((sum, count) => sum + count, 0),
  num_failures: failures,
  response_times: times,
})
const report = (...endpoints: object[]) => JSON.stringify(endpoints)

describe("readLoadResult", () => {
  it("adds endpoints up, and takes the 95th percentile over all of them", () => {
    const statistics = report(endpoint({ 10: 90, 20: 4 }, 2), endpoint({ 500: 1, 3000: 5 }, 1))
    expect(readLoadResult(statistics, "[]")).toEqual({ requests: 100, failures: 3, p95: 500, exceptions: [] })
  })

  it("has no percentile when no request was answered", () => {
    expect(readLoadResult(report(), "[]")).toEqual({ requests: 0, failures: 0, exceptions: [] })
  })

  it.each(["", "{}", '[{"num_requests": "many"}]'])("rejects %j", (text) => {
    expect(() => readLoadResult(text, "[]")).toThrow()
    expect(() => readLoadResult(report(), text)).toThrow()
  })

  it.each([
    ["times that are none", endpoint({ soon: 10 })],
    ["fewer requests than none", { ...endpoint({ 10: 1 }), num_requests: -5 }],
    ["fewer failures than none", endpoint({ 10: 1 }, -1)],
    ["a part of an answer", endpoint({ 10: 0.5 })],
  ])("rejects %s, which would be within every limit", (_, found) => {
    expect(() => readLoadResult(report(found), "[]")).toThrow()
  })
})

describe("violations", () => {
  const limits = { p95: 2000, errorRate: 1 }
  const exceptions = [{ count: 57, message: "KeyError('standings')" }]

  it.each([
    [{ requests: 1000, failures: 10, p95: 2000 }, []],
    [{ requests: 1000, failures: 11, p95: 2000 }, ["1.10 % of 1000 requests failed; at most 1 % may"]],
    [
      { requests: 1000, failures: 0, p95: 2001 },
      ["95 % of answers took up to 2001 ms; at most 2000 ms is allowed"],
    ],
    [{ requests: 0, failures: 0 }, ["no request was answered"]],
  ])("%j: %j", (measured, expected) => {
    expect(violations({ ...measured, exceptions: [] }, limits)).toEqual(expected)
  })

  it("fails on tasks that raise, although every request was answered well", () => {
    expect(violations({ requests: 57, failures: 0, p95: 20, exceptions }, limits)).toEqual([
      "tasks of the load test raised an exception 57 times: KeyError('standings')",
    ])
  })
})

describe("withoutRememberedFailure", () => {
  const result = (cached: boolean, failed: boolean) => ({ cached, failed })

  it.each([
    ["a fresh failure", [result(false, true)]],
    ["a fresh pass", [result(false, false)]],
    ["a remembered pass", [result(true, false)]],
    ["the run after a remembered failure", [result(true, true), result(false, true)]],
    ["the remembered pass after a remembered failure", [result(true, true), result(true, false)]],
  ])("returns %s", async (_, results) => {
    const run = vi.fn((number: number) => Promise.resolve({ ...results[number], number }))
    const last = results.length - 1
    expect(
      await withoutRememberedFailure(
        run as (number: number) => Promise<{ cached: boolean; failed: boolean }>,
      ),
    ).toEqual({
      ...results[last],
      number: last,
    })
  })
})
