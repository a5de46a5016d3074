import type { AnalysisSettings } from "../backends/analysis/rules.js"
import type { Refusal } from "./guards/guards.js"
import { type ObjectChange, formatChanges, diffObject } from "../backends/manifests/diff.js"
import { labels, revisionName } from "../backends/manifests/labels.js"
import type { Manifest } from "../clients/kubernetes/manifest.js"
import { usesFreshBaseline } from "../backends/rollout/rollout.js"
import { type DeployAction, blockedMessage } from "../backends/decisions.js"
import type { Prepared } from "../backends/prepare.js"
import type { Target } from "../backends/target.js"

/** One thing that a deploy does, or why it does not. */
export interface Step {
  part: "database" | "backend" | "frontend" | "model"
  name: string
  does?: string
  /** Why it is not done. */
  not?: string
}

/** What a deploy would do, in this order. */
export interface Plan {
  environment: string
  steps: Step[]
  changes: ObjectChange[]
  refusals: Refusal[]
}

/** The parts of a deploy in their order: what reads a database comes after it, what asks a backend after that. */
export function stepsOf(
  environment: string,
  backends: { service: string; does?: string; not?: string }[],
): Step[] {
  const elsewhere = (part: Step["part"], name: string, not: string): Step => ({ part, name, not })
  return [
    elsewhere("database", "migrations", "this deploy does not migrate: databases are taken as they are"),
    ...backends.map(({ service, ...rest }): Step => ({ part: "backend", name: service, ...rest })),
    elsewhere("frontend", "web apps", `${environment} has no place for them yet`),
    elsewhere("model", "predictions", "the model that f1-backend has stays"),
  ]
}

/** What becomes of one backend, in words. */
export function intent(
  { move, image, kept }: Pick<Prepared, "move" | "image" | "kept">,
  { settings, site }: Pick<Target, "settings" | "site">,
): { does?: string; not?: string } {
  switch (move.kind) {
    case "nothing":
      return { not: `revision ${move.revision} is just this, and has all traffic` }
    case "blocked":
      return { not: blockedMessage(move.rollout, site.environment.name) }
    case "resume":
      return { does: `goes on with revision ${move.rollout.revision} at ${move.rollout.phase}` }
    case "finish":
      return {
        does: `ends ${move.rollout.phase} of revision ${move.rollout.revision}, then begins with ${image}`,
      }
    case "begin":
      return {
        does: `${how(move, settings, site.configuration.analysis)}, ${image}${kept.length > 0 ? `; ${kept.join(", ")} stay as they are` : ""}`,
      }
  }
}

function how(
  { revision, stable }: Extract<DeployAction, { kind: "begin" }>,
  { strategy, steps }: Target["settings"],
  analysis: AnalysisSettings,
): string {
  if (stable === undefined) return `revision ${revision}, the first one`
  if (strategy === "blue-green") return `revision ${revision} instead of ${stable}, blue-green`
  const shares = [...steps.map(({ weight }) => weight), 100].map((weight) => `${weight} %`).join(", ")
  const afresh = usesFreshBaseline({ strategy, kind: "deploy", stable }, analysis)
  const judged = afresh ? `, judged against a fresh baseline of as many pods as ${stable} has` : ""
  return `revision ${revision} instead of ${stable}, canary with ${shares}${judged}`
}

/** What would change in the cluster, as its API server says to a dry run. */
export async function changesOf(
  { objects, move }: Prepared,
  { revisions, service, site }: Target,
): Promise<ObjectChange[]> {
  if (move.kind !== "begin") return []
  const { cluster } = site
  const counterpart = ({ apiVersion, kind }: Manifest, revision: number): Manifest => {
    const metadata: Manifest["metadata"] = {
      namespace: revisions.namespace,
      name: revisionName(service, revision),
    }
    return { apiVersion, kind, metadata }
  }
  return Promise.all(
    objects.map(async (object) => {
      const live = await cluster.read(object)
      const own = object.metadata?.labels?.[labels.revision] !== undefined
      const before =
        own && move.stable !== undefined ? await cluster.read(counterpart(object, move.stable)) : undefined
      // Who deploys may make these and not change them, so the API server cannot be asked what an apply would do.
      const written = ["ConfigMap", "Secret"].includes(object.kind ?? "")
      if (written && live) return diffObject(live, live)
      const wanted = written ? object : await cluster.apply(object, { dryRun: true })
      return diffObject(live, wanted, before)
    }),
  )
}

export function describe({ environment, steps, changes, refusals }: Plan): string {
  const lines = steps.map(({ part, name, does, not }) => {
    const what = does ?? `not done: ${not ?? ""}`
    return `  ${part.padEnd(8)}  ${name}: ${what}`
  })
  return [
    [`The deploy to ${environment}:`, ...lines].join("\n"),
    ...(changes.length > 0 ? [formatChanges(changes)] : []),
    ...(refusals.length > 0 ? [describeRefusals(refusals)] : []),
  ].join("\n\n")
}

export const describeRefusals = (refusals: Refusal[]): string =>
  ["It may not begin:", ...refusals.map(({ guard, reason }) => `  ${guard}: ${reason}`)].join("\n")
