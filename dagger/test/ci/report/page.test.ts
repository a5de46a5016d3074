import { describe, expect, it } from "vitest"
import { readReport } from "../../../src/ci/report/report.js"
import { page } from "../../../src/ci/report/page.js"
import { style } from "../../../src/ci/report/page/style.js"
import type { GateResult } from "../../../src/ci/report/artifacts.js"
import { parseXml } from "../../../src/lib/xml.js"
import { gateResult, hostile, manyTests, run, sample } from "./fixtures.js"

const render = (...gates: GateResult[]) => page(readReport(run(...gates)))
const browser = gateResult("f1-frontend:browser", "failed", {
  folder: "services/f1-frontend",
  junit: sample("playwright.xml"),
  pictures: ["race-race-page-shows-the-winner-phone/test-failed-1.png", "a b#.png"],
})

describe("page", () => {
  it("needs nothing from elsewhere, and runs nothing", () => {
    const text = render(gateResult("api:test", "failed", { junit: sample("pytest.xml") }), browser)
    expect(text).not.toMatch(/<(script|link|iframe|object|embed|form)\b/i)
    expect(text).not.toMatch(/(src|href)="(https?:|\/|file:|data:)/)
    expect(text).not.toMatch(/url\(|@import/)
    expect(text).toContain(`content="default-src 'none'; style-src 'unsafe-inline'; img-src`)
  })

  it("says how each gate ended in words, and what to type", () => {
    const text = render(
      gateResult("api:test"),
      gateResult("api:lint", "could not run"),
      gateResult("api:snyk", "skipped", {}, { detail: "no token" }),
    )
    for (const words of ["passed", "could not run", "skipped", "no token", "check"])
      expect(text).toContain(words)
  })

  it("puts a picture beside the test that left it", () => {
    const text = render(browser)
    expect(text).toContain(
      `src="pictures/f1-frontend.browser/race-race-page-shows-the-winner-phone/test-failed-1.png"`,
    )
    expect(text).toContain(`alt="Screenshot: [phone] race page › shows the winner"`)
    expect(text).toContain(`src="pictures/f1-frontend.browser/a%20b%23.png"`)
  })

  it("escapes all that it did not write itself", () => {
    const xml = (text: string) =>
      text
        .replaceAll("&", "&amp;")
        .replaceAll("<", "&lt;")
        .replaceAll('"', "&quot;")
        .replaceAll("\r", "&#13;")
    const text = render({
      verdict: {
        ...gateResult(hostile, "failed").verdict,
        subject: hostile,
        detail: hostile,
        output: hostile,
        retries: [hostile],
      },
      artifacts: {
        folder: hostile,
        junit: `<testsuite name="${xml(hostile)}"><testcase classname="${xml(hostile)}" name="${xml(hostile)}" time="1"><failure message="${xml(hostile)}">${xml(hostile)}</failure></testcase></testsuite>`,
        coverage: `<coverage><class filename="${xml(hostile)}"><lines><line number="1" hits="0"/></lines></class></coverage>`,
        sarif: [
          JSON.stringify({
            runs: [
              {
                tool: { driver: { name: hostile } },
                results: [
                  {
                    ruleId: hostile,
                    message: { text: hostile },
                    locations: [{ physicalLocation: { artifactLocation: { uri: hostile } } }],
                  },
                ],
              },
            ],
          }),
        ],
        pictures: [hostile, `" onerror="alert(1)`, "javascript:alert(1)"],
      },
    })
    expect(text).not.toMatch(/<script|<img src=x/i)
    // Whatever stands in attributes and text, tags stay those of the page: it parses, and every element is a known one.
    const body = text
      .slice(text.indexOf("<body>"), text.indexOf("</body>") + 7)
      .replace(/<img ([^>]*[^/])>/g, "<img $1/>")
    const names = new Set<string>()
    const attributes = new Set<string>()
    const walk = (element: ReturnType<typeof parseXml>) => {
      names.add(element.name)
      for (const name of Object.keys(element.attributes)) attributes.add(name)
      element.children.forEach(walk)
    }
    walk(parseXml(body.replace(/<details open>/g, "<details>")))
    expect(names).not.toContain("script")
    expect([...attributes].filter((name) => name.startsWith("on"))).toEqual([])
  })

  it("isolates names that are written from right to left", () => {
    const junit = `<testsuite><testcase classname="a.test.ts" name="מבחן"><failure message="لا">x</failure></testcase></testsuite>`
    const text = render(gateResult("web:test", "failed", { junit }))
    expect(text).toContain("\u2068מבחן\u2069")
    expect(text.replace(/\u2068[^\u2069]*\u2069/g, "")).not.toMatch(/[\u0590-\u06ff]/)
  })

  it("names reports that cannot be read, and shows the rest", () => {
    const text = render(
      gateResult("web:test", "passed", {
        junit: "<testsuites><testsuite>",
        coverage: sample("coverage-py.xml"),
      }),
    )
    expect(text).toMatch(/web:test<\/strong>: its JUnit report is cut off after line 1/)
    expect(text).toContain("94.1 %")
  })

  it("does not look like a pass when nothing ran", () => {
    for (const gates of [[], [gateResult("a", "skipped")]])
      expect(render(...gates)).toMatch(/page-header idle[^]*No gate ran/)
  })

  it("stays small enough to open, with ten thousand failures", () => {
    const text = render(gateResult("a", "failed", { junit: manyTests(10_000, 10_000) }))
    expect(text.length).toBeLessThan(600_000)
    expect(text).toContain("9,950 more failing tests")
  })

  it("draws gates as they ran, and durations where that is not known", () => {
    const timed = { ...gateResult("a"), after: 3 }
    expect(render(timed)).toContain("Timeline")
    expect(render(timed)).toContain("began after 3.0 s")
    expect(render(gateResult("a"))).toContain("Durations")
    expect(render({ ...gateResult("a", "passed", {}, { cached: true }), after: 0 })).toContain(
      "cached, saved 12.3 s",
    )
  })

  it("has one heading of the first level, named tables and labelled sections", () => {
    const text = render(
      browser,
      gateResult("api:test", "passed", {
        coverage: sample("coverage-py.xml"),
        sarif: [sample("bandit.sarif.json")],
      }),
    )
    expect(text.match(/<h1/g)).toHaveLength(1)
    expect(text.match(/<caption/g)?.length).toBe(text.match(/<table/g)?.length)
    for (const [, id = ""] of text.matchAll(/aria-labelledby="([^"]+)"/g))
      expect(text).toContain(`id="${id}"`)
  })
})

describe("style", () => {
  const palettes = [...style.matchAll(/:root\{([^}]+)\}/g)].map(([, text = ""]) =>
    Object.fromEntries(
      [...text.matchAll(/--([\w-]+):(#[0-9a-f]+)/g)].map(([, name = "", colour = ""]) => [name, colour]),
    ),
  )

  it.each([0, 1])("has enough contrast (palette %i)", (at) => {
    const palette = { ...palettes[0], ...palettes[at] }
    const pairs = [
      ...["ink", "soft", "good", "bad", "odd", "link"].flatMap((text) => [
        [text, "paper"],
        [text, "card"],
      ]),
      ...["good", "bad", "odd", "idle"].map((tone) => [tone, `${tone}-bg`]),
      ...["ink", "good", "bad"].map((text) => [text, "code"]),
    ]
    for (const [text = "", ground = ""] of pairs) {
      expect([text, ground, contrast(palette[text] ?? "", palette[ground] ?? "") >= 4.5]).toEqual([
        text,
        ground,
        true,
      ])
    }
  })
})

/** As the Web Content Accessibility Guidelines reckon it. */
function contrast(one: string, other: string): number {
  const luminance = (colour: string) => {
    const digits = colour.length === 4 ? colour.replace(/[0-9a-f]/g, "$&$&") : colour
    const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((from) => {
      const value = Number.parseInt(digits.slice(from, from + 2), 16) / 255
      return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (light + 0.05) / (dark + 0.05)
}
