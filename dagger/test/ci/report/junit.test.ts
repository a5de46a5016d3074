import { describe, expect, it } from "vitest"
import { failingPart } from "../../../src/ci/report/failures.js"
import { inWords, parseJunit } from "../../../src/ci/report/junit.js"
import { timeOf } from "../../lib/time-of.js"
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

  it("distinguishes a broken fixture and a failed import from a failed test", () => {
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
      select: ["src/points.test.ts", "-t", "^points > throws on zero$"],
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
      select: ["race.spec.ts:4", "--project=chromium"],
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

/** A report of one test. */
const one = (attributes: string, inner: string, root = "") =>
  `<testsuites ${root}><testsuite name="s" hostname="desktop"><testcase ${attributes}>${inner}</testcase></testsuite></testsuites>`
const test = (xml: string, folder = "services/api") => parseJunit(xml, folder).cases[0]

describe("where a test failed", () => {
  const def = 'classname="tests.test_a" name="t" file="tests/test_a.py" line="47"'

  it("is a line of its own file, which pytest counts from 0 in attributes", () => {
    expect(test(one(def, '<failure message="Failed: no">no</failure>'))).toMatchObject({
      file: "services/api/tests/test_a.py",
      line: 48,
    })
    expect(test(one(def, "<failure>tests/test_a.py:50: AssertionError</failure>"))?.line).toBe(50)
  })

  it.each([
    "cannot reach\nlocalhost:8000: connection refused",
    "config.yaml:12: bad key",
    "app/elo.py:7: ValueError",
    "Dockerfile:3: unknown instruction",
    "  at handler (app/server.js:3:9)",
    "❯ points src/points.ts:2:27",
    "12:30: the race begins",
    "http://localhost:8000/tests/test_b.py:3: gone",
  ])("is not what words of the failure look like: %j", (text) => {
    expect(test(one(def, `<failure>${text}</failure>`))).toMatchObject({
      file: "services/api/tests/test_a.py",
      line: 48,
    })
  })

  it.each(["1.5", "-1", "99999999999999999999", "x", ""])(
    "has no line where a tool writes %j for one",
    (line) => {
      const xml = one(
        `classname="a.test.ts" name="t" file="src/a.test.ts" line="${line}"`,
        "<failure>x</failure>",
      )
      expect(test(xml, "services/web")).toMatchObject({ file: "services/web/src/a.test.ts" })
      expect(test(xml, "services/web")).not.toHaveProperty("line")
    },
  )

  it.each([
    ["src/my dir/a.test.ts", "❯ points src/my dir/a.test.ts:2:27"],
    ["src/a.b/c.test.ts", "❯ src/a.b/c.test.ts:2:27"],
    ["src/(shop)/a.test.ts", "    at fn (src/(shop)/a.test.ts:2:27)"],
    ["src/[slug]/a+b.test.ts", "    at src/[slug]/a+b.test.ts:2:27"],
  ])("is found whatever the path has in it: %s", (file, frame) => {
    const xml = one(`classname="${file}" name="t"`, `<failure>Error: x\n${frame}</failure>`)
    expect(test(xml, "services/web")).toMatchObject({ file: `services/web/${file}`, line: 2 })
  })

  it("is right for what pytest 9.2 writes", () => {
    const { cases } = parseJunit(sample("pytest-odd-names.xml"), "services/api")
    const place = (name: string) => {
      const { file, line, select } = cases.find((one) => one.name === name) ?? {}
      return [file?.replace("services/api/", ""), line, select?.[0]]
    }
    expect(place("test_url_message")).toEqual([
      "tests/test_odd.py",
      52,
      "tests/test_odd.py::test_url_message",
    ])
    expect(place("test_strict")).toEqual(["tests/test_odd.py", 7, "tests/test_odd.py::test_strict"])
    expect(place("test_deep")).toEqual([
      "tests/test_odd.py",
      31,
      "tests/test_odd.py::TestOuter::TestInner::test_deep",
    ])
    expect(place("test_param[a::b]")).toEqual([
      "tests/test_odd.py",
      25,
      "tests/test_odd.py::test_param[a::b]",
    ])
    expect(place("test_in_dotted_folder")).toEqual([
      "tests/v1.2/test_dots.py",
      2,
      "tests/v1.2/test_dots.py::test_in_dotted_folder",
    ])
  })

  it("is known of a folder with dots from the traceback alone", () => {
    const detail = "def test_x():\n>       assert 0\n\ntests/v1.2/test_dots.py:2: AssertionError"
    expect(
      test(one('classname="tests.v1.2.test_dots" name="test_x"', `<failure>${detail}</failure>`)),
    ).toMatchObject({
      file: "services/api/tests/v1.2/test_dots.py",
      line: 2,
      select: ["tests/v1.2/test_dots.py::test_x"],
    })
    // Without one, a folder is not made up.
    expect(test(one('classname="tests.v1.2.test_dots" name="test_x"', ""))).not.toHaveProperty("file")
  })

  it("is no file for a nested spec that timed out, where no stack names its folder", () => {
    const heading = "[desktop] › auth/sign-in.spec.ts:2:1 › signs in\n\n    Test timeout of 700ms exceeded."
    const xml = one('name="signs in" classname="auth/sign-in.spec.ts"', `<error>${heading}</error>`, 'id=""')
    expect(test(xml, "services/web")).not.toHaveProperty("file")
  })

  it("is the folder of tests that the stack of another test names", () => {
    const xml = sample("playwright-nested.xml").replaceAll("/app/e2e/", "/services/web/e2e/")
    const { cases } = parseJunit(xml, "services/web")
    expect(cases.map(({ name, file, line }) => [name, file, line]).slice(0, 2)).toEqual([
      ["[desktop] signs in", "services/web/e2e/auth/sign-in.spec.ts", 2],
      [
        "[desktop] with › an odd name › costs (5 $) | a+b [x] @phone",
        "services/web/e2e/auth/sign-in.spec.ts",
        3,
      ],
    ])
    expect(cases.find(({ name }) => name === "[desktop] hangs")).toMatchObject({
      file: "services/web/e2e/top.spec.ts",
      select: ["top.spec.ts:2", "--project=desktop"],
    })
  })
})

describe("the selection that runs a test of Vitest again", () => {
  const names = [
    "standings > adds points",
    "a > b > c",
    "costs (5 $) | a+b [x]",
    "a.b",
    "ends with > ",
    "* ?",
    "ü",
  ]

  it.each(names)("is %j and no other", (name) => {
    const written = name.replaceAll(">", "&gt;")
    const select = test(one(`classname="src/a.test.ts" name="${written}"`, ""), "services/web")?.select ?? []
    const pattern = new RegExp(select[2] ?? "")
    expect(select.slice(0, 2)).toEqual(["src/a.test.ts", "-t"])
    expect(
      [...names, "axb", "standings adds points", `${name} x`, `x ${name}`].filter((one) => pattern.test(one)),
    ).toEqual([name])
  })
})

describe("time grows with the size of a report", () => {
  const big = 300_000
  const failure = (text: string, root = "") =>
    one('classname="src/a.test.ts" name="t"', `<failure>${text}</failure>`, root)
  it.each<[string, string]>([
    ["line breaks", failure(`x${"\n".repeat(big)}y`)],
    ["blanks", failure(`x${" ".repeat(big)}y`)],
    ["a long line that begins as a place", failure(`    at ${"a:1:".repeat(big / 4)}`)],
    ["a long line that begins as a frame", failure(`❯ ${"a ".repeat(big / 2)}`)],
    ["a long line with digits", failure(`a.py:${"1".repeat(big)}`)],
    ["brackets of a browser", failure("[".repeat(big), 'id=""')],
    ["lines of brackets", failure("[\n".repeat(big / 2), 'id=""')],
    [
      "attachments without an end",
      one('name="t"', `<system-out>${"[[ATTACHMENT|".repeat(big / 13)}</system-out>`),
    ],
    ["colours without an end", failure("#x1B[0;".repeat(big / 7))],
    ["entities", failure("&amp;&#10;".repeat(big / 10))],
    ["E of pytest", failure(`E   ${" ".repeat(big)}`)],
  ])("%s", (_, xml) => {
    const took = timeOf(() => {
      const report = parseJunit(xml, "services/web")
      failingPart("web:test", report)
    })
    expect(took).toBeLessThan(5000)
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
