import { dag, type Directory, type Secret, type Service, type Workspace } from "@dagger.io/dagger"
import { Pipeline, type PortablePasses } from "../ci/pipeline.js"
import type { GateOptions } from "../ci/gates/gates.js"
import { deployFile, readDeploy } from "../environments/configuration.js"
import { givenSecrets, watchdogFile } from "../environments/environment.js"
import { manifestsOf } from "../environments/manifests.js"
import { secondsOf } from "../lib/duration.js"
import { useCaches } from "../platform/caches.js"

/** Seconds and users of the load that `ci --performance` adds. */
const performanceLoad = { users: 50, seconds: 60 }

/**
 * The gates of the repository, with the manifests that its configuration makes.
 *
 * @param caches see {@link useCaches}
 */
export function pipelineOf(
  source: Directory,
  caches: string,
  workspace?: Workspace,
  options: GateOptions & { passes?: PortablePasses } = {},
): Pipeline {
  useCaches(caches)
  const manifests = async () => {
    const [configuration, watchdog] = await Promise.all([
      source.file(deployFile).contents(),
      source.file(watchdogFile).contents(),
    ])
    return manifestsOf(readDeploy(configuration), watchdog)
  }
  return new Pipeline(source, manifests, workspace, options)
}

/** The gates with what the command line says about them. The Snyk token and the key for passes are entries of the secrets file. */
export async function gatesOf(
  source: Directory,
  caches: string,
  options: {
    workspace?: Workspace
    secrets?: Secret
    vulnerabilities?: string
    /** Serves the vulnerability database. */
    database?: Service
    performance?: boolean
    /** Passes of other machines. */
    passes?: Directory
  },
): Promise<Pipeline> {
  const { workspace, database, performance, vulnerabilities, passes: folder } = options
  const { SNYK_TOKEN: token, PASSES_SIGNING_KEY: signingKey } = await givenSecrets(options)
  return pipelineOf(source, caches, workspace, {
    ...(performance && { load: performanceLoad }),
    ...(vulnerabilities !== undefined && { database: vulnerabilities }),
    ...(database && { registry: database }),
    ...(token !== undefined && { snykToken: dag.setSecret("SNYK_TOKEN", token) }),
    passes: { ...(folder && { folder }), ...(signingKey !== undefined && { signingKey }) },
  })
}

/** @throws Error for less than one user, and for a duration that cannot be read */
export function loadGatesOf(source: Directory, caches: string, users: number, duration: string): Pipeline {
  if (users < 1) throw new Error(`${users} users are no load; allowed: 1 and more`)
  return pipelineOf(source, caches, undefined, { load: { users, seconds: secondsOf(duration) } })
}
