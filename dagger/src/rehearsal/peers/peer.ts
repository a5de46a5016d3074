import type { Container } from "@dagger.io/dagger"
import type { V1Deployment } from "@kubernetes/client-node"
import type { AnalysisSettings } from "../../backends/analysis/rules.js"
import { monotonic } from "../../lib/clock.js"
import type { BackendSettings } from "../../backends/settings.js"
import type { Environment } from "../../environments/configuration.js"
import { digestOf } from "../../delivery/release.js"
import type { KubernetesApi, KubernetesObject } from "../../clients/kubernetes/client.js"
import { revisionObjects } from "../../backends/manifests/objects.js"
import type { Plain } from "../../clients/kubernetes/manifest.js"
import { appendChange, type PhaseChange } from "../measurements/phase-change.js"

/** Another tool that deploys an image: with the same pods behind the same router. */
export interface Peer {
  /** Label by which the pods with traffic are found. */
  readonly service: string
  /** The object that names the image. Changing the image starts a rollout. */
  readonly running: KubernetesObject
  state(): Promise<PeerState>
}

/** What a peer deploys, and where. */
export interface PeerContext {
  /** All rights on the cluster. */
  admin: KubernetesApi
  environment: Environment
  settings: BackendSettings
  analysis: AnalysisSettings
  /** Image of the first revision. */
  image: string
  secrets: Record<string, string>
  /** Publishes an image for pods, and returns the reference. */
  publish: (image: Container, repository: string) => Promise<string>
}

/** Namespace, host name and revision label of a peer's pods. */
export const namespace = "peer"
export const host = "peer.example.com"
export const revision = 1
const namespaceObject: KubernetesObject = {
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: namespace },
}

/** Seconds until pods must have ended, and until parts of the cluster must be up. */
const clusterLimit = 120
/** Seconds that a rollout may take. */
const rolloutLimit = 900
/** Milliseconds between two reads. */
const interval = 300

/** Creates everything that the pods need, and returns the Deployment for them. */
export async function createPods(context: PeerContext): Promise<Plain<V1Deployment>> {
  const { admin, environment, image, secrets } = context
  const { service, workload, variables: config } = context.settings
  const digest = digestOf(image)
  const objects = revisionObjects(workload, {
    namespace,
    service,
    revision,
    image,
    digest,
    config,
    secrets,
    environment: environment.name,
    version: "peer",
    progressDeadline: environment.rollout.progressDeadline,
  })
  const deployment = objects.find(({ kind }) => kind === "Deployment")
  if (!deployment) throw new Error(`${service} has no Deployment`)
  await admin.apply(namespaceObject)
  // Each peer creates and scales its pods in its own way.
  const ofPeer = ["Deployment", "HorizontalPodAutoscaler"]
  for (const object of objects) if (!ofPeer.includes(object.kind ?? "")) await admin.apply(object)
  return deployment
}

/** Changes the image, waits for the end of the rollout and returns its phases. */
export async function rollOut(
  admin: KubernetesApi,
  peer: Peer,
  image: string,
  variables: Record<string, string>,
): Promise<PhaseChange[]> {
  await admin.apply(candidate(peer.running, image, variables))
  return watch(() => peer.state())
}

/** The same pods with another image. */
export function candidate(
  running: KubernetesObject,
  image: string,
  variables: Record<string, string>,
): KubernetesObject {
  const { template } = running.spec as unknown as NonNullable<Plain<V1Deployment>["spec"]>
  const env = Object.entries(variables).map(([name, value]) => ({ name, value }))
  const containers = template.spec?.containers.map((container) => ({ ...container, image, env }))
  const changed = { ...template, spec: { ...template.spec, containers } }
  return { ...running, spec: { ...running.spec, template: changed } }
}

/** Deletes all pods, and waits until they are gone: the next peer uses the same names. */
export async function remove(admin: KubernetesApi): Promise<void> {
  await admin.delete(namespaceObject)
  for (let left = clusterLimit; await admin.read(namespaceObject); left--) {
    if (left === 0) throw new Error(`the namespace ${namespace} is not gone after ${clusterLimit} s`)
    await monotonic.pause(1000)
  }
}

/** The state of a peer's rollout, and whether it has ended. */
export type PeerState = Omit<PhaseChange, "at"> & { over: boolean }

/**
 * Watches a rollout until its end.
 *
 * @param every milliseconds between two reads
 * @param limit milliseconds that it may take
 * @throws Error with its state if it has not ended by then
 */
export async function watch(
  state: () => Promise<PeerState>,
  every = interval,
  limit = rolloutLimit * 1000,
): Promise<PhaseChange[]> {
  const changes: PhaseChange[] = []
  for (const began = monotonic.now(); ;) {
    const { over, ...seen } = await state()
    appendChange(changes, seen)
    if (over) return changes
    if (monotonic.now() - began >= limit) {
      throw new Error(`not over after ${limit / 1000} s: ${seen.phase}, ${seen.weight} % of requests`)
    }
    await monotonic.pause(every)
  }
}

/**
 * Waits until a condition of the cluster holds.
 *
 * @param what the condition, for the error
 * @throws Error if it does not hold in time
 */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let left = (clusterLimit * 1000) / interval; !(await holds()); left--) {
    if (left <= 0) throw new Error(`${what}: not within ${clusterLimit} s`)
    await monotonic.pause(interval)
  }
}

/** Whether a Deployment exists and all its pods are available. */
export async function isRunning(admin: KubernetesApi, deployment: KubernetesObject): Promise<boolean> {
  const live = await admin.read(deployment)
  return live !== undefined && isComplete(live)
}

/** The fields of a Deployment that tell whether its rollout has ended. */
export interface DeploymentState {
  metadata?: { generation?: number }
  spec?: { replicas?: number }
  status?: Plain<V1Deployment>["status"]
}

/** Whether all pods are new and available. */
export function isComplete({ metadata, spec, status }: DeploymentState): boolean {
  const { observedGeneration, replicas, updatedReplicas, availableReplicas } = status ?? {}
  return (
    observedGeneration === metadata?.generation &&
    [replicas, updatedReplicas, availableReplicas].every((count) => count === spec?.replicas)
  )
}
