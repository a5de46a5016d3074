import { PackageURL } from "packageurl-js"

/**
 * Whether two package URLs name the same package. What `wanted` leaves open (version, qualifiers) matches anything.
 *
 * @param found as a scanner wrote it; one that is not a package URL matches nothing
 */
export function samePackage(wanted: string, found: string): boolean {
  const [one, other] = [parsePackage(wanted), parsePackage(found)]
  if (!one || !other) return false
  return (
    one.type === other.type &&
    (one.namespace ?? "") === (other.namespace ?? "") &&
    one.name === other.name &&
    (one.version === undefined || one.version === other.version) &&
    Object.entries(one.qualifiers ?? {}).every(([key, value]) => other.qualifiers?.[key] === value)
  )
}

/** A package URL in its parts, normalised as its type asks for; undefined for anything else. */
export function parsePackage(url: string): PackageURL | undefined {
  try {
    return PackageURL.fromString(url)
  } catch {
    return undefined
  }
}
