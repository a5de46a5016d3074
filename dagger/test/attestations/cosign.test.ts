// What cosign says of images that this project described and signed, and the other way round, in registries of others.
import { generateKeyPairSync } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { beforeAll, describe, expect, it } from "vitest"
import { readPrivateKey } from "../../src/attestations/key.js"
import { publicKeyOf } from "../../src/attestations/public-key.js"
import { keySigner } from "../../src/attestations/signer.js"
import { type PredicateKind, predicateTypes, type Statement } from "../../src/attestations/statement.js"
import { attachedTo } from "../../src/attestations/store.js"
import { verifierFor } from "../../src/attestations/trust.js"
import type { ImagePart } from "../../src/attestations/verify.js"
import { Repository } from "../../src/clients/registry/repository.js"
import { describeRegistries, real } from "../clients/registry/describe.js"
import { clientOf, type TestRegistry } from "../clients/registry/servers.js"
import { attest, pushImage, said } from "./images.js"
import { issuer, startSigstore, workflowOf } from "./sigstore.js"
import { folder, program } from "../lib/programs.js"

const cosign = program(
  "cosign",
  ["version"],
  "go install github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3",
  // It asks for the password of a key otherwise.
  { COSIGN_PASSWORD: "a password" },
)
const file = (name: string) => join(folder, name)
/** What a signature with a key has: no entry in a public log. */
const byKey = (key: string) => ["--key", file(key), "--insecure-ignore-tlog=true"]

const keys = generateKeyPairSync("ec", { namedCurve: "prime256v1" })
const signer = keySigner(keys.privateKey)
let count = 0

if (cosign.missing !== undefined) {
  describe("cosign", () => {
    it.skip(`is not tested: ${cosign.missing ?? ""}`)
  })
} else
  describeRegistries("cosign, with a registry", { among: real, timeout: 10 * 60_000 }, (running) => {
    let registry: TestRegistry
    let repository: Repository
    let parts: ImagePart[]
    const fresh = () => new Repository(clientOf(registry), `owner/api-${++count}`)
    const reference = ({ descriptor }: Pick<ImagePart, "descriptor">, of = repository) =>
      `${of.address}@${descriptor.digest}`

    beforeAll(async () => {
      registry = running()
      writeFileSync(file("signing.pub"), publicKeyOf(keys.privateKey))
      const other = generateKeyPairSync("ec", { namedCurve: "prime256v1" })
      writeFileSync(file("other.pub"), publicKeyOf(other.privateKey))
      repository = fresh()
      parts = await pushImage(repository)
      await attest(repository, parts, signer)
    }, 300_000)

    it("verifies the index and each platform, by the key that signed them and by no other", async () => {
      expect(parts).toHaveLength(3)
      for (const part of parts) {
        const { code, stdout, stderr } = await cosign.run("verify", ...byKey("signing.pub"), reference(part))
        expect(code, stderr).toBe(0)
        expect(stdout).toContain(part.descriptor.digest)
        const other = await cosign.run("verify", ...byKey("other.pub"), reference(part))
        expect(other.code).not.toBe(0)
      }
      const unsigned = fresh()
      const [top] = await pushImage(unsigned)
      if (!top) throw new Error("no image")
      const none = await cosign.run("verify", ...byKey("signing.pub"), reference(top, unsigned))
      expect(none.code).not.toBe(0)
    })

    // The names by which cosign knows some types; the others are given as they are.
    it.each<[PredicateKind, string]>([
      ["provenance", "slsaprovenance1"],
      ["tests", predicateTypes.tests],
      ["spdx", "spdxjson"],
      ["cyclonedx", "cyclonedx"],
      ["vulnerabilities", predicateTypes.vulnerabilities],
    ])("verifies what is said: %s", async (kind, type) => {
      const [index, ...platforms] = parts
      const described = platforms.length === 2 && index ? platforms : []
      expect(described).toHaveLength(2)
      for (const part of described) {
        const args = ["--type", type, reference(part)]
        const { code, stdout, stderr } = await cosign.run(
          "verify-attestation",
          ...byKey("signing.pub"),
          ...args,
        )
        expect(code, stderr).toBe(0)
        // One line for each envelope.
        const statements = stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as { payload: string })
          .map(({ payload }) => JSON.parse(Buffer.from(payload, "base64").toString()) as Statement)
        const subject = { name: repository.address, digest: part.descriptor.digest }
        const expected = said(subject, part.platform).filter(
          ({ predicateType }) => predicateType === predicateTypes[kind],
        )
        expect(statements).toEqual(expected)
        const other = await cosign.run("verify-attestation", ...byKey("other.pub"), ...args)
        expect(other.code).not.toBe(0)
      }
    })

    it("shows everything beside an image", async () => {
      const [, platform] = parts
      if (!platform) throw new Error("no platform")
      const { code, stdout, stderr } = await cosign.run("tree", reference(platform))
      expect(code, stderr).toBe(0)
      for (const type of Object.values(predicateTypes)) expect(stdout).toContain(type)
    })

    it("verifies what a workflow signed without a key, by its whole identity and by no other", async () => {
      const sigstore = await startSigstore()
      try {
        const identity = (ref: string) => `https://github.com/${workflowOf(ref)}`
        const keyless = fresh()
        const image = await pushImage(keyless)
        const { root } = sigstore
        const job = await sigstore.signerAs(workflowOf("refs/heads/main"))
        await attest(keyless, image, { ...job, trust: { ...job.trust, root } })
        writeFileSync(file("root.json"), root)
        const as = (ref: string) => [
          ...["--certificate-identity", identity(ref), "--certificate-oidc-issuer", issuer],
          ...["--trusted-root", file("root.json")],
        ]
        for (const part of image) {
          const subject = reference(part, keyless)
          const { code, stderr } = await cosign.run("verify", ...as("refs/heads/main"), subject)
          expect(code, stderr).toBe(0)
          const built = ["verify-attestation", "--type", "slsaprovenance1"]
          const said = await cosign.run(...built, ...as("refs/heads/main"), subject)
          expect(said.code, said.stderr).toBe(0)
          expect((await cosign.run("verify", ...as("refs/heads/mine"), subject)).code).not.toBe(0)
        }
      } finally {
        sigstore.stop()
      }
    })

    it("signs with keys that this project reads, and its signatures count here", async () => {
      const made = await cosign.run("generate-key-pair", "--output-key-prefix", `cosign-${++count}`)
      expect(made.code, made.stderr).toBe(0)
      const [secret, open] = [`cosign-${count}.key`, `cosign-${count}.pub`]
      const publicKey = readFileSync(file(open), "utf8")
      const key = readPrivateKey(readFileSync(file(secret), "utf8"), "a password")
      expect(publicKeyOf(key)).toBe(publicKey)
      const theirs = fresh()
      const [top] = await pushImage(theirs)
      if (!top) throw new Error("no image")
      const signed = await cosign.run(
        "sign",
        ...["--key", file(secret), "--tlog-upload=false", "--use-signing-config=false", "--yes"],
        reference(top, theirs),
      )
      expect(signed.code, signed.stderr).toBe(0)
      const found = await attachedTo(theirs, top.descriptor.digest, await verifierFor({ publicKey }))
      expect(found.rejected).toEqual([])
      expect(found.statements.map(({ predicateType }) => predicateType)).toEqual([predicateTypes.signature])
      // What this project adds stays beside it.
      await attest(theirs, [top], keySigner(key))
      const both = await attachedTo(theirs, top.descriptor.digest, await verifierFor({ publicKey }))
      expect([...new Set(both.statements.map(({ predicateType }) => predicateType))].sort()).toEqual(
        [predicateTypes.provenance, predicateTypes.signature, predicateTypes.tests].sort(),
      )
    })
  })
