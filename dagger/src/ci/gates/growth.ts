import { count } from "../../lib/text.js"

/** Sizes in bytes, by what has them. */
export type Sizes = Record<string, number>

/** What is named at most. */
const most = 12

/** The sum of sizes. */
export const total = (sizes: Sizes): number => Object.values(sizes).reduce((sum, size) => sum + size, 0)

/**
 * A line for each thing that is larger than it was recorded, the largest growth first; nothing when there is none.
 *
 * @param recorded without it, a line for each of the largest things
 * @param thing what each of them is, in the singular
 * @param write writes a number of bytes
 */
export function growth(
  measured: Sizes,
  recorded: Sizes | undefined,
  thing: string,
  write: (bytes: number) => string,
): string[] {
  const line = (name: string, size: number, before: number | undefined) => {
    if (!recorded) return `  ${name}: ${write(size)}`
    if (before === undefined) return `  ${name}: new, ${write(size)}`
    return `  ${name}: ${write(before)} → ${write(size)}, ${write(size - before)} more`
  }
  const grown = Object.entries(measured)
    .map(([name, size]) => ({ name, size, before: recorded?.[name], more: size - (recorded?.[name] ?? 0) }))
    .filter(({ more }) => more > 0)
    .sort((one, other) => other.more - one.more || (one.name < other.name ? -1 : 1))
  const left = grown.length - most
  return [
    ...grown.slice(0, most).map(({ name, size, before }) => line(name, size, before)),
    ...(left > 0 ? [`  and ${count(left, `other ${thing}`)}`] : []),
  ]
}
