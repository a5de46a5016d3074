import { parseEnv } from "node:util"
import { signingEntries } from "../attestations/entries.js"

export const environmentNames = ["staging", "production"] as const
export type EnvironmentName = (typeof environmentNames)[number]

/** Secrets that each environment has of its own: their entries begin with the environment's name. */
const ownSecrets = ["DATABASE_URL", "F1_DATABASE_URL", "REDIS_URL", "JWT_SECRET_KEY"] as const
/** Secrets that all environments share. */
const common = ["ERGAST_API_KEY", "WEATHER_API_KEY"] as const
/** Keys for the registry of models, where the pods' accounts have no role of the cloud. */
const registryKeys = ["MODEL_REGISTRY_KEY_ID", "MODEL_REGISTRY_SECRET_KEY"] as const
/** The private key that models are signed with, of each environment. Only their training gets it. */
const signingKey = "MODEL_SIGNING_KEY"
const perEnvironment = [...ownSecrets, ...registryKeys] as const
/** Keys for backups, of each environment; without them, an administrator gives the databases' accounts a role of the cloud. */
const backupKeys = ["BACKUP_ACCESS_KEY_ID", "BACKUP_SECRET_ACCESS_KEY"] as const
/** Keys for the buckets and the edge of web apps, and for snapshots at Amazon RDS: those of an environment, or else those of all. */
const cloudKeys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] as const
/** Secrets of the pipeline itself. */
const pipeline = [
  "DATADOG_API_KEY",
  "DATADOG_APP_KEY",
  "GITHUB_TOKEN",
  "PASSES_SIGNING_KEY",
  "REGISTRY_USER",
  "REGISTRY_PASSWORD",
  "SNYK_TOKEN",
  ...signingEntries,
] as const

/** What a backend's `secrets` in deploy.yaml may come from. */
export const backendSecrets = [...perEnvironment, ...common] as const
export type BackendSecretName = (typeof backendSecrets)[number]

/** The entry of the secrets file that a secret has in an environment, such as `STAGING_DATABASE_URL`. */
export function secretEntry(name: BackendSecretName, environment: EnvironmentName): string {
  return isPerEnvironment(name) ? `${environment.toUpperCase()}_${name}` : name
}

/** The entry of the secrets file with a key for backups, such as `STAGING_BACKUP_ACCESS_KEY_ID`. */
export const backupEntry = (name: (typeof backupKeys)[number], environment: EnvironmentName): string =>
  `${environment.toUpperCase()}_${name}`

/** The entry of the secrets file with the private key for models, such as `STAGING_MODEL_SIGNING_KEY`. */
export const signingKeyEntry = (environment: EnvironmentName): string =>
  `${environment.toUpperCase()}_${signingKey}`

/** The entry of the secrets file with a key for Amazon's services that an environment has of its own, such as `STAGING_AWS_ACCESS_KEY_ID`. */
function cloudEntry(name: (typeof cloudKeys)[number], environment: EnvironmentName): string {
  return `${environment.toUpperCase()}_${name}`
}

/**
 * The keys for the buckets and the edge of web apps, or for snapshots: those of the environment, or else those that all environments share.
 *
 * @param purpose what needs them, for people
 * @throws Error that names the entries when one is missing
 */
export function cloudCredentials(
  secrets: Record<string, string>,
  environment: EnvironmentName,
  purpose: string,
): { accessKeyId: string; secretAccessKey: string; sessionToken?: string } {
  const own = cloudKeys.map((name) => cloudEntry(name, environment))
  const names = own.some((name) => secrets[name] !== undefined) ? own : cloudKeys
  const [accessKeyId, secretAccessKey, sessionToken] = names.map((name) => secrets[name])
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new Error(
      `${purpose} need keys: add ${cloudKeys.slice(0, 2).join(" and ")}, or ${own.slice(0, 2).join(" and ")}, to the file given with --secrets; AWS_SESSION_TOKEN beside them where the keys are temporary`,
    )
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) }
}

const isPerEnvironment = (name: string) => perEnvironment.some((own) => own === name)

const entries: readonly string[] = [
  ...environmentNames.flatMap((environment) => backendSecrets.map((name) => secretEntry(name, environment))),
  ...environmentNames.flatMap((environment) => backupKeys.map((name) => backupEntry(name, environment))),
  ...environmentNames.map(signingKeyEntry),
  ...environmentNames.flatMap((environment) => cloudKeys.map((name) => cloudEntry(name, environment))),
  ...cloudKeys,
  ...pipeline,
]

/**
 * Reads the secrets file: lines of `NAME=value`, as a `.env` file has. An empty value counts as absent.
 *
 * @throws Error with the names, and never the values, of entries that the pipeline does not know
 */
export function readSecrets(text: string): Record<string, string> {
  const found = parseEnv(text)
  const unknown = Object.keys(found).filter((name) => !entries.includes(name))
  if (unknown.length > 0) {
    throw new Error(
      `the secrets file has ${unknown.join(", ")}; allowed: ${[...new Set(entries)].join(", ")}`,
    )
  }
  const given = Object.entries(found).filter(([, value]) => value !== undefined && value !== "")
  return Object.fromEntries(given) as Record<string, string>
}
