import type {
  V1ConfigMap,
  V1Deployment,
  V1NetworkPolicy,
  V1NetworkPolicyEgressRule,
  V1NetworkPolicyPeer,
  V1ObjectMeta,
  V1PodDisruptionBudget,
  V1PodSpec,
  V1Probe,
  V1Secret,
  V1Service,
  V1ServiceAccount,
  V1Volume,
  V2HorizontalPodAutoscaler,
} from "@kubernetes/client-node"
import { digestPattern } from "../../lib/image-reference.js"
import { derivedVariables, type NetworkPeer, variablePattern, type Workload } from "./configuration.js"
import {
  annotations,
  baselineLabels,
  baselineName,
  labels,
  labelsOf,
  portName,
  revisionName,
} from "./labels.js"
import type { Schema } from "../../platform/schema.js"
import type { Manifest, Plain } from "../../clients/kubernetes/manifest.js"
import { containerSecurity, servicePodSecurity, temporaryFolder } from "../../platform/pod-security.js"

/** One revision of a service in one environment. */
export interface RevisionSpec {
  environment: string
  namespace: string
  service: string
  revision: number
  /** `repository@sha256:…` */
  image: string
  digest: string
  version: string
  /** Variables of this environment; they override those of the workload. */
  config: Record<string, string>
  /** By file name. Only the Secret contains them. */
  secrets: Record<string, string>
  /** The newest migration in the image, and those that older revisions cannot work with. */
  schema?: Schema
  /** The commit that the image was built from. */
  commit?: string
  /** Initial number of pods; default: the minimum. */
  replicas?: number
  /** Seconds after which the Deployment reports that it makes no progress. */
  progressDeadline?: number
}

/**
 * All objects of a revision: the ServiceAccount and NetworkPolicy, which it shares with the service's other revisions, and its own.
 *
 * @throws Error with every fault of the specification
 */
export function revisionObjects(workload: Workload, release: RevisionSpec): Manifest[] {
  validate(workload, release)
  return [
    serviceAccount(release),
    networkPolicy(workload, release),
    deployment(workload, release),
    configMap(workload, release),
    secret(release),
    previewService(workload, release),
    disruptionBudget(release),
    autoscaler(workload, release),
  ]
}

/** A Deployment in the cluster. */
interface Owner {
  name: string
  uid: string
}

/** Makes the Deployment the owner of the revision's other objects, so that they are deleted with it. Objects that revisions share do not change. */
export function withRevisionOwner<Kind extends Manifest>(objects: Kind[], owner: Owner): Kind[] {
  return objects.map((object) => {
    const own = object.metadata?.labels?.[labels.revision] !== undefined && object.kind !== "Deployment"
    return own ? withOwner(object, owner) : object
  })
}

/** Makes a Deployment the owner of an object, so that the object is deleted with it. */
export function withOwner<Kind extends Manifest>(object: Kind, { name, uid }: Owner): Kind {
  const owner = { apiVersion: "apps/v1", kind: "Deployment", name, uid }
  return { ...object, metadata: { ...object.metadata, ownerReferences: [owner] } }
}

/**
 * A fresh baseline: new pods of the stable revision with a Service of their own. No autoscaler scales them, and the stable revision's selectors do not match them.
 *
 * @param stable the Deployment of the stable revision, as it is in the cluster
 * @param baseline.revision the revision that is compared with it
 */
export function baselineObjects(
  { metadata: { annotations: marks = {} } = {}, spec: model }: Plain<V1Deployment>,
  baseline: { namespace: string; service: string; revision: number; port: number; replicas: number },
): [Plain<V1Deployment>, Plain<V1Service>] {
  const { namespace, service, revision, port, replicas } = baseline
  if (!model) throw new Error(`${service}: there is no baseline of a Deployment without pods`)
  const { metadata: pods = {}, spec } = model.template
  const version = pods.labels?.[labels.version]
  const metadata = {
    namespace,
    name: baselineName(service, revision),
    labels: {
      ...baselineLabels(service, revision),
      ...(version !== undefined && { [labels.version]: version }),
    },
    annotations: { [annotations.digest]: marks[annotations.digest] ?? "" },
  }
  const selector = { [labels.service]: service, [labels.baseline]: String(revision) }
  const template = {
    metadata: {
      labels: withoutRevision({ ...pods.labels, ...metadata.labels }),
      annotations: { ...pods.annotations },
    },
    ...(spec && { spec: spreadBy(spec, selector) }),
  }
  return [
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: { ...model, replicas, selector: { matchLabels: selector }, template },
    },
    serviceObject(metadata, selector, port),
  ]
}

const withoutRevision = (all: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(all).filter(([name]) => name !== labels.revision))

/** Spreads the baseline's pods among themselves instead of among the revision's. */
function spreadBy(spec: Plain<V1PodSpec>, selector: Record<string, string>): Plain<V1PodSpec> {
  return JSON.parse(JSON.stringify(spec), (key, value: Record<string, string>) =>
    key === "matchLabels" && labels.revision in value ? { ...withoutRevision(value), ...selector } : value,
  ) as Plain<V1PodSpec>
}

/** The address for clients inside the cluster. All of its traffic goes to one revision. */
export function stableService(address: {
  namespace: string
  service: string
  revision: number
  port: number
}): Plain<V1Service> {
  const { namespace, service } = address
  const metadata = { namespace, name: service, labels: labelsOf(service) }
  return serviceObject(metadata, selectorOf(address), address.port)
}

interface Gateway {
  name: string
  namespace: string
  /** Name of a listener; default: all listeners. */
  section?: string
}

/** A rule of an HTTPRoute; an operator may have added any other field of the Gateway API. */
export interface RouteRule {
  backendRefs?: { group: string; kind: string; name: string; port: number; weight?: number }[]
  filters?: object[]
  matches?: object[]
}

/** The parts of the Gateway API's HTTPRoute that the pipeline writes. */
export interface HttpRoute extends Manifest {
  spec: {
    parentRefs: { group: string; kind: string; name: string; namespace: string; sectionName?: string }[]
    hostnames: string[]
    rules: RouteRule[]
  }
}

/** The share of traffic of a revision, or of the fresh baseline that it is compared with. */
export interface TrafficShare {
  revision: number
  baseline?: true
  weight: number
}

/** The only paths that a gateway routes: what operators ask for, such as /metrics and /admin, stays inside the cluster. */
export const publicPath = "/api"

/** The route of a service's requests, with each backend's share of them. */
export function routeObject(route: {
  namespace: string
  service: string
  hostnames: string[]
  gateway: Gateway
  backends: TrafficShare[]
  port: number
}): HttpRoute {
  const { namespace, service, hostnames, gateway, backends, port } = route
  const { name, section } = gateway
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { namespace, name: service, labels: labelsOf(service) },
    spec: {
      parentRefs: [
        {
          group: "gateway.networking.k8s.io",
          kind: "Gateway",
          name,
          namespace: gateway.namespace,
          ...(section !== undefined && { sectionName: section }),
        },
      ],
      hostnames,
      rules: [
        {
          matches: [{ path: { type: "PathPrefix", value: publicPath } }],
          backendRefs: backends.map(({ revision, baseline, weight }) => ({
            group: "",
            kind: "Service",
            name: baseline ? baselineName(service, revision) : revisionName(service, revision),
            port,
            weight,
          })),
        },
      ],
    },
  }
}

function validate({ minReady }: Workload, release: RevisionSpec): void {
  const { service, namespace, revision, image, digest, version, config, secrets } = release
  const faults: string[] = []
  const expect = (holds: boolean, where: string, allowed: string, found: unknown) => {
    if (!holds) faults.push(`${where}: ${allowed} (found ${JSON.stringify(found)})`)
  }
  const named = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
  expect(named.test(namespace), "namespace", "at most 63 lower-case letters, digits and hyphens", namespace)
  expect(Number.isInteger(revision) && revision > 0, "revision", "a number from 1 on", revision)
  expect(
    /^[a-z]/.test(service) && named.test(revisionName(service, revision)),
    "service",
    "a letter, then lower-case letters, digits and hyphens; with its revision at most 63",
    service,
  )
  expect(digestPattern.test(digest), "digest", "sha256: and 64 hexadecimal digits", digest)
  expect(
    image.length > digest.length + 1 && image.endsWith(`@${digest}`),
    "image",
    `an image @${digest}`,
    image,
  )
  expect(
    /^[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?$/.test(labelValue(version)),
    "version",
    "at most 63 letters, digits, dots, hyphens and _, a letter or digit first and last",
    version,
  )
  const { replicas = 0, progressDeadline } = release
  expect(Number.isInteger(replicas) && replicas >= 0, "replicas", "a number from 0 on", replicas)
  expect(
    progressDeadline === undefined || progressDeadline > minReady,
    "progressDeadline",
    `more seconds than minReady, ${minReady}`,
    progressDeadline,
  )
  for (const name of Object.keys(config)) {
    expect(variablePattern.test(name), "config", "names of capital letters, digits and _", name)
    const home = derivedVariables[name]
    expect(home === undefined, "config", `${home ?? ""} of the workload says that`, name)
  }
  for (const name of Object.keys(secrets)) {
    expect(/^[a-z][a-z0-9_]*$/.test(name), "secrets", "file names of lower-case letters, digits and _", name)
  }
  if (faults.length > 0) throw new Error(`no revision can be made of this:\n${faults.join("\n")}`)
}

/** Labels must not contain `+`, which versions with build metadata do. Helm replaces it the same way. */
const labelValue = (version: string) => version.replaceAll("+", "_")

/** Selects the pods of this revision only. */
const selectorOf = ({ service, revision }: { service: string; revision: number }) => ({
  [labels.service]: service,
  [labels.revision]: String(revision),
})

function shared({ namespace, service }: RevisionSpec): Plain<V1ObjectMeta> {
  return { namespace, name: service, labels: labelsOf(service) }
}

function metadataOf({ namespace, service, revision, version, ...release }: RevisionSpec) {
  return {
    namespace,
    name: revisionName(service, revision),
    labels: { ...labelsOf(service, revision), [labels.version]: labelValue(version) },
    annotations: {
      [annotations.digest]: release.digest,
      [annotations.environment]: release.environment,
      ...(release.schema && {
        [annotations.schemaHead]: release.schema.head,
        [annotations.schemaBreaking]: release.schema.breaking.join(","),
      }),
    },
  }
}

function deployment(workload: Workload, release: RevisionSpec): Plain<V1Deployment> {
  const metadata = metadataOf(release)
  const scraped = {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": String(workload.port),
    "prometheus.io/path": "/metrics",
  }
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    // Not on the pods: the same image of another commit must not start other ones.
    metadata:
      release.commit === undefined
        ? metadata
        : { ...metadata, annotations: { ...metadata.annotations, [annotations.commit]: release.commit } },
    spec: {
      replicas: release.replicas ?? workload.replicas.min,
      // The rollout waits for available pods; a pod that is ready for a moment only is not available.
      minReadySeconds: workload.minReady,
      progressDeadlineSeconds: release.progressDeadline ?? Math.max(600, workload.minReady + 1),
      // This Deployment never gets another pod template: each revision has its own.
      revisionHistoryLimit: 0,
      strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      selector: { matchLabels: selectorOf(release) },
      template: {
        metadata: { labels: metadata.labels, annotations: { ...metadata.annotations, ...scraped } },
        spec: podSpec(workload, release),
      },
    },
  }
}

function podSpec(workload: Workload, release: RevisionSpec): Plain<V1PodSpec> {
  const { port, probes, termination, resources, pullSecrets } = workload
  const name = revisionName(release.service, release.revision)
  const mounts = volumesOf(workload, name)
  return {
    serviceAccountName: release.service,
    // The service does not use the Kubernetes API, and the token would be mounted below /run/secrets.
    automountServiceAccountToken: false,
    // Kubernetes' variables for other Services could clash with the service's own.
    enableServiceLinks: false,
    ...(pullSecrets.length > 0 && { imagePullSecrets: pullSecrets.map((secret) => ({ name: secret })) }),
    terminationGracePeriodSeconds: termination.grace,
    securityContext: servicePodSecurity,
    topologySpreadConstraints: ["kubernetes.io/hostname", "topology.kubernetes.io/zone"].map(
      (topologyKey) => ({
        maxSkew: 1,
        topologyKey,
        whenUnsatisfiable: "ScheduleAnyway",
        labelSelector: { matchLabels: selectorOf(release) },
      }),
    ),
    containers: [
      {
        name: release.service,
        image: release.image,
        ports: [{ name: portName, containerPort: port, protocol: "TCP" }],
        envFrom: [{ configMapRef: { name } }],
        resources: {
          requests: { ...resources.requests },
          limits: {
            memory: resources.limits.memory,
            ...(resources.limits.cpu !== undefined && { cpu: resources.limits.cpu }),
          },
        },
        startupProbe: probeObject(probes.startup),
        livenessProbe: probeObject(probes.liveness),
        readinessProbe: probeObject(probes.readiness),
        // Routers learn late that a pod terminates, so it takes requests for a while before its server drains.
        ...(termination.preStop > 0 && {
          lifecycle: { preStop: { sleep: { seconds: termination.preStop } } },
        }),
        // The last lines of the log become part of the pod's status.
        terminationMessagePolicy: "FallbackToLogsOnError",
        securityContext: containerSecurity,
        volumeMounts: mounts.map(({ volume, path, readOnly }) => ({
          name: volume.name,
          mountPath: path,
          ...(readOnly && { readOnly }),
        })),
      },
    ],
    volumes: mounts.map(({ volume }) => volume),
  }
}

function volumesOf(
  { volumes, temporary }: Workload,
  secretName: string,
): { volume: Plain<V1Volume>; path: string; readOnly?: boolean }[] {
  return [
    { path: temporaryFolder, volume: { name: "tmp", emptyDir: { sizeLimit: temporary } } },
    {
      path: "/run/secrets",
      readOnly: true,
      // Owned by root and readable by the group, which fsGroup gives to the user.
      volume: { name: "secrets", secret: { secretName, defaultMode: 0o440 } },
    },
    ...volumes.map(({ name, path, size, claim, readOnly }) => ({
      path,
      readOnly,
      volume:
        claim === undefined
          ? { name, emptyDir: { sizeLimit: size } }
          : { name, persistentVolumeClaim: { claimName: claim } },
    })),
  ]
}

function probeObject({ path, period, timeout, failures }: Workload["probes"]["liveness"]): Plain<V1Probe> {
  return {
    httpGet: { path, port: portName },
    periodSeconds: period,
    timeoutSeconds: timeout,
    failureThreshold: failures,
  }
}

function configMap({ environment, port, termination }: Workload, release: RevisionSpec): Plain<V1ConfigMap> {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: metadataOf(release),
    immutable: true,
    data: withoutSecrets(release, {
      ENVIRONMENT: release.environment,
      ...environment,
      ...release.config,
      PORT: String(port),
      DRAIN_SECONDS: String(termination.drain),
      KEEP_ALIVE_LINGER_SECONDS: String(termination.linger),
      SHUTDOWN_GRACE_SECONDS: String(termination.shutdown),
    }),
  }
}

/** @throws Error for a variable that is also a secret: the variable would override the file and be readable for everybody */
function withoutSecrets(
  { secrets }: RevisionSpec,
  variables: Record<string, string>,
): Record<string, string> {
  const both = Object.keys(secrets).filter((name) => Object.hasOwn(variables, name.toUpperCase()))
  if (both.length > 0)
    throw new Error(`these are secrets, and variables too: ${both.join(", ")}; each is one of both`)
  return variables
}

function secret(release: RevisionSpec): Plain<V1Secret> {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: metadataOf(release),
    immutable: true,
    type: "Opaque",
    stringData: release.secrets,
  }
}

const previewService = ({ port }: Workload, release: RevisionSpec): Plain<V1Service> =>
  serviceObject(metadataOf(release), selectorOf(release), port)

function serviceObject(
  metadata: Plain<V1ObjectMeta>,
  selector: Record<string, string>,
  port: number,
): Plain<V1Service> {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata,
    spec: {
      type: "ClusterIP",
      selector,
      ports: [{ name: portName, port, targetPort: portName, protocol: "TCP" }],
    },
  }
}

function disruptionBudget(release: RevisionSpec): Plain<V1PodDisruptionBudget> {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: metadataOf(release),
    spec: {
      // With a minimum number of pods, a node with the only pod could never be drained.
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: "AlwaysAllow",
      selector: { matchLabels: selectorOf(release) },
    },
  }
}

/** An autoscaler ignores a Deployment with 0 pods, so a revision that was scaled down stays so. */
function autoscaler({ replicas }: Workload, release: RevisionSpec): Plain<V2HorizontalPodAutoscaler> {
  const metadata = metadataOf(release)
  return {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata,
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: metadata.name },
      minReplicas: replicas.min,
      maxReplicas: replicas.max,
      metrics: [
        {
          type: "Resource",
          resource: { name: "cpu", target: { type: "Utilization", averageUtilization: replicas.cpu } },
        },
      ],
    },
  }
}

function serviceAccount(release: RevisionSpec): Plain<V1ServiceAccount> {
  return {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: shared(release),
    automountServiceAccountToken: false,
  }
}

function networkPolicy({ port, network }: Workload, release: RevisionSpec): Plain<V1NetworkPolicy> {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: shared(release),
    spec: {
      podSelector: { matchLabels: { [labels.service]: release.service } },
      policyTypes: ["Ingress", "Egress"],
      ingress: [
        { from: [{ podSelector: {} }, ...network.from.map(peerObject)], ports: [{ protocol: "TCP", port }] },
      ],
      egress: egressRules(network),
    },
  }
}

/** What a service's pods may reach. */
export const egressRules = ({ to }: Workload["network"]): Plain<V1NetworkPolicyEgressRule>[] => [
  // To any address: the resolver may be a Service or a cache on the node.
  { ports: ["UDP", "TCP"].map((protocol) => ({ protocol, port: 53 })) },
  ...to.map(({ ports, ...peer }) => ({
    to: [peerObject(peer)],
    ports: ports.map((number) => ({ protocol: "TCP", port: number })),
  })),
]

function peerObject({ namespace, pods, cidr }: NetworkPeer): Plain<V1NetworkPolicyPeer> {
  if (cidr !== undefined) return { ipBlock: { cidr } }
  return {
    ...(namespace !== undefined && {
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
    }),
    ...(pods !== undefined && { podSelector: { matchLabels: pods } }),
  }
}
