/** Races in a row as steps of an axis. Pure. */

export interface Step {
  season: number
  round: number
  race: string
}

/** The first index of each season but the first one: where a boundary stands. */
export function seasonBoundaries(steps: Step[]): number[] {
  return steps.flatMap((step, index) =>
    index > 0 && steps[index - 1]?.season !== step.season ? [index] : [],
  )
}

/** Labels under an axis of races: each season's year at its middle when there are several, otherwise the rounds. */
export function stepTicks(steps: Step[]): { x: number; label: string }[] {
  const seasons = [...new Set(steps.map((step) => step.season))]
  if (seasons.length === 1) return steps.map((step, x) => ({ x, label: `R${step.round}` }))
  return seasons.map((season) => {
    const first = steps.findIndex((step) => step.season === season)
    const last = steps.findLastIndex((step) => step.season === season)
    return { x: (first + last) / 2, label: String(season) }
  })
}
