import parse, { type Info } from "spdx-expression-parse"
import type { LicencePolicy, Ignore } from "./configuration.js"
import { ignoredBy } from "./ignores.js"
import { samePackage } from "./package-url.js"
import type { ScanResult, ScannerFinding } from "./policy.js"
import type { Licensed } from "./trivy.js"
import { count } from "../../lib/text.js"

/** The policy's answer for a licence: "undecided" if it does not list it. */
export type Standing = "allowed" | "undecided" | "forbidden"
const standings: Standing[] = ["allowed", "undecided", "forbidden"]

/**
 * Checks the licences of packages against the policy.
 *
 * @throws Error if there is no package: packages are always delivered, so the scanner missed them
 */
export function examineLicences(packages: Licensed[], policy: LicencePolicy, active: Ignore[]): ScanResult {
  if (packages.length === 0) throw new Error("Trivy saw no package at all")
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

/** If a package lists several licences, all apply. If there is a choice, a person records it under `clarified`. */
function expressionOf({ package: purl, licences }: Licensed, { clarified }: LicencePolicy): string {
  const clear = clarified.find((one) => purl !== undefined && samePackage(one.package, purl))
  if (clear) return clear.licence
  const [only = "", ...more] = licences
  return more.length === 0 ? only : licences.map((licence) => `(${licence})`).join(" AND ")
}

/** The policy's answer for an SPDX expression: the best of an OR, the worst of an AND. */
export function standingOf(expression: string, policy: Lists): Standing {
  const parsed = parseExpression(expression)
  // "Apache License 2.0" is not an SPDX expression, but the policy may list it by name.
  return parsed ? standing(parsed, policy) : ofOne(expression, policy)
}

type Lists = Pick<LicencePolicy, "allowed" | "forbidden">

/** Characters. The parser takes quadratic time; real expressions are shorter. */
const longest = 2000

function parseExpression(expression: string): Info | undefined {
  if (expression.length > longest) return undefined
  try {
    return parse(expression.replace(/\s+/g, " "))
  } catch {
    return undefined
  }
}

function standing(node: Info, policy: Lists): Standing {
  if ("conjunction" in node) {
    const both = [standing(node.left, policy), standing(node.right, policy)].map((one) =>
      standings.indexOf(one),
    )
    return standings[node.conjunction === "or" ? Math.min(...both) : Math.max(...both)] ?? "undecided"
  }
  // An exception only allows more than its licence, so the licence decides.
  if (!node.plus) return ofOne(node.license, policy)
  const orLater = ofOne(`${node.license}+`, policy)
  return orLater === "undecided" ? ofOne(node.license, policy) : orLater
}

function ofOne(licence: string, { allowed, forbidden }: Lists): Standing {
  const named = (list: string[]) =>
    list.some((name) =>
      name.endsWith("*")
        ? licence.toLowerCase().startsWith(name.slice(0, -1).toLowerCase())
        : licence.toLowerCase() === name.toLowerCase(),
    )
  if (named(allowed)) return "allowed"
  return named(forbidden) ? "forbidden" : "undecided"
}
