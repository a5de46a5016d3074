import type { Manifest } from "../clients/kubernetes/manifest.js"
import type { ComponentStatus } from "../delivery/component.js"
import { columns, duration, oneLine } from "../lib/text.js"
import type { DeployedService } from "./deployed-service.js"
import type { TrafficShare } from "./manifests/objects.js"
import type { Revision } from "./revisions/revisions.js"
import { leaseName } from "../delivery/lease.js"
import type { Rollout } from "./rollout/rollout.js"

/** The state of a backend in its environment. */
export interface BackendStatus {
  service: string
  rollout?: Rollout
  /** The share of requests of each revision and baseline, in percent, as the HTTPRoute holds it. */
  traffic: TrafficShare[]
  revisions: Revision[]
  /** Fresh baselines, under the numbers of the revisions that are compared with them. */
  baselines: Revision[]
  /** Who holds the lease, and the seconds since its last renewal. */
  holder?: { who: string; silent: number }
}

export async function statusOf(deployed: DeployedService): Promise<ComponentStatus> {
  const { context, record, revisions, name: service } = deployed
  const { cluster, environment } = context
  const lease: Manifest = {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { namespace: environment.namespace, name: leaseName(service) },
  }
  const [rollout, all, baselines, held] = await Promise.all([
    record.read(),
    revisions.all(),
    revisions.baselines(),
    cluster.read(lease),
  ])
  const { holderIdentity, renewTime } = (held?.spec ?? {}) as {
    holderIdentity?: string | null
    renewTime?: string
  }
  const silent = Math.max(0, (cluster.now() - Date.parse(renewTime ?? "")) / 1000)
  const details: BackendStatus = {
    service,
    traffic: record.traffic(),
    revisions: all,
    baselines,
    ...(rollout && { rollout }),
    ...(holderIdentity && { holder: { who: holderIdentity, silent } }),
  }
  return { component: deployed.id, text: statusText(details), details }
}

function statusText({ service, rollout, traffic, revisions, baselines, holder }: BackendStatus): string {
  if (!rollout && revisions.length === 0) return `${service}: nothing was deployed yet`
  const work = holder
    ? `${holder.who} works on it, last sign of life ${duration(holder.silent)} ago`
    : "nobody works on it"
  const state = rollout ? `${rollout.kind} of revision ${rollout.revision}: ${rollout.phase}` : "no rollout"
  const row = ({ number, digest, createdAt, outcome, ready, wanted }: Revision, baseline = false) => {
    const share = traffic.find((one) => one.revision === number && (one.baseline ?? false) === baseline)
    const pods = wanted === 0 ? "–" : `${ready} of ${wanted}`
    const [name, proof] = baseline ? [`${number}-baseline`, "–"] : [`${number}`, outcome ?? "not proven"]
    return [name, `${share?.weight ?? 0} %`, pods, proof, digest.slice(0, 19), createdAt]
  }
  const rows = [...revisions.map((each) => row(each)), ...baselines.map((each) => row(each, true))]
  return [
    `${service}: ${state}; ${work}`,
    ...(rollout ? [`  ${oneLine(rollout.message, 300)}`] : []),
    columns([["REVISION", "TRAFFIC", "PODS READY", "OUTCOME", "IMAGE", "MADE"], ...rows]).replace(
      /^/gm,
      "  ",
    ),
  ].join("\n")
}
