import { stringify } from "yaml"
import type { V1Deployment } from "@kubernetes/client-node"
import {
  baselineObjects,
  revisionObjects,
  routeObject,
  stableService,
} from "../backends/manifests/objects.js"
import type { Manifest, Plain } from "../clients/kubernetes/manifest.js"
import { trainingObjects } from "../models/job.js"
import { environmentAccess } from "./access.js"
import { migrationObjects } from "../databases/job.js"
import {
  backendSettings,
  databaseSettings,
  modelSettings,
  type DeployConfiguration,
  environmentOf,
} from "./configuration.js"

/** Stands for an image that was pushed. */
const digest = `sha256:${"0".repeat(64)}`
const imageOf = (service: string) => `registry.example.com/${service}@${digest}`

/**
 * The manifests of every environment, as YAML by file name: what a deploy applies for its backends and databases, and what an administrator applies for access. Secrets hold
 * placeholders.
 *
 * @param watchdog the program of the watchdog
 */
export function manifestsOf(configuration: DeployConfiguration, watchdog: string): Record<string, string> {
  const files: Record<string, Manifest[]> = {}
  for (const name of Object.keys(configuration.environments)) {
    const environment = environmentOf(configuration, name)
    const { namespace, gateway } = environment
    const databases = databaseSettings(configuration, environment)
    const models = modelSettings(configuration, environment)
    for (const settings of backendSettings(configuration, environment, [])) {
      const { service, workload, hostnames, variables, secrets } = settings
      const address = { namespace, service, revision: 2, port: workload.port }
      const objects = revisionObjects(workload, {
        environment: name,
        namespace,
        service,
        revision: 2,
        image: imageOf(service),
        digest,
        version: "0.0.0",
        config: variables,
        secrets: Object.fromEntries(secrets.map(({ variable }) => [variable.toLowerCase(), "placeholder"])),
      })
      const deployment = objects.find(({ kind }) => kind === "Deployment") as Plain<V1Deployment>
      files[`${name}-${service}.yaml`] = [
        ...objects,
        ...baselineObjects(deployment, { ...address, replicas: workload.replicas.min }),
        stableService(address),
        routeObject({
          namespace,
          service,
          hostnames,
          gateway: {
            name: gateway.name,
            namespace: gateway.namespace,
            ...(gateway.section !== undefined && { section: gateway.section }),
          },
          backends: [
            { revision: 1, weight: 80 },
            { revision: 2, weight: 10 },
            { revision: 2, baseline: true, weight: 10 },
          ],
          port: workload.port,
        }),
      ]
    }
    files[`${name}-access.yaml`] = environmentAccess(
      environment,
      {
        deployers: [{ kind: "ServiceAccount", namespace, name: "deployer" }],
        approvers: [{ kind: "Group", name: "approvers" }],
        checkers: [{ kind: "User", name: "ci" }],
      },
      watchdog,
      databases,
      models,
    )
    for (const settings of databases) {
      const run = { id: "20261128-100000-abcd", mode: "migrate", image: imageOf(settings.service) } as const
      const { job, networkPolicy, owned } = migrationObjects(
        settings,
        { ...run, allowBreaking: false },
        { database_url: "placeholder" },
      )
      files[`${name}-${settings.name}.yaml`] = [networkPolicy, job, ...owned("placeholder")]
    }
    for (const settings of models) {
      const run = { id: "20261128-100000-abcd", image: imageOf(settings.service), force: false }
      const { job, networkPolicy, owned } = trainingObjects(settings, run, { database_url: "placeholder" })
      files[`${name}-${settings.name}.yaml`] = [networkPolicy, job, ...owned("placeholder")]
    }
  }
  return Object.fromEntries(
    Object.entries(files).map(([file, objects]) => [
      file,
      objects.map((object) => stringify(object)).join("---\n"),
    ]),
  )
}
