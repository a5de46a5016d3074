import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto"

/**
 * Reads a private key for signatures: PEM of Ed25519 or an elliptic curve.
 *
 * @param name of the secret, for messages
 * @throws Error that does not show the key
 */
export function signingKey(name: string, pem: string): KeyObject {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    throw new Error(`${name} is no private key; allowed: ${allowed}`)
  }
  if (!isUsable(key))
    throw new Error(`${name} is a key for ${String(key.asymmetricKeyType)}; allowed: ${allowed}`)
  return key
}

/** Reads a public key; undefined for a text that is none. */
export function trustedKey(pem: string): KeyObject | undefined {
  try {
    const key = createPublicKey(pem)
    // A private key can be read as its public one, and does not belong into a configuration.
    return isUsable(key) && !pem.includes("PRIVATE KEY") ? key : undefined
  } catch {
    return undefined
  }
}

const allowed = "PEM, as openssl genpkey -algorithm ed25519 prints it"
const isUsable = ({ asymmetricKeyType: type }: KeyObject) => type === "ed25519" || type === "ec"
