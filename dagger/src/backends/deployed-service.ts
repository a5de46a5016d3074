import type { KubernetesApi } from "../clients/kubernetes/client.js"
import type { ComponentId } from "../delivery/component.js"
import type { EventKind } from "../delivery/events/event.js"
import type { Happening, Journal } from "../delivery/journal.js"
import type { Strategy } from "../delivery/strategy.js"
import type { Clock } from "../lib/clock.js"
import type { AnalysisSettings } from "./analysis/rules.js"
import type { MetricsSource } from "./analysis/sources.js"
import { type Health, parseHealth } from "./health.js"
import { objectNames, type PodRole } from "./manifests/labels.js"
import { Revisions } from "./revisions/revisions.js"
import type { RolloutSettings } from "./rollout/configuration.js"
import { RolloutRecord } from "./rollout/record.js"
import type { Rollout } from "./rollout/rollout.js"
import type { BackendEnvironment, BackendSettings } from "./settings.js"

/** What all backends of an environment work with. */
export interface BackendContext {
  environment: BackendEnvironment
  analysis: AnalysisSettings
  cluster: KubernetesApi
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
  /** Reads which migrations that revisions of a service brought have not run; without it, all of them count as run. */
  waitingMigrations?: (service: string) => Promise<string[]>
  /** Reads what web apps that visitors get would miss if a service were served by an image, each in a sentence; without it, there are none. */
  missedByWebApps?: (service: string, image: string) => Promise<string[]>
  say: (line: string) => void
  clock: Clock
}

/** Tries of a health check and the milliseconds between them: the cluster's network learns of a new pod with a delay. */
const healthCheck = { tries: 8, pause: 1500 }

/** A service in its environment: its rollout record, its revisions and its health. */
export class DeployedService {
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

  get name(): string {
    return this.settings.service
  }

  /** Migrations that its revisions brought and that have not run. */
  async waitingMigrations(): Promise<string[]> {
    return (await this.context.waitingMigrations?.(this.name)) ?? []
  }

  /** What web apps that visitors get would miss if one of its images served, each in a sentence. */
  async missedByWebApps(image: string): Promise<string[]> {
    return (await this.context.missedByWebApps?.(this.name, image)) ?? []
  }

  say(line: string): void {
    this.context.say(`${this.name}: ${line}`)
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
    const name = revision === undefined ? this.name : objectNames[whose](this.name, revision)
    return cluster.proxy("services", environment.namespace, `${name}:${this.settings.workload.port}`, path)
  }

  /** Records something that happened to a rollout. */
  async recordEvent(
    rollout: Omit<Rollout, "controller">,
    kind: EventKind,
    more: Partial<Happening> = {},
  ): Promise<void> {
    const { id, kind: action, strategy, revision, stable, digest, author, guards, reason, message } = rollout
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
      ...(guards !== undefined && { guards }),
      ...(stable !== undefined && { from: stable }),
      ...more,
    })
  }
}

const unreachable = (error: unknown): Health => ({
  ok: false,
  reason: `it does not answer: ${(error as Error).message}`,
})
