import { columns, duration, oneLine, plain } from "../lib/text.js"
import type { Approvals } from "./approvals.js"
import type { AuditLog } from "./audit.js"
import { requestedChanges } from "./request.js"
import type { Verdicts } from "./verdicts.js"
import {
  type Component,
  type ComponentId,
  componentKinds,
  type ComponentPlan,
  componentText,
  type Deployable,
  type LockedComponent,
  type Operation,
  type OperationOutcome,
  type RevertRequest,
} from "./component.js"
import type { GuardPolicy } from "./guards/configuration.js"
import { approvalFor, type GuardInput, type Refusal, evaluateGuards } from "./guards/guards.js"
import { type Author, type Authors, authorText, identitiesOf, type Identity } from "./guards/identities.js"
import { applyOverride, mayOverride, refusePoorReason } from "./guards/override.js"
import { type Weakening, weakeningRefusal, weakeningText } from "./guards/weakening.js"
import { iso, type Journal } from "./journal.js"
import { type DeployPlan, planText, refusalsText } from "./plan.js"
import type { Release } from "./release.js"

/** The environment that a command works on, independent of what is delivered there. */
export interface DeliveryContext {
  environment: string
  guards: EffectiveGuards
  /** Who runs the command, as the API server knows them. */
  who: string
  groups: string[]
  /** The operation's id. */
  id: string
  approvals: Approvals
  verdicts: Verdicts
  /**
   * Finds what speaks against images where signatures are required.
   *
   * @param images references
   * @param commit that they were built from; any that their provenance names, if absent
   * @returns faults by digest
   */
  verify: (images: string[], commit: string | undefined) => Promise<Record<string, string[]>>
  audit: AuditLog
  journal: Journal
  /** Milliseconds by the API server's clock. */
  now: () => number
  say: (line: string) => void
}

/** The guards of an environment: what is committed, and what the settings make of it. */
export interface EffectiveGuards {
  committed: GuardPolicy
  effective: GuardPolicy
  /** How the settings weaken what is committed. */
  weakened: Weakening[]
  identities: Identity[]
  /** Digest of the effective guards. */
  digest: string
}

/** The guards of what cannot wait for a calendar or for gates: only those that ask for a second person. */
function onlyApproval({ committed, effective, weakened, ...guards }: EffectiveGuards): EffectiveGuards {
  const reduced = ({ approval, overrides, timezone }: GuardPolicy): GuardPolicy => ({
    ...(approval && { approval }),
    overrides,
    timezone,
    holidays: [],
    freezes: [],
    checks: "none",
    signature: "none",
  })
  return {
    ...guards,
    committed: reduced(committed),
    effective: reduced(effective),
    weakened: weakened.filter(({ guard }) => guard === "approval" || guard === "environment"),
  }
}

/**
 * Reads who has a part in the commits between two: those that are in one's history and not in the other's, and the second itself.
 *
 * @param from nothing: all commits up to the second
 * @throws Error when git cannot tell
 */
export type ReadAuthors = (from: string | undefined, to: string) => Promise<Author[]>

/** What the gates said of a release's source. */
export interface ChecksResult {
  passed: boolean
  summary: string
}

export interface DeployRequest {
  release: Release
  reason: string
  /** Authors beside those of the commits: e-mails, logins of GitHub or users of the cluster. */
  authors: string[]
  /** Absent: nobody can tell who wrote the change. */
  readAuthors?: ReadAuthors
  /** Why guards may be overridden; empty: they may not. */
  override: string
  /** Runs the gates for a release that was built from the present source. */
  checks?: () => Promise<ChecksResult>
}

/** What became of one component. */
export type ComponentResult = OperationOutcome & { component: ComponentId; seconds: number }

/**
 * Brings a release to an environment: guards once for all components, then each component by its own operation, kind after kind.
 *
 * An interrupted deploy is resumed by the same call.
 *
 * @returns the table of results
 * @throws Error for a model beside anything else, with every reason when the deploy may not start, and with the table when a component failed
 */
export async function deploy(
  context: DeliveryContext,
  components: Deployable[],
  request: DeployRequest,
): Promise<string> {
  const { environment, guards, say } = context
  const { release } = request
  refuseMixed(components)
  const gates = request.checks?.()
  // Awaited below, possibly after something else has failed.
  gates?.catch(() => undefined)
  const first = await deployPlanOf(context, components, release)
  say(planText(first))
  refuseBlocked(first.components)

  // Guards see the gates' result only where they need it; elsewhere the gates run beside the rollout.
  let checksResult = guards.effective.checks === "required" ? await gates : undefined
  if (checksResult) say(checksResult.summary)
  const { locked, failed } = await lockAll(components, release)
  let results: ComponentResult[]
  try {
    const plans = await Promise.all(locked.map((component) => component.plan(release)))
    refuseBlocked(plans)
    const operation = await permitted(context, request, plans, checksResult)
    await recordChecks(context, plans, checksResult)
    results = await applyAll(locked, operation, failed)
    if (gates && !checksResult) {
      checksResult = await gates
      say(checksResult.summary)
      await recordChecks(context, plans, checksResult)
    }
  } finally {
    await Promise.all(locked.map((component) => component.unlock()))
  }
  return conclude(results, environment, checksResult)
}

/**
 * Puts a backup into the place of a database. It waits for no calendar and no gates, but for a second person where the environment asks for one.
 *
 * An interrupted restore is resumed by the same call.
 *
 * @returns the table of results
 * @throws Error without a reason, with every reason when it may not start, and with the table when it failed
 */
export async function restore(
  context: DeliveryContext,
  database: Deployable,
  { reason, override }: Pick<DeployRequest, "reason" | "override">,
): Promise<string> {
  if (reason.trim() === "") throw new Error("a restore needs a reason: give it with --reason")
  return deploy({ ...context, guards: onlyApproval(context.guards) }, [database], {
    reason,
    override,
    release: { schemaVersion: 1, images: {} },
    authors: [],
  })
}

/** Reads what a deploy would do and what speaks against it. Changes nothing. */
export async function plan(
  context: DeliveryContext,
  components: Deployable[],
  request: Pick<DeployRequest, "release" | "authors" | "readAuthors">,
): Promise<DeployPlan> {
  refuseMixed(components)
  const found = await deployPlanOf(context, components, request.release)
  const facts = await factsOf(context, request, found.components, undefined)
  return { ...found, refusals: facts ? refusalsOf(context.guards, facts) : [] }
}

/**
 * Takes components back to a proven revision. No guard stands in the way; a web app is not left with a backend that does not serve what it calls, unless the request
 * overrides that.
 *
 * @returns the table of results
 * @throws Error with the table when a component failed
 */
export async function rollback(
  { environment }: Pick<DeliveryContext, "environment">,
  components: Component[],
  request: RevertRequest,
): Promise<string> {
  if (request.to !== undefined && components.length !== 1) {
    throw new Error("--to names a revision of one component: name that with --service, --database or --model")
  }
  if (request.override !== undefined) {
    const other = components.find(({ id }) => id.kind === "database" || id.kind === "model")
    if (other)
      throw new Error(
        `--override is for backends and web apps, and ${componentText(other.id)} is none of them`,
      )
    refusePoorReason(request.override)
  }
  const results = await Promise.all(components.map((one) => resultOf(one.id, () => one.revert(request))))
  return conclude(results, environment, undefined)
}

async function deployPlanOf(
  { environment }: DeliveryContext,
  components: Deployable[],
  release: Release,
): Promise<DeployPlan> {
  const plans = await Promise.all(components.map((component) => component.plan(release)))
  return { environment, components: plans, refusals: [] }
}

/** A model changes while the code that serves it stays the same, so that a fault has one cause. */
function refuseMixed(components: Deployable[]): void {
  const models = components.filter(({ id }) => id.kind === "model")
  const other = components.find(({ id }) => id.kind !== "model")
  if (models.length === 0 || !other) return
  throw new Error(
    `${[...models, other].map(({ id }) => componentText(id)).join(" and ")}: deploy models by a command of their own`,
  )
}

function refuseBlocked(plans: ComponentPlan[]): void {
  const blocked = plans.filter(({ action }) => action === "blocked")
  if (blocked.length > 0) throw new Error(blocked.map(({ summary }) => summary).join("\n"))
}

/** Locks and settles what can be. A component that another command works on keeps no other from its deploy. */
async function lockAll(
  components: Deployable[],
  release: Release,
): Promise<{ locked: LockedComponent[]; failed: ComponentResult[] }> {
  const all = await Promise.allSettled(
    components.map(async (component) => {
      const locked = await component.lock()
      try {
        await locked.settle(release)
        return locked
      } catch (error) {
        await locked.unlock()
        throw error
      }
    }),
  )
  const locked: LockedComponent[] = []
  const failed: ComponentResult[] = []
  for (const [at, one] of all.entries()) {
    const component = components[at]?.id
    if (one.status === "fulfilled") locked.push(one.value)
    else if (component) failed.push({ component, ...failureOf(one.reason), seconds: 0 })
  }
  return { locked, failed }
}

/**
 * Applies kind after kind, and components of one kind in parallel, but for databases. After a failure no further kind and no further database is started.
 *
 * @param failed components that could not be locked
 */
async function applyAll(
  locked: LockedComponent[],
  operation: Operation,
  failed: ComponentResult[],
): Promise<ComponentResult[]> {
  const results = [...failed]
  for (const kind of componentKinds) {
    const cause = results.find((one) => isFailure(one) && isBefore(one.component.kind, kind))
    const own = locked.filter(({ id }) => id.kind === kind)
    if (cause) {
      results.push(...own.map(({ id }) => skipped(id, cause)))
      continue
    }
    results.push(...(kind === "database" ? await inOrder(own, operation) : await atOnce(own, operation)))
  }
  return results
}

const isBefore = (one: ComponentId["kind"], other: ComponentId["kind"]) =>
  componentKinds.indexOf(one) < componentKinds.indexOf(other)

// Others may work on a component as soon as it is done, however long the rest takes.
const applied = (one: LockedComponent, operation: Operation) =>
  resultOf(one.id, () => one.apply(operation)).finally(() => one.unlock())

const atOnce = (own: LockedComponent[], operation: Operation) =>
  Promise.all(own.map((one) => applied(one, operation)))

/** Databases share no transaction. One after another, it is known which of them has changed. */
async function inOrder(own: LockedComponent[], operation: Operation): Promise<ComponentResult[]> {
  const results: ComponentResult[] = []
  for (const one of own) {
    const cause = results.find(isFailure)
    results.push(cause ? skipped(one.id, cause) : await applied(one, operation))
  }
  return results
}

const skipped = (component: ComponentId, cause: ComponentResult): ComponentResult => ({
  component,
  result: "skipped",
  message: `${componentText(cause.component)} failed`,
  seconds: 0,
})

/** Evaluates the guards for what really starts. A resumed operation was permitted when it started. */
async function permitted(
  context: DeliveryContext,
  request: DeployRequest,
  plans: ComponentPlan[],
  checksResult: ChecksResult | undefined,
): Promise<Operation> {
  const { guards, say, journal, id, who, groups } = context
  const facts = await factsOf(context, request, plans, checksResult)
  const author = authorsText(facts, request, who)
  const operation: Operation = { id, by: who, author, reason: request.reason, guards: guards.digest }
  if (!facts) return operation
  const against = refusalsOf(guards, facts)
  const found = approvalFor(facts, guards.effective)
  const approved = found
    ? { ...operation, approval: { id: found.id, by: found.by, at: iso(found.at) } }
    : operation
  if (against.length === 0) return approved
  const { committed, effective, identities } = guards
  const by = { who, groups, authors: facts.authors, identities, policies: [committed, effective] }
  const { overridden, standing } =
    request.override === ""
      ? { overridden: [], standing: against }
      : applyOverride(against, request.override, by)
  const recordAll = (kind: "refused" | "overridden", message: string) =>
    Promise.all(
      starting(plans).map(({ component, start, changes }) =>
        journal.record({
          kind,
          component,
          message,
          action: start.restore ? "restore" : component.kind === "database" ? "migrate" : "deploy",
          digest: start.digest,
          ...(kind === "refused" && {
            request: {
              image: start.image,
              ...start.contents,
              secretNames: start.secretNames,
              changes: requestedChanges(changes),
              ...(start.restore && { restore: start.restore }),
              ...(start.model !== undefined && { model: start.model }),
            },
          }),
          author,
          reason: request.reason,
          guards: guards.digest,
          ...(start.revision !== undefined && { revision: start.revision }),
          ...(start.from !== undefined && { from: start.from }),
          ...(start.strategy !== undefined && { strategy: start.strategy }),
        }),
      ),
    )
  if (standing.length > 0) {
    const message = refusalsText(standing)
    await recordAll("refused", message)
    throw new Error(`${message}\n${remedies(standing, context)}`)
  }
  const names = [...new Set(overridden.map(({ guard }) => guard))]
  const weakened = [...new Set(guards.weakened.map(weakeningText))]
  say(`Overridden, for "${oneLine(request.override)}":\n${refusalsText(overridden)}`)
  await recordAll("overridden", `${names.join(", ")}: ${request.override}`)
  return {
    ...approved,
    overridden: { reason: request.override, guards: names, ...(weakened.length > 0 && { weakened }) },
  }
}

const starting = (plans: ComponentPlan[]) =>
  plans.flatMap(({ component, start, changes }) => (start ? [{ component, start, changes }] : []))

/** What the guards in effect say, and what the settings took away from the committed ones. */
function refusalsOf({ effective, weakened }: EffectiveGuards, facts: GuardInput): Refusal[] {
  return [...weakened.map(weakeningRefusal), ...evaluateGuards(effective, facts)]
}

async function factsOf(
  context: DeliveryContext,
  { authors, readAuthors, release }: Pick<DeployRequest, "authors" | "readAuthors" | "release">,
  plans: ComponentPlan[],
  checksResult: ChecksResult | undefined,
): Promise<GuardInput | undefined> {
  const { approvals, verdicts, now, who } = context
  const { committed, effective: guards, identities } = context.guards
  const starts = starting(plans)
  if (starts.length === 0) return undefined
  const digests = Object.fromEntries(starts.map(({ component, start }) => [component.name, start.digest]))
  const needsAuthors = [committed, guards].some(({ approval }) => approval?.required)
  const [known, given, checked, signatures] = await Promise.all([
    needsAuthors ? authorsOf(starts, authors, release, readAuthors) : { unknown: "no guard asks" },
    guards.approval?.required ? approvals.all() : [],
    guards.checks === "none"
      ? undefined
      : // The gates of this very command count for this very deploy; of existing images only a recorded verdict does.
        checksResult
        ? checksResult.passed
          ? { digests: Object.values(digests), at: now() }
          : undefined
        : verdicts.passed(),
    guards.signature === "required"
      ? context.verify(
          starts.map(({ start }) => start.image),
          release.commit,
        )
      : {},
  ])
  return {
    now: now(),
    deployer: who,
    authors: known,
    identities,
    digests,
    contents: Object.fromEntries(starts.map(({ component, start }) => [component.name, start.contents])),
    approvals: given,
    checked,
    signatures,
    database: Object.fromEntries(starts.map(({ component, start }) => [component.name, start.compatibility])),
  }
}

/** Who has a part in what changes: in the commits since what is live, and whoever the release and the command name. */
async function authorsOf(
  starts: ReturnType<typeof starting>,
  named: string[],
  release: Release,
  readAuthors: ReadAuthors | undefined,
): Promise<Authors> {
  const changed = starts.filter(({ start }) => !start.restore && start.model === undefined)
  if (changed.length === 0) return { none: true }
  if (!readAuthors) return { unknown: "there is no clone to read the commits from" }
  const ranges = new Map<string, [string | undefined, string]>()
  for (const { component, start } of changed) {
    const { commit, live } = start
    if (commit === undefined) {
      return {
        unknown: `the release of ${component.name} does not name its commit; allowed: one that \`publish\` made of a clone without changes`,
      }
    }
    if (live && live.commit === undefined) {
      return {
        unknown: `revision ${live.revision} of ${component.name}, which is live, does not name its commit`,
      }
    }
    ranges.set(`${live?.commit ?? ""}..${commit}`, [live?.commit, commit])
  }
  try {
    const read = await Promise.all([...ranges.values()].map(([from, to]) => readAuthors(from, to)))
    const others = [...(release.authors ?? []), ...named].map((one) => ({ named: one }))
    return { known: [...read.flat(), ...others] }
  } catch (error) {
    return { unknown: (error as Error).message }
  }
}

/** The authors for the record. */
function authorsText(facts: GuardInput | undefined, request: DeployRequest, who: string): string {
  const { authors } = facts ?? {}
  const named = [...(request.release.authors ?? []), ...request.authors]
  const names =
    authors && "known" in authors
      ? authors.known.flatMap((author) => {
          const people = identitiesOf(author, facts?.identities ?? []).map(({ name }) => name)
          return people.length > 0 ? people : [authorText(author)]
        })
      : named
  return oneLine([...new Set(names)].join(", ") || who, 300)
}

async function recordChecks(
  { guards, journal }: DeliveryContext,
  plans: ComponentPlan[],
  checksResult: ChecksResult | undefined,
): Promise<void> {
  if (!checksResult) return
  const checks = checksResult.passed ? "passed" : "failed"
  await Promise.all(
    starting(plans).map(({ component, start: { digest } }) =>
      journal.record({
        kind: "checked",
        component,
        digest,
        checks,
        guards: guards.digest,
        message: `the gates ${checks}`,
      }),
    ),
  )
}

function remedies(standing: Refusal[], { environment, guards, id }: DeliveryContext): string {
  const overridable = [...new Set(standing.flatMap(({ guard, overridable: can }) => (can ? [guard] : [])))]
  const allowed = overridable.map((guard) => `  ${guard}: ${mayOverride(guard, guards.committed)}`)
  return [
    ...(standing.some(({ guard }) => guard === "approval")
      ? [
          `An approver reads and approves it with: ./daggerw call approve --env ${environment} --request ${id}`,
        ]
      : []),
    ...(standing.every(({ overridable: can }) => can)
      ? [`--override "why" overrides guards, and is recorded. Who may:`, ...allowed]
      : []),
  ].join("\n")
}

/** Turns an exception into a result, so that one component's failure hides no other's outcome. */
async function resultOf(
  component: ComponentId,
  task: () => Promise<OperationOutcome>,
): Promise<ComponentResult> {
  const begun = performance.now()
  const outcome = await task().catch(failureOf)
  return { component, ...outcome, seconds: (performance.now() - begun) / 1000 }
}

const failureOf = (error: unknown): OperationOutcome => ({
  result: "failed",
  message: error instanceof Error ? error.message : String(error),
})

const isFailure = ({ result }: ComponentResult) => result === "aborted" || result === "failed"

function conclude(
  results: ComponentResult[],
  environment: string,
  checksResult: ChecksResult | undefined,
): string {
  const rows = results.map(({ component, result, revision, seconds, message }) => [
    component.name,
    result,
    revision === undefined ? "" : String(revision),
    duration(seconds),
    oneLine(message, 300),
  ])
  const table = columns([["COMPONENT", "RESULT", "REVISION", "TOOK", "DETAILS"], ...rows])
  const reasons = results
    .filter(isFailure)
    .map(({ component, result, message }) =>
      result === "aborted" && component.kind !== "model"
        ? `${component.name} was not deployed to ${environment}; traffic stays on the previous revision: ${message}`
        : `${component.name} in ${environment}: ${message}`,
    )
  if (checksResult?.passed === false)
    reasons.push(`The gates failed for what was deployed to ${environment}.`)
  // The reasons come from clusters and images, and the error is printed as it is.
  if (reasons.length > 0) throw new Error(plain([table, ...reasons].join("\n\n")))
  return table
}
