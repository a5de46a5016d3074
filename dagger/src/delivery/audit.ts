import { createHash } from "node:crypto"
import { isDeepStrictEqual } from "node:util"
import type { V1ConfigMap } from "@kubernetes/client-node"
import { ApiError, type KubernetesApi } from "../clients/kubernetes/client.js"
import { managedBy, type Plain } from "../clients/kubernetes/manifest.js"
import { type DeliveryEvent, deliveryEvent, type EventKind } from "./events/event.js"

/** The events that the audit log keeps; the others are progress. */
export const auditedKinds: readonly EventKind[] = [
  "started",
  "promoted",
  "rolled-back",
  "migrated",
  "migration-failed",
  "restored",
  "restore-failed",
  "backup-verified",
  "backup-not-verified",
  "compared",
  "drifted",
  "trained",
  "training-failed",
  "refused",
  "checked",
]

export const auditLabels = {
  /** The event's kind; an entry is found by it. */
  kind: "pitwall.dev/audit",
  component: "app.kubernetes.io/name",
}

/** What was read of the audit log. */
export interface AuditTrail {
  /** Oldest first. */
  events: DeliveryEvent[]
  /** Names of ConfigMaps that this version cannot read: malformed, or of a newer version. */
  unreadable: string[]
}

/** Names that one event may have: each that somebody else has taken with other contents is passed over. */
const mostNames = 5

/**
 * The history of an environment: one immutable ConfigMap per event.
 *
 * Deployers may create entries and neither change nor delete them; an administrator prunes. An entry's name contains a hash of its contents: an event that is
 * recorded twice has one entry, and an entry under a name that is not its own does not count.
 */
export class AuditLog {
  constructor(
    private readonly cluster: KubernetesApi,
    private readonly namespace: string,
  ) {}

  /**
   * Writes an entry. Whoever has taken its name for something else does not keep it out of the log.
   *
   * @returns whether it is new; a resumed command writes some of its entries a second time
   * @throws Error when every name that it may have is taken
   */
  async write(event: DeliveryEvent): Promise<boolean> {
    for (let number = 1; number <= mostNames; number++) {
      const object = entryObject(this.namespace, event, number)
      try {
        await this.cluster.create(object)
        return true
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 409)) throw error
      }
      const live = await this.cluster.read(object)
      if (live && isSame(readEntry(live), event)) return false
    }
    const { name } = entryObject(this.namespace, event).metadata ?? {}
    throw new Error(
      `the audit log has other entries under the name ${name} and those after it: an administrator finds out who wrote them, and deletes them`,
    )
  }

  /** Reads all entries. One that cannot be read hides no other. */
  async read(): Promise<AuditTrail> {
    const objects = await this.cluster.list("v1", "ConfigMap", this.namespace, auditLabels.kind)
    const read = objects.map((object) => ({ name: object.metadata?.name ?? "", event: readEntry(object) }))
    return {
      events: read.flatMap(({ event }) => event ?? []).sort((one, other) => one.at.localeCompare(other.at)),
      unreadable: read.filter(({ event }) => !event).map(({ name }) => name),
    }
  }

  /**
   * Deletes the entries of operations that began before a moment. Needs an administrator's rights.
   *
   * @param before milliseconds since the epoch
   * @returns how many were deleted
   */
  async prune(before: number): Promise<number> {
    const objects = await this.cluster.list("v1", "ConfigMap", this.namespace, auditLabels.kind)
    const old = objects.filter((object) => {
      const event = readEntry(object)
      return event !== undefined && Date.parse(event.at) < before
    })
    for (const object of old) await this.cluster.delete(object)
    return old.length
  }
}

/** Whoever resumes an operation must not record its end a second time. */
const isSame = (found: DeliveryEvent | undefined, event: DeliveryEvent): boolean =>
  found !== undefined && isDeepStrictEqual({ ...found, by: event.by }, deliveryEvent.parse(event))

function nameOf(event: DeliveryEvent): string {
  const { kind, operation, component, ...others } = event
  const contents: Partial<DeliveryEvent> = others
  // Equal whoever writes it.
  delete contents.by
  const hashed = JSON.stringify({ ...contents, kind, operation, component })
  const hash = createHash("sha256").update(hashed).digest("hex").slice(0, 8)
  return `audit-${component.name}-${operation}-${kind}-${hash}`
}

/** @param number above 1 where somebody has taken the names before it */
export function entryObject(namespace: string, event: DeliveryEvent, number = 1): Plain<V1ConfigMap> {
  const { kind, component, by } = event
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      namespace,
      name: number === 1 ? nameOf(event) : `${nameOf(event)}-${number}`,
      labels: { [auditLabels.component]: component.name, [auditLabels.kind]: kind, ...managedBy },
    },
    immutable: true,
    data: { entry: JSON.stringify(event), by },
  }
}

/**
 * @returns nothing for an entry that is malformed, of another version, under a name that is not its own, or names another author than `data.by`, which is the one that
 *   the admission policy compares with the user
 */
export function readEntry({ data, metadata }: Plain<V1ConfigMap>): DeliveryEvent | undefined {
  try {
    const written: unknown = JSON.parse(data?.entry ?? "")
    const event = deliveryEvent.safeParse(written).data
    if (!event || event.by !== data?.by) return undefined
    // What was written, with fields and an order of fields that this version does not have.
    const name = nameOf(written as DeliveryEvent)
    const own = Array.from({ length: mostNames }, (_, at) => (at === 0 ? name : `${name}-${at + 1}`))
    return own.includes(metadata?.name ?? "") ? event : undefined
  } catch {
    return undefined
  }
}
