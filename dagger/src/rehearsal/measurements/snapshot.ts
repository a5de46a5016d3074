/** The state of a rollout from one moment on. */
export interface RolloutSnapshot {
  /** Milliseconds since the epoch, on the same clock as requests. */
  at: number
  phase: string
  /** Percentage of requests routed to the candidate. */
  weight: number
}

/** Appends a state to the snapshots if it differs from the latest one. */
export function appendChange(
  snapshots: RolloutSnapshot[],
  { phase, weight }: Omit<RolloutSnapshot, "at">,
): void {
  const latest = snapshots.at(-1)
  if (latest?.phase !== phase || latest.weight !== weight) snapshots.push({ at: Date.now(), phase, weight })
}
