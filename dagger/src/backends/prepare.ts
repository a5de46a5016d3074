import type { Revision } from "./revisions/revisions.js"
import { revisionName } from "./manifests/labels.js"
import { type RevisionSpec, revisionObjects } from "./manifests/objects.js"
import type { Manifest } from "../clients/kubernetes/manifest.js"
import type { Rollout } from "./rollout/rollout.js"
import type { Schema } from "../platform/schema.js"
import { type SecretSource, secretFlag } from "../configuration/deploy.js"
import { decideAction, fingerprintOf, type DeployAction, stableRevision } from "./decisions.js"
import { digestOf } from "../delivery/release.js"
import type { Target } from "./target.js"

export type Secrets = Partial<Record<SecretSource, string>>

/** What is to be deployed of one service. */
export interface Wanted {
  /** With its digest. */
  image: string
  secrets: Secrets
  /** What the image needs of its database, as far as it is known. */
  schema?: Schema
}

/** A deploy of one service, worked out against what the cluster holds. */
export interface Prepared {
  service: string
  image: string
  digest: string
  move: DeployAction
  rollout?: Rollout
  /** What the cluster keeps, newest first. */
  revisions: Revision[]
  fingerprint: string
  /** Of the revision that is to begin; none for another move. */
  objects: Manifest[]
  /** Secrets that were not given and stay as the present revision has them. */
  kept: string[]
  /** What the image needs of its database, as far as it is known. */
  schema?: Schema
}

/**
 * Works out what a deploy of an image is to do. Changes nothing.
 *
 * @throws Error when a secret is neither given nor there
 */
export async function prepare(target: Target, wanted: Wanted): Promise<Prepared> {
  const { image, secrets: given } = wanted
  const { placement, record, revisions: there, service, settings, site } = target
  const { name: environment, namespace } = site.environment
  const [rollout, revisions] = await Promise.all([record.read(), there.all()])
  const stable = stableRevision(rollout)
  const { secrets, kept } = await secretsOf(target, given, stable)
  const digest = digestOf(image)
  const schema = wanted.schema ?? revisions.find((known) => known.digest === digest && known.schema)?.schema
  const release: Omit<RevisionSpec, "revision"> = {
    ...{ environment, namespace, service, image, digest, secrets },
    // The image says nothing better that stays the same for the same contents.
    version: digest.replace("sha256:", "").slice(0, 12),
    config: placement.variables,
    ...(schema && { schema }),
    progressDeadline: Math.max(settings.progressDeadline, placement.workload.minReady + 1),
  }
  const objectsOf = (revision: number) => revisionObjects(placement.workload, { ...release, revision })
  const fingerprint = fingerprintOf(placement.workload, release, record.routeSettings)
  const alike = revisions.filter((revision) => revision.fingerprint === fingerprint)
  const equal = await Promise.all(
    alike.map(async ({ number }) => {
      const [secret] = objectsOf(number).filter(({ kind }) => kind === "Secret")
      return secret && (await there.holdsData(secret)) ? [number] : []
    }),
  )
  const move = decideAction(rollout, revisions, equal.flat())
  return {
    ...{ service, image, digest, move, revisions, fingerprint, kept },
    ...(rollout && { rollout }),
    ...(schema && { schema }),
    objects: move.kind === "begin" ? objectsOf(move.revision) : [],
  }
}

async function secretsOf(
  { placement, service, site }: Target,
  given: Secrets,
  stable: number | undefined,
): Promise<{ secrets: Record<string, string>; kept: string[] }> {
  const { cluster, environment } = site
  const metadata = { namespace: environment.namespace, name: revisionName(service, stable ?? 0) }
  const address: Manifest = { apiVersion: "v1", kind: "Secret", metadata }
  const present = stable === undefined ? undefined : await cluster.read(address)
  const secrets: Record<string, string> = {}
  const kept: string[] = []
  const missing: string[] = []
  for (const { variable, from, optional } of placement.secrets) {
    const file = variable.toLowerCase()
    const held = present?.data?.[file]
    const value = given[from] ?? (held === undefined ? undefined : Buffer.from(held, "base64").toString())
    if (value !== undefined) secrets[file] = value
    else if (!optional) missing.push(`${service} needs ${variable}: ${secretFlag(from, environment.name)}`)
    if (given[from] === undefined && held !== undefined) kept.push(variable)
  }
  if (missing.length > 0) throw new Error(missing.join("\n"))
  return { secrets, kept }
}
