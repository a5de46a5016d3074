import type { LicencePolicy, Ignore } from "./configuration.js"
import { ignoredBy, samePackage } from "./ignores.js"
import type { ScanResult, ScannerFinding } from "./policy.js"
import type { Licensed } from "./trivy.js"
import { count } from "../../lib/text.js"

/** What a policy says of a licence; "undecided" of one that it does not name. */
export type Standing = "allowed" | "undecided" | "forbidden"
const standings: Standing[] = ["allowed", "undecided", "forbidden"]

/** Holds the licences of packages against a policy. */
export function examineLicences(packages: Licensed[], policy: LicencePolicy, active: Ignore[]): ScanResult {
  const used = new Set<Ignore>()
  let ignored = 0
  const found = packages.flatMap((one): ScannerFinding[] => {
    const expression = expressionOf(one, policy)
    const standing = expression === "" ? "undecided" : standingOf(expression, policy)
    if (standing === "allowed") return []
    const id = expression || "no licence"
    const ignore = ignoredBy({ id, ...one }, active)
    if (ignore) {
      used.add(ignore)
      ignored++
      return []
    }
    return [
      {
        id,
        severity: standing === "forbidden" ? "critical" : "high",
        title: advice(standing, expression),
        file: one.file,
        version: one.name,
        ...(one.package !== undefined && { package: one.package }),
      },
    ]
  })
  return { found, ignored, used, looked: [count(packages.length, "package")] }
}

function advice(standing: Standing, expression: string): string {
  if (standing === "forbidden") return "its licence is forbidden"
  return expression === ""
    ? 'it names no licence: find out which, and clarify it under "licences"'
    : 'its licence is neither allowed nor forbidden: decide under "licences"'
}

/** Several licences that a package lists hold together: whoever knows that one may choose clarifies it. */
function expressionOf({ package: purl, licences }: Licensed, { clarified }: LicencePolicy): string {
  const clear = clarified.find((one) => purl !== undefined && samePackage(one.package, purl))
  if (clear) return clear.licence
  const [only = "", ...more] = licences
  return more.length === 0 ? only : licences.map((licence) => `(${licence})`).join(" AND ")
}

/** What a policy says of an SPDX expression: the best of alternatives, the worst of what holds together. */
export function standingOf(
  expression: string,
  policy: Pick<LicencePolicy, "allowed" | "forbidden">,
): Standing {
  const words = expression.match(/\(|\)|[^\s()]+/g) ?? []
  let at = 0
  const is = (word: string) => words[at]?.toUpperCase() === word

  const either = (): Standing => {
    let standing = both()
    while (is("OR")) {
      at++
      standing = bySide(standing, both(), Math.min)
    }
    return standing
  }
  const both = (): Standing => {
    let standing = one()
    while (is("AND")) {
      at++
      standing = bySide(standing, one(), Math.max)
    }
    return standing
  }
  const one = (): Standing => {
    if (is("(")) {
      at++
      const standing = either()
      at++
      return standing
    }
    const licence = words[at++] ?? ""
    // An exception only ever allows more.
    if (is("WITH")) at += 2
    return ofOne(licence, policy)
  }
  const standing = either()
  // Words that are left are no SPDX expression, as "Apache License 2.0": a name as a whole.
  return at === words.length ? standing : ofOne(expression, policy)
}

function bySide(one: Standing, other: Standing, choose: (one: number, other: number) => number): Standing {
  return standings[choose(standings.indexOf(one), standings.indexOf(other))] ?? "undecided"
}

function ofOne(
  licence: string,
  { allowed, forbidden }: Pick<LicencePolicy, "allowed" | "forbidden">,
): Standing {
  const named = (list: string[]) =>
    list.some((name) =>
      name.endsWith("*")
        ? licence.toLowerCase().startsWith(name.slice(0, -1).toLowerCase())
        : licence.toLowerCase() === name.toLowerCase(),
    )
  if (named(allowed)) return "allowed"
  return named(forbidden) ? "forbidden" : "undecided"
}
