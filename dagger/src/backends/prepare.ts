import { ApiError, type KubernetesApi } from "../clients/kubernetes/client.js"
import type { Manifest } from "../clients/kubernetes/manifest.js"
import type { Change, ComponentPlan, WouldRun } from "../delivery/component.js"
import { digestOf, type Release } from "../delivery/release.js"
import { wouldRunWith } from "../delivery/would-run.js"
import type { DeployedService } from "./deployed-service.js"
import {
  compatibility,
  decideAction,
  fingerprintOf,
  blockedMessage,
  type DeployAction,
  settingsDigest,
  stableRevision,
} from "./decisions.js"
import { diffObject } from "./manifests/diff.js"
import { labels, revisionName } from "./manifests/labels.js"
import { type RevisionSpec, revisionObjects } from "./manifests/objects.js"
import type { Revision } from "./revisions/revisions.js"
import { usesFreshBaseline, type Rollout } from "./rollout/rollout.js"

/** A deploy of one backend, worked out against what the cluster holds. */
export interface Prepared {
  image: string
  digest: string
  move: DeployAction
  rollout?: Rollout
  /** What the cluster keeps, newest first. */
  revisions: Revision[]
  fingerprint: string
  /** Values of its secrets, by file name. */
  secrets: Record<string, string>
  /** Objects of the revision to start; empty for another move. */
  objects: Manifest[]
  /** Secrets that were not given and stay as the present revision has them. */
  kept: string[]
  /** What the image needs of its database, where that is known. */
  schema?: Revision["schema"]
  /** The commit that the image was built from, where that is known. */
  commit?: string
}

/**
 * Works out what a deploy of a release does to a deployed. Changes nothing.
 *
 * @throws Error when the release has no image of it, or a secret is neither given nor in the cluster
 */
export async function prepare(deployed: DeployedService, release: Release): Promise<Prepared> {
  const { record, revisions: inCluster, name: service, settings } = deployed
  const released = release.images[service]
  if (!released) {
    throw new Error(
      `the release has no image of ${service}; it has ${Object.keys(release.images).join(", ") || "none"}`,
    )
  }
  const image = released.reference
  const [rollout, revisions] = await Promise.all([record.read(), inCluster.all()])
  const { secrets, kept } = await secretsOf(deployed, stableRevision(rollout))
  const digest = digestOf(image)
  const schema =
    released.migrations ?? revisions.find((known) => known.digest === digest && known.schema)?.schema
  const commit =
    release.commit ?? revisions.find((known) => known.digest === digest && known.commit !== undefined)?.commit
  const contents = {
    ...specOf(deployed, image, secrets),
    ...(schema && { schema }),
    ...(commit !== undefined && { commit }),
  }
  const objectsOf = (revision: number) => revisionObjects(settings.workload, { ...contents, revision })
  const fingerprint = fingerprintOf(settings.workload, contents, record.routeSettings)
  const alike = revisions.filter((revision) => revision.fingerprint === fingerprint)
  const equal = await Promise.all(
    alike.map(async ({ number }) => {
      const [secret] = objectsOf(number).filter(({ kind }) => kind === "Secret")
      return secret && (await inCluster.holdsData(secret)) ? [number] : []
    }),
  )
  const move = decideAction(rollout, revisions, equal.flat())
  return {
    image,
    digest,
    move,
    revisions,
    fingerprint,
    secrets,
    kept,
    objects: move.kind === "begin" ? objectsOf(move.revision) : [],
    ...(rollout && { rollout }),
    ...(schema && { schema }),
    ...(commit !== undefined && { commit }),
  }
}

function specOf(
  { context, rolloutSettings, name: service, settings }: DeployedService,
  image: string,
  secrets: Record<string, string>,
): Omit<RevisionSpec, "revision"> {
  const { name: environment, namespace } = context.environment
  const digest = digestOf(image)
  return {
    environment,
    namespace,
    service,
    image,
    digest,
    secrets,
    // The only version that stays the same for the same contents.
    version: digest.replace("sha256:", "").slice(0, 12),
    config: settings.variables,
    progressDeadline: Math.max(rolloutSettings.progressDeadline, settings.workload.minReady + 1),
  }
}

/** The digest of everything that is applied for an image, but for the values of secrets. */
export function settingsOf(deployed: DeployedService, image: string, secretNames: string[]): string {
  const secrets = Object.fromEntries(secretNames.map((name) => [name, ""]))
  return settingsDigest(
    deployed.settings.workload,
    specOf(deployed, image, secrets),
    deployed.record.routeSettings,
  )
}

/** What a revision of a prepared deploy runs. */
export function wouldRun(
  deployed: DeployedService,
  { image, secrets }: Pick<Prepared, "image" | "secrets">,
): WouldRun {
  const { name, revisions } = deployed
  const settings = (secretNames: string[]) => settingsOf(deployed, image, secretNames)
  return wouldRunWith({ namespace: revisions.namespace, name, settings }, image, secrets)
}

/** The values of a backend's secrets: those given, otherwise those of the present revision. */
export async function secretsOf(
  { context, settings, name: service }: DeployedService,
  present: number | undefined,
): Promise<{ secrets: Record<string, string>; kept: string[] }> {
  const { cluster, environment, secrets: given } = context
  const metadata = { namespace: environment.namespace, name: revisionName(service, present ?? 0) }
  const address: Manifest = { apiVersion: "v1", kind: "Secret", metadata }
  const live = present === undefined ? undefined : await cluster.read(address)
  const secrets: Record<string, string> = {}
  const kept: string[] = []
  const missing: string[] = []
  for (const { variable, entry, optional } of settings.secrets) {
    const file = variable.toLowerCase()
    const held = live?.data?.[file]
    const value = given[entry] ?? (held === undefined ? undefined : Buffer.from(held, "base64").toString())
    if (value !== undefined) secrets[file] = value
    else if (!optional)
      missing.push(`${service} needs ${variable}: add ${entry}=… to the file given with --secrets`)
    if (given[entry] === undefined && held !== undefined) kept.push(variable)
  }
  if (missing.length > 0) throw new Error(missing.join("\n"))
  return { secrets, kept }
}

/** The plan of a backend as every component has one. */
export async function planOf(deployed: DeployedService, prepared: Prepared): Promise<ComponentPlan> {
  const { commit, move, revisions, rollout, schema } = prepared
  const stable = stableRevision(rollout)
  const live = revisions.find(({ number }) => number === stable)
  const { strategy } = deployed.rolloutSettings
  const actions = {
    nothing: "none",
    resume: "resume",
    finish: "start",
    blocked: "blocked",
    begin: "start",
  } as const
  return {
    component: deployed.id,
    action: actions[move.kind],
    summary: summaryOf(deployed, prepared),
    changes: await changesOf(deployed, prepared),
    ...((move.kind === "begin" || move.kind === "finish") && {
      start: {
        ...wouldRun(deployed, prepared),
        strategy,
        compatibility: compatibility(schema, revisions, undefined, await deployed.waitingMigrations()),
        ...(commit !== undefined && { commit }),
        ...(stable !== undefined && {
          live: { revision: stable, ...(live?.commit !== undefined && { commit: live.commit }) },
        }),
        ...(move.kind === "begin" && {
          revision: move.revision,
          ...(move.stable !== undefined && { from: move.stable }),
        }),
      },
    }),
  }
}

/** What happens to a backend, in one sentence. */
export function summaryOf(
  { context, rolloutSettings }: Pick<DeployedService, "context" | "rolloutSettings">,
  { move, image, kept }: Pick<Prepared, "move" | "image" | "kept">,
): string {
  switch (move.kind) {
    case "nothing":
      return `unchanged; revision ${move.revision} is the same and has all traffic`
    case "blocked":
      return blockedMessage(move.rollout, context.environment.name)
    case "resume":
      return `resumes revision ${move.rollout.revision} at ${move.rollout.phase}`
    case "finish":
      return `completes ${move.rollout.phase} of revision ${move.rollout.revision}, then deploys ${image}`
    case "begin": {
      const secrets = kept.length > 0 ? `; ${kept.join(", ")} stay as they are` : ""
      return `${strategyText(move, rolloutSettings, context)}, ${image}${secrets}`
    }
  }
}

function strategyText(
  { revision, stable }: Extract<DeployAction, { kind: "begin" }>,
  { strategy, steps }: DeployedService["rolloutSettings"],
  { analysis }: DeployedService["context"],
): string {
  if (stable === undefined) return `revision ${revision}, the first one`
  if (strategy === "blue-green") return `revision ${revision} replaces ${stable}, blue-green`
  const weights = [...steps.map(({ weight }) => weight), 100].map((weight) => `${weight} %`).join(", ")
  const fresh = usesFreshBaseline({ strategy, kind: "deploy", stable }, analysis)
  const comparison = fresh ? `, compared with a fresh baseline of as many pods as ${stable} has` : ""
  return `revision ${revision} replaces ${stable}, canary with ${weights}${comparison}`
}

/** What would change in the cluster, by a dry run of its API server. */
async function changesOf(
  { context, revisions, name: service }: DeployedService,
  { objects, move }: Prepared,
): Promise<Change[]> {
  if (move.kind !== "begin") return []
  const { cluster } = context
  const counterpart = ({ apiVersion, kind }: Manifest, revision: number): Manifest => ({
    apiVersion,
    kind,
    metadata: { namespace: revisions.namespace, name: revisionName(service, revision) },
  })
  return Promise.all(
    objects.map(async (object) => {
      const live = await cluster.read(object)
      const own = object.metadata?.labels?.[labels.revision] !== undefined
      const before =
        own && move.stable !== undefined ? await cluster.read(counterpart(object, move.stable)) : undefined
      // A deployer may create these but not change them, so the API server refuses a dry run of an apply.
      const createOnly = ["ConfigMap", "Secret"].includes(object.kind ?? "")
      if (createOnly && live) return diffObject(live, live)
      const wanted = createOnly ? object : await dryRun(cluster, object)
      return diffObject(live, wanted, before)
    }),
  )
}

/** What the API server would make of an object. An admission policy refuses one that is not approved yet: then the object as it is. */
async function dryRun(cluster: KubernetesApi, object: Manifest): Promise<Manifest> {
  try {
    return await cluster.apply(object, { dryRun: true })
  } catch (error) {
    if (error instanceof ApiError && error.message.includes("ValidatingAdmissionPolicy")) return object
    throw error
  }
}
