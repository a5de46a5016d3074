import { z } from "zod"

// YAML reads a whole number as a number.
const quantity = (pattern: RegExp, allowed: string) =>
  z
    .union([z.string(), z.number()], { error: allowed })
    .transform(String)
    .refine((text) => pattern.test(text) && amountOf(text) > 0, allowed)
/** An amount of CPU in a configuration file. */
export const cpu = quantity(/^(\d+m|\d+(\.\d{1,3})?)$/, "an amount of CPU, such as 250m or 1.5")

/** An amount of memory or disk in a configuration file. */
export const memory = quantity(/^\d+([KMGT]i|[kMGT])$/, "an amount of memory, such as 256Mi or 2Gi")

const factors: Record<string, number> = {
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
}

/** The number that a quantity such as `250m` or `256Mi` means. */
export function amountOf(text: string): number {
  const [, number = "", suffix = ""] = /^([\d.]+)(\D*)$/.exec(text) ?? []
  return Number(number) * (factors[suffix] ?? 1)
}
