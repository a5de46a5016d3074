import picomatch from "picomatch"
import { stringify } from "yaml"
import { oneLine } from "../../lib/text.js"
import type { Ignore } from "./configuration.js"
import { samePackage } from "./package-url.js"

/** The ignores of one gate, as of a day. */
export interface Ignores {
  active: Ignore[]
  expired: Ignore[]
}

/** What an ignore can be held against. */
export interface Ignorable {
  id: string
  file?: string
  /** A package URL. */
  package?: string
}

/** The ignores of a gate: an ignore holds to the end of its last day, in UTC. */
export function ignoresOf(ignores: Ignore[], gate: string, now: Date): Ignores {
  const today = now.toISOString().slice(0, 10)
  const own = ignores.filter(({ gates }) => gates.includes(gate))
  return {
    active: own.filter(({ expires }) => expires >= today),
    expired: own.filter(({ expires }) => expires < today),
  }
}

/** Ignores in Trivy's format. Those that have expired are not among them, so what Trivy is asked changes with the day that one expires on. */
export function trivyIgnores(active: Ignore[]): string {
  const entries = active.map(({ id, package: purl, path, reason }) => ({
    id,
    ...(purl !== undefined && { purls: [purl] }),
    ...(path !== undefined && { paths: [path] }),
    statement: reason,
  }))
  return stringify({ vulnerabilities: entries, misconfigurations: entries, secrets: entries })
}

/** The ignore that a finding falls under, if there is one. */
export function ignoredBy(found: Ignorable, active: Ignore[]): Ignore | undefined {
  return active.find(
    ({ id, package: purl, path }) =>
      id === found.id &&
      (purl === undefined || (found.package !== undefined && samePackage(purl, found.package))) &&
      (path === undefined || (found.file !== undefined && matches(path, found.file))),
  )
}

/** What there is to say of ignores beside what they hide: that one has expired, or that there is nothing for it to hide. */
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
 * Whether a path matches a glob pattern of `*`, `**`, `?`, `[abc]` and `{a,b}`, as Trivy reads them; `\` takes the next character as it is.
 *
 * Parentheses are those of a file's name, as in `app/(shop)/page.tsx`.
 */
export function matches(pattern: string, path: string): boolean {
  const literal = pattern.replace(/(?<!\\)[()]/g, "\\$&")
  return picomatch.isMatch(path, literal, { dot: true, noextglob: true, nonegate: true })
}
