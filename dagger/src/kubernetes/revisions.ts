import type { V1Deployment, V1Pod } from "@kubernetes/client-node"
import { ownedBy } from "../manifests/objects.js"
import { ApiError, type Kubernetes, type Thing } from "./client.js"

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
  made: string
  wanted: number
  ready: number
  schema?: { head: string; breaking: string[] }
}

const labels = {
  service: "app.kubernetes.io/name",
  revision: "pitwall.dev/revision",
}
export const annotations = {
  digest: "pitwall.dev/digest",
  fingerprint: "pitwall.dev/fingerprint",
  outcome: "pitwall.dev/outcome",
  schemaHead: "pitwall.dev/schema-head",
  schemaBreaking: "pitwall.dev/schema-breaking",
}

/** Never changed once they are there: what they hold is part of the revision. */
const immutable = ["ConfigMap", "Secret"]
/** They belong to the service and outlive every revision. */
const shared = ["ServiceAccount", "NetworkPolicy"]

/** The revisions of a service: each a Deployment with what belongs to it. */
export class Revisions {
  constructor(
    private readonly cluster: Kubernetes,
    readonly namespace: string,
    readonly service: string,
  ) {}

  /** All that the cluster keeps, newest first. */
  async all(): Promise<Revision[]> {
    const selector = `${labels.service}=${this.service},${labels.revision}`
    const things = await this.cluster.list("apps/v1", "Deployment", this.namespace, selector)
    return things.map((thing) => revisionOf(thing as V1Deployment)).sort((one, other) => other.number - one.number)
  }

  async find(number: number): Promise<Revision | undefined> {
    const thing = await this.cluster.read(this.deployment(number))
    return thing ? revisionOf(thing as V1Deployment) : undefined
  }

  /**
   * Puts a revision's objects into the cluster; what is there already stays. What belongs to it goes with its Deployment when that is deleted.
   *
   * @throws Error when the revision is there with other contents
   */
  async bringUp(objects: Thing[], fingerprint: string): Promise<void> {
    const deployment = objects.find(({ kind }) => kind === "Deployment") as V1Deployment | undefined
    const number = deployment?.metadata?.labels?.[labels.revision]
    if (!deployment || number === undefined) throw new Error("a revision without a Deployment")
    const marked = {
      ...deployment,
      metadata: {
        ...deployment.metadata,
        annotations: { ...deployment.metadata?.annotations, [annotations.fingerprint]: fingerprint },
      },
    } as V1Deployment & Thing
    await Promise.all(objects.filter(({ kind = "" }) => shared.includes(kind)).map((thing) => this.cluster.apply(thing)))
    // Without pods at first: what they mount is to be there before them, and is to belong to the Deployment.
    const live = await this.cluster.read(marked)
    const owner =
      live ?? (await this.cluster.apply({ ...marked, spec: { ...marked.spec, replicas: 0 } } as unknown as Thing))
    const { name = "", uid = "" } = owner.metadata ?? {}
    const rest = objects.filter(({ kind = "" }) => kind !== "Deployment" && !shared.includes(kind))
    await Promise.all(ownedBy(rest, { name, uid }).map((thing) => this.ensure(thing as Thing)))
    await this.cluster.apply(marked)
  }

  private async ensure(thing: Thing): Promise<void> {
    if (!immutable.includes(thing.kind ?? "")) {
      await this.cluster.apply(thing)
      return
    }
    try {
      await this.cluster.create(thing)
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 409)) throw error
      if (!(await this.same(thing))) {
        throw new Error(`${thing.kind ?? ""} ${thing.metadata?.name ?? ""} is there with other contents`, { cause: error })
      }
    }
  }

  /** Whether an object of the cluster holds these very data. Nothing of them is shown. */
  async same(thing: Thing & { stringData?: Record<string, string> }): Promise<boolean> {
    const live = await this.cluster.read(thing)
    const encoded = Object.entries(thing.stringData ?? {}).map(([name, text]) => [
      name,
      Buffer.from(text).toString("base64"),
    ])
    const wanted = { ...thing.data, ...(Object.fromEntries(encoded) as Record<string, string>) }
    const found = live?.data ?? {}
    const names = new Set([...Object.keys(wanted), ...Object.keys(found)])
    return live !== undefined && [...names].every((name) => wanted[name] === found[name])
  }

  async scale(number: number, replicas: number): Promise<void> {
    await this.cluster.merge(this.deployment(number), { spec: { replicas } })
  }

  /** Says on the revision itself what came of it. */
  async mark(number: number, outcome: "promoted" | "aborted"): Promise<void> {
    await this.cluster.merge(this.deployment(number), { metadata: { annotations: { [annotations.outcome]: outcome } } })
  }

  async remove(number: number): Promise<void> {
    await this.cluster.delete(this.deployment(number))
  }

  /** The pods of a revision that are not on their way out. */
  async pods(number: number): Promise<V1Pod[]> {
    const selector = `${labels.service}=${this.service},${labels.revision}=${number}`
    const pods = (await this.cluster.list("v1", "Pod", this.namespace, selector)) as V1Pod[]
    return pods.filter(({ metadata }) => metadata?.deletionTimestamp === undefined)
  }

  /** How far a revision has come. */
  async readiness(number: number): Promise<{ wanted: number; ready: number; broken?: string; waiting?: string }> {
    const revision = await this.find(number)
    if (!revision) return { wanted: 1, ready: 0, broken: `the Deployment of revision ${number} is gone` }
    const { wanted, ready } = revision
    if (ready >= wanted) return { wanted, ready }
    const pods = await this.pods(number)
    const trouble = pods.map(troubleOf).find((found) => found !== undefined)
    if (!trouble) {
      const waiting = pods.map(unscheduled).find((found) => found !== undefined)
      return { wanted, ready, ...(waiting !== undefined && { waiting }) }
    }
    const said = trouble.crashed ? await this.lastWords(trouble.pod) : ""
    return { wanted, ready, broken: `${trouble.pod}: ${trouble.reason}${said}` }
  }

  private async lastWords(pod: string): Promise<string> {
    try {
      return `; it said:\n${(await this.cluster.logs(this.namespace, pod, { previous: true })).trim()}`
    } catch (error) {
      return `; its log cannot be read: ${(error as Error).message}`
    }
  }

  private deployment(number: number): Thing {
    return {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { namespace: this.namespace, name: `${this.service}-${number}` },
    }
  }
}

function revisionOf({ metadata, spec, status }: V1Deployment): Revision {
  const marks = metadata?.annotations ?? {}
  const outcome = marks[annotations.outcome]
  const head = marks[annotations.schemaHead]
  return {
    number: Number(metadata?.labels?.[labels.revision]),
    image: spec?.template.spec?.containers[0]?.image ?? "",
    digest: marks[annotations.digest] ?? "",
    version: metadata?.labels?.["app.kubernetes.io/version"] ?? "",
    fingerprint: marks[annotations.fingerprint] ?? "",
    ...(outcome === "promoted" || outcome === "aborted" ? { outcome } : {}),
    made: String(metadata?.creationTimestamp ?? ""),
    wanted: spec?.replicas ?? 0,
    // Available pods have been ready for a while; a count of an older generation says nothing of this one.
    ready: status?.observedGeneration === metadata?.generation ? (status?.availableReplicas ?? 0) : 0,
    ...(head !== undefined && {
      schema: { head, breaking: (marks[annotations.schemaBreaking] ?? "").split(",").filter(Boolean) },
    }),
  }
}

const hopeless = ["ImagePullBackOff", "InvalidImageName", "CreateContainerError", "RunContainerError"]
/** A container that ends this often while it starts will not come up. */
const restarts = 2

/** Why a pod will not become ready, whatever one waits. */
function troubleOf({ metadata, status }: V1Pod): { pod: string; reason: string; crashed: boolean } | undefined {
  const pod = metadata?.name ?? ""
  for (const container of status?.containerStatuses ?? []) {
    const { waiting } = container.state ?? {}
    if (waiting?.reason !== undefined && hopeless.includes(waiting.reason)) {
      return { pod, reason: `${waiting.reason}: ${waiting.message ?? "no more is said"}`, crashed: false }
    }
    if (container.restartCount >= restarts && container.ready !== true) {
      const { exitCode, reason } = container.lastState?.terminated ?? {}
      const how = reason === "OOMKilled" ? "was killed for its memory" : `ended with exit code ${exitCode ?? "?"}`
      return { pod, reason: `it ${how}, ${container.restartCount} times`, crashed: true }
    }
  }
  return undefined
}

function unscheduled({ metadata, status }: V1Pod): string | undefined {
  const condition = status?.conditions?.find(({ type }) => type === "PodScheduled")
  return condition?.status === "False" ? `${metadata?.name ?? ""}: ${condition.message ?? "it has no node"}` : undefined
}

/** Whether a pod takes requests. */
export const isReady = ({ status }: V1Pod): boolean =>
  status?.conditions?.some(({ type, status: holds }) => type === "Ready" && holds === "True") ?? false
