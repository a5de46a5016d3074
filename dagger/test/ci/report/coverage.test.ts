import { describe, expect, it } from "vitest"
import { gaps, parseCoverage, shortfall, toLcov } from "../../../src/ci/report/coverage.js"
import { sample } from "./fixtures.js"

const python = () => parseCoverage(sample("coverage-py.xml"), "services/api")
const browser = () => parseCoverage(sample("coverage-istanbul.xml"), "services/web")
const lines = (hits: number[]) =>
  `<coverage><packages><package><classes><class filename="a.py"><lines>${hits
    .map((count, at) => `<line number="${at + 1}" hits="${count}"/>`)
    .join("")}</lines></class></classes></package></packages></coverage>`

describe("parseCoverage", () => {
  it("has the totals of coverage.py, and files as they stand in the repository", () => {
    const { totals, files } = python()
    expect(totals.lines).toMatchObject({ covered: 16, valid: 17 })
    expect(totals.branches).toMatchObject({ covered: 9, valid: 10, percent: 90 })
    expect(files.map(({ file }) => file)).toEqual([
      "services/api/app/__init__.py",
      "services/api/app/elo.py",
      "services/api/app/store.py",
    ])
    expect(files[2]).toMatchObject({ missed: [[3, 3]], partial: [2] })
  })

  it("has the totals of istanbul, where methods repeat the lines of their class", () => {
    const { totals, files } = browser()
    expect(totals.lines).toMatchObject({ covered: 4, valid: 9 })
    expect(totals.branches).toMatchObject({ covered: 5, valid: 11 })
    expect(files.map((file) => gaps(file))).toEqual(["lines 9, 13; branches on line 7", "lines 1-3"])
    expect(files[0]?.file).toBe("services/web/src/points.ts")
  })

  it("is the sum of its files where a tool wrote no totals", () => {
    expect(parseCoverage(lines([1, 0, 0, 1])).totals.lines).toEqual({ covered: 2, valid: 4, percent: 50 })
  })

  it("accepts a file without lines", () => {
    expect(python().files[0]).toMatchObject({ lines: { covered: 0, valid: 0, percent: 100 }, missed: [] })
  })

  it.each([
    ["", "is empty"],
    [sample("coverage-py.xml").slice(0, 900), "is cut off after line"],
    ["<testsuites/>", "is no Cobertura report"],
    ['<coverage clover="3.2.0"><project><metrics statements="3"/></project></coverage>', "one of Clover"],
    ['<coverage lines-valid="3" lines-covered="4"/>', "cannot be right: it has 4 covered of 3"],
    ['<coverage lines-valid="many" lines-covered="4"/>', 'lines-valid is "many"'],
    ['<coverage lines-valid="3"/>', "lines-covered is missing"],
    ['<coverage lines-valid="3" lines-covered="-1"/>', 'lines-covered is "-1"'],
    ['<coverage branches-valid="" branches-covered="1"/>', 'branches-valid is ""'],
    [lines([1]).replace('hits="1"', 'hits="1.5"'), 'the hits of line 1 is "1.5"'],
    [lines([1]).replace('hits="1"', 'hits="1" condition-coverage="150% (3/2)"'), "3 covered of 2"],
  ])("refuses anything else", (xml, message) => {
    expect(() => parseCoverage(xml)).toThrow(message)
  })
})

describe("shortfall", () => {
  it("is nothing when the thresholds are reached exactly", () => {
    expect(shortfall(python(), { lines: 94, branches: 90 })).toBeUndefined()
  })

  it("says how much is missing, and where", () => {
    expect(shortfall(python(), { lines: 95, branches: 91 })).toBe(
      [
        "94.1 % of lines (16 of 17), at least 95 % needed: 1 line to go.",
        "90.0 % of branches (9 of 10), at least 91 % needed: 1 branch to go.",
        "Most is missing in:",
        "  services/api/app/store.py: line 3; branches on line 2",
      ].join("\n"),
    )
  })

  it("does not round up: 1,999 of 2,500 is not 80 %", () => {
    const hits = Array.from({ length: 2500 }, (_, at) => (at < 1999 ? 1 : 0))
    expect(shortfall(parseCoverage(lines(hits)), { lines: 80, branches: 80 })).toMatch(
      /^79\.9 % of lines \(1999 of 2500\)/,
    )
  })

  it("does not take an empty report for full coverage", () => {
    expect(shortfall(parseCoverage("<coverage/>"), { lines: 0, branches: 0 })).toBe(
      "Coverage was measured on no line at all.",
    )
  })

  it("asks for no branches where there are none", () => {
    expect(shortfall(parseCoverage(lines([1])), { lines: 100, branches: 100 })).toBeUndefined()
  })
})

describe("branches on lines without statements", () => {
  it("are missed in the file that its tool says so of", () => {
    const coverage = parseCoverage(sample("coverage-branches-off-lines.xml"), "services/web")
    expect(shortfall(coverage, { lines: 80, branches: 80 })?.split("\n").at(-1)).toBe(
      "  services/web/cov/pit.ts: 50.0 % of branches, some on no line with a statement",
    )
  })

  it("are missed altogether where the rate is 0, unless no branches were measured", () => {
    const of = (total: number) =>
      parseCoverage(
        `<coverage lines-valid="1" lines-covered="1" branches-valid="${total}" branches-covered="0"><packages><package><classes>
          <class filename="a.ts" branch-rate="0"><lines><line number="1" hits="1"/></lines></class>
          <class filename="b.ts" branch-rate="1"><lines><line number="1" hits="1"/></lines></class>
        </classes></package></packages></coverage>`,
      ).files.map((file) => gaps(file))
    expect(of(4)).toEqual(["0.0 % of branches, some on no line with a statement", ""])
    expect(of(0)).toEqual(["", ""])
  })
})

describe("gaps", () => {
  it("names the first of many", () => {
    const [file] = parseCoverage(lines(Array.from({ length: 40 }, (_, at) => at % 2))).files
    expect(file && gaps(file, 3)).toBe("lines 1, 3, 5 and 17 more")
  })
})

describe("toLcov", () => {
  it("has the counts of each file", () => {
    const lcov = toLcov(python())
    expect(lcov).toContain("SF:services/api/app/store.py\n")
    expect(lcov).toContain("BRF:6\nBRH:5\n")
    expect(lcov).toContain("DA:3,0\n")
    expect(lcov).toContain("LF:9\nLH:8\nend_of_record\n")
    expect(lcov.match(/end_of_record/g)).toHaveLength(3)
  })
})
