import { describe, expect, it } from "vitest"
import { readSizes, tooLarge, type Sizes } from "../../src/ci/gates/size.js"

const recorded: Sizes = {
  start: { "assets/index.js": 100_000, "assets/index.css": 4_000 },
  rest: { "assets/page.js": 20_000, "assets/font.woff2": 30_000 },
}
const budget = { start: 104, all: 154 }
const grown = (start: Record<string, number>, rest: Record<string, number> = {}): Sizes => ({
  start: { ...recorded.start, ...start },
  rest: { ...recorded.rest, ...rest },
})

describe("tooLarge", () => {
  it("is nothing when the budget is used up exactly", () => {
    expect(tooLarge("web", budget, recorded, recorded)).toBeUndefined()
  })

  it("says by how much, and which files grew, the largest growth first", () => {
    const measured = grown({
      "assets/index.js": 101_000,
      "assets/chart.js": 9_500,
      "assets/index.css": 3_900,
    })
    expect(tooLarge("web", budget, measured, recorded)).toBe(
      [
        "The start page's scripts and styles are 114.4 kB compressed, 10.4 kB more than dagger/config/services.yaml allows (services.web.size.start: 104).",
        "All files are 164.4 kB compressed, 10.4 kB more than dagger/config/services.yaml allows (services.web.size.all: 154).",
        "What grew since sizes were last recorded:",
        "  assets/chart.js: new, 9.5 kB",
        "  assets/index.js: 100.0 kB → 101.0 kB, 1.0 kB more",
      ].join("\n"),
    )
  })

  it("finds a page that is loaded later in the sum of all files alone", () => {
    const failure = tooLarge("web", budget, grown({}, { "assets/page.js": 20_001 }), recorded)
    expect(failure).toMatch(/^All files are 154\.0 kB/)
    expect(failure).toContain("assets/page.js: 20.0 kB → 20.0 kB")
  })

  it("adds up files of one name in both parts", () => {
    expect(tooLarge("web", budget, grown({}, { "assets/index.js": 700 }), recorded)).toMatch(
      /^All files are 154\.7 kB[^\n]*\n[^\n]*\n {2}assets\/index\.js: 100\.0 kB → 100\.7 kB, 0\.7 kB more$/,
    )
  })

  it("does not count a file that moved to the start page as new", () => {
    const measured: Sizes = {
      start: { ...recorded.start, "assets/page.js": 20_000 },
      rest: { "assets/font.woff2": 30_000 },
    }
    expect(tooLarge("web", budget, measured, recorded)).toMatch(
      /^The start page's .* 124\.0 kB[^\n]*\nNo file is larger than when its size was last recorded\.$/,
    )
  })

  it("counts what does not fit on a page", () => {
    const many = Object.fromEntries(Array.from({ length: 14 }, (_, at) => [`assets/${at}.js`, 1000]))
    expect(tooLarge("web", budget, grown({}, many), recorded)).toMatch(/\n {2}and 2 other files$/)
  })

  it("fails without sizes to compare with as well, and says how to record them", () => {
    expect(tooLarge("web", { start: 1, all: 1 }, recorded, undefined)).toContain(
      "services/web/size.json holds no sizes to compare with; `npm run size` writes it.",
    )
  })
})

describe("readSizes", () => {
  it("reads what was written", () => {
    expect(readSizes(JSON.stringify(recorded))).toEqual(recorded)
  })

  it.each([undefined, "", "{}", "[]", '{"start":{"a":-1},"rest":{}}', '{"start":{"a":"1"},"rest":{}}'])(
    "takes %j for nothing",
    (text) => {
      expect(readSizes(text)).toBeUndefined()
    },
  )
})
