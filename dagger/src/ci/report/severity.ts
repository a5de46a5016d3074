/** From worst to least. */
export const severities = ["critical", "high", "medium", "low", "note"] as const
export type Severity = (typeof severities)[number]
