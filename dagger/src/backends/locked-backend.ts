import type {
  ComponentId,
  ComponentPlan,
  LockedComponent,
  Operation,
  OperationOutcome,
} from "../delivery/component.js"
import type { EventKind } from "../delivery/events/event.js"
import { iso } from "../delivery/journal.js"
import type { Release } from "../delivery/release.js"
import { blockedMessage } from "./decisions.js"
import type { DeployedService } from "./deployed-service.js"
import type { Health } from "./health.js"
import { stableService } from "./manifests/objects.js"
import { planOf, type Prepared, prepare } from "./prepare.js"
import { cleanUp, RolloutController, type RolloutContext } from "./rollout/controller.js"
import { Lease } from "../delivery/lease.js"
import { isOver, type Rollout, takeOver, usesFreshBaseline } from "./rollout/rollout.js"

/** A backend under this command's lease. */
export class LockedBackend implements LockedComponent {
  private prepared?: Prepared

  constructor(
    readonly deployed: DeployedService,
    private readonly lease: Lease,
  ) {}

  /** @throws LeaseHeld while another command has the lease */
  static async take(deployed: DeployedService): Promise<LockedBackend> {
    const { clock, cluster, environment, who } = deployed.context
    const report = (line: string) => {
      deployed.say(line)
    }
    const lease = await Lease.take(cluster, environment.namespace, deployed.name, who, { clock, report })
    return new LockedBackend(deployed, lease)
  }

  get id(): ComponentId {
    return this.deployed.id
  }

  async settle(release: Release): Promise<void> {
    const { move, rollout } = await prepare(this.deployed, release)
    if (rollout && isOver(rollout)) await this.complete(rollout)
    if (move.kind === "finish") await this.drive(move.rollout)
  }

  async plan(release: Release): Promise<ComponentPlan> {
    this.prepared = await prepare(this.deployed, release)
    return planOf(this.deployed, this.prepared)
  }

  async apply(operation: Operation): Promise<OperationOutcome> {
    const { deployed, prepared } = this
    if (!prepared) throw new Error(`${deployed.name}: apply without a plan`)
    const { move } = prepared
    switch (move.kind) {
      case "nothing":
        return { result: "unchanged", revision: move.revision, message: "it has all traffic already" }
      case "resume":
        await deployed.recordEvent(move.rollout, "resumed")
        return this.verified(await this.drive(move.rollout))
      case "begin":
        return this.verified(await this.drive(await this.start(prepared, operation)))
      case "finish":
      case "blocked":
        throw new Error(blockedMessage(move.rollout, deployed.context.environment.name))
    }
  }

  unlock(): Promise<void> {
    return this.lease.end()
  }

  /** Begins a rollout by hand of a caller that has worked out where it goes, as a rollback does. */
  async begin(
    rollout: Omit<Rollout, "controller">,
    operation?: Pick<Operation, "overridden" | "approval">,
  ): Promise<Rollout> {
    await this.deployed.recordEvent(rollout, "started", {
      ...(operation?.overridden && { overridden: operation.overridden }),
      ...(operation?.approval && { approval: operation.approval }),
    })
    return { ...rollout, controller: this.lease.holder }
  }

  /** Takes a rollout to its end and records that. */
  async drive(rollout: Rollout): Promise<Rollout> {
    const { deployed, lease } = this
    if (rollout.controller !== lease.holder) {
      await deployed.record.write(takeOver(rollout, lease.holder, deployed.context.cluster.now()))
    }
    const over = await new RolloutController(this.controllerContext()).run()
    await this.recordEnd(over)
    return over
  }

  /** Does again what a command that died at the very end may have left undone. */
  async complete(rollout: Rollout): Promise<void> {
    const { context, revisions, settings } = this.deployed
    await cleanUp(rollout, { cluster: context.cluster, revisions, history: settings.workload.history })
    await this.recordEnd(rollout)
  }

  /** The outcome of a rollout, with the health of the backend after it. */
  async verified(rollout: Rollout): Promise<OperationOutcome> {
    const { deployed } = this
    const { revision, phase, message } = rollout
    if (phase !== "promoted") return { result: "aborted", revision, message }
    const health = await deployed.health()
    if (health.ok) return { result: "promoted", revision, message: health.reason }
    const problem = `it has all traffic and is not healthy: ${health.reason}`
    await deployed.recordEvent(rollout, "failed", { message: problem })
    return { result: "failed", revision, message: problem }
  }

  private async start(prepared: Prepared, operation: Operation): Promise<Rollout> {
    const { deployed } = this
    const { context, record, revisions, name: service, rolloutSettings } = deployed
    const { move, objects, fingerprint, digest } = prepared
    if (move.kind !== "begin") throw new Error(`${service}: ${move.kind} starts nothing`)
    const { revision, stable } = move
    if (stable !== undefined) {
      const { ok, reason } = await deployed.health()
      deployed.say(`revision ${stable} is ${ok ? "healthy" : "not healthy"}: ${reason}`)
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
      guards: operation.guards,
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
    await this.deployed.recordEvent(rollout, kind, { at: iso(rollout.since) })
  }

  private controllerContext(): RolloutContext {
    const { deployed, lease } = this
    const { context, record, revisions, rolloutSettings, name: service, settings } = deployed
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
        await Promise.allSettled(settings.probe.map((path) => deployed.request(path, revision, whose)))
      },
      routeInternalTraffic: async (revision) => {
        const { namespace } = environment
        await cluster.apply(stableService({ namespace, service, revision, port: workload.port }))
      },
      onStateChange: async (rollout) => {
        const kind = progressEvents[rollout.phase]
        if (kind) await deployed.recordEvent(rollout, kind)
      },
    }
  }

  private async smokeTest(revision: number): Promise<Health> {
    const { deployed } = this
    const health = await deployed.health(revision)
    if (!health.ok) return { ok: false, reason: `smoke test: ${health.reason}` }
    for (const path of deployed.settings.probe) {
      const { status } = await deployed.request(path, revision)
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
