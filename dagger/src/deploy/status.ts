import { leaseName } from "../rollout/lease.js"
import { columns, duration, oneLine } from "../report/text.js"
import type { Manifest } from "../manifests/plain.js"
import type { Revision } from "../kubernetes/revisions.js"
import { backends, type Rollout } from "../rollout/rollout.js"
import { placements } from "./configuration.js"
import { type Site, Target } from "./target.js"

/** How a service is in an environment. */
export interface Status {
  service: string
  rollout?: Rollout
  /** Which share of requests each revision has, in percent. */
  traffic: { revision: number; weight: number }[]
  revisions: Revision[]
  /** Who works on it, and for how many seconds nothing was heard of them. */
  holder?: { who: string; silent: number }
}

/** How the services of an environment are; all of them, if none is named. */
export async function statusOf(site: Site, only: string[]): Promise<Status[]> {
  const { cluster, configuration, environment } = site
  return Promise.all(
    placements(configuration, environment, only).map(async (placement) => {
      const { service, record, revisions, settings } = new Target(site, placement)
      const metadata = { namespace: environment.namespace, name: leaseName(service) }
      const address: Manifest = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata }
      const [rollout, all, lease] = await Promise.all([record.read(), revisions.all(), cluster.read(address)])
      const { holderIdentity, renewTime } = (lease?.spec ?? {}) as {
        holderIdentity?: string | null
        renewTime?: string
      }
      const silent = (cluster.now() - Date.parse(renewTime ?? "")) / 1000
      return {
        service,
        ...(rollout && { rollout }),
        traffic: rollout ? backends(rollout, settings) : [],
        revisions: all,
        ...(holderIdentity && { holder: { who: holderIdentity, silent: Math.max(0, silent) } }),
      }
    }),
  )
}

/** A paragraph and a table for each service. */
export function statusText(all: Status[]): string {
  return all.map(one).join("\n\n")
}

function one({ service, rollout, traffic, revisions, holder }: Status): string {
  if (!rollout && revisions.length === 0) return `${service}: nothing was deployed yet`
  const work = holder
    ? `${holder.who} works on it, heard of ${duration(holder.silent)} ago`
    : "nobody works on it"
  const state = rollout ? `${rollout.kind} of revision ${rollout.revision}: ${rollout.phase}` : "no rollout"
  const rows = revisions.map(({ number, digest, made, outcome, ready, wanted }) => {
    const weight = traffic.find(({ revision }) => revision === number)?.weight ?? 0
    const pods = wanted === 0 ? "–" : `${ready} of ${wanted}`
    return [String(number), `${weight} %`, pods, outcome ?? "not proven", digest.slice(0, 19), made]
  })
  return [
    `${service}: ${state}; ${work}`,
    ...(rollout ? [`  ${oneLine(rollout.message, 300)}`] : []),
    columns([["REVISION", "TRAFFIC", "PODS READY", "OUTCOME", "IMAGE", "MADE"], ...rows]).replace(
      /^/gm,
      "  ",
    ),
  ].join("\n")
}
