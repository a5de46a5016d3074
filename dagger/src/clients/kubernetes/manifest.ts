import type { KubernetesObject } from "@kubernetes/client-node"

/**
 * A class of the Kubernetes client as it travels: plain data, under the names of the API. The client writes `_from` for `from`, and turns it back when it is
 * asked to serialise; objects here are sent as they are.
 */
export type Plain<Kind> = Kind extends Date
  ? Kind
  : Kind extends (infer Item)[]
    ? Plain<Item>[]
    : Kind extends object
      ? { [Name in keyof Kind as Name extends `_${infer Bare}` ? Bare : Name]: Plain<Kind[Name]> }
      : Kind

/** Any object, to be sent to an API server. */
export type Manifest = Plain<KubernetesObject>

/** The label of every object that the pipeline writes. */
export const managedBy = { "app.kubernetes.io/managed-by": "pitwall" }
