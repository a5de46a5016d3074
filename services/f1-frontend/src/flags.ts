import type { FlagDeclarations } from "@f1/frontend-kit"

/** What can be turned on where the dashboard is deployed. */
export const flags = {
  tableDownload: "Each table has a button that saves it as a CSV file.",
} as const satisfies FlagDeclarations
