import type { V1ConfigMap } from "@kubernetes/client-node"
import { z } from "zod"
import { ApiError, type Cluster } from "../clients/kubernetes/client.js"
import { labels } from "../backends/manifests/labels.js"
import { managedBy, type Plain } from "../clients/kubernetes/manifest.js"
import { columns, duration, oneLine } from "../lib/text.js"
import { strategies } from "./strategy.js"

/** What is known of a deploy or a rollback when it begins, or is refused. Times are ISO 8601, by the API server's clock. */
const order = z.object({
  id: z.string(),
  at: z.string(),
  environment: z.string(),
  service: z.string(),
  kind: z.enum(["deploy", "rollback"]),
  strategy: z.enum(strategies),
  revision: z.int().optional(),
  /** The revision that had all traffic before. */
  from: z.int().optional(),
  digest: z.string(),
  by: z.string(),
  author: z.string(),
  reason: z.string(),
  /** Guards that were set aside, and why that was right. */
  overridden: z.object({ reason: z.string(), guards: z.array(z.string()) }).optional(),
  approval: z.object({ id: z.string(), by: z.string(), at: z.string() }).optional(),
})

/** Whether `ci` passed for the source of the very image. */
const checks = z.enum(["passed", "failed", "not asked"])
export type Checks = z.output<typeof checks>

const entry = z.discriminatedUnion("event", [
  order.extend({ event: z.literal("begun") }),
  order.extend({ event: z.literal("refused"), message: z.string() }),
  z.object({
    event: z.literal("checked"),
    id: z.string(),
    at: z.string(),
    service: z.string(),
    digest: z.string(),
    checks,
  }),
  z.object({
    event: z.literal("ended"),
    id: z.string(),
    at: z.string(),
    service: z.string(),
    outcome: z.enum(["promoted", "aborted"]),
    message: z.string(),
  }),
])

/** One thing that happened. It is written once, and stays as it is. */
export type Entry = z.output<typeof entry>
export type Order = z.output<typeof order>

/** A deploy or a rollback from its beginning to its end. */
export type Operation = Omit<Order, "at"> & {
  began: string
  ended?: string
  seconds?: number
  outcome: "promoted" | "aborted" | "refused" | "unfinished"
  message: string
  checks: Checks
}

const auditLabel = "pitwall.dev/audit"

/**
 * What happened to an environment, as ConfigMaps that its deployers may make and neither change nor delete; only an administrator can.
 *
 * It says what deployers' commands say: whoever has a deployer's kubeconfig can add an entry by hand, and cannot take one away.
 */
export class AuditLog {
  constructor(
    private readonly cluster: Cluster,
    private readonly namespace: string,
  ) {}

  /** Writes an entry. One that is there already has been written by a command that went on with the same operation. */
  async write(happened: Entry): Promise<void> {
    try {
      await this.cluster.create(entryObject(this.namespace, happened))
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 409)) throw error
    }
  }

  async read(): Promise<Entry[]> {
    const all = await this.cluster.list("v1", "ConfigMap", this.namespace, auditLabel)
    return all.map((thing) => readEntry(thing as Plain<V1ConfigMap>))
  }
}

export function entryObject(namespace: string, happened: Entry): Plain<V1ConfigMap> {
  const { id, service, event } = happened
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      namespace,
      name: `audit-${service}-${id}-${event}`,
      labels: { [labels.service]: service, [auditLabel]: event, ...managedBy },
    },
    immutable: true,
    data: { entry: JSON.stringify(happened) },
  }
}

/** @throws Error with its name for one that this pipeline did not write */
export function readEntry({ metadata, data }: Plain<V1ConfigMap>): Entry {
  try {
    return entry.parse(JSON.parse(data?.entry ?? ""))
  } catch (error) {
    throw new Error(
      `the ConfigMap ${metadata?.namespace ?? ""}/${metadata?.name ?? ""} is no entry of the audit log; an administrator may take its label ${auditLabel} away`,
      { cause: error },
    )
  }
}

/** What entries tell together, newest first. */
export function operations(entries: Entry[]): Operation[] {
  return entries
    .flatMap((first): Operation[] => {
      if (first.event !== "begun" && first.event !== "refused") return []
      const { event, at, ...known } = first
      const same = entries.filter(({ id, service }) => id === first.id && service === first.service)
      const end = same.find((other) => other.event === "ended")
      const checked = same.find((other) => other.event === "checked")
      const told = { ...known, began: at, checks: checked?.checks ?? "not asked" }
      if (event === "refused")
        return [{ ...told, ended: at, seconds: 0, outcome: "refused", message: first.message }]
      if (!end) return [{ ...told, outcome: "unfinished", message: "its end was not recorded" }]
      const seconds = Math.round((Date.parse(end.at) - Date.parse(at)) / 1000)
      return [{ ...told, ended: end.at, seconds, outcome: end.outcome, message: end.message }]
    })
    .sort((one, other) => other.began.localeCompare(one.began) || one.service.localeCompare(other.service))
}

/** Images that `ci` has passed for, with when it was recorded. */
export function passed(entries: Entry[]): { digests: string[]; at: number } | undefined {
  const found = entries.flatMap((one) => (one.event === "checked" && one.checks === "passed" ? [one] : []))
  if (found.length === 0) return undefined
  return {
    digests: found.map(({ digest }) => digest),
    at: Math.max(...found.map(({ at }) => Date.parse(at))),
  }
}

export function historyTable(all: Operation[]): string {
  if (all.length === 0) return "Nothing was deployed yet."
  const rows = all.map((one) => [
    one.began.slice(0, 19).replace("T", " "),
    one.service,
    one.kind,
    one.from === undefined ? `${one.revision ?? "–"}` : `${one.from} → ${one.revision ?? "–"}`,
    one.digest.slice(0, 19),
    one.outcome,
    one.seconds === undefined ? "" : duration(one.seconds),
    one.by,
    [
      one.reason,
      ...(one.outcome === "promoted" ? [] : [one.message]),
      ...(one.approval ? [`approved by ${one.approval.by}`] : []),
      ...(one.overridden ? [`${one.overridden.guards.join(", ")} overridden: ${one.overridden.reason}`] : []),
    ]
      .map((part) => oneLine(part))
      .filter((part) => part !== "")
      .join(" · "),
  ])
  const head = ["BEGAN (UTC)", "SERVICE", "WHAT", "REVISION", "IMAGE", "OUTCOME", "TOOK", "BY", "WHY"]
  return columns([head, ...rows])
}
