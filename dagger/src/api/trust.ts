import type { File } from "@dagger.io/dagger"
import type { Trust } from "../attestations/trust.js"

/** Which images to verify, and whose signatures count. */
export interface VerifyRequest {
  images: string[]
  /** An environment whose settings say whose signatures count; empty: none. */
  env: string
  publicKey?: File
  /** Empty: none. */
  identity: string
  issuer: string
  trustedRoot?: File
  /** The commit that they must be built from; empty: any. */
  commit: string
  platforms: string[]
}

const allowed = "one of --env, --public-key, or --identity with --issuer"

/**
 * Whose signatures count.
 *
 * @param configured reads the settings of the environment
 * @throws Error when nothing or too much says it
 */
export async function trustOf(
  { env, publicKey, identity, issuer, trustedRoot }: VerifyRequest,
  configured: () => Promise<Trust | undefined>,
): Promise<Trust> {
  const keyless = identity !== "" || issuer !== ""
  if ([env !== "", publicKey !== undefined, keyless].filter(Boolean).length !== 1)
    throw new Error(`say whose signatures count; allowed: ${allowed}`)
  if (publicKey) return { publicKey: await publicKey.contents() }
  const root = await trustedRoot?.contents()
  if (env !== "") {
    const trust = await configured()
    if (trust) return "identity" in trust && root !== undefined ? { ...trust, root } : trust
    throw new Error(
      `environments.${env}.guards.signatures in deploy.yaml does not say whose signatures count`,
    )
  }
  if (identity === "" || issuer === "")
    throw new Error(`--identity and --issuer go together; allowed: ${allowed}`)
  return { identity, issuer, ...(root !== undefined && { root }) }
}
