/** How numbers, dates and names read on the page. Pure; locale en-GB; dates are calendar days, so always UTC. */

const percentFormat = new Intl.NumberFormat("en-GB", { style: "percent", maximumFractionDigits: 0 })
const integerFormat = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 })
const dayFormat = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "long",
  year: "numeric",
  timeZone: "UTC",
})
const shortDayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" })
const momentFormat = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  timeZone: "UTC",
})
const ordinalRules = new Intl.PluralRules("en-GB", { type: "ordinal" })
const ordinalSuffix: Partial<Record<Intl.LDMLPluralRule, string>> = { one: "st", two: "nd", few: "rd" }

const minus = "\u2212"
const DAY_MS = 86_400_000

/** A probability from 0 to 1 as whole percent; the ends are never rounded to certainty. */
export function percent(probability: number): string {
  if (probability > 0 && probability < 0.01) return "<1%"
  if (probability < 1 && probability > 0.99) return ">99%"
  return percentFormat.format(probability)
}

/** A whole number with thousands separators. */
export function integer(value: number): string {
  return integerFormat.format(value)
}

/** A number with a fixed count of decimals (default 2) and a true minus sign. */
export function decimal(value: number, digits = 2): string {
  return value.toFixed(digits).replace("-", minus)
}

/** A change with its sign, also for gains: "+12", "−3", "0". */
export function signed(value: number, digits = 0): string {
  const text = decimal(value, digits)
  const isZero = Number(value.toFixed(digits)) === 0
  return isZero ? text.replace(minus, "") : value > 0 ? `+${text}` : text
}

/** "1st", "2nd", "11th". */
export function ordinal(value: number): string {
  return `${value}${ordinalSuffix[ordinalRules.select(value)] ?? "th"}`
}

/** "7 April 2024". */
export function day(isoDate: string): string {
  return dayFormat.format(new Date(isoDate))
}

/** "7 Apr". */
export function shortDay(isoDate: string): string {
  return shortDayFormat.format(new Date(isoDate))
}

/** "7 Apr 2024, 14:05 UTC". */
export function moment(isoTime: string): string {
  return `${momentFormat.format(new Date(isoTime))} UTC`
}

/** Whole days from `now` to a calendar day: 0 is today, negative is past. */
export function daysUntil(isoDate: string, now: Date): number {
  const today = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate())
  return Math.round((Date.parse(isoDate.slice(0, 10)) - today) / DAY_MS)
}

/** A race day against today, in words: "in 3 days", "today", "12 days ago". */
export function countdown(isoDate: string, now: Date): string {
  const days = daysUntil(isoDate, now)
  if (days === 0) return "today"
  if (days === 1) return "tomorrow"
  if (days === -1) return "yesterday"
  return days > 0 ? `in ${integer(days)} days` : `${integer(-days)} days ago`
}

/** The name people say: all but the given name ("Nyck de Vries" → "de Vries"). */
export function surname(name: string): string {
  const rest = name.split(" ").slice(1).join(" ")
  return rest === "" ? name : rest
}

/** "Verstappen, Norris and Leclerc". */
export function list(items: string[]): string {
  return new Intl.ListFormat("en-GB", { type: "conjunction" }).format(items)
}

/** "1 race", "3 races". */
export function count(value: number, singular: string, plural = `${singular}s`): string {
  return `${integer(value)} ${value === 1 ? singular : plural}`
}
