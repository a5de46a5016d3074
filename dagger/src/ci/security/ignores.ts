import picomatch from "picomatch"
import { stringify } from "yaml"
import { oneLine } from "../../lib/text.js"
import type { Ignore } from "./configuration.js"
import { samePackage } from "./package-url.js"

/** The ignores of one gate on a day. */
export interface Ignores {
  active: Ignore[]
  expired: Ignore[]
}

/** The properties of a finding that ignores match. */
export interface Ignorable {
  id: string
  file?: string
  /** A package URL. */
  package?: string
}

/** The ignores of a gate. An ignore ends with its last day, in UTC. */
export function ignoresOf(ignores: Ignore[], gate: string, now: Date): Ignores {
  const today = now.toISOString().slice(0, 10)
  const own = ignores.filter(({ gates }) => gates.includes(gate))
  return {
    active: own.filter(({ expires }) => expires >= today),
    expired: own.filter(({ expires }) => expires < today),
  }
}

/** Writes active ignores in Trivy's format. The text changes only on a day that one expires, so results stay cached until then. */
export function trivyIgnores(active: Ignore[]): string {
  const entries = active.map(({ id, package: purl, path, reason }) => ({
    id,
    ...(purl !== undefined && { purls: [purl] }),
    ...(path !== undefined && { paths: [path] }),
    statement: reason,
  }))
  return stringify({ vulnerabilities: entries, misconfigurations: entries, secrets: entries })
}

/** The first ignore that matches a finding. */
export function ignoredBy(found: Ignorable, active: Ignore[]): Ignore | undefined {
  return active.find(
    ({ id, package: purl, path }) =>
      id === found.id &&
      (purl === undefined || (found.package !== undefined && samePackage(purl, found.package))) &&
      (path === undefined || (found.file !== undefined && matches(path, found.file))),
  )
}

/** Remarks about ignores that have expired or match nothing. */
export function remarks({ active, expired }: Ignores, used: Set<Ignore>): string[] {
  return [
    ...expired.map(
      ({ id, expires, reason }) => `the ignore of ${id} expired on ${expires} (${oneLine(reason, 80)})`,
    ),
    ...active
      .filter((ignore) => !used.has(ignore))
      .map(({ id }) => `the ignore of ${id} matches nothing: remove it`),
  ]
}

/**
 * Whether a path matches a glob pattern of `*`, `**`, `?`, `[abc]` and `{a,b}`, as in Trivy. `\` escapes a character.
 *
 * Parentheses are literal, as in `app/(shop)/page.tsx`.
 */
export function matches(pattern: string, path: string): boolean {
  const literal = pattern.replace(/(?<!\\)[()]/g, "\\$&")
  return picomatch.isMatch(path, literal, { dot: true, noextglob: true, nonegate: true })
}
