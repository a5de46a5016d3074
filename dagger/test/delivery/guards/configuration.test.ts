import { describe, expect, it } from "vitest"
import { at, policy } from "./policy.js"

const whole = `
timezone: Europe/Rome
hours: { days: [mon, tue, wed, thu], from: "09:00", to: "16:00" }
holidays:
  - { date: 2026-04-06, name: Easter Monday }
  - { date: 12-25, name: Christmas }
  - { date: 02-29, name: Leap day }
freezes:
  - { from: 2026-09-04T00:00, to: 2026-09-07T06:00, reason: Monza race weekend }
  - { from: 2026-10-25T02:30+02:00, to: 2026-10-25T02:30+01:00, reason: The clocks change }
approval: { required: true, validFor: 24h, approvers: [Ada, Grace] }
checks: required
signature: none
`
const everybody = ["group:system:authenticated"]
const overrides = {
  hours: everybody,
  holiday: everybody,
  freeze: everybody,
  approval: [],
  checks: [],
  signature: [],
  database: everybody,
  migrationWindow: everybody,
  ownChanges: [],
}
const but = (line: RegExp, replacement: string) => {
  expect(whole).toMatch(line)
  return whole.replace(line, replacement)
}

describe("guardsSection", () => {
  it("reads a policy", () => {
    expect(policy(whole)).toEqual({
      timezone: "Europe/Rome",
      hours: { days: ["mon", "tue", "wed", "thu"], from: 540, to: 960 },
      holidays: [
        { date: "2026-04-06", name: "Easter Monday" },
        { date: "12-25", name: "Christmas" },
        { date: "02-29", name: "Leap day" },
      ],
      freezes: [
        { from: at("2026-09-03T22:00Z"), to: at("2026-09-07T04:00Z"), reason: "Monza race weekend" },
        { from: at("2026-10-25T00:30Z"), to: at("2026-10-25T01:30Z"), reason: "The clocks change" },
      ],
      approval: { required: true, validFor: 86_400, approvers: ["Ada", "Grace"] },
      checks: "required",
      signature: "none",
      overrides,
    })
  })

  it("has no guard that is not written down", () => {
    expect(policy("{}")).toEqual({
      timezone: "UTC",
      holidays: [],
      freezes: [],
      checks: "none",
      signature: "none",
      overrides,
    })
  })

  it("reads a window for migrations, which needs a time zone", () => {
    const window = 'migrationWindow: { days: [sun], from: "22:00", to: "02:00" }'
    expect(policy(`timezone: Europe/Rome\n${window}`).migrationWindow).toEqual({
      days: ["sun"],
      from: 1320,
      to: 120,
      longest: 60,
    })
    expect(() => policy(window)).toThrow(/windows, holidays and local times need a time zone/)
    expect(() => policy(`timezone: Europe/Rome\n${window.replace("02:00", "22:00")}`)).toThrow(
      /another time than from/,
    )
  })

  it("needs no time zone for a freeze that is written with offsets", () => {
    const { freezes } = policy(
      "freezes: [{ from: 2026-09-04T00:00Z, to: 2026-09-04T06:00+02:00, reason: x }]",
    )
    expect(freezes).toEqual([{ from: at("2026-09-04T00:00Z"), to: at("2026-09-04T04:00Z"), reason: "x" }])
  })

  it("takes 24:00 for the end of a day", () => {
    const { freezes } = policy(
      "timezone: Europe/Rome\nfreezes: [{ from: 2026-09-04T00:00, to: 2026-09-04T24:00, reason: x }, { from: 2026-10-24T24:00, to: 2026-10-25T24:00:00+01:00, reason: y }]",
    )
    expect(freezes).toEqual([
      { from: at("2026-09-03T22:00Z"), to: at("2026-09-04T22:00Z"), reason: "x" },
      { from: at("2026-10-24T22:00Z"), to: at("2026-10-25T23:00Z"), reason: "y" },
    ])
    expect(() =>
      policy("timezone: Europe/Rome\nfreezes: [{ from: 2026-09-04T24:01, to: 2026-09-05T00:00, reason: x }]"),
    ).toThrow(/freezes\.0\.from: a time that there is/)
  })

  it("takes a whole day", () => {
    const { hours } = policy(`{ timezone: UTC, hours: { days: [sat], from: "00:00", to: "24:00" } }`)
    expect(hours).toEqual({ days: ["sat"], from: 0, to: 1440 })
  })

  it.each([
    ["a zone that is none", but(/Europe\/Rome/, "Europe/Maranello"), /:2: timezone: a time zone of the IANA/],
    ["an offset for a zone", but(/Europe\/Rome/, '"+01:00"'), /timezone: a time zone of the IANA/],
    [
      "hours without a zone",
      'hours: { days: [mon], from: "09:00", to: "16:00" }',
      /timezone: hours, windows, holidays and local times need a time zone/,
    ],
    [
      "a local freeze without a zone",
      "freezes: [{ from: 2026-09-04T00:00, to: 2026-09-05T00:00Z, reason: x }]",
      /timezone: .* local times need a time zone/,
    ],
    ["a holiday without a zone", "holidays: [{ date: 12-25, name: x }]", /timezone: .*holidays/],
    [
      "hours of nothing",
      but(/to: "16:00"/, 'to: "09:00"'),
      /hours\.to: another time than from; a whole day is/,
    ],
    ["an hour that is none", but(/"16:00"/, '"24:01"'), /hours\.to: a time of day from 00:00 to 24:00/],
    ["a start at 24:00", but(/"09:00"/, '"24:00"'), /hours\.from: a time of day from 00:00 to 23:59/],
    ["hours without minutes", but(/"09:00"/, "9"), /hours\.from: /],
    ["no days", but(/\[mon.*thu\]/, "[]"), /hours\.days: at least one day/],
    ["a day twice", but(/\[mon.*thu\]/, "[mon, mon]"), /hours\.days: each day once/],
    ["a day that is none", but(/\[mon.*thu\]/, "[Monday]"), /hours\.days\.0: .*"mon"\|"tue".*found "Monday"/],
    [
      "a date that is none",
      but(/2026-04-06/, "2026-02-30"),
      /deploy\.yaml:5: holidays\.0\.date: a date, such as 2026-12-25, or 12-25.*found "2026-02-30"/,
    ],
    ["a yearly date that is none", but(/12-25/, "04-31"), /holidays\.1\.date: a date/],
    ["a freeze in words", but(/2026-09-04T00:00/, "friday"), /freezes\.0\.from: a local time, such as/],
    ["a freeze of days", but(/2026-09-04T00:00/, "2026-09-04"), /freezes\.0\.from: a local time/],
    [
      "a freeze from a day that is not",
      but(/2026-09-04T00:00/, "2026-02-30T00:00"),
      /freezes\.0\.from: a time that there is: .*30/,
    ],
    [
      "a freeze that ends before it begins",
      but(/2026-09-07T06:00/, "2026-09-03T06:00"),
      /:9: freezes\.0\.to: later than from, 2026-09-04T00:00 \(found "2026-09-03T06:00"\)/,
    ],
    ["a freeze of nothing", but(/2026-09-07T06:00/, "2026-09-04T00:00"), /freezes\.0\.to: later than from/],
    [
      "a freeze that ends before it begins, by its offset",
      but(/2026-09-07T06:00/, "2026-09-04T00:00+03:00"),
      /freezes\.0\.to: later than from/,
    ],
    [
      "a time that clocks skip",
      but(/2026-09-04T00:00/, "2026-03-29T02:30"),
      /freezes\.0\.from: a time that there is: clocks in Europe\/Rome skip this one; write it with its offset/,
    ],
    [
      "a time that clocks show twice",
      but(/2026-09-07T06:00/, "2026-10-25T02:30"),
      /freezes\.0\.to: a time that there is once: clocks in Europe\/Rome show this one twice/,
    ],
    ["an approval that is over at once", but(/24h/, "0s"), /approval\.validFor: longer than 0s/],
    ["days as a duration", but(/24h/, "1d"), /approval\.validFor: "1d" is not a duration/],
    ["no approvers", but(/\[Ada, Grace\]/, "[]"), /approval\.approvers: at least one name/],
    [
      "a group of approvers",
      but(/\[Ada, Grace\]/, '["group:admins"]'),
      /approval\.approvers\.0: a user, .*access --approver group:NAME/,
    ],
    ["checks that are a boolean", but(/checks: required/, "checks: true"), /checks: .*"required"\|"none"/],
    ["a guard that is none", `${whole}moon: full`, /no such key: moon; allowed: timezone, hours, holidays/],
  ])("refuses %s", (_, text, message) => {
    expect(() => policy(text)).toThrow(message)
  })

  it("says every fault of all freezes at once", () => {
    const twice = but(/2026-09-04T00:00/, "2026-03-29T02:30").replace(
      "2026-10-25T02:30+01:00",
      "2026-10-24T00:00Z",
    )
    expect(() => policy(twice)).toThrow(/freezes\.0\.from.*\n.*freezes\.1\.to/)
  })
})
