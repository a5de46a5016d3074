import { requestAbort } from "./rollout/controller.js"
import { LeaseHeld, type Lease } from "./rollout/lease.js"
import { settledRevision } from "./rollout/record.js"
import { isOver, type Rollout } from "./rollout/rollout.js"
import { placements } from "../configuration/deploy.js"
import { compatibility, blockedMessage, rollbackTarget } from "./decisions.js"
import { attempt, conclude, type Result, verified } from "../delivery/executor.js"
import { iso, type Site, Target } from "./target.js"

/** What is asked of a rollback. */
export interface Return {
  /** Services; all of the environment, if none is named. */
  services: string[]
  /** The number of the revision; the proven one before the present, if not said. */
  to?: number
  reason: string
}

type Outcome = Omit<Result, "service" | "seconds">

/**
 * Takes services back to a revision that was proven, or takes back a deploy that is under way. No guard stands in its way but the database.
 *
 * @throws Error with the table when a service did not get there
 */
export async function rollback(site: Site, wish: Return): Promise<string> {
  if (wish.to !== undefined && wish.services.length !== 1) {
    throw new Error("--to is the number of a revision of one service: name it with --service")
  }
  const targets = placements(site.configuration, site.environment, wish.services).map(
    (placement) => new Target(site, placement),
  )
  const results = await Promise.all(targets.map((target) => attempt(target, () => goBack(target, wish))))
  return conclude(results, site.environment.name)
}

async function goBack(target: Target, wish: Return): Promise<Outcome> {
  const { record, service, site } = target
  const found = await record.read()
  if (!found) throw new Error("nothing was deployed yet, so there is nothing to go back to")
  // A rollback under way can be redirected: its target may never become ready.
  const redirected = found.kind === "rollback" && wish.to !== undefined && wish.to !== found.revision
  if (!isOver(found) && (found.kind === "deploy" || redirected)) {
    const over = await takeBack(target, wish.reason)
    const stable = settledRevision(over)
    if (over.phase === "aborted" && (wish.to === undefined || wish.to === stable)) {
      return { outcome: "promoted", ...(stable !== undefined && { revision: stable }), message: over.message }
    }
    site.say(
      `${service}: all traffic is on revision ${stable ?? "–"}; it goes on to ${wish.to ?? "the one before"}`,
    )
  }
  return target.exclusively((lease) => switchBack(target, wish, lease))
}

/** Has a deploy that is under way taken back, by the command that works on it if it lives, and by this one if not. */
async function takeBack(target: Target, reason: string): Promise<Rollout> {
  const { record, service, settings, site } = target
  const { clock, cluster, environment, say, who } = site
  await requestAbort(record, `taken back by ${who}: ${reason}`, () => cluster.now())
  say(`${service}: the rollout under way is taken back`)
  // Tries and waits by turns: whoever works on it may die now.
  for (let left = settings.abortDelay + 120; left > 0; left--) {
    const rollout = await record.read()
    if (!rollout) throw new Error("its HTTPRoute was deleted meanwhile")
    if (isOver(rollout)) return rollout
    try {
      return await target.exclusively((lease) => end(target, lease))
    } catch (error) {
      if (!(error instanceof LeaseHeld)) throw error
    }
    await clock.pause(1000)
  }
  throw new Error(
    `its rollout in ${environment.name} did not end: look at \`status\`, and at who works on it there`,
  )
}

/** Meanwhile it may have come to its end. */
async function end(target: Target, lease: Lease): Promise<Rollout> {
  const rollout = await target.record.read()
  if (!rollout) throw new Error("its HTTPRoute was deleted meanwhile")
  return isOver(rollout) ? rollout : target.drive(lease, rollout)
}

async function switchBack(target: Target, wish: Return, lease: Lease): Promise<Outcome> {
  const { record, revisions, service, site } = target
  const found = await record.read()
  if (found && !isOver(found)) {
    const same = found.kind === "rollback" && (wish.to === undefined || wish.to === found.revision)
    if (!same) throw new Error(blockedMessage(found, site.environment.name))
    await target.tell(found, "resumed")
    return verified(target, await target.drive(lease, found))
  }
  if (found) await target.settle(found)
  const present = settledRevision(found)
  if (present === undefined)
    throw new Error("no revision of it was ever proven, so there is nothing to go back to")
  const kept = await revisions.all()
  const to = rollbackTarget(kept, present, wish.to)
  const readable = compatibility(to.schema, kept, to.number)
  if (readable.compatible !== true) {
    throw new Error(
      `it cannot go back to revision ${to.number}: ${readable.reason}; deploy a repaired revision instead`,
    )
  }
  const now = site.cluster.now()
  const rollout: Rollout = {
    // All at once: the revision was proven, and the present one may be hurting people.
    ...{ id: site.id, service, strategy: "blue-green", kind: "rollback" },
    ...{ revision: to.number, stable: present, digest: to.digest },
    ...{ phase: "preparing", step: 0, since: now, began: now },
    ...{ by: site.who, author: site.who, reason: wish.reason },
    message: `back from revision ${present} to ${to.number}`,
    controller: lease.holder,
  }
  await site.audit.write({
    ...{ event: "begun", id: site.id, at: iso(now), environment: site.environment.name, service },
    ...{ kind: "rollback", strategy: "blue-green", revision: to.number, from: present },
    ...{ digest: to.digest, by: site.who, author: site.who, reason: wish.reason },
  })
  await record.write(rollout)
  await target.tell(rollout, "started")
  return verified(target, await target.drive(lease, rollout))
}
