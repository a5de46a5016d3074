import { describe, expect, it } from "vitest"
import { inWords, parseJunit } from "../../../src/ci/report/junit.js"
import { manyTests, sample } from "./fixtures.js"

const declared = (xml: string, what: string) =>
  [...xml.matchAll(/<testsuite [^>]*>/g)].reduce(
    (sum, [tag]) => sum + Number(new RegExp(` ${what}="(\\d+)"`).exec(tag)?.[1] ?? 0),
    0,
  )

describe("parseJunit", () => {
  it.each(["pytest.xml", "vitest.xml", "playwright.xml", "playwright-without-retries.xml"])(
    "counts as the tool itself did: %s",
    (name) => {
      const xml = sample(name)
      const { counts } = parseJunit(xml)
      expect(counts.tests).toBe(declared(xml, "tests"))
      expect(counts.failed).toBe(declared(xml, "failures"))
      expect(counts.errors).toBe(declared(xml, "errors"))
      expect(counts.skipped).toBe(declared(xml, "skipped"))
      expect(counts.passed).toBe(counts.tests - counts.failed - counts.errors - counts.skipped)
    },
  )

  it("says where a test of pytest failed, in its own file rather than in what it calls", () => {
    const { cases } = parseJunit(sample("pytest.xml"), "services/api")
    const test = cases.find(({ name }) => name === "test_negative")
    expect(test).toMatchObject({
      suite: "tests.test_elo.TestStore",
      file: "services/api/tests/test_elo.py",
      line: 26,
      outcome: "failed",
      broken: false,
      message: "ValueError: negative",
      select: ["tests/test_elo.py::TestStore::test_negative"],
    })
  })

  it("tells a broken fixture and a module that cannot be imported from a failed test", () => {
    const { cases } = parseJunit(sample("pytest.xml"), "services/api")
    const broken = cases.filter(({ broken }) => broken).map(({ name, file, line }) => [name, file, line])
    expect(broken).toEqual([
      ["tests.test_broken", "services/api/tests/test_broken.py", 1],
      ["test_rows", "services/api/tests/test_elo.py", 31],
      ["test_teardown", "services/api/tests/test_elo.py", 41],
    ])
    expect(cases[0]?.select).toEqual(["tests/test_broken.py"])
  })

  it("keeps why a test was skipped", () => {
    const { cases } = parseJunit(sample("pytest.xml"))
    expect(cases.filter(({ outcome }) => outcome === "skipped").map(({ message }) => message)).toEqual([
      "needs a race weekend",
      "known: ties",
    ])
  })

  it("reads file, line and selection of Vitest", () => {
    const { cases } = parseJunit(sample("vitest.xml"), "services/web")
    expect(cases.find(({ name }) => name === "points > throws on zero")).toMatchObject({
      file: "services/web/src/points.test.ts",
      line: 7,
      select: ["src/points.test.ts", "-t", "^points throws on zero$"],
    })
    expect(cases[0]).toMatchObject({
      file: "services/web/src/broken.test.ts",
      line: 1,
      select: ["src/broken.test.ts"],
    })
  })

  it("reads Playwright's projects, retries and pictures", () => {
    const { cases, counts } = parseJunit(sample("playwright.xml"), "services/f1-frontend")
    expect(counts.flaky).toBe(2)
    expect(cases.filter(({ flaky }) => flaky).map(({ name }) => name)).toEqual([
      "[chromium] race page › comes back after a lost connection",
      "[phone] race page › comes back after a lost connection",
    ])
    expect(cases[1]).toMatchObject({
      name: "[chromium] race page › shows the winner",
      file: "services/f1-frontend/e2e/race.spec.ts",
      line: 4,
      select: ["race.spec.ts:4"],
    })
    expect(cases[1]?.attachments).toContain(
      "test-results/race-race-page-shows-the-winner-chromium-retry1/test-failed-1.png",
    )
  })

  it("finds a retry by its picture where Playwright was not asked to tell, and not in a test that is meant to fail", () => {
    expect(parseJunit(sample("playwright-without-retries.xml")).counts.flaky).toBe(1)
    const flaky = (properties: string) =>
      parseJunit(
        `<testsuites id=""><testsuite hostname="x"><testcase name="a" classname="a.spec.ts">${properties}` +
          `<system-out>[[ATTACHMENT|r/test-failed-1.png]]</system-out></testcase></testsuite></testsuites>`,
      ).counts.flaky
    expect(flaky("")).toBe(1)
    expect(flaky(`<properties><property name="fail" value=""/></properties>`)).toBe(0)
  })

  it("takes a failed test whose clean-up failed too for one test, a failure and an error", () => {
    const twice = `<testsuite><testcase classname="tests.test_a" name="test_b"><failure message="one">E   one</failure></testcase>
      <testcase classname="tests.test_a" name="test_b"><error message="two">E   two</error></testcase></testsuite>`
    const { cases, counts } = parseJunit(twice)
    expect(counts).toEqual({ tests: 1, passed: 0, failed: 1, errors: 1, skipped: 0, flaky: 0 })
    expect(cases[0]?.detail).toBe("E   one\n\nE   two")
  })

  it("reads suites within suites, and a root that is a suite", () => {
    const nested = `<testsuites><testsuite name="a"><testsuite name="b"><testcase name="x"/></testsuite><testcase name="y"/></testsuite></testsuites>`
    expect(parseJunit(nested).cases.map(({ suite, name }) => [suite, name])).toEqual([
      ["a", "y"],
      ["b", "x"],
    ])
    expect(parseJunit(`<testsuite name="a"/>`).counts.tests).toBe(0)
  })

  it.each([
    ["", "is empty"],
    [" \n", "is empty"],
    ["not xml", "is not well formed"],
    ["<html></html>", "is no JUnit report: its root is <html>"],
    ["<testsuites><testsuite></testsuites>", "is not well formed"],
    ["<testsuites><testsuite/>", "is cut off after line 1"],
    ["<testsuites/><testsuites/>", "no single root"],
    ["<testsuites><__proto__/></testsuites>", "is not"],
  ])("refuses %j", (xml, message) => {
    expect(() => parseJunit(xml)).toThrow(message)
  })

  it.each(["pytest.xml", "vitest.xml", "playwright.xml"])("notices wherever %s is cut off", (name) => {
    const xml = sample(name).trimEnd()
    for (let end = 100; end < xml.length - 1; end += 397) {
      expect(() => parseJunit(xml.slice(0, end))).toThrow(/is cut off after line \d+/)
    }
  })

  it("reads names in all scripts, and takes colours and tricks with direction out of them", () => {
    const xml = `<testsuite><testcase name="Pérez 佐藤 🏎️&#x202E;txt.exe"><failure message="#x1B[31mred#x1B[0m and #x1B[1mbold#x1B[0m">x</failure></testcase></testsuite>`
    expect(parseJunit(xml).cases[0]).toMatchObject({ name: "Pérez 佐藤 🏎️txt.exe", message: "red and bold" })
  })

  it("reads ten thousand tests", () => {
    expect(parseJunit(manyTests(10_000, 5_000)).counts).toMatchObject({ tests: 10_000, failed: 5_000 })
  })
})

describe("inWords", () => {
  it("says what failed first, and that nothing ran", () => {
    const none = { tests: 0, passed: 0, failed: 0, errors: 0, skipped: 0, flaky: 0 }
    expect(inWords(none)).toBe("no test ran")
    expect(inWords({ ...none, tests: 1, passed: 1 })).toBe("1 passed of 1 test")
    expect(inWords({ tests: 1204, passed: 1200, failed: 2, errors: 1, skipped: 1, flaky: 3 })).toBe(
      "2 failed, 1 error, 1 skipped, 1,200 passed (3 not at the first try) of 1,204 tests",
    )
  })
})
