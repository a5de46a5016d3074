import { z } from "zod"
import { analysisSection } from "../backends/analysis/rules.js"
import { ConfigurationError, type Layer, readLayers, section } from "../lib/document.js"
import { guardsNamespace } from "../delivery/access.js"
import { guardsSection } from "../delivery/guards/configuration.js"
import { identitiesSection } from "../delivery/guards/identities.js"
import { serviceName, variablePattern, workloadSection } from "../backends/manifests/configuration.js"
import {
  type BackupSettings,
  backupSection,
  databaseSection,
  type DatabaseSettings,
} from "../databases/settings.js"
import { modelSection, type ModelSettings, modelVariables, registryPort } from "../models/settings.js"
import { flagsSection, frontendSection, type FrontendSettings } from "../frontends/settings.js"
import { egressRules } from "../backends/manifests/objects.js"
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
  .max(253, "a host name of at most 253 characters")
const path = z.string().startsWith("/", "a path that begins with /")

/** A mapping from services' names; a wrong name is reported with what is allowed. */
const byService = <Value extends z.ZodType>(value: Value) =>
  z.record(serviceName, value, {
    error: (issue) =>
      issue.code === "invalid_key" ? (issue.issues as { message: string }[])[0]?.message : undefined,
  })

const gateway = section({
  name,
  namespace: name,
  section: name.optional(),
  class: name.optional(),
  port: z.int().min(1).max(65535).optional(),
  certificate: name.optional(),
}).superRefine((found, context) => {
  const { class: className, section: listener, ...more } = found
  const fault = (path: string, message: string) => {
    context.addIssue({ code: "custom", path: [path], message })
  }
  if (className !== undefined && listener !== undefined) {
    fault(
      "section",
      "only without class, as a listener of a Gateway that exists: with class, `access` makes a listener for each host name",
    )
  }
  if (className === undefined && listener === undefined) {
    fault(
      "class",
      "the class of the Gateway that `access` makes, or section: a listener that no other environment uses, of one that exists",
    )
  }
  for (const one of ["port", "certificate"] as const) {
    if (className === undefined && more[one] !== undefined)
      fault(one, "only with class: an existing Gateway has its own")
  }
})

const environment = section({
  // Another namespace is named after it.
  namespace: name.max(
    63 - guardsNamespace("").length,
    `at most ${63 - guardsNamespace("").length} characters`,
  ),
  gateway,
  datadog: section({ site: hostname, prefix: z.string().default("") }).optional(),
  services: byService(
    section({
      hostnames: z.array(hostname).min(1),
      replicas: workloadSection.shape.replicas.optional(),
      backup: backupSection.optional(),
      variables: workloadSection.shape.environment,
      flags: flagsSection,
    }).superRefine(({ variables, flags }, context) => {
      if ("FLAGS" in variables && Object.keys(flags).length > 0)
        context.addIssue({ code: "custom", path: ["flags"], message: "only without the variable FLAGS" })
    }),
  ),
  frontends: byService(frontendSection).default({}),
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
  services: byService(
    section({
      secrets,
      probe: z.array(path).min(1),
      workload: workloadSection,
      database: databaseSection.optional(),
      model: modelSection.optional(),
    }),
  ),
}).superRefine(({ analysis, environments, services }, context) => {
  const known = Object.keys(services)
  const databases = Object.entries(services).flatMap(([service, { database, secrets }]) =>
    database ? [{ service, name: database.name, secrets }] : [],
  )
  for (const [at, { service, name, secrets }] of databases.entries()) {
    const fault = (key: string, message: string) => {
      context.addIssue({ code: "custom", path: ["services", service, ...key.split(".")], message })
    }
    const other = databases.slice(0, at).find((one) => one.name === name)
    if (other) fault("database.name", `another name than that of the database of ${other.service}`)
    if (known.includes(name)) fault("database.name", "a name that no service has, such as recipes")
    if (!secrets.some(({ variable }) => variable === "DATABASE_URL"))
      fault(
        "database",
        `only for a service with the secret DATABASE_URL: add it to services.${service}.secrets`,
      )
  }
  const taken = [...known, ...databases.map((database) => database.name)]
  const models = Object.entries(services).flatMap(([service, { model }]) =>
    model ? [{ service, name: model.name }] : [],
  )
  for (const [at, { service, name }] of models.entries()) {
    if (!taken.includes(name) && !models.slice(0, at).some((other) => other.name === name)) continue
    context.addIssue({
      code: "custom",
      path: ["services", service, "model", "name"],
      message: "a name that no service, database or other model has, such as f1-winners",
    })
  }
  taken.push(...models.map(({ name }) => name))
  for (const [at, { frontends }] of Object.entries(environments)) {
    for (const app of Object.keys(frontends).filter((one) => taken.includes(one))) {
      context.addIssue({
        code: "custom",
        path: ["environments", at, "frontends", app],
        message: "a web app, whose name no backend, database or model has",
      })
    }
  }
  for (const [path, message] of sharedEntrances(environments))
    context.addIssue({ code: "custom", path, message })
  for (const [at, found] of Object.entries(environments))
    for (const [path, message] of ambiguousPreviews(found))
      context.addIssue({ code: "custom", path: ["environments", at, ...path], message })
  for (const [at, { rollout }] of Object.entries(environments)) {
    const { strategy, steps } = rollout
    const { comparison, interval } = analysis
    const most = Math.max(0, ...steps.map((step) => Math.floor(step.for / interval)))
    if (!comparison || strategy !== "canary" || most >= comparison.points) continue
    context.addIssue({
      code: "custom",
      path: ["environments", at, "rollout", "steps"],
      message: `a step of at least ${comparison.points * interval}s, or fewer points or a shorter interval in analysis: no step has the ${comparison.points} points that its comparison needs, so it would never be made`,
    })
  }
  for (const [at, { services: there }] of Object.entries(environments)) {
    for (const [service, { backup }] of Object.entries(there)) {
      if (backup && services[service] && !services[service].database) {
        context.addIssue({
          code: "custom",
          path: ["environments", at, "services", service, "backup"],
          message: `only for a service with a database: add services.${service}.database`,
        })
      }
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

type Entrance = Pick<z.output<typeof environment>, "namespace" | "gateway" | "services" | "frontends">

/** Whatever two environments share of the way that requests come in: one of them could take the other's. */
function sharedEntrances(environments: Record<string, Entrance>): [(string | number)[], string][] {
  const all = Object.entries(environments)
  return all.flatMap(([one, first], at) =>
    all.slice(at + 1).flatMap(([other, second]): [(string | number)[], string][] => {
      const path = ["environments", other]
      const taken = hostnamesOf(first)
      return [
        ...(namespacesOf(first).some((namespace) => namespacesOf(second).includes(namespace))
          ? [[[...path, "namespace"], `another one than that of ${one}`] as [string[], string]]
          : []),
        ...(sameGateway(first.gateway, second.gateway)
          ? [[[...path, "gateway"], `another Gateway or section than that of ${one}`] as [string[], string]]
          : []),
        ...Object.entries(second.frontends).flatMap(([app, two]): [(string | number)[], string][] => {
          const same = Object.entries(first.frontends).some(
            ([theirs, { bucket, prefix, endpoint }]) =>
              theirs === app && bucket === two.bucket && prefix === two.prefix && endpoint === two.endpoint,
          )
          const message = `another bucket or prefix than that of ${app} of ${one}`
          const edges = Object.values(first.frontends).map(({ edge }) => placeOf(edge))
          return [
            ...(same ? [[[...path, "frontends", app, "bucket"], message] as [string[], string]] : []),
            ...(edges.includes(placeOf(two.edge))
              ? [
                  [[...path, "frontends", app, "edge"], `another edge than one of ${one}`] as [
                    string[],
                    string,
                  ],
                ]
              : []),
          ]
        }),
        ...hostnamesOf(second).flatMap(({ hostname, place }): [(string | number)[], string][] => {
          const theirs = taken.find((name) => overlap(name.hostname, hostname))
          if (theirs === undefined) return []
          return [[[...path, ...place], `${hostname} overlaps with ${theirs.hostname} of ${one}`]]
        }),
      ]
    }),
  )
}

interface PlacedHostname {
  hostname: string
  /** The component that it leads to. */
  of: string
  isPreview: boolean
  /** In the environment's settings. */
  place: (string | number)[]
}

/** Every host name of an environment. */
function hostnamesOf({ services, frontends }: Pick<Entrance, "services" | "frontends">): PlacedHostname[] {
  const listed = (kind: string, all: Record<string, { hostnames: string[] }>): PlacedHostname[] =>
    Object.entries(all).flatMap(([of, { hostnames }]) =>
      hostnames.map((hostname, index) => ({
        hostname,
        of,
        isPreview: false,
        place: [kind, of, "hostnames", index],
      })),
    )
  const previews = Object.entries(frontends).flatMap(([of, app]) => {
    const { domain } = app.previews
    const place = ["frontends", of, "previews", "domain"]
    return domain === undefined ? [] : [{ hostname: `*.${domain}`, of, isPreview: true, place }]
  })
  return [...listed("services", services), ...listed("frontends", frontends), ...previews]
}

/** Domains of previews that lead to something else of the same environment too. */
function ambiguousPreviews(entrance: Entrance): [(string | number)[], string][] {
  const all = hostnamesOf(entrance)
  return all
    .filter(({ isPreview }) => isPreview)
    .flatMap(({ hostname, of, place }): [(string | number)[], string][] => {
      const other = all.find((one) => one.of !== of && overlap(one.hostname, hostname))
      return other ? [[place, `another domain than host names of ${other.of} have`]] : []
    })
}

/** What one deploy changes for the visitors of an edge. */
const placeOf = (edge: Entrance["frontends"][string]["edge"]): string =>
  edge.kind === "key-value-store" ? edge.store : edge.distribution

const namespacesOf = ({ namespace }: Entrance) => [namespace, guardsNamespace(namespace)]

/** An environment without a section uses the whole Gateway. */
export function sameGateway(one: Entrance["gateway"], other: Entrance["gateway"]): boolean {
  const same = one.name === other.name && one.namespace === other.namespace
  return same && (one.section === undefined || other.section === undefined || one.section === other.section)
}

/** Whether some host name matches both. A wildcard stands for one label or more. */
export function overlap(one: string, other: string): boolean {
  const covers = (wide: string, narrow: string) =>
    wide === narrow || (wide.startsWith("*.") && narrow.endsWith(wide.slice(1)))
  return covers(one, other) || covers(other, one)
}

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
    .map(([service, { hostnames, replicas, variables, flags }]) => {
      const settings = configuration.services[service]
      if (!settings) throw new ConfigurationError(`${deployFile}: services has no ${service}`)
      const { workload, secrets, probe, model } = settings
      const { from, to } = workload.network
      const on = Object.keys(flags).filter((name) => flags[name])
      const registry = model ? [{ cidr: "0.0.0.0/0", ports: [registryPort(model)] }] : []
      return {
        service,
        hostnames,
        variables: {
          ...(model && modelVariables(model)),
          ...(on.length > 0 && { FLAGS: on.sort().join(",") }),
          ...variables,
        },
        probe,
        secrets: secrets.map(({ variable, from, optional }) => ({
          variable,
          optional,
          entry: secretEntry(from, at.name),
        })),
        workload: {
          ...workload,
          replicas: replicas ?? workload.replicas,
          network: { from: [{ namespace: at.gateway.namespace }, ...from], to: [...to, ...registry] },
        },
      }
    })
}

/** The settings of the databases that an environment's services own, in the order of the file. */
export function databaseSettings(configuration: DeployConfiguration, at: Environment): DatabaseSettings[] {
  return backendSettings(configuration, at, []).flatMap(({ service, workload, variables }) => {
    const { database } = configuration.services[service] ?? {}
    if (!database) return []
    const backup: BackupSettings = at.services[service]?.backup ?? database.backup
    return [
      {
        ...database,
        backup,
        service,
        environment: at.name,
        namespace: at.namespace,
        application: {
          memory: { request: workload.resources.requests.memory, limit: workload.resources.limits.memory },
          temporary: workload.temporary,
        },
        variables: { ENVIRONMENT: at.name, ...workload.environment, ...variables },
        egress: egressRules(workload.network),
        pullSecrets: workload.pullSecrets,
      },
    ]
  })
}

/** The settings of the models that an environment's services serve, in the order of the file. */
export function modelSettings(configuration: DeployConfiguration, at: Environment): ModelSettings[] {
  return backendSettings(configuration, at, []).flatMap(({ service, workload, variables }) => {
    const { model } = configuration.services[service] ?? {}
    if (!model) return []
    return [
      {
        ...model,
        service,
        environment: at.name,
        namespace: at.namespace,
        variables: { ENVIRONMENT: at.name, ...workload.environment, ...variables },
        egress: egressRules(workload.network),
        pullSecrets: workload.pullSecrets,
      },
    ]
  })
}

/** The settings of an environment's web apps. */
export const frontendSettings = ({ name, namespace, frontends }: Environment): FrontendSettings[] =>
  Object.entries(frontends).map(([app, settings]) => ({ ...settings, app, environment: name, namespace }))
