// Sigstore's own stand-ins for its certificate authority and its log, and one for GitHub's tokens, behind real connections.
import { createHash, generateKeyPairSync } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { fulcioHandler, initializeCA, initializeCTLog, initializeTLog, rekorHandler } from "@sigstore/mock"
import { HashAlgorithm, PublicKeyDetails, TrustedRoot } from "@sigstore/protobuf-specs"
import { githubRun } from "../../src/attestations/github.js"
import { keylessSigner, type Signer } from "../../src/attestations/signer.js"
import { commit } from "./images.js"

export const issuer = "https://token.actions.githubusercontent.com"
export const workflowOf = (ref: string, file = "pipeline.yml") =>
  `owner/repository/.github/workflows/${file}@${ref}`

export const claimsOf = (workflow: string, more = {}) => ({
  iss: issuer,
  exp: Math.floor(Date.now() / 1_000) + 600,
  // What Sigstore's stand-in certifies; the real one makes it of job_workflow_ref.
  sub: `https://github.com/${workflow}`,
  aud: "sigstore",
  job_workflow_ref: workflow,
  repository: "owner/repository",
  sha: commit,
  run_id: "42",
  run_attempt: "1",
  ...more,
})
const jwt = (payload: object) =>
  [{ alg: "none" }, payload, {}]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".")

/** What the log makes of an entry: digests of the envelope, which Sigstore's stand-in leaves to its caller. */
function stored(entry: string): string {
  const { spec, ...more } = JSON.parse(entry) as {
    spec: { proposedContent: { envelope: string; verifiers: string[] } }
  }
  const { envelope, verifiers } = spec.proposedContent
  const { payload, signatures } = JSON.parse(envelope) as { payload: string; signatures: { sig: string }[] }
  const hash = (bytes: string | Buffer) => ({
    algorithm: "sha256",
    value: createHash("sha256").update(bytes).digest("hex"),
  })
  return JSON.stringify({
    ...more,
    spec: {
      envelopeHash: hash(envelope),
      payloadHash: hash(Buffer.from(payload, "base64")),
      signatures: signatures.map(({ sig }, at) => ({ signature: sig, verifier: verifiers[at] })),
    },
  })
}

/** A certificate authority, a log, and whoever vouches for jobs. */
export class SigstoreStandIn {
  address = ""
  /** Trusts the certificate authority and the log. */
  root = ""
  /** The log does not answer for so many requests. */
  down = 0
  /** Claims of the tokens that GitHub gives. */
  claims: Record<string, unknown> = {}
  /** Tokens that were asked for. */
  tokens = 0

  constructor(readonly stop: () => void) {}

  /** A signer in a job of a workflow. */
  async signerAs(workflow: string, more = {}): Promise<Signer> {
    this.claims = claimsOf(workflow, more)
    const run = await githubRun(`${this.address}/token?api-version=2`, "of-the-job")
    return keylessSigner(run, { fulcio: this.address, rekor: this.address })
  }
}

export async function startSigstore(): Promise<SigstoreStandIn> {
  const keys = generateKeyPairSync("ec", { namedCurve: "prime256v1" })
  const ctlog = await initializeCTLog(keys)
  const ca = await initializeCA(keys, ctlog)
  const tlog = await initializeTLog("https://rekor.sigstore.dev", keys)
  const handlers = [fulcioHandler(ca), rekorHandler(tlog)]
  const standIn = new SigstoreStandIn(() => {
    server.close()
    server.closeAllConnections()
  })
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const { pathname, searchParams } = new URL(request.url ?? "", standIn.address)
      if (pathname === "/token") {
        standIn.tokens++
        const allowed =
          request.headers.authorization === "Bearer of-the-job" && searchParams.get("audience") === "sigstore"
        response.writeHead(allowed ? 200 : 403)
        response.end(allowed ? JSON.stringify({ value: jwt(standIn.claims) }) : "no")
        return
      }
      const handler = handlers.find(({ path }) => path === pathname)
      if (!handler || (pathname.includes("log") && standIn.down-- > 0)) {
        response.writeHead(handler ? 503 : 404)
        response.end()
        return
      }
      const entry = Buffer.concat(chunks).toString()
      void handler
        .fn(pathname.includes("log") ? stored(entry) : entry)
        .then(({ statusCode, response: answer, contentType }) => {
          response.writeHead(statusCode, { "content-type": contentType ?? "text/plain" })
          response.end(answer)
        })
    })
  })
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  standIn.address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const validFor = { start: new Date(Date.now() - 3_600_000) }
  const keyDetails = PublicKeyDetails.PKIX_ECDSA_P256_SHA_256
  const log = (baseUrl: string, key: Buffer, keyId: Buffer) => ({
    baseUrl,
    hashAlgorithm: HashAlgorithm.SHA2_256,
    publicKey: { rawBytes: key, keyDetails, validFor },
    logId: { keyId },
    operator: "test",
  })
  const bytes = (view: ArrayBufferView) => Buffer.from(view.buffer, view.byteOffset, view.byteLength)
  standIn.root = JSON.stringify(
    TrustedRoot.toJSON({
      mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
      tlogs: [
        log(
          "https://rekor.sigstore.dev",
          tlog.publicKey,
          createHash("sha256").update(tlog.publicKey).digest(),
        ),
      ],
      ctlogs: [log("https://ctfe.sigstore.dev", ctlog.publicKey, bytes(ctlog.logID))],
      certificateAuthorities: [
        {
          subject: { commonName: "sigstore", organization: "sigstore.mock" },
          uri: "https://fulcio.sigstore.dev",
          certChain: { certificates: [{ rawBytes: bytes(ca.rootCertificate) }] },
          validFor,
          operator: "test",
        },
      ],
      timestampAuthorities: [],
    } as unknown as TrustedRoot),
  )
  return standIn
}
