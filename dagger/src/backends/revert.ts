import { exclusively, type OperationOutcome, type RevertRequest } from "../delivery/component.js"
import type { DeployedService } from "./deployed-service.js"
import { LockedBackend } from "./locked-backend.js"
import { compatibility, blockedMessage, provenRevisions, rollbackTarget } from "./decisions.js"
import { refuseUnserved } from "../delivery/rollback-contract.js"
import type { Revision } from "./revisions/revisions.js"
import { requestAbort } from "./rollout/controller.js"
import { LeaseHeld } from "../delivery/lease.js"
import { settledRevision } from "./rollout/record.js"
import { isOver, type Rollout } from "./rollout/rollout.js"

const routeDeleted = "its HTTPRoute was deleted meanwhile"

/**
 * Takes back the deploy in progress, or returns to a proven revision.
 *
 * @throws Error when there is nothing to return to, the database has moved past what the revision can read, or a web app needs what the revision does not serve
 */
export async function revert(
  deployed: DeployedService,
  { to, loseData, ...asked }: RevertRequest,
): Promise<OperationOutcome> {
  if (loseData !== undefined) throw new Error("--lose-data is for databases: name one with --database")
  const request = { ...asked, ...(to !== undefined && { to: revisionNumber(to) }) }
  const found = await deployed.record.read()
  if (!found) throw new Error("nothing was deployed yet, so there is nothing to go back to")
  // A rollback in progress can be redirected: its target may never become ready.
  const redirected = found.kind === "rollback" && request.to !== undefined && request.to !== found.revision
  if (!isOver(found) && (found.kind === "deploy" || redirected)) {
    const over = await abortRollout(deployed, request.reason)
    const stable = settledRevision(over)
    if (over.phase === "aborted" && (request.to === undefined || request.to === stable)) {
      return { result: "promoted", message: over.message, ...(stable !== undefined && { revision: stable }) }
    }
    deployed.say(`all traffic is on revision ${stable ?? "–"}; next: ${request.to ?? "the one before"}`)
  }
  return exclusively(LockedBackend.take(deployed), (locked) => switchBack(locked, request))
}

function revisionNumber(text: string): number {
  if (/^[1-9][0-9]{0,8}$/.test(text)) return Number(text)
  throw new Error(`"${text}" is no revision; allowed: its number, such as 7: \`status\` lists them`)
}

/** What a rollback of a backend asks for. */
interface BackendRevert extends Pick<RevertRequest, "reason" | "override"> {
  to?: number
}

/** Has the rollout in progress aborted: by the command that works on it while that lives, otherwise by this one. */
async function abortRollout(deployed: DeployedService, reason: string): Promise<Rollout> {
  const { context, record, rolloutSettings } = deployed
  const { clock, cluster, environment, who } = context
  await requestAbort(record, `taken back by ${who}: ${reason}`, () => cluster.now())
  deployed.say("the rollout in progress is taken back")
  // The command that works on it may die at any time, so this one keeps trying to take over.
  for (let left = rolloutSettings.abortDelay + 120; left > 0; left--) {
    const rollout = await record.read()
    if (!rollout) throw new Error(routeDeleted)
    if (isOver(rollout)) return rollout
    try {
      return await exclusively(LockedBackend.take(deployed), endOf)
    } catch (error) {
      if (!(error instanceof LeaseHeld)) throw error
    }
    await clock.pause(1000)
  }
  throw new Error(
    `its rollout in ${environment.name} did not end: \`status\` shows its phase and who holds the lease`,
  )
}

/** Drives the rollout to its end, unless it got there meanwhile. */
async function endOf(locked: LockedBackend): Promise<Rollout> {
  const rollout = await locked.deployed.record.read()
  if (!rollout) throw new Error(routeDeleted)
  return isOver(rollout) ? rollout : locked.drive(rollout)
}

async function switchBack(locked: LockedBackend, request: BackendRevert): Promise<OperationOutcome> {
  const { deployed } = locked
  const { context, record, revisions, name: service } = deployed
  const found = await record.read()
  if (found && !isOver(found)) {
    const same = found.kind === "rollback" && (request.to === undefined || request.to === found.revision)
    if (!same) throw new Error(blockedMessage(found, context.environment.name))
    await deployed.recordEvent(found, "resumed")
    return locked.verified(await locked.drive(found))
  }
  if (found) await locked.complete(found)
  const present = settledRevision(found)
  if (present === undefined)
    throw new Error("no revision of it was ever proven, so there is nothing to go back to")
  const kept = await revisions.all()
  const to = rollbackTarget(kept, present, request.to)
  const waiting = await deployed.waitingMigrations()
  const canRead = ({ schema, number }: Revision) => compatibility(schema, kept, number, waiting)
  const readable = canRead(to)
  if (readable.compatible !== true) {
    throw new Error(
      `it cannot go back to revision ${to.number}: ${readable.reason}; deploy a repaired revision instead`,
    )
  }
  const others = provenRevisions(kept, present).filter(
    (one) => one.number !== to.number && canRead(one).compatible === true,
  )
  const overridden = await refuseUnserved(to, others, {
    lacks: ({ image }) => deployed.missedByWebApps(image),
    first: "take the web app back first",
    override: request.override,
  })
  const now = context.cluster.now()
  const rollout: Omit<Rollout, "controller"> = {
    id: context.id,
    service,
    // All at once: the revision was proven, and the present one may be harming users.
    strategy: "blue-green",
    kind: "rollback",
    revision: to.number,
    stable: present,
    digest: to.digest,
    phase: "preparing",
    step: 0,
    since: now,
    began: now,
    by: context.who,
    author: context.who,
    reason: request.reason,
    message: `back from revision ${present} to ${to.number}`,
  }
  const begun = await locked.begin(rollout, overridden)
  await record.write(begun)
  return locked.verified(await locked.drive(begun))
}
