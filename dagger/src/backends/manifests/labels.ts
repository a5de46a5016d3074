import { managedBy } from "../../clients/kubernetes/manifest.js"

/** Labels that select objects, and the version for people. */
export const labels = {
  service: "app.kubernetes.io/name",
  revision: "pitwall.dev/revision",
  /** On objects of a fresh baseline, instead of the revision's label: the revision that is compared with it. */
  baseline: "pitwall.dev/baseline",
  version: "app.kubernetes.io/version",
}

/** Annotations of a revision's objects. */
export const annotations = {
  digest: "pitwall.dev/digest",
  environment: "pitwall.dev/environment",
  /** See `fingerprintOf`. */
  fingerprint: "pitwall.dev/fingerprint",
  /** The outcome of its rollout. */
  outcome: "pitwall.dev/outcome",
  /** The revision that had all traffic when this one was promoted: where a rollback from it goes. */
  replaced: "pitwall.dev/replaced",
  /** The commit that the image was built from. */
  commit: "pitwall.dev/commit",
  schemaHead: "pitwall.dev/schema-head",
  schemaBreaking: "pitwall.dev/schema-breaking",
  /** The autoscaler's own minimum, while a rollout holds it at more pods. */
  least: "pitwall.dev/least-replicas",
}

/** The labels of a service's objects, or of a revision's. */
export function labelsOf(service: string, revision?: number): Record<string, string> {
  return {
    [labels.service]: service,
    "app.kubernetes.io/instance": revision === undefined ? service : revisionName(service, revision),
    "app.kubernetes.io/component": "backend",
    "app.kubernetes.io/part-of": "f1-prediction-analytics",
    ...managedBy,
    ...(revision !== undefined && { [labels.revision]: String(revision) }),
  }
}

/** The labels of a fresh baseline's objects. No selector of a revision matches them. */
export function baselineLabels(service: string, revision: number): Record<string, string> {
  return {
    ...labelsOf(service),
    "app.kubernetes.io/instance": baselineName(service, revision),
    [labels.baseline]: String(revision),
  }
}

/** The name of a revision's objects. The Service of that name is its preview address. */
export const revisionName = (service: string, revision: number): string => `${service}-${revision}`

/** The name of the objects of the fresh baseline that a revision is compared with. */
export const baselineName = (service: string, revision: number): string =>
  `${revisionName(service, revision)}-baseline`

/** Names by role: a revision's own objects, or those of the fresh baseline that it is compared with. */
export const objectNames = { revision: revisionName, baseline: baselineName }
export type PodRole = keyof typeof objectNames

/** The name of the port that a service listens on, in its pods and Services. */
export const portName = "http"
