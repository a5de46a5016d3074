import type { KeyObject } from "node:crypto"
import { oneLine } from "../lib/text.js"
import { fingerprint, readPublicKey } from "./public-key.js"
import { payloadType, readStatement, type Statement } from "./statement.js"

/** Whose signatures count. */
export type Trust =
  | { publicKey: string }
  | {
      /** The whole subject of the certificate: an address such as that of a workflow with its ref. Nothing else matches. */
      identity: string
      /** Address of who vouches for the identity, such as `https://token.actions.githubusercontent.com`. */
      issuer: string
      /** A trusted root of Sigstore, as JSON; the public one by default, which is fetched. */
      root?: string
    }

/** A statement that was signed by whom it must be, or why it does not count. */
export type Verified = { statement: Statement } | { fault: string }

/** Verifies bundles. */
export type Verifier = (bundle: string) => Verified

export const trustText = (trust: Trust): string =>
  "publicKey" in trust ? `the key ${fingerprint(trust.publicKey)}` : `${trust.identity} of ${trust.issuer}`

/**
 * A verifier of Sigstore bundles.
 *
 * @throws Error for a key or a trusted root that cannot be read, and when the public root cannot be fetched
 */
export async function verifierFor(trust: Trust): Promise<Verifier> {
  // They take a while to load, and few commands verify.
  const [{ bundleFromJSON, isBundleWithDsseEnvelope }, { toSignedEntity, toTrustMaterial, Verifier }] =
    await Promise.all([import("@sigstore/bundle"), import("@sigstore/verify")])
  const root = await rootOf(trust)
  const key = "publicKey" in trust ? readPublicKey(trust.publicKey) : undefined
  const material = toTrustMaterial(root, () => keyOf(key))
  const thresholds = key ? 0 : 1
  const verifier = new Verifier(material, {
    tlogThreshold: thresholds,
    ctlogThreshold: thresholds,
    timestampThreshold: thresholds,
  })
  const wanted = trustText(trust)
  return (text) => {
    try {
      const bundle = bundleFromJSON(JSON.parse(text))
      if (!isBundleWithDsseEnvelope(bundle)) return { fault: "a signature without a statement" }
      const { payload, payloadType: type } = bundle.content.dsseEnvelope
      const signedByKey = bundle.verificationMaterial.content.$case === "publicKey"
      if (signedByKey !== (key !== undefined))
        return { fault: `signed ${signedByKey ? "by a key" : "without a key"}, not by ${wanted}` }
      const { identity } = verifier.verify(toSignedEntity(bundle))
      if (!("publicKey" in trust)) {
        // The library would take the identity for a regular expression that may match any part.
        const { subjectAlternativeName = "nobody", extensions } = identity ?? {}
        const issuer = extensions?.issuer ?? "nobody"
        if (subjectAlternativeName !== trust.identity || issuer !== trust.issuer)
          return {
            fault: `signed by ${oneLine(`${subjectAlternativeName} of ${issuer}`, 300)}, not by ${wanted}`,
          }
      }
      const statement = type === payloadType ? readStatement(payload.toString()) : undefined
      return statement ? { statement } : { fault: "what was signed is no statement of in-toto" }
    } catch (error) {
      return { fault: `not signed by ${wanted}: ${oneLine((error as Error).message)}` }
    }
  }
}

function keyOf(publicKey: KeyObject | undefined) {
  if (!publicKey) throw new Error("signed by a key")
  return { publicKey, validFor: () => true }
}

async function rootOf(trust: Trust) {
  const { TrustedRoot } = await import("@sigstore/protobuf-specs")
  if ("publicKey" in trust) return TrustedRoot.fromJSON({})
  if (trust.root !== undefined) {
    try {
      return TrustedRoot.fromJSON(JSON.parse(trust.root))
    } catch (error) {
      throw new Error(`the trusted root of Sigstore cannot be read: ${(error as Error).message}`, {
        cause: error,
      })
    }
  }
  const { getTrustedRoot } = await import("@sigstore/tuf")
  try {
    return await getTrustedRoot()
  } catch (error) {
    throw new Error(
      `the trusted root of Sigstore cannot be fetched: ${oneLine((error as Error).message)}; give one with --trusted-root`,
      { cause: error },
    )
  }
}
