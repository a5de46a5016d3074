import { isDeepStrictEqual } from "node:util"
import type {
  RbacV1Subject,
  V1ConfigMap,
  V1Namespace,
  V1PolicyRule,
  V1Role,
  V1RoleBinding,
  V1ServiceAccount,
} from "@kubernetes/client-node"
import { managedBy, type Manifest, type Plain } from "../clients/kubernetes/manifest.js"

/** Who gets a right. */
export interface Subject {
  kind: "User" | "Group" | "ServiceAccount"
  name: string
  /** Namespace of a ServiceAccount; default: the one that the rights are for. */
  namespace?: string
}

/** The service account of the watchdog. */
export const watchAccount = "pitwall-watch"

/** The service account of a database's migrations. It has no rights; an administrator may give it a role of the cloud for backups. */
export const databaseAccount = (database: string): string => `pitwall-database-${database}`

/** The object with the state of a database: a ConfigMap, and the Lease of whoever migrates it. */
export const databaseObject = (database: string): string => `database-${database}`

/** The service account of a model's training and promotion. It has no rights; an administrator may give it a role of the cloud for the registry. */
export const modelAccount = (model: string): string => `pitwall-model-${model}`

/** The object with the state of a model: a ConfigMap, and the Lease of whoever trains it. */
export const modelObject = (model: string): string => `model-${model}`

/** The object with the state of a model's promotions: a ConfigMap, and the Lease of whoever promotes it. A training keeps nobody from a rollback. */
export const promotionObject = (model: string): string => `promotion-${model}`

/** The object with the state of a web app: a ConfigMap, and the Lease of whoever deploys it. */
export const frontendObject = (app: string): string => `frontend-${app}`

/** The namespace of what guards rely on: approvals, and verdicts of the gates. Deployers can read it and not write to it. */
export const guardsNamespace = (namespace: string): string => `${namespace}-guards`

/** The ConfigMap there that holds all approvals. */
export const approvalsName = "approvals"

const rule = (apiGroup: string, resources: string[], verbs: string[]): Plain<V1PolicyRule> => ({
  apiGroups: [apiGroup],
  resources,
  verbs,
})

/** The rights that a deploy needs. The cluster deletes a revision's objects together with its Deployment. */
const deployerRules: Plain<V1PolicyRule>[] = [
  rule("apps", ["deployments"], ["get", "list", "create", "patch", "delete"]),
  rule("", ["services", "serviceaccounts"], ["get", "list", "create", "patch"]),
  // Configuration and the audit log are immutable: no patch and no delete.
  rule("", ["configmaps"], ["get", "list", "create"]),
  rule("", ["secrets"], ["get", "create"]),
  rule("", ["pods", "events"], ["get", "list"]),
  rule("", ["pods/log", "pods/proxy", "services/proxy"], ["get"]),
  rule("autoscaling", ["horizontalpodautoscalers"], ["get", "list", "create", "patch"]),
  rule("policy", ["poddisruptionbudgets"], ["get", "list", "create", "patch"]),
  rule("networking.k8s.io", ["networkpolicies"], ["get", "list", "create", "patch"]),
  rule("gateway.networking.k8s.io", ["httproutes"], ["get", "list", "create", "patch"]),
  rule("coordination.k8s.io", ["leases"], ["get", "list", "create", "patch"]),
  rule("batch", ["jobs"], ["get", "create", "delete"]),
]

const watchRules: Plain<V1PolicyRule>[] = [
  rule("gateway.networking.k8s.io", ["httproutes"], ["get", "patch"]),
  rule("coordination.k8s.io", ["leases"], ["get"]),
]

/** What approvers read of the environment: deploy requests in the audit log, and what runs now. */
const approverRules: Plain<V1PolicyRule>[] = [
  rule("", ["configmaps"], ["get", "list"]),
  rule("apps", ["deployments"], ["get", "list"]),
  rule("gateway.networking.k8s.io", ["httproutes"], ["get"]),
]

/** Who may do what in an environment. */
export interface People {
  namespace: string
  deployers: Subject[]
  approvers: Subject[]
  /** Who records verdicts of the gates: the identity of CI. */
  checkers?: Subject[]
  /** Names of the databases that deploys migrate. */
  databases?: string[]
  /** Names of the models that are trained. */
  models?: string[]
  /** Names of the web apps that are deployed to a bucket. */
  frontends?: string[]
}

/**
 * The namespaces and rights that an administrator applies once for an environment: its namespace, the deployers' rights, the deployers' service accounts in that
 * namespace, the watchdog's service account with its own rights and the accounts of databases and models without any, so that a deployer never grants any. With approvers or checkers also a namespace for what guards
 * rely on.
 *
 * @throws Error when an approver or a checker deploys, or is a service account of the environment's own namespace: a deployer could act in its name
 */
export function accessObjects({
  namespace,
  deployers,
  approvers,
  checkers = [],
  databases = [],
  models = [],
  frontends = [],
}: People): Manifest[] {
  const subjects = (people: Subject[]) => people.map((subject) => subjectOf(subject, namespace))
  const [deploy, approve, check] = [subjects(deployers), subjects(approvers), subjects(checkers)]
  const watch = { kind: "ServiceAccount", name: watchAccount, namespace }
  refuseDeployers(approve, "approve", namespace)
  refuseDeployers(check, "record verdicts", namespace)
  const both = check.find((one) => deploy.some((other) => isDeepStrictEqual(one, other)))
  if (both) {
    throw new Error(
      `${both.name} cannot record verdicts for ${namespace}, as it deploys there; allowed: an identity of CI that does not deploy`,
    )
  }
  const guards = guardsNamespace(namespace)
  const states = [
    ...databases.map(databaseObject),
    ...models.flatMap((model) => [modelObject(model), promotionObject(model)]),
    ...frontends.map(frontendObject),
  ]
  return [
    namespaceObject(namespace),
    ...deploy
      .filter((subject) => livesIn(subject, namespace))
      .map(({ name }) => serviceAccount(namespace, name)),
    ...grant(namespace, "pitwall-deployer", deploy, [
      ...deployerRules,
      ...(states.length > 0 ? [{ ...rule("", ["configmaps"], ["patch"]), resourceNames: states }] : []),
    ]),
    ...[...databases.map(databaseAccount), ...models.map(modelAccount)].map((account) =>
      serviceAccount(namespace, account),
    ),
    serviceAccount(namespace, watchAccount),
    ...grant(namespace, watchAccount, [watch], watchRules),
    ...(approve.length + check.length > 0
      ? [
          namespaceObject(guards),
          approvalsObject(guards),
          ...grant(guards, "pitwall-deployer", deploy, [rule("", ["configmaps"], ["get", "list"])]),
        ]
      : []),
    ...(approve.length > 0
      ? [
          ...grant(namespace, "pitwall-approver", approve, approverRules),
          ...grant(guards, "pitwall-approver", approve, [
            rule("", ["configmaps"], ["get", "list"]),
            { ...rule("", ["configmaps"], ["patch"]), resourceNames: [approvalsName] },
          ]),
        ]
      : []),
    ...(check.length > 0
      ? grant(guards, "pitwall-checker", check, [rule("", ["configmaps"], ["get", "create"])])
      : []),
  ]
}

function refuseDeployers(subjects: Plain<RbacV1Subject>[], what: string, namespace: string): void {
  const inside = subjects.find((subject) => livesIn(subject, namespace))
  if (!inside) return
  throw new Error(
    `${inside.name} cannot ${what} for ${namespace}, because it is an account of that namespace, which deployers write to; allowed: an account of another namespace, a user or group:NAME`,
  )
}

/** Without data, so that applying it again keeps the approvals. */
function approvalsObject(namespace: string): Plain<V1ConfigMap> {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace, name: approvalsName, labels: managedBy },
  }
}

/** Parses a user, a service account or `group:NAME`. */
export function readSubject(text: string): Subject {
  const [, namespace, account] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(text) ?? []
  if (namespace !== undefined && account !== undefined) {
    return { kind: "ServiceAccount", namespace, name: account }
  }
  const [, group] = /^group:(.+)$/.exec(text) ?? []
  if (group !== undefined) return { kind: "Group", name: group }
  if (text.trim() === "" || text !== text.trim()) {
    throw new Error(
      `"${text}" is nobody; allowed: a user, system:serviceaccount:NAMESPACE:NAME or group:NAME`,
    )
  }
  return { kind: "User", name: text }
}

function subjectOf({ kind, name, namespace }: Subject, home: string): Plain<RbacV1Subject> {
  return kind === "ServiceAccount"
    ? { kind, name, namespace: namespace ?? home }
    : { kind, name, apiGroup: "rbac.authorization.k8s.io" }
}

function grant(
  namespace: string,
  name: string,
  subjects: Plain<RbacV1Subject>[],
  rules: Plain<V1PolicyRule>[],
): [Plain<V1Role>, Plain<V1RoleBinding>] {
  const apiVersion = "rbac.authorization.k8s.io/v1"
  const metadata = { namespace, name, labels: managedBy }
  return [
    { apiVersion, kind: "Role", metadata, rules },
    {
      apiVersion,
      kind: "RoleBinding",
      metadata,
      subjects,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
    },
  ]
}

function namespaceObject(name: string): Plain<V1Namespace> {
  const levels = ["enforce", "audit", "warn"].map((mode) => [
    `pod-security.kubernetes.io/${mode}`,
    "restricted",
  ])
  const restricted = Object.fromEntries(levels) as Record<string, string>
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels: { ...managedBy, ...restricted } } }
}

const livesIn = (subject: Plain<RbacV1Subject>, namespace: string): boolean =>
  subject.kind === "ServiceAccount" && subject.namespace === namespace

function serviceAccount(namespace: string, name: string): Plain<V1ServiceAccount> {
  return { apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace, name, labels: managedBy } }
}
