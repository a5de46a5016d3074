import { afterEach, describe, expect, it } from "vitest"
import { localTime, closures, migrationWindow, nextOpening } from "../../../src/delivery/guards/calendar.js"
import { timeOf } from "../../lib/time-of.js"
import { at, iso, policy } from "./policy.js"

const office = `timezone: Europe/Rome\nhours: { days: [mon, tue, wed, thu], from: "09:00", to: "16:00" }\n`
const hours = (days: string, from: string, to: string, zone = "Europe/Rome") =>
  policy(`{ timezone: ${zone}, hours: { days: [${days}], from: "${from}", to: "${to}" } }`)
const every = "mon, tue, wed, thu, fri, sat, sun"
const guards = (rules: ReturnType<typeof policy>, moment: string) =>
  closures(rules, at(moment)).map(({ guard }) => guard)

describe("hours", () => {
  // In November Rome is an hour ahead of UTC; the 26th is a Thursday.
  it.each([
    ["2026-11-26T07:59:59.999Z", false],
    ["2026-11-26T08:00:00.000Z", true],
    ["2026-11-26T14:59:59.999Z", true],
    ["2026-11-26T15:00:00.000Z", false],
    ["2026-11-27T10:00:00.000Z", false],
    ["2026-11-29T10:00:00.000Z", false],
    ["2026-11-30T10:00:00.000Z", true],
    // In July two hours.
    ["2026-07-02T07:00:00.000Z", true],
    ["2026-07-02T14:00:00.000Z", false],
  ])("at %s: %s", (moment, open) => {
    expect(guards(policy(office), moment)).toEqual(open ? [] : ["hours"])
  })

  // Friday to Saturday, and over the end of the week.
  it.each([
    ["2026-11-27T20:59Z", false],
    ["2026-11-27T21:00Z", true],
    ["2026-11-28T00:59Z", true],
    ["2026-11-28T01:00Z", false],
    ["2026-11-28T21:00Z", false],
    ["2026-11-29T00:00Z", false],
    ["2026-11-29T21:00Z", true],
    ["2026-11-30T00:59Z", true],
    ["2026-11-30T21:00Z", false],
  ])("over midnight belong to the day that they begin on: %s: %s", (moment, open) => {
    expect(guards(hours("fri, sun", "22:00", "02:00"), moment)).toEqual(open ? [] : ["hours"])
  })

  it("say what is open and in which zone", () => {
    expect(closures(policy(office), at("2026-11-27T17:12+01:00"))[0]?.reason()).toBe(
      "Friday 2026-11-27 17:12 CET is outside Mon–Thu 09:00–16:00 (Europe/Rome)",
    )
    expect(
      closures(hours("sun, mon, thu, tue", "22:00", "24:00"), at("2026-11-27T12:00Z"))[0]?.reason(),
    ).toContain("Mon–Tue, Thu, Sun 22:00–24:00")
  })
})

describe("opening", () => {
  it.each([
    ["is now when nothing is closed", office, "2026-11-26T10:00:30Z", "2026-11-26T10:00:30.000Z"],
    ["is later the same day", office, "2026-11-26T03:17:42.123Z", "2026-11-26T08:00Z"],
    ["is after the weekend", office, "2026-11-27T16:12:42Z", "2026-11-30T08:00Z"],
    [
      "is at the same local time after the clocks go forward",
      office,
      "2026-03-27T12:00Z",
      "2026-03-30T07:00Z",
    ],
    ["is at the same local time after the clocks go back", office, "2026-10-23T12:00Z", "2026-10-26T08:00Z"],
    [
      "is after holidays that follow each other and a weekend",
      `${office}holidays: [{ date: 2026-12-24, name: a }, { date: 12-28, name: b }, { date: 2026-12-29, name: c }]`,
      "2026-12-23T17:00Z",
      "2026-12-30T08:00Z",
    ],
    [
      "is when a freeze ends in hours",
      `${office}freezes: [{ from: 2026-09-04T00:00, to: 2026-09-07T11:30, reason: Monza }]`,
      "2026-09-04T08:00Z",
      "2026-09-07T09:30Z",
    ],
    [
      "is in the next hours when a freeze ends after them",
      `${office}freezes: [{ from: 2026-09-04T00:00, to: 2026-09-07T16:00, reason: Monza }]`,
      "2026-09-04T08:00Z",
      "2026-09-08T07:00Z",
    ],
    [
      "is after freezes that overlap and one that comes just then",
      `freezes:
  - { from: 2026-09-04T00:00Z, to: 2026-09-05T00:00Z, reason: a }
  - { from: 2026-09-04T12:00Z, to: 2026-09-06T00:00Z, reason: b }
  - { from: 2026-09-06T00:00Z, to: 2026-09-06T01:00Z, reason: c }`,
      "2026-09-04T13:00Z",
      "2026-09-06T01:00Z",
    ],
    [
      "is before the end of the year's last second",
      "timezone: Europe/Rome\nholidays: [{ date: 12-31, name: a }]",
      "2026-12-31T22:59:59Z",
      "2026-12-31T23:00Z",
    ],
  ])("%s", (_, text, now, expected) => {
    expect(iso(nextOpening(policy(text), at(now)))).toBe(expected)
  })

  // On 29 March 2026 clocks in Rome go from 02:00 to 03:00, at 01:00 UTC.
  it.each([
    ["begin in it", "02:30", "06:00", "2026-03-29T00:10Z", "2026-03-29T01:00Z"],
    ["begin at its end", "03:00", "06:00", "2026-03-29T00:10Z", "2026-03-29T01:00Z"],
    ["lie in it: on the next day", "02:10", "02:50", "2026-03-29T00:10Z", "2026-03-30T00:10Z"],
    ["end in it: on the next day", "01:00", "02:30", "2026-03-29T01:00Z", "2026-03-29T23:00Z"],
    ["come after it", "09:00", "10:00", "2026-03-28T23:00Z", "2026-03-29T07:00Z"],
  ])("with a gap, for hours that %s", (_, from, to, now, expected) => {
    expect(iso(nextOpening(hours(every, from, to), at(now)))).toBe(expected)
  })

  // On 25 October 2026 clocks in Rome go from 03:00 to 02:00, at 01:00 UTC: 02:30 is at 00:30 and at 01:30 UTC.
  it.each([
    ["first time", "2026-10-25T00:10Z", "2026-10-25T00:30Z"],
    ["second time, after the first", "2026-10-25T00:50Z", "2026-10-25T01:30Z"],
    ["second time, from within the hour that comes twice", "2026-10-25T01:10Z", "2026-10-25T01:30Z"],
    ["next day", "2026-10-25T01:50Z", "2026-10-26T01:30Z"],
  ])("with a fold: the %s", (_, now, expected) => {
    expect(iso(nextOpening(hours(every, "02:30", "02:45"), at(now)))).toBe(expected)
  })

  it("with a fold: the moment that clocks go back into hours that were over", () => {
    expect(iso(nextOpening(hours("sun", "01:00", "02:30"), at("2026-10-25T00:40Z")))).toBe(
      "2026-10-25T01:00Z",
    )
  })

  it("where clocks change at midnight", () => {
    // In Havana they go from 00:00 to 01:00 on Sunday 8 March, and from 01:00 to 00:00 on Sunday 1 November.
    const cuba = (date: string) => policy(`timezone: America/Havana\nholidays: [{ date: ${date}, name: x }]`)
    expect(iso(nextOpening(cuba("2026-03-07"), at("2026-03-07T12:00Z")))).toBe("2026-03-08T05:00Z")
    expect(iso(nextOpening(cuba("2026-03-08"), at("2026-03-08T12:00Z")))).toBe("2026-03-09T04:00Z")
    expect(iso(nextOpening(cuba("2026-10-31"), at("2026-10-31T12:00Z")))).toBe("2026-11-01T04:00Z")
    expect(iso(nextOpening(cuba("2026-11-01"), at("2026-11-01T05:30Z")))).toBe("2026-11-02T05:00Z")
  })

  it("agrees with a search minute by minute, in zones of every kind", () => {
    const zones = ["Europe/Rome", "America/Havana", "Australia/Lord_Howe", "America/Santiago"]
    const rules = [
      ["sun", "01:45", "02:15"],
      ["sat, mon", "23:30", "00:20"],
      [every, "02:59", "03:00"],
      ["sun, mon", "00:00", "00:01"],
    ] as const
    // Around the days when clocks change in each of them.
    const starts = ["2026-03-07T11:07Z", "2026-03-28T20:07Z", "2026-04-04T09:07Z", "2026-09-05T22:07Z"]
    const more = ["2026-10-03T10:07Z", "2026-10-24T23:07Z", "2026-10-25T00:47Z", "2026-10-31T22:07Z"]
    for (const zone of zones)
      for (const [days, from, to] of rules)
        for (const start of [...starts, ...more]) {
          const rule = hours(days, from, to, zone)
          const found = nextOpening(rule, at(start))
          expect(found).toBeDefined()
          expect(closures(rule, found ?? 0)).toEqual([])
          expect(firstOpen(zone, days, from, to, at(start)), `${zone} ${days} ${from} ${start}`).toBe(
            iso(found),
          )
        }
  })

  it("is never when there is none within 366 days", () => {
    const months = ["01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12"]
    const dates = months.flatMap((month) =>
      Array.from({ length: 31 }, (_, at) => `${month}-${String(at + 1).padStart(2, "0")}`),
    )
    const real = dates.filter(
      (date) => !["02-30", "02-31", "04-31", "06-31", "09-31", "11-31"].includes(date),
    )
    const all = `timezone: Europe/Rome\nholidays: [${real.map((date) => `{ date: ${date}, name: x }`).join(", ")}]`
    const took = timeOf(() => {
      expect(nextOpening(policy(all), at("2026-06-01T12:00Z"))).toBeUndefined()
    })
    expect(took).toBeLessThan(20_000)
    const but = all.replace("{ date: 05-31, name: x }, ", "")
    expect(iso(nextOpening(policy(but), at("2026-06-01T12:00Z")))).toBe("2027-05-30T22:00Z")
    const long = policy("freezes: [{ from: 2026-01-01T00:00Z, to: 2030-01-01T00:00Z, reason: x }]")
    expect(nextOpening(long, at("2026-06-01T12:00Z"))).toBeUndefined()
  })
})

describe("holidays and freezes", () => {
  it("a holiday is a day of the zone, and a yearly one of every year", () => {
    const rules = policy(
      "timezone: Europe/Rome\nholidays: [{ date: 12-25, name: Christmas }, { date: 2026-04-06, name: Easter }]",
    )
    expect(guards(rules, "2026-12-24T22:59Z")).toEqual([])
    expect(guards(rules, "2026-12-24T23:00Z")).toEqual(["holiday"])
    expect(guards(rules, "2031-12-25T22:59Z")).toEqual(["holiday"])
    expect(guards(rules, "2031-12-25T23:00Z")).toEqual([])
    expect(guards(rules, "2026-04-06T12:00Z")).toEqual(["holiday"])
    expect(guards(rules, "2027-04-06T12:00Z")).toEqual([])
    expect(closures(rules, at("2026-12-25T12:00Z"))[0]?.reason()).toBe(
      "Friday 2026-12-25 is a holiday in Europe/Rome: Christmas",
    )
  })

  it("a freeze is over at its end", () => {
    const rules = policy(
      `timezone: Europe/Rome\nfreezes: [{ from: 2026-09-04T00:00, to: 2026-09-07T06:00, reason: Monza race weekend }]`,
    )
    expect(guards(rules, "2026-09-03T21:59:59.999Z")).toEqual([])
    expect(guards(rules, "2026-09-03T22:00Z")).toEqual(["freeze"])
    expect(guards(rules, "2026-09-07T03:59:59.999Z")).toEqual(["freeze"])
    expect(guards(rules, "2026-09-07T04:00Z")).toEqual([])
    expect(closures(rules, at("2026-09-05T00:00Z"))[0]?.reason()).toBe(
      "frozen until Monday 2026-09-07 06:00 CEST: Monza race weekend",
    )
  })
})

describe("clock", () => {
  it.each([
    ["Europe/Rome", "Friday 2026-11-27 17:12 CET"],
    ["America/New_York", "Friday 2026-11-27 11:12 EST"],
    ["Australia/Sydney", "Saturday 2026-11-28 03:12 AEDT"],
    ["Asia/Kolkata", "Friday 2026-11-27 21:42 UTC+05:30"],
    ["Europe/London", "Friday 2026-11-27 16:12 GMT"],
    ["UTC", "Friday 2026-11-27 16:12 UTC"],
  ])("in %s: %s", (zone, text) => {
    expect(localTime(at("2026-11-27T16:12:30Z"), zone)).toBe(text)
  })
})

describe("the zone of the machine", () => {
  const own = process.env.TZ
  afterEach(() => {
    // Assigning undefined would make it the word.
    if (own === undefined) delete process.env.TZ
    else process.env.TZ = own
  })

  it.each(["Pacific/Kiritimati", "America/Los_Angeles", "UTC"])("does not matter: %s", (zone) => {
    process.env.TZ = zone
    expect(new Intl.DateTimeFormat().resolvedOptions().timeZone).toBe(zone)
    const rules = policy(
      `${office}holidays: [{ date: 11-30, name: x }]\nfreezes: [{ from: 2026-12-01T00:00, to: 2026-12-01T10:00, reason: x }]`,
    )
    expect(iso(nextOpening(rules, at("2026-11-27T16:12Z")))).toBe("2026-12-01T09:00Z")
    expect(closures(rules, at("2026-11-27T16:12Z"))[0]?.reason()).toContain(
      "Friday 2026-11-27 17:12 CET is outside",
    )
  })
})

const shown = new Map<string, [string, string]>()
const formats = new Map<string, Intl.DateTimeFormat>()

/** The day and the time that a clock shows, by the platform's own calendar. */
function wall(zone: string, moment: number): [string, string] {
  const format =
    formats.get(zone) ??
    new Intl.DateTimeFormat("en-GB", {
      timeZone: zone,
      weekday: "short",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    })
  formats.set(zone, format)
  const key = `${zone} ${moment}`
  const known = shown.get(key)
  if (known) return known
  const [day = "", time = ""] = format.format(moment).toLowerCase().split(" ")
  shown.set(key, [day, time])
  return [day, time]
}

/** Without any of the code under test. */
function firstOpen(zone: string, days: string, from: string, to: string, start: number): string | undefined {
  const order = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
  const wanted = days.split(", ")
  for (let moment = start; moment < start + 9 * 86_400_000; moment += 60_000) {
    const [day, time] = wall(zone, moment)
    const before = order[(order.indexOf(day) + 6) % 7] ?? ""
    const open =
      from < to
        ? wanted.includes(day) && from <= time && time < to
        : (wanted.includes(day) && from <= time) || (wanted.includes(before) && time < to)
    if (open) return iso(moment)
  }
  return undefined
}

describe("the window for migrations", () => {
  const window = (rest = "", zone = "Europe/Rome", from = "02:00", to = "04:00") =>
    policy(
      `timezone: ${zone}\nmigrationWindow: { days: [sun], from: "${from}", to: "${to}", longest: 30s }\n${rest}`,
    )

  it("is every moment where none is written down", () => {
    expect(migrationWindow(policy(office), at("2026-11-26T08:00Z"))).toBeUndefined()
  })

  it.each([
    ["2026-11-29T00:59Z", false],
    ["2026-11-29T01:00Z", true],
    ["2026-11-29T02:59Z", true],
    ["2026-11-29T03:00Z", false],
    // Clocks skip from 02:00 to 03:00, and a window of two hours has one.
    ["2026-03-29T00:59Z", false],
    ["2026-03-29T01:00Z", true],
    ["2026-03-29T01:59Z", true],
    ["2026-03-29T02:00Z", false],
    // Clocks show the hour from 02:00 twice, and the window has three.
    ["2026-10-25T00:00Z", true],
    ["2026-10-25T02:59Z", true],
    ["2026-10-25T03:00Z", false],
  ])("at %s: %s", (moment, isOpen) => {
    expect(migrationWindow(window(), at(moment))).toMatchObject({ isOpen, longest: 30 })
  })

  it("says when it opens next, which is on no holiday and in no freeze", () => {
    const closed = (rest: string) => migrationWindow(window(rest), at("2026-11-28T12:00Z"))?.text
    expect(closed("")).toBe(
      "the maintenance window, Sun 02:00–04:00 (Europe/Rome), which opens next on Sunday 2026-11-29 02:00 CET",
    )
    expect(closed("holidays: [{ date: 11-29, name: Advent }]")).toMatch(/Sunday 2026-12-06 02:00 CET$/)
    const freeze = "freezes: [{ from: 2026-11-01T00:00, to: 2026-12-06T03:00, reason: x }]"
    expect(closed(freeze)).toMatch(/Sunday 2026-12-06 03:00 CET$/)
    expect(closed("freezes: [{ from: 2026-11-01T00:00, to: 2028-01-01T00:00, reason: x }]")).toMatch(
      /which does not open within 366 days$/,
    )
  })

  it("has nothing to do with the hours of deploys", () => {
    const hours = 'hours: { days: [mon], from: "09:00", to: "16:00" }'
    expect(migrationWindow(window(hours), at("2026-11-29T01:30Z"))?.isOpen).toBe(true)
    expect(guards(window(hours), "2026-11-29T01:30Z")).toEqual(["hours"])
  })
})
