import { createHash } from "node:crypto"
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

/**
 * The history of an environment: one immutable ConfigMap per event.
 *
 * Deployers may create entries and neither change nor delete them; an administrator prunes. An entry's name contains a hash of its contents, so that nobody can
 * occupy the name of an entry with other contents.
 */
export class AuditLog {
  constructor(
    private readonly cluster: KubernetesApi,
    private readonly namespace: string,
  ) {}

  /**
   * Writes an entry.
   *
   * @returns whether it is new; a resumed command writes some of its entries a second time
   */
  async write(event: DeliveryEvent): Promise<boolean> {
    try {
      await this.cluster.create(entryObject(this.namespace, event))
      return true
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) return false
      throw error
    }
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

export function entryObject(namespace: string, event: DeliveryEvent): Plain<V1ConfigMap> {
  const { kind, operation, component, by, ...contents } = event
  // Without `by`: whoever resumes an operation must not record its end a second time.
  const hashed = JSON.stringify({ ...contents, kind, operation, component })
  const hash = createHash("sha256").update(hashed).digest("hex").slice(0, 8)
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      namespace,
      name: `audit-${component.name}-${operation}-${kind}-${hash}`,
      labels: { [auditLabels.component]: component.name, [auditLabels.kind]: kind, ...managedBy },
    },
    immutable: true,
    data: { entry: JSON.stringify(event), by },
  }
}

/**
 * @returns nothing for an entry that is malformed, of another version, or names another author than `data.by`, which is the one that the admission policy compares
 *   with the user
 */
export function readEntry({ data }: Plain<V1ConfigMap>): DeliveryEvent | undefined {
  try {
    const event = deliveryEvent.safeParse(JSON.parse(data?.entry ?? "")).data
    return event?.by === data?.by ? event : undefined
  } catch {
    return undefined
  }
}
