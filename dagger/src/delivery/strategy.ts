/** How traffic moves to a new revision: all at once, or step by step. The only list of strategies. */
export const strategies = ["blue-green", "canary"] as const
export type Strategy = (typeof strategies)[number]

/** @throws Error that lists the strategies, for any other text */
export function readStrategy(text: string): Strategy {
  const found = strategies.find((strategy) => strategy === text)
  if (!found) throw new Error(`there is no strategy "${text}"; allowed: ${strategies.join(", ")}`)
  return found
}
