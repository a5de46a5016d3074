import { isDeepStrictEqual } from "node:util"
import { DateTime } from "luxon"
import { oneLine } from "../../lib/text.js"
import { hoursText } from "./calendar.js"
import { type Guard, type GuardPolicy, weekdays } from "./configuration.js"
import type { Refusal } from "./guards.js"

/** A field of a guard policy that lets deploys start which the committed policy refuses. */
export interface Weakening {
  guard: Guard
  /** Where the field is, below the section that was compared. */
  path: string[]
  /** The values, for people. */
  committed: string
  effective: string
  /** File and line of the settings, where that is known. */
  place?: string
}

type FieldComparison = (committed: GuardPolicy, effective: GuardPolicy) => Weakening[]

/** One comparison for each field: a new field of the policy does not compile until it has one. */
const fields: Record<keyof GuardPolicy, FieldComparison> = {
  timezone: (committed, effective) => {
    if (committed.timezone === effective.timezone) return []
    // Freezes were converted to absolute times already.
    const guard = committed.hours
      ? "hours"
      : committed.holidays.length > 0
        ? "holiday"
        : committed.migrationWindow && "migrationWindow"
    return guard ? [weaker(guard, ["timezone"], committed.timezone, effective.timezone)] : []
  },
  hours: ({ hours: committed }, { hours: effective }) => {
    if (!committed) return []
    if (!effective) return [weaker("hours", ["hours"], hoursText(committed), "none")]
    if (isWithin(effective, committed)) return []
    const widened = (["days", "from", "to"] as const).filter(
      (key) => !isWithin({ ...committed, [key]: effective[key] }, committed),
    )
    return (widened.length > 0 ? widened.map((key) => ["hours", key]) : [["hours"]]).map((path) =>
      weaker("hours", path, hoursText(committed), hoursText(effective)),
    )
  },
  migrationWindow: ({ migrationWindow: committed }, { migrationWindow: effective }) => {
    const weakened = (before: string, here: string) => [
      weaker("migrationWindow", ["migrationWindow"], before, here),
    ]
    if (!committed) return []
    if (!effective) return weakened(hoursText(committed), "none")
    if (!isWithin(effective, committed)) return weakened(hoursText(committed), hoursText(effective))
    return effective.longest > committed.longest
      ? weakened(`longest ${committed.longest} s`, `longest ${effective.longest} s`)
      : []
  },
  holidays: (committed, effective) =>
    committed.holidays
      // A holiday of every year covers that of one year.
      .filter(({ date }) => !effective.holidays.some((kept) => date.endsWith(kept.date)))
      .map(({ date, name }) => weaker("holiday", ["holidays"], `${date} (${name})`, "none")),
  freezes: (committed, effective) =>
    committed.freezes
      .filter((freeze) => !isCovered(freeze, effective.freezes))
      .map((freeze) =>
        weaker("freeze", ["freezes"], freezeText(freeze), effective.freezes.map(freezeText).join("; ")),
      ),
  approval: ({ approval: committed }, { approval: effective }) => {
    if (!committed?.required) return []
    if (!effective?.required) return [weaker("approval", ["approval"], "required", "not required")]
    const { validFor, approvers } = committed
    return [
      ...(effective.validFor > validFor
        ? [weaker("approval", ["approval", "validFor"], `${validFor} s`, `${effective.validFor} s`)]
        : []),
      ...(approvers && !isSubset(effective.approvers, approvers)
        ? [
            weaker(
              "approval",
              ["approval", "approvers"],
              approvers.join(", "),
              effective.approvers?.join(", ") ?? "everybody who may",
            ),
          ]
        : []),
      ...unknownChange("approval", ["approval"], committed, effective, ["required", "validFor", "approvers"]),
    ]
  },
  checks: (committed, effective) => requirement("checks", committed.checks, effective.checks),
  signature: (committed, effective) => requirement("signature", committed.signature, effective.signature),
  signatures: (committed, effective) =>
    committed.signature === "required"
      ? unknownChange("signature", ["signatures"], committed.signatures ?? {}, effective.signatures ?? {}, [])
      : [],
  overrides: ({ overrides: committed }, { overrides: effective }) =>
    (Object.keys(effective) as (keyof typeof effective)[])
      .filter((key) => !isSubset(effective[key], committed[key]))
      .map((key) =>
        weaker(
          key === "ownChanges" ? "approval" : key,
          ["overrides", key],
          committed[key].join(", "),
          effective[key].join(", "),
        ),
      ),
}

/**
 * Every way in which a policy is weaker than the committed one. A changed field counts as weaker unless it is certainly stricter.
 *
 * @returns nothing for an equal or stricter policy
 */
export function weakenings(committed: GuardPolicy, effective: GuardPolicy): Weakening[] {
  return Object.values(fields).flatMap((compare) => compare(committed, effective))
}

/**
 * The rules by which an approval is given: it holds no longer than the committed policy allows, whatever the settings say.
 *
 * @returns nothing where neither policy requires one
 */
export function strictestApproval({
  committed,
  effective,
}: {
  committed: GuardPolicy
  effective: GuardPolicy
}): { validFor: number } | undefined {
  const limits = [committed, effective].flatMap(({ approval }) =>
    approval?.required ? [approval.validFor] : [],
  )
  return limits.length > 0 ? { validFor: Math.min(...limits) } : undefined
}

/** A weakening for people, such as `guards.hours: committed Mon–Fri 09:00–16:00, here none`. */
export const weakeningText = ({ path, committed, effective }: Weakening): string =>
  oneLine(`${path.join(".")}: committed ${oneLine(committed, 100)}, here ${oneLine(effective, 100)}`, 300)

/** A deploy with a weaker guard starts only when that guard is overridden. */
export const weakeningRefusal = (weakening: Weakening): Refusal => ({
  guard: weakening.guard,
  reason: `${weakening.place ?? "a setting"} weakens ${weakeningText(weakening)}`,
  overridable: weakening.guard !== "environment",
})

/** A weakening; an empty text is shown as `none`. */
export const weaker = (guard: Guard, path: string[], committed: string, effective: string): Weakening => ({
  guard,
  path,
  committed: committed || "none",
  effective: effective || "none",
})

const requirement = (guard: "checks" | "signature", committed: string, effective: string): Weakening[] =>
  committed === "required" && effective !== "required" ? [weaker(guard, [guard], committed, effective)] : []

/** Fields of a section that no comparison here knows: any change of them counts. */
function unknownChange(
  guard: Guard,
  path: string[],
  committed: object,
  effective: object,
  known: string[],
): Weakening[] {
  const [before, after] = [committed, effective].map(
    (section) => Object.fromEntries(Object.entries(section)) as Record<string, unknown>,
  )
  return [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])]
    .filter((key) => !known.includes(key) && !isDeepStrictEqual(before?.[key], after?.[key]))
    .map((key) =>
      weaker(guard, [...path, key], JSON.stringify(before?.[key]) || "", JSON.stringify(after?.[key]) || ""),
    )
}

const isSubset = (some: string[] | undefined, all: string[]) =>
  some?.every((name) => all.includes(name)) ?? false

type Hours = NonNullable<GuardPolicy["hours"]>

/** Whether one week's opening times lie within another's. */
function isWithin(inner: Hours, outer: Hours): boolean {
  const [some, all] = [openMinutes(inner), openMinutes(outer)]
  return [...some].every((minute) => all.has(minute))
}

/** The minutes of a week that are open, from Monday 00:00. */
function openMinutes({ days, from, to }: Hours): Set<number> {
  const [day, week] = [24 * 60, 7 * 24 * 60]
  const open = new Set<number>()
  for (const [at, name] of weekdays.entries()) {
    if (!days.includes(name)) continue
    // Hours over midnight belong to the day on which they begin.
    const end = from < to ? to : to + day
    for (let minute = from; minute < end; minute++) open.add((at * day + minute) % week)
  }
  return open
}

type Freeze = GuardPolicy["freezes"][number]

function isCovered({ from, to }: Freeze, freezes: Freeze[]): boolean {
  let at = from
  for (const freeze of [...freezes].sort((one, other) => one.from - other.from)) {
    if (freeze.from <= at) at = Math.max(at, freeze.to)
  }
  return at >= to
}

const freezeText = ({ from, to, reason }: Freeze) =>
  `${[from, to].map((at) => DateTime.fromMillis(at, { zone: "UTC" }).toFormat("yyyy-MM-dd'T'HH:mm'Z'")).join(" to ")} (${reason})`
