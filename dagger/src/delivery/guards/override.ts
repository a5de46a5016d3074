import { oneLine } from "../../lib/text.js"
import type { Guard, GuardPolicy } from "./configuration.js"
import type { Refusal } from "./guards.js"
import { type Authors, identitiesOf, type Identity, identityOfUser } from "./identities.js"

/** Who overrides guards, and of which change. */
export interface Overrider {
  /** The user and the groups, as the API server knows them. */
  who: string
  groups: string[]
  authors: Authors
  identities: Identity[]
  /** The policies that must all allow it: the committed one, and the one in effect. */
  policies: GuardPolicy[]
}

/** The least length of a reason to override guards, in letters and digits of an alphabet, and how many must differ. */
const leastReason = { letters: 10, different: 5 }
/** A character of these scripts is a syllable or a word. */
const dense =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}\p{Script=Yi}\p{Script=Ethiopic}\p{Script=Cherokee}\p{Script=Canadian_Aboriginal}\p{Script=Vai}]/u

/**
 * Overrides the guards that this user may override. The others stand, each with who may.
 *
 * @throws Error when the reason is too short for others to judge it
 */
export function applyOverride(
  refusals: Refusal[],
  reason: string,
  by: Overrider,
): { overridden: Refusal[]; standing: Refusal[] } {
  refusePoorReason(reason)
  const [overridden, standing]: [Refusal[], Refusal[]] = [[], []]
  for (const refusal of refusals) {
    const against = refusal.overridable ? overrideObjection(refusal.guard, by) : undefined
    if (refusal.overridable && against === undefined) overridden.push(refusal)
    else
      standing.push(against === undefined ? refusal : { ...refusal, reason: `${refusal.reason}; ${against}` })
  }
  return { overridden, standing }
}

/** @throws Error when a reason is too short for others to judge it */
export function refusePoorReason(reason: string): void {
  // Many scripts write vowels as marks on their letters.
  const characters = reason.toLowerCase().match(/[\p{L}\p{Mc}\p{Mn}\p{N}]/gu) ?? []
  const letters = characters.reduce((sum, character) => sum + (dense.test(character) ? 2 : 1), 0)
  if (letters >= leastReason.letters && new Set(characters).size >= leastReason.different) return
  throw new Error(
    `"${oneLine(reason)}" is no reason to override a guard; allowed: one that others can judge, of at least ${leastReason.letters} letters and digits, such as "fixes the failing login, agreed with Ada"`,
  )
}

/** Why this user may not override a guard; undefined when they may. */
export function overrideObjection(guard: Guard, by: Overrider): string | undefined {
  const { who, policies } = by
  if (guard === "environment") return "nobody may override it"
  const denied = policies.find(({ overrides }) => !overrides[guard].some((subject) => isSubject(subject, by)))
  if (denied) return `${oneLine(who, 100)} may not override it; ${mayOverride(guard, denied)}`
  if (
    guard !== "approval" ||
    policies.every(({ overrides }) => overrides.ownChanges.some((one) => isSubject(one, by)))
  )
    return undefined
  const own = isOwnChange(by)
  return own === undefined
    ? undefined
    : `${oneLine(who, 100)} may not override it: ${own}; guards.overrides.ownChanges says who may all the same`
}

/** Who may override a guard, for messages. */
export const mayOverride = (guard: Guard, { overrides }: GuardPolicy): string => {
  const allowed = guard === "environment" ? [] : overrides[guard]
  return `allowed: ${allowed.join(", ") || "nobody"} (guards.overrides.${guard})`
}

const isSubject = (subject: string, { who, groups }: Overrider) =>
  subject.startsWith("group:") ? groups.includes(subject.slice("group:".length)) : subject === who

/** Why the change may be the overrider's own; undefined when it is certainly not. */
function isOwnChange({ who, authors, identities }: Overrider): string | undefined {
  if ("unknown" in authors) return "it is not known who wrote the change"
  const self = identityOfUser(who, identities)
  if (!self) return "deploy.yaml does not say who they are (identities, kubernetes)"
  const people = ("known" in authors ? authors.known : []).map((author) => identitiesOf(author, identities))
  if (people.some((found) => found.includes(self))) return "they wrote the change"
  return people.some((found) => found.length === 0) ? "not every author of the change is known" : undefined
}
