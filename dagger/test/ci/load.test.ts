import { describe, expect, it } from "vitest"
import { exceeded, measure } from "../../src/ci/gates/load.js"

const endpoint = (times: Record<string, number>, failures = 0) => ({
  name: "/recipes",
  num_requests: Object.values(times).reduce((sum, count) => sum + count, 0),
  num_failures: failures,
  response_times: times,
})
const report = (...endpoints: object[]) => JSON.stringify(endpoints)

describe("measure", () => {
  it("adds endpoints up, and takes the 95th percentile over all of them", () => {
    const measured = measure(report(endpoint({ 10: 90, 20: 4 }, 2), endpoint({ 500: 1, 3000: 5 }, 1)))
    expect(measured).toEqual({ requests: 100, failures: 3, p95: 500 })
  })

  it("has no percentile where nothing was answered", () => {
    expect(measure(report())).toEqual({ requests: 0, failures: 0 })
  })

  it.each(["", "{}", '[{"num_requests": "many"}]'])("does not take %j for a report", (text) => {
    expect(() => measure(text)).toThrow()
  })
})

describe("exceeded", () => {
  const limits = { p95: 2000, errorRate: 1 }

  it.each([
    [{ requests: 1000, failures: 10, p95: 2000 }, []],
    [{ requests: 1000, failures: 11, p95: 2000 }, ["1.10 % of 1000 requests failed; at most 1 % may"]],
    [
      { requests: 1000, failures: 0, p95: 2001 },
      ["95 % of answers took up to 2001 ms; at most 2000 ms is allowed"],
    ],
    [{ requests: 0, failures: 0 }, ["no request was answered"]],
  ])("%j: %j", (measured, faults) => {
    expect(exceeded(measured, limits)).toEqual(faults)
  })
})
