/** Minutes as a person says them: "45 min", "1 h 30 min". */
export function duration(minutes: number): string {
  const hours = Math.floor(minutes / 60)
  const rest = minutes % 60
  if (hours === 0) return `${rest} min`
  return rest === 0 ? `${hours} h` : `${hours} h ${rest} min`
}

const dates = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric" })

/** The day of an ISO timestamp: "3 March 2025". */
export function day(timestamp: string): string {
  return dates.format(new Date(timestamp))
}
