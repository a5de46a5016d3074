import { day } from "../../lib/clock.js"
import { DateTime } from "luxon"
import { weekdays, type GuardPolicy } from "./configuration.js"

/** A reason why the calendar does not allow a deploy at a moment. */
export interface Closure {
  guard: "hours" | "holiday" | "freeze"
  /** Built on demand, because a search for an opening meets many closures. */
  reason: () => string
  /** The earliest end of the closure, in ms since the epoch. */
  next: number
}

/** How many days ahead to search for an opening. */
export const horizonDays = 366
const minute = 60_000

/** Every reason why the calendar does not allow a deploy at a moment. */
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
    const reason = () => `${localTime(at, timezone)} is outside ${hoursText(hours)} (${timezone})`
    found.push({ guard: "hours", reason, next: start > local ? leap(local, start) : tomorrow })
  }
  for (const { date, name } of holidays) {
    // A yearly holiday is written as MM-DD.
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

/** The next moment at which the calendar allows a deploy, in ms since the epoch; undefined if there is none within {@link horizonDays}. */
export function nextOpening(policy: GuardPolicy, from: number): number | undefined {
  let at = from
  while (at <= from + horizonDays * day) {
    const closed = closures(policy, at)
    if (closed.length === 0) return at
    at = Math.max(...closed.map(({ next }) => next))
  }
  return undefined
}

/** The weekly window of an environment for migrations that services may notice. */
export interface MigrationWindow {
  isOpen: boolean
  /** For people. */
  text: string
  /** Seconds that a migration may take on the copy of the database outside of the window. */
  longest: number
}

/** The window at a moment; undefined where there is none, and every moment is allowed. Holidays and freezes close it. */
export function migrationWindow(policy: GuardPolicy, at: number): MigrationWindow | undefined {
  const { migrationWindow: hours, timezone } = policy
  if (!hours) return undefined
  const own = { ...policy, hours }
  const isOpen = closures(own, at).length === 0
  const next = isOpen ? undefined : nextOpening(own, at)
  const when = `the maintenance window, ${hoursText(hours)} (${timezone})`
  const opens =
    next === undefined
      ? `which does not open within ${horizonDays} days`
      : `which opens next on ${localTime(next, timezone)}`
  return { isOpen, text: isOpen ? when : `${when}, ${opens}`, longest: hours.longest }
}

/** A moment in local time, such as `Friday 2026-11-27 17:12 CET`. */
export function localTime(at: number, timezone: string): string {
  const local = DateTime.fromMillis(at, { zone: timezone, locale: "en" })
  return `${local.toFormat("cccc yyyy-MM-dd HH:mm")} ${zoneName(local)}`
}

/** The short name of the zone. Each English locale knows only the zones of its own region; a zone that none knows is shown by its offset. */
function zoneName(local: DateTime): string {
  const names = ["en-US", "en-GB", "en-AU"].map((locale) => local.setLocale(locale).offsetNameShort)
  return names.find((name) => name && !/^GMT./.test(name)) ?? local.toFormat("'UTC'ZZ")
}

/** Compares local times, so that the result agrees with the message. */
function within({ days, from, to }: NonNullable<GuardPolicy["hours"]>, local: DateTime): boolean {
  const time = local.hour * 60 + local.minute
  const isDay = (weekday: number) => days.some((name) => name === weekdays[weekday - 1])
  if (from < to) return isDay(local.weekday) && from <= time && time < to
  // Hours over midnight belong to the day on which they begin.
  return (
    (isDay(local.weekday) && from <= time) ||
    (isDay(local.weekday === 1 ? 7 : local.weekday - 1) && time < to)
  )
}

/** A moment of the same or the next day. Before a clock change it advances minute by minute, because local times may be skipped or repeated. */
function leap(from: DateTime, to: DateTime): number {
  return from.offset === to.offset ? to.toMillis() : (Math.floor(from.toMillis() / minute) + 1) * minute
}

/** Such as `Mon–Thu 09:00–16:00`. */
export function hoursText({ days, from, to }: NonNullable<GuardPolicy["hours"]>): string {
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
