// Signatures without a key, with Sigstore's own stand-ins for its certificate authority and its log, behind real connections.
import { createHash, generateKeyPairSync } from "node:crypto"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { fulcioHandler, initializeCA, initializeCTLog, initializeTLog, rekorHandler } from "@sigstore/mock"
import { HashAlgorithm, PublicKeyDetails, TrustedRoot } from "@sigstore/protobuf-specs"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { githubRun } from "../../src/attestations/github.js"
import { keylessSigner, type Signer } from "../../src/attestations/signer.js"
import { signature } from "../../src/attestations/statement.js"
import { verifierFor } from "../../src/attestations/trust.js"
import { commit, newSigner } from "./images.js"

const issuer = "https://token.actions.githubusercontent.com"
const workflowOf = (ref: string, file = "pipeline.yml") => `owner/repository/.github/workflows/${file}@${ref}`
const main = `https://github.com/${workflowOf("refs/heads/main")}`
const statement = signature({ name: "ghcr.io/owner/api", digest: `sha256:${"a".repeat(64)}` })

let server: Server
let address: string
let root: string
/** The log does not answer for so many requests. */
let down = 0
/** Claims of the tokens that GitHub gives. */
let claims: Record<string, unknown> = {}
let tokens = 0

const claimsOf = (workflow: string, more = {}) => ({
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

beforeAll(async () => {
  const keys = generateKeyPairSync("ec", { namedCurve: "prime256v1" })
  const ctlog = await initializeCTLog(keys)
  const ca = await initializeCA(keys, ctlog)
  const tlog = await initializeTLog("https://rekor.sigstore.dev", keys)
  const handlers = [fulcioHandler(ca), rekorHandler(tlog)]
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const { pathname, searchParams } = new URL(request.url ?? "", address)
      if (pathname === "/token") {
        tokens++
        const allowed =
          request.headers.authorization === "Bearer of-the-job" && searchParams.get("audience") === "sigstore"
        response.writeHead(allowed ? 200 : 403)
        response.end(allowed ? JSON.stringify({ value: jwt(claims) }) : "no")
        return
      }
      const handler = handlers.find(({ path }) => path === pathname)
      if (!handler || (pathname.includes("log") && down-- > 0)) {
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
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
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
  root = JSON.stringify(
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
})
afterAll(() => {
  server.close()
  server.closeAllConnections()
})

async function signerAs(workflow: string, more = {}): Promise<Signer> {
  claims = claimsOf(workflow, more)
  const run = await githubRun(`${address}/token?api-version=2`, "of-the-job")
  return keylessSigner(run, { fulcio: address, rekor: address })
}

describe("a signature without a key", () => {
  it("is of the workflow that runs, by GitHub's word, and in the log", async () => {
    const signer = await signerAs(workflowOf("refs/heads/main"))
    expect(signer.run).toMatchObject({
      identity: main,
      commit,
      repository: "https://github.com/owner/repository",
      invocation: "https://github.com/owner/repository/actions/runs/42/attempts/1",
    })
    const bundle = await signer.sign(statement)
    expect(JSON.parse(bundle)).toMatchObject({
      mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
      verificationMaterial: { tlogEntries: [expect.anything()] },
    })
    const verify = await verifierFor({ identity: main, issuer, root })
    expect(verify(bundle)).toEqual({ statement })
  })

  it.each([
    ["another workflow", workflowOf("refs/heads/main", "other.yml")],
    ["another branch", workflowOf("refs/heads/mine")],
    ["a branch that begins so", workflowOf("refs/heads/main-2")],
    ["another repository that ends so", `evil/${workflowOf("refs/heads/main")}`],
  ])("of %s does not count", async (_, workflow) => {
    const bundle = await (await signerAs(workflow)).sign(statement)
    const found = (await verifierFor({ identity: main, issuer, root }))(bundle)
    expect(found).toEqual({
      fault: `signed by https://github.com/${workflow} of ${issuer}, not by ${main} of ${issuer}`,
    })
  })

  it("is not matched by a pattern", async () => {
    const bundle = await (await signerAs(workflowOf("refs/heads/main"))).sign(statement)
    for (const identity of ["https://github.com/.*", "https://github.com/owner", main.slice(0, -1)])
      expect((await verifierFor({ identity, issuer, root }))(bundle)).toHaveProperty("fault")
  })

  it("of another issuer, or with a key, does not count", async () => {
    const bundle = await (
      await signerAs(workflowOf("refs/heads/main"), { iss: "https://issuer.example.com" })
    ).sign(statement)
    const verify = await verifierFor({ identity: main, issuer, root })
    expect(verify(bundle)).toMatchObject({
      fault: expect.stringContaining("of https://issuer.example.com, not by") as string,
    })
    expect(verify(await newSigner().sign(statement))).toMatchObject({
      fault: expect.stringContaining("signed by a key, not by") as string,
    })
    const byKey = await verifierFor(newSigner().trust)
    expect(byKey(bundle)).toMatchObject({ fault: expect.stringContaining("signed without a key") as string })
  })

  it("waits for a log that is down for a while", async () => {
    const signer = await signerAs(workflowOf("refs/heads/main"))
    down = 1
    const verify = await verifierFor({ identity: main, issuer, root })
    expect(verify(await signer.sign(statement))).toEqual({ statement })
    expect(down).toBeLessThan(1)
  })

  it("is made with a fresh token when the first has almost expired", async () => {
    const signer = await signerAs(workflowOf("refs/heads/main"), { exp: Math.floor(Date.now() / 1_000) + 5 })
    const before = tokens
    claims = claimsOf(workflowOf("refs/heads/main"))
    await signer.sign(statement)
    expect(tokens).toBe(before + 1)
  })

  it("needs a job that may ask who it is", async () => {
    await expect(githubRun(`${address}/token`, "stolen")).rejects.toThrow(
      "GitHub gives the job no token to sign with: 403 no; the job needs the permission id-token: write",
    )
  })
})
