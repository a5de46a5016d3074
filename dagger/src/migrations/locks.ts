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

/** Whether services that read or write a table wait for a session with this lock on it. */
export function blocksServices(mode: string): boolean {
  const at = lockModes.indexOf(mode as LockMode)
  if (at < 0) throw new Error(`PostgreSQL has no lock mode ${mode}; known: ${lockModes.join(", ")}`)
  return at >= lockModes.indexOf("ShareLock")
}
