// What a hostile deployer, approver or checker sends to the API server of an environment: raw requests, as kubectl or any other program would send them.
import https from "node:https"
import type { V1Deployment } from "@kubernetes/client-node"
import {
  baselineObjects,
  revisionObjects,
  routeObject,
  stableService,
} from "../../src/backends/manifests/objects.js"
import { watchdogJob } from "../../src/backends/rollout/watchdog.js"
import type { Rollout } from "../../src/backends/rollout/rollout.js"
import type { Manifest, Plain } from "../../src/clients/kubernetes/manifest.js"
import { approvalsName, databaseAccount, guardsNamespace, watchAccount } from "../../src/delivery/access.js"
import { approvalEntries } from "../../src/delivery/approvals.js"
import { entryObject } from "../../src/delivery/audit.js"
import { verdictObject } from "../../src/delivery/verdicts.js"
import { migrationObjects, type MigrationRun } from "../../src/databases/job.js"
import {
  backendSettings,
  databaseSettings,
  type DeployConfiguration,
  environmentOf,
} from "../../src/environments/configuration.js"

/** A request to an API server. */
export interface ApiRequest {
  method: "POST" | "PATCH" | "PUT" | "DELETE" | "GET"
  path: string
  body?: unknown
  /** Of a PATCH; default: a merge patch. */
  contentType?: string
}

/** Sends a request with a token, and gives back the status and the message. Changes nothing with `dryRun`. */
export function ask(
  server: URL,
  token: string,
  { method, path, body, contentType }: ApiRequest,
  { dryRun = false } = {},
): Promise<{ status: number; message: string; object: Manifest & { data?: Record<string, string> } }> {
  const url = new URL(path, server)
  if (dryRun) url.searchParams.set("dryRun", "All")
  const type = method === "PATCH" ? (contentType ?? "application/merge-patch+json") : "application/json"
  return new Promise((resolve, reject) => {
    const request = https.request(
      url,
      {
        method,
        headers: { Authorization: `Bearer ${token}`, "Content-Type": type },
        rejectUnauthorized: false,
      },
      (answer) => {
        let text = ""
        answer.on("data", (part: Buffer) => (text += part.toString()))
        answer.on("end", () => {
          const object = JSON.parse(text) as Manifest & { message?: string }
          resolve({ status: answer.statusCode ?? 0, message: object.message ?? "", object })
        })
      },
    )
    request.on("error", reject)
    request.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

const groups: Record<string, string> = {
  Deployment: "/apis/apps/v1",
  StatefulSet: "/apis/apps/v1",
  DaemonSet: "/apis/apps/v1",
  ReplicaSet: "/apis/apps/v1",
  Job: "/apis/batch/v1",
  CronJob: "/apis/batch/v1",
  NetworkPolicy: "/apis/networking.k8s.io/v1",
  PodDisruptionBudget: "/apis/policy/v1",
  HorizontalPodAutoscaler: "/apis/autoscaling/v2",
  HTTPRoute: "/apis/gateway.networking.k8s.io/v1",
  GRPCRoute: "/apis/gateway.networking.k8s.io/v1",
  ReferenceGrant: "/apis/gateway.networking.k8s.io/v1beta1",
}
const collection = ({ kind = "", metadata }: Manifest) =>
  `${groups[kind] ?? "/api/v1"}/namespaces/${metadata?.namespace ?? ""}/${kind.toLowerCase().replace(/y$/, "ie")}s`

export const create = (object: Manifest): ApiRequest => ({
  method: "POST",
  path: collection(object),
  body: object,
})
export const patch = (object: Manifest, body: object): ApiRequest => ({
  method: "PATCH",
  path: `${collection(object)}/${object.metadata?.name ?? ""}`,
  body,
})

/** An attack, and what the API server says to it. */
export interface Attack {
  name: string
  request: ApiRequest
  /** Part of the message. */
  refused: string
}

type Tree = Record<string, unknown>
const changed = <Kind extends Manifest>(object: Kind, change: (copy: Kind) => void): Kind => {
  const copy = structuredClone(object)
  change(copy)
  return copy
}

export const hex = (letter: string) => letter.repeat(64)
const settings = `sha256:${hex("5")}`
const secrets = `scrypt:${hex("7")}`

/** An approval of an image of the api by a letter that stands for its digest. */
export const approvalOf = (id: string, by: string, letter: string, expires: number, service = "api") =>
  approvalEntries({
    id,
    by,
    at: Date.now(),
    expires,
    digests: { [service]: `sha256:${hex(letter)}` },
    contents: { [service]: { settings, secrets } },
  })

/** Honest objects of an environment, as Pitwall writes them. */
export function honest(configuration: DeployConfiguration, watchdog: string) {
  const environment = environmentOf(configuration, "production")
  const { namespace, gateway } = environment
  const [service] = backendSettings(configuration, environment, ["api"])
  if (!service) throw new Error("production has no api")
  const image = (letter: string) => `registry.local/api@sha256:${hex(letter)}`
  const objects = (letter: string, revision = 2) =>
    revisionObjects(service.workload, {
      environment: "production",
      namespace,
      service: "api",
      revision,
      image: image(letter),
      digest: `sha256:${hex(letter)}`,
      version: "1",
      config: service.variables,
      secrets: { jwt_secret_key: "placeholder" },
    })
  const deployment = (letter: string, revision = 2) =>
    objects(letter, revision).find(({ kind }) => kind === "Deployment") as Plain<V1Deployment>
  const rollout: Rollout = {
    id: "20261128-100000-abcd",
    service: "api",
    strategy: "canary",
    kind: "deploy",
    revision: 2,
    stable: 1,
    digest: `sha256:${hex("a")}`,
    phase: "shifting",
    step: 0,
    since: 0,
    began: 0,
    by: "",
    author: "",
    reason: "",
    message: "",
    controller: "",
  }
  const job = (letter: string) =>
    watchdogJob(rollout, {
      namespace,
      image: image(letter),
      pullSecrets: [],
      program: watchdog,
      unattended: 60,
      safePatch: {},
    })
  const baseline = (letter: string) =>
    baselineObjects(deployment(letter, 1), {
      namespace,
      service: "api",
      revision: 2,
      port: 8000,
      replicas: 1,
    })
  const route = routeObject({
    namespace,
    service: "api",
    hostnames: service.hostnames,
    gateway: { name: gateway.name, namespace: gateway.namespace },
    backends: [{ revision: 2, weight: 100 }],
    port: 8000,
  })
  const stable = stableService({ namespace, service: "api", revision: 2, port: 8000 })
  const entry = (by: string) =>
    entryObject(namespace, {
      schemaVersion: 1,
      kind: "started",
      at: "2026-11-28T10:00:00.000Z",
      environment: "production",
      component: { kind: "backend", name: "api" },
      operation: "20261128-100000-abcd",
      by,
      message: "",
    })
  const [database] = databaseSettings(configuration, environment)
  if (!database) throw new Error("production has no database")
  const migration = (letter: string, mode: MigrationRun["mode"] = "migrate", older = "a") =>
    migrationObjects(
      database,
      {
        id: "20261128-100000-abcd",
        mode,
        image: image(letter),
        allowBreaking: mode === "plan",
        applications: [{ revision: 1, image: image(older), configMap: "api-1" }],
      },
      { database_url: "placeholder" },
    )
  return {
    ...{ namespace, image, objects, deployment, job, baseline, route, rollout, stable, entry },
    ...{ database, migration },
  }
}

/**
 * The attacks of a deployer. Images by letter: `a` is approved by somebody else, `b` by the deployer, `c` by somebody whose approval was revoked, `e` by an approval that
 * has expired; `f` by nobody.
 */
export function deployerAttacks(of: ReturnType<typeof honest>, deployer: string): Attack[] {
  const { namespace, image, deployment, job, route, stable } = of
  const guards = guardsNamespace(namespace)
  const approved = deployment("a", 3)
  interface Pod {
    template: { spec: Tree & { containers: Tree[]; volumes: Tree[] } }
  }
  const inPod = (change: (spec: Pod["template"]["spec"], container: Tree) => void) =>
    create(
      changed(approved, ({ spec }) => {
        const pod = (spec as unknown as Pod).template.spec
        change(pod, pod.containers[0] ?? {})
      }),
    )
  const podSpec = (letter: string) => deployment(letter).spec?.template.spec as unknown as Tree
  const selector = { matchLabels: { app: "x" } }
  const template = (letter: string) => ({ metadata: { labels: { app: "x" } }, spec: podSpec(letter) })
  const named = (kind: string, name: string, rest: object, apiVersion = "v1"): Manifest => ({
    apiVersion,
    kind,
    metadata: { namespace, name },
    ...rest,
  })
  const workload = (kind: string, spec: object) =>
    create(named(kind, "evil", { spec }, kind.endsWith("Job") ? "batch/v1" : "apps/v1"))
  const asRoute = (change: (spec: Tree & { parentRefs: Tree[]; rules: { backendRefs: Tree[] }[] }) => void) =>
    create(
      changed({ ...route, metadata: { ...route.metadata, name: "evil" } }, ({ spec }) => {
        change(spec as never)
      }),
    )
  const service = (change: object) =>
    create({
      ...stable,
      metadata: { ...stable.metadata, name: "api-evil" },
      spec: { ...stable.spec, ...change },
    } as Manifest)
  const live = deployment("a")
  const unapproved = "nobody has approved"
  return [
    { name: "an image that nobody approved", request: create(deployment("f", 3)), refused: unapproved },
    {
      name: "an image by its tag",
      request: inPod((_, container) => {
        container.image = "registry.local/api:latest"
      }),
      refused: "pinned by its digest",
    },
    {
      name: "an approved digest that only follows a tag of another image",
      request: inPod((_, container) => {
        container.image = `registry.local/evil:${hex("a")}`
      }),
      refused: "pinned by its digest",
    },
    {
      name: "an init container that nobody approved",
      request: inPod((spec) => {
        const { securityContext } = spec.containers[0] ?? {}
        spec.initContainers = [{ name: "first", image: image("f"), securityContext }]
      }),
      refused: unapproved,
    },
    {
      name: "a second container that nobody approved",
      request: inPod((spec) => {
        spec.containers.push({ ...spec.containers[0], name: "second", image: image("f"), ports: [] })
      }),
      refused: unapproved,
    },
    {
      name: "an image that the deployer approved alone",
      request: create(deployment("b", 3)),
      refused: "somebody else must",
    },
    { name: "an image whose approval was revoked", request: create(deployment("c", 3)), refused: "revoked" },
    { name: "an image whose approval has expired", request: create(deployment("e", 3)), refused: "expired" },
    {
      name: "kubectl set image",
      request: {
        ...patch(live, {
          spec: { template: { spec: { containers: [{ name: "api", image: image("f") }] } } },
        }),
        contentType: "application/strategic-merge-patch+json",
      },
      refused: "never change",
    },
    {
      name: "kubectl set image, to another approved image",
      request: {
        ...patch(live, {
          spec: { template: { spec: { containers: [{ name: "api", image: image("e") }] } } },
        }),
        contentType: "application/strategic-merge-patch+json",
      },
      refused: "never change",
    },
    {
      name: "kubectl patch of a command into a live revision",
      request: {
        ...patch(live, {
          spec: {
            template: { spec: { containers: [{ name: "api", command: ["python3", "-c", "evil()"] }] } },
          },
        }),
        contentType: "application/strategic-merge-patch+json",
      },
      refused: "never change",
    },
    { name: "a Pod", request: create(named("Pod", "evil", { spec: podSpec("f") })), refused: unapproved },
    {
      name: "a StatefulSet",
      request: workload("StatefulSet", { serviceName: "x", selector, template: template("f") }),
      refused: unapproved,
    },
    {
      name: "a DaemonSet",
      request: workload("DaemonSet", { selector, template: template("f") }),
      refused: unapproved,
    },
    {
      name: "a ReplicaSet",
      request: workload("ReplicaSet", { selector, template: template("f") }),
      refused: unapproved,
    },
    {
      name: "a CronJob",
      request: workload("CronJob", {
        schedule: "* * * * *",
        jobTemplate: {
          spec: { template: { ...template("f"), spec: { ...podSpec("f"), restartPolicy: "Never" } } },
        },
      }),
      refused: unapproved,
    },
    {
      name: "a Job of an approved image with a program of its own",
      request: workload("Job", {
        template: { ...template("a"), spec: { ...podSpec("a"), restartPolicy: "Never" } },
      }),
      refused: "the only Jobs are watchdogs",
    },
    {
      name: "an approved image with another command",
      request: inPod((_, container) => {
        container.command = ["python3", "-c", "evil()"]
      }),
      refused: "runs what its image says",
    },
    {
      name: "an approved image with a probe that runs a program",
      request: inPod((_, container) => {
        container.livenessProbe = { exec: { command: ["sh", "-c", "evil"] } }
      }),
      refused: "runs what its image says",
    },
    {
      name: "an approved image with a variable that makes Python load other code",
      request: inPod((_, container) => {
        container.env = [{ name: "PYTHONPATH", value: "/tmp" }]
      }),
      refused: "runs what its image says",
    },
    {
      name: "a ConfigMap with a variable that makes Python load other code",
      request: create(named("ConfigMap", "api-9", { data: { PYTHONPATH: "/run/secrets" } })),
      refused: "variables that make a program run other code",
    },
    {
      name: "code in a ConfigMap that is mounted",
      request: inPod((spec, container) => {
        spec.volumes.push({ name: "code", configMap: { name: "api-9" } })
        container.volumeMounts = [{ name: "code", mountPath: "/app" }]
      }),
      refused: "volumes of the kinds",
    },
    {
      name: "code in a Secret that is mounted over the program",
      request: inPod((spec, container) => {
        spec.volumes.push({ name: "code", secret: { secretName: "api-9" } })
        container.volumeMounts = [{ name: "code", mountPath: "/app" }]
      }),
      refused: "at /run/secrets only",
    },
    {
      name: "a pod that runs as the deployer's account",
      request: inPod((spec) => {
        spec.serviceAccountName = "deployer"
      }),
      refused: "must not run as the service account deployer",
    },
    {
      name: "a pod that runs as the watchdog's account",
      request: inPod((spec) => {
        spec.serviceAccountName = watchAccount
      }),
      refused: "the only Jobs are watchdogs",
    },
    {
      name: "a pod with a token of its account",
      request: inPod((spec) => {
        spec.automountServiceAccountToken = true
      }),
      refused: "no token",
    },
    {
      name: "a pod that mounts a token",
      request: inPod((spec) => {
        spec.volumes.push({
          name: "token",
          projected: { sources: [{ serviceAccountToken: { path: "token" } }] },
        })
      }),
      refused: "volumes of the kinds",
    },
    {
      name: "a watchdog that runs another program",
      request: create(
        changed(job("a"), ({ spec }) => {
          const [container] = spec?.template.spec?.containers ?? []
          if (container) container.command = ["python3", "-I", "-S", "-c", "evil()"]
        }),
      ),
      refused: "program of this environment's watchdog",
    },
    {
      name: "a watchdog with an init container",
      request: create(
        changed(job("a"), ({ spec }) => {
          const pod = spec?.template.spec
          if (pod)
            pod.initContainers = pod.containers.map((one) => ({
              ...one,
              name: "first",
              command: ["evil"],
              readinessProbe: undefined as never,
            }))
        }),
      ),
      refused: "program of this environment's watchdog",
    },
    { name: "a watchdog of an image that nobody approved", request: create(job("f")), refused: unapproved },
    ...migrationAttacks(of),
    {
      name: "a Secret that gets the token of another account",
      request: create(
        named("Secret", "evil", {
          metadata: {
            namespace,
            name: "evil",
            annotations: { "kubernetes.io/service-account.name": watchAccount },
          },
          type: "kubernetes.io/service-account-token",
        }),
      ),
      refused: "would hold another account's token",
    },
    {
      name: "a service account of the deployer's own",
      request: create(named("ServiceAccount", "evil", { automountServiceAccountToken: false })),
      refused: "only the service accounts of services",
    },
    {
      name: "a role of the cloud for a service's account",
      request: create(
        named("ServiceAccount", "f1-backend", {
          metadata: {
            namespace,
            name: "f1-backend",
            annotations: { "eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/admin" },
          },
          automountServiceAccountToken: false,
        }),
      ),
      refused: "only an administrator may annotate",
    },
    {
      name: "a Service with an external name",
      request: service({
        type: "ExternalName",
        externalName: "evil.example.com",
        selector: undefined,
        ports: undefined,
      }),
      refused: "of the type ClusterIP",
    },
    {
      name: "a Service with an external address",
      request: service({ externalIPs: ["203.0.113.7"] }),
      refused: "of the type ClusterIP",
    },
    {
      name: "a Service without a selector",
      request: service({ selector: undefined }),
      refused: "selects the pods",
    },
    {
      name: "a Service that selects another service's pods",
      request: service({ selector: { "app.kubernetes.io/name": "f1-backend" } }),
      refused: "selects the pods",
    },
    {
      name: "a route with staging's host name",
      request: asRoute((spec) => {
        spec.hostnames = ["api.staging.example.com"]
      }),
      refused: "host names of this environment",
    },
    {
      name: "a route with a wildcard",
      request: asRoute((spec) => {
        spec.hostnames = ["*.example.com"]
      }),
      refused: "host names of this environment",
    },
    {
      name: "a route without host names, which matches all of them",
      request: asRoute((spec) => {
        delete spec.hostnames
      }),
      refused: "host names of this environment",
    },
    {
      name: "a route of another environment's Gateway",
      request: asRoute((spec) => {
        for (const parent of spec.parentRefs) parent.name = "f1-staging"
      }),
      refused: "belongs to the Gateway of this environment",
    },
    {
      name: "a route of a second Gateway",
      request: asRoute((spec) => {
        spec.parentRefs.push({ name: "router", namespace: "router" })
      }),
      refused: "belongs to the Gateway of this environment",
    },
    {
      name: "a route to another namespace's Service",
      request: asRoute((spec) => {
        for (const backend of spec.rules.flatMap(({ backendRefs }) => backendRefs))
          backend.namespace = "f1-staging"
      }),
      refused: "Services of its own namespace",
    },
    {
      name: "a GRPCRoute",
      request: create(
        named(
          "GRPCRoute",
          "evil",
          { spec: { hostnames: ["api.staging.example.com"] } },
          "gateway.networking.k8s.io/v1",
        ),
      ),
      refused: "the only objects of the Gateway API",
    },
    {
      name: "a ReferenceGrant",
      request: create(
        named(
          "ReferenceGrant",
          "evil",
          {
            spec: {
              from: [{ group: "gateway.networking.k8s.io", kind: "HTTPRoute", namespace: "f1-staging" }],
              to: [{ group: "", kind: "Service" }],
            },
          },
          "gateway.networking.k8s.io/v1beta1",
        ),
      ),
      refused: "the only objects of the Gateway API",
    },
    {
      name: "an audit entry in another user's name",
      request: create(of.entry("ada")),
      refused: "bears the name of who writes it",
    },
    {
      name: "an audit entry that can be changed",
      request: create({ ...of.entry(deployer), immutable: false } as Manifest),
      refused: "is immutable",
    },
    {
      name: "an approval of their own",
      request: patch(
        named("ConfigMap", approvalsName, { metadata: { namespace: guards, name: approvalsName } }),
        {
          data: approvalOf("evil", deployer, "f", Date.now() + 1e7),
        },
      ),
      refused: "forbidden",
    },
    {
      name: "a verdict of their own",
      request: create(
        verdictObject(guards, {
          id: "evil",
          by: deployer,
          verdict: "passed",
          commit: "c",
          digests: [`sha256:${hex("f")}`],
        }),
      ),
      refused: "forbidden",
    },
  ]
}

/** What a deployer could try with the account, the image or the Job of a migration. */
function migrationAttacks(of: ReturnType<typeof honest>): Attack[] {
  const { namespace, image, database, migration } = of
  const account = databaseAccount(database.name)
  const shape = `${account} runs the migrations of ${database.name} and nothing else`
  type Container = Tree & { args?: string[]; command?: string[] }
  const inJob = (
    change: (parts: {
      spec: Tree
      migrate: Container
      copy: Container
      application: Container
      pod: Tree
    }) => void,
    letter = "a",
  ) =>
    create(
      changed(migration(letter).job, ({ spec }) => {
        const pod = spec?.template.spec as unknown as Tree & {
          containers: [Container]
          initContainers: [Container, Container]
        }
        change({
          spec: spec as unknown as Tree,
          pod,
          migrate: pod.containers[0],
          copy: pod.initContainers[0],
          application: pod.initContainers[1],
        })
      }),
    )
  return [
    {
      name: "a migration by an image that nobody approved",
      request: create(migration("f").job),
      refused: "nobody has approved",
    },
    {
      name: "a migration by an image that the deployer approved alone",
      request: create(migration("b").job),
      refused: "somebody else must",
    },
    {
      name: "a migration by an image whose approval has expired",
      request: create(migration("e").job),
      refused: "expired",
    },
    {
      name: "a backup that removes more than the configuration says",
      request: create(
        changed(migration("a", "backup").job, ({ spec }) => {
          const { args = [] } = spec?.template.spec?.containers[0] ?? {}
          args[args.indexOf("--keep-days") + 1] = "1"
        }),
      ),
      refused: shape,
    },
    {
      name: "a migration that removes backups",
      request: inJob(({ migrate }) => {
        migrate.args?.push("--keep-days", "30")
      }),
      refused: shape,
    },
    {
      name: "a restore by an image whose approval has expired",
      request: create(
        changed(migration("e", "verify").job, ({ spec }) => {
          const { args = [] } = spec?.template.spec?.containers[0] ?? {}
          args[1] = "restore"
        }),
      ),
      refused: "expired",
    },
    {
      name: "a migration that backs up to another bucket",
      request: inJob(({ migrate }) => {
        migrate.args = migrate.args?.map((word) => (word.startsWith("s3://") ? "s3://evil/x" : word)) ?? []
      }),
      refused: shape,
    },
    {
      name: "a migration that backs up to another address",
      request: inJob(({ migrate }) => {
        migrate.env = [{ name: "BACKUP_S3_ENDPOINT", value: "https://evil.example.com" }]
      }),
      refused: shape,
    },
    {
      name: "a ConfigMap that sends backups elsewhere",
      request: create({
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { namespace, name: "recipes-migrate-evil" },
        data: { AWS_ENDPOINT_URL_S3: "https://evil.example.com" },
      } as Manifest),
      refused: "send backups elsewhere",
    },
    {
      name: "a migration that runs another command of the image",
      request: inJob(({ migrate }) => {
        migrate.args = ["serve"]
      }),
      refused: shape,
    },
    {
      name: "a migration that runs a program",
      request: inJob(({ migrate }) => {
        migrate.command = ["sh", "-c", "evil"]
      }),
      refused: shape,
    },
    {
      name: "a migration with a hook",
      request: inJob(({ migrate }) => {
        migrate.lifecycle = { postStart: { exec: { command: ["evil"] } } }
      }),
      refused: shape,
    },
    {
      name: "a migration whose copy runs a program",
      request: inJob(({ copy }) => {
        copy.command = ["bash", "-ec", "evil"]
      }),
      refused: shape,
    },
    {
      name: "a migration whose copy has another probe",
      request: inJob(({ copy }) => {
        copy.startupProbe = { exec: { command: ["evil"] } }
      }),
      refused: shape,
    },
    {
      name: "a migration whose copy reads the secrets",
      request: inJob(({ copy }) => {
        copy.volumeMounts = [{ name: "secrets", mountPath: "/copy" }]
      }),
      refused: shape,
    },
    {
      name: "a migration whose code beside it runs a program",
      request: inJob(({ application }) => {
        application.command = ["evil"]
      }),
      refused: shape,
    },
    {
      name: "a migration whose code beside it runs another command of the image",
      request: inJob(({ application }) => {
        application.args = ["seed"]
      }),
      refused: shape,
    },
    {
      name: "a migration whose code beside it uses another database",
      request: inJob(({ application }) => {
        application.env = [{ name: "DATABASE_URL", value: "postgresql://evil" }]
      }),
      refused: shape,
    },
    {
      name: "a migration whose code beside it reads the secrets",
      request: inJob(({ application }) => {
        application.volumeMounts = [{ name: "secrets", mountPath: "/tmp" }]
      }),
      // Two policies refuse it, and the API server names one of them.
      refused: `pitwall-${namespace}-`,
    },
    {
      name: "a migration beside code that nobody approved",
      request: create(migration("a", "migrate", "f").job),
      refused: "nobody has approved",
    },
    {
      name: "a migration with another image as its copy",
      request: inJob(({ copy }) => {
        copy.image = "registry.local/evil:1"
      }),
      // Two policies refuse it, and the API server names one of them.
      refused: `pitwall-${namespace}-`,
    },
    {
      name: "a migration with a second sidecar",
      request: inJob(({ pod, copy }) => {
        pod.initContainers = [copy, { ...copy, name: "second", image: image("a") }]
      }),
      refused: shape,
    },
    {
      name: "a migration without its copy",
      request: inJob(({ pod }) => {
        delete pod.initContainers
      }),
      refused: shape,
    },
    {
      name: "a migration as the account of a service",
      request: inJob(({ pod }) => {
        pod.serviceAccountName = "api"
      }),
      // Two policies refuse it, and the API server names one of them.
      refused: `pitwall-${namespace}-`,
    },
    {
      name: "a revision with the image of a migration's copy",
      request: create(
        changed(of.deployment("a", 3), ({ spec }) => {
          const [container] = spec?.template.spec?.containers ?? []
          if (container) container.image = database.copy
        }),
      ),
      refused: "nobody has approved",
    },
    {
      name: "a revision as the account of a database",
      request: create(
        changed(of.deployment("a", 3), ({ spec }) => {
          const pod = spec?.template.spec
          if (pod) pod.serviceAccountName = account
        }),
      ),
      refused: "the only Jobs are watchdogs and migrations",
    },
    {
      name: "a role of the cloud for a database's account",
      request: patch(
        { apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace, name: account } },
        { metadata: { annotations: { "eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/admin" } } },
      ),
      refused: "only the service accounts of services",
    },
  ]
}

/** The attacks of an approver, on an environment with an approval `one` by somebody else. */
export function approverAttacks(
  namespace: string,
  approver: string,
  other: Record<string, string>,
): Attack[] {
  const metadata = { namespace: guardsNamespace(namespace), name: approvalsName }
  const change = (data: object) => patch({ apiVersion: "v1", kind: "ConfigMap", metadata }, { data })
  const [key = "", value = ""] = Object.entries(other)[0] ?? []
  const soon = Date.now() + 1e7
  const [newKey, newValue] = Object.entries(approvalOf("two", approver, "f", soon))[0] ?? ["", ""]
  return [
    {
      name: "an approval in another approver's name",
      request: change(approvalOf("two", "system:admin", "f", soon)),
      refused: "bears the name of who gives it",
    },
    {
      name: "another approver's approval, for longer",
      request: change({ [key]: value.replace(/expires=.*/, "expires=2099-01-01T00:00:00.000Z") }),
      refused: "an approval never changes",
    },
    {
      name: "another approver's approval, deleted",
      request: change({ [key]: null }),
      refused: "an approval never changes",
    },
    {
      name: "a revocation in another approver's name",
      request: change({ "one.revoked": "by=system:admin\nat=2026-11-28T10:00:00.000Z\nreason=why" }),
      refused: "bears the name of who gives it",
    },
    {
      name: "an approval with two authors",
      request: change({ [newKey]: newValue.replace(/\nat=.*/, "\nby=system:admin$&") }),
      refused: "has the form that approve and revoke write",
    },
    {
      name: "an approval that never expires",
      request: change({ [newKey]: newValue.replace(/expires=.*/, "expires=never") }),
      refused: "has the form that approve and revoke write",
    },
    {
      name: "an approval of anything",
      request: change({ "two.api.": newValue }),
      refused: "has the form that approve and revoke write",
    },
    {
      name: "approvals that can never be revoked again",
      request: patch({ apiVersion: "v1", kind: "ConfigMap", metadata }, { immutable: true }),
      refused: "it stays one that does",
    },
  ]
}

/** The attacks of an identity that records verdicts. */
export function checkerAttacks(namespace: string, checker: string): Attack[] {
  const guards = guardsNamespace(namespace)
  const verdict = (by: string) =>
    verdictObject(guards, { id: "x", by, verdict: "passed", commit: "c", digests: [`sha256:${hex("f")}`] })
  return [
    {
      name: "a verdict in another's name",
      request: create(verdict("system:admin")),
      refused: "bears the name of who records it",
    },
    {
      name: "a verdict that can be changed",
      request: create({ ...verdict(checker), immutable: false } as Manifest),
      refused: "is immutable",
    },
    {
      name: "something else than a verdict",
      request: create({ ...verdict(checker), metadata: { namespace: guards, name: "other" } }),
      refused: "is a verdict of the gates",
    },
  ]
}
