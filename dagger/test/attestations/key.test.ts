import { createPrivateKey, generateKeyPairSync, randomBytes, scryptSync } from "node:crypto"
import { xsalsa20poly1305 } from "@noble/ciphers/salsa.js"
import { describe, expect, it } from "vitest"
import { readPrivateKey } from "../../src/attestations/key.js"
import { publicKeyOf, readPublicKey } from "../../src/attestations/public-key.js"
import { keySigner, signerOf } from "../../src/attestations/signer.js"
import { signature } from "../../src/attestations/statement.js"
import { readSecrets } from "../../src/environments/secrets.js"

const key = createPrivateKey(
  generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey.export({ type: "pkcs8", format: "pem" }),
)
const pem = (type: "pkcs8" | "sec1") => key.export({ type, format: "pem" })

/** As cosign encrypts it; the real program's keys are read in cosign.test.ts. */
function encrypted(password: string): string {
  const [salt, nonce] = [randomBytes(32), randomBytes(24)]
  const params = { N: 16_384, r: 8, p: 1 }
  const secret = scryptSync(password, salt, 32, params)
  const ciphertext = xsalsa20poly1305(secret, nonce).encrypt(key.export({ type: "pkcs8", format: "der" }))
  const box = {
    kdf: { name: "scrypt", params, salt: salt.toString("base64") },
    cipher: { name: "nacl/secretbox", nonce: nonce.toString("base64") },
    ciphertext: Buffer.from(ciphertext).toString("base64"),
  }
  const body = Buffer.from(JSON.stringify(box)).toString("base64")
  return `-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n${body}\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n`
}

describe("a key that signs", () => {
  it.each([
    ["PKCS #8", pem("pkcs8")],
    ["SEC 1", pem("sec1")],
    [
      "SEC 1 with the curve before it, as OpenSSL writes it",
      `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${pem("sec1")}`,
    ],
    ["base64 of PEM", Buffer.from(pem("pkcs8")).toString("base64")],
  ])("is read from %s", (_, text) => {
    expect(publicKeyOf(readPrivateKey(text, undefined))).toBe(publicKeyOf(key))
  })

  it("is read as cosign encrypts it, with its password", () => {
    const text = encrypted("a password")
    expect(publicKeyOf(readPrivateKey(text, "a password"))).toBe(publicKeyOf(key))
    expect(() => readPrivateKey(text, "another")).toThrow(
      "SIGNING_PASSWORD is not the password of SIGNING_KEY",
    )
    expect(() => readPrivateKey(text, undefined)).toThrow("SIGNING_KEY is encrypted: add SIGNING_PASSWORD=…")
  })

  it("is of one kind, and an error shows nothing of it", () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey
    const other = generateKeyPairSync("ec", { namedCurve: "secp384r1" }).privateKey
    const text = (one: typeof rsa) => one.export({ type: "pkcs8", format: "pem" })
    expect(() => readPrivateKey(text(rsa), undefined)).toThrow(
      /is of the kind rsa; allowed: a private key of the curve P-256/,
    )
    expect(() => readPrivateKey(text(other), undefined)).toThrow(/is of the kind secp384r1/)
    const broken = () =>
      readPrivateKey("-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----", undefined)
    expect(broken).toThrow(/SIGNING_KEY cannot be read/)
    expect(broken).not.toThrow(/hush/)
  })

  it("comes from the secrets file, over several lines in quotes or on one", async () => {
    for (const value of [`"${pem("pkcs8")}"`, Buffer.from(pem("pkcs8")).toString("base64")]) {
      const signer = await signerOf(readSecrets(`SNYK_TOKEN=x\nSIGNING_KEY=${value}\n`))
      expect(signer?.trust).toEqual({ publicKey: publicKeyOf(key) })
    }
    expect(await signerOf({})).toBeUndefined()
    await expect(signerOf({ SIGNING_PASSWORD: "x" })).rejects.toThrow("SIGNING_PASSWORD without SIGNING_KEY")
    await expect(signerOf({ ACTIONS_ID_TOKEN_REQUEST_URL: "x" })).rejects.toThrow(/allowed: both, or none/)
  })
})

it("a signature does not name its key, which verifiers name in ways of their own", async () => {
  const statement = signature({ name: "ghcr.io/owner/api", digest: `sha256:${"a".repeat(64)}` })
  const bundle = JSON.parse(await keySigner(key).sign(statement)) as {
    dsseEnvelope: { signatures: { keyid?: string }[] }
  }
  expect(bundle.dsseEnvelope.signatures.map(({ keyid = "" }) => keyid)).toEqual([""])
})

describe("a key that signatures are checked with", () => {
  it("is a public one", () => {
    expect(publicKeyOf(key)).toBe(readPublicKey(publicKeyOf(key)).export({ type: "spki", format: "pem" }))
    expect(() => readPublicKey(pem("pkcs8"))).toThrow(/not a public key of the curve P-256/)
    expect(() => readPublicKey("hush")).toThrow(/allowed: PEM, as `cosign public-key` prints it/)
  })
})
