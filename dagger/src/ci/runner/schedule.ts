import type { Verdict } from "./verdict.js"

/** The part of a gate that the order depends on. */
export interface ScheduledGate {
  name: string
  /** Gates that must pass before this one starts. */
  needs?: string[]
}

export interface SchedulePolicy {
  /** How many gates run at the same time. */
  parallel: number
  /** Start no further gate once one has failed. */
  failFast: boolean
}

/** The part of a gate's result that the scheduler reads. */
export interface ScheduledResult {
  verdict: Pick<Verdict, "outcome">
}

/**
 * Runs each gate after the gates it needs have passed, in the given order where there is a choice.
 *
 * @param run runs a gate; never throws
 * @param skip makes the result of a gate that does not run, from the reason
 * @returns the results in the order of the gates
 * @throws Error when a gate needs an unknown gate, or when needs form a cycle
 */
export async function schedule<Gate extends ScheduledGate, Result extends ScheduledResult>(
  gates: Gate[],
  run: (gate: Gate) => Promise<Result>,
  skip: (gate: Gate, reason: string) => Result,
  { parallel, failFast }: SchedulePolicy,
): Promise<Result[]> {
  validateNeeds(gates)
  const done = new Map<string, Result>()
  const waiting = new Set(gates)
  const running = new Set<Promise<void>>()
  const passed = (name: string) => done.get(name)?.verdict.outcome === "passed"
  const firstFailure = () => [...done].find(([, { verdict }]) => verdict.outcome === "failed")?.[0]

  while (waiting.size > 0 || running.size > 0) {
    for (const gate of waiting) {
      const needs = gate.needs ?? []
      const unmet = needs.find((name) => done.has(name) && !passed(name))
      const failure = failFast ? firstFailure() : undefined
      if (unmet !== undefined || failure !== undefined) {
        waiting.delete(gate)
        const reason =
          unmet === undefined ? `stopped: ${String(failure)} failed` : `needs ${unmet}, which did not pass`
        done.set(gate.name, skip(gate, reason))
      } else if (running.size < parallel && needs.every((name) => done.has(name))) {
        waiting.delete(gate)
        const task: Promise<void> = run(gate).then((result) => {
          done.set(gate.name, result)
          running.delete(task)
        })
        running.add(task)
      }
    }
    // A skip may unblock gates that come before it in the list, so the loop repeats even when nothing runs.
    if (running.size > 0) await Promise.race(running)
  }
  return gates.map(({ name }) => done.get(name)).filter((result) => result !== undefined)
}

/** An unknown or circular need would block the schedule for ever. */
function validateNeeds(gates: ScheduledGate[]): void {
  const byName = new Map(gates.map((gate) => [gate.name, gate]))
  const settled = new Set<string>()
  const visit = (gate: ScheduledGate, path: string[]) => {
    if (settled.has(gate.name)) return
    if (path.includes(gate.name))
      throw new Error(`gates need each other: ${[...path, gate.name].join(" → ")}`)
    for (const name of gate.needs ?? []) {
      const needed = byName.get(name)
      if (!needed) throw new Error(`${gate.name} needs ${name}, which is no gate of this run`)
      visit(needed, [...path, gate.name])
    }
    settled.add(gate.name)
  }
  for (const gate of gates) visit(gate, [])
}
