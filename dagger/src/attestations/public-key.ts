import { createHash, createPublicKey, type KeyObject } from "node:crypto"

/**
 * Reads a key that signatures are checked with.
 *
 * @throws Error that says what is allowed
 */
export function readPublicKey(pem: string): KeyObject {
  let key: KeyObject | undefined
  try {
    // A private key is one that somebody has mistaken.
    key = pem.includes("PRIVATE") ? undefined : createPublicKey(pem)
  } catch {
    key = undefined
  }
  if (key?.asymmetricKeyDetails?.namedCurve === "prime256v1") return key
  throw new Error("not a public key of the curve P-256; allowed: PEM, as `cosign public-key` prints it")
}

export const publicKeyOf = (key: KeyObject): string =>
  Buffer.from(createPublicKey(key).export({ type: "spki", format: "pem" })).toString()

/** Names a public key. */
export const fingerprint = (publicKey: string): string =>
  createHash("sha256")
    .update(createPublicKey(publicKey).export({ type: "spki", format: "der" }))
    .digest("base64")
