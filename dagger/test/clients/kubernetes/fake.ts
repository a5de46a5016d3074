import {
  ApiError,
  type KubernetesApi,
  type KubernetesObject,
  UnreachableError,
} from "../../../src/clients/kubernetes/client.js"
import { labels } from "../../../src/backends/manifests/labels.js"
import type { FakeClock } from "../../lib/fake-clock.js"

type Tree = Record<string, unknown>
/** How the pods of a revision behave. */
export type Health = "well" | "crashing" | "never ready"

interface FakePod {
  name: string
  uid: string
  born: number
}

/** Milliseconds until a pod is available. */
export const startup = 3_000
/** The API server's time at the start. */
const epoch = Date.parse("2026-03-02T10:00:00Z")

/** An API server with resource versions, merge patches, owner references, and Deployments whose pods start after a moment. */
export class FakeCluster {
  private readonly objects = new Map<string, KubernetesObject>()
  private readonly pods = new Map<string, FakePod[]>()
  private counter = 0
  /** By revision, or by name for other Deployments; `well` by default. */
  readonly health = new Map<number | string, Health>()
  /** Called with each object that was written. */
  watchers: ((thing: KubernetesObject) => void)[] = []
  /** No API server answers. */
  down = false
  /** By name of the pod; an error, where its log cannot be read. */
  readonly podLogs = new Map<string, string | Error>()

  constructor(readonly clock: FakeClock) {}

  now(): number {
    return epoch + this.clock.now()
  }

  /** @param namespace any, if absent: the object that was created last */
  get(kind: string, name: string, namespace?: string): KubernetesObject | undefined {
    const found = this.find(kind, name, namespace)
    return found && this.present(found)
  }

  private find(kind: string, name: string, namespace?: string): KubernetesObject | undefined {
    return [...this.objects.values()]
      .filter((thing) => thing.kind === kind && thing.metadata?.name === name)
      .filter(({ metadata }) => namespace === undefined || metadata?.namespace === namespace)
      .at(-1)
  }

  /** The object that is meant, which tests may name without its namespace. */
  private live({ kind = "", metadata }: KubernetesObject): KubernetesObject | undefined {
    return this.find(kind, metadata?.name ?? "", metadata?.namespace)
  }

  all(kind: string): KubernetesObject[] {
    return [...this.objects.entries()]
      .filter(([key]) => key.startsWith(`${kind}/`))
      .map(([, thing]) => this.present(thing))
  }

  put(thing: KubernetesObject): KubernetesObject {
    return this.store(thing, undefined)
  }

  /**
   * The client of one command.
   *
   * @param options.dies number of the request at which the command is killed: before the server handles it, or after with `after`. No request is answered from then on
   * @param options.may throws for requests without permission
   */
  client({
    dies = Infinity,
    after = false,
    may = () => undefined,
  }: {
    dies?: number
    after?: boolean
    may?: (verb: string, resource: string, name: string) => void
  } = {}): KubernetesApi & {
    requests: number
    dead: Promise<void>
    kill: () => void
  } {
    let last = dies
    let died: () => void = () => undefined
    const dead = new Promise<void>((resolve) => {
      died = resolve
    })
    const ask = <Value>(verb: string, resource: string, task: () => Value, name = ""): Promise<Value> => {
      const at = ++client.requests
      if (at >= last) {
        if (at === last && after) task()
        died()
        return new Promise(() => undefined)
      }
      return Promise.resolve().then(() => {
        if (this.down) throw new UnreachableError("the API server cannot be reached: connect ECONNREFUSED")
        may(verb, resource, name)
        return structuredClone(task())
      })
    }
    const client = {
      requests: 0,
      dead,
      kill: () => {
        last = 0
        died()
      },
      now: () => this.now(),
      whoAmI: () =>
        ask("create", "selfsubjectreviews.authentication.k8s.io", () => ({
          name: "system:test",
          groups: ["system:authenticated"],
        })),
      read: (thing: KubernetesObject) =>
        ask("get", resourceOf(thing), () =>
          this.get(thing.kind ?? "", thing.metadata?.name ?? "", thing.metadata?.namespace),
        ),
      list: (apiVersion: string, kind: string, namespace: string, selector = "") =>
        ask("list", resourceOf({ apiVersion, kind }), () =>
          (kind === "Pod" ? [...this.podObjects(), ...this.all(kind)] : this.all(kind)).filter(
            ({ metadata }) =>
              metadata?.namespace === namespace && selects(selector, (metadata.labels ?? {}) as Tree),
          ),
        ),
      apply: (thing: KubernetesObject) => ask("patch", resourceOf(thing), () => this.apply(thing)),
      create: (thing: KubernetesObject) =>
        ask("create", resourceOf(thing), () => {
          if (this.objects.has(keyOf(thing)))
            throw new ApiError(409, "AlreadyExists", `${keyOf(thing)} is there`)
          return this.store(thing, undefined)
        }),
      merge: (thing: KubernetesObject, patch: object) =>
        ask("patch", resourceOf(thing), () => this.merge(thing, patch as Tree), thing.metadata?.name),
      delete: (thing: KubernetesObject) =>
        ask("delete", resourceOf(thing), () => {
          this.remove(thing)
        }),
      logs: (_namespace: string, pod: string) =>
        ask("get", "pods/log", () => {
          const log = this.podLogs.get(pod)
          if (log instanceof Error) throw log
          return log ?? "ValueError: no such setting"
        }),
      proxy: (kind: string) => ask("get", `${kind}/proxy`, () => ({ status: 200, text: "" })),
    }
    return client
  }

  private apply(thing: KubernetesObject): KubernetesObject {
    const live = this.objects.get(keyOf(thing))
    if (!live) return this.store(thing, undefined)
    const metadata = merged(live.metadata, thing.metadata)
    return this.store({ ...live, ...thing, metadata } as KubernetesObject, live)
  }

  merge(thing: KubernetesObject, patch: Tree): KubernetesObject {
    const live = this.live(thing)
    if (!live) throw new ApiError(404, "NotFound", `${keyOf(thing)} is not there`)
    const { resourceVersion } = (patch.metadata ?? {}) as { resourceVersion?: string }
    if (resourceVersion !== undefined && resourceVersion !== live.metadata?.resourceVersion) {
      throw new ApiError(409, "Conflict", `${keyOf(thing)} has been modified`)
    }
    return this.store(merged(live, patch) as KubernetesObject, live)
  }

  private store(thing: KubernetesObject, live: KubernetesObject | undefined): KubernetesObject {
    const before = live?.metadata
    const written = structuredClone({
      ...thing,
      metadata: {
        ...thing.metadata,
        uid: before?.uid ?? `uid-${++this.counter}`,
        resourceVersion: String(++this.counter),
        generation: (before?.generation ?? 0) + 1,
        creationTimestamp: before?.creationTimestamp ?? new Date(this.now()).toISOString(),
      },
    }) as KubernetesObject & { stringData?: Record<string, string> }
    if (written.stringData) {
      const data = Object.entries(written.stringData).map(([name, text]) => [
        name,
        Buffer.from(text).toString("base64"),
      ])
      written.data = Object.fromEntries(data) as Record<string, string>
      delete written.stringData
    }
    this.objects.set(keyOf(thing), written)
    if (thing.kind === "Deployment") this.scale(written)
    for (const watcher of this.watchers) watcher(written)
    return this.present(written)
  }

  remove(thing: KubernetesObject): void {
    const live = this.live(thing)
    if (!live) return
    this.objects.delete(keyOf(live))
    this.pods.delete(keyOf(live))
    for (const object of this.objects.values()) {
      if (object.metadata?.ownerReferences?.some(({ uid }) => uid === live.metadata?.uid) === true) {
        this.remove(object)
      }
    }
  }

  private scale(deployment: KubernetesObject): void {
    const { metadata, spec } = deployment
    const name = metadata?.name ?? ""
    const pods = this.pods.get(keyOf(deployment)) ?? []
    const wanted = Number(spec?.replicas)
    while (pods.length < wanted) {
      const uid = `pod-${++this.counter}`
      pods.push({ name: `${name}-${uid}`, uid, born: this.clock.now() })
    }
    this.pods.set(keyOf(deployment), pods.slice(0, wanted))
  }

  /** Pods of a revision that take requests now. */
  serving(name: string, namespace?: string): number {
    const deployment = this.find("Deployment", name, namespace)
    if (!deployment || this.healthOf(deployment) !== "well") return 0
    return (this.pods.get(keyOf(deployment)) ?? []).filter(({ born }) => this.clock.now() - born >= startup)
      .length
  }

  private healthOf({ metadata }: KubernetesObject): Health {
    const revision = metadata?.labels?.[labels.revision]
    return this.health.get(revision === undefined ? (metadata?.name ?? "") : Number(revision)) ?? "well"
  }

  private present(thing: KubernetesObject): KubernetesObject {
    const { metadata } = thing
    if (thing.kind === "HTTPRoute")
      return { ...thing, status: { ...this.routeStatus(thing), ...thing.status } }
    if (thing.kind === "Job") return { ...thing, status: { ready: 1, ...thing.status } }
    if (thing.kind !== "Deployment") return thing
    return {
      ...thing,
      status: {
        observedGeneration: metadata?.generation,
        availableReplicas: this.serving(metadata?.name ?? "", metadata?.namespace),
      },
    }
  }

  /** As a Gateway reports it: every HTTPRoute is accepted at once, unless a test says otherwise. */
  private routeStatus({ metadata, spec }: KubernetesObject): Tree {
    const { parentRefs = [] } = (spec ?? {}) as { parentRefs?: Tree[] }
    const conditions = ["Accepted", "ResolvedRefs"].map((type) => ({
      type,
      status: "True",
      reason: type,
      observedGeneration: metadata?.generation,
    }))
    return { parents: parentRefs.map((parentRef) => ({ parentRef, conditions })) }
  }

  private podObjects(): KubernetesObject[] {
    return this.all("Deployment").flatMap((deployment) => {
      const health = this.healthOf(deployment)
      const { template } = deployment.spec as {
        template: { metadata: KubernetesObject["metadata"]; spec?: { containers?: { name: string }[] } }
      }
      return (this.pods.get(keyOf(deployment)) ?? []).map(({ name, uid, born }) => {
        const up = health === "well" && this.clock.now() - born >= startup
        const crashed = health === "crashing" && this.clock.now() - born >= startup
        const container = {
          name: template.spec?.containers?.[0]?.name,
          ready: up,
          restartCount: crashed ? 2 : 0,
          state: crashed ? { waiting: { reason: "CrashLoopBackOff" } } : { running: {} },
          ...(crashed && { lastState: { terminated: { exitCode: 1, reason: "Error" } } }),
        }
        return {
          apiVersion: "v1",
          kind: "Pod",
          metadata: {
            ...template.metadata,
            namespace: deployment.metadata?.namespace,
            name,
            uid,
          },
          spec: template.spec,
          status: {
            phase: "Running",
            conditions: [{ type: "Ready", status: up ? "True" : "False" }],
            containerStatuses: [container],
          },
        }
      })
    })
  }
}

const keyOf = ({ kind, metadata }: KubernetesObject) =>
  `${kind ?? ""}/${metadata?.namespace ?? ""}/${metadata?.name ?? ""}`

function resourceOf({ apiVersion = "", kind = "" }: KubernetesObject): string {
  const plural = `${kind.toLowerCase().replace(/y$/, "ie")}s`
  return apiVersion.includes("/") ? `${plural}.${apiVersion.split("/")[0] ?? ""}` : plural
}

const selects = (selector: string, found: Tree) =>
  selector
    .split(",")
    .filter(Boolean)
    .every((term) => {
      const [name = "", value] = term.split("=")
      return value === undefined ? name in found : found[name] === value
    })

/** RFC 7396. */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch
  const result: Tree = typeof target === "object" && !Array.isArray(target) ? { ...target } : {}
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) Reflect.deleteProperty(result, name)
    else if (value !== undefined) result[name] = merged(result[name], value)
  }
  return result
}
