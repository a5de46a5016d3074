import { expect } from "vitest"
import type { Sample } from "../../../src/backends/analysis/sample.js"
import type { MetricsSource, MetricsTarget } from "../../../src/backends/analysis/sources.js"
import type { KubernetesApi } from "../../../src/clients/kubernetes/client.js"
import { Revisions } from "../../../src/backends/revisions/revisions.js"
import { accessObjects } from "../../../src/delivery/access.js"
import { baselineName, labels, revisionName } from "../../../src/backends/manifests/labels.js"
import { revisionObjects, stableService } from "../../../src/backends/manifests/objects.js"
import type { RolloutSettings } from "../../../src/backends/rollout/configuration.js"
import type { AnalysisSettings } from "../../../src/backends/analysis/rules.js"
import { RolloutController, type RolloutContext, cleanUp } from "../../../src/backends/rollout/controller.js"
import { Lease } from "../../../src/delivery/lease.js"
import { type RouteSettings, RolloutRecord } from "../../../src/backends/rollout/record.js"
import { isOver, type Rollout, takeOver } from "../../../src/backends/rollout/rollout.js"
import { FakeClock } from "../../lib/fake-clock.js"
import { FakeCluster, startup } from "../../clients/kubernetes/fake.js"
import { needed, release, workload } from "../manifests/fixtures.js"
import { analysis, rollout, settings } from "./fixtures.js"

export const service = "f1-backend"
export const entrance: RouteSettings = {
  namespace: "f1-staging",
  service,
  port: 8000,
  hostnames: [],
  gateway: { name: "public", namespace: "router" },
}
const plan = workload(needed.replace("max: 6", "max: 8"))
export const nameOf = (revision: number) => revisionName(service, revision)
export const beside = baselineName(service, 2)

/** What the deployer may do, and whatever it is asked beyond. */
export function rights(): (verb: string, resource: string) => void {
  const deployer = { kind: "User" as const, name: "ada" }
  const roles = accessObjects({
    namespace: entrance.namespace,
    deployers: [deployer],
    approvers: [],
  }) as unknown as {
    kind: string
    metadata: { name: string }
    rules: { apiGroups: string[]; resources: string[]; verbs: string[] }[]
  }[]
  const role = roles.find(({ kind, metadata }) => kind === "Role" && metadata.name === "pitwall-deployer")
  const allowed = new Set(
    role?.rules.flatMap(({ apiGroups: [group = ""], resources, verbs }) =>
      resources.flatMap((name) => verbs.map((verb) => `${verb} ${name}${group === "" ? "" : `.${group}`}`)),
    ),
  )
  return (verb, resource) => {
    if (!allowed.has(`${verb} ${resource}`)) throw new Error(`the deployer may not ${verb} ${resource}`)
  }
}

/** Requests that each revision answers in a second, and the share of errors in percent. */
class Traffic implements MetricsSource {
  readonly name = "fake"
  readonly errors = new Map<number, number>()
  /** Milliseconds that an answer takes, by role; 50, if not said. */
  readonly took: Partial<Record<MetricsTarget["role"], number>> = {}
  readonly asked: string[] = []
  private readonly seen = new Map<string, number>()

  constructor(private readonly cluster: FakeCluster) {}

  sample({ revision, role }: MetricsTarget): Promise<Sample> {
    const at = this.cluster.now()
    const key = `${role} ${revision}`
    this.asked.push(key)
    const seconds = (at - (this.seen.get(key) ?? at)) / 1000
    this.seen.set(key, at)
    const requests = 50 * seconds
    const name = role === "baseline" ? baselineName(service, revision) : nameOf(revision)
    const wanted = Number(this.cluster.get("Deployment", name)?.spec?.replicas)
    return Promise.resolve({
      at,
      seconds,
      requests,
      errors: (requests * (this.errors.get(revision) ?? 0)) / 100,
      p95: 100,
      p50: this.took[role] ?? 50,
      pods: { wanted, failing: wanted - this.cluster.serving(name) },
    })
  }
}

/** A platform with revision 1 in service, and whatever a test does to it. */
export class Platform {
  readonly clock = new FakeClock()
  readonly cluster = new FakeCluster(this.clock)
  readonly traffic = new Traffic(this.cluster)
  readonly said: string[] = []
  /** Requests that no pod could have answered. */
  readonly lost: string[] = []
  /** The shares that each has now, by name. */
  routed: Record<string, number> = {}
  /** The shares that the candidate has had, in turn. */
  readonly shares: number[] = []
  readonly smokes: number[] = []
  readonly probes: string[] = []
  smoke = { ok: true, reason: "it is well" }
  comparison?: NonNullable<AnalysisSettings["comparison"]>

  static async begin(pods = 4): Promise<Platform> {
    const platform = new Platform()
    const cluster = platform.cluster.client()
    const revisions = new Revisions(cluster, entrance.namespace, service)
    const { clock } = platform
    const first = rollout({ id: "r1", revision: 1, phase: "promoted", message: "first" })
    await clock.until(revisions.ensure(platform.objects(1), "one"))
    await clock.until(revisions.scale(1, pods))
    await clock.until(revisions.recordOutcome(1, "promoted"))
    await clock.until(platform.point(cluster)(1))
    await clock.until(new RolloutRecord(cluster, entrance, settings()).write(first))
    await clock.pass(startup)
    platform.cluster.watchers.push(() => {
      platform.checkRoutes()
    })
    return platform
  }

  objects(revision: number) {
    return revisionObjects(plan, release({ revision }))
  }

  point(cluster: KubernetesApi) {
    return async (revision: number) => {
      await cluster.apply(stableService({ ...entrance, revision }))
    }
  }

  /** Everything that gets requests has an address, and pods for them; and the route's shares are a whole. */
  private checkRoutes(): void {
    const route = this.cluster.get("HTTPRoute", service)
    const { rules } = route?.spec as { rules: { backendRefs: { name: string; weight: number }[] }[] }
    const targets = rules.flatMap(({ backendRefs }) => backendRefs)
    const { selector } = this.cluster.get("Service", service)?.spec as { selector: Record<string, string> }
    if (targets.length > 0)
      this.routed = Object.fromEntries(targets.map(({ name, weight }) => [name, weight]))
    const names = [...targets.map(({ name }) => name), nameOf(Number(selector[labels.revision]))]
    for (const name of names) {
      if (!this.cluster.get("Service", name) || this.cluster.serving(name) === 0) this.lost.push(name)
    }
    const sum = targets.reduce((total, { weight }) => total + weight, 0)
    if (sum !== 100) this.lost.push(`${sum} %`)
    const share = targets.find(({ name }) => name === nameOf(2))?.weight ?? 0
    if (share !== (this.shares.at(-1) ?? 0)) this.shares.push(share)
  }

  context(cluster: KubernetesApi, lease: Lease, change: Partial<RolloutSettings> = {}): RolloutContext {
    const plan = settings(change)
    return {
      cluster,
      lease,
      settings: plan,
      source: this.traffic,
      clock: this.clock,
      analysis: { ...analysis, ...(this.comparison && { comparison: this.comparison }) },
      record: new RolloutRecord(cluster, entrance, plan),
      revisions: new Revisions(cluster, entrance.namespace, service),
      smokeTest: (revision) => {
        this.smokes.push(revision)
        return Promise.resolve(this.smoke)
      },
      probe: (revision, role) => {
        this.probes.push(`${role} ${revision}`)
        return Promise.resolve()
      },
      routeInternalTraffic: this.point(cluster),
      watchdogProgram: "print()",
      history: 3,
      log: (line) => this.said.push(line),
    }
  }

  /** As a deploy does: it goes on with what is under way, or begins. */
  async deploy(
    change: Partial<Rollout> = {},
    {
      who = "ada",
      client = this.cluster.client({ may: rights() }),
      plan = {},
      entered,
    }: {
      who?: string
      client?: KubernetesApi
      plan?: Partial<RolloutSettings>
      entered?: (rollout: Rollout) => void
    } = {},
  ): Promise<Rollout> {
    const lease = await Lease.take(client, entrance.namespace, service, who, {
      clock: this.clock,
      report: (line) => this.said.push(line),
    })
    const context = this.context(client, lease, plan)
    const now = client.now()
    const found = await context.record.read()
    const asked = rollout({ ...change, since: now, began: now, controller: lease.holder })
    if (found && !isOver(found)) await context.record.write(takeOver(found, lease.holder, now))
    else if (found?.id === asked.id) return this.finished(found, context, lease)
    else {
      if (asked.kind === "deploy") await context.revisions.ensure(this.objects(2), "two")
      await context.record.write(asked)
    }
    if (entered) {
      context.onStateChange = (state) => {
        entered(state)
        return Promise.resolve()
      }
    }
    const end = await new RolloutController(context).run()
    await lease.release()
    return end
  }

  private async finished(found: Rollout, context: RolloutContext, lease: Lease): Promise<Rollout> {
    await cleanUp(found, context)
    await lease.release()
    return found
  }

  run(...asked: Parameters<Platform["deploy"]>): Promise<Rollout> {
    return this.clock.until(this.deploy(...asked))
  }

  replicas(revision: number): unknown {
    return this.cluster.get("Deployment", nameOf(revision))?.spec?.replicas
  }

  least(revision: number): unknown {
    return this.cluster.get("HorizontalPodAutoscaler", nameOf(revision))?.spec?.minReplicas
  }

  get leaseSpec(): Record<string, unknown> | undefined {
    return this.cluster.get("Lease", `${service}-rollout`)?.spec
  }

  /** Where the cluster's own clients go. */
  get inside(): string | undefined {
    const { selector } = this.cluster.get("Service", service)?.spec as { selector: Record<string, string> }
    return selector[labels.revision]
  }

  /** All is as after a rollout to a revision, and nothing is left of it. */
  expectOn(revision: number, other: number, pods = 4): void {
    expect(this.inside).toBe(String(revision))
    expect([this.replicas(revision), this.replicas(other)]).toEqual([pods, 0])
    expect(this.least(revision)).toBe(2)
    expect(this.cluster.all("Job")).toEqual([])
    const names = (kind: string) => this.cluster.all(kind).map(({ metadata }) => metadata?.name)
    expect(names("Deployment")).toEqual([nameOf(1), nameOf(2)])
    expect(names("Service")).not.toContain(beside)
    expect(this.lost).toEqual([])
  }
}

export const deployment = (revision: number) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { namespace: entrance.namespace, name: nameOf(revision) },
})
