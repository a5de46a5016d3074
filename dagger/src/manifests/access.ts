import type {
  RbacV1Subject,
  V1Namespace,
  V1PolicyRule,
  V1Role,
  V1RoleBinding,
  V1ServiceAccount,
} from "@kubernetes/client-node"
import { managedBy } from "./labels.js"
import type { Manifest, Plain } from "./plain.js"

/** Who a right is given to. */
export interface Subject {
  kind: "User" | "Group" | "ServiceAccount"
  name: string
  /** Of a ServiceAccount; the one that the rights are for, if not said. */
  namespace?: string
}

/** The account of the dead-man's switch. */
export const watchAccount = "pitwall-watch"

/** Where approvals are: a namespace that the deployer reads, and cannot write to. */
export const approvalsNamespace = (namespace: string): string => `${namespace}-approvals`

const rule = (apiGroup: string, resources: string[], verbs: string[]): Plain<V1PolicyRule> => ({
  apiGroups: [apiGroup],
  resources,
  verbs,
})

/** What a deploy needs, and no more. What belongs to a revision is deleted by the cluster, with its Deployment. */
const deployerRules: Plain<V1PolicyRule>[] = [
  rule("apps", ["deployments"], ["get", "list", "create", "patch", "delete"]),
  rule("", ["services", "serviceaccounts"], ["get", "list", "create", "patch"]),
  // Configuration and the audit log are written once: neither changed nor deleted.
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

/**
 * What an administrator applies once for an environment: its namespace, the rights of who deploys to it, and the account of the dead-man's switch with rights of
 * its own, so that the deployer never has to grant any. With an approver, a namespace for approvals too.
 */
export function accessObjects({
  namespace,
  deployer,
  approver,
}: {
  namespace: string
  deployer: Subject
  approver?: Subject
}): Manifest[] {
  const deploy = subjectOf(deployer, namespace)
  const approvals = approvalsNamespace(namespace)
  return [
    namespaceObject(namespace),
    ...grant(namespace, "pitwall-deployer", deploy, deployerRules),
    watchServiceAccount(namespace),
    ...grant(namespace, watchAccount, { kind: "ServiceAccount", name: watchAccount, namespace }, watchRules),
    ...(approver
      ? [
          namespaceObject(approvals),
          ...grant(approvals, "pitwall-approver", subjectOf(approver, namespace), [
            rule("", ["configmaps"], ["get", "list", "create"]),
          ]),
          ...grant(approvals, "pitwall-deployer", deploy, [rule("", ["configmaps"], ["get", "list"])]),
        ]
      : []),
  ]
}

function subjectOf({ kind, name, namespace }: Subject, home: string): Plain<RbacV1Subject> {
  return kind === "ServiceAccount"
    ? { kind, name, namespace: namespace ?? home }
    : { kind, name, apiGroup: "rbac.authorization.k8s.io" }
}

function grant(
  namespace: string,
  name: string,
  subject: Plain<RbacV1Subject>,
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
      subjects: [subject],
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

function watchServiceAccount(namespace: string): Plain<V1ServiceAccount> {
  return {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { namespace, name: watchAccount, labels: managedBy },
  }
}
