/** Geometry that the charts share. Pure. */

/**
 * Moves labels apart so that neighbours are at least `gap` apart, keeping their order and staying as near to their
 * wanted places as the space from `low` to `high` allows. Returns the places in the order of the input.
 */
export function spread(wanted: number[], gap: number, low: number, high: number): number[] {
  const labels = wanted.map((place, index) => ({ place, index })).sort((a, b) => a.place - b.place)
  let floor = low
  for (const label of labels) {
    label.place = Math.max(label.place, floor)
    floor = label.place + gap
  }
  let ceiling = high
  for (const label of labels.toReversed()) {
    label.place = Math.min(label.place, ceiling)
    ceiling = label.place - gap
  }
  return labels.sort((a, b) => a.index - b.index).map((label) => label.place)
}

/** The lowest and highest of some values with `margin` (a share of their range) of room around them. */
export function paddedExtent(values: number[], margin = 0.08): [number, number] {
  const low = Math.min(...values)
  const high = Math.max(...values)
  const room = (high - low || 1) * margin
  return [low - room, high + room]
}

/** Running sums: [1, 2, 3] → [1, 3, 6]. */
export function cumulative(values: number[]): number[] {
  let sum = 0
  return values.map((value) => (sum += value))
}

/** Every nth item, counted from the end, so that at most `most` are left and the last one always is. */
export function thin<Item>(items: Item[], most: number): Item[] {
  const every = Math.max(1, Math.ceil(items.length / Math.max(1, most)))
  return items.filter((_, index) => (items.length - 1 - index) % every === 0)
}

// Of the normal distribution, for 95 %.
const Z = 1.96

/** The 95 % interval of a rate (0 to 1) seen in `count` trials, after Wilson: sensible for few trials and for 0 and 1. */
export function wilsonInterval(rate: number, count: number): [number, number] {
  const width = Z / (1 + Z ** 2 / count)
  const centre = (rate + Z ** 2 / (2 * count)) / (1 + Z ** 2 / count)
  const half = width * Math.sqrt((rate * (1 - rate)) / count + Z ** 2 / (4 * count ** 2))
  return [Math.max(0, centre - half), Math.min(1, centre + half)]
}
