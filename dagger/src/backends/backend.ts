import type { Cluster } from "../clients/kubernetes/client.js"
import type {
  Component,
  ComponentId,
  ComponentPlan,
  ComponentStatus,
  LockedComponent,
  Operation,
  Outcome,
  RevertRequest,
} from "../delivery/component.js"
import type { EventKind } from "../delivery/events/event.js"
import { iso, type Journal } from "../delivery/journal.js"
import type { Strategy } from "../delivery/strategy.js"
import type { Release, ReleasedImage } from "../delivery/release.js"
import type { Clock } from "../lib/clock.js"
import type { AnalysisSettings } from "./analysis/rules.js"
import type { MetricsSource } from "./analysis/sources.js"
import { blockedMessage, stableRevision } from "./decisions.js"
import { type Health, parseHealth } from "./health.js"
import { objectNames, type PodRole } from "./manifests/labels.js"
import { stableService } from "./manifests/objects.js"
import { planOf, type Prepared, prepare } from "./prepare.js"
import { revert } from "./revert.js"
import { Revisions } from "./revisions/revisions.js"
import type { RolloutSettings } from "./rollout/configuration.js"
import { Controller, type RolloutContext, cleanUp } from "./rollout/controller.js"
import { Lease } from "./rollout/lease.js"
import { RolloutRecord } from "./rollout/record.js"
import { usesFreshBaseline, isOver, type Rollout, takeOver } from "./rollout/rollout.js"
import type { BackendEnvironment, BackendSettings } from "./settings.js"
import { statusOf } from "./status.js"

/** What all backends of an environment work with. */
export interface BackendContext {
  environment: BackendEnvironment
  analysis: AnalysisSettings
  cluster: Cluster
  /** Who runs the command, as the API server knows them. */
  who: string
  /** The operation's id. */
  id: string
  journal: Journal
  metrics: MetricsSource
  /** The program of the watchdog, `dagger/config/kubernetes/watch.py`. */
  watchdog: string
  /** Values of the secrets file, by entry. */
  secrets: Record<string, string>
  /** A strategy other than that of the environment. */
  strategy?: Strategy
  say: (line: string) => void
  clock: Clock
}

/** Tries of a health check and the milliseconds between them: the cluster's network learns of a new pod with a delay. */
const healthCheck = { tries: 8, pause: 1500 }

/** A backend of an environment: a service on Kubernetes whose revisions get traffic by rollouts. */
export class Backend implements Component {
  readonly id: ComponentId
  readonly record: RolloutRecord
  readonly revisions: Revisions
  readonly rolloutSettings: RolloutSettings

  constructor(
    readonly context: BackendContext,
    readonly settings: BackendSettings,
  ) {
    const { cluster, environment, strategy } = context
    const { service, hostnames, workload } = settings
    const { namespace, gateway, rollout } = environment
    this.id = { kind: "backend", name: service }
    this.rolloutSettings = strategy ? { ...rollout, strategy } : rollout
    this.revisions = new Revisions(cluster, namespace, service)
    const { name, namespace: home, section } = gateway
    const route = {
      namespace,
      service,
      port: workload.port,
      hostnames,
      gateway: { name, namespace: home, ...(section !== undefined && { section }) },
    }
    this.record = new RolloutRecord(cluster, route, this.rolloutSettings)
  }

  get service(): string {
    return this.settings.service
  }

  async current(): Promise<ReleasedImage | undefined> {
    const number = stableRevision(await this.record.read())
    const revision = number === undefined ? undefined : await this.revisions.find(number)
    if (!revision) return undefined
    return { reference: revision.image, ...(revision.schema && { migrations: revision.schema }) }
  }

  async plan(release: Release): Promise<ComponentPlan> {
    return planOf(this, await prepare(this, release))
  }

  async lock(): Promise<LockedBackend> {
    const { clock, cluster, environment, who } = this.context
    const report = (line: string) => {
      this.say(line)
    }
    return new LockedBackend(
      this,
      await Lease.take(cluster, environment.namespace, this.service, who, { clock, report }),
    )
  }

  revert(request: RevertRequest): Promise<Outcome> {
    return revert(this, request)
  }

  status(): Promise<ComponentStatus> {
    return statusOf(this)
  }

  say(line: string): void {
    this.context.say(`${this.service}: ${line}`)
  }

  /** How a revision judges itself, its database and its Redis; without a number, the revision that serves. */
  async health(revision?: number): Promise<Health> {
    let health: Health = { ok: false, reason: "" }
    for (let left = healthCheck.tries; left > 0; left--) {
      health = await this.request("/health/ready", revision).then(parseHealth, unreachable)
      if (health.ok) break
      await this.context.clock.pause(healthCheck.pause)
    }
    return health
  }

  /** Requests a path of a revision by way of the API server; without a number, of the revision that serves. */
  request(
    path: string,
    revision?: number,
    whose: PodRole = "revision",
  ): Promise<{ status: number; text: string }> {
    const { cluster, environment } = this.context
    const name = revision === undefined ? this.service : objectNames[whose](this.service, revision)
    return cluster.proxy("services", environment.namespace, `${name}:${this.settings.workload.port}`, path)
  }

  /** Records something that happened to a rollout. */
  async recordEvent(
    rollout: Rollout,
    kind: EventKind,
    message = rollout.message,
    at?: number,
  ): Promise<void> {
    const { id, kind: action, strategy, revision, stable, digest, author, reason } = rollout
    await this.context.journal.record({
      kind,
      component: this.id,
      message,
      operation: id,
      action,
      strategy,
      revision,
      digest,
      author,
      reason,
      ...(stable !== undefined && { from: stable }),
      ...(at !== undefined && { at: iso(at) }),
    })
  }
}

/** A backend under this command's lease. */
export class LockedBackend implements LockedComponent {
  private prepared?: Prepared

  constructor(
    readonly backend: Backend,
    private readonly lease: Lease,
  ) {}

  get id(): ComponentId {
    return this.backend.id
  }

  async settle(release: Release): Promise<void> {
    const { move, rollout } = await prepare(this.backend, release)
    if (rollout && isOver(rollout)) await this.complete(rollout)
    if (move.kind === "finish") await this.drive(move.rollout)
  }

  async plan(release: Release): Promise<ComponentPlan> {
    this.prepared = await prepare(this.backend, release)
    return planOf(this.backend, this.prepared)
  }

  async apply(operation: Operation): Promise<Outcome> {
    const { backend, prepared } = this
    if (!prepared) throw new Error(`${backend.service}: apply without a plan`)
    const { move } = prepared
    switch (move.kind) {
      case "nothing":
        return { result: "unchanged", revision: move.revision, message: "it has all traffic already" }
      case "resume":
        await backend.recordEvent(move.rollout, "resumed")
        return this.verified(await this.drive(move.rollout))
      case "begin":
        return this.verified(await this.drive(await this.start(prepared, operation)))
      case "finish":
      case "blocked":
        throw new Error(blockedMessage(move.rollout, backend.context.environment.name))
    }
  }

  async unlock(): Promise<void> {
    // The operation's own error matters more, and a lease that is not released expires.
    await this.lease.release().catch((error: unknown) => {
      this.backend.say(`the lease was not released: ${(error as Error).message}`)
    })
  }

  /** Begins a rollout by hand of a caller that has worked out where it goes, as a rollback does. */
  async begin(rollout: Omit<Rollout, "controller">, operation?: Operation): Promise<Rollout> {
    const { backend, lease } = this
    const begun = { ...rollout, controller: lease.holder }
    const { context, id } = backend
    await context.journal.record({
      kind: "started",
      component: id,
      message: rollout.message,
      operation: rollout.id,
      action: rollout.kind,
      strategy: rollout.strategy,
      revision: rollout.revision,
      digest: rollout.digest,
      author: rollout.author,
      reason: rollout.reason,
      ...(rollout.stable !== undefined && { from: rollout.stable }),
      ...(operation?.overridden && { overridden: operation.overridden }),
      ...(operation?.approval && { approval: operation.approval }),
    })
    return begun
  }

  /** Takes a rollout to its end and records that. */
  async drive(rollout: Rollout): Promise<Rollout> {
    const { backend, lease } = this
    if (rollout.controller !== lease.holder) {
      await backend.record.write(takeOver(rollout, lease.holder, backend.context.cluster.now()))
    }
    const over = await new Controller(this.controllerContext()).run()
    await this.recordEnd(over)
    return over
  }

  /** Does again what a command that died at the very end may have left undone. */
  async complete(rollout: Rollout): Promise<void> {
    const { context, revisions, settings } = this.backend
    await cleanUp(rollout, { cluster: context.cluster, revisions, history: settings.workload.history })
    await this.recordEnd(rollout)
  }

  /** The outcome of a rollout, with the health of the backend after it. */
  async verified(rollout: Rollout): Promise<Outcome> {
    const { backend } = this
    const { revision, phase, message } = rollout
    if (phase !== "promoted") return { result: "aborted", revision, message }
    const health = await backend.health()
    if (health.ok) return { result: "promoted", revision, message: health.reason }
    const problem = `it has all traffic and is not healthy: ${health.reason}`
    await backend.recordEvent(rollout, "failed", problem)
    return { result: "failed", revision, message: problem }
  }

  private async start(prepared: Prepared, operation: Operation): Promise<Rollout> {
    const { backend } = this
    const { context, record, revisions, service, rolloutSettings } = backend
    const { move, objects, fingerprint, digest } = prepared
    if (move.kind !== "begin") throw new Error(`${service}: ${move.kind} starts nothing`)
    const { revision, stable } = move
    if (stable !== undefined) {
      const { ok, reason } = await backend.health()
      backend.say(`revision ${stable} is ${ok ? "healthy" : "not healthy"}: ${reason}`)
    }
    const now = context.cluster.now()
    const { strategy } = rolloutSettings
    const rollout: Omit<Rollout, "controller"> = {
      id: operation.id,
      service,
      strategy,
      kind: "deploy",
      revision,
      digest,
      phase: "preparing",
      step: 0,
      since: now,
      began: now,
      by: operation.by,
      author: operation.author,
      reason: operation.reason,
      message: `revision ${revision} is brought up`,
      ...(stable !== undefined && { stable }),
      ...(usesFreshBaseline(
        { strategy, kind: "deploy", ...(stable !== undefined && { stable }) },
        context.analysis,
      ) && {
        baseline: true,
      }),
    }
    const begun = await this.begin(rollout, operation)
    await revisions.ensure(objects, fingerprint)
    await record.write(begun)
    return begun
  }

  private async recordEnd(rollout: Rollout): Promise<void> {
    // A rollout that was adopted from existing traffic has no operation.
    if (rollout.id === "") return
    const kind = rollout.phase === "promoted" ? "promoted" : "rolled-back"
    await this.backend.recordEvent(rollout, kind, rollout.message, rollout.since)
  }

  private controllerContext(): RolloutContext {
    const { backend, lease } = this
    const { context, record, revisions, rolloutSettings, service, settings } = backend
    const { analysis, clock, cluster, environment, metrics, say, watchdog } = context
    const { workload } = settings
    return {
      analysis,
      clock,
      cluster,
      lease,
      log: say,
      record,
      revisions,
      settings: rolloutSettings,
      source: metrics,
      watchdogProgram: watchdog,
      history: workload.history,
      smokeTest: (revision) => this.smokeTest(revision),
      probe: async (revision, whose) => {
        // The revision itself counts what comes of the requests; one that does not arrive is no data.
        await Promise.allSettled(settings.probe.map((path) => backend.request(path, revision, whose)))
      },
      routeInternalTraffic: async (revision) => {
        const { namespace } = environment
        await cluster.apply(stableService({ namespace, service, revision, port: workload.port }))
      },
      onStateChange: async (rollout) => {
        const kind = progressEvents[rollout.phase]
        if (kind) await backend.recordEvent(rollout, kind)
      },
    }
  }

  private async smokeTest(revision: number): Promise<Health> {
    const { backend } = this
    const health = await backend.health(revision)
    if (!health.ok) return { ok: false, reason: `smoke test: ${health.reason}` }
    for (const path of backend.settings.probe) {
      const { status } = await backend.request(path, revision)
      if (status >= 500) return { ok: false, reason: `smoke test: ${path} answered ${status}` }
    }
    return { ok: true, reason: `smoke test: ${health.reason}` }
  }
}

/** What sinks are told when a phase begins; the ends are recorded once the cluster is tidied up. */
const progressEvents: Partial<Record<Rollout["phase"], EventKind>> = {
  shifting: "shifted",
  promoting: "shifted",
  aborting: "rolling-back",
}

const unreachable = (error: unknown): Health => ({
  ok: false,
  reason: `it does not answer: ${(error as Error).message}`,
})
