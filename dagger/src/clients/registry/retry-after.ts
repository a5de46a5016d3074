/** Milliseconds by unit, as Go writes durations: some registries send those instead of seconds. */
const units: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
}

/**
 * Reads the header Retry-After: seconds, a date, or a duration with its unit such as `35.852µs`.
 *
 * @param now milliseconds since the epoch
 * @returns milliseconds; undefined for a text that is none of these
 */
export function retryAfter(text: string, now: number): number | undefined {
  // HTTP has no UTF-8: its two bytes of µ arrive as two characters.
  const trimmed = text.trim().replaceAll("Âµ", "µ").replaceAll("Î¼", "μ")
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed) * 1_000
  const parts = [...trimmed.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h)/g)]
  if (parts.length > 0 && parts.map(([part]) => part).join("") === trimmed)
    return parts.reduce((sum, [, amount, unit = ""]) => sum + Number(amount) * (units[unit] ?? 0), 0)
  const date = /[a-z]{3}/i.test(trimmed) ? Date.parse(trimmed) : NaN
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
