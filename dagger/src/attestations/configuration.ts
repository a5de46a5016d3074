import { z } from "zod"
import { section } from "../lib/document.js"
import { readPublicKey } from "./public-key.js"

const isPublicKey = (pem: string) => {
  try {
    readPublicKey(pem)
    return true
  } catch {
    return false
  }
}

const allowed =
  "publicKey (of the curve P-256, as PEM), or identity and issuer: the whole address of a workflow with its ref, such as https://github.com/owner/repository/.github/workflows/pipeline.yml@refs/heads/main, and https://token.actions.githubusercontent.com"

/** Whose signatures count; see `dagger/config/deploy.yaml`. */
export const signaturesSection = section({
  publicKey: z.string().refine(isPublicKey, allowed).optional(),
  // The whole of it: nothing that begins or ends so is the same.
  identity: z
    .string()
    .regex(/^(https:\/\/\S+|\S+@\S+)$/, allowed)
    .optional(),
  issuer: z.url({ protocol: /^https$/, error: allowed }).optional(),
}).transform(({ publicKey, identity, issuer }, context) => {
  if (publicKey !== undefined && identity === undefined && issuer === undefined) return { publicKey }
  if (publicKey === undefined && identity !== undefined && issuer !== undefined) return { identity, issuer }
  context.addIssue({ code: "custom", message: allowed })
  return z.NEVER
})
