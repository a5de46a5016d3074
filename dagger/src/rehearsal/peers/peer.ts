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
import { appendChange, type RolloutSnapshot } from "../measurements/snapshot.js"

/** Something else that brings an image to all traffic: the same pods, behind the same router. */
export interface Peer {
  /** By what its pods that have traffic are found. */
  readonly service: string
  /** What has the image: another one there is a rollout. */
  readonly running: KubernetesObject
  state(): Promise<State>
}

/** What a peer works on. */
export interface Ground {
  /** All rights on the cluster. */
  admin: KubernetesApi
  environment: Environment
  placement: BackendSettings
  analysis: AnalysisSettings
  /** Of the revision that has all traffic at first. */
  image: string
  secrets: Record<string, string>
  /** Puts an image where pods get it; gives back what they name. */
  publish: (image: Container, repository: string) => Promise<string>
}

/** Where its pods are, the host that their requests are for, and the number by which they are found. */
export const namespace = "peer"
export const host = "peer.example.com"
export const revision = 1
const home: KubernetesObject = { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } }

/** Seconds that pods have to end, and that something of the cluster has to come up. */
const patience = 120
/** Seconds that a rollout may take. */
const longest = 900
/** Milliseconds between two looks. */
const look = 300

/** Makes all that the pods need, and gives back the Deployment that is to run them. */
export async function furnish(ground: Ground): Promise<Plain<V1Deployment>> {
  const { admin, environment, image, secrets } = ground
  const { service, workload, variables: config } = ground.placement
  const digest = digestOf(image)
  const objects = revisionObjects(workload, {
    ...{ namespace, service, revision, image, digest, config, secrets },
    ...{ environment: environment.name, version: "peer" },
    progressDeadline: environment.rollout.progressDeadline,
  })
  const deployment = objects.find(({ kind }) => kind === "Deployment")
  if (!deployment) throw new Error(`${service} has no Deployment`)
  await admin.apply(home)
  // Each of them scales in its own way.
  const own = ["Deployment", "HorizontalPodAutoscaler"]
  for (const object of objects) if (!own.includes(object.kind ?? "")) await admin.apply(object)
  return deployment
}

/** Changes the image and waits for what comes of it; what was seen meanwhile. */
export async function change(
  admin: KubernetesApi,
  peer: Peer,
  image: string,
  variables: Record<string, string>,
): Promise<RolloutSnapshot[]> {
  await admin.apply(candidate(peer.running, image, variables))
  return watch(() => peer.state())
}

/** The same pods of another image. */
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

/** Returns when it is gone: the next one has the same names. */
export async function remove(admin: KubernetesApi): Promise<void> {
  await admin.delete(home)
  for (let left = patience; await admin.read(home); left--) {
    if (left === 0) throw new Error(`the namespace ${namespace} is not gone after ${patience} s`)
    await monotonic.pause(1000)
  }
}

/** How a peer's rollout stands, and whether it is at its end. */
export type State = Omit<RolloutSnapshot, "at"> & { over: boolean }

/**
 * Looks at a rollout until it is at its end.
 *
 * @param every milliseconds between two looks
 * @param limit milliseconds that it may take
 * @throws Error with how far it has come, when it is not at its end by then
 */
export async function watch(
  state: () => Promise<State>,
  every = look,
  limit = longest * 1000,
): Promise<RolloutSnapshot[]> {
  const snapshots: RolloutSnapshot[] = []
  for (const began = monotonic.now(); ;) {
    const { over, ...seen } = await state()
    appendChange(snapshots, seen)
    if (over) return snapshots
    if (monotonic.now() - began >= limit) {
      throw new Error(`not over after ${limit / 1000} s: ${seen.phase}, ${seen.weight} % of requests`)
    }
    await monotonic.pause(every)
  }
}

/**
 * Waits for something of the cluster.
 *
 * @throws Error with what is awaited, when it has not come in time
 */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let left = (patience * 1000) / look; !(await holds()); left--) {
    if (left <= 0) throw new Error(`${what}: not within ${patience} s`)
    await monotonic.pause(look)
  }
}

/** Whether a Deployment is there, with all its pods. */
export async function isRunning(admin: KubernetesApi, deployment: KubernetesObject): Promise<boolean> {
  const live = await admin.read(deployment)
  return live !== undefined && isComplete(live)
}

/** A Deployment, as far as it says whether it is at its end. */
export interface Deployed {
  metadata?: { generation?: number }
  spec?: { replicas?: number }
  status?: Plain<V1Deployment>["status"]
}

/** All pods are new and available. */
export function isComplete({ metadata, spec, status }: Deployed): boolean {
  const { observedGeneration, replicas, updatedReplicas, availableReplicas } = status ?? {}
  return (
    observedGeneration === metadata?.generation &&
    [replicas, updatedReplicas, availableReplicas].every((count) => count === spec?.replicas)
  )
}
