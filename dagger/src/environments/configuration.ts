import { z } from "zod"
import { analysisSection } from "../backends/analysis/rules.js"
import { ConfigurationError, type Layer, readLayers, section } from "../lib/document.js"
import { approvalsNamespace } from "../delivery/access.js"
import { guardsSection } from "../delivery/guards/configuration.js"
import { identitiesSection } from "../delivery/guards/identities.js"
import { serviceName, variablePattern, workloadSection } from "../backends/manifests/configuration.js"
import { rolloutSection } from "../backends/rollout/configuration.js"
import type { BackendSettings } from "../backends/settings.js"
import { backendSecrets, type EnvironmentName, environmentNames, secretEntry } from "./secrets.js"

export const deployFile = "dagger/config/deploy.yaml"

const name = z
  .string()
  .regex(/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/, "a lower-case name of letters, digits and hyphens")
const hostname = z
  .string()
  .regex(/^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*$/, "a host name, such as api.example.com")
const path = z.string().startsWith("/", "a path that begins with /")

/** A mapping from services' names; a wrong name is reported with what is allowed. */
const byService = <Value extends z.ZodType>(value: Value) =>
  z.record(serviceName, value, {
    error: (issue) =>
      issue.code === "invalid_key" ? (issue.issues as { message: string }[])[0]?.message : undefined,
  })

const environment = section({
  // The approvals' namespace is named after it.
  namespace: name.max(
    63 - approvalsNamespace("").length,
    `at most ${63 - approvalsNamespace("").length} characters`,
  ),
  gateway: section({ name, namespace: name, section: name.optional() }),
  after: z.enum(environmentNames).optional(),
  datadog: section({ site: hostname, prefix: z.string().default("") }).optional(),
  services: byService(
    section({
      hostnames: z.array(hostname).min(1),
      replicas: workloadSection.shape.replicas.optional(),
      variables: workloadSection.shape.environment,
    }),
  ),
  rollout: rolloutSection,
  guards: guardsSection,
})

const secret = section({ from: z.enum(backendSecrets).optional(), optional: z.boolean().default(false) })

const secrets = z.record(z.string(), secret).transform((all, context) =>
  Object.entries(all).map(([name, { from = name, optional }]) => {
    const fault = (message: string) => {
      context.addIssue({ code: "custom", path: [name], message })
    }
    if (!variablePattern.test(name)) fault("a variable's name is of capital letters, digits and _")
    const secret = backendSecrets.find((known) => known === from)
    if (!secret) fault(`from names one of the pipeline's secrets; allowed: ${backendSecrets.join(", ")}`)
    return { variable: name, from: secret ?? "DATABASE_URL", optional }
  }),
)

const schema = section({
  identities: identitiesSection,
  environments: section({ staging: environment, production: environment }),
  analysis: analysisSection,
  services: byService(section({ secrets, probe: z.array(path).min(1), workload: workloadSection })),
}).superRefine(({ environments, services }, context) => {
  const known = Object.keys(services)
  for (const [at, { services: there, guards }] of Object.entries(environments)) {
    // A guard that nothing can satisfy yet would stop every deploy when it is too late.
    if (guards.signature === "required") {
      context.addIssue({
        code: "custom",
        path: ["environments", at, "guards", "signature"],
        message: "signatures of images cannot be verified yet; allowed: none",
      })
    }
    for (const service of Object.keys(there).filter((one) => !known.includes(one))) {
      context.addIssue({
        code: "custom",
        path: ["environments", at, "services", service],
        message: `no such service; allowed: ${known.join(", ")}`,
      })
    }
  }
})

/** How the backends run, and how a revision gets there; see `dagger/config/deploy.yaml`. */
export type DeployConfiguration = z.output<typeof schema>
export type Environment = DeployConfiguration["environments"][EnvironmentName] & { name: EnvironmentName }

/**
 * Reads deploy.yaml.
 *
 * @param settings files that are laid over it, each over those before it
 * @throws ConfigurationError with every fault, each with its file and line
 */
export function readDeploy(text: string, ...settings: Layer[]): DeployConfiguration {
  return readLayers([{ file: deployFile, text }, ...settings], schema)
}

/** @throws Error for a name that is none */
export function environmentOf({ environments }: DeployConfiguration, named: string): Environment {
  const found = environmentNames.find((one) => one === named)
  if (!found) throw new Error(`there is no environment "${named}"; allowed: ${environmentNames.join(", ")}`)
  return { name: found, ...environments[found] }
}

/**
 * The settings of an environment's backends.
 *
 * @param only names of backends; all, if empty
 * @throws Error for a backend that the environment does not have
 */
export function backendSettings(
  configuration: DeployConfiguration,
  at: Environment,
  only: string[],
): BackendSettings[] {
  const names = Object.keys(at.services)
  const unknown = only.filter((service) => !names.includes(service))
  if (unknown.length > 0 || names.length === 0) {
    throw new Error(`${at.name} has no service ${unknown.join(", ")}; allowed: ${names.join(", ")}`)
  }
  return Object.entries(at.services)
    .filter(([service]) => only.length === 0 || only.includes(service))
    .map(([service, { hostnames, replicas, variables }]) => {
      const settings = configuration.services[service]
      if (!settings) throw new ConfigurationError(`${deployFile}: services has no ${service}`)
      const { workload, secrets, probe } = settings
      const { from, to } = workload.network
      return {
        service,
        hostnames,
        variables,
        probe,
        secrets: secrets.map(({ variable, from, optional }) => ({
          variable,
          optional,
          entry: secretEntry(from, at.name),
        })),
        workload: {
          ...workload,
          replicas: replicas ?? workload.replicas,
          network: { from: [{ namespace: at.gateway.namespace }, ...from], to },
        },
      }
    })
}
