import { environmentNames, secretEntry } from "../environments/secrets.js"
import type { Container, Directory, Service as Running } from "@dagger.io/dagger"
import {
  ThrowAwayCluster,
  kubeconfigOf,
  type ResolveEndpoint,
} from "../platform/cluster/throw-away-cluster.js"
import { ThrowAwayRegistry } from "../platform/cluster/throw-away-registry.js"
import { monotonic } from "../lib/clock.js"
import { KubernetesClient, type KubernetesObject } from "../clients/kubernetes/client.js"
import { accessObjects } from "../delivery/access.js"
import { type Platform, readPlatform } from "../platform/platform.js"
import type { Service } from "../platform/catalog.js"
import { addressesOf, postgres, redis } from "../platform/stores.js"

/** Where whoever deploys has an account: a namespace beside those that are deployed to. */
const home = { namespace: "operators", name: "deployer" }
const tokenSecret: KubernetesObject = { apiVersion: "v1", kind: "Secret", metadata: { ...home } }

/** A throw-away cluster with stores beside it, ready for a service to be deployed to it by somebody who may deploy and no more. */
export class RehearsalEnvironment {
  private constructor(
    private readonly platform: Platform,
    private readonly service: Service,
    readonly cluster: ThrowAwayCluster,
    readonly registry: ThrowAwayRegistry,
    private readonly stores: { db: Running; redis: Running },
    /** All rights on the cluster. */
    readonly admin: KubernetesClient,
    /** What the service is to be told. */
    readonly secrets: Record<string, string>,
  ) {}

  /**
   * @param namespace that is deployed to
   * @param id of the stage: two of one name would be one and the same
   * @param reach how its cluster is reached, where not from a function of a module
   */
  static async start(
    source: Directory,
    {
      service: name,
      namespace,
      id,
      reach,
    }: { service: string; namespace: string; id: string; reach?: ResolveEndpoint },
  ): Promise<RehearsalEnvironment> {
    const platform = await readPlatform(source)
    const service = platform.service(name)
    const { database = name } = service
    const dump = await platform.dump(service)
    const registry = await ThrowAwayRegistry.start(id)
    const [cluster, db, cache] = await Promise.all([
      ThrowAwayCluster.start({
        ...{ name: id, registry, ...(reach && { resolveEndpoint: reach }) },
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
    const stage = new RehearsalEnvironment(
      platform,
      service,
      cluster,
      registry,
      { db, redis: cache },
      admin,
      secrets,
    )
    for (const object of [...account(), ...accessObjects({ namespace, ...people })]) await admin.apply(object)
    return stage
  }

  /** The image of the service as it is built from source, with the files that its seed keeps. */
  image(): Promise<Container> {
    return this.platform.furnished(this.service)
  }

  /** @returns what a pod names to run it, by digest */
  publish(image: Container, repository = this.service.name): Promise<string> {
    return this.registry.publish(image, repository)
  }

  /**
   * The kubeconfig of whoever deploys.
   *
   * @param address where the API server is reached, as `host:port`
   */
  async deployer(address?: string): Promise<string> {
    // The cluster writes the token a moment after the Secret is there.
    for (let left = 50; left > 0; left--) {
      const token = (await this.admin.read(tokenSecret))?.data?.token
      if (token !== undefined) {
        const server = `https://${address ?? (await this.cluster.api())}`
        return kubeconfigOf(this.cluster.name, server, Buffer.from(token, "base64").toString())
      }
      await monotonic.pause(200)
    }
    throw new Error(`the cluster made no token for the account ${home.namespace}/${home.name}`)
  }

  async stop(): Promise<void> {
    const { db, redis: cache } = this.stores
    await this.cluster.stop()
    await Promise.all([this.registry.stop(), db.stop({ kill: true }), cache.stop({ kill: true })])
  }
}

const people = {
  deployers: [{ kind: "ServiceAccount" as const, ...home }],
  approvers: [],
}

/** Who deploys, as an administrator makes them. */
function account(): KubernetesObject[] {
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: home.namespace } },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { ...home } },
    {
      ...tokenSecret,
      metadata: { ...home, annotations: { "kubernetes.io/service-account.name": home.name } },
      type: "kubernetes.io/service-account-token",
    } as KubernetesObject,
  ]
}
