import { createHash, scryptSync } from "node:crypto"

/** Digest of plain data that does not depend on the order of keys, such as `sha256:…`. */
export function digestOfData(data: unknown): string {
  return `sha256:${createHash("sha256")
    .update(JSON.stringify(canonical(data)))
    .digest("hex")}`
}

function canonical(data: unknown): unknown {
  if (Array.isArray(data)) return data.map(canonical)
  if (typeof data !== "object" || data === null) return data
  const entries = Object.entries(data).filter(([, value]) => value !== undefined)
  return Object.fromEntries(
    entries.sort(([one], [other]) => (one < other ? -1 : 1)).map(([key, value]) => [key, canonical(value)]),
  )
}

/** Work of one guess at secrets that somebody knows the digest of. */
const scryptCost = { N: 4096, r: 8, p: 1 }
/** What was computed, by scope and secrets: a command asks for the same several times. */
const known = new Map<string, string>()

/**
 * A digest of the values of all secrets of a service together: equal digests are equal secrets. It is slow to compute and covers the service's signing key, so that a
 * weak password among them cannot be guessed from it.
 *
 * @param scope the namespace and the service, so that equal secrets elsewhere have another digest
 */
export function secretsDigest(scope: string, secrets: Record<string, string>): string {
  const text = JSON.stringify(Object.entries(secrets).sort(([one], [other]) => (one < other ? -1 : 1)))
  const key = JSON.stringify([scope, text])
  const digest =
    known.get(key) ?? `scrypt:${scryptSync(text, `pitwall/${scope}`, 32, scryptCost).toString("hex")}`
  known.set(key, digest)
  return digest
}
