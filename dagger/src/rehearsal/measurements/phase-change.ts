/** The state that a rollout entered at one moment. */
export interface PhaseChange {
  /** Milliseconds since the epoch, on the same clock as requests. */
  at: number
  phase: string
  /** Percentage of requests routed to the candidate. */
  weight: number
}

/** Appends a state if it differs from the latest one. */
export function appendChange(changes: PhaseChange[], { phase, weight }: Omit<PhaseChange, "at">): void {
  const latest = changes.at(-1)
  if (latest?.phase !== phase || latest.weight !== weight) changes.push({ at: Date.now(), phase, weight })
}
