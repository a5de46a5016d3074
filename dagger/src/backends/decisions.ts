import { createHash } from "node:crypto"
import type { Compatibility } from "../delivery/guards/guards.js"
import type { Revision } from "./revisions/revisions.js"
import type { Workload } from "./manifests/configuration.js"
import { type RevisionSpec, revisionObjects } from "./manifests/objects.js"
import { settledRevision } from "./rollout/record.js"
import { isOver, type Rollout } from "./rollout/rollout.js"

/** What a deploy of a service is to do, by what the cluster holds. */
export type DeployAction =
  /** What is asked for has all traffic already. */
  | { kind: "nothing"; revision: number }
  /** This very deploy was begun and not ended. */
  | { kind: "resume"; rollout: Rollout }
  /** Another one is decided, and not yet at its end. */
  | { kind: "finish"; rollout: Rollout }
  /** Another one is in the middle, and somebody has to say what is to become of it. */
  | { kind: "blocked"; rollout: Rollout }
  | { kind: "begin"; revision: number; stable?: number }

/**
 * Equal for releases that differ in nothing but the values of their secrets. What is known of the schema is a matter of the image, which counts already.
 *
 * @throws Error for a release that cannot be one
 */
export function fingerprintOf(
  workload: Workload,
  release: Omit<RevisionSpec, "revision" | "replicas">,
): string {
  const secrets = Object.fromEntries(Object.keys(release.secrets).map((name) => [name, ""]))
  const counting: RevisionSpec = { ...release, revision: 1, secrets }
  delete counting.schema
  const objects = revisionObjects(workload, counting)
  return createHash("sha256").update(JSON.stringify(objects)).digest("hex").slice(0, 16)
}

/** The revision that has all traffic, or had it before what is under way. */
export const stableRevision = (rollout: Rollout | undefined): number | undefined =>
  rollout && !isOver(rollout) ? rollout.stable : settledRevision(rollout)

/**
 * @param revisions that the cluster keeps
 * @param equal those of them that hold what is to be deployed, secrets included
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
  // Brought up by a command that died before it could say so.
  const orphan = revisions.find(({ number, outcome }) => number === newest && outcome === undefined)
  const revision = orphan && equal.includes(newest) && rollout?.revision !== newest ? newest : newest + 1
  return { kind: "begin", revision, ...(stable !== undefined && { stable }) }
}

/** What an operator reads of a rollout that stands in the way. */
export function blockedMessage({ service, kind, revision, phase, by }: Rollout, environment: string): string {
  const back = `./daggerw call rollback --env ${environment} --service ${service} --reason …`
  return kind === "rollback"
    ? `${service}: a rollback to revision ${revision} by ${by} is not at its end (${phase}): end it with \`${back}\``
    : `${service}: the deploy of revision ${revision} by ${by} is not at its end (${phase}): go on with it by the command that began it, with the same image and settings, or take it back with \`${back}\``
}

/**
 * Where a rollback goes.
 *
 * @param present the revision with all traffic
 * @param to the number that was asked for; the newest proven one before the present, if none was
 * @throws Error when there is no such revision, or it was never proven
 */
export function rollbackTarget(revisions: Revision[], present: number, to?: number): Revision {
  const proven = revisions.filter(({ outcome, number }) => outcome === "promoted" && number !== present)
  const numbers = proven.map(({ number }) => number).join(", ")
  const kept = numbers === "" ? "there is none" : `there are ${numbers}`
  if (to === present)
    throw new Error(`revision ${to} has all traffic already; of proven ones beside it, ${kept}`)
  const before = proven
    .filter(({ number }) => number < present)
    .sort((one, other) => other.number - one.number)
  const target = to === undefined ? before[0] : proven.find(({ number }) => number === to)
  if (target) return target
  const what = to === undefined ? `no revision before ${present} was` : `revision ${to} was not`
  throw new Error(`${what} proven, or it is no longer kept; of proven ones beside ${present}, ${kept}`)
}

/**
 * Whether a revision can read the database as it is: every revision that was brought up since may have migrated it, and no rollback takes that back.
 *
 * @param number of the revision, or nothing for one that is still to be made
 */
export function compatibility(
  schema: Revision["schema"],
  revisions: Revision[],
  number?: number,
): Compatibility {
  const others = revisions.filter((other) => other.number !== number)
  for (const { number: later, schema: moved } of others) {
    const breaking = (moved?.breaking ?? []).filter((migration) => !schema?.breaking.includes(migration))
    if (breaking.length === 0) continue
    const brought = `revision ${later} brought migration ${breaking.join(", ")}`
    return schema
      ? { compatible: false, reason: `${brought}, which one of schema ${schema.head} cannot read` }
      : { compatible: "unknown", reason: `${brought}, and the image says nothing of what it can read` }
  }
  return { compatible: true }
}
