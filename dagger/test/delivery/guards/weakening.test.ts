import { describe, expect, it } from "vitest"
import { digestOfData } from "../../../src/delivery/guards/digest.js"
import { strictestApproval, weakeningRefusal, weakenings } from "../../../src/delivery/guards/weakening.js"
import { policy } from "./policy.js"

const whole = `
timezone: Europe/London
hours: { days: [mon, tue, wed, thu, fri], from: "09:00", to: "16:00" }
holidays: [{ date: 12-25, name: Christmas }, { date: 2026-12-28, name: Boxing Day }]
freezes: [{ from: 2026-12-24T00:00, to: 2027-01-04T06:00, reason: End of the year }]
approval: { required: true, validFor: 24h, approvers: [Grace, Ada] }
migrationWindow: { days: [sun], from: "02:00", to: "05:00", longest: 30s }
checks: required
signature: required
signatures: { identity: "https://example.com/workflow@refs/heads/main", issuer: "https://issuer.example.com" }
overrides: { hours: [group:operators], approval: [ada] }
`
const committed = policy(whole)
const but = (line: RegExp, replacement: string) => {
  expect(whole).toMatch(line)
  return policy(whole.replace(line, replacement))
}
const found = (line: RegExp, replacement: string) =>
  weakenings(committed, but(line, replacement)).map(({ guard, path }) => `${guard}: ${path.join(".")}`)

describe("weakenings", () => {
  it.each<[string, RegExp, string, string[]]>([
    ["no hours", /hours: .*16:00" }/, "", ["hours: hours"]],
    ["another day", /thu, fri/, "thu, fri, sat", ["hours: hours.days"]],
    ["other days", /\[mon.*fri\]/, "[sun]", ["hours: hours.days"]],
    ["an earlier start", /"09:00"/, '"08:59"', ["hours: hours.from"]],
    ["a later end", /"16:00"/, '"16:01"', ["hours: hours.to"]],
    [
      "hours over midnight",
      /from: "09:00", to: "16:00"/,
      'from: "16:00", to: "09:00"',
      ["hours: hours.from", "hours: hours.to"],
    ],
    [
      "more of everything",
      /fri\], from: "09:00", to: "16:00"/,
      'fri, sat], from: "00:00", to: "24:00"',
      ["hours: hours.days", "hours: hours.from", "hours: hours.to"],
    ],
    ["another time zone", /Europe\/London/, "America/New_York", ["hours: timezone", "freeze: freezes"]],
    ["a time zone of the same offset", /Europe\/London/, "Europe/Lisbon", ["hours: timezone"]],
    ["no window for migrations", /migrationWindow: .*/, "", ["migrationWindow: migrationWindow"]],
    ["a longer window", /05:00/, "06:00", ["migrationWindow: migrationWindow"]],
    ["longer migrations outside of it", /30s/, "31s", ["migrationWindow: migrationWindow"]],
    ["no holidays", /holidays: .*/, "", ["holiday: holidays", "holiday: holidays"]],
    ["a holiday on another day", /12-25/, "12-24", ["holiday: holidays"]],
    ["a yearly holiday in one year", /12-25/, "2026-12-25", ["holiday: holidays"]],
    ["no freezes", /freezes: .*/, "", ["freeze: freezes"]],
    ["a later freeze", /from: 2026-12-24T00:00/, "from: 2026-12-24T00:01", ["freeze: freezes"]],
    ["a shorter freeze", /to: 2027-01-04T06:00/, "to: 2027-01-04T05:59", ["freeze: freezes"]],
    [
      "a freeze with a gap",
      /freezes: .*/,
      "freezes: [{ from: 2026-12-24T00:00, to: 2026-12-31T00:00, reason: x }, { from: 2026-12-31T00:01, to: 2027-01-04T06:00, reason: y }]",
      ["freeze: freezes"],
    ],
    ["no approval", /approval: \{ req.*/, "", ["approval: approval"]],
    ["an approval that is not required", /required: true/, "required: false", ["approval: approval"]],
    ["longer approvals", /24h/, "25h", ["approval: approval.validFor"]],
    ["another approver", /Grace, Ada/, "Grace, Mallory", ["approval: approval.approvers"]],
    ["everybody as approver", /, approvers: .*\]/, "", ["approval: approval.approvers"]],
    ["no checks", /checks: required/, "", ["checks: checks"]],
    ["another workflow", /refs\/heads\/main/, "refs/heads/other", ["signature: signatures.identity"]],
    ["another issuer", /issuer\.example/, "other.example", ["signature: signatures.issuer"]],
    ["no signature", /signature: required/, "signature: none", ["signature: signature"]],
    ["somebody else who overrides", /approval: \[ada\]/, "approval: [eve]", ["approval: overrides.approval"]],
    ["everybody who overrides", /hours: \[group:operators\], /, "", ["hours: overrides.hours"]],
    [
      "own changes",
      /approval: \[ada\]/,
      "approval: [ada], ownChanges: [ada]",
      ["approval: overrides.ownChanges"],
    ],
  ])("are found in %s", (_, line, replacement, expected) => {
    expect(found(line, replacement)).toEqual(expected)
  })

  it.each<[string, RegExp, string]>([
    ["the same", /^/, ""],
    ["other words", /Christmas/, "Natale"],
    ["fewer days", /, fri\]/, "]"],
    ["fewer hours", /"09:00", to: "16:00"/, '"10:00", to: "15:00"'],
    ["a shorter window", /05:00/, "04:00"],
    ["shorter migrations outside of it", /30s/, "10s"],
    ["another holiday", /holidays: \[/, "holidays: [{ date: 05-01, name: x }, "],
    ["a holiday of every year", /2026-12-28/, "12-28"],
    [
      "a freeze in two parts that meet",
      /freezes: .*/,
      "freezes: [{ from: 2026-12-31T00:00, to: 2027-02-01T00:00, reason: y }, { from: 2026-12-01T00:00, to: 2026-12-31T00:00, reason: x }]",
    ],
    ["shorter approvals", /24h/, "1h"],
    ["fewer approvers", /Grace, Ada/, "Ada"],
    ["nobody who overrides", /approval: \[ada\]/, "approval: []"],
  ])("are none in %s", (_, line, replacement) => {
    expect(found(line, replacement)).toEqual([])
  })

  it("are none where nothing was guarded", () => {
    const everything = whole.replace(/overrides: .*/, "")
    expect(weakenings(policy("{}"), policy(everything))).toEqual([])
    expect(weakenings(policy("timezone: Europe/Rome"), policy("timezone: Europe/London"))).toEqual([])
    const optional = (rest: string) => policy(`approval: { required: false, ${rest} }`)
    expect(weakenings(optional("validFor: 1h"), optional("validFor: 2h"))).toEqual([])
  })

  it("count a field of approvals that no comparison knows", () => {
    const approval = { required: true, validFor: 60, quorum: 2 }
    const changed = (quorum?: number) =>
      weakenings(
        { ...committed, approval },
        { ...committed, approval: { ...approval, quorum } as typeof approval },
      )
    expect(changed(2)).toEqual([])
    for (const quorum of [1, 3, undefined]) {
      expect(changed(quorum)).toMatchObject([
        { guard: "approval", path: ["approval", "quorum"], committed: "2" },
      ])
    }
  })

  it("say what was committed and what is in effect, and where", () => {
    const [hours] = weakenings(committed, but(/"16:00"/, '"18:30"'))
    expect(hours && weakeningRefusal({ ...hours, place: "settings.yaml:7" })).toEqual({
      guard: "hours",
      reason: "settings.yaml:7 weakens hours.to: committed Mon–Fri 09:00–16:00, here Mon–Fri 09:00–18:30",
      overridable: true,
    })
  })
})

describe("strictestApproval", () => {
  it("is that of the committed policy, unless the settings are stricter", () => {
    const none = but(/approval: \{ req.*/, "")
    const validFor = (text: string) => but(/24h/, text)
    expect(strictestApproval({ committed: committed, effective: none })).toEqual({ validFor: 86_400 })
    expect(strictestApproval({ committed: committed, effective: validFor("48h") })).toEqual({
      validFor: 86_400,
    })
    expect(strictestApproval({ committed: committed, effective: validFor("1h") })).toEqual({ validFor: 3600 })
    expect(strictestApproval({ committed: none, effective: committed })).toEqual({ validFor: 86_400 })
    expect(strictestApproval({ committed: none, effective: none })).toBeUndefined()
  })
})

describe("digestOfData", () => {
  it("is of the contents and not of the order of keys", () => {
    const digest = digestOfData({ a: 1, b: { c: [1, { d: 2, e: undefined }] } })
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(digestOfData({ b: { c: [1, { d: 2 }] }, a: 1 })).toBe(digest)
    expect(digestOfData({ a: 1, b: { c: [{ d: 2 }, 1] } })).not.toBe(digest)
    expect(digestOfData(committed)).not.toBe(digestOfData(but(/24h/, "25h")))
  })
})
