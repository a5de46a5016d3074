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

/** What an approval is found by, and the key of its data that says who gives it. */
export const approvalMark = { label: "pitwall.dev/approval", by: "by" }

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
 * What an administrator applies once for an environment: its namespace, the rights of who deploys to it, with the accounts of these that live there, and the account of
 * the dead-man's switch with rights of its own, so that the deployer never has to grant any. With approvers, a namespace for approvals too, and the rule that an approval
 * bears its giver's name.
 *
 * @throws Error when an approver is an account of the environment's own namespace: whoever deploys there can start a pod in its name
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

/** A ConfigMap does not say who made it, so the API server refuses an approval in another's name. */
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

/** Somebody as the API server names them; a group is written `group:NAME`. */
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
