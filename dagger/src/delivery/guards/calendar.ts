import { DateTime } from "luxon"
import { weekdays, type GuardPolicy } from "./configuration.js"

/** Something that keeps deploys from beginning at a moment, and will pass with time. */
export interface Closure {
  guard: "hours" | "holiday" | "freeze"
  /** In words, made only when asked for: a search meets many closures. */
  reason: () => string
  /** It holds until then at least, in ms since the epoch. */
  next: number
}

/** How far ahead an opening is looked for. */
export const horizonDays = 366
const day = 86_400_000
const minute = 60_000

/** What the calendar has against a deploy that begins at a moment. */
export function closures({ timezone, hours, holidays, freezes }: GuardPolicy, at: number): Closure[] {
  const local = DateTime.fromMillis(at, { zone: timezone, locale: "en" })
  const today = local.toFormat("yyyy-MM-dd")
  const tomorrow = leap(local, local.plus({ days: 1 }).startOf("day"))
  const found: Closure[] = []
  if (hours && !within(hours, local)) {
    const start = local.set({
      hour: Math.floor(hours.from / 60),
      minute: hours.from % 60,
      second: 0,
      millisecond: 0,
    })
    const reason = () => `${localTime(at, timezone)} is outside ${describe(hours)} (${timezone})`
    found.push({ guard: "hours", reason, next: start > local ? leap(local, start) : tomorrow })
  }
  for (const { date, name } of holidays) {
    // A yearly one is the end of a date.
    if (!today.endsWith(date)) continue
    const reason = () => `${local.toFormat("cccc")} ${today} is a holiday in ${timezone}: ${name}`
    found.push({ guard: "holiday", reason, next: tomorrow })
  }
  for (const { from, to, reason } of freezes) {
    if (at < from || at >= to) continue
    found.push({
      guard: "freeze",
      reason: () => `frozen until ${localTime(to, timezone)}: ${reason}`,
      next: to,
    })
  }
  return found
}

/** The first moment from one on that the calendar has nothing against, in ms since the epoch; none within {@link horizonDays} is none. */
export function nextOpening(policy: GuardPolicy, from: number): number | undefined {
  let at = from
  while (at <= from + horizonDays * day) {
    const closed = closures(policy, at)
    if (closed.length === 0) return at
    at = Math.max(...closed.map(({ next }) => next))
  }
  return undefined
}

/** A moment as people in a zone read it: `Friday 2026-11-27 17:12 CET`. */
export function localTime(at: number, timezone: string): string {
  const local = DateTime.fromMillis(at, { zone: timezone, locale: "en" })
  return `${local.toFormat("cccc yyyy-MM-dd HH:mm")} ${zoneName(local)}`
}

/** Each English knows the short names of its own part of the world alone; where nobody has one, it is the offset. */
function zoneName(local: DateTime): string {
  const names = ["en-US", "en-GB", "en-AU"].map((locale) => local.setLocale(locale).offsetNameShort)
  return names.find((name) => name && !/^GMT./.test(name)) ?? local.toFormat("'UTC'ZZ")
}

/** Goes by what a clock on the wall shows, so a message never contradicts it. */
function within({ days, from, to }: NonNullable<GuardPolicy["hours"]>, local: DateTime): boolean {
  const time = local.hour * 60 + local.minute
  const isDay = (weekday: number) => days.some((name) => name === weekdays[weekday - 1])
  if (from < to) return isDay(local.weekday) && from <= time && time < to
  // Over midnight: the day is the one that the hours began on.
  return (
    (isDay(local.weekday) && from <= time) ||
    (isDay(local.weekday === 1 ? 7 : local.weekday - 1) && time < to)
  )
}

/** To a moment of the same or the next day; where clocks change before it, minute by minute, as times may be skipped or come twice. */
function leap(from: DateTime, to: DateTime): number {
  return from.offset === to.offset ? to.toMillis() : (Math.floor(from.toMillis() / minute) + 1) * minute
}

/** Such as `Mon–Thu 09:00–16:00`. */
function describe({ days, from, to }: NonNullable<GuardPolicy["hours"]>): string {
  const title = (name: string) => name.charAt(0).toUpperCase() + name.slice(1)
  const runs: string[][] = []
  for (const [at, name] of weekdays.entries()) {
    if (!days.includes(name)) continue
    const run = runs.at(-1)
    if (run && run.at(-1) === weekdays[at - 1]) run.push(name)
    else runs.push([name])
  }
  const texts = runs.map((run) =>
    [...new Set([run.at(0), run.at(-1)])].map((name) => title(name ?? "")).join("–"),
  )
  return `${texts.join(", ")} ${timeOf(from)}–${timeOf(to)}`
}

const timeOf = (minutes: number) =>
  [Math.floor(minutes / 60), minutes % 60].map((part) => String(part).padStart(2, "0")).join(":")
