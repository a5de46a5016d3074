import type { Verdict } from "./verdict.js"

/** What the order of gates depends on. */
export interface Step {
  name: string
  /** Gates that must pass before this one is worth running. */
  needs?: string[]
}

/** How a run of gates is to go. */
export interface Policy {
  /** How many gates run at the same time. */
  parallel: number
  /** Start nothing more once a gate has failed. */
  failFast: boolean
}

/** What the scheduler reads of a gate's result. */
export interface Result {
  verdict: Pick<Verdict, "outcome">
}

/**
 * Runs each gate once what it needs has passed, in the order given where there is a choice.
 *
 * @param run runs a gate; never throws
 * @param skip what to record of a gate that is not run, and why
 * @returns the results in the order of the gates
 * @throws Error when a gate needs one that is not there, or needs go round in a circle
 */
export async function schedule<Gate extends Step, Done extends Result>(
  gates: Gate[],
  run: (gate: Gate) => Promise<Done>,
  skip: (gate: Gate, reason: string) => Done,
  { parallel, failFast }: Policy,
): Promise<Done[]> {
  inOrder(gates)
  const done = new Map<string, Done>()
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
        const step: Promise<void> = run(gate).then((result) => {
          done.set(gate.name, result)
          running.delete(step)
        })
        running.add(step)
      }
    }
    // A skip may have decided others that stand before it in the list.
    if (running.size > 0) await Promise.race(running)
  }
  return gates.map(({ name }) => done.get(name)).filter((result) => result !== undefined)
}

/** Fails early on what would otherwise wait for ever. */
function inOrder(gates: Step[]): void {
  const byName = new Map(gates.map((gate) => [gate.name, gate]))
  const settled = new Set<string>()
  const visit = (gate: Step, path: string[]) => {
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
