import type { Directory, File, Secret, Service } from "@dagger.io/dagger"
import { Backend } from "../backends/backend.js"
import type { BackendContext } from "../backends/deployed-service.js"
import type { BackendSettings } from "../backends/settings.js"
import { Datadog } from "../backends/analysis/datadog.js"
import { type MetricsSource, PodMetrics } from "../backends/analysis/sources.js"
import { ClusterPods } from "../backends/revisions/pods.js"
import { Database } from "../databases/database.js"
import type { DatabaseSettings } from "../databases/settings.js"
import type { DatabaseContext } from "../databases/migrated-database.js"
import { Model, type ModelContext } from "../models/model.js"
import { Promotion } from "../models/promotion.js"
import { type KubernetesApi, KubernetesClient } from "../clients/kubernetes/client.js"
import type { FrontendContext, ServingBackend } from "../frontends/deployed-frontend.js"
import { Frontend } from "../frontends/frontend.js"
import { auditFolder, auditPages } from "../frontends/auditor.js"
import { bundleOf, servedContract } from "../frontends/image.js"
import type { FrontendSettings } from "../frontends/settings.js"
import { migrationWindow } from "../delivery/guards/calendar.js"
import { Approvals } from "../delivery/approvals.js"
import { AuditLog } from "../delivery/audit.js"
import { Verdicts } from "../delivery/verdicts.js"
import type { Sink } from "../delivery/events/event.js"
import { EventFile } from "../delivery/events/file.js"
import { Notifier } from "../delivery/events/notifier.js"
import type { DeliveryContext, EffectiveGuards } from "../delivery/executor.js"
import type { Component, ImageInUse } from "../delivery/component.js"
import { Journal, newId } from "../delivery/journal.js"
import type { Strategy } from "../delivery/strategy.js"
import { type Clock, monotonic } from "../lib/clock.js"
import { hexDigestPattern } from "../lib/image-reference.js"
import { reportProgress } from "../lib/progress.js"
import { oneLine } from "../lib/text.js"
import {
  backendSettings,
  databaseSettings,
  type DeployConfiguration,
  deployFile,
  type Environment,
  environmentOf,
  frontendSettings,
  modelSettings,
  readDeploy,
} from "./configuration.js"
import { readGuarded } from "./guards.js"
import { imagesOf } from "./images.js"
import type { Trust } from "../attestations/trust.js"
import {
  backupEntry,
  cloudCredentials,
  type EnvironmentName,
  readSecrets,
  signingKeyEntry,
} from "./secrets.js"

export const watchdogFile = "dagger/config/kubernetes/watchdog.py"

/** How environments are reached: what the constructor of the module was given. */
export interface Connection {
  kubeconfig?: Secret
  /** A token that replaces the kubeconfig's user. */
  kubeToken?: Secret
  /** The secrets file. */
  secrets?: Secret
  /** A file that is laid over deploy.yaml. */
  settings?: File
  /** Reads deploy.yaml as it is committed; without it, the file in the source counts as committed. */
  committed?: () => Promise<string>
  /** Address of the registry and path before the service, such as `ghcr.io/owner/repository`; empty: none. */
  registry: string
  /** Serves the registry's address where that is a Dagger service. */
  registryService?: Service
}

/** An environment that a command works on. */
export interface OpenEnvironment {
  environment: Environment
  delivery: DeliveryContext
  notifier: Notifier
  /** Values of the secrets file, by entry. */
  secrets: Record<string, string>
  /**
   * The components of the environment: databases, then backends, then web apps, then models. A model is one of them only where it is named, so that a deploy of
   * code never changes it.
   *
   * @param only names of services, each with its database, of databases, of web apps or of models, these also with a digest as `f1-winners@0a1b…`; all, if empty
   * @throws Error for a name that the environment does not have
   */
  components: (only: string[], options?: ComponentOptions) => Component[]
  /** Its backends alone; see `components`. */
  backends: (only: string[], options?: ComponentOptions) => Backend[]
  /**
   * Its databases alone, which are asked even when nothing seems to be left to do.
   *
   * @param only names of databases or of their services; all, if empty
   * @throws Error for a name that the environment does not have, and where no service has a database
   */
  databases: (only: string[]) => Database[]
  /**
   * Its web apps alone.
   *
   * @param only names of web apps; all, if empty
   * @throws Error for a name that the environment does not have, and where it has no web app
   */
  frontends: (only: string[]) => Frontend[]
  /**
   * Its models, to be trained.
   *
   * @throws Error where no service has one
   */
  models: () => Model[]
  /**
   * Its models, to be promoted and taken back; none where no service has one.
   *
   * @param model digest of the one to promote; the challenger of each, if absent
   */
  promotions: (model?: string) => Promotion[]
  /** See {@link imagesOf}. */
  imagesInUse: () => Promise<ImageInUse[]>
}

interface ComponentOptions {
  /** Another one than that of the environment. */
  strategy?: Strategy
}

/** Reads deploy.yaml, with the settings laid over it, and finds an environment and its guards in it. */
export async function readEnvironment(
  source: Directory,
  name: string,
  { committed, settings }: Pick<Connection, "committed" | "settings">,
): Promise<{ configuration: DeployConfiguration; environment: Environment; guards: EffectiveGuards }> {
  const [text, base, layer] = await Promise.all([
    source.file(deployFile).contents(),
    committed?.().catch((error: unknown) => {
      reportProgress(
        `Guards are taken from ${deployFile} as it is here: ${oneLine((error as Error).message)}`,
      )
      return undefined
    }),
    settings && Promise.all([settings.name(), settings.contents()]),
  ])
  const layers = layer ? [{ file: layer[0], text: layer[1] }] : []
  const environment = environmentOf(readDeploy(text, ...layers), name)
  return { environment, ...readGuarded(text, layers, environment.name, base) }
}

export async function givenSecrets({
  secrets,
}: Pick<Connection, "secrets">): Promise<Record<string, string>> {
  return secrets ? readSecrets(await secrets.plaintext()) : {}
}

/**
 * Connects to an environment, runs a task, and delivers pending events before it returns.
 *
 * @throws Error when no kubeconfig was given, or the environment does not exist
 */
export async function inEnvironment<Value>(
  source: Directory,
  name: string,
  connection: Connection,
  task: (environment: OpenEnvironment) => Promise<Value>,
): Promise<Value> {
  const opened = await open(source, name, connection)
  try {
    return await task(opened)
  } finally {
    await opened.notifier.flush()
  }
}

async function open(source: Directory, name: string, connection: Connection): Promise<OpenEnvironment> {
  const { kubeconfig, kubeToken } = connection
  const [{ configuration, environment, guards }, watchdog, secrets] = await Promise.all([
    readEnvironment(source, name, connection),
    source.file(watchdogFile).contents(),
    givenSecrets(connection),
  ])
  if (!kubeconfig) {
    throw new Error(
      "no cluster is named: put KUBECONFIG=file://… into .env, or give --kubeconfig before the function's name",
    )
  }
  const [text, token] = await Promise.all([kubeconfig.plaintext(), kubeToken?.plaintext()])
  const cluster = await KubernetesClient.connect(text, {
    fromContainer: true,
    ...(token !== undefined && { token }),
  })
  // The clients of AWS take a while to load, and few environments need all of them.
  const clients =
    Object.keys(environment.frontends).length > 0 ? await import("../frontends/stores.js") : undefined
  const hasSnapshots = databaseSettings(configuration, environment).some(
    ({ backup }) => backup.kind === "rds",
  )
  const rds = hasSnapshots ? await import("../databases/rds/client.js") : undefined
  const registryKeys = {
    user: secrets.REGISTRY_USER,
    password: secrets.REGISTRY_PASSWORD,
    service: connection.registryService,
  }
  return openEnvironment({
    configuration,
    environment,
    guards,
    cluster,
    who: await cluster.whoAmI(),
    watchdog,
    secrets,
    metrics: () => metricsOf(cluster, environment, secrets),
    ...(clients && {
      frontends: {
        bundle: (image) => bundleOf(image, registryKeys),
        contract: (image) => servedContract(image, registryKeys),
        audit: (request) => auditPages(source.directory(auditFolder), request),
        stores: (settings, layout) =>
          clients.storesOf(settings, layout, {
            credentials: cloudCredentials(secrets, environment.name, "web apps"),
            clock: monotonic,
          }),
        fetch,
      },
    }),
    ...(rds && {
      rds: (place) =>
        new rds.AmazonRds({
          ...place,
          credentials: cloudCredentials(secrets, environment.name, "snapshots"),
        }),
    }),
    ...(guards.effective.signatures && {
      verify: verifyBy(guards.effective.signatures, secrets, connection),
    }),
    sinks: [new EventFile(environment.name)],
    clock: monotonic,
    say: reportProgress,
  })
}

/** Verifies images by whose signatures count. An image that cannot be read is not verified. */
function verifyBy(
  trust: Trust,
  secrets: Record<string, string>,
  { registryService: service }: Connection,
): DeliveryContext["verify"] {
  const keys = { user: secrets.REGISTRY_USER, password: secrets.REGISTRY_PASSWORD, service }
  return async (images, commit) => {
    const { verifyImages } = await import("../attestations/verify.js")
    const found = await verifyImages(images, trust, { commit, platforms: [] }, { keys })
    return Object.fromEntries(found.map(({ digest, faults }) => [digest, faults]))
  }
}

/** What a command works on an environment with. */
export interface EnvironmentOptions {
  configuration: DeployConfiguration
  environment: Environment
  guards: EffectiveGuards
  cluster: KubernetesApi
  /** Who runs the command, as the API server knows them. */
  who: { name: string; groups: string[] }
  /** The program of the watchdog. */
  watchdog: string
  /** Values of the secrets file, by entry. */
  secrets: Record<string, string>
  /** Called when components are opened: a command that measures nothing needs no keys. */
  metrics: () => MetricsSource
  /** What web apps are deployed with; a command that deploys none needs nothing. */
  frontends?: Pick<FrontendContext, "bundle" | "contract" | "audit" | "stores" | "fetch">
  /** Amazon RDS; absent where no database has backups there. */
  rds?: DatabaseContext["rds"]
  /** Verifies images where that is required; without it, none is. */
  verify?: DeliveryContext["verify"]
  sinks: Sink[]
  clock: Clock
  say: (line: string) => void
}

/** Puts together what a command needs of an environment. Asks the cluster nothing. */
export function openEnvironment(options: EnvironmentOptions): OpenEnvironment {
  const { configuration, environment, guards, cluster, watchdog, secrets, metrics, sinks, clock, say } =
    options
  const { name: who, groups } = options.who
  const now = () => cluster.now()
  const id = newId(now())
  const audit = new AuditLog(cluster, environment.namespace)
  const notifier = new Notifier(sinks)
  const journal = new Journal({ environment: environment.name, by: who, operation: id, audit, notifier, now })
  const databases = databaseSettings(configuration, environment)
  const databasesNamed = (only: string[]) =>
    databases.filter(
      ({ name, service }) => only.length === 0 || only.includes(name) || only.includes(service),
    )
  /** What every kind of component works with. */
  const common = { cluster, who, id, journal, say, clock }
  const openBackends = (settings: BackendSettings[], { strategy }: ComponentOptions = {}): Backend[] => {
    const context: BackendContext = {
      ...common,
      environment,
      analysis: configuration.analysis,
      watchdog,
      secrets,
      metrics: metrics(),
      waitingMigrations: async (service) => {
        const own = openDatabases(databases.filter((one) => one.service === service))
        return (await Promise.all(own.map(({ migrated }) => migrated.waiting()))).flat()
      },
      missedByWebApps: async (service, image) => {
        const apps = options.frontends ? openFrontends(frontends, []) : []
        return (await Promise.all(apps.map(({ deployed }) => deployed.lacksWith(service, image)))).flat()
      },
      ...(strategy && { strategy }),
    }
    return settings.map((one) => new Backend(context, one))
  }
  /** Opens what belongs to backends, each with its own. */
  const withOwners = <Settings extends { service: string }, One>(
    all: Settings[],
    open: (settings: Settings, owner: Backend) => One,
  ): One[] =>
    all.flatMap((one) =>
      openBackends(backendSettings(configuration, environment, [one.service])).map((owner) =>
        open(one, owner),
      ),
    )
  const openDatabases = (settings: DatabaseSettings[], { always = false } = {}): Database[] => {
    const context: DatabaseContext = {
      ...common,
      always,
      window: () => migrationWindow(guards.effective, now()),
      backupKeys: () => keysOf(secrets, environment.name),
      ...(options.rds && { rds: options.rds }),
    }
    return withOwners(settings, (one, owner) => new Database(context, one, owner))
  }
  const models = modelSettings(configuration, environment)
  const openModels = (): Model[] => {
    const context: ModelContext = {
      ...common,
      signingKey: () => signingKeyOf(secrets, environment.name),
    }
    return withOwners(models, (one, owner) => new Model(context, one, owner))
  }
  const promotions = (model?: string): Promotion[] =>
    withOwners(models, (one, owner) => new Promotion(common, one, owner, model))
  const frontends = frontendSettings(environment)
  const openFrontends = (settings: FrontendSettings[], deployed: Backend[]): Frontend[] => {
    if (settings.length === 0) return []
    if (!options.frontends) throw new Error("this command deploys no web apps")
    const serving = backendSettings(configuration, environment, []).map((one): [string, ServingBackend] => [
      one.service,
      {
        current: async () => openBackends([one])[0]?.current(),
        deployed: deployed.some(({ service }) => service === one.service),
        metrics: async () => (await openBackends([one])[0]?.metricsPages()) ?? [],
      },
    ])
    const context: FrontendContext = {
      ...common,
      ...options.frontends,
      backends: Object.fromEntries(serving),
    }
    return settings.map((one) => new Frontend(context, one))
  }
  const backends: OpenEnvironment["backends"] = (only, options) =>
    openBackends(backendSettings(configuration, environment, only), options)
  const delivery: DeliveryContext = {
    environment: environment.name,
    guards,
    who,
    groups,
    id,
    journal,
    now,
    say,
    verify: options.verify ?? (() => Promise.resolve({})),
    approvals: new Approvals(cluster, environment.namespace),
    verdicts: new Verdicts(cluster, environment.namespace),
    audit,
  }
  const components: OpenEnvironment["components"] = (only, options) => {
    const [named, others] = modelsIn(
      only,
      models.map(({ name }) => name),
    )
    const chosen = named.flatMap(({ name, digest }) =>
      promotions(digest).filter(({ id }) => id.name === name),
    )
    if (chosen.length > 0 && others.length === 0) return chosen
    const names = [
      ...databases.map(({ name }) => name),
      ...Object.keys(environment.frontends),
      ...models.map(({ name }) => name),
    ]
    const services = others.filter((one) => !names.includes(one))
    refuseUnknown(environment, services, names)
    const hasNoBackend = others.length > 0 && services.length === 0
    const deployed = hasNoBackend ? [] : backends(services, options)
    const apps = frontends.filter(({ app }) => others.length === 0 || others.includes(app))
    return [
      ...openDatabases(databasesNamed(others)),
      ...deployed,
      ...openFrontends(apps, deployed),
      ...chosen,
    ]
  }
  return {
    environment,
    notifier,
    secrets,
    delivery,
    components,
    backends,
    imagesInUse: () => imagesOf([...components([]), ...openModels(), ...promotions()], delivery),
    promotions,
    databases: (only) => {
      if (databases.length === 0) {
        throw new Error(
          `${environment.name} has no database that is migrated: add services.SERVICE.database to ${deployFile}`,
        )
      }
      const known = databases.flatMap(({ name, service }) => [name, service])
      const unknown = only.filter((one) => !known.includes(one))
      if (unknown.length > 0) {
        throw new Error(
          `${environment.name} has no database ${unknown.join(", ")}; allowed: ${known.join(", ")}`,
        )
      }
      return openDatabases(databasesNamed(only), { always: true })
    },
    frontends: (only) => {
      const known = frontends.map(({ app }) => app)
      const unknown = only.filter((one) => !known.includes(one))
      if (known.length === 0 || unknown.length > 0) {
        throw new Error(
          `${environment.name} has no web app${unknown.length > 0 ? ` ${unknown.join(", ")}` : ""}; allowed: ${known.join(", ") || `none, until ${deployFile} has environments.${environment.name}.frontends`}`,
        )
      }
      return openFrontends(
        frontends.filter(({ app }) => only.length === 0 || only.includes(app)),
        [],
      )
    },
    models: () => {
      if (models.length > 0) return openModels()
      throw new Error(
        `${environment.name} has no model that is trained: add services.SERVICE.model to ${deployFile}`,
      )
    },
  }
}

/** Names databases, web apps and models too where there are some; without them, the backends' settings name the services. */
function refuseUnknown({ name, services }: Environment, only: string[], others: string[]): void {
  const known = Object.keys(services)
  const unknown = only.filter((one) => !known.includes(one))
  if (unknown.length === 0 || others.length === 0) return
  throw new Error(
    `${name} has no service, database, web app or model ${unknown.join(", ")}; allowed: ${[...known, ...others].join(", ")}`,
  )
}

/**
 * The models among names of components, each with the digest behind it, and the other names.
 *
 * @throws Error for a digest that is none
 */
function modelsIn(only: string[], models: string[]): [{ name: string; digest?: string }[], string[]] {
  const others: string[] = []
  const named: { name: string; digest?: string }[] = []
  for (const one of only) {
    const [name = "", digest] = one.split("@", 2)
    if (!models.includes(name)) others.push(one)
    else if (digest === undefined) named.push({ name })
    else if (hexDigestPattern.test(digest)) named.push({ name, digest })
    else
      throw new Error(
        `"${oneLine(one)}" names no model; allowed: ${name}, or ${name}@ and all 64 digits of its digest`,
      )
  }
  return [named, others]
}

/** @throws Error for one key without the other */
function keysOf(
  secrets: Record<string, string>,
  name: EnvironmentName,
): ReturnType<DatabaseContext["backupKeys"]> {
  const entries = [backupEntry("BACKUP_ACCESS_KEY_ID", name), backupEntry("BACKUP_SECRET_ACCESS_KEY", name)]
  const [id, secret] = entries.map((entry) => secrets[entry])
  if (id === undefined && secret === undefined) return undefined
  if (id === undefined || secret === undefined)
    throw new Error(
      `the file given with --secrets has one of ${entries.join(" and ")}; allowed: both, or none`,
    )
  return { id, secret }
}

/** @throws Error without the key */
function signingKeyOf(secrets: Record<string, string>, name: EnvironmentName): string {
  const entry = signingKeyEntry(name)
  const key = secrets[entry]
  if (key === undefined)
    throw new Error(
      `models are signed: add ${entry} to the file given with --secrets, the private key (PEM, in quotes) to the publicKey of ${deployFile}`,
    )
  return key
}

/** @throws Error when metrics come from Datadog and its keys are missing */
function metricsOf(
  cluster: KubernetesApi,
  { datadog }: Environment,
  { DATADOG_API_KEY: api, DATADOG_APP_KEY: application }: Record<string, string>,
): MetricsSource {
  const pods = new ClusterPods(cluster)
  if (!datadog) return new PodMetrics(pods)
  if (api === undefined || application === undefined) {
    throw new Error(
      "metrics come from Datadog here: add DATADOG_API_KEY=… and DATADOG_APP_KEY=… to the file given with --secrets",
    )
  }
  return new Datadog({
    ...datadog,
    keys: () => Promise.resolve({ api, application }),
    pods: (version) => pods.pods(version),
  })
}
