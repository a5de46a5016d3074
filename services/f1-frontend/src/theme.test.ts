import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { teamColor, teamInk } from "./teams.ts"

const css = readFileSync(join(import.meta.dirname, "styles/base.css"), "utf8")
const tokens = new Map(
  [...css.matchAll(/--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);/g)].map(
    ([, name = "", light = "", dark = ""]) => [name, { light, dark }],
  ),
)

function token(name: string) {
  const pair = tokens.get(name)
  if (!pair) throw new Error(`base.css has no colour --${name}`)
  return pair
}

/** Contrast ratio of WCAG 2. */
function contrast(a: string, b: string): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x)
  return (high + 0.05) / (low + 0.05)
}

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const value = parseInt(hex.slice(at, at + 2), 16) / 255
    return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

const teams = (
  "alfa-romeo alphatauri alpine aston-martin caterham ferrari force-india haas hrt kick-sauber lotus-f1 lotus-racing manor " +
  "marussia mclaren mercedes racing-point rb red-bull renault sauber toro-rosso virgin williams cadillac audi brabham jordan"
).split(" ")

describe.each(["light", "dark"] as const)("the %s theme", (theme) => {
  const papers = ["paper", "paper-raised"]

  it.each(["ink", "ink-soft", "accent", "raise", "lower", "hit"])("has readable text in --%s", (name) => {
    for (const paper of papers) {
      expect(contrast(token(name)[theme], token(paper)[theme])).toBeGreaterThanOrEqual(4.5)
    }
  })

  it("has readable text on buttons, and visible edges of controls", () => {
    expect(contrast(token("on-accent")[theme], token("accent")[theme])).toBeGreaterThanOrEqual(4.5)
    expect(contrast(token("control")[theme], token("paper")[theme])).toBeGreaterThanOrEqual(3)
  })

  // The names at the ends of lines are set in these inks, so they must be readable as text.
  it.each(teams)("can write in the ink of %s", (id) => {
    expect(contrast(teamInk(id)[theme], token("paper")[theme])).toBeGreaterThanOrEqual(4.5)
  })
})

describe("inks of constructors", () => {
  it("belong to a name, also with a sponsor before it or a suffix after it", () => {
    expect(teamInk("kick-sauber")).toEqual(teamInk("sauber"))
    expect(teamInk("lotus-f1")).toEqual(teamInk("lotus-racing"))
  })

  it("do not take a part of a word for a name", () => {
    expect(teamInk("orbital")).not.toEqual(teamInk("rb"))
  })

  it("stay the same for a constructor nobody knows", () => {
    expect(teamInk("brabham")).toEqual(teamInk("brabham"))
  })

  it("follow the theme", () => {
    expect(teamColor("ferrari")).toMatch(/^light-dark\(#[0-9a-f]{6}, #[0-9a-f]{6}\)$/)
  })
})
