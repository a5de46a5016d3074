import { z } from "zod"
import { ApiError, type Kubernetes, type Thing } from "../kubernetes/client.js"
import { routeObject } from "../manifests/objects.js"
import type { RolloutSettings } from "./configuration.js"
import { backends, isOver, type Rollout } from "./rollout.js"

const schema = z.object({
  id: z.string(),
  service: z.string(),
  strategy: z.enum(["blue-green", "canary"]),
  kind: z.enum(["deploy", "rollback"]),
  revision: z.int(),
  stable: z.int().optional(),
  digest: z.string(),
  phase: z.enum(["preparing", "verifying", "shifting", "promoting", "settling", "promoted", "aborting", "aborted"]),
  step: z.int(),
  since: z.number(),
  began: z.number(),
  by: z.string(),
  author: z.string(),
  reason: z.string(),
  message: z.string(),
  controller: z.string(),
})

/** Another command has written since this one has read: what was decided from the old state must not be done. */
export class Superseded extends Error {
  override name = "Superseded"
}

/** Where a service's requests come in. */
export interface Entrance {
  namespace: string
  service: string
  port: number
  hostnames: string[]
  gateway: { name: string; namespace: string; section?: string }
}

const annotation = (name: string) => `pitwall.dev/${name}`

/** A rollout as annotations; the single ones are for people and for `kubectl get`. */
export function toAnnotations(rollout: Rollout, settings: RolloutSettings): Record<string, string> {
  const shares = backends(rollout, settings).map(({ revision, weight }) => `${revision}=${weight}%`)
  return {
    [annotation("rollout")]: JSON.stringify(rollout),
    [annotation("phase")]: rollout.phase,
    [annotation("traffic")]: shares.join(" "),
    [annotation("message")]: rollout.message,
  }
}

/** @throws Error when the annotation is not what this pipeline writes */
export function fromAnnotations(annotations: Record<string, string> | undefined): Rollout | undefined {
  const text = annotations?.[annotation("rollout")]
  if (text === undefined) return undefined
  try {
    return schema.parse(JSON.parse(text)) as Rollout
  } catch (error) {
    throw new Error(
      `the annotation ${annotation("rollout")} of the HTTPRoute cannot be read; take it away to begin anew with the traffic as it is: ${(error as Error).message}`,
      { cause: error },
    )
  }
}

/** The revision that has all traffic while nothing is under way. */
export const stableOf = (rollout: Rollout | undefined): number | undefined =>
  rollout?.phase === "promoted" ? rollout.revision : rollout && isOver(rollout) ? rollout.stable : undefined

/**
 * The state of a service's rollout: annotations of the HTTPRoute that holds its traffic. State and traffic are one object, written in one go, so they cannot
 * disagree, and of two commands that write at the same time one is refused.
 */
export class RolloutRecord {
  private version?: string

  constructor(
    private readonly cluster: Kubernetes,
    readonly entrance: Entrance,
    private readonly settings: RolloutSettings,
  ) {}

  async read(): Promise<Rollout | undefined> {
    const live = await this.cluster.read(this.route([]))
    this.version = live?.metadata?.resourceVersion
    return fromAnnotations(live?.metadata?.annotations)
  }

  /** @throws Superseded when the record is no longer what was read */
  async write(rollout: Rollout): Promise<void> {
    const { metadata, spec } = this.route(backends(rollout, this.settings))
    const annotations = { ...metadata?.annotations, ...toAnnotations(rollout, this.settings) }
    try {
      const written =
        this.version === undefined
          ? await this.cluster.create({ ...this.route(backends(rollout, this.settings)), metadata: { ...metadata, annotations } })
          : await this.cluster.merge(this.route([]), {
              metadata: { annotations, labels: metadata?.labels, resourceVersion: this.version },
              spec,
            })
      this.version = written.metadata?.resourceVersion
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 409)) throw error
      throw new Superseded(`the rollout of ${rollout.service} was changed by another command`, { cause: error })
    }
  }

  /** What takes all traffic back to the stable revision, as a merge patch; without the state, which is not known yet. */
  safePatch(rollout: Rollout): object {
    const back: Rollout = { ...rollout, phase: "aborting" }
    const { spec } = this.route(backends(back, this.settings))
    return { metadata: { annotations: toAnnotations(back, this.settings) }, spec }
  }

  private route(shares: { revision: number; weight: number }[]): Thing {
    return routeObject({ ...this.entrance, backends: shares }) as Thing
  }
}
