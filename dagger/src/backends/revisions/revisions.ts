import type { V1Deployment, V1Pod, V2HorizontalPodAutoscaler } from "@kubernetes/client-node"
import { annotations, labels, objectNames, type PodRole } from "../manifests/labels.js"
import { baselineObjects, withOwner, withRevisionOwner } from "../manifests/objects.js"
import type { Plain } from "../../clients/kubernetes/manifest.js"
import { podLog } from "../../clients/kubernetes/pod-log.js"
import type { Schema } from "../../platform/schema.js"
import { tail } from "../../lib/text.js"
import { ApiError, type KubernetesApi, type KubernetesObject } from "../../clients/kubernetes/client.js"

type Deployment = Plain<V1Deployment>
type Autoscaler = Plain<V2HorizontalPodAutoscaler>
export type Pod = Plain<V1Pod>

/** A revision of a service in the cluster. */
export interface Revision {
  number: number
  image: string
  digest: string
  /** The commit that the image was built from, where the release named it. */
  commit?: string
  version: string
  /** Equal fingerprints are equal revisions, but for the values of secrets. */
  fingerprint: string
  /** Whether it was proven; none while its rollout is under way. */
  outcome?: "promoted" | "aborted"
  /** The revision that it replaced when it was promoted. */
  replaced?: number | "none"
  createdAt: string
  wanted: number
  /** Pods that have been ready for long enough. */
  ready: number
  /** Why the API server refuses its pods. */
  rejected?: string
  schema?: Schema
  /** The ConfigMap with its variables. */
  configMap: string
  /** The Secrets that its image is pulled with. */
  pullSecrets: string[]
}

/** How many pods of a revision work, and why others do not. */
export interface Readiness {
  wanted: number
  /** Pods that have been ready for long enough. */
  ready: number
  /** Pods that take requests now. */
  serving: number
  /** Why one of its pods will never be ready. */
  failure?: string
  /** Why one of its pods is not ready yet: it has no node, no image, or a quota refuses it. */
  pending?: string
}

/** Kinds that never change: their contents are part of the revision. */
const immutable = ["ConfigMap", "Secret"]
/** Kinds that belong to the service and outlive every revision. */
const shared = ["ServiceAccount", "NetworkPolicy"]

/** The revisions of a service: each is a Deployment with the objects that it owns. */
export class Revisions {
  constructor(
    private readonly cluster: KubernetesApi,
    readonly namespace: string,
    readonly service: string,
  ) {}

  /** Every revision in the cluster, newest first. */
  async all(): Promise<Revision[]> {
    return this.list("revision")
  }

  /** The fresh baselines in the cluster, under the numbers of the revisions that are compared with them. */
  async baselines(): Promise<Revision[]> {
    return this.list("baseline")
  }

  private async list(whose: PodRole): Promise<Revision[]> {
    const selector = `${labels.service}=${this.service},${labels[whose]}`
    const things = await this.cluster.list("apps/v1", "Deployment", this.namespace, selector)
    return things.map((thing) => revisionOf(thing, whose)).sort((one, other) => other.number - one.number)
  }

  async find(number: number, whose: PodRole = "revision"): Promise<Revision | undefined> {
    const thing = await this.cluster.read(this.deployment(number, whose))
    return thing ? revisionOf(thing, whose) : undefined
  }

  /**
   * Creates a revision's objects. Existing ones stay, and so does the number of pods. The Deployment owns the others, so that they are deleted with it.
   *
   * @throws Error when the revision exists with other contents
   */
  async ensure(objects: KubernetesObject[], fingerprint: string): Promise<void> {
    const deployment = objects.find(({ kind }) => kind === "Deployment")
    if (deployment?.metadata?.labels?.[labels.revision] === undefined) {
      throw new Error("a revision needs a Deployment")
    }
    const { metadata } = deployment
    const live = await this.cluster.read(deployment)
    const known = live?.metadata?.annotations?.[annotations.fingerprint]
    if (live && known !== fingerprint) {
      throw new Error(`Deployment ${metadata.name ?? ""} exists with other contents`)
    }
    const noted = { ...metadata.annotations, [annotations.fingerprint]: fingerprint }
    const marked = { ...deployment, metadata: { ...metadata, annotations: noted } }
    const common = objects.filter(({ kind = "" }) => shared.includes(kind))
    await Promise.all(common.map((thing) => this.cluster.apply(thing)))
    // No pods yet: what they mount must exist before them, and needs the Deployment as its owner.
    const owner = live ?? (await this.cluster.apply(withReplicas(marked, 0)))
    const rest = objects.filter(({ kind = "" }) => kind !== "Deployment" && !shared.includes(kind))
    await Promise.all(withRevisionOwner(rest, ownerOf(owner)).map((thing) => this.ensureObject(thing)))
    const present = live ? revisionOf(live, "revision").wanted : 0
    await this.cluster.apply(present > 0 ? withReplicas(marked, present) : marked)
  }

  private async ensureObject(thing: KubernetesObject): Promise<void> {
    if (!immutable.includes(thing.kind ?? "")) {
      await this.cluster.apply(thing)
      return
    }
    try {
      await this.cluster.create(thing)
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 409)) throw error
      const name = `${thing.kind ?? ""} ${thing.metadata?.name ?? ""}`
      const live = await this.cluster.read(thing)
      if (!sameData(thing, live)) throw new Error(`${name} exists with other contents`, { cause: error })
      const owner = (object: KubernetesObject | undefined) => object?.metadata?.ownerReferences?.[0]?.uid
      if (owner(live) !== owner(thing)) {
        // It belongs to a deleted Deployment of the same name, and is about to be garbage-collected.
        throw new Error(`${name} belongs to a Deployment that is gone: try again in a minute`, {
          cause: error,
        })
      }
    }
  }

  /** Whether the object in the cluster holds the same data. Does not show them. */
  async holdsData(thing: KubernetesObject & { stringData?: Record<string, string> }): Promise<boolean> {
    return sameData(thing, await this.cluster.read(thing))
  }

  /**
   * Creates a revision's fresh baseline if there is none, and scales it up to this number of pods. It is a copy of the stable revision, and is deleted with the
   * revision that is compared with it. Without one of the two it does nothing, and {@link readiness} reports that.
   */
  async ensureBaseline(
    number: number,
    of: { stable: number; replicas: number; port: number },
  ): Promise<void> {
    const { namespace, service } = this
    const [candidate, stable, live] = await Promise.all([
      this.cluster.read(this.deployment(number)),
      this.cluster.read(this.deployment(of.stable)),
      this.cluster.read(this.deployment(number, "baseline")),
    ])
    if (!candidate || !stable) return
    const baseline = { namespace, service, revision: number, port: of.port, replicas: of.replicas }
    const [deployment, address] = baselineObjects(stable as Deployment, baseline)
    const made = live ?? (await this.cluster.apply(withOwner(deployment, ownerOf(candidate))))
    await this.cluster.apply(withOwner(address, ownerOf(made)))
    if (revisionOf(made, "baseline").wanted < of.replicas) await this.scale(number, of.replicas, "baseline")
  }

  /** Deletes every fresh baseline. */
  async removeBaselines(): Promise<void> {
    const left = await this.baselines()
    await Promise.all(left.map(({ number }) => this.cluster.delete(this.deployment(number, "baseline"))))
  }

  async scale(number: number, replicas: number, whose: PodRole = "revision"): Promise<void> {
    await this.cluster.merge(this.deployment(number, whose), { spec: { replicas } })
  }

  /**
   * Gives a revision at least this number of pods, and keeps its autoscaler from removing any before {@link releaseReplicas}. The autoscaler would remove idle
   * pods of a revision that is about to get traffic.
   *
   * @returns the number of pods, within the limits of the autoscaler
   */
  async holdReplicas(number: number, replicas: number): Promise<number> {
    const [revision, found] = await Promise.all([
      this.find(number),
      this.cluster.read(this.autoscaler(number)),
    ])
    if (!revision) return replicas
    const autoscaler = found as Autoscaler | undefined
    const { minReplicas = 1, maxReplicas = Infinity } = autoscaler?.spec ?? {}
    const least = Number(autoscaler?.metadata?.annotations?.[annotations.least] ?? minReplicas)
    const held = Math.min(Math.max(replicas, least), maxReplicas)
    if (autoscaler && held > minReplicas) {
      await this.cluster.merge(this.autoscaler(number), {
        metadata: { annotations: { [annotations.least]: String(least) } },
        spec: { minReplicas: held },
      })
    }
    if (revision.wanted < held) await this.scale(number, held)
    return held
  }

  /** Gives the autoscaler its own minimum back. */
  async releaseReplicas(number: number): Promise<void> {
    const autoscaler = await this.cluster.read(this.autoscaler(number))
    const least = autoscaler?.metadata?.annotations?.[annotations.least]
    if (least === undefined) return
    await this.cluster.merge(this.autoscaler(number), {
      metadata: { annotations: { [annotations.least]: null } },
      spec: { minReplicas: Number(least) },
    })
  }

  /**
   * Notes the outcome of its rollout on a revision.
   *
   * @param replaced the revision that had all traffic before; without it, what was noted before stays
   */
  async recordOutcome(
    number: number,
    outcome: "promoted" | "aborted",
    replaced?: number | "none",
  ): Promise<void> {
    await this.cluster.merge(this.deployment(number), {
      metadata: {
        annotations: {
          [annotations.outcome]: outcome,
          ...(replaced !== undefined && { [annotations.replaced]: String(replaced) }),
        },
      },
    })
  }

  async remove(number: number): Promise<void> {
    await this.cluster.delete(this.deployment(number))
  }

  /** The pods of a revision, without those that terminate or have ended, such as evicted ones. */
  async pods(number: number, whose: PodRole = "revision"): Promise<Pod[]> {
    const selector = `${labels.service}=${this.service},${labels[whose]}=${number}`
    const pods = (await this.cluster.list("v1", "Pod", this.namespace, selector)) as Pod[]
    return pods.filter(
      ({ metadata, status }) =>
        metadata?.deletionTimestamp === undefined && !["Failed", "Succeeded"].includes(status?.phase ?? ""),
    )
  }

  async readiness(number: number, whose: PodRole = "revision"): Promise<Readiness> {
    const found = await this.find(number, whose)
    if (!found) {
      const what = whose === "revision" ? `revision ${number}` : `revision ${number}'s baseline`
      return { wanted: 1, ready: 0, serving: 0, failure: `the Deployment of ${what} is gone` }
    }
    const { wanted, ready } = found
    if (ready >= wanted) return { wanted, ready, serving: ready }
    const pods = await this.pods(number, whose)
    const serving = pods.filter(isReady).length
    const failure = pods.map(failureOf).find((reason) => reason !== undefined)
    if (failure) {
      const log = failure.crashed ? await this.lastLines(failure) : ""
      return {
        wanted,
        ready,
        serving,
        failure: `${failure.pod.metadata?.name ?? ""}: ${failure.reason}${log}`,
      }
    }
    const pending = pods.map(pendingReason).find((reason) => reason !== undefined) ?? found.rejected
    return { wanted, ready, serving, ...(pending !== undefined && { pending }) }
  }

  private async lastLines({ pod, container }: { pod: Pod; container: string }): Promise<string> {
    try {
      const log = await podLog(this.cluster, pod, { container, previous: true })
      return `; its log ends with:\n${tail(log.trim(), 10, 150)}`
    } catch (error) {
      return `; its log cannot be read: ${(error as Error).message}`
    }
  }

  private deployment(number: number, whose: PodRole = "revision"): KubernetesObject {
    return { apiVersion: "apps/v1", kind: "Deployment", metadata: this.named(number, whose) }
  }

  private autoscaler(number: number): KubernetesObject {
    return { apiVersion: "autoscaling/v2", kind: "HorizontalPodAutoscaler", metadata: this.named(number) }
  }

  private named(number: number, whose: PodRole = "revision") {
    return { namespace: this.namespace, name: objectNames[whose](this.service, number) }
  }
}

const ownerOf = ({ metadata }: KubernetesObject) => ({ name: metadata?.name ?? "", uid: metadata?.uid ?? "" })

const withReplicas = (deployment: KubernetesObject, replicas: number): KubernetesObject => ({
  ...deployment,
  spec: { ...deployment.spec, replicas },
})

function sameData(
  thing: KubernetesObject & { stringData?: Record<string, string> },
  live: KubernetesObject | undefined,
): boolean {
  const encoded = Object.entries(thing.stringData ?? {}).map(([name, text]) => [
    name,
    Buffer.from(text).toString("base64"),
  ])
  const wanted = { ...thing.data, ...(Object.fromEntries(encoded) as Record<string, string>) }
  const found = live?.data ?? {}
  const names = new Set([...Object.keys(wanted), ...Object.keys(found)])
  return live !== undefined && [...names].every((name) => wanted[name] === found[name])
}

function revisionOf(thing: KubernetesObject, whose: PodRole): Revision {
  const { metadata, spec, status } = thing as Deployment
  const notes = metadata?.annotations ?? {}
  const outcome = notes[annotations.outcome]
  // Quotas and admission webhooks refuse pods; only the Deployment says so.
  const rejected = status?.conditions?.find(
    ({ type, status: holds }) => type === "ReplicaFailure" && holds === "True",
  )
  const head = notes[annotations.schemaHead]
  const commit = notes[annotations.commit]
  const replaced = notes[annotations.replaced]
  return {
    number: Number(metadata?.labels?.[labels[whose]]),
    image: spec?.template.spec?.containers[0]?.image ?? "",
    digest: notes[annotations.digest] ?? "",
    version: metadata?.labels?.[labels.version] ?? "",
    fingerprint: notes[annotations.fingerprint] ?? "",
    ...(outcome === "promoted" || outcome === "aborted" ? { outcome } : {}),
    ...(replaced !== undefined && { replaced: replaced === "none" ? replaced : Number(replaced) }),
    createdAt: String(metadata?.creationTimestamp ?? ""),
    ...(commit !== undefined && { commit }),
    ...(rejected?.message !== undefined && { rejected: rejected.message }),
    configMap: spec?.template.spec?.containers[0]?.envFrom?.[0]?.configMapRef?.name ?? "",
    pullSecrets: (spec?.template.spec?.imagePullSecrets ?? []).flatMap(({ name }) => name ?? []),
    wanted: spec?.replicas ?? 0,
    // Available pods have been ready for `minReady`. A count of an older generation does not count.
    ready: status?.observedGeneration === metadata?.generation ? (status?.availableReplicas ?? 0) : 0,
    ...(head !== undefined && {
      schema: { head, breaking: (notes[annotations.schemaBreaking] ?? "").split(",").filter(Boolean) },
    }),
  }
}

/**
 * A pod that waits for this never starts, however long one waits. Other reasons may pass: a registry may give the image at the next try, and a node may not have
 * read a Secret yet that was just made.
 */
const permanent = ["InvalidImageName"]
/** A container that ends this often while it starts will not come up. */
const maxRestarts = 2

/** Why a pod will never be ready. */
function failureOf(pod: Pod): { pod: Pod; container: string; reason: string; crashed: boolean } | undefined {
  for (const container of pod.status?.containerStatuses ?? []) {
    const at = { pod, container: container.name }
    const waiting = container.state?.waiting
    if (waiting?.reason !== undefined && permanent.includes(waiting.reason)) {
      return { ...at, reason: waitingText(waiting), crashed: false }
    }
    if (container.restartCount >= maxRestarts && !container.ready) {
      const { exitCode, reason } = container.lastState?.terminated ?? {}
      const how =
        reason === "OOMKilled" ? "was killed for its memory" : `ended with exit code ${exitCode ?? "?"}`
      return { ...at, reason: `it ${how}, ${container.restartCount} times`, crashed: true }
    }
  }
  return undefined
}

const waitingText = ({ reason = "", message }: { reason?: string; message?: string }) =>
  `${reason}: ${message ?? "no message"}`

/** What a pod waits for: a node, or an image that a registry may give at the next try. */
function pendingReason({ metadata, status }: Pod): string | undefined {
  const pod = metadata?.name ?? ""
  const unscheduled = status?.conditions?.find(({ type }) => type === "PodScheduled")
  if (unscheduled?.status === "False") return `${pod}: ${unscheduled.message ?? "it has no node"}`
  const usual = ["ContainerCreating", "PodInitializing"]
  for (const { state } of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]) {
    const reason = state?.waiting?.reason
    if (state?.waiting && reason !== undefined && !usual.includes(reason))
      return `${pod}: ${waitingText(state.waiting)}`
  }
  return undefined
}

/** Whether a pod takes requests. */
export const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: holds }) => type === "Ready" && holds === "True") ?? false
