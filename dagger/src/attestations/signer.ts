import { createHash, type KeyObject, sign } from "node:crypto"
import { payloadType, type Statement } from "./statement.js"
import { githubEntries, keyEntries } from "./entries.js"
import { readPrivateKey } from "./key.js"
import { fingerprint, publicKeyOf } from "./public-key.js"
import type { Trust } from "./trust.js"
import { type GithubRun, githubRun } from "./github.js"

/** Signs statements. */
export interface Signer {
  /** Who signs, for people. */
  name: string
  /** Trusts what it signs itself. */
  trust: Trust
  /** Who vouches for a build that it signs; see docs/images.md. */
  builder: string
  /** The run of a workflow; absent on a machine of one's own. */
  run?: GithubRun
  /** @returns a Sigstore bundle, as JSON */
  sign: (statement: Statement) => Promise<string>
}

/** A build that whoever has the key vouches for, on any machine. */
const keyBuilder = "https://pitwall.dev/builder/key-holder"

/**
 * The signer of the secrets file: its key, or the identity of the workflow that runs.
 *
 * @param secrets values by entry
 * @returns undefined where there is neither
 * @throws Error for a key that cannot be read, and for entries that do not go together
 */
export async function signerOf(secrets: Record<string, string>): Promise<Signer | undefined> {
  const { [keyEntries.key]: key, [keyEntries.password]: password } = secrets
  const { [githubEntries.url]: url, [githubEntries.token]: token } = secrets
  if (key !== undefined) return keySigner(readPrivateKey(key, password))
  if (password !== undefined)
    throw new Error(`${keyEntries.password} without ${keyEntries.key} in the file given with --secrets`)
  if (url === undefined && token === undefined) return undefined
  if (url === undefined || token === undefined) {
    throw new Error(
      `the file given with --secrets has one of ${Object.values(githubEntries).join(" and ")}; allowed: both, or none`,
    )
  }
  return keylessSigner(await githubRun(url, token))
}

/** Signs with a key. Nothing is sent anywhere. */
export function keySigner(key: KeyObject): Signer {
  const publicKey = publicKeyOf(key)
  return {
    name: `the key ${fingerprint(publicKey)}`,
    trust: { publicKey },
    builder: keyBuilder,
    sign: (statement) =>
      bundle(statement, [], {
        sign: (data) =>
          Promise.resolve({
            signature: sign("sha256", data, key),
            key: { $case: "publicKey", publicKey, hint: hintOf(publicKey) },
          }),
      }),
  }
}

const hintOf = (publicKey: string): string => createHash("sha256").update(publicKey).digest("base64")

/** Where Sigstore is. */
interface SigstoreAddresses {
  /** The authority that certifies identities. */
  fulcio: string
  /** The public log. */
  rekor: string
}

/** Signs with a key that lives for one signature, which Sigstore certifies to be that of the workflow. Each signature is entered in a public log. */
export function keylessSigner(run: GithubRun, addresses?: SigstoreAddresses): Signer {
  const { identity, issuer } = run
  return {
    name: `${identity} of ${issuer}`,
    trust: { identity, issuer },
    builder: identity,
    run,
    sign: async (statement) => {
      const { FulcioSigner, RekorWitness, DEFAULT_FULCIO_URL, DEFAULT_REKOR_URL } = await sigstore()
      const retry = { retries: 5, minTimeout: 1_000, maxTimeout: 30_000 }
      return bundle(
        statement,
        [new RekorWitness({ rekorBaseURL: addresses?.rekor ?? DEFAULT_REKOR_URL, retry, timeout: 30_000 })],
        new FulcioSigner({
          fulcioBaseURL: addresses?.fulcio ?? DEFAULT_FULCIO_URL,
          identityProvider: { getToken: () => run.token() },
          retry,
          timeout: 30_000,
        }),
      )
    },
  }
}

type Sigstore = typeof import("@sigstore/sign")

// It takes a while to load, and few commands sign.
const sigstore = (): Promise<Sigstore> => import("@sigstore/sign")

async function bundle(
  statement: Statement,
  witnesses: ConstructorParameters<Sigstore["DSSEBundleBuilder"]>[0]["witnesses"],
  signer: ConstructorParameters<Sigstore["DSSEBundleBuilder"]>[0]["signer"],
): Promise<string> {
  const [{ DSSEBundleBuilder }, { bundleToJSON, isBundleWithDsseEnvelope }] = await Promise.all([
    sigstore(),
    import("@sigstore/bundle"),
  ])
  const builder = new DSSEBundleBuilder({ signer, witnesses, certificateChain: false })
  const made = await builder.create({ data: Buffer.from(JSON.stringify(statement)), type: payloadType })
  // Verifiers such as cosign pass over a signature whose key is named in another way than theirs. The bundle names it beside.
  if (isBundleWithDsseEnvelope(made)) for (const one of made.content.dsseEnvelope.signatures) one.keyid = ""
  return JSON.stringify(bundleToJSON(made))
}
