import type { MetricsSource } from "./analysis/sources.js"
import type { Clock } from "../lib/clock.js"
import type { Cluster } from "../clients/kubernetes/client.js"
import { Revisions } from "./revisions/revisions.js"
import { objectNames, type PodRole } from "./manifests/labels.js"
import { stableService } from "./manifests/objects.js"
import type { Kind } from "../delivery/events/event.js"
import type { Notifier } from "../delivery/events/notifier.js"
import type { RolloutSettings } from "./rollout/configuration.js"
import { Controller, type RolloutContext, cleanUp } from "./rollout/controller.js"
import type { Strategy } from "../delivery/strategy.js"
import { Lease } from "./rollout/lease.js"
import { RolloutRecord } from "./rollout/record.js"
import { type Rollout, takeOver } from "./rollout/rollout.js"
import type { AuditLog } from "../delivery/audit.js"
import type { DeployConfiguration, Environment, Placement } from "../configuration/deploy.js"
import { type Health, parseHealth } from "./health.js"

/** An environment in its cluster, and what a command works there with. */
export interface Site {
  cluster: Cluster
  configuration: DeployConfiguration
  environment: Environment
  /** Who the API server takes the command for. */
  who: string
  /** Of this command, and of what it begins. */
  id: string
  audit: AuditLog
  notifier: Notifier
  source: MetricsSource
  /** The program of the dead-man's switch. */
  watch: string
  say: (line: string) => void
  clock: Clock
}

/** How often, and in which milliseconds, a service is asked that does not answer well: the cluster's network hears of a pod a moment late. */
const patience = { tries: 8, pause: 1500 }

/** A service of an environment: what there is of it in the cluster, and what moves it. */
export class Target {
  readonly record: RolloutRecord
  readonly revisions: Revisions
  readonly settings: RolloutSettings

  /** @param strategy another one than that of the environment */
  constructor(
    readonly site: Site,
    readonly placement: Placement,
    strategy?: Strategy,
  ) {
    const { cluster, environment } = site
    const { service, hostnames, workload } = placement
    const { namespace, gateway, rollout } = environment
    this.settings = strategy ? { ...rollout, strategy } : rollout
    this.revisions = new Revisions(cluster, namespace, service)
    const entrance = { namespace, service, port: workload.port, hostnames, gateway }
    this.record = new RolloutRecord(cluster, entrance, this.settings)
  }

  get service(): string {
    return this.placement.service
  }

  /**
   * Does something with the right to move this service.
   *
   * @throws Held when another command has it
   */
  async exclusively<Result>(task: (lease: Lease) => Promise<Result>): Promise<Result> {
    const { clock, cluster, environment, say, who } = this.site
    const report = (line: string) => {
      say(`${this.service}: ${line}`)
    }
    const lease = await Lease.take(cluster, environment.namespace, this.service, who, { clock, report })
    try {
      return await task(lease)
    } finally {
      // What went wrong before it matters more; a lease that is not given back runs out by itself.
      await lease.release().catch((error: unknown) => {
        report(`the lease was not given back: ${(error as Error).message}`)
      })
    }
  }

  /** Takes a rollout that was just written or found to its end, and records that. */
  async drive(lease: Lease, rollout: Rollout): Promise<Rollout> {
    if (rollout.controller !== lease.holder) {
      await this.record.write(takeOver(rollout, lease.holder, this.site.cluster.now()))
    }
    const over = await new Controller(this.means(lease)).run()
    await this.recordEnd(over)
    return over
  }

  /** Does what a command that died at the very end has left undone. */
  async settle(rollout: Rollout): Promise<void> {
    const { revisions } = this
    await cleanUp(rollout, {
      cluster: this.site.cluster,
      revisions,
      history: this.placement.workload.history,
    })
    await this.recordEnd(rollout)
  }

  private async recordEnd({ id, service, phase, since, message }: Rollout): Promise<void> {
    // Traffic as it was found was brought there by no operation.
    if (id === "") return
    const outcome = phase === "promoted" ? phase : "aborted"
    await this.site.audit.write({ event: "ended", id, service, at: iso(since), outcome, message })
  }

  /** How a revision says that it, its database and its Redis are; without a revision, the one with all traffic. */
  async health(revision?: number): Promise<Health> {
    let health: Health = { ok: false, reason: "" }
    for (let left = patience.tries; left > 0; left--) {
      health = await this.ask("/health/ready", revision).then(parseHealth, unreachable)
      if (health.ok) break
      await this.site.clock.pause(patience.pause)
    }
    return health
  }

  async tell(rollout: Rollout, kind: Kind, message = rollout.message): Promise<void> {
    const { cluster, environment, notifier, who } = this.site
    const trouble = kind === "rolling-back" || kind === "failed"
    const over = kind === "promoted" || kind === "rolled-back"
    await notifier.tell({
      ...{ at: iso(cluster.now()), kind, environment: environment.name, service: this.service },
      ...{ revision: rollout.revision, digest: rollout.digest, by: who, message },
      key: `${environment.name}/${this.service}/rollout`,
      severity: trouble ? "critical" : kind === "rolled-back" ? "warning" : "info",
      ...(over && { resolves: true }),
    })
  }

  private means(lease: Lease): RolloutContext {
    const { clock, cluster, configuration, environment, say, source, watch } = this.site
    const { service, workload } = this.placement
    return {
      ...{ clock, cluster, lease, log: say, source, watchdogProgram: watch },
      ...{ record: this.record, revisions: this.revisions, settings: this.settings },
      analysis: configuration.analysis,
      history: workload.history,
      smokeTest: (revision) => this.smoke(revision),
      probe: (revision, whose) => this.probe(revision, whose),
      routeInternalTraffic: async (revision) => {
        const { namespace } = environment
        await cluster.apply(stableService({ namespace, service, revision, port: workload.port }))
      },
      onStateChange: async (rollout) => {
        const kind = events[rollout.phase]
        if (kind) await this.tell(rollout, kind)
      },
    }
  }

  private async smoke(revision: number): Promise<Health> {
    const health = await this.health(revision)
    if (!health.ok) return { ok: false, reason: `smoke test: ${health.reason}` }
    for (const path of this.placement.probe) {
      const { status } = await this.ask(path, revision)
      if (status >= 500) return { ok: false, reason: `smoke test: ${path} answered ${status}` }
    }
    return { ok: true, reason: `smoke test: ${health.reason}` }
  }

  /** What comes of the requests is counted by the revision itself, and whatever does not get there is no data. */
  private async probe(revision: number, whose: PodRole): Promise<void> {
    await Promise.allSettled(this.placement.probe.map((path) => this.ask(path, revision, whose)))
  }

  private ask(
    path: string,
    revision?: number,
    whose: PodRole = "revision",
  ): Promise<{ status: number; text: string }> {
    const { cluster, environment } = this.site
    const name = revision === undefined ? this.service : objectNames[whose](this.service, revision)
    const address = `${name}:${this.placement.workload.port}`
    return cluster.proxy("services", environment.namespace, address, path)
  }
}

/** What people may want to be told when a phase begins. */
const events: Partial<Record<Rollout["phase"], Kind>> = {
  shifting: "shifted",
  promoting: "shifted",
  promoted: "promoted",
  aborting: "rolling-back",
  aborted: "rolled-back",
}

const unreachable = (error: unknown): Health => ({
  ok: false,
  reason: `it does not answer: ${(error as Error).message}`,
})

export const iso = (milliseconds: number): string => new Date(milliseconds).toISOString()

/** Such as `20261126-101500-x7k2`: it sorts by time, and names things in the cluster. */
export function newId(now: number): string {
  const chance = Math.random().toString(36).slice(2, 6).padEnd(4, "0")
  return `${iso(now).slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-")}-${chance}`
}
