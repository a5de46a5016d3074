import { environmentNames, secretEntry } from "../environments/secrets.js"
import { type Container, dag, type Directory, type Service as Running } from "@dagger.io/dagger"
import {
  ThrowAwayCluster,
  kubeconfigOf,
  type ResolveEndpoint,
} from "../platform/cluster/throw-away-cluster.js"
import { ThrowAwayRegistry } from "../platform/cluster/throw-away-registry.js"
import { monotonic } from "../lib/clock.js"
import { KubernetesClient, type KubernetesObject } from "../clients/kubernetes/client.js"
import { environmentAccess } from "../environments/access.js"
import type { Environment } from "../environments/configuration.js"
import { watchdogFile } from "../environments/environment.js"
import { images } from "../platform/base-images.js"
import { type Platform, readPlatform } from "../platform/platform.js"
import type { Service } from "../platform/catalog.js"
import { addressesOf, postgres, redis } from "../platform/stores.js"
import { environmentImages, prepareImages } from "./prepare.js"

/** The deployer's ServiceAccount. Its namespace is not deployed to. */
const deployerAccount = { namespace: "operators", name: "deployer" }
const tokenSecret: KubernetesObject = { apiVersion: "v1", kind: "Secret", metadata: { ...deployerAccount } }

/** A throw-away cluster with stores beside it, and a deployer with no more rights than deploys need. */
export class RehearsalEnvironment {
  private constructor(
    private readonly platform: Platform,
    private readonly service: Service,
    readonly cluster: ThrowAwayCluster,
    readonly registry: ThrowAwayRegistry,
    private readonly stores: { db: Running; redis: Running },
    /** All rights on the cluster. */
    readonly admin: KubernetesClient,
    /** Secrets of the service. */
    readonly secrets: Record<string, string>,
  ) {}

  /**
   * Prepares all images, and then starts the cluster and the stores.
   *
   * @param options.deployedTo the environment whose namespace, rights, Gateway and admission policies the cluster gets
   * @param options.id of this environment; the engine would share services between environments of one id
   * @param options.resolveEndpoint see {@link ThrowAwayClusterOptions}
   * @param options.say receives a line per image
   */
  static async start(
    source: Directory,
    {
      service: name,
      deployedTo,
      id,
      resolveEndpoint,
      say = () => undefined,
    }: {
      service: string
      deployedTo: Environment
      id: string
      resolveEndpoint?: ResolveEndpoint
      say?: (line: string) => void
    },
  ): Promise<RehearsalEnvironment> {
    const platform = await readPlatform(source)
    const service = platform.service(name)
    const { database = name } = service
    await prepareImages(environmentImages, say)
    say(`Building ${name}`)
    await (await platform.furnished(service)).sync()
    const dump = await platform.dump(service).sync()
    const registry = await ThrowAwayRegistry.start(id)
    const [cluster, db, cache] = await Promise.all([
      ThrowAwayCluster.start({
        name: id,
        registry,
        ...(resolveEndpoint && { resolveEndpoint }),
        gatewayApi: source.file("dagger/config/kubernetes/gateway-api.yaml"),
      }),
      postgres(id, database, dump).start(),
      redis(id).start(),
    ])
    const [dbHost, redisHost] = await Promise.all([db.hostname(), cache.hostname()])
    const { DATABASE_URL, REDIS_URL } = addressesOf({ db: dbHost, redis: redisHost }, database)
    const secrets = Object.fromEntries(
      environmentNames.flatMap((environment) => [
        [secretEntry("DATABASE_URL", environment), DATABASE_URL],
        [secretEntry("F1_DATABASE_URL", environment), DATABASE_URL],
        [secretEntry("REDIS_URL", environment), REDIS_URL],
        // The key protects nothing: the platform lives for one run.
        [secretEntry("JWT_SECRET_KEY", environment), "throw-away-key-of-a-rehearsal-that-lives-for-one-run"],
      ]),
    ) as Record<string, string>
    const admin = await KubernetesClient.connect(await cluster.kubeconfig())
    const environment = new RehearsalEnvironment(
      platform,
      service,
      cluster,
      registry,
      { db, redis: cache },
      admin,
      secrets,
    )
    const watchdog = await source.file(watchdogFile).contents()
    for (const object of [...account(), ...environmentAccess(deployedTo, people, watchdog)])
      await admin.apply(object)
    return environment
  }

  /** The image of the service, built from source, with the files of its setup. */
  image(): Promise<Container> {
    return this.platform.furnished(this.service)
  }

  /** Asks the service's database. Every call runs the statement anew. */
  query(sql: string): Promise<string> {
    const { database = this.service.name } = this.service
    return dag
      .container()
      .from(images.postgres)
      .withServiceBinding("db", this.stores.db)
      .withEnvVariable("AT", String(Date.now()))
      .withExec([
        "psql",
        ...["--no-psqlrc", "--tuples-only", "--no-align", "--command", sql],
        addressesOf({ db: "db", redis: "redis" }, database).DATABASE_URL,
      ])
      .stdout()
  }

  /** @returns the reference for pods, with a digest */
  publish(image: Container, repository = this.service.name): Promise<string> {
    return this.registry.publish(image, repository)
  }

  /**
   * The deployer's kubeconfig.
   *
   * @param address replaces that of the API server, as `host:port`
   */
  async deployer(address?: string): Promise<string> {
    // The cluster writes the token a moment after the Secret was created.
    for (let left = 50; left > 0; left--) {
      const token = (await this.admin.read(tokenSecret))?.data?.token
      if (token !== undefined) {
        const server = `https://${address ?? (await this.cluster.api())}`
        return kubeconfigOf(this.cluster.name, server, Buffer.from(token, "base64").toString())
      }
      await monotonic.pause(200)
    }
    throw new Error(
      `the cluster made no token for the account ${deployerAccount.namespace}/${deployerAccount.name}`,
    )
  }

  async stop(): Promise<void> {
    const { db, redis: cache } = this.stores
    await this.cluster.stop()
    await Promise.all([this.registry.stop(), db.stop({ kill: true }), cache.stop({ kill: true })])
  }
}

const people = {
  deployers: [{ kind: "ServiceAccount" as const, ...deployerAccount }],
  approvers: [],
}

/** The deployer's account, as an administrator creates it. */
function account(): KubernetesObject[] {
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: deployerAccount.namespace } },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { ...deployerAccount } },
    {
      ...tokenSecret,
      metadata: {
        ...deployerAccount,
        annotations: { "kubernetes.io/service-account.name": deployerAccount.name },
      },
      type: "kubernetes.io/service-account-token",
    } as KubernetesObject,
  ]
}
