import { digestPattern } from "../../lib/image-reference.js"
import { oneLine } from "../../lib/text.js"
import { localTime, closures, horizonDays, nextOpening } from "./calendar.js"
import type { Guard, GuardPolicy } from "./configuration.js"
import {
  type Authors,
  authorText,
  identitiesOf,
  type Identity,
  identityOfUser,
  isServiceAccount,
  normalized,
} from "./identities.js"

/** Whether the new revision can work with the database as it is. */
export type Compatibility = { compatible: true } | { compatible: false | "unknown"; reason: string }

/** What a revision runs beside its image, as digests. */
export interface RevisionContents {
  /** Everything that is applied, but for the values of secrets. */
  settings: string
  /** The values of its secrets. */
  secrets: string
}

/** An approval of everything that will run. Times are in ms since the epoch. */
export interface Approval {
  id: string
  by: string
  at: number
  expires: number
  /** Service to image digest. */
  digests: Record<string, string>
  /** The rest of it, by service. */
  contents: Record<string, RevisionContents>
  note?: string
  revoked?: { by: string; at: number; reason: string }
}

/** Everything that the guards evaluate. */
export interface GuardInput {
  /** In ms since the epoch. */
  now: number
  /** The deployer, as the API server authenticates them. */
  deployer: string
  /** Everybody who has a part in the change. */
  authors: Authors
  identities: Identity[]
  /** The images to deploy: service to digest. */
  digests: Record<string, string>
  /** What they run with, by service. */
  contents: Record<string, RevisionContents>
  /** The images that passed `ci`. */
  checked: { digests: string[]; at: number } | undefined
  approvals: Approval[]
  /** By service; services without a database are missing. */
  database: Record<string, Compatibility>
  /** What speaks against images, by digest; nothing: the image is signed and described as it must be. One that is missing was not verified. */
  signatures?: Record<string, string[]>
}

/** A guard's reason why a deploy may not begin. */
export interface Refusal {
  guard: Guard
  reason: string
  overridable: boolean
}

/** Allowed difference between the clocks of two machines. */
const skew = 5 * 60_000
/** Evaluates every guard; no refusal means that the deploy may begin. */
export function evaluateGuards(policy: GuardPolicy, facts: GuardInput): Refusal[] {
  check(facts)
  return [
    ...calendar(policy, facts.now),
    ...approval(policy, facts),
    ...(policy.checks === "required" ? checks(facts, policy.timezone) : []),
    ...(policy.signature === "required" ? signature(facts) : []),
    ...database(facts),
  ]
}

/** The approval that covers the deploy; undefined if none is needed or none covers it. */
export function approvalFor(facts: GuardInput, policy: GuardPolicy): Approval | undefined {
  check(facts)
  const rules = policy.approval
  if (!rules?.required || unidentified(facts).length > 0) return undefined
  return facts.approvals.find((given) => objection(given, facts, rules, policy.timezone) === undefined)
}

/** Refuses input with which every guard would pass by accident. */
function check({ now, digests }: GuardInput): void {
  if (!Number.isFinite(now)) throw new Error(`the time of a deploy is ${now}; allowed: ms since the epoch`)
  if (Object.keys(digests).length === 0) throw new Error("a deploy of nothing; allowed: at least one service")
  for (const [service, digest] of Object.entries(digests)) {
    if (digestPattern.test(digest)) continue
    throw new Error(`the digest of ${service} is "${oneLine(digest)}"; allowed: sha256: and 64 hex digits`)
  }
}

function calendar(policy: GuardPolicy, now: number): Refusal[] {
  const closed = closures(policy, now)
  if (closed.length === 0) return []
  const until = nextOpening(policy, now)
  const next =
    until === undefined
      ? `no time within ${horizonDays} days is allowed`
      : `next at ${localTime(until, policy.timezone)}`
  return closed.map(({ guard, reason }) => ({
    guard,
    reason: `${reason()}; ${next}`,
    overridable: true,
  }))
}

function approval(policy: GuardPolicy, facts: GuardInput): Refusal[] {
  const rules = policy.approval
  if (!rules?.required || approvalFor(facts, policy)) return []
  const unknown = unidentified(facts)
  if (unknown.length > 0) return unknown.map((reason) => ({ guard: "approval", reason, overridable: true }))
  const who = rules.approvers ? `one of ${rules.approvers.join(", ")}` : "somebody"
  const given = facts.approvals.map((given) => {
    const against = objection(given, facts, rules, policy.timezone)
    return `that of ${oneLine(given.by, 60)} does not count: ${String(against)}`
  })
  const needed = `no approval for ${images(Object.entries(facts.digests))} by ${who} other than the authors and the deployer`
  return [{ guard: "approval", reason: [needed, ...given].join("; "), overridable: true }]
}

/** Why an approval does not count; undefined when it does. */
function objection(
  given: Approval,
  { now, authors, deployer, digests, contents, identities }: GuardInput,
  { validFor, approvers }: NonNullable<GuardPolicy["approval"]>,
  timezone: string,
): string | undefined {
  if (given.revoked) return `it was revoked by ${oneLine(given.revoked.by, 60)}: ${given.revoked.reason}`
  if (normalized(given.by) === "") return "it has no name"
  const approver = identityOfUser(given.by, identities)
  if (!approver) return "identities in dagger/config/deploy.yaml do not say who that is (kubernetes)"
  if (approver.bot) return "a bot cannot approve"
  const people = "known" in authors ? authors.known.flatMap((one) => identitiesOf(one, identities)) : []
  if (people.includes(approver)) return "they wrote the change"
  if (sameName(given.by, deployer) || identityOfUser(deployer, identities) === approver)
    return "they deploy the change"
  if (approvers && !approvers.some((name) => sameName(name, given.by))) return "they are no approver"
  // A policy that became stricter applies to earlier approvals too.
  const end = Math.min(given.expires, given.at + validFor * 1000)
  if (!Number.isFinite(end)) return "its time cannot be read"
  if (now >= end) return `it expired at ${localTime(end, timezone)}`
  if (given.at > now + skew) return `it is dated ahead, at ${localTime(given.at, timezone)}`
  const others = Object.entries(digests).filter(([service, digest]) => given.digests[service] !== digest)
  if (others.length > 0) return `it is not for ${images(others)}`
  return changedContents(given.contents, contents)
}

/** Compares what was approved with what would run. */
function changedContents(
  approved: Record<string, RevisionContents>,
  contents: Record<string, RevisionContents>,
): string | undefined {
  const differing = (part: keyof RevisionContents) =>
    Object.keys(contents).filter((service) => approved[service]?.[part] !== contents[service]?.[part])
  const [settings, secrets] = [differing("settings"), differing("secrets")]
  const changed = [
    ...(settings.length > 0 ? [`other settings or variables of ${settings.join(", ")}`] : []),
    ...(secrets.length > 0 ? [`other secrets of ${secrets.join(", ")}`] : []),
  ]
  return changed.length > 0 ? `it is for ${changed.join(" and ")}` : undefined
}

const sameName = (one: string, other: string) => normalized(one) === normalized(other)

/** Names at most this many authors in a message. */
const mostNamed = 10

/** Whom the approver cannot be compared with: then nobody's approval counts. */
function unidentified({ authors, deployer, identities }: GuardInput): string[] {
  const where = (key: string) => `add ${key} to identities in dagger/config/deploy.yaml`
  if (normalized(deployer) === "") return ["it is not known who deploys the change"]
  const unmapped =
    isServiceAccount(deployer) || identityOfUser(deployer, identities)
      ? []
      : [
          `it is not known which person deploys as ${oneLine(deployer, 100)}: ${where("this name")}, as kubernetes`,
        ]
  if ("unknown" in authors) return [...unmapped, `it is not known who wrote the change: ${authors.unknown}`]
  if ("none" in authors) return unmapped
  if (authors.known.length === 0)
    return [...unmapped, "it is not known who wrote the change: it has no author"]
  const strangers = authors.known.filter((author) => identitiesOf(author, identities).length === 0)
  // One commit of each is enough.
  const names = [
    ...new Map(strangers.map((one) => ["email" in one ? one.email : one.named, authorText(one)])).values(),
  ]
  const more = names.length > mostNamed ? [`${names.length - mostNamed} more authors are unknown too`] : []
  return [
    ...unmapped,
    ...names
      .slice(0, mostNamed)
      .map((name) => `the author ${name} is nobody that is known: ${where("this e-mail or login")}`),
    ...more,
  ]
}

function checks({ digests, checked }: GuardInput, timezone: string): Refusal[] {
  const missing = without(digests, checked?.digests)
  if (missing.length === 0) return []
  const last = checked ? `; it last passed at ${localTime(checked.at, timezone)}, for other images` : ""
  return [{ guard: "checks", reason: `ci has not passed for ${images(missing)}${last}`, overridable: true }]
}

function signature({ digests, signatures = {} }: GuardInput): Refusal[] {
  const against = Object.entries(digests).flatMap(([service, digest]) => {
    const faults = signatures[digest] ?? ["it was not verified"]
    return faults.length > 0 ? [`${images([[service, digest]])}: ${faults.join("; ")}`] : []
  })
  if (against.length === 0) return []
  return [
    { guard: "signature", reason: `no verified signature of ${against.join("; of ")}`, overridable: true },
  ]
}

/** A known incompatibility cannot be overridden; an unknown one can, because somebody may know better. */
function database(facts: GuardInput): Refusal[] {
  return Object.entries(facts.database).flatMap(([service, found]): Refusal[] => {
    if (found.compatible === true) return []
    const known = found.compatible === false
    const reason = known
      ? `${service} cannot work with its database as it is: ${found.reason}; this cannot be overridden`
      : `${service} may not be able to work with its database as it is: ${found.reason}`
    return [{ guard: "database", reason, overridable: !known }]
  })
}

const without = (digests: Record<string, string>, known: string[] = []) =>
  Object.entries(digests).filter(([, digest]) => !known.includes(digest))

/** Such as `api@sha256:0123456789ab`. */
const images = (entries: [string, string][]) =>
  entries.map(([service, digest]) => `${service}@${digest.slice(0, 19)}`).join(", ")
