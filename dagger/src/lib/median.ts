/** The middle one of values, or the mean of the two in the middle; NaN of none. */
export function median(values: number[]): number {
  const sorted = Float64Array.from(values).sort()
  const half = sorted.length / 2
  return ((sorted[Math.ceil(half) - 1] ?? NaN) + (sorted[Math.floor(half)] ?? NaN)) / 2
}
