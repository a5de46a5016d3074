import type {
  V1ClusterRoleBinding,
  V1Deployment,
  V1Namespace,
  V1ServiceAccount,
} from "@kubernetes/client-node"
import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes/client.js"
import type { Plain } from "../../clients/kubernetes/manifest.js"
import { isRunning, until } from "./peer.js"

/** A program in the cluster. It gets all rights, because the cluster lives for one run. */
export interface PeerController {
  /** Also the name of its namespace. */
  name: string
  image: string
  args: string[]
  /** Its readiness probe. */
  ready: { path: string; port: number }
  /** Configuration files by name, mounted in {@link configuration}. */
  files?: Record<string, string>
  /** Further objects. */
  objects?: KubernetesObject[]
}

export const configuration = "/configuration"
/** A writable folder. */
export const temporary = "/tmp"

/** Installs a program, unless it is installed, and waits until it is ready. */
export async function install(admin: KubernetesApi, controller: PeerController): Promise<void> {
  const { name, files = {}, objects = [] } = controller
  const deployment = deploymentOf(controller)
  const metadata = { name, namespace: name }
  const all: KubernetesObject[] = [
    { apiVersion: "v1", kind: "Namespace", metadata: { name } } satisfies Plain<V1Namespace>,
    { apiVersion: "v1", kind: "ServiceAccount", metadata } satisfies Plain<V1ServiceAccount>,
    allRights(metadata),
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: files },
    ...objects,
    deployment,
  ]
  for (const object of all) await admin.apply(object)
  await until(`${name} is ready`, () => isRunning(admin, deployment))
}

/** Grants a ServiceAccount all rights on the cluster. */
export const allRights = (account: { name: string; namespace: string }): KubernetesObject =>
  ({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: `${account.name}:admin` },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
    subjects: [{ kind: "ServiceAccount", ...account }],
  }) as Plain<V1ClusterRoleBinding>

function deploymentOf({ name, image, args, ready }: PeerController): Plain<V1Deployment> {
  const labels = { "app.kubernetes.io/name": name }
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace: name, labels },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: name,
          containers: [
            {
              name,
              image,
              args,
              readinessProbe: { httpGet: ready, periodSeconds: 1 },
              volumeMounts: [
                { name: "configuration", mountPath: configuration },
                { name: "temporary", mountPath: temporary },
              ],
            },
          ],
          volumes: [
            { name: "configuration", configMap: { name } },
            { name: "temporary", emptyDir: {} },
          ],
        },
      },
    },
  }
}

/** Plurals by kind. */
export type Kinds = Record<string, string>

/**
 * Defines kinds. They need no schemas, because only their controller reads them.
 *
 * @param stated kinds with a status subresource
 */
export async function define(
  admin: KubernetesApi,
  { group, version, names, stated }: { group: string; version: string; names: Kinds; stated: string[] },
): Promise<void> {
  const definitions = Object.entries(names).map(([kind, plural]) => {
    return {
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: `${plural}.${group}` },
      spec: {
        group,
        scope: kind.startsWith("Cluster") ? "Cluster" : "Namespaced",
        names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
        versions: [
          {
            name: version,
            served: true,
            storage: true,
            ...(stated.includes(kind) && { subresources: { status: {} } }),
            schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
          },
        ],
      },
    } satisfies KubernetesObject
  })
  for (const definition of definitions) await admin.apply(definition)
  await until(`${group} is defined`, async () => {
    const all = await Promise.all(definitions.map((definition) => admin.read(definition)))
    return all.every((live) => {
      const conditions = (live?.status?.conditions ?? []) as { type: string; status: string }[]
      return conditions.some(({ type, status: holds }) => type === "Established" && holds === "True")
    })
  })
}
