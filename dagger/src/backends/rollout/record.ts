import { z } from "zod"
import { strategies } from "../../delivery/strategy.js"
import { ApiError, type KubernetesApi, type KubernetesObject } from "../../clients/kubernetes/client.js"
import { baselineName, labels, revisionName } from "../manifests/labels.js"
import { type TrafficShare, type HttpRoute, routeObject } from "../manifests/objects.js"
import type { RolloutSettings } from "./configuration.js"
import { trafficSplit, isOver, phases, type Rollout } from "./rollout.js"

const schema = z.object({
  id: z.string(),
  service: z.string(),
  strategy: z.enum(strategies),
  kind: z.enum(["deploy", "rollback"]),
  revision: z.int(),
  stable: z.int().optional(),
  baseline: z.literal(true).optional(),
  digest: z.string(),
  phase: z.enum(phases),
  step: z.int(),
  since: z.number(),
  began: z.number(),
  by: z.string(),
  author: z.string(),
  reason: z.string(),
  message: z.string(),
  controller: z.string(),
}) satisfies z.ZodType<Rollout>

/** Another command has written since this one has read: what was decided from the old state must not be done. */
export class Superseded extends Error {
  override name = "Superseded"
}

/** Where a service's requests come in. */
export interface RouteSettings {
  namespace: string
  service: string
  port: number
  hostnames: string[]
  gateway: { name: string; namespace: string; section?: string }
}

const annotation = (name: string) => `pitwall.dev/${name}`
/** The annotation that holds all of a rollout. */
export const stateAnnotation = annotation("rollout")

/** A rollout as annotations; the single ones are for people and for `kubectl get`. */
export function toAnnotations(rollout: Rollout, settings: RolloutSettings): Record<string, string> {
  const shares = trafficSplit(rollout, settings).map(
    ({ revision, baseline, weight }) => `${revision}${baseline ? "-baseline" : ""}=${weight}%`,
  )
  return {
    [stateAnnotation]: JSON.stringify(rollout),
    [annotation("phase")]: rollout.phase,
    [annotation("traffic")]: shares.join(" "),
    [annotation("message")]: rollout.message,
  }
}

/** @throws Error when the annotation is not what this pipeline writes */
export function fromAnnotations(annotations: Record<string, string> | undefined): Rollout | undefined {
  const text = annotations?.[stateAnnotation]
  if (text === undefined) return undefined
  const fault = (why: string, cause?: unknown) =>
    new Error(
      `the annotation ${stateAnnotation} of the HTTPRoute cannot be read; take it away to begin anew with the traffic as it is: ${why}`,
      { cause },
    )
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch (error) {
    throw fault((error as Error).message, error)
  }
  const result = schema.safeParse(found)
  if (result.success) return result.data
  const faults = result.error.issues.map(({ path, message }) => [...path, message].join(": "))
  throw fault(faults.join("; "), result.error)
}

/** The revision that has all traffic while nothing is under way. */
export const settledRevision = (rollout: Rollout | undefined): number | undefined =>
  rollout?.phase === "promoted" ? rollout.revision : rollout && isOver(rollout) ? rollout.stable : undefined

/** How often a write is tried again because the router has written its status meanwhile. */
const patience = 10

/**
 * The state of a service's rollout: annotations of the HTTPRoute that holds its traffic. State and traffic are one object, written in one go, so they cannot
 * disagree, and of two commands that write at the same time one is refused.
 */
export class RolloutRecord {
  private version?: string
  private text?: string

  constructor(
    private readonly cluster: KubernetesApi,
    readonly routeSettings: RouteSettings,
    private readonly settings: RolloutSettings,
  ) {}

  /**
   * The rollout as it stands; none where there was never one. Traffic that goes to a revision without a word about how it got there is taken for promoted.
   *
   * @throws Error when the HTTPRoute is not what this pipeline writes
   */
  async read(): Promise<Rollout | undefined> {
    const live = await this.cluster.read(this.route([]))
    this.remember(live)
    return fromAnnotations(live?.metadata?.annotations) ?? (live && (await this.adopt(live as HttpRoute)))
  }

  /** @throws Superseded when the record is no longer what was read */
  async write(rollout: Rollout): Promise<void> {
    const route = this.route(trafficSplit(rollout, this.settings))
    const annotations = toAnnotations(rollout, this.settings)
    const metadata = { ...route.metadata, annotations }
    for (let tried = 0; ; tried++) {
      try {
        const written =
          this.version === undefined
            ? await this.cluster.create({ ...route, metadata })
            : await this.cluster.merge(this.route([]), {
                metadata: { annotations, labels: metadata.labels, resourceVersion: this.version },
                spec: route.spec,
              })
        this.remember(written)
        return
      } catch (error) {
        if (!(error instanceof ApiError && [404, 409].includes(error.status))) throw error
        // A status that the router has written makes a new version, but not a new state.
        const { text } = this
        const live = await this.cluster.read(this.route([]))
        if (!live || tried === patience || live.metadata?.annotations?.[stateAnnotation] !== text) {
          const why = `the rollout of ${rollout.service} was changed by another command`
          throw new Superseded(why, { cause: error })
        }
        this.remember(live)
      }
    }
  }

  /** A state and its traffic as a merge patch, for somebody else to write. */
  patchOf(rollout: Rollout): object {
    const { spec } = this.route(trafficSplit(rollout, this.settings))
    return { metadata: { annotations: toAnnotations(rollout, this.settings) }, spec: { rules: spec.rules } }
  }

  private remember(live: KubernetesObject | undefined): void {
    const { version, text } = {
      version: live?.metadata?.resourceVersion,
      text: live?.metadata?.annotations?.[stateAnnotation],
    }
    if (version === undefined) delete this.version
    else this.version = version
    if (text === undefined) delete this.text
    else this.text = text
  }

  private async adopt({ metadata, spec }: HttpRoute): Promise<Rollout | undefined> {
    const { service } = this.routeSettings
    const targets = spec.rules.flatMap(({ backendRefs = [] }) => backendRefs)
    const numberOf = (name: string) => Number(/^\d+/.exec(name.slice(service.length + 1))?.[0])
    const isBaseline = ({ name }: { name: string }) => name === baselineName(service, numberOf(name))
    // What a baseline has was the stable revision's.
    const home = targets.some(isBaseline) ? await this.home() : undefined
    const shares = new Map<string, number>()
    for (const target of targets) {
      const name = isBaseline(target) ? (home ?? target.name) : target.name
      shares.set(name, (shares.get(name) ?? 0) + target.weight)
    }
    const [most] = [...shares].sort(([, one], [, other]) => other - one)
    if (!most) return undefined
    const [name] = most
    const revision = numberOf(name)
    if (name !== revisionName(service, revision)) {
      throw new Error(
        `the HTTPRoute ${metadata?.name ?? ""} sends requests to the Service ${name}, which is no revision of ${service}: let it send them to one, or delete it to begin with none`,
      )
    }
    const unknown = { id: "", digest: "", by: "", author: "", reason: "", controller: "" }
    const message = "traffic as it was found"
    const times = { since: 0, began: 0 }
    return {
      ...{ ...unknown, ...times, service, revision, message, step: 0 },
      ...{ strategy: "blue-green", kind: "deploy", phase: "promoted" },
    }
  }

  /** The preview address of the revision that the cluster's own clients go to: while traffic is shared, the stable one. */
  private async home(): Promise<string | undefined> {
    const { namespace, service } = this.routeSettings
    const live = await this.cluster.read({
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace, name: service },
    })
    const { selector } = (live?.spec ?? {}) as { selector?: Record<string, string> }
    const revision = selector?.[labels.revision]
    return revision === undefined ? undefined : revisionName(service, Number(revision))
  }

  private route(shares: TrafficShare[]): HttpRoute {
    return routeObject({ ...this.routeSettings, backends: shares })
  }
}
