import type { V1Deployment, V1Pod, V2HorizontalPodAutoscaler } from "@kubernetes/client-node"
import { annotations, labels, objectNames, type PodRole } from "../manifests/labels.js"
import { baselineObjects, withOwner, withRevisionOwner } from "../manifests/objects.js"
import type { Plain } from "../../clients/kubernetes/manifest.js"
import type { Schema } from "../../platform/schema.js"
import { ApiError, type KubernetesApi, type KubernetesObject } from "../../clients/kubernetes/client.js"

type Deployment = Plain<V1Deployment>
type Autoscaler = Plain<V2HorizontalPodAutoscaler>
export type Pod = Plain<V1Pod>

/** A revision of a service that the cluster keeps. */
export interface Revision {
  number: number
  image: string
  digest: string
  version: string
  /** What it was made from, secrets aside: equal fingerprints are equal revisions. */
  fingerprint: string
  /** Whether it was proven; none while its rollout is under way. */
  outcome?: "promoted" | "aborted"
  createdAt: string
  wanted: number
  /** Pods that have been ready for long enough. */
  ready: number
  schema?: Schema
  /** The Secrets that its image is pulled with. */
  pullSecrets: string[]
}

/** How far a revision has come. */
export interface Readiness {
  wanted: number
  /** Pods that have been ready for long enough. */
  ready: number
  /** Pods that take requests at this moment. */
  serving: number
  /** Why a pod of it will never be ready. */
  failure?: string
  /** Why a pod of it has no node. */
  pending?: string
}

/** Never changed once they are there: what they hold is part of the revision. */
const immutable = ["ConfigMap", "Secret"]
/** They belong to the service and outlive every revision. */
const shared = ["ServiceAccount", "NetworkPolicy"]

/** The revisions of a service: each a Deployment with what belongs to it. */
export class Revisions {
  constructor(
    private readonly cluster: KubernetesApi,
    readonly namespace: string,
    readonly service: string,
  ) {}

  /** All that the cluster keeps, newest first. */
  async all(): Promise<Revision[]> {
    return this.list("revision")
  }

  /** The fresh baselines that there are, each as what runs there, under the number of the revision that is judged against it. */
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
   * Puts a revision's objects into the cluster; what is there already stays, and so does the number of its pods. What belongs to it goes with its Deployment when
   * that is deleted.
   *
   * @throws Error when the revision is there with other contents
   */
  async ensure(objects: KubernetesObject[], fingerprint: string): Promise<void> {
    const deployment = objects.find(({ kind }) => kind === "Deployment")
    if (deployment?.metadata?.labels?.[labels.revision] === undefined) {
      throw new Error("a revision without a Deployment")
    }
    const { metadata } = deployment
    const live = await this.cluster.read(deployment)
    const known = live?.metadata?.annotations?.[annotations.fingerprint]
    if (live && known !== fingerprint) {
      throw new Error(`Deployment ${metadata.name ?? ""} is there with other contents`)
    }
    const marks = { ...metadata.annotations, [annotations.fingerprint]: fingerprint }
    const marked = { ...deployment, metadata: { ...metadata, annotations: marks } }
    const common = objects.filter(({ kind = "" }) => shared.includes(kind))
    await Promise.all(common.map((thing) => this.cluster.apply(thing)))
    // Without pods at first: what they mount is to be there before them, and is to belong to the Deployment.
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
      if (!sameData(thing, live)) throw new Error(`${name} is there with other contents`, { cause: error })
      const owner = (object: KubernetesObject | undefined) => object?.metadata?.ownerReferences?.[0]?.uid
      if (owner(live) !== owner(thing)) {
        // Made anew under a number that was free again: the cluster is about to collect it.
        throw new Error(`${name} belongs to a Deployment that is gone: try again in a minute`, {
          cause: error,
        })
      }
    }
  }

  /** Whether an object of the cluster holds these very data. Nothing of them is shown. */
  async holdsData(thing: KubernetesObject & { stringData?: Record<string, string> }): Promise<boolean> {
    return sameData(thing, await this.cluster.read(thing))
  }

  /**
   * Sees to it that a revision's fresh baseline is there, with at least so many pods. It is made of the stable revision as the cluster has it, and goes with the
   * revision that is judged against it. Where one of the two is gone there is none, which {@link readiness} says.
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

  /** Takes every fresh baseline away, whoever left it. */
  async removeBaselines(): Promise<void> {
    const left = await this.baselines()
    await Promise.all(left.map(({ number }) => this.cluster.delete(this.deployment(number, "baseline"))))
  }

  async scale(number: number, replicas: number, whose: PodRole = "revision"): Promise<void> {
    await this.cluster.merge(this.deployment(number, whose), { spec: { replicas } })
  }

  /**
   * Sees to it that a revision has at least so many pods, and that its autoscaler takes none of them away before {@link releaseReplicas}: a revision that is about to get
   * traffic, or to get it back, has nothing to do yet.
   *
   * @returns how many: no more than its autoscaler may make, and no fewer than it would
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

  /** Gives a revision's autoscaler its own least number back. */
  async releaseReplicas(number: number): Promise<void> {
    const autoscaler = await this.cluster.read(this.autoscaler(number))
    const least = autoscaler?.metadata?.annotations?.[annotations.least]
    if (least === undefined) return
    await this.cluster.merge(this.autoscaler(number), {
      metadata: { annotations: { [annotations.least]: null } },
      spec: { minReplicas: Number(least) },
    })
  }

  /** Says on the revision itself what came of it. */
  async recordOutcome(number: number, outcome: "promoted" | "aborted"): Promise<void> {
    await this.cluster.merge(this.deployment(number), {
      metadata: { annotations: { [annotations.outcome]: outcome } },
    })
  }

  async remove(number: number): Promise<void> {
    await this.cluster.delete(this.deployment(number))
  }

  /** The pods of a revision that are neither on their way out nor over, as an evicted one is. */
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
    const trouble = pods.map(troubleOf).find((found) => found !== undefined)
    if (!trouble) {
      const waiting = pods.map(unscheduled).find((found) => found !== undefined)
      return { wanted, ready, serving, ...(waiting !== undefined && { pending: waiting }) }
    }
    const said = trouble.crashed ? await this.lastWords(trouble.pod) : ""
    return { wanted, ready, serving, failure: `${trouble.pod}: ${trouble.reason}${said}` }
  }

  private async lastWords(pod: string): Promise<string> {
    try {
      return `; it said:\n${(await this.cluster.logs(this.namespace, pod, { previous: true })).trim()}`
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
  const marks = metadata?.annotations ?? {}
  const outcome = marks[annotations.outcome]
  const head = marks[annotations.schemaHead]
  return {
    number: Number(metadata?.labels?.[labels[whose]]),
    image: spec?.template.spec?.containers[0]?.image ?? "",
    digest: marks[annotations.digest] ?? "",
    version: metadata?.labels?.[labels.version] ?? "",
    fingerprint: marks[annotations.fingerprint] ?? "",
    ...(outcome === "promoted" || outcome === "aborted" ? { outcome } : {}),
    createdAt: String(metadata?.creationTimestamp ?? ""),
    pullSecrets: (spec?.template.spec?.imagePullSecrets ?? []).flatMap(({ name }) => name ?? []),
    wanted: spec?.replicas ?? 0,
    // Available pods have been ready for a while; a count of an older generation says nothing of this one.
    ready: status?.observedGeneration === metadata?.generation ? (status?.availableReplicas ?? 0) : 0,
    ...(head !== undefined && {
      schema: { head, breaking: (marks[annotations.schemaBreaking] ?? "").split(",").filter(Boolean) },
    }),
  }
}

const hopeless = [
  "ImagePullBackOff",
  "InvalidImageName",
  "CreateContainerConfigError",
  "CreateContainerError",
  "RunContainerError",
]
/** A container that ends this often while it starts will not come up. */
const restarts = 2

/** Why a pod will not become ready, whatever one waits. */
function troubleOf({ metadata, status }: Pod): { pod: string; reason: string; crashed: boolean } | undefined {
  const pod = metadata?.name ?? ""
  for (const container of status?.containerStatuses ?? []) {
    const waiting = container.state?.waiting
    if (waiting?.reason !== undefined && hopeless.includes(waiting.reason)) {
      return { pod, reason: `${waiting.reason}: ${waiting.message ?? "no more is said"}`, crashed: false }
    }
    if (container.restartCount >= restarts && !container.ready) {
      const { exitCode, reason } = container.lastState?.terminated ?? {}
      const how =
        reason === "OOMKilled" ? "was killed for its memory" : `ended with exit code ${exitCode ?? "?"}`
      return { pod, reason: `it ${how}, ${container.restartCount} times`, crashed: true }
    }
  }
  return undefined
}

function unscheduled({ metadata, status }: Pod): string | undefined {
  const condition = status?.conditions?.find(({ type }) => type === "PodScheduled")
  return condition?.status === "False"
    ? `${metadata?.name ?? ""}: ${condition.message ?? "it has no node"}`
    : undefined
}

/** Whether a pod takes requests. */
export const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: holds }) => type === "Ready" && holds === "True") ?? false
