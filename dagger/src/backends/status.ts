import { leaseName } from "./rollout/lease.js"
import { columns, duration, oneLine } from "../lib/text.js"
import type { Manifest } from "../clients/kubernetes/manifest.js"
import type { Revision } from "./revisions/revisions.js"
import type { TrafficShare } from "./manifests/objects.js"
import type { Rollout } from "./rollout/rollout.js"
import { placements } from "../configuration/deploy.js"
import { type Site, Target } from "./target.js"

/** How a service is in an environment. */
export interface Status {
  service: string
  rollout?: Rollout
  /** The share of requests of each revision and baseline, in percent, as the HTTPRoute holds it. */
  traffic: TrafficShare[]
  revisions: Revision[]
  /** The fresh baselines, under the numbers of the revisions that are judged against them. */
  baselines: Revision[]
  /** Who works on it, and for how many seconds nothing was heard of them. */
  holder?: { who: string; silent: number }
}

/** How the services of an environment are; all of them, if none is named. */
export async function statusOf(site: Site, only: string[]): Promise<Status[]> {
  const { cluster, configuration, environment } = site
  return Promise.all(
    placements(configuration, environment, only).map(async (placement) => {
      const { service, record, revisions } = new Target(site, placement)
      const metadata = { namespace: environment.namespace, name: leaseName(service) }
      const address: Manifest = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata }
      const [rollout, all, baselines, lease] = await Promise.all([
        ...([record.read(), revisions.all(), revisions.baselines()] as const),
        cluster.read(address),
      ])
      const { holderIdentity, renewTime } = (lease?.spec ?? {}) as {
        holderIdentity?: string | null
        renewTime?: string
      }
      const silent = (cluster.now() - Date.parse(renewTime ?? "")) / 1000
      return {
        service,
        ...(rollout && { rollout }),
        traffic: record.traffic(),
        revisions: all,
        baselines,
        ...(holderIdentity && { holder: { who: holderIdentity, silent: Math.max(0, silent) } }),
      }
    }),
  )
}

/** A paragraph and a table for each service. */
export function statusText(all: Status[]): string {
  return all.map(one).join("\n\n")
}

function one({ service, rollout, traffic, revisions, baselines, holder }: Status): string {
  if (!rollout && revisions.length === 0) return `${service}: nothing was deployed yet`
  const work = holder
    ? `${holder.who} works on it, heard of ${duration(holder.silent)} ago`
    : "nobody works on it"
  const state = rollout ? `${rollout.kind} of revision ${rollout.revision}: ${rollout.phase}` : "no rollout"
  const row = ({ number, digest, createdAt: made, outcome, ready, wanted }: Revision, baseline = false) => {
    const share = traffic.find(
      (backend) => backend.revision === number && (backend.baseline ?? false) === baseline,
    )
    const pods = wanted === 0 ? "–" : `${ready} of ${wanted}`
    const [name, proof] = baseline ? [`${number}-baseline`, "–"] : [`${number}`, outcome ?? "not proven"]
    return [name, `${share?.weight ?? 0} %`, pods, proof, digest.slice(0, 19), made]
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
