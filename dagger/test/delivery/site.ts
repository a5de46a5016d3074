import { readFileSync } from "node:fs"
import type { V1Role } from "@kubernetes/client-node"
import type { Sample } from "../../src/backends/analysis/sample.js"
import { AuditLog, operations } from "../../src/delivery/audit.js"
import { environmentOf, type EnvironmentName, readDeploy } from "../../src/configuration/deploy.js"
import { deploy, type Wish } from "../../src/delivery/executor.js"
import { rollback, type Return } from "../../src/backends/rollback.js"
import { newId, type Site } from "../../src/backends/target.js"
import type { Cluster } from "../../src/clients/kubernetes/client.js"
import { accessObjects, approvalsNamespace } from "../../src/delivery/access.js"
import type { Plain } from "../../src/clients/kubernetes/manifest.js"
import type { Event } from "../../src/delivery/events/event.js"
import { Notifier } from "../../src/delivery/events/notifier.js"
import { FakeClock } from "../lib/fake-clock.js"
import { FakeCluster } from "../clients/kubernetes/fake.js"

const shipped = readFileSync(new URL("../../config/deploy.yaml", import.meta.url), "utf8")

/** Everything as it is shipped, in less time. */
const short = `
environments:
  staging: { rollout: { prePromotion: 2s, scaleDownDelay: 3s, abortDelay: 2s } }
  production:
    rollout:
      steps: [{ weight: 10, for: 6s }, { weight: 50, for: 6s }]
      prePromotion: 2s
      postPromotion: 6s
      scaleDownDelay: 3s
      abortDelay: 2s
    guards: { holidays: [{ date: 03-03, name: A holiday }] }
analysis: { interval: 2s, noDataTimeout: 60s, rules: [{ metric: error-rate, above: 10, for: 4s }] }
`

const roles = accessObjects({
  namespace: "f1-staging",
  deployers: [{ kind: "User", name: "dora" }],
  approvers: [],
}).filter(({ kind, metadata }) => kind === "Role" && metadata?.name === "pitwall-deployer") as Plain<V1Role>[]
const allowed = roles.flatMap(({ rules = [] }) =>
  rules.flatMap(({ apiGroups: [group = ""] = [], resources = [], verbs }) =>
    resources.flatMap((name) => verbs.map((verb) => `${verb} ${name}${group === "" ? "" : `.${group}`}`)),
  ),
)

/** A deployer has the rights that `access` gives, and no others. */
function rightsOnly(verb: string, resource: string): void {
  if (!allowed.includes(`${verb} ${resource}`)) throw new Error(`the deployer may not ${verb} ${resource}`)
}

export const image = (letter: string) => `registry.example.com/api@sha256:${letter.repeat(64)}`

/** A cluster with nothing in it, and commands of people who work on its service api. */
export class Platform {
  readonly clock = new FakeClock()
  readonly cluster = new FakeCluster(this.clock)
  readonly said: string[] = []
  readonly events: Event[] = []
  /** Revisions that answer every request with an error, and those that are not ready by their own word. */
  readonly failing = new Set<number>()
  readonly unwell = new Set<number>()
  /** What was asked of whom by way of the API server. */
  readonly asked: string[] = []
  private readonly layers = [{ file: "short.yaml", text: short }]

  /** @param dies at which of its requests the command is killed */
  site({
    environment = "staging",
    who = "dora",
    dies = Infinity,
  }: { environment?: EnvironmentName; who?: string; dies?: number } = {}): Site & { dead: Promise<void> } {
    const client = this.cluster.client({ dies, may: rightsOnly })
    const cluster: Cluster = {
      ...client,
      apply: (thing, options) =>
        options?.dryRun ? Promise.resolve(structuredClone(thing)) : client.apply(thing),
      whoAmI: () => Promise.resolve(who),
      proxy: (_kind, _namespace, name, path) => Promise.resolve(this.answer(name, path)),
    }
    const configuration = readDeploy(shipped, ...this.layers)
    const at = environmentOf(configuration, environment)
    return {
      ...{ cluster, who, configuration, environment: at, clock: this.clock },
      ...{ id: newId(this.cluster.now()), audit: new AuditLog(cluster, at.namespace), watch: "pass" },
      notifier: new Notifier([
        {
          name: "memory",
          send: (event) => {
            this.events.push(event)
            return Promise.resolve()
          },
        },
      ]),
      source: { name: "fake", sample: ({ revision }) => Promise.resolve(this.observed(revision)) },
      say: (line) => this.said.push(line),
      dead: client.dead,
    }
  }

  /** Lays other settings over those of commands to come. */
  set(text: string): void {
    this.layers.push({ file: "more.yaml", text })
  }

  deploy(letter: string, more: Partial<Wish> = {}, site: Site = this.site()): Promise<string> {
    const secrets = {
      DATABASE_URL: "postgresql://recipes@db/recipes",
      REDIS_URL: "redis://redis",
      JWT_SECRET_KEY: "a-key",
    }
    const wish = { images: { api: image(letter) }, secrets, reason: "pesto", author: "alan", override: "" }
    return this.clock.until(deploy(site, { ...wish, ...more }))
  }

  rollback(more: Partial<Return> = {}, site: Site = this.site()): Promise<string> {
    return this.clock.until(rollback(site, { services: ["api"], reason: "it is wrong", ...more }))
  }

  /** What the route sends where, in percent by revision. */
  traffic(): Record<string, number> {
    const { rules = [] } = (this.cluster.get("HTTPRoute", "api")?.spec ?? {}) as {
      rules?: { backendRefs: { name: string; weight: number }[] }[]
    }
    const shares = rules.flatMap(({ backendRefs }) => backendRefs).map(({ name, weight }) => [name, weight])
    return Object.fromEntries(shares) as Record<string, number>
  }

  /** The revision that the cluster's own clients get. */
  home(): unknown {
    const { selector } = (this.cluster.get("Service", "api")?.spec ?? {}) as {
      selector?: Record<string, string>
    }
    return selector?.["pitwall.dev/revision"]
  }

  async history() {
    return operations(await this.site().audit.read())
  }

  approve(letter: string, by: string): void {
    this.cluster.put({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: {
        ...{ name: `approval-${by}`, namespace: approvalsNamespace("f1-production") },
        labels: { "pitwall.dev/approval": "given" },
      },
      data: {
        by,
        digests: JSON.stringify({ api: `sha256:${letter.repeat(64)}` }),
        expires: new Date(this.cluster.now() + 3_600_000).toISOString(),
      },
    })
  }

  private answer(name: string, path: string): { status: number; text: string } {
    this.asked.push(`${name} ${path}`)
    const [target = ""] = name.split(":")
    const number = Number(target === "api" ? this.home() : target.slice("api-".length))
    if (path !== "/health/ready") return { status: this.failing.has(number) ? 500 : 200, text: "[]" }
    const ok = !this.unwell.has(number)
    const checks = { database: { ok, latency_ms: 2 }, redis: { ok: true, latency_ms: 1 } }
    return {
      status: ok ? 200 : 503,
      text: JSON.stringify({ status: ok ? "ready" : "not ready", checks }),
    }
  }

  private observed(revision: number): Sample {
    const errors = this.failing.has(revision) ? 100 : 0
    const pods = { wanted: 2, failing: 0 }
    return { at: this.cluster.now(), seconds: 2, requests: 100, errors, p95: 20, pods }
  }
}
