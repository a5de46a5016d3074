// Signatures without a key, by Sigstore's own stand-ins.
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { githubRun } from "../../src/attestations/github.js"
import { signature } from "../../src/attestations/statement.js"
import { verifierFor } from "../../src/attestations/trust.js"
import { commit, newSigner } from "./images.js"
import { claimsOf, issuer, type SigstoreStandIn, startSigstore, workflowOf } from "./sigstore.js"

const main = `https://github.com/${workflowOf("refs/heads/main")}`
const statement = signature({ name: "ghcr.io/owner/api", digest: `sha256:${"a".repeat(64)}` })

let sigstore: SigstoreStandIn
beforeAll(async () => {
  sigstore = await startSigstore()
})
afterAll(() => {
  sigstore.stop()
})

describe("a signature without a key", () => {
  it("is of the workflow that runs, by GitHub's word, and in the log", async () => {
    const signer = await sigstore.signerAs(workflowOf("refs/heads/main"))
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
    const verify = await verifierFor({ identity: main, issuer, root: sigstore.root })
    expect(verify(bundle)).toEqual({ statement })
  })

  it.each([
    ["another workflow", workflowOf("refs/heads/main", "other.yml")],
    ["another branch", workflowOf("refs/heads/mine")],
    ["a branch that begins so", workflowOf("refs/heads/main-2")],
    ["another repository that ends so", `evil/${workflowOf("refs/heads/main")}`],
  ])("of %s does not count", async (_, workflow) => {
    const bundle = await (await sigstore.signerAs(workflow)).sign(statement)
    const found = (await verifierFor({ identity: main, issuer, root: sigstore.root }))(bundle)
    expect(found).toEqual({
      fault: `signed by https://github.com/${workflow} of ${issuer}, not by ${main} of ${issuer}`,
    })
  })

  it("is not matched by a pattern", async () => {
    const bundle = await (await sigstore.signerAs(workflowOf("refs/heads/main"))).sign(statement)
    for (const identity of ["https://github.com/.*", "https://github.com/owner", main.slice(0, -1)])
      expect((await verifierFor({ identity, issuer, root: sigstore.root }))(bundle)).toHaveProperty("fault")
  })

  it("of another issuer, or with a key, does not count", async () => {
    const bundle = await (
      await sigstore.signerAs(workflowOf("refs/heads/main"), { iss: "https://issuer.example.com" })
    ).sign(statement)
    const verify = await verifierFor({ identity: main, issuer, root: sigstore.root })
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
    const signer = await sigstore.signerAs(workflowOf("refs/heads/main"))
    sigstore.down = 1
    const verify = await verifierFor({ identity: main, issuer, root: sigstore.root })
    expect(verify(await signer.sign(statement))).toEqual({ statement })
    expect(sigstore.down).toBeLessThan(1)
  })

  it("is made with a fresh token when the first has almost expired", async () => {
    const signer = await sigstore.signerAs(workflowOf("refs/heads/main"), {
      exp: Math.floor(Date.now() / 1_000) + 5,
    })
    const before = sigstore.tokens
    sigstore.claims = claimsOf(workflowOf("refs/heads/main"))
    await signer.sign(statement)
    expect(sigstore.tokens).toBe(before + 1)
  })

  it("needs a job that may ask who it is", async () => {
    await expect(githubRun(`${sigstore.address}/token`, "stolen")).rejects.toThrow(
      "GitHub gives the job no token to sign with: 403 no; the job needs the permission id-token: write",
    )
  })
})
