import type { Revision } from "./revisions.js"

/**
 * The revision that a rollback from another one goes to: the one that it replaced, if that was proven and is kept; otherwise the one which that replaced, and so on.
 * A revision that was rolled back from is not in this chain.
 *
 * A revision of an older version of this pipeline does not say what it replaced; for it, the newest proven one with a lower number counts.
 */
export function previousRevision(revisions: Revision[], from: number): Revision | undefined {
  const seen = new Set<number>([from])
  let current = revisions.find(({ number }) => number === from)
  while (current?.replaced !== undefined) {
    const { replaced } = current
    if (replaced === "none" || seen.has(replaced)) return undefined
    seen.add(replaced)
    const next = revisions.find(({ number }) => number === replaced)
    if (!next) return undefined
    if (next.outcome === "promoted") return next
    current = next
  }
  const number = current?.number ?? from
  return revisions
    .filter((revision) => revision.outcome === "promoted" && revision.number < number)
    .sort((one, other) => other.number - one.number)[0]
}
