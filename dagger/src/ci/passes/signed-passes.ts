import { type KeyObject, sign, verify } from "node:crypto"
import { z } from "zod"
import { parsed, type PassWithArtifacts, readArtifacts, readPass } from "./pass.js"

// A DSSE envelope: https://github.com/secure-systems-lab/dsse/blob/master/envelope.md
const payloadType = "application/vnd.pitwall.gate-pass+json"
const envelope = z.object({
  payloadType: z.literal(payloadType),
  payload: z.base64(),
  signatures: z.array(z.object({ sig: z.base64() })).min(1),
})
const contents = z.object({ pass: z.unknown(), artifacts: z.unknown() })

/** What DSSE signs. */
const signedBytes = (payload: Buffer): Buffer =>
  Buffer.concat([
    Buffer.from(`DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `),
    payload,
  ])

const hash = ({ asymmetricKeyType: type }: KeyObject) => (type === "ed25519" ? undefined : "sha256")

/** The file of a pass for other machines. */
export function signPass(signed: PassWithArtifacts, key: KeyObject): string {
  const payload = Buffer.from(JSON.stringify(signed))
  const sig = sign(hash(key), signedBytes(payload), key).toString("base64")
  return `${JSON.stringify({ payloadType, payload: payload.toString("base64"), signatures: [{ sig }] })}\n`
}

/** Reads the file of a pass; undefined unless one of the keys has signed all of it. */
export function openPass(text: string, trusted: KeyObject[]): PassWithArtifacts | undefined {
  const read = envelope.safeParse(parsed(text))
  if (!read.success) return undefined
  const payload = Buffer.from(read.data.payload, "base64")
  const bytes = signedBytes(payload)
  const isSigned = read.data.signatures.some(({ sig }) =>
    trusted.some((key) => verify(hash(key), bytes, key, Buffer.from(sig, "base64"))),
  )
  const found = isSigned ? contents.safeParse(parsed(payload.toString())).data : undefined
  const pass = readPass(found?.pass)
  const artifacts = readArtifacts(found?.artifacts)
  return pass && artifacts && { pass, artifacts }
}
