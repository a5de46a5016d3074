/** The labels that things are found by. */
export const labels = {
  service: "app.kubernetes.io/name",
  revision: "pitwall.dev/revision",
}

/** What is written on a revision's objects. */
export const annotations = {
  digest: "pitwall.dev/digest",
  environment: "pitwall.dev/environment",
  schemaHead: "pitwall.dev/schema-head",
  schemaBreaking: "pitwall.dev/schema-breaking",
}

export const managedBy = { "app.kubernetes.io/managed-by": "pitwall" }

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

/** What every object of a revision is called; as a Service, its preview address. */
export const revisionName = (service: string, revision: number): string => `${service}-${revision}`
