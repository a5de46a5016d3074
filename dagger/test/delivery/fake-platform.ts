import { readFileSync } from "node:fs"
import type { V1Role } from "@kubernetes/client-node"
import type { Sample } from "../../src/backends/analysis/sample.js"
import type { Strategy } from "../../src/delivery/strategy.js"
import type { KubernetesApi } from "../../src/clients/kubernetes/client.js"
import type { Plain } from "../../src/clients/kubernetes/manifest.js"
import { accessObjects, approvalsName, guardsNamespace } from "../../src/delivery/access.js"
import { approvalEntries } from "../../src/delivery/approvals.js"
import type { Component, RevertRequest } from "../../src/delivery/component.js"
import type { Notification } from "../../src/delivery/events/event.js"
import {
  deploy,
  type DeliveryContext,
  type DeployRequest,
  type ReadAuthors,
  rollback,
} from "../../src/delivery/executor.js"
import type { Author } from "../../src/delivery/guards/identities.js"
import type { AuditTrail } from "../../src/delivery/audit.js"
import type { Layer } from "../../src/lib/document.js"
import { operationsOf } from "../../src/delivery/history.js"
import type { Release } from "../../src/delivery/release.js"
import { type DeployConfiguration, environmentOf, readDeploy } from "../../src/environments/configuration.js"
import { Backend } from "../../src/backends/backend.js"
import { secretsDigest } from "../../src/delivery/guards/digest.js"
import { verdictObject } from "../../src/delivery/verdicts.js"
import {
  type EnvironmentOptions,
  openEnvironment,
  type OpenEnvironment,
} from "../../src/environments/environment.js"
import { guardsOf } from "../../src/environments/guards.js"
import type { EnvironmentName } from "../../src/environments/secrets.js"
import { FakeCluster } from "../clients/kubernetes/fake.js"
import { FakeClock } from "../lib/fake-clock.js"

const shipped = readFileSync(new URL("../../config/deploy.yaml", import.meta.url), "utf8")

/** Everything as it is shipped, in less time. */
const short = `
identities:
  - { name: Alan, emails: [alan@example.com], github: [alan-t], kubernetes: [alan] }
  - { name: Dora, emails: [dora@example.com], kubernetes: [dora] }
  - { name: Grace, emails: [grace@example.com], kubernetes: [grace] }
  - { name: Ada, emails: [ada@example.com], kubernetes: [ada] }
  - { name: Eve, emails: [eve@example.com], kubernetes: [eve] }
environments:
  staging: { rollout: { prePromotion: 2s, scaleDownDelay: 3s, abortDelay: 2s } }
  production:
    rollout:
      steps: [{ weight: 10, for: 6s }, { weight: 50, for: 6s }]
      prePromotion: 2s
      postPromotion: 6s
      scaleDownDelay: 3s
      abortDelay: 2s
    guards:
      holidays: [{ date: 03-03, name: A holiday }]
      overrides: { approval: [group:incident-managers], checks: [group:incident-managers] }
analysis: { interval: 2s, noDataTimeout: 60s, rules: [{ metric: error-rate, above: 10, for: 4s }] }
`

const roles = accessObjects({
  namespace: "f1-staging",
  deployers: [{ kind: "User", name: "dora" }],
  approvers: [],
  databases: ["recipes", "f1"],
  models: ["f1-winners"],
  frontends: ["web"],
}).filter(({ kind, metadata }) => kind === "Role" && metadata?.name === "pitwall-deployer") as Plain<V1Role>[]
const allowed = roles.flatMap(({ rules = [] }) =>
  rules.flatMap(({ apiGroups: [group = ""] = [], resources = [], resourceNames = [""], verbs }) =>
    resources.flatMap((resource) =>
      verbs.flatMap((verb) =>
        resourceNames.map((name) => `${verb} ${resource}${group === "" ? "" : `.${group}`} ${name}`.trim()),
      ),
    ),
  ),
)

/** A deployer has the rights that `access` gives, and no others. */
function rightsOnly(verb: string, resource: string, name = ""): void {
  const may = allowed.includes(`${verb} ${resource}`) || allowed.includes(`${verb} ${resource} ${name}`)
  if (!may) throw new Error(`the deployer may not ${verb} ${resource} ${name}`)
}

export const image = (letter: string, service = "api") =>
  `registry.example.com/${service}@sha256:${letter.repeat(64)}`

/** The commit of a release's letter. */
export const commitOf = (letter: string) => letter.repeat(40)

/** A release of one service, or of several with the same letter. */
export const releaseOf = (letter: string, more: Partial<Release> = {}, services = ["api"]): Release => ({
  schemaVersion: 1,
  commit: commitOf(letter),
  images: Object.fromEntries(services.map((service) => [service, { reference: image(letter, service) }])),
  ...more,
})

/** The author of the commit of a letter. */
export const authorOf = (name: string, letter: string): Author => ({
  name,
  email: `${name}@example.com`,
  commit: commitOf(letter),
})

export const secrets = Object.fromEntries(
  ["STAGING", "PRODUCTION"].flatMap((environment) => [
    [`${environment}_DATABASE_URL`, "postgresql://recipes@db/recipes"],
    [`${environment}_F1_DATABASE_URL`, "postgresql://f1@db/f1"],
    [`${environment}_REDIS_URL`, "redis://redis"],
    [`${environment}_JWT_SECRET_KEY`, "a-key"],
  ]),
) as Record<string, string>

/** Who runs a command, where, and with what. */
export interface CommandOptions {
  environment?: EnvironmentName
  who?: string
  groups?: string[]
  /** The request at which the command is killed. */
  dies?: number
  /** Whether the API server has handled that request. */
  after?: boolean
  /** Components; the service api alone, if absent. */
  only?: string[]
  secrets?: Record<string, string>
  strategy?: Strategy
}

/** A command of somebody: what it works with, and the components it works on. */
export interface Command extends DeliveryContext {
  opened: OpenEnvironment
  components: Component[]
  readAuthors: ReadAuthors
  dead: Promise<void>
  /** Kills it at once. */
  kill: () => void
  /** Requests that it has sent. */
  requests: () => number
}

const configurations = new Map<string, DeployConfiguration>()

/** The shipped configuration with these layers over it, read once: most of the time of a command is this. */
function configurationOf(layers: Layer[]): DeployConfiguration {
  const key = JSON.stringify(layers)
  const known = configurations.get(key) ?? readDeploy(shipped, ...layers)
  configurations.set(key, known)
  return known
}

/** A cluster with nothing in it, and commands of people who work on its backends. */
export class FakePlatform {
  readonly clock = new FakeClock()
  readonly cluster = new FakeCluster(this.clock)
  readonly said: string[] = []
  readonly events: Notification[] = []
  /** Revisions that answer every request with an error, and those that report themselves unhealthy. */
  readonly failing = new Set<number>()
  readonly unwell = new Set<number>()
  /** What these say of their database. */
  complaint?: string
  /** What pods show at /metrics. */
  metrics: (pod: string) => { status: number; text: string } = () => ({ status: 200, text: "" })
  /** Services whose revisions all answer every request with an error. */
  readonly failingServices = new Set<string>()
  /** Paths that were requested by way of the API server. */
  readonly asked: string[] = []
  /** Who has a part in a commit, by the letter of its release; Alan, if absent. */
  readonly authors: Record<string, Author[]> = {}
  /** What web apps are deployed with. */
  frontends?: EnvironmentOptions["frontends"]
  /** Amazon RDS. */
  rds?: EnvironmentOptions["rds"]
  /** Verifies images; without it, none is. */
  verify?: EnvironmentOptions["verify"]
  private readonly committed = [{ file: "short.yaml", text: short }]
  private readonly settings: Layer[] = []

  command(options: CommandOptions = {}): Command {
    const {
      environment = "staging",
      who: name = "dora",
      groups = [],
      dies = Infinity,
      after = false,
      only = ["api"],
      strategy,
    } = options
    const who = { name, groups: ["system:authenticated", ...groups] }
    const client = this.cluster.client({ dies, after, may: rightsOnly })
    const cluster: KubernetesApi = {
      ...client,
      apply: (thing, applyOptions) =>
        applyOptions?.dryRun ? Promise.resolve(structuredClone(thing)) : client.apply(thing),
      whoAmI: () => Promise.resolve(who),
      proxy: (_kind, _namespace, name, path) => Promise.resolve(this.answer(name, path)),
    }
    const committed = configurationOf(this.committed)
    const configuration = configurationOf([...this.committed, ...this.settings])
    const opened = openEnvironment({
      configuration,
      environment: environmentOf(configuration, environment),
      guards: guardsOf(committed, configuration, environment),
      cluster,
      who,
      watchdog: "pass",
      secrets: options.secrets ?? secrets,
      clock: this.clock,
      ...(this.frontends && { frontends: this.frontends }),
      ...(this.rds && { rds: this.rds }),
      ...(this.verify && { verify: this.verify }),
      metrics: () => ({
        name: "fake",
        sample: ({ service, revision }) => Promise.resolve(this.observed(service, revision)),
      }),
      sinks: [
        {
          name: "memory",
          send: (event) => {
            this.events.push(event)
            return Promise.resolve()
          },
        },
      ],
      say: (line) => {
        this.said.push(line)
      },
    })
    const components = opened.components(only, { ...(strategy && { strategy }) })
    return {
      ...opened.delivery,
      opened,
      components,
      readAuthors: this.readAuthors,
      dead: client.dead,
      kill: client.kill,
      requests: () => client.requests,
    }
  }

  /** Changes the committed file for commands to come. */
  commit(text: string): void {
    this.committed.push({ file: "commit.yaml", text })
  }

  /** Lays other settings over those of commands to come. */
  set(text: string): void {
    this.settings.push({ file: "more.yaml", text })
  }

  /** Deploys the release of a letter, or another release. */
  deploy(
    release: string | Release,
    options: CommandOptions & Partial<Omit<DeployRequest, "release">> = {},
    command: Command = this.command(options),
  ): Promise<string> {
    const { reason = "pesto", authors = [], override = "", checks, readAuthors = this.readAuthors } = options
    const request: DeployRequest = {
      release: typeof release === "string" ? releaseOf(release, {}, options.only) : release,
      reason,
      authors,
      readAuthors,
      override,
      ...(checks && { checks }),
    }
    return this.clock.until(deploy(command, command.components, request))
  }

  /** Reads who wrote the releases between two; the history has them in the order of the alphabet. */
  readonly readAuthors: ReadAuthors = (from, to) => {
    const letters = "abcdef"
      .split("")
      .filter((letter) => commitOf(letter) <= to && commitOf(letter) > (from ?? ""))
    return Promise.resolve(letters.flatMap((letter) => this.authors[letter] ?? [authorOf("alan", letter)]))
  }

  rollback(more: Partial<RevertRequest> = {}, command: Command = this.command()): Promise<string> {
    return this.clock.until(rollback(command, command.components, { reason: "it is wrong", ...more }))
  }

  /** The state of the api for people. */
  async status(command: Command = this.command()): Promise<string> {
    const all = await Promise.all(command.components.map((component) => component.status()))
    return all.map(({ text }) => text).join("\n\n")
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
    return operationsOf((await this.trail("staging")).events)
  }

  trail(environment: EnvironmentName): Promise<AuditTrail> {
    return this.command({ environment }).audit.read()
  }

  /** Approves everything that a deploy of the api would run in production, as this platform is now. */
  approve(letter: string, by: string, { id = `by-${by}-${letter}`, given = secrets } = {}): void {
    const command = this.command({ environment: "production" })
    const backend = command.components.find((one) => one instanceof Backend)
    if (!backend) throw new Error("production has no api")
    const { settings, revisions } = backend.deployed
    const values = Object.fromEntries(
      settings.secrets.flatMap(({ variable, entry }) => {
        const value = given[entry]
        return value === undefined ? [] : [[variable.toLowerCase(), value]]
      }),
    ) as Record<string, string>
    const data = approvalEntries({
      id,
      by,
      at: this.cluster.now(),
      expires: this.cluster.now() + 3_600_000,
      digests: { api: `sha256:${letter.repeat(64)}` },
      contents: {
        api: {
          settings: backend.settingsDigest(image(letter), Object.keys(values).sort()),
          secrets: secretsDigest(`${revisions.namespace}/api`, values),
        },
      },
    })
    this.approvals(data)
  }

  /** Adds entries to production's approvals. */
  approvals(data: Record<string, string>): void {
    const before = this.cluster.get("ConfigMap", approvalsName)?.data
    this.cluster.put({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: approvalsName, namespace: guardsNamespace("f1-production") },
      data: { ...before, ...data },
    })
  }

  /** Records what the gates said of the api's image, as the identity of CI does. */
  verdict(letter: string, verdict: "passed" | "failed" = "passed"): void {
    const id = `${letter}-${verdict}-${this.cluster.now()}`
    const digests = [`sha256:${letter.repeat(64)}`]
    this.cluster.put(
      verdictObject(guardsNamespace("f1-production"), { id, by: "ci", verdict, commit: "c", digests }),
    )
  }

  protected answer(name: string, path: string): { status: number; text: string } {
    this.asked.push(`${name} ${path}`)
    if (path === "/metrics") return this.metrics(name)
    const [target = ""] = name.split(":")
    const number = Number(/-(\d+)(-baseline)?$/.exec(target)?.[1] ?? this.home())
    const failing =
      this.failing.has(number) || [...this.failingServices].some((one) => target.startsWith(one))
    if (path !== "/health/ready") return { status: failing ? 500 : 200, text: "[]" }
    const ok = !this.unwell.has(number)
    const error = ok ? undefined : this.complaint
    const checks = { database: { ok, latency_ms: 2, error }, redis: { ok: true, latency_ms: 1 } }
    return {
      status: ok ? 200 : 503,
      text: JSON.stringify({ status: ok ? "ready" : "not ready", checks }),
    }
  }

  private observed(service: string, revision: number): Sample {
    const errors = this.failing.has(revision) || this.failingServices.has(service) ? 100 : 0
    const pods = { wanted: 2, failing: 0 }
    return { at: this.cluster.now(), seconds: 2, requests: 100, errors, p95: 20, pods }
  }
}
