import { approvalFor, type GuardInput, applyOverride, type Refusal, evaluateGuards } from "./guards/guards.js"
import { columns, duration, oneLine } from "../lib/text.js"
import type { Lease } from "../backends/rollout/lease.js"
import { usesFreshBaseline, isOver, type Rollout } from "../backends/rollout/rollout.js"
import type { Schema } from "../platform/schema.js"
import { Approvals } from "./approvals.js"
import { AuditLog, type Checks, type Order, passed } from "./audit.js"
import { environmentOf, placements } from "../configuration/deploy.js"
import { compatibility, blockedMessage } from "../backends/decisions.js"
import { changesOf, describe, describeRefusals, intent, type Plan, stepsOf } from "./plan.js"
import { prepare, type Prepared, type Secrets, type Wanted } from "../backends/prepare.js"
import type { Strategy } from "./strategy.js"
import { iso, type Site, Target } from "../backends/target.js"

/** What is asked of a deploy. */
export interface Wish {
  /** Image with its digest, by service. */
  images: Record<string, string>
  /** What they need of their databases, by service, as far as it is known. */
  schemas?: Record<string, Schema>
  secrets: Secrets
  /** Another one than that of the environment. */
  strategy?: Strategy
  reason: string
  /** Who wrote the change. */
  author: string
  /** Why guards may be set aside; empty: they may not. */
  override: string
  /** Asks `ci` about the source of these images; none for images that were built before. */
  checks?: () => Promise<{ passed: boolean; summary: string }>
}

/** What became of one service. */
export interface Result {
  service: string
  outcome: "promoted" | "unchanged" | "aborted" | "failed"
  revision?: number
  seconds: number
  message: string
}

/** A service on its way. */
interface Job {
  target: Target
  prepared: Prepared
}

/** What guards were asked by, and what was set aside. */
interface Cleared {
  approval?: Order["approval"]
  overridden?: Order["overridden"]
}

/**
 * Brings images to all traffic of an environment, each service by its own rollout, and says what became of it.
 *
 * Whatever ends it, the same call goes on from there.
 *
 * @throws Error with all reasons when it may not begin, and with the table when a service did not get there
 */
export async function deploy(site: Site, wish: Wish): Promise<string> {
  const { environment, say } = site
  const checking = wish.checks?.()
  // It is waited for further down, perhaps after something else has failed.
  checking?.catch(() => undefined)
  const jobs = await jobsOf(site, wish)
  say(describe(await planOf(site, jobs, [])))
  const blocked = jobs.flatMap(({ prepared: { move } }) => (move.kind === "blocked" ? [move.rollout] : []))
  if (blocked.length > 0)
    throw new Error(blocked.map((one) => blockedMessage(one, environment.name)).join("\n"))

  let checked: Checks = "not asked"
  const heed = async () => {
    if (!checking || checked !== "not asked") return
    const { passed: good, summary } = await checking
    checked = good ? "passed" : "failed"
    say(summary)
    await recordChecks(site, jobs, checked)
  }
  if (environment.guards.checks === "required") await heed()
  const cleared = await clear(site, wish, jobs, checked)
  const results = await Promise.all(
    jobs.map(async ({ target }) => attempt(target, () => run(target, wish, cleared))),
  )
  await heed()
  return conclude(results, environment.name)
}

/** What a deploy would do, and what is against it. Changes nothing. */
export async function plan(site: Site, wish: Wish): Promise<Plan> {
  const jobs = await jobsOf(site, wish)
  const facts = await factsOf(site, wish, jobs, "not asked")
  return planOf(site, jobs, facts ? evaluateGuards(site.environment.guards, facts) : [])
}

async function jobsOf(site: Site, wish: Wish): Promise<Job[]> {
  return Promise.all(
    placements(site.configuration, site.environment, Object.keys(wish.images)).map(async (placement) => {
      const target = new Target(site, placement, wish.strategy)
      return { target, prepared: await prepare(target, wantedOf(wish, placement.service)) }
    }),
  )
}

function wantedOf({ images, schemas, secrets }: Wish, service: string): Wanted {
  const schema = schemas?.[service]
  return { image: images[service] ?? "", secrets, ...(schema && { schema }) }
}

async function planOf({ environment }: Site, jobs: Job[], against: Refusal[]): Promise<Plan> {
  const changes = await Promise.all(jobs.map(({ target, prepared }) => changesOf(prepared, target)))
  const backends = jobs.map(({ target, prepared }) => ({
    service: target.service,
    ...intent(prepared, target),
  }))
  return {
    environment: environment.name,
    steps: stepsOf(environment.name, backends),
    changes: changes.flat(),
    refusals: against,
  }
}

/** Asks the guards. What was begun was asked for then, and is safer at its end than in the middle. */
async function clear(site: Site, wish: Wish, jobs: Job[], checked: Checks): Promise<Cleared> {
  const { environment, say } = site
  const facts = await factsOf(site, wish, jobs, checked)
  if (!facts) return {}
  const against = evaluateGuards(environment.guards, facts)
  const given = approvalFor(facts, environment.guards)
  const approval = given && { id: given.id, by: given.by, at: iso(given.at) }
  if (against.length === 0) return { ...(approval && { approval }) }
  const { overridden, standing } =
    wish.override === "" ? { overridden: [], standing: against } : applyOverride(against, wish.override)
  if (standing.length > 0) {
    const message = describeRefusals(standing)
    await Promise.all(
      fresh(jobs).map(async ({ target, prepared }) => {
        await site.audit.write({ event: "refused", ...orderOf(target, prepared, wish, {}), message })
        await tellOf(target, prepared, "refused", message)
      }),
    )
    throw new Error(`${message}\n${remedies(standing, facts, environment.name)}`)
  }
  const guards = overridden.map(({ guard }) => guard)
  say(`Overridden, for "${oneLine(wish.override)}":\n${describeRefusals(overridden)}`)
  const message = `${guards.join(", ")}: ${wish.override}`
  await Promise.all(
    fresh(jobs).map(({ target, prepared }) => tellOf(target, prepared, "overridden", message)),
  )
  return { overridden: { reason: wish.override, guards }, ...(approval && { approval }) }
}

/** The services that a revision is to be made for. */
const fresh = (jobs: Job[]) =>
  jobs.filter(({ prepared: { move } }) => ["begin", "finish"].includes(move.kind))

async function factsOf(site: Site, wish: Wish, jobs: Job[], checks: Checks): Promise<GuardInput | undefined> {
  const { cluster, environment, who } = site
  const { guards, namespace } = environment
  const asked = fresh(jobs)
  if (asked.length === 0) return undefined
  const digests = Object.fromEntries(asked.map(({ prepared }) => [prepared.service, prepared.digest]))
  const [approvals, checked] = await Promise.all([
    guards.approval?.required ? new Approvals(cluster, namespace).all() : [],
    guards.checks === "none"
      ? undefined
      : checks === "passed"
        ? { digests: Object.values(digests), at: cluster.now() }
        : wish.checks
          ? undefined
          : recordedPass(site),
  ])
  const database = asked.map(({ prepared: { revisions, schema, service } }) => [
    service,
    compatibility(schema, revisions),
  ])
  return {
    ...{ now: cluster.now(), deployer: who, author: wish.author, digests, approvals, checked },
    database: Object.fromEntries(database) as GuardInput["database"],
  }
}

/** What `ci` passed for by the word of this environment's audit log, and of that of the one before it. */
async function recordedPass({
  audit,
  cluster,
  configuration,
  environment,
}: Site): Promise<GuardInput["checked"]> {
  const before = environment.after && environmentOf(configuration, environment.after)
  const logs = [audit, ...(before ? [new AuditLog(cluster, before.namespace)] : [])]
  return passed((await Promise.all(logs.map((log) => log.read()))).flat())
}

function remedies(standing: Refusal[], { digests }: GuardInput, environment: string): string {
  const images = Object.entries(digests).map(([service, digest]) => `--image ${service}=${digest}`)
  const lines = [
    ...(standing.some(({ guard }) => guard === "approval")
      ? [`An approver says yes to it with: ./daggerw call approve --env ${environment} ${images.join(" ")}`]
      : []),
    ...(standing.every(({ overridable }) => overridable)
      ? [`--override "why" sets these aside, and is recorded.`]
      : []),
  ]
  return lines.join("\n")
}

async function recordChecks({ audit, cluster, id }: Site, jobs: Job[], checks: Checks): Promise<void> {
  const at = iso(cluster.now())
  await Promise.all(
    jobs.map(({ prepared: { service, digest } }) =>
      audit.write({ event: "checked", id, at, service, digest, checks }),
    ),
  )
}

/** Moves one service as far as it goes. What the cluster holds is looked at again, now that nobody else moves it. */
async function run(
  target: Target,
  wish: Wish,
  cleared: Cleared,
): Promise<Omit<Result, "service" | "seconds">> {
  const { service, site } = target
  return target.exclusively(async (lease) => {
    for (;;) {
      const prepared = await prepare(target, wantedOf(wish, service))
      const { move, rollout } = prepared
      if (rollout && isOver(rollout)) await target.settle(rollout)
      if (move.kind === "blocked") throw new Error(blockedMessage(move.rollout, site.environment.name))
      if (move.kind === "nothing") {
        return { outcome: "unchanged", revision: move.revision, message: "it has all traffic already" }
      }
      if (move.kind === "finish") {
        await target.drive(lease, move.rollout)
        continue
      }
      if (move.kind === "resume") await target.tell(move.rollout, "resumed")
      const begun =
        move.kind === "resume" ? move.rollout : await begin(target, prepared, wish, cleared, lease)
      return verified(target, await target.drive(lease, begun))
    }
  })
}

async function begin(
  target: Target,
  prepared: Prepared,
  wish: Wish,
  cleared: Cleared,
  lease: Lease,
): Promise<Rollout> {
  const { record, revisions, service, settings, site } = target
  const { move, objects, fingerprint, digest } = prepared
  if (move.kind !== "begin") throw new Error(`${service}: ${move.kind} begins nothing`)
  const { revision, stable } = move
  if (stable !== undefined) {
    const { ok, reason } = await target.health()
    site.say(`${service}: revision ${stable} is ${ok ? "well" : "not well"}: ${reason}`)
  }
  await site.audit.write({ event: "begun", ...orderOf(target, prepared, wish, cleared) })
  await revisions.ensure(objects, fingerprint)
  const now = site.cluster.now()
  const begun = {
    ...{ id: site.id, service, strategy: settings.strategy, kind: "deploy" as const, revision, digest },
    ...(stable !== undefined && { stable }),
  }
  const rollout: Rollout = {
    ...begun,
    ...(usesFreshBaseline(begun, site.configuration.analysis) && { baseline: true }),
    ...{ phase: "preparing", step: 0, since: now, began: now },
    ...{ by: site.who, author: wish.author, reason: wish.reason },
    message: `revision ${revision} is brought up`,
    controller: lease.holder,
  }
  await record.write(rollout)
  await target.tell(rollout, "started")
  return rollout
}

/** How a rollout ended, with how the service is after it. */
export async function verified(
  target: Target,
  rollout: Rollout,
): Promise<Omit<Result, "service" | "seconds">> {
  const { revision, phase, message } = rollout
  if (phase !== "promoted") return { outcome: "aborted", revision, message }
  const health = await target.health()
  if (health.ok) return { outcome: "promoted", revision, message: health.reason }
  const trouble = `it has all traffic, and is not well: ${health.reason}`
  await target.tell(rollout, "failed", trouble)
  return { outcome: "failed", revision, message: trouble }
}

/** One service's trouble keeps no other from its end. */
export async function attempt(
  { service }: Target,
  task: () => Promise<Omit<Result, "service" | "seconds">>,
): Promise<Result> {
  const begun = performance.now()
  const seconds = () => (performance.now() - begun) / 1000
  try {
    const done = await task()
    return { service, ...done, seconds: seconds() }
  } catch (error) {
    return { service, outcome: "failed", seconds: seconds(), message: (error as Error).message }
  }
}

/**
 * The table of what became of all.
 *
 * @throws Error with it when something did not get there
 */
export function conclude(results: Result[], environment: string): string {
  const rows = results.map(({ service, outcome, revision, seconds, message }) => [
    ...[service, outcome, revision === undefined ? "" : String(revision), duration(seconds)],
    oneLine(message, 300),
  ])
  const table = columns([["SERVICE", "OUTCOME", "REVISION", "TOOK", "WHAT WAS SEEN"], ...rows])
  const bad = results.filter(({ outcome }) => outcome === "aborted" || outcome === "failed")
  if (bad.length === 0) return table
  const said = bad.map(({ service, outcome, message }) =>
    outcome === "aborted"
      ? `${service} did not get to ${environment}: traffic stays with the revision before: ${message}`
      : `${service} in ${environment}: ${message}`,
  )
  throw new Error([table, ...said].join("\n\n"))
}

function orderOf(
  { settings, service, site }: Target,
  prepared: Prepared,
  wish: Wish,
  cleared: Cleared,
): Order {
  const { cluster, environment, id, who } = site
  const { move, digest } = prepared
  return {
    ...{ id, at: iso(cluster.now()), environment: environment.name, service, kind: "deploy" },
    ...{ strategy: settings.strategy, digest, by: who, author: wish.author, reason: wish.reason },
    ...(move.kind === "begin" && { revision: move.revision, from: move.stable }),
    ...cleared,
  }
}

async function tellOf(
  { service, site }: Target,
  { digest }: Prepared,
  kind: "refused" | "overridden",
  message: string,
): Promise<void> {
  const { cluster, environment, notifier, who } = site
  await notifier.tell({
    ...{ at: iso(cluster.now()), kind, environment: environment.name, service, digest, by: who, message },
    ...{ key: `${environment.name}/${service}/${kind}`, severity: "warning" },
  })
}
