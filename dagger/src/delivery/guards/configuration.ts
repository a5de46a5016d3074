import { DateTime, IANAZone } from "luxon"
import { z } from "zod"
import { signaturesSection } from "../../attestations/configuration.js"
import { section } from "../../lib/document.js"
import { configuredDuration } from "../../lib/duration.js"

/** The days of a week in ISO's order. */
export const weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const

const timezone = z
  .string()
  // Newer JavaScript engines accept an offset as a zone, but an offset has no summer time.
  .refine(
    (name) => /^[a-z]/i.test(name) && IANAZone.isValidZone(name),
    "a time zone of the IANA database, such as Europe/Rome",
  )

/** Minutes since midnight. */
const time = (pattern: RegExp, allowed: string) =>
  z
    .string()
    .regex(pattern, allowed)
    .transform((text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3)))

const weekly = {
  days: z
    .array(z.enum(weekdays))
    .min(1, "at least one day; without hours at all every time is allowed")
    .refine((days) => new Set(days).size === days.length, "each day once"),
  from: time(/^([01]\d|2[0-3]):[0-5]\d$/, "a time of day from 00:00 to 23:59, such as 09:00"),
  to: time(/^(([01]\d|2[0-3]):[0-5]\d|24:00)$/, "a time of day from 00:00 to 24:00, such as 16:00"),
}
const hasLength = ({ from, to }: { from: number; to: number }) => from !== to
const anotherTime = {
  message: "another time than from; a whole day is from 00:00 to 24:00",
  path: ["to"],
}
const hours = section(weekly).refine(hasLength, anotherTime)

/** When migrations run that older code cannot live with, and those that take longer than `longest` on the copy. */
const migrationWindow = section({
  ...weekly,
  longest: configuredDuration.refine((seconds) => seconds > 0, "longer than 0s").prefault("1m"),
}).refine(hasLength, anotherTime)

const date = z.string().refine(
  // In a leap year, so that 02-29 can be a holiday.
  (text) => z.iso.date().safeParse(/^\d\d-\d\d$/.test(text) ? `2024-${text}` : text).success,
  "a date, such as 2026-12-25, or 12-25 for every year",
)

const moment = z
  .string()
  .regex(
    /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?$/,
    "a local time, such as 2026-09-04T00:00, or one with its offset, such as 2026-09-04T00:00+02:00",
  )

// An approval records its author's name and no groups.
const names = z
  .array(
    z
      .string()
      .trim()
      .min(1)
      .refine(
        (name) => !name.startsWith("group:"),
        "a user, as the API server names them; a group gets its right to approve from `access --approver group:NAME`",
      ),
  )
  .min(1, "at least one name; without approvers anybody may approve")

const subjects = z.array(
  z
    .string()
    .regex(
      /^\S(.*\S)?$/,
      "a user, system:serviceaccount:NAMESPACE:NAME or group:NAME, as the API server names them",
    ),
)
const everybody = ["group:system:authenticated"]
const overrides = section({
  hours: subjects.default(everybody),
  holiday: subjects.default(everybody),
  freeze: subjects.default(everybody),
  approval: subjects.default([]),
  checks: subjects.default([]),
  signature: subjects.default([]),
  database: subjects.default(everybody),
  migrationWindow: subjects.default(everybody),
  /** Who may override `approval` for changes of their own. */
  ownChanges: subjects.default([]),
})

/** A condition for a deploy to start. `environment` keeps the settings of one environment out of another. */
export type Guard = Exclude<keyof z.output<typeof overrides>, "ownChanges"> | "environment"

const schema = section({
  timezone: timezone.optional(),
  hours: hours.optional(),
  holidays: z.array(section({ date, name: z.string().trim().min(1) })).default([]),
  freezes: z.array(section({ from: moment, to: moment, reason: z.string().trim().min(1) })).default([]),
  migrationWindow: migrationWindow.optional(),
  approval: section({
    required: z.boolean(),
    validFor: configuredDuration.refine((seconds) => seconds > 0, "longer than 0s"),
    approvers: names.optional(),
  }).optional(),
  checks: z.enum(["required", "none"]).default("none"),
  signature: z.enum(["required", "none"]).default("none"),
  signatures: signaturesSection.optional(),
  overrides: overrides.prefault({}),
})

/** Conditions for a deploy to an environment; see `dagger/config/deploy.yaml`. */
export const guardsSection = schema.transform((raw, context) => {
  const fault = (path: (string | number)[], message: string) => {
    context.addIssue({ code: "custom", path, message })
  }
  if (raw.signature === "required" && !raw.signatures)
    fault(
      ["signature"],
      "only with signatures: publicKey, or identity and issuer, say whose signatures count",
    )
  const localFreeze = raw.freezes.some(({ from, to }) => !hasOffset(from) || !hasOffset(to))
  const isLocal =
    raw.hours !== undefined || raw.migrationWindow !== undefined || raw.holidays.length > 0 || localFreeze
  if (raw.timezone === undefined && isLocal) {
    fault(["timezone"], "hours, windows, holidays and local times need a time zone, such as Europe/Rome")
    return z.NEVER
  }
  const timezone = raw.timezone ?? "UTC"
  const instant = (text: string, path: (string | number)[]) => {
    const found = instantOf(text, timezone)
    if (typeof found === "number") return found
    fault(path, found)
    return NaN
  }
  const freezes = raw.freezes.map((freeze, at) => {
    const from = instant(freeze.from, ["freezes", at, "from"])
    const to = instant(freeze.to, ["freezes", at, "to"])
    if (to <= from) fault(["freezes", at, "to"], `later than from, ${freeze.from}`)
    return { from, to, reason: freeze.reason }
  })
  return { ...raw, timezone, freezes }
})

/** Times of day in minutes since midnight, freezes in ms since the epoch, durations in seconds. */
export type GuardPolicy = z.output<typeof guardsSection>

const hasOffset = (text: string) => /(Z|[+-]\d\d:\d\d)$/.test(text)

/** A moment in ms since the epoch, or a message that says what is allowed. */
function instantOf(text: string, zone: string): number | string {
  const moment = DateTime.fromISO(text, { zone })
  if (!moment.isValid) return `a time that there is: ${moment.invalidExplanation ?? "this one is not"}`
  if (!hasOffset(text)) {
    const remedy = `write it with its offset, such as ${text}+01:00`
    // ISO 8601 allows 24:00 for the end of a day.
    if (moment.toFormat("HH:mm") !== text.slice(11, 16).replace("24:00", "00:00"))
      return `a time that there is: clocks in ${zone} skip this one; ${remedy}`
    if (moment.getPossibleOffsets().length > 1)
      return `a time that there is once: clocks in ${zone} show this one twice; ${remedy}`
  }
  return moment.toMillis()
}
