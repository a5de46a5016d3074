/** PostgreSQL's lock modes for tables, weakest first, as pg_locks names them. */
export const lockModes = [
  "AccessShareLock",
  "RowShareLock",
  "RowExclusiveLock",
  "ShareUpdateExclusiveLock",
  "ShareLock",
  "ShareRowExclusiveLock",
  "ExclusiveLock",
  "AccessExclusiveLock",
] as const

export type LockMode = (typeof lockModes)[number]

/** What services wait for while another session holds a lock on a table. */
export type Blocked = "nothing" | "writes" | "reads and writes"

/**
 * What services that read and write a table wait for while a session holds a lock on it. Reads take ACCESS SHARE, writes take ROW EXCLUSIVE.
 *
 * @throws Error for a mode that PostgreSQL does not have
 */
export function blockedBy(mode: string): Blocked {
  const at = lockModes.indexOf(mode as LockMode)
  if (at < 0) throw new Error(`PostgreSQL has no lock mode ${mode}; known: ${lockModes.join(", ")}`)
  if (at >= lockModes.indexOf("AccessExclusiveLock")) return "reads and writes"
  return at >= lockModes.indexOf("ShareLock") ? "writes" : "nothing"
}

/** Whether services that read or write a table wait for a session with this lock on it. */
export const blocksServices = (mode: string): boolean => blockedBy(mode) !== "nothing"

/** The mode as PostgreSQL's manual writes it, such as `SHARE UPDATE EXCLUSIVE`. */
export const lockName = (mode: string): string =>
  mode
    .replace(/Lock$/, "")
    .replace(/\B[A-Z]/g, " $&")
    .toUpperCase()

/** The strongest of some lock modes; undefined for none. */
export function strongest(modes: string[]): string | undefined {
  return [...modes].sort((one, other) => rank(other) - rank(one))[0]
}

const rank = (mode: string) => lockModes.indexOf(mode as LockMode)
