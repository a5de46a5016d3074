import { accessObjects, type People } from "../delivery/access.js"
import { managedBy, type Manifest } from "../clients/kubernetes/manifest.js"
import type { DatabaseSettings } from "../databases/settings.js"
import type { ModelSettings } from "../models/settings.js"
import { admissionObjects } from "./admission.js"
import type { Environment } from "./configuration.js"

/**
 * Everything that an administrator applies once for an environment, and again after a change to its host names or services or an upgrade of Pitwall: namespaces and
 * rights, its Gateway, and the admission policies that bind everybody with those rights.
 *
 * @param watchdog the program of the watchdog
 * @param databases that deploys migrate there
 * @param models that are trained there
 * @throws Error where nobody may approve although that is required, and see {@link accessObjects}
 */
export function environmentAccess(
  environment: Environment,
  people: Omit<People, "namespace" | "databases" | "models" | "frontends">,
  watchdog: string,
  databases: DatabaseSettings[] = [],
  models: ModelSettings[] = [],
): Manifest[] {
  const { name, namespace, gateway, guards, services, frontends } = environment
  const approval = guards.approval?.required ?? false
  if (approval && people.approvers.length === 0) {
    throw new Error(`${name} needs approvals: say whose with --approver, such as group:approvers`)
  }
  const hostnames = hostnamesOf(environment)
  return [
    ...accessObjects({
      namespace,
      ...people,
      databases: databases.map(({ name: database }) => database),
      models: models.map(({ name: model }) => model),
      frontends: Object.keys(frontends),
    }),
    ...(gateway.class === undefined ? [] : [gatewayObject(environment)]),
    ...admissionObjects({
      namespace,
      services: Object.keys(services),
      hostnames,
      gateway,
      approval,
      watchdog,
      databases,
      models,
    }),
  ]
}

const hostnamesOf = ({ services }: Environment): string[] => [
  ...new Set(Object.values(services).flatMap(({ hostnames }) => hostnames)),
]

/** The Gateway of an environment: a listener for each of its host names, which no other namespace can attach to. Nobody else may change it. */
function gatewayObject(environment: Environment): Manifest {
  const { namespace, gateway } = environment
  const { certificate, port = certificate === undefined ? 80 : 443 } = gateway
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: { namespace: gateway.namespace, name: gateway.name, labels: managedBy },
    spec: {
      gatewayClassName: gateway.class,
      listeners: hostnamesOf(environment).map((hostname) => ({
        // A listener's name may be a host name, but for the asterisk.
        name: hostname.replace("*", "any"),
        hostname,
        port,
        ...(certificate === undefined
          ? { protocol: "HTTP" }
          : { protocol: "HTTPS", tls: { mode: "Terminate", certificateRefs: [{ name: certificate }] } }),
        allowedRoutes: {
          kinds: [{ kind: "HTTPRoute" }],
          namespaces: {
            from: "Selector",
            selector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
          },
        },
      })),
    },
  } as Manifest
}
