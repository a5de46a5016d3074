import { execFileSync } from "node:child_process"
import { describe, expect, it } from "vitest"
import { type Again, assertion, failingPart, findings, testAgain } from "../../../src/ci/report/failures.js"
import { parseJunit } from "../../../src/ci/report/junit.js"
import { hostile, manyTests, sample } from "./fixtures.js"

const api = parseJunit(sample("pytest.xml"), "services/api")
const web = parseJunit(sample("vitest.xml"), "services/web")
const browser = parseJunit(sample("playwright.xml"), "services/f1-frontend")
const many = parseJunit(manyTests(10_000, 9_990))
const named = (report: typeof api, name: string) => {
  const found = report.cases.find((test) => test.name === name)
  if (!found) throw new Error(`no test ${name}`)
  return found
}

describe("assertion", () => {
  it("is what pytest marks", () => {
    expect(assertion(named(api, "test_label[1800-legend]"), 10)).toEqual([
      ">       assert label(rating) == name",
      "E       AssertionError: assert 'champion' == 'legend'",
      "E         - legend",
      "E         + champion",
    ])
  })

  it("is what Vitest compares, without its stack", () => {
    expect(assertion(named(web, "points > throws on zero"), 10)).toEqual(["RangeError: no such position: 0"])
  })

  it("leaves out first what a long comparison has in common", () => {
    expect(assertion(named(web, "compares objects"), 10).slice(-4)).toEqual([
      "-     4,",
      "+     3,",
      `-   "medal": "gold",`,
      `+   "medal": "silver",`,
    ])
  })

  it("is what Playwright expected and the line of code, without its log of waiting", () => {
    const lines = assertion(named(browser, "[phone] race page › shows the winner"), 10)
    expect(lines.slice(0, 6)).toEqual([
      "Error: expect(locator).toHaveText(expected) failed",
      "",
      "Locator:  getByRole('heading')",
      `Expected: "Verstappen"`,
      `Received: "Pérez & co"`,
      "Timeout:  500ms",
    ])
    expect(lines.at(-1)).toMatch(/^> 4 \| test\("shows the winner"/)
  })

  it("never has more lines than asked for, nor endless ones", () => {
    const detail = Array.from({ length: 900 }, () => "E   ".padEnd(9000, "x")).join("\n")
    const lines = assertion({ ...named(api, "test_negative"), detail }, 7)
    expect(lines).toHaveLength(7)
    expect(lines.at(-1)).toBe("… 894 more lines")
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(160)
  })
})

describe("failingPart", () => {
  it("has name, place, assertion, the command to run it again, and the counts last", () => {
    const lines = failingPart("api:test", api).split("\n")
    expect(lines).toContain("✗ services/api/tests/test_elo.py:26  test_negative")
    expect(lines).toContain("    E               ValueError: negative")
    expect(lines.slice(-2)).toEqual([
      "again: ./daggerw check api:test",
      "4 failed, 3 errors, 2 skipped, 4 passed of 13 tests.",
    ])
  })

  it("has the command of each test where they differ", () => {
    const again: Again = (gate, test) =>
      `./daggerw call test --gate ${gate} --select '${test?.select.join(" ") ?? ""}'`
    expect(failingPart("api:test", api, again)).toContain(
      "    again: ./daggerw call test --gate api:test --select 'tests/test_elo.py::test_order_of_drivers'",
    )
  })

  it.each([0, 1, 2, 3, 5, 8, 13, 21, 40, 100])("fits in %i lines and ends with the counts", (limit) => {
    for (const report of [api, web, browser, many]) {
      const lines = failingPart("api:test", report, undefined, limit).split("\n")
      expect(lines.length).toBeLessThanOrEqual(Math.max(1, limit))
      expect(lines.at(-1)).toMatch(/ of [\d,]+ tests\.$/)
    }
  })

  it("shows the first of many in full, names some, and counts the rest", () => {
    const lines = failingPart("api:test", many).split("\n")
    expect(lines).toHaveLength(40)
    expect(lines.slice(0, 2)).toEqual(["✗ tests/test_many.py  test_0", "    E   assert 0 < 0"])
    expect(lines.at(-3)).toMatch(/^… and 9,9\d\d more failed$/)
    expect(lines.at(-1)).toBe("9,990 failed, 10 passed of 10,000 tests.")
  })

  it("says so when nothing failed or ran", () => {
    expect(failingPart("a", parseJunit("<testsuites/>"))).toBe("No test ran.")
    expect(failingPart("a", parseJunit(manyTests(2, 0)))).toBe("2 passed of 2 tests.")
  })

  it("isolates names that are written from right to left", () => {
    const test = { ...named(api, "test_negative"), name: "מבחן", file: "tests/اختبار.py" }
    const text = failingPart("a", { cases: [test], counts: api.counts })
    expect(text).toContain("\u2068tests/اختبار.py:")
    expect(text).toContain("\u2068מבחן\u2069")
  })

  it("holds no control characters, whatever a test is called", () => {
    const escape = String.fromCharCode(27)
    const test = {
      ...named(api, "test_negative"),
      name: `${escape}[2J${hostile}`,
      detail: `E   ${escape}]0;title${String.fromCharCode(7)}x\rE   y`,
    }
    const text = failingPart("a", { cases: [test], counts: api.counts })
    expect(text.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u)
  })
})

describe("findings", () => {
  it("are the failing tests with their place", () => {
    expect(findings("web:test", web.cases)[2]).toEqual({
      severity: "high",
      file: "services/web/src/points.test.ts",
      line: 7,
      title: "web:test: points > throws on zero",
      message: "RangeError: no such position: 0",
      again: "./daggerw check web:test",
    })
  })
})

describe("what is printed of a test with a hostile name", () => {
  const failed = (attributes: string) =>
    parseJunit(`<testsuite><testcase ${attributes}><failure message="m">m</failure></testcase></testsuite>`)
  // What Bash makes of the command, and then the shell in the gate's container.
  const words = (command: string) => {
    const [, select = ""] = / --select (.*)$/s.exec(command) ?? []
    const outer = execFileSync("bash", ["-c", `printf %s ${select}`], { encoding: "utf8" })
    const inner = execFileSync("sh", ["-c", `printf '%s\\0' ${outer}`], { encoding: "utf8" })
    return inner.split("\0").slice(0, -1)
  }

  it.each([
    ["a line break in the file", 'classname="x&#10;::error::p.test.ts" name="n"'],
    ["a line break in the name", 'classname="tests.test_a" name="n[&#10;::error::p]"'],
    ["a carriage return", 'classname="x.test.ts" name="n&#13;::error::p"'],
    ["a command in the old form", 'classname="tests.test_a" name="n[##[error]p]"'],
    ["a mark of direction in the name", 'classname="x.test.ts" name="n&#x202e;live"'],
    ["a mark of direction in the file", 'classname="x&#x202e;st.test.ts" name="n"'],
    ["quotes and backslashes beside it", `classname="x.test.ts" name="it's \\ &quot;&#9;$(id) &#x2066;"`],
  ])("obeys nothing, and still runs the test: %s", (_, attributes) => {
    const report = failed(attributes)
    const text = failingPart("web:test", report, testAgain)
    expect(text.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]|##\[/u)
    expect(text).not.toMatch(/^\s*::/m)
    expect(words(testAgain("web:test", report.cases[0]))).toEqual(report.cases[0]?.select)
  })
})
