import { z } from "zod"

const units: Record<string, number> = { s: 1, m: 60, h: 3600 }

/**
 * The seconds of a duration such as `90s`, `5m` or `1h30m`.
 *
 * @throws Error when it is none, or none at all
 */
export function secondsOf(text: string): number {
  const parts = [...text.matchAll(/(\d+)([smh])/g)]
  const seconds = parts.reduce((sum, [, number, unit = ""]) => sum + Number(number) * (units[unit] ?? 0), 0)
  if (seconds === 0 || parts.map(([part]) => part).join("") !== text) {
    throw new Error(`"${text}" is no duration; it is a number and a unit (s, m, h), such as 90s, 5m or 1h30m`)
  }
  return seconds
}

/** A duration in a configuration file, such as `90s` or `5m`, in seconds; `0s` turns the thing off. */
export const duration = z.string().transform((text, context) => {
  if (text === "0s") return 0
  try {
    return secondsOf(text)
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as Error).message })
    return z.NEVER
  }
})
