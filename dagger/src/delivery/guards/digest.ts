import { createHash } from "node:crypto"

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
