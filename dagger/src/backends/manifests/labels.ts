import { managedBy } from "../../clients/kubernetes/manifest.js"

/** The labels that things are found by, and the version, for people. */
export const labels = {
  service: "app.kubernetes.io/name",
  revision: "pitwall.dev/revision",
  /** In place of the revision's, on what a fresh baseline is made of: the revision that is judged against it. */
  baseline: "pitwall.dev/baseline",
  version: "app.kubernetes.io/version",
}

/** What is written on a revision's objects. */
export const annotations = {
  digest: "pitwall.dev/digest",
  environment: "pitwall.dev/environment",
  /** What the revision was made from, secrets aside. */
  fingerprint: "pitwall.dev/fingerprint",
  /** What came of its rollout. */
  outcome: "pitwall.dev/outcome",
  /** The revision that had all traffic when this one was promoted: where a rollback from it goes. */
  replaced: "pitwall.dev/replaced",
  schemaHead: "pitwall.dev/schema-head",
  schemaBreaking: "pitwall.dev/schema-breaking",
  /** On an autoscaler that is held at more pods than it would have: its own least number. */
  least: "pitwall.dev/least-replicas",
}

/** What a service's own objects say of themselves, and a revision's where there is one. */
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

/** What a fresh baseline's objects say of themselves; nothing that looks for a revision's is to find them. */
export function baselineLabels(service: string, revision: number): Record<string, string> {
  return {
    ...labelsOf(service),
    "app.kubernetes.io/instance": baselineName(service, revision),
    [labels.baseline]: String(revision),
  }
}

/** What every object of a revision is called; as a Service, its preview address. */
export const revisionName = (service: string, revision: number): string => `${service}-${revision}`

/** The same of the fresh baseline that a revision is judged against. */
export const baselineName = (service: string, revision: number): string =>
  `${revisionName(service, revision)}-baseline`

/** Whose pods are meant: a revision's own, or those of the fresh baseline that it is judged against. */
export const objectNames = { revision: revisionName, baseline: baselineName }
export type PodRole = keyof typeof objectNames

/** The name of the port that a service listens on, in its pods and Services. */
export const portName = "http"
