import { readFileSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { describe, expect, it } from "vitest"
import { longestDuration, operatorRoutes, readExposition } from "../../../src/backends/analysis/exposition.js"
import { timeOf } from "../../lib/time-of.js"

const requests = (value: string, status = "200", route = "/") =>
  `http_requests_total{method="GET",route="${route}",status="${status}"} ${value}`
const bucket = (le: string, count: number, route = "/") =>
  `http_request_duration_seconds_bucket{le="${le}",method="GET",route="${route}"} ${count}`

describe("longestDuration", () => {
  it("is where the services' histogram ends", () => {
    const path = "../../../../services/servicekit/src/servicekit/metrics.py"
    const python = readFileSync(new URL(path, import.meta.url), "utf8")
    const [, buckets = ""] = /http_request_duration_seconds"[^)]*?buckets=\(([^)]*)\)/s.exec(python) ?? []
    const numbers = buckets.split(",").map(Number).filter(Boolean)
    expect(Math.max(...numbers) * 1000).toBe(longestDuration)
  })
})

describe("readExposition", () => {
  it("reads what the services answer, without what their operators ask", async () => {
    // metrics.txt is generate_latest() of prometheus_client with servicekit's metrics: 33 GET of /api/v1/races (30 of 30 ms, 2 with 503 of 200 ms,
    // one of 20 s), a POST that its client left after 4 s (499), 3 of no route of 1 ms; 90 /health/live, 9 /metrics, 4 /health/ready with 503.
    const page = await readFile(new URL("metrics.txt", import.meta.url), "utf8")
    const { requests, errors, buckets } = readExposition(page)
    expect({ requests, errors }).toEqual({ requests: 37, errors: 2 })
    expect(buckets.map(({ le, count }) => [le, count])).toEqual([
      [0.005, 3],
      [0.01, 3],
      [0.025, 3],
      [0.05, 33],
      [0.1, 33],
      [0.25, 35],
      [0.5, 35],
      [1, 35],
      [2, 35],
      [5, 36],
      [10, 36],
      [Infinity, 37],
    ])
  })

  it("knows the operators' routes that the services know", async () => {
    const source = new URL("../../../../services/servicekit/src/servicekit/middleware.py", import.meta.url)
    const [, quiet = ""] = /^QUIET_ROUTES = \{(.*)\}$/m.exec(await readFile(source, "utf8")) ?? []
    expect([...quiet.matchAll(/"([^"]+)"/g)].map(([, route]) => route).sort()).toEqual(
      [...operatorRoutes].sort(),
    )
  })

  it("reads labels whose names stand in quotes", () => {
    const page = `python_info{"service.name"="a \\"b\\"",version="3"} 1\n${requests("4").replace("route", '"route"')}\n`
    expect(readExposition(page)).toMatchObject({ requests: 4 })
  })

  it.each(["", "\n\n", "# only a comment\n", "# EOF", "up 1\n"])("%j has no requests", (page) => {
    expect(readExposition(page)).toEqual({ requests: 0, errors: 0, buckets: [] })
  })

  it.each([
    ["200", 0],
    ["404", 0],
    ["499", 0],
    ["500", 1],
    ["503", 1],
    ["599", 1],
    ["600", 0],
  ])("counts status %s as %i errors", (status, errors) => {
    expect(readExposition(requests("1", status))).toMatchObject({ requests: 1, errors })
  })

  it.each([
    ["a timestamp", `${requests("3")} 1395066363000`],
    ["a negative timestamp", `${requests("3")} -3982045`],
    ["an exemplar", `${requests("3")} # {trace_id="a # b"} 1.0 1520879607.789`],
    ["a timestamp and an exemplar", `${requests("3")} 1520879607.789 # {} 1`],
    ["a timestamp with an exponent", `${requests("3")} 1.520879607789e+09`],
    ["names with other characters", `{"disk.used",host="a"} 4\n{ "a b\\"" } 1\n${requests("3")}`],
    ["an exponent", requests("3e0")],
    ["a sign", requests("+3.0")],
    ["a carriage return", `${requests("3")}\r\n${requests("0", "201")}\r`],
    ["a comma after the last label", `http_requests_total{status="200",route="/",} 3`],
    ["spaces", `http_requests_total { status = "200" , route = "/" }   3  `],
    ["leading blanks", `  # HELP x\n \t${requests("3")}`],
    ["tabs", `http_requests_total{status="200",route="/"}\t3`],
    ["braces and quotes in a label", requests("3", "200", String.raw`/{id}/\"a,b=\\}\n`)],
    ["other metrics of any value", `a NaN\nb{c="d"} +Inf\ne -Inf\nf 1e-07\n${requests("3")}`],
    ["HELP with escapes", `# HELP http_requests_total \\\\ {a="b"} \\n 99\n${requests("3")}`],
    ["TYPE", `# TYPE http_requests_total counter\n${requests("3")}`],
    ["metrics with like names", `my_http_requests_total{x="y"} 9\nhttp_requests_created 9\n${requests("3")}`],
  ])("reads %s", (_, page) => {
    expect(readExposition(page).requests).toBe(3)
  })

  it("sums histograms over series, whatever the order and the writing of le", () => {
    const page = [bucket("+Inf", 4), bucket("1.0", 3), bucket("1", 2, "/a"), bucket("+Inf", 2, "/a")].join(
      "\n",
    )
    expect(readExposition(page).buckets).toEqual([
      { le: 1, count: 5 },
      { le: Infinity, count: 6 },
    ])
  })

  it.each([
    ["<!doctype html>\n<title>502</title>", "line 1: no sample of Prometheus' text format: <!doctype html>"],
    [`up 1\n{"status":"ok"}`, "line 2: no sample"],
    ["up", "line 1: no sample"],
    ["up 1 2 3", "line 1: no sample"],
    ["up one", `line 1: the value is no number (found "one")`],
    ["up 0x10", "line 1: the value is no number"],
    ["9up 1", "line 1: no sample"],
    [`up{a=b} 1`, "line 1: no labels"],
    [`up{a="b" c="d"} 1`, "line 1: no labels"],
    [`up{a="b} 1`, "line 1: no sample"],
    [String.raw`up{a="\t"} 1`, "line 1: no labels"],
    [`up 1\n\n${requests("NaN")}`, "line 3: a counter is a finite number from 0 up (found NaN)"],
    [requests("+Inf"), "line 1: a counter is"],
    [requests("-1"), "line 1: a counter is"],
    [requests("1", "2xx"), `line 1: the status is no number (found "2xx")`],
    [`http_requests_total{route="/"} 1`, "line 1: no label status"],
    [`http_requests_total{status="200"} 1`, "line 1: no label route"],
    [`http_requests_total 1`, "line 1: no label status"],
    [bucket("fast", 1), `line 1: the le is no number (found "fast")`],
    [bucket("1", 1), `http_request_duration_seconds has no bucket le="+Inf"`],
  ])("refuses %j", (page, message) => {
    expect(() => readExposition(page)).toThrow(message)
  })

  it("refuses a long line that looks like labels in no time", () => {
    const took = timeOf(() => {
      expect(() => readExposition(`a{${'b="c",'.repeat(100_000)}`)).toThrow("line 1: no sample")
    })
    expect(took).toBeLessThan(20_000)
  })
})
