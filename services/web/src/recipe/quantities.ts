const glyphs: Record<string, number> = {
  "¼": 1 / 4,
  "½": 1 / 2,
  "¾": 3 / 4,
  "⅓": 1 / 3,
  "⅔": 2 / 3,
  "⅛": 1 / 8,
}
const glyph = `[${Object.keys(glyphs).join("")}]`
// "1 1/2", "1½", "1/2", "½", "2,5", "2.5", "2"
const amount = new RegExp(`\\d+\\s+\\d+/\\d+|\\d+\\s?${glyph}|\\d+/\\d+|${glyph}|\\d+(?:[.,]\\d+)?`)
const leading = new RegExp(
  `^(?<before>\\D*?)(?<low>${amount.source})(?:(?<dash>\\s*(?:-|–|—|to)\\s*)(?<high>${amount.source}))?(?<after>.*)$`,
)
const metric = /^\s*(?:g|kg|mg|ml|cl|dl|l|grams?|litres?|liters?)\b/i

/**
 * Scales the amount that a quantity such as "400 g", "1 1/2 tbsp" or "2–3 cloves" begins with, and rounds it to what a cook can
 * measure. Of "2 x 400 g tins" only the count is scaled. Words without a number ("a pinch") stay as they are.
 */
export function scaleQuantity(quantity: string, factor: number): string {
  const match = factor === 1 ? null : leading.exec(quantity)
  if (!match?.groups) return quantity
  const { before = "", low = "", dash, high, after = "" } = match.groups
  const format = metric.test(after) ? measured : counted
  const scaled = (text: string) => format(valueOf(text) * factor)
  return `${before}${scaled(low)}${dash && high ? dash + scaled(high) : ""}${after}`
}

function valueOf(text: string): number {
  const last = glyphs[text.slice(-1)]
  if (last !== undefined) return Number(text.slice(0, -1)) + last
  return text
    .trim()
    .split(/\s+/)
    .reduce((sum, part) => {
      const [over = "0", under = "1"] = part.replace(",", ".").split("/")
      return sum + Number(over) / Number(under)
    }, 0)
}

/** Grams and millilitres, to the precision of a kitchen scale. */
function measured(value: number): string {
  const step = value >= 250 ? 10 : value >= 50 ? 5 : value >= 10 ? 1 : 0.05
  return plain(Math.round(value / step) * step || step)
}

/** Spoons, cloves, eggs: to the nearest fraction that has a name. */
function counted(value: number): string {
  if (value >= 10) return plain(Math.round(value))
  const whole = Math.floor(value + 1 / 16)
  const rest = value - whole
  const [symbol, size] = Object.entries(glyphs).reduce(
    (best, next) => (Math.abs(next[1] - rest) < Math.abs(best[1] - rest) ? next : best),
    ["", 0],
  )
  const rounded = Math.abs(1 - rest) < Math.abs(size - rest) ? String(whole + 1) : `${whole || ""}${symbol}`
  return rounded || "⅛"
}

function plain(value: number): string {
  return String(Math.round(value * 100) / 100)
}
