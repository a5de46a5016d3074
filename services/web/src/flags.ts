import type { FlagDeclarations } from "@f1/frontend-kit"

/** What can be turned on where the app is deployed. */
export const flags = {
  printView:
    "A recipe has a button that prints it on its own, without its picture, for as many servings as are chosen.",
} as const satisfies FlagDeclarations
