import type {
  RbacV1Subject,
  V1Namespace,
  V1PolicyRule,
  V1Role,
  V1RoleBinding,
  V1ServiceAccount,
  V1ValidatingAdmissionPolicy,
  V1ValidatingAdmissionPolicyBinding,
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

/** The namespace of approvals. Deployers can read it and not write to it. */
export const approvalsNamespace = (namespace: string): string => `${namespace}-approvals`

const rule = (apiGroup: string, resources: string[], verbs: string[]): Plain<V1PolicyRule> => ({
  apiGroups: [apiGroup],
  resources,
  verbs,
})

/** The label of approvals, and the key of the data that names the approver. */
export const approvalMark = { label: "pitwall.dev/approval", by: "by" }

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

/**
 * The objects that an administrator applies once for an environment: its namespace, the deployers' rights, the deployers' service accounts in that namespace, and the
 * watchdog's service account with its own rights, so that a deployer never grants any. With approvers also a namespace for approvals, and an admission policy: an
 * approval must name the user that creates it.
 *
 * @throws Error when an approver is a service account of the environment's own namespace: a deployer could start a pod with that account
 */
export function accessObjects({
  namespace,
  deployers,
  approvers,
}: {
  namespace: string
  deployers: Subject[]
  approvers: Subject[]
}): Manifest[] {
  const deploy = deployers.map((subject) => subjectOf(subject, namespace))
  const approve = approvers.map((subject) => subjectOf(subject, namespace))
  const watch = { kind: "ServiceAccount", name: watchAccount, namespace }
  const usurped = approve.find((subject) => livesIn(subject, namespace))
  if (usurped) {
    throw new Error(
      `${usurped.name} cannot approve for ${namespace}, as it lives there, and who deploys can start a pod in its name; allowed: an account of another namespace, a user or group:NAME`,
    )
  }
  const approvals = approvalsNamespace(namespace)
  return [
    namespaceObject(namespace),
    ...deploy
      .filter((subject) => livesIn(subject, namespace))
      .map(({ name }) => serviceAccount(namespace, name)),
    ...grant(namespace, "pitwall-deployer", deploy, deployerRules),
    serviceAccount(namespace, watchAccount),
    ...grant(namespace, watchAccount, [watch], watchRules),
    ...(approvers.length > 0
      ? [
          namespaceObject(approvals),
          ...grant(approvals, "pitwall-approver", approve, [
            rule("", ["configmaps"], ["get", "list", "create"]),
          ]),
          ...grant(approvals, "pitwall-deployer", deploy, [rule("", ["configmaps"], ["get", "list"])]),
          ...ownName(approvals),
        ]
      : []),
  ]
}

/** Refuses an approval in another user's name: a ConfigMap does not record who created it. */
function ownName(
  approvals: string,
): [Plain<V1ValidatingAdmissionPolicy>, Plain<V1ValidatingAdmissionPolicyBinding>] {
  const apiVersion = "admissionregistration.k8s.io/v1"
  const metadata = { name: `pitwall-${approvals}`, labels: managedBy }
  const { label, by } = approvalMark
  return [
    {
      apiVersion,
      kind: "ValidatingAdmissionPolicy",
      metadata,
      spec: {
        failurePolicy: "Fail",
        matchConstraints: {
          resourceRules: [
            {
              apiGroups: [""],
              apiVersions: ["v1"],
              operations: ["CREATE", "UPDATE"],
              resources: ["configmaps"],
            },
          ],
        },
        validations: [
          {
            expression: `has(object.data) && "${by}" in object.data && object.data["${by}"] == request.userInfo.username`,
            message: "an approval bears the name of who gives it",
          },
        ],
      },
    },
    {
      apiVersion,
      kind: "ValidatingAdmissionPolicyBinding",
      metadata,
      spec: {
        policyName: metadata.name,
        validationActions: ["Deny"],
        matchResources: {
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": approvals } },
          objectSelector: { matchExpressions: [{ key: label, operator: "Exists" }] },
        },
      },
    },
  ]
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
