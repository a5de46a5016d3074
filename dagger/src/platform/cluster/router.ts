import type {
  V1ClusterRole,
  V1ClusterRoleBinding,
  V1Deployment,
  V1Namespace,
  V1Service,
  V1ServiceAccount,
} from "@kubernetes/client-node"
import type { Manifest, Plain } from "../../clients/kubernetes/manifest.js"
import { containerSecurity } from "../pod-security.js"

/** The Gateway that routes attach to, and its port on the node. */
export const gateway = { namespace: "router", name: "router", section: "http", port: 8080 } as const

const { namespace, name, section, port } = gateway
/** Names its Deployment and its ServiceAccount. */
export const routerName = { namespace, name }
const metadata = { name, namespace, labels: { "app.kubernetes.io/name": "traefik" } }
/** Port of the health check, so that routes cannot shadow it. */
const pingPort = 8081
const group = "gateway.networking.k8s.io"

/**
 * Traefik on the node's network, for routes of all namespaces, and the Gateway that they attach to.
 *
 * @param image reference of Traefik for the node
 */
export function routerObjects(image: string): Manifest[] {
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } } satisfies Plain<V1Namespace>,
    { apiVersion: "v1", kind: "ServiceAccount", metadata } satisfies Plain<V1ServiceAccount>,
    clusterRole(),
    clusterRoleBinding(),
    deployment(image),
    service(),
    {
      apiVersion: `${group}/v1`,
      kind: "GatewayClass",
      metadata: { name },
      spec: { controllerName: "traefik.io/gateway-controller" },
    } as Manifest,
    {
      apiVersion: `${group}/v1`,
      kind: "Gateway",
      metadata,
      spec: {
        gatewayClassName: name,
        listeners: [
          { name: section, port, protocol: "HTTP", allowedRoutes: { namespaces: { from: "All" } } },
        ],
      },
    } as Manifest,
  ]
}

function deployment(image: string): Plain<V1Deployment> {
  const { labels } = metadata
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata,
    spec: {
      replicas: 1,
      // Two pods cannot listen on the same port of the node.
      strategy: { type: "Recreate" },
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: name,
          hostNetwork: true,
          dnsPolicy: "ClusterFirstWithHostNet",
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 65532,
            runAsGroup: 65532,
            seccompProfile: { type: "RuntimeDefault" },
          },
          containers: [
            {
              name: "traefik",
              image,
              args: [
                `--entryPoints.${section}.address=:${port}`,
                `--entryPoints.ping.address=:${pingPort}`,
                "--ping=true",
                "--ping.entryPoint=ping",
                "--providers.kubernetesGateway=true",
                // Ended pods and new weights must take effect at once.
                "--providers.providersThrottleDuration=100ms",
                "--global.checkNewVersion=false",
                "--global.sendAnonymousUsage=false",
                "--log.level=WARN",
              ],
              ports: [{ name: section, containerPort: port }],
              readinessProbe: { httpGet: { path: "/ping", port: pingPort }, periodSeconds: 1 },
              livenessProbe: { httpGet: { path: "/ping", port: pingPort }, failureThreshold: 6 },
              resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { memory: "512Mi" } },
              securityContext: containerSecurity,
            },
          ],
        },
      },
    },
  }
}

/** For clients inside the cluster. */
function service(): Plain<V1Service> {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata,
    spec: { selector: metadata.labels, ports: [{ name: section, port: 80, targetPort: port }] },
  }
}

function clusterRole(): Plain<V1ClusterRole> {
  const read = ["get", "list", "watch"]
  const kinds = ["gatewayclasses", "gateways", "httproutes", "grpcroutes", "referencegrants"]
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: `${namespace}:${name}` },
    rules: [
      { apiGroups: [""], resources: ["namespaces", "services", "secrets", "configmaps"], verbs: read },
      { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: read },
      { apiGroups: [group], resources: kinds, verbs: read },
      { apiGroups: [group], resources: kinds.map((kind) => `${kind}/status`), verbs: ["update"] },
    ],
  }
}

function clusterRoleBinding(): Plain<V1ClusterRoleBinding> {
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: `${namespace}:${name}` },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: `${namespace}:${name}` },
    subjects: [{ kind: "ServiceAccount", name, namespace }],
  }
}
