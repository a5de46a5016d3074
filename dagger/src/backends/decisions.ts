import { createHash } from "node:crypto"
import type { Compatibility } from "../delivery/guards/guards.js"
import { previousRevision } from "./revisions/previous.js"
import type { Revision } from "./revisions/revisions.js"
import type { Workload } from "./manifests/configuration.js"
import { type RevisionSpec, revisionObjects } from "./manifests/objects.js"
import { type RouteSettings, settledRevision } from "./rollout/record.js"
import { isOver, type Rollout } from "./rollout/rollout.js"

/** What a deploy of a service has to do, given the state of the cluster. */
export type DeployAction =
  /** The revision that is asked for has all traffic already. */
  | { kind: "nothing"; revision: number }
  /** The same deploy was begun before and has not ended. */
  | { kind: "resume"; rollout: Rollout }
  /** Another deploy is decided and only has to end. */
  | { kind: "finish"; rollout: Rollout }
  /** Another deploy is under way: an operator has to finish it or take it back. */
  | { kind: "blocked"; rollout: Rollout }
  | { kind: "begin"; revision: number; stable?: number }

/** The settings digest, short enough for people. */
export const fingerprintOf = (...of: Parameters<typeof settingsDigest>): string =>
  settingsDigest(...of).slice("sha256:".length, "sha256:".length + 16)

/**
 * A digest of everything that a deploy applies: the revision's objects, and the host names and the Gateway of its route. Two deploys with equal digests differ in
 * the values of secrets at most. Schema and commit are left out: they are properties of the image, which counts already.
 *
 * @throws Error for a specification that no revision can be made of
 */
export function settingsDigest(
  workload: Workload,
  spec: Omit<RevisionSpec, "revision" | "replicas">,
  { hostnames, gateway }: Pick<RouteSettings, "hostnames" | "gateway">,
): string {
  const secrets = Object.fromEntries(Object.keys(spec.secrets).map((name) => [name, ""]))
  const counting: RevisionSpec = { ...spec, revision: 1, secrets }
  delete counting.schema
  delete counting.commit
  const applied = { objects: revisionObjects(workload, counting), hostnames, gateway }
  return `sha256:${createHash("sha256").update(JSON.stringify(applied)).digest("hex")}`
}

/** The revision with all traffic, or the one that had it before the rollout under way. */
export const stableRevision = (rollout: Rollout | undefined): number | undefined =>
  rollout && !isOver(rollout) ? rollout.stable : settledRevision(rollout)

/**
 * @param revisions the revisions in the cluster
 * @param equal the numbers of those that equal what is to be deployed, secrets included
 */
export function decideAction(
  rollout: Rollout | undefined,
  revisions: Revision[],
  equal: number[],
): DeployAction {
  if (rollout && !isOver(rollout)) {
    if (rollout.kind === "deploy" && equal.includes(rollout.revision)) return { kind: "resume", rollout }
    return { kind: ["aborting", "settling"].includes(rollout.phase) ? "finish" : "blocked", rollout }
  }
  const stable = settledRevision(rollout)
  if (stable !== undefined && equal.includes(stable)) return { kind: "nothing", revision: stable }
  const numbers = [0, rollout?.revision ?? 0, ...revisions.map(({ number }) => number)]
  const newest = Math.max(...numbers)
  // A command created this revision and died before it could begin the rollout.
  const orphan = revisions.find(({ number, outcome }) => number === newest && outcome === undefined)
  const revision = orphan && equal.includes(newest) && rollout?.revision !== newest ? newest : newest + 1
  return { kind: "begin", revision, ...(stable !== undefined && { stable }) }
}

/** Tells an operator which rollout is under way and how to end it. */
export function blockedMessage({ service, kind, revision, phase, by }: Rollout, environment: string): string {
  const back = `./daggerw call rollback --env ${environment} --service ${service} --reason …`
  return kind === "rollback"
    ? `${service}: a rollback to revision ${revision} by ${by} is under way (${phase}): finish it with \`${back}\``
    : `${service}: the deploy of revision ${revision} by ${by} is under way (${phase}): repeat the command that began it, with the same image and settings, or take it back with \`${back}\``
}

/** The revisions that a rollback may go to, in their order. */
export const provenRevisions = (revisions: Revision[], present: number): Revision[] =>
  revisions.filter(({ outcome, number }) => outcome === "promoted" && number !== present)

/**
 * The revision that a rollback goes to.
 *
 * @param present the revision with all traffic
 * @param to the revision that was asked for; without it, the one that had all traffic before the present one, see {@link previousRevision}
 * @throws Error when that revision is not kept or was never proven
 */
export function rollbackTarget(revisions: Revision[], present: number, to?: number): Revision {
  const proven = provenRevisions(revisions, present)
  const numbers = proven.map(({ number }) => number).join(", ")
  const allowed = `allowed: ${numbers === "" ? "none" : numbers}`
  if (to === present) throw new Error(`revision ${to} has all traffic already; ${allowed}`)
  const target =
    to === undefined ? previousRevision(revisions, present) : proven.find(({ number }) => number === to)
  if (target) return target
  const what =
    to === undefined
      ? `no proven revision before ${present} is kept`
      : `revision ${to} was not proven, or is no longer kept`
  throw new Error(`${what}; ${allowed}`)
}

/**
 * Whether a revision can work with the database as it is. Every later revision may have migrated it, and no rollback takes a migration back.
 *
 * @param number of the revision; undefined for a new one
 * @param waiting migrations that revisions brought and that have not run
 */
export function compatibility(
  schema: Revision["schema"],
  revisions: Revision[],
  number?: number,
  waiting: string[] = [],
): Compatibility {
  const others = revisions.filter((other) => other.number !== number)
  for (const { number: later, schema: moved } of others) {
    const breaking = (moved?.breaking ?? []).filter(
      (migration) => !schema?.breaking.includes(migration) && !waiting.includes(migration),
    )
    if (breaking.length === 0) continue
    const brought = `revision ${later} brought migration ${breaking.join(", ")}`
    return schema
      ? { compatible: false, reason: `${brought}, which one of schema ${schema.head} cannot read` }
      : { compatible: "unknown", reason: `${brought}, and the image says nothing of what it can read` }
  }
  return { compatible: true }
}
