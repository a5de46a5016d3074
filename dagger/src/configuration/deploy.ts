import { z } from "zod"
import { analysisSection } from "../backends/analysis/rules.js"
import { ConfigurationError, type Layer, readLayers, section } from "../lib/document.js"
import { approvalsNamespace } from "../delivery/access.js"
import { guardsSection } from "../delivery/guards/configuration.js"
import {
  serviceName,
  variablePattern,
  type Workload,
  workloadSection,
} from "../backends/manifests/configuration.js"
import { rolloutSection } from "../backends/rollout/configuration.js"

export const deployFile = "dagger/config/deploy.yaml"

export const environmentNames = ["staging", "production"] as const
export type EnvironmentName = (typeof environmentNames)[number]

/** The pipeline's secrets that backends need, with the flag that gives each; some are another one in each environment. */
export const secretSources = {
  DATABASE_URL: { flag: "--database-url", each: true },
  F1_DATABASE_URL: { flag: "--f-1-database-url", each: true },
  REDIS_URL: { flag: "--redis-url", each: true },
  JWT_SECRET_KEY: { flag: "--jwt-secret-key", each: false },
  ERGAST_API_KEY: { flag: "--ergast-api-key", each: false },
  WEATHER_API_KEY: { flag: "--weather-api-key", each: false },
} as const
export type SecretSource = keyof typeof secretSources
const sources = Object.keys(secretSources) as [SecretSource, ...SecretSource[]]

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

const secret = section({ from: z.enum(sources).optional(), optional: z.boolean().default(false) })

const secrets = z.record(z.string(), secret).transform((all, context) =>
  Object.entries(all).map(([name, { from = name, optional }]) => {
    const fault = (message: string) => {
      context.addIssue({ code: "custom", path: [name], message })
    }
    if (!variablePattern.test(name)) fault("a variable's name is of capital letters, digits and _")
    if (!isSource(from))
      fault(`from says which of the pipeline's secrets it is; allowed: ${sources.join(", ")}`)
    return { variable: name, from: from as SecretSource, optional }
  }),
)

const isSource = (text: string): text is SecretSource => Object.hasOwn(secretSources, text)

const schema = section({
  environments: section({ staging: environment, production: environment }),
  analysis: analysisSection,
  services: byService(section({ secrets, probe: z.array(path).min(1), workload: workloadSection })),
}).superRefine(({ environments, services }, context) => {
  const known = Object.keys(services)
  for (const [at, { services: there }] of Object.entries(environments)) {
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

/** A service as it is in an environment. */
export interface Placement {
  service: string
  workload: Workload
  hostnames: string[]
  variables: Record<string, string>
  secrets: DeployConfiguration["services"][string]["secrets"]
  probe: string[]
}

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
 * The services of an environment.
 *
 * @param only some of them; all, if none is named
 * @throws Error for a service that is not there
 */
export function placements(configuration: DeployConfiguration, at: Environment, only: string[]): Placement[] {
  const there = Object.keys(at.services)
  const unknown = only.filter((service) => !there.includes(service))
  if (unknown.length > 0 || there.length === 0) {
    throw new Error(`${at.name} has no service ${unknown.join(", ")}; allowed: ${there.join(", ")}`)
  }
  return Object.entries(at.services)
    .filter(([service]) => only.length === 0 || only.includes(service))
    .map(([service, { hostnames, replicas, variables }]) => {
      const settings = configuration.services[service]
      if (!settings) throw new ConfigurationError(`${deployFile}: services has no ${service}`)
      const { workload, secrets, probe } = settings
      const { from, to } = workload.network
      return {
        ...{ service, hostnames, variables, secrets, probe },
        workload: {
          ...workload,
          replicas: replicas ?? workload.replicas,
          network: { from: [{ namespace: at.gateway.namespace }, ...from], to },
        },
      }
    })
}

/** How a secret is given on the command line, for messages. */
export function secretFlag(from: SecretSource, environment: EnvironmentName): string {
  const { flag, each } = secretSources[from]
  return `${flag} env://${each ? `${environment.toUpperCase()}_` : ""}${from}`
}
