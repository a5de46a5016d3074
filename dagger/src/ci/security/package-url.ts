import { PackageURL } from "packageurl-js"

/**
 * Whether two package URLs name the same package. A version or qualifier that `wanted` omits matches any.
 *
 * @param found as the scanner wrote it; text that is not a package URL matches nothing
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

/** Parses and normalises a package URL; undefined for any other text. */
export function parsePackage(url: string): PackageURL | undefined {
  try {
    return PackageURL.fromString(url)
  } catch {
    return undefined
  }
}
