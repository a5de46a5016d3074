import type { Workload } from "./manifests/configuration.js"
import type { RolloutSettings } from "./rollout/configuration.js"

/** A variable that a backend reads from its Secret. */
export interface BackendSecret {
  /** The variable's name in the backend. */
  variable: string
  /** The entry of the secrets file that it comes from. */
  entry: string
  optional: boolean
}

/** How a backend runs in one environment. */
export interface BackendSettings {
  service: string
  workload: Workload
  hostnames: string[]
  variables: Record<string, string>
  secrets: BackendSecret[]
  /** Paths that are requested before a revision has users, so that there is something to analyse. */
  probe: string[]
}

/** The environment that backends run in. */
export interface BackendEnvironment {
  name: string
  namespace: string
  gateway: { name: string; namespace: string; section?: string | undefined }
  rollout: RolloutSettings
}
