import { z } from "zod"
import { section } from "../../lib/document.js"
import { configuredDuration } from "../../lib/duration.js"
import { amountOf, cpu, memory } from "../../lib/quantity.js"
import { temporaryFolder } from "../../platform/pod-security.js"

const port = z.int().min(1).max(65535)
const count = z.int().min(1).max(1000)
const label = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    "a name of at most 63 lower-case letters, digits and hyphens, a letter or digit first and last",
  )

/** Room for the longest suffix of a derived name: the watchdog's Job is `<service>-watch-20261126-101500-x7k2`, and a Job's name has at most 63 characters. */
const longestService = 63 - "-watch-20261126-101500-x7k2".length

/** A service's name, which becomes part of the names of its objects. */
export const serviceName = z
  .string()
  .regex(
    new RegExp(`^[a-z]([a-z0-9-]{0,${longestService - 2}}[a-z0-9])?$`),
    `a lower-case name of at most ${longestService} letters, digits and hyphens, so that names of objects made from it are not too long`,
  )
  .refine(
    (name) => !/-\d+(-baseline)?$/.test(name),
    "a name that no revision of another service can have, as api-3",
  )
  // Its pods would have the watchdog's rights.
  .refine((name) => !name.startsWith("pitwall-"), "a name that does not begin with pitwall-")

const resources = section({
  requests: section({ cpu, memory }),
  limits: section({ cpu: cpu.optional(), memory }),
}).superRefine(({ requests, limits }, context) => {
  for (const name of ["cpu", "memory"] as const) {
    const limit = limits[name]
    if (limit !== undefined && amountOf(limit) < amountOf(requests[name])) {
      context.addIssue({
        code: "custom",
        path: ["limits", name],
        message: `at least what is requested, ${requests[name]}`,
      })
    }
  }
})

/** Bounds of seconds that Kubernetes and the services' own settings allow. */
const within = (least: number, most: number) =>
  configuredDuration.refine((seconds) => seconds >= least && seconds <= most, `from ${least}s to ${most}s`)

const probe = (path: string, period: string, timeout: string, failures: number) =>
  section({
    path: z.string().startsWith("/", "a path that begins with /").default(path),
    period: within(1, 300).prefault(period),
    timeout: within(1, 60).prefault(timeout),
    failures: count.default(failures),
  }).prefault({})

const probes = section({
  startup: probe("/health/live", "2s", "3s", 60),
  liveness: probe("/health/live", "10s", "3s", 3),
  // The service's own checks of its stores time out after two seconds, so it can still report them.
  readiness: probe("/health/ready", "5s", "3s", 2),
}).prefault({})

const termination = section({
  preStop: within(0, 300).prefault("5s"),
  drain: within(0, 300).prefault("5s"),
  linger: within(0, 300).prefault("5s"),
  shutdown: within(1, 600).prefault("20s"),
  grace: within(1, 3600).prefault("40s"),
})
  .superRefine(({ preStop, drain, linger, shutdown, grace }, context) => {
    const needed = preStop + drain + linger + shutdown
    if (grace <= needed) {
      const sum = `preStop ${preStop}s + drain ${drain}s + linger ${linger}s + shutdown ${shutdown}s`
      context.addIssue({
        code: "custom",
        path: ["grace"],
        message: `longer than ${sum} = ${needed}s, or pods are killed with requests in flight`,
      })
    }
  })
  .prefault({})

/** The name of a variable of a service. */
export const variablePattern = /^[A-Z][A-Z0-9_]*$/

/** Variables that come from other settings, so that each fact is set in one place. */
export const derivedVariables: Partial<Record<string, string>> = {
  PORT: "port",
  DRAIN_SECONDS: "termination.drain",
  KEEP_ALIVE_LINGER_SECONDS: "termination.linger",
  SHUTDOWN_GRACE_SECONDS: "termination.shutdown",
}

const environment = z
  .record(
    z.string(),
    z
      .union([z.string(), z.number(), z.boolean()], { error: "a text, a number, true or false" })
      .transform(String),
  )
  .superRefine((variables, context) => {
    for (const name of Object.keys(variables)) {
      const fault = (message: string) => {
        context.addIssue({ code: "custom", path: [name], message })
      }
      if (!variablePattern.test(name)) fault("a variable's name consists of capital letters, digits and _")
      const source = derivedVariables[name]
      if (source !== undefined) fault(`must not be set here: it comes from ${source}`)
    }
  })
  .default({})

/** Volumes that every pod has. */
const taken = { names: ["tmp", "secrets"], paths: [temporaryFolder, "/run/secrets"] }

const volume = section({
  name: label.refine((name) => !taken.names.includes(name), `another name than ${taken.names.join(" and ")}`),
  path: z.string().regex(/^(\/[\w.-]+)+$/, "an absolute path without a slash at its end"),
  size: memory.optional(),
  claim: label.optional(),
  readOnly: z.boolean().default(false),
}).superRefine(({ path, size, claim, readOnly }, context) => {
  const fault = (at: string[], message: string) => {
    context.addIssue({ code: "custom", path: at, message })
  }
  if ((size === undefined) === (claim === undefined)) {
    fault(
      [],
      "either size, for an empty folder that goes with its pod, or claim, the name of a PersistentVolumeClaim",
    )
  }
  if (readOnly && claim === undefined) fault(["readOnly"], "for a claim: nothing could fill an empty folder")
  const near = taken.paths.find(
    (own) => path === own || own.startsWith(`${path}/`) || path.startsWith(`${own}/`),
  )
  if (near !== undefined) fault(["path"], `a path that leaves ${near} alone`)
})

const volumes = z
  .array(volume)
  .superRefine((all, context) => {
    for (const [at, { name, path }] of all.entries()) {
      const earlier = all.slice(0, at)
      for (const [key, double] of [
        ["name", earlier.some((other) => other.name === name)],
        ["path", earlier.some((other) => other.path === path)],
      ] as const) {
        if (double) context.addIssue({ code: "custom", path: [at, key], message: `each ${key} once` })
      }
    }
  })
  .default([])

const peer = {
  namespace: label.optional(),
  pods: z.record(z.string(), z.string()).optional(),
  cidr: z.union([z.cidrv4(), z.cidrv6()], { error: "a range of addresses, such as 10.0.0.0/16" }).optional(),
}
interface PeerInput {
  namespace?: string | undefined
  pods?: Record<string, string> | undefined
  cidr?: string | undefined
}
const oneKind = ({ namespace, pods, cidr }: PeerInput) =>
  (cidr === undefined) !== (namespace === undefined && pods === undefined)
const kinds =
  "either cidr, or namespace, pods (labels), or both of these; pods alone are those of the same namespace"

const network = section({
  from: z.array(section(peer).refine(oneKind, kinds)).default([]),
  to: z.array(section({ ...peer, ports: z.array(port).min(1) }).refine(oneKind, kinds)).default([]),
}).prefault({})

/** How a service runs in a cluster; see `dagger/config/deploy.yaml`. */
export const workloadSection = section({
  replicas: section({ min: count, max: count, cpu: z.int().min(1).max(200).default(70) }).refine(
    ({ min, max }) => min <= max,
    { message: "at least as many as min", path: ["max"] },
  ),
  resources,
  port: port.min(1024, "from 1024 to 65535: it does not run as root").default(8000),
  probes,
  termination,
  minReady: within(0, 300).prefault("5s"),
  history: z.int().min(1).max(50).default(5),
  environment,
  temporary: memory.prefault("64Mi"),
  volumes,
  network,
  pullSecrets: z.array(label).default([]),
})

/**
 * Durations in seconds.
 *
 * `replicas.cpu` is the target of the autoscaler, in percent of the requested CPU. `history` is the number of revisions that are kept beside the one with traffic.
 * `network.from` lists who may reach the port beside the service's own namespace: the router, scrapers of metrics, and the API server, where the network plugin applies
 * policies to it, because the pipeline sends its requests through it. `network.to` lists what the service may reach beside DNS.
 */
export type Workload = z.output<typeof workloadSection>
export type NetworkPeer = Workload["network"]["from"][number]
