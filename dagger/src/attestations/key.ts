import { createPrivateKey, type KeyObject, scryptSync } from "node:crypto"
import { xsalsa20poly1305 } from "@noble/ciphers/salsa.js"
import { z } from "zod"
import { keyEntries } from "./entries.js"

const allowed =
  "a private key of the curve P-256 as PEM, in quotes over several lines or in base64: what `openssl ecparam -name prime256v1 -genkey` or `cosign generate-key-pair` make"

/** How cosign encrypts a key. */
const encrypted = z.object({
  kdf: z.object({
    name: z.literal("scrypt"),
    params: z.object({
      N: z.int().min(2).max(1_048_576),
      r: z.int().min(1).max(32),
      p: z.int().min(1).max(16),
    }),
    salt: z.base64(),
  }),
  cipher: z.object({ name: z.literal("nacl/secretbox"), nonce: z.base64() }),
  ciphertext: z.base64(),
})

/**
 * Reads a key that signs: unencrypted, or as cosign encrypts it.
 *
 * @param text PEM, or PEM in base64
 * @param password of a key of cosign's
 * @throws Error without anything of the key
 */
export function readPrivateKey(text: string, password: string | undefined): KeyObject {
  const pem = text.includes("-----BEGIN") ? text : Buffer.from(text, "base64").toString()
  const [, kind = "", body = ""] = /-----BEGIN ([A-Z ]+)-----([^-]*)-----END \1-----/.exec(pem) ?? []
  let key: KeyObject
  if (/^ENCRYPTED (COSIGN|SIGSTORE) PRIVATE KEY$/.test(kind)) key = decrypted(body, password)
  else {
    // OpenSSL writes the curve's name before the key.
    const own = pem.replace(/-----BEGIN EC PARAMETERS-----[^-]*-----END EC PARAMETERS-----/, "")
    try {
      key = createPrivateKey({ key: own, ...(password !== undefined && { passphrase: password }) })
    } catch {
      throw new Error(`${keyEntries.key} cannot be read; allowed: ${allowed}`)
    }
  }
  if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    const { namedCurve } = key.asymmetricKeyDetails ?? {}
    throw new Error(
      `${keyEntries.key} is of the kind ${namedCurve ?? key.asymmetricKeyType ?? "unknown"}; allowed: ${allowed}`,
    )
  }
  return key
}

function decrypted(body: string, password: string | undefined): KeyObject {
  if (password === undefined)
    throw new Error(
      `${keyEntries.key} is encrypted: add ${keyEntries.password}=… to the file given with --secrets`,
    )
  let box: z.output<typeof encrypted>
  try {
    box = encrypted.parse(JSON.parse(Buffer.from(body, "base64").toString()))
  } catch {
    throw new Error(`${keyEntries.key} is encrypted in a way that is not cosign's; allowed: ${allowed}`)
  }
  const { N, r, p } = box.kdf.params
  const bytes = (base64: string) => Buffer.from(base64, "base64")
  const secret = scryptSync(password, bytes(box.kdf.salt), 32, { N, r, p, maxmem: 256 * N * r })
  let der: Uint8Array
  try {
    der = xsalsa20poly1305(secret, bytes(box.cipher.nonce)).decrypt(bytes(box.ciphertext))
  } catch {
    throw new Error(`${keyEntries.password} is not the password of ${keyEntries.key}`)
  }
  return createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs8" })
}
