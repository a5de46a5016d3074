import { createFlags } from "@f1/frontend-kit"
import { flags } from "./flags.ts"

export const { FlagsContext, useFlag } = createFlags(flags)
