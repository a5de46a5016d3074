import type { V1ConfigMap } from "@kubernetes/client-node"
import { ApiError, type KubernetesApi, type KubernetesObject } from "../clients/kubernetes/client.js"
import { managedBy, type Plain } from "../clients/kubernetes/manifest.js"
import { digestPattern } from "../lib/image-reference.js"
import { guardsNamespace } from "./access.js"

/** The label of every verdict, and how its name begins; an admission policy refuses others. */
export const verdictLabel = "pitwall.dev/verdict"
export const verdictPrefix = "verdict-"

/** What the gates said of images, as the identity of CI recorded it. */
export interface RecordedVerdict {
  verdict: "passed" | "failed"
  /** The commit that the images were built from. */
  commit: string
  digests: string[]
}

/**
 * Verdicts of the gates about images: immutable ConfigMaps in a namespace that deployers can read only, written by the identity of CI.
 *
 * The admission policies that `access` prints make each one bear the name of its author.
 */
export class Verdicts {
  private readonly namespace: string

  /** @param environment its namespace */
  constructor(
    private readonly cluster: KubernetesApi,
    environment: string,
  ) {
    this.namespace = guardsNamespace(environment)
  }

  /**
   * @param verdict.id unique, valid in object names
   * @throws Error for somebody who may not record verdicts
   */
  async record(verdict: RecordedVerdict & { id: string; by: string }): Promise<void> {
    try {
      await this.cluster.create(verdictObject(this.namespace, verdict))
    } catch (error) {
      throw this.explained(error, "recorded")
    }
  }

  /** Images whose latest verdict is a pass, and when the newest of these was recorded, by the API server's clock. */
  async passed(): Promise<{ digests: string[]; at: number } | undefined> {
    try {
      return passedImages(await this.cluster.list("v1", "ConfigMap", this.namespace, verdictLabel))
    } catch (error) {
      throw this.explained(error, "read")
    }
  }

  private explained(error: unknown, what: string): unknown {
    if (!(error instanceof ApiError && [403, 404, 422].includes(error.status))) return error
    return new Error(
      `verdicts of the gates cannot be ${what} in the namespace ${this.namespace}: ${error.message}; \`access --checker\` prints what an administrator applies for that`,
      { cause: error },
    )
  }
}

export function verdictObject(
  namespace: string,
  { id, by, verdict, commit, digests }: RecordedVerdict & { id: string; by: string },
): Plain<V1ConfigMap> {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      namespace,
      name: `${verdictPrefix}${id}`,
      labels: { [verdictLabel]: verdict, ...managedBy },
    },
    immutable: true,
    data: { by, verdict, commit, digests: digests.join("\n") },
  }
}

/** What a report of the gates says, as far as a verdict depends on it. */
export interface ReportSummary {
  revision?: string | undefined
  /** Why only some gates ran. */
  because?: string | undefined
  gates: { gate: string; outcome: string }[]
}

/**
 * The verdict of a report for a release. Gates that could not run did not pass; skipped ones had nothing to say.
 *
 * @throws Error for a report about another commit, about changes on top of it, or where no gate of some service or of security ran
 */
export function verdictFor(
  { revision, because, gates }: ReportSummary,
  { commit, services }: { commit: string | undefined; services: string[] },
): Pick<RecordedVerdict, "verdict" | "commit"> {
  if (commit === undefined)
    throw new Error("the release does not name its commit: publish it from a clone without changes")
  if (revision !== commit) {
    throw new Error(
      `the report is about ${revision ?? "no commit"}, and the release about ${commit}; allowed: a report about the same commit`,
    )
  }
  const ran = gates.filter(({ outcome }) => outcome !== "skipped")
  const missing = [...services, "security"].filter(
    (group) => !ran.some(({ gate }) => gate.startsWith(`${group}:`)),
  )
  if (missing.length > 0 || (because !== undefined && !because.startsWith("All gates run"))) {
    const why = missing.length > 0 ? `no gates of ${missing.join(", ")} ran` : (because ?? "")
    throw new Error(`the report is not about all of the release: ${why}; allowed: a report of all gates`)
  }
  const unmet = gates.filter(({ outcome }) => !["passed", "skipped"].includes(outcome))
  return { verdict: unmet.length === 0 ? "passed" : "failed", commit }
}

/** The latest verdict of a digest counts. Of two within the same second, a failure counts. */
export function passedImages(objects: KubernetesObject[]): { digests: string[]; at: number } | undefined {
  const latest = new Map<string, { at: number; passed: boolean }>()
  for (const { metadata, data = {} } of objects) {
    const at = new Date(metadata?.creationTimestamp ?? NaN).getTime()
    const passed = data.verdict === "passed" && Number.isFinite(at)
    for (const digest of (data.digests ?? "").split("\n").filter((line) => digestPattern.test(line))) {
      const known = latest.get(digest)
      if (!known || at > known.at || !(at < known.at || passed)) latest.set(digest, { at, passed })
    }
  }
  const passes = [...latest].filter(([, { passed }]) => passed)
  if (passes.length === 0) return undefined
  return {
    digests: passes.map(([digest]) => digest),
    at: Math.max(...passes.map(([, { at }]) => at)),
  }
}
