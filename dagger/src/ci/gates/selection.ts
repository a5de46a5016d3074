import type { Gate } from "../runner/gate.js"

type Named = Pick<Gate, "name" | "needs">

/** The service that a gate belongs to, or another group such as `module`. */
export function groupOf({ name }: Named): string {
  return name.split(":", 1)[0] ?? name
}

/** The gates of these names, with all gates that they need. */
export function withNeeds<One extends Named>(gates: One[], names: string[]): One[] {
  const wanted = new Set(names)
  // The set grows during the loop, because a needed gate may have needs of its own.
  for (const name of wanted) {
    gates.find((gate) => gate.name === name)?.needs?.forEach((need) => wanted.add(need))
  }
  return gates.filter(({ name }) => wanted.has(name))
}

/**
 * The gates of some groups, without the gates that they need.
 *
 * @param groups all groups, if empty
 * @throws Error that lists the groups, for an unknown one
 */
export function inGroups<One extends Named>(gates: One[], groups: string[]): One[] {
  if (groups.length === 0) return gates
  const known = [...new Set(gates.map(groupOf))]
  const unknown = groups.filter((group) => !known.includes(group))
  if (unknown.length > 0) {
    const quoted = unknown.map((group) => `"${group}"`).join(", ")
    throw new Error(`there are no gates for ${quoted}; allowed: ${known.join(", ")}`)
  }
  return gates.filter((gate) => groups.includes(groupOf(gate)))
}

/**
 * The gate of a name.
 *
 * @throws Error that lists the names, for an unknown one
 */
export function gateNamed<One extends Named>(gates: One[], name: string): One {
  const gate = gates.find((one) => one.name === name)
  if (!gate) {
    throw new Error(`there is no gate "${name}"; allowed: ${gates.map((one) => one.name).join(", ")}`)
  }
  return gate
}
