import { z } from "zod"
import type { V1Container, V1EnvVar, V1Volume } from "@kubernetes/client-node"
import type { Plain } from "../clients/kubernetes/manifest.js"
import { digestOf } from "../delivery/release.js"
import { containerSecurity } from "../platform/pod-security.js"
import type { DatabaseSettings } from "./settings.js"

// Code that serves from the copy of a database, inside of the migration's pod: it has to answer before and after the migrations.

/** A revision in the cluster, with what it takes to run its code elsewhere. */
export interface ServingRevision {
  number: number
  image: string
  /** The ConfigMap with its variables. */
  configMap: string
  outcome?: "promoted" | "aborted"
}

export const application = z.object({ revision: z.number(), image: z.string(), configMap: z.string() })
/** Code of a revision that has to go on working. */
export type Application = z.output<typeof application>

/**
 * Revisions that serve while an image's migrations run, or that a rollback may return to; one for each image, newest first. One that was taken back is none of
 * them, and neither is one of the same image.
 *
 * @param image that brings the migrations
 */
export function applicationsBeside(revisions: ServingRevision[], image: string): Application[] {
  const seen = new Set([digestOf(image)])
  return [...revisions]
    .filter(({ outcome }) => outcome !== "aborted")
    .sort((one, other) => other.number - one.number)
    .flatMap(({ number, image: own, configMap }) => {
      const digest = digestOf(own)
      if (seen.has(digest)) return []
      seen.add(digest)
      return [{ revision: number, image: own, configMap }]
    })
}

/** Where the copy is that they serve from, as the command of `servicekit.migrations` names it. It has no password, as nobody else reaches it. */
const database = (port: number) => `postgresql://postgres@127.0.0.1:${port}/pitwall_copy_applications`

const firstPort = 8101
/** All ports that they may listen on, as a regular expression. */
const ports = "81[0-9]{2}"

/** Names of their containers, as a regular expression. */
export const applicationNames = { old: "revision-[0-9]{1,9}", new: "new" }

/** The variable that tells one container from another. */
const portVariable = "PORT"

/**
 * Their variables but for the port. They override those of the ConfigMap: there is no live database, no Redis, no secret and no caller from outside.
 *
 * @param copyPort of the throw-away PostgreSQL
 */
export const applicationVariables = (copyPort: number): Plain<V1EnvVar>[] => [
  // It describes its API.
  { name: "ENVIRONMENT", value: "development" },
  { name: "DATABASE_URL", value: database(copyPort) },
  // Nothing listens there: each answer comes from the copy.
  { name: "REDIS_URL", value: "redis://127.0.0.1:1" },
  { name: "JWT_SECRET_KEY", value: "signs-nothing-that-leaves-this-pod" },
  { name: "HOST", value: "127.0.0.1" },
  // A restored database on a busy node is slow, which says nothing of a migration.
  { name: "DB_CONNECT_TIMEOUT_SECONDS", value: "30" },
  { name: "DB_POOL_TIMEOUT_SECONDS", value: "60" },
  { name: "DB_STATEMENT_TIMEOUT_MS", value: "60000" },
  { name: "DRAIN_SECONDS", value: "0" },
  { name: "KEEP_ALIVE_LINGER_SECONDS", value: "0" },
  { name: "SHUTDOWN_GRACE_SECONDS", value: "5" },
]

/** What they write to. */
export const applicationVolume = "serving"

/** What serves beside one run. */
export interface Serving {
  old: Application[]
  /** The image that will serve, with the ConfigMap of the run. */
  new: Omit<Application, "revision">
}

const listed = ({ old, new: fresh }: Serving) =>
  [
    { ...fresh, name: applicationNames.new, revision: undefined },
    ...old.map((one) => ({ ...one, name: `revision-${one.revision}` })),
  ].map((one, index) => ({ ...one, port: firstPort + index }))

/** The arguments of the command that name them. */
export const applicationArguments = (serving: Serving): string[] =>
  listed(serving).flatMap(({ name, revision, port }) =>
    revision === undefined
      ? ["--new-application", `http://127.0.0.1:${port}`]
      : ["--old-application", `${name}=http://127.0.0.1:${port}`],
  )

/** The values of these arguments, as a regular expression. */
export const applicationPattern = `(${applicationNames.old}=)?http://127\\.0\\.0\\.1:${ports}`

/** Their containers: sidecars that are stopped when the migration has ended. They start without the copy, and connect when they are asked. */
export const applicationContainers = (
  { application: { memory } }: Pick<DatabaseSettings, "application">,
  serving: Serving,
  copyPort: number,
): Plain<V1Container>[] =>
  listed(serving).map(({ name, image, configMap, port }) => ({
    name,
    image,
    restartPolicy: "Always",
    envFrom: [{ configMapRef: { name: configMap } }],
    env: [...applicationVariables(copyPort), { name: portVariable, value: String(port) }],
    // They answer one request at a time.
    resources: { requests: { cpu: "10m", memory: memory.request }, limits: { memory: memory.limit } },
    terminationMessagePolicy: "FallbackToLogsOnError",
    securityContext: containerSecurity,
    volumeMounts: [{ name: applicationVolume, mountPath: "/tmp", subPath: name }],
  }))

export const applicationVolumes = ({
  application: { temporary },
}: Pick<DatabaseSettings, "application">): Plain<V1Volume>[] => [
  { name: applicationVolume, emptyDir: { sizeLimit: temporary } },
]

/**
 * What holds for their containers, as CEL over `container`: an admission policy knows no others.
 *
 * @param cel a value as a literal
 */
export const applicationRules = (copyPort: number, cel: (value: unknown) => string): string[] => [
  `container.name.matches(${cel(`^(${applicationNames.new}|${applicationNames.old})$`)})`,
  "!has(container.command)",
  "!has(container.args)",
  `has(container.env) && container.env.filter(one, one.name != ${cel(portVariable)}) == ${cel(applicationVariables(copyPort))}`,
  `container.env.all(one, one.name != ${cel(portVariable)} || (has(one.value) && one.value.matches(${cel(`^${ports}$`)})))`,
  // They have neither the secrets nor what the migration works with.
  `(!has(container.volumeMounts) || container.volumeMounts.all(mount, mount.mountPath == "/tmp" && mount.name == ${cel(applicationVolume)}))`,
]
