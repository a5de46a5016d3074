import { dag, type Directory, type File, type Secret, type Service } from "@dagger.io/dagger"
import { stringify } from "yaml"
import { Datadog } from "../backends/analysis/datadog.js"
import { type MetricsSource, PodMetrics } from "../backends/analysis/sources.js"
import { readPlatform } from "../platform/platform.js"
import { monotonic } from "../lib/clock.js"
import { Pipeline } from "../ci/pipeline.js"
import { type Cluster, Kubernetes } from "../clients/kubernetes/client.js"
import { ClusterPods } from "../backends/revisions/pods.js"
import { accessObjects, readSubject } from "../delivery/access.js"
import { EventFile } from "../delivery/events/file.js"
import { Notifier } from "../delivery/events/notifier.js"
import { oneLine } from "../lib/text.js"
import type { Strategy } from "../backends/rollout/rollout.js"
import { type Schema, schemaFrom } from "../platform/schema.js"
import { Approvals } from "../delivery/approvals.js"
import { AuditLog, historyTable, operations } from "../delivery/audit.js"
import {
  deployFile,
  type DeployConfiguration,
  type Environment,
  environmentOf,
  placements,
  readDeploy,
  type SecretSource,
} from "../configuration/deploy.js"
import { presentOf } from "../backends/decisions.js"
import { deploy, plan, type Wish } from "../delivery/executor.js"
import { digestOf, readImages } from "../delivery/release.js"
import { describe } from "../delivery/plan.js"
import type { Secrets } from "../backends/prepare.js"
import { type Return, rollback } from "../backends/rollback.js"
import { statusOf, statusText } from "../backends/status.js"
import { iso, newId, type Site } from "../backends/target.js"

/** Which environment, and how it is reached. */
export interface Reach {
  environment: string
  kubeconfig: Secret
  /** Of who asks instead of the kubeconfig's user. */
  token?: Secret
  /** Laid over deploy.yaml. */
  settings?: File
  /** Keys of Datadog, where metrics come from there. */
  datadog?: { api: Secret; application: Secret }
}

/** Where images that are built here go. */
export interface Registry {
  /** Address and path before the service, such as `ghcr.io/owner/repository`; empty: there is none. */
  address: string
  user: string
  password?: Secret
  /** Answers at the address. */
  service?: Service
}

/** What the front desk was asked to deploy. */
export interface Order {
  /** Pairs of service and image; services that are not here are built. */
  images: string[]
  only: string[]
  registry: Registry
  strategy: string
  reason: string
  author: string
  override: string
  secrets: Partial<Record<SecretSource, Secret>>
}

/** Where the front desk's wishes become deploys, and what they leave behind is shown. */
export class DeployDesk {
  constructor(
    private readonly source: Directory,
    private readonly reach: Reach,
  ) {}

  /** Builds what is not there yet, and brings it to all traffic. Gives back the table of what became of it, throws with it when something did not get there. */
  async deploy(order: Order): Promise<string> {
    return this.working(async (site) => {
      const services = placements(site.configuration, site.environment, order.only).map(
        ({ service }) => service,
      )
      if (site.environment.datadog && !this.reach.datadog) {
        throw new Error(
          "metrics come from Datadog here: give --datadog-api-key env://DATADOG_API_KEY and --datadog-app-key env://DATADOG_APP_KEY",
        )
      }
      const given = readImages(order.images)
      const strangers = Object.keys(given).filter((service) => !services.includes(service))
      if (strangers.length > 0) {
        throw new Error(
          `--image names ${strangers.join(", ")}, which is not deployed here; allowed: ${services.join(", ")}`,
        )
      }
      const missing = services.filter((service) => !(service in given))
      if (missing.length > 0 && Object.keys(given).length > 0) {
        throw new Error(
          `either all images are given or none: ${missing.join(", ")} would be built; leave it out with --only`,
        )
      }
      const wish = await this.wish(order, site.who)
      if (missing.length === 0) {
        const schemas = await this.schemas(site, given, order.registry)
        return deploy(site, { ...wish, images: given, schemas })
      }
      const checks = this.checks(services)
      const made = await this.publish(site, services, order.registry)
      return deploy(site, { ...wish, ...made, checks: () => checks })
    })
  }

  /** What a deploy would do. Changes nothing. */
  async plan(order: Order): Promise<string> {
    return this.working(async (site) => {
      const given = readImages(order.images)
      const found = await statusOf(site, order.only)
      const there = found.flatMap(({ service, rollout, revisions }) => {
        const present = revisions.find(({ number }) => number === presentOf(rollout))
        const image = given[service] ?? present?.image
        if (image === undefined) {
          throw new Error(
            `there is no ${service} yet to compare with: name its image with --image ${service}=REPOSITORY@sha256:…`,
          )
        }
        if (!(service in given)) site.say(`${service}: planned with the image that is there, ${image}`)
        return [[service, image]]
      })
      const images = Object.fromEntries(there) as Record<string, string>
      const wish = await this.wish(order, site.who)
      const schemas = await this.schemas(site, images, order.registry)
      return describe(await plan(site, { ...wish, images, schemas }))
    })
  }

  /** Takes services back. Gives back the table of what became of it, throws with it when something did not get there. */
  async rollback(wish: Return): Promise<string> {
    return this.working((site) => rollback(site, wish))
  }

  async status(only: string[]): Promise<string> {
    return this.working(async (site) => statusText(await statusOf(site, only)))
  }

  /** What happened, newest first: as a table, or as JSON. */
  async history(only: string[], json: boolean): Promise<string> {
    return this.working(async ({ audit, configuration, environment }) => {
      const services = placements(configuration, environment, only).map(({ service }) => service)
      const all = operations(await audit.read()).filter(({ service }) => services.includes(service))
      return json ? JSON.stringify(all, undefined, 2) : historyTable(all)
    })
  }

  /** Says yes to images, in the name of whose kubeconfig it is. */
  async approve(pairs: string[], note: string): Promise<string> {
    return this.working(async (site) => {
      const { cluster, configuration, environment, id, who } = site
      const rules = environment.guards.approval
      if (!rules?.required) throw new Error(`nothing has to be approved in ${environment.name}`)
      const images = readImages(pairs, { bare: true })
      const services = Object.keys(images)
      if (services.length === 0)
        throw new Error("an approval is for images: name each with --image SERVICE=sha256:…")
      placements(configuration, environment, services)
      const digests = Object.fromEntries(
        Object.entries(images).map(([service, image]) => [service, digestOf(image)]),
      )
      const now = cluster.now()
      const expires = now + rules.validFor * 1000
      const given = { id, by: who, expires, digests, ...(note !== "" && { note }) }
      await new Approvals(cluster, environment.namespace).give(given)
      const list = Object.entries(digests).map(([service, digest]) => `${service}@${digest}`)
      await Promise.all(
        Object.entries(digests).map(([service, digest]) =>
          site.notifier.tell({
            ...{ at: iso(now), kind: "approved", environment: environment.name, service, digest, by: who },
            ...{ message: note, key: `${environment.name}/${service}/approval`, severity: "info" },
          }),
        ),
      )
      return `${who} approves ${list.join(", ")} for ${environment.name} until ${iso(expires)}`
    })
  }

  private async working<Result>(task: (site: Site) => Promise<Result>): Promise<Result> {
    const site = await this.site()
    try {
      return await task(site)
    } finally {
      await site.notifier.flush()
    }
  }

  private async site(): Promise<Site> {
    const { kubeconfig, token: asked, environment: name, settings } = this.reach
    const [{ configuration, environment }, watch, text, token] = await Promise.all([
      readEnvironment(this.source, name, settings),
      this.source.file("dagger/config/kubernetes/watch.py").contents(),
      kubeconfig.plaintext(),
      asked?.plaintext(),
    ])
    const cluster = await Kubernetes.connect(text, { ...(token !== undefined && { token }) })
    const who = await cluster.whoAmI()
    const audit = new AuditLog(cluster, environment.namespace)
    return {
      ...{ cluster, configuration, environment, who, audit, watch },
      ...{ id: newId(cluster.now()), clock: monotonic },
      notifier: new Notifier([new EventFile(environment.name)]),
      source: this.metrics(cluster, environment),
      say: (line) => {
        console.log(line)
      },
    }
  }

  private metrics(cluster: Cluster, { datadog }: Environment): MetricsSource {
    const pods = new ClusterPods(cluster)
    const keys = this.reach.datadog
    // Only a deploy measures anything, and it does not begin without keys.
    if (!datadog || !keys) return new PodMetrics(pods)
    return new Datadog({
      ...datadog,
      keys: async () => ({
        api: await keys.api.plaintext(),
        application: await keys.application.plaintext(),
      }),
      pods: (version) => pods.pods(version),
    })
  }

  private async wish(
    { secrets, strategy, reason, author, override }: Order,
    who: string,
  ): Promise<Omit<Wish, "images">> {
    if (strategy !== "" && !isStrategy(strategy)) {
      throw new Error(`there is no strategy "${strategy}"; allowed: ${strategies.join(", ")}`)
    }
    const read = await Promise.all(
      Object.entries(secrets).map(async ([name, secret]) => [name, await secret.plaintext()]),
    )
    return {
      secrets: Object.fromEntries(read) as Secrets,
      ...(strategy !== "" && { strategy }),
      ...{ reason, override, author: author === "" ? who : author },
    }
  }

  /** Builds services from the source and puts them into the registry; what is unchanged is neither built nor sent again. */
  private async publish(
    { environment, id, say }: Site,
    services: string[],
    { address, user, password, service: answering }: Registry,
  ): Promise<Pick<Wish, "images" | "schemas">> {
    if (address === "") {
      throw new Error(
        `${services.join(", ")} would be built: say where to with --registry, such as ghcr.io/owner/repository, or name images with --image`,
      )
    }
    const platform = await readPlatform(this.source)
    const [host = ""] = address.split("/")
    const images = await Promise.all(
      services.map(async (service) => {
        const image = await platform.release(platform.service(service))
        // A tag of its own: an image that a kept revision needs must not lose its last one.
        const reference = await (password ? image.withRegistryAuth(host, user, password) : image).publish(
          `${address}/${service}:${environment.name}-${id}`,
          { ...(answering && { registryService: answering }) },
        )
        const digest = digestOf(reference)
        say(`${service}: published as ${address}/${service}@${digest}`)
        return { service, published: `${address}/${service}@${digest}`, schema: await schemaFrom(image) }
      }),
    )
    return {
      images: readImages(images.map(({ service, published }) => `${service}=${published}`)),
      schemas: Object.fromEntries(
        images.flatMap(({ service, schema }) => (schema ? [[service, schema]] : [])),
      ),
    }
  }

  /** What images that were built before say of the databases that they need. */
  private async schemas(
    { say }: Site,
    images: Record<string, string>,
    { user, password }: Registry,
  ): Promise<Record<string, Schema>> {
    const found = await Promise.all(
      Object.entries(images).map(async ([service, image]) => {
        const [host = ""] = image.split("/")
        const bare = dag.container()
        const told = password ? bare.withRegistryAuth(host, user, password) : bare
        try {
          const schema = await schemaFrom(told.from(image))
          return schema ? [[service, schema]] : []
        } catch (error) {
          // The nodes may well get it, and from nowhere else: that it is not known here is no fault of it.
          const why = oneLine((error as Error).message, 200)
          say(
            `${service}: its image cannot be read from here, so what it needs of its database is not known: ${why}`,
          )
          return []
        }
      }),
    )
    return Object.fromEntries(found.flat()) as Record<string, Schema>
  }

  /** Asks all gates that a green `ci` of these services stands for; remembered passes cost nothing. */
  private async checks(services: string[]): Promise<{ passed: boolean; summary: string }> {
    try {
      const { catalog } = await readPlatform(this.source)
      const made = services.flatMap((service) =>
        (catalog[service]?.inputs ?? []).filter((name) => name in catalog),
      )
      const only = [...new Set([...services, ...made, "security"])]
      const order = { only, since: "", failFast: false, parallel: 0 }
      return { passed: true, summary: await new Pipeline(this.source).ci(order) }
    } catch (error) {
      return { passed: false, summary: (error as Error).message }
    }
  }
}

const strategies: readonly Strategy[] = ["blue-green", "canary"]
const isStrategy = (text: string): text is Strategy => strategies.some((known) => known === text)

async function readEnvironment(
  source: Directory,
  name: string,
  settings: File | undefined,
): Promise<{ configuration: DeployConfiguration; environment: Environment }> {
  const [text, layer] = await Promise.all([
    source.file(deployFile).contents(),
    settings && Promise.all([settings.name(), settings.contents()]),
  ])
  const configuration = readDeploy(text, ...(layer ? [{ file: layer[0], text: layer[1] }] : []))
  return { configuration, environment: environmentOf(configuration, name) }
}

/** What deploys, rollbacks and approvals of an environment have told of themselves on this engine, as JSON Lines. */
export async function eventFile(source: Directory, name: string, settings?: File): Promise<File> {
  const { environment } = await readEnvironment(source, name, settings)
  return new EventFile(environment.name).file()
}

/**
 * What an administrator applies once for an environment, as YAML.
 *
 * @param deployers who deploys, as the API server names them
 * @param approvers who approves; those of the environment's guards, if none is named
 */
export async function accessYaml(
  source: Directory,
  {
    name,
    settings,
    deployers,
    approvers,
  }: { name: string; settings?: File; deployers: string[]; approvers: string[] },
): Promise<string> {
  const { environment } = await readEnvironment(source, name, settings)
  const { approval } = environment.guards
  const named = approvers.length > 0 ? approvers : approval?.required ? (approval.approvers ?? []) : []
  if (approval?.required && named.length === 0) {
    throw new Error(`${name} needs approvals: say whose with --approver, such as group:approvers`)
  }
  if (deployers.length === 0) throw new Error("say who deploys with --deployer, as the API server names them")
  const objects = accessObjects({
    namespace: environment.namespace,
    deployers: deployers.map(readSubject),
    approvers: named.map(readSubject),
  })
  return objects.map((object) => stringify(object)).join("---\n")
}
