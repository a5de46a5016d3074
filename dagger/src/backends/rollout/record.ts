import { isDeepStrictEqual } from "node:util"
import { z } from "zod"
import { ApiError, type KubernetesApi, type KubernetesObject } from "../../clients/kubernetes/client.js"
import { strategies } from "../../delivery/strategy.js"
import { clip, plain } from "../../lib/text.js"
import { baselineName, labels, revisionName } from "../manifests/labels.js"
import { type HttpRoute, routeObject, type RouteRule, type TrafficShare } from "../manifests/objects.js"
import type { RolloutSettings } from "./configuration.js"
import { isOver, phases, type Rollout, type RouteStatus, trafficSplit } from "./rollout.js"

const schema = z.object({
  id: z.string(),
  service: z.string(),
  strategy: z.enum(strategies),
  kind: z.enum(["deploy", "rollback"]),
  revision: z.int(),
  stable: z.int().optional(),
  baseline: z.literal(true).optional(),
  steps: z.array(z.object({ weight: z.number(), for: z.number() })).optional(),
  digest: z.string(),
  phase: z.enum(phases),
  step: z.int(),
  since: z.number(),
  began: z.number(),
  by: z.string(),
  author: z.string(),
  guards: z.string().optional(),
  reason: z.string(),
  message: z.string(),
  controller: z.string(),
}) satisfies z.ZodType<Rollout>

/** Another command has written since this one read: a decision made from the old state must not be carried out. */
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
/** The annotation that holds the whole state of a rollout. */
export const stateAnnotation = annotation("rollout")
/** The host names and parents that this pipeline wrote last. What else the route has is an operator's, and stays. */
const appliedAnnotation = annotation("applied")

/** An API server keeps 256 KiB of annotations for each object, and a command line of a pod 128 KiB. */
const textLimits = { message: 2000, reason: 1000, by: 300, author: 300 } as const
const shortMessage = 100

/** The rollout with texts of bounded length, so that no crash log or reason can make its state impossible to store. */
function bounded(rollout: Rollout): Rollout {
  const texts = Object.entries(textLimits).map(([name, limit]) => [
    name,
    clip(plain(rollout[name as keyof typeof textLimits]), limit),
  ])
  return { ...rollout, ...(Object.fromEntries(texts) as Pick<Rollout, keyof typeof textLimits>) }
}

/** The state of a rollout as annotations. All but the first are for people and for `kubectl get`. */
export function toAnnotations(rollout: Rollout, settings: RolloutSettings): Record<string, string> {
  const shares = trafficSplit(rollout, settings).map(
    ({ revision, baseline, weight }) => `${revision}${baseline ? "-baseline" : ""}=${weight}%`,
  )
  const state = bounded(rollout)
  return {
    [stateAnnotation]: JSON.stringify(state),
    [annotation("phase")]: state.phase,
    [annotation("traffic")]: shares.join(" "),
    [annotation("message")]: state.message,
  }
}

/** @throws Error when the annotation is not what this pipeline writes */
export function fromAnnotations(annotations: Record<string, string> | undefined): Rollout | undefined {
  const text = annotations?.[stateAnnotation]
  if (text === undefined) return undefined
  const fault = (why: string, cause?: unknown) =>
    new Error(
      `the annotation ${stateAnnotation} of the HTTPRoute cannot be read; remove it to begin anew with the traffic as it is: ${why}`,
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

/** The revision that has all traffic while no rollout is under way. */
export const settledRevision = (rollout: Rollout | undefined): number | undefined =>
  rollout?.phase === "promoted" ? rollout.revision : rollout && isOver(rollout) ? rollout.stable : undefined

/** Tries of one write. The router writes its status into the same object, so a write may meet a newer version. */
const maxTries = 10

/**
 * The state of a service's rollout, in annotations of the HTTPRoute that holds its traffic. State and traffic change in one write, so they cannot disagree, and
 * the API server refuses one of two commands that write at the same time.
 */
export class RolloutRecord {
  /** The HTTPRoute as it was read or written last. */
  private live: KubernetesObject | undefined

  constructor(
    private readonly cluster: KubernetesApi,
    readonly routeSettings: RouteSettings,
    private readonly settings: RolloutSettings,
  ) {}

  /**
   * Reads the rollout; there is none before the first deploy. Traffic without a state is taken for that of a promoted revision.
   *
   * @throws Error when the HTTPRoute is not what this pipeline writes
   */
  async read(): Promise<Rollout | undefined> {
    this.live = await this.cluster.read(this.route([]))
    return (
      fromAnnotations(this.live?.metadata?.annotations) ??
      (this.live && (await this.adopt(this.live as HttpRoute)))
    )
  }

  /**
   * Writes the state and its traffic.
   *
   * @throws Superseded when another command has changed the record since it was read
   */
  async write(rollout: Rollout): Promise<void> {
    let state = rollout
    for (let tried = 0; ; tried++) {
      const before = this.state
      try {
        this.live = await this.send(state)
        return
      } catch (error) {
        if (!(error instanceof ApiError)) throw error
        if ([413, 422].includes(error.status) && state.message.length > shortMessage) {
          // Other tools' annotations may leave little room. The traffic matters more than the message.
          state = { ...state, message: clip(state.message, shortMessage) }
          continue
        }
        if (![404, 409].includes(error.status)) throw error
        this.live = await this.cluster.read(this.route([]))
        // This command's own write: its answer was lost, and the repeated request met the new version.
        if (this.state !== undefined && this.state === toAnnotations(state, this.settings)[stateAnnotation])
          return
        // The router's status makes a new version, but no new state.
        if (!this.live || tried === maxTries || this.state !== before) {
          const why = `the rollout of ${rollout.service} was changed by another command`
          throw new Superseded(why, { cause: error })
        }
      }
    }
  }

  /** The state and its traffic as a merge patch that the watchdog can send. */
  patchOf(rollout: Rollout): object {
    return {
      metadata: { annotations: toAnnotations(rollout, this.settings) },
      spec: { rules: this.rules(rollout) },
    }
  }

  /** The shares of traffic that the HTTPRoute holds, in percent, whoever wrote them. Only after {@link read}. */
  traffic(): TrafficShare[] {
    const weights = new Map<string, number>()
    for (const { name, weight = 1 } of this.rulesOf().flatMap(({ backendRefs = [] }) => backendRefs)) {
      if (this.ownerOf(name)) weights.set(name, (weights.get(name) ?? 0) + weight)
    }
    const sum = [...weights.values()].reduce((total, weight) => total + weight, 0)
    return [...weights].flatMap(([name, weight]) => {
      const owner = this.ownerOf(name)
      return owner && weight > 0 ? [{ ...owner, weight: Math.round((1000 * weight) / sum) / 10 }] : []
    })
  }

  /** What the Gateway reports about the route as it was read or written last. */
  status(): RouteStatus {
    const generation = this.live?.metadata?.generation ?? 0
    const { parents = [] } = (this.live?.status ?? {}) as { parents?: ParentStatus[] }
    const { name, namespace } = this.routeSettings.gateway
    const title = `the Gateway ${namespace}/${name}`
    const ours = parents.filter(
      ({ parentRef }) =>
        parentRef === undefined ||
        (parentRef.name === name && (parentRef.namespace ?? this.routeSettings.namespace) === namespace),
    )
    const conditions = ours
      .flatMap((parent) => parent.conditions ?? [])
      .filter(({ observedGeneration = generation }) => observedGeneration >= generation)
    const refused = conditions.find(({ type, status }) =>
      type === partly ? status === "True" : required.includes(type) && status !== "True",
    )
    if (refused) {
      const { type, reason, message } = refused
      const why = [reason, message].filter(Boolean).join(": ")
      return {
        accepted: false,
        reason: `${title} reports ${type}=${refused.status} for the HTTPRoute: ${why}`,
      }
    }
    return conditions.some(({ type }) => type === "Accepted")
      ? { accepted: true, reason: "" }
      : { accepted: false, reason: `${title} has not reported that it accepts the HTTPRoute as it is now` }
  }

  private get state(): string | undefined {
    return this.live?.metadata?.annotations?.[stateAnnotation]
  }

  private async send(rollout: Rollout): Promise<KubernetesObject> {
    const route = this.route(trafficSplit(rollout, this.settings))
    const { hostnames, parentRefs } = route.spec
    const annotations = {
      ...toAnnotations(rollout, this.settings),
      [appliedAnnotation]: JSON.stringify({ hostnames, parentRefs }),
    }
    const metadata = { ...route.metadata, annotations }
    const { live } = this
    if (!live) return this.cluster.create({ ...route, metadata })
    const applied = appliedOf(live)
    const current = live.spec as Partial<HttpRoute["spec"]> | undefined
    return this.cluster.merge(this.route([]), {
      metadata: { annotations, labels: metadata.labels, resourceVersion: live.metadata?.resourceVersion },
      spec: {
        hostnames: withAdditions(hostnames, current?.hostnames, applied.hostnames),
        parentRefs: withAdditions(parentRefs, current?.parentRefs, applied.parentRefs),
        rules: this.rules(rollout),
      },
    })
  }

  /** The route's rules with these shares. Filters, timeouts, matches and whole rules that an operator added stay. */
  private rules(rollout: Rollout): RouteRule[] {
    const wanted = this.route(trafficSplit(rollout, this.settings)).spec.rules
    const [{ backendRefs = [], matches = [] } = {}] = wanted
    const isOurs = ({ backendRefs: refs = [] }: RouteRule) => refs.some(({ name }) => this.ownerOf(name))
    const live = this.rulesOf()
    // At a first deploy there is no backend yet, but there is a rule.
    const empty = live.filter((rule) => (rule.backendRefs ?? []).length === 0 && !redirects(rule))
    const ours = live.some(isOurs) ? live.filter(isOurs) : empty
    if (ours.length === 0) return [...live, ...wanted]
    return live.map((rule) => {
      if (!ours.includes(rule)) return rule
      const before = (name: string) => rule.backendRefs?.find((ref) => ref.name === name)
      return {
        ...rule,
        matches: matchesEverything(rule) ? matches : rule.matches,
        backendRefs: backendRefs.map((ref) => ({ ...before(ref.name), ...ref })),
      }
    })
  }

  private rulesOf(): RouteRule[] {
    return (this.live?.spec as { rules?: RouteRule[] } | undefined)?.rules ?? []
  }

  /** The revision or baseline of this service that a Service belongs to. */
  private ownerOf(name: string): Pick<TrafficShare, "revision" | "baseline"> | undefined {
    const { service } = this.routeSettings
    const revision = Number(/^\d+/.exec(name.slice(service.length + 1))?.[0])
    if (name === revisionName(service, revision)) return { revision }
    return name === baselineName(service, revision) ? { revision, baseline: true } : undefined
  }

  private async adopt({ metadata }: HttpRoute): Promise<Rollout | undefined> {
    const { service } = this.routeSettings
    const targets = this.rulesOf().flatMap(({ backendRefs = [] }) => backendRefs)
    // A baseline's traffic was the stable revision's.
    const stable = targets.some(({ name }) => this.ownerOf(name)?.baseline)
      ? await this.internalRevision()
      : undefined
    const shares = new Map<string, number>()
    for (const { name: target, weight = 1 } of targets) {
      const name = this.ownerOf(target)?.baseline ? (stable ?? target) : target
      shares.set(name, (shares.get(name) ?? 0) + weight)
    }
    const [most] = [...shares].sort(([, one], [, other]) => other - one)
    if (!most) return undefined
    const [name] = most
    const owner = this.ownerOf(name)
    if (!owner || owner.baseline) {
      throw new Error(
        `the HTTPRoute ${metadata?.name ?? ""} sends requests to the Service ${name}, which is no revision of ${service}: let it send them to one, or delete it to begin with none`,
      )
    }
    return {
      id: "",
      service,
      strategy: "blue-green",
      kind: "deploy",
      revision: owner.revision,
      digest: "",
      phase: "promoted",
      step: 0,
      since: 0,
      began: 0,
      by: "",
      author: "",
      reason: "",
      message: "traffic as it was found",
      controller: "",
    }
  }

  /** The preview address of the revision that the cluster's own clients use: while traffic is shared, the stable one. */
  private async internalRevision(): Promise<string | undefined> {
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

interface ParentStatus {
  parentRef?: { name: string; namespace?: string }
  conditions?: {
    type: string
    status: string
    reason?: string
    message?: string
    observedGeneration?: number
  }[]
}

/** Conditions without which requests do not arrive. */
const required = ["Accepted", "ResolvedRefs"]
/** A condition with which the Gateway has left out rules of the route. */
const partly = "PartiallyInvalid"

const redirects = ({ filters = [] }: RouteRule) =>
  filters.some((filter) => (filter as { type?: string }).type === "RequestRedirect")

interface Applied {
  hostnames?: unknown[]
  parentRefs?: unknown[]
}

function appliedOf({ metadata }: KubernetesObject): Applied {
  try {
    return JSON.parse(metadata?.annotations?.[appliedAnnotation] ?? "{}") as Applied
  } catch {
    // Somebody edited it. The worst that can happen is that an old host name stays.
    return {}
  }
}

/** What is wanted, and what others have added to the list since it was written; without a record of that, what is wanted. */
function withAdditions<Item>(wanted: Item[], live: Item[] = [], applied?: unknown[]): Item[] {
  if (!applied) return wanted
  const has = (list: unknown[], item: unknown) => list.some((one) => isDeepStrictEqual(one, item))
  return [...wanted, ...live.filter((item) => !has(applied, item) && !has(wanted, item))]
}

/** Whether a rule matches every path, as the API server fills in by default. */
const matchesEverything = ({ matches = [] }: RouteRule): boolean =>
  matches.every((match) => {
    const { path, ...others } = match as { path?: { type?: string; value?: string } }
    return Object.keys(others).length === 0 && (path?.value ?? "/") === "/"
  })
