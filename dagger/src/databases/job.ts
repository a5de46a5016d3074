import { z } from "zod"
import type { V1Container, V1EnvVar, V1NetworkPolicy, V1PodSpec } from "@kubernetes/client-node"
import { managedBy, type Plain } from "../clients/kubernetes/manifest.js"
import { databaseAccount } from "../delivery/access.js"
import { digestOfData } from "../delivery/guards/digest.js"
import { restorePoint, type RestorePoint } from "../delivery/component.js"
import { jobObjects, jobResources, unreachable } from "../delivery/job-objects.js"
import type { JobObjects } from "../delivery/job-runner.js"
import { digestOf } from "../delivery/release.js"
import { containerSecurity, servicePodSecurity, temporaryFolder } from "../platform/pod-security.js"
import {
  type Application,
  applicationArguments,
  applicationContainers,
  applicationPattern,
  applicationVolumes,
  type Serving,
} from "./applications.js"
import { backupLocation, type DatabaseSettings } from "./settings.js"

/** One run of the command `database`. */
export interface MigrationRun {
  /** Part of the names of its objects. */
  id: string
  /**
   * `backup`: a backup is made and restored, and old ones are removed. `plan`: only the dry run on a copy; the database is not changed. `verify`: a backup is restored and compared; the database is not read. `revert`: migrations
   * are taken back. `restore`: a backup comes into the place of the database. `drift`: the database is compared with an empty one that gets the same migrations. `before`
   * and `after`: what is in the database is noted around a snapshot of its disk. `compare`: a server restored from that is compared with it. `prune`: expired backups are removed.
   */
  mode:
    | "migrate"
    | "backup"
    | "plan"
    | "verify"
    | "revert"
    | "restore"
    | "drift"
    | "before"
    | "after"
    | "compare"
    | "prune"
  /** The image that will serve: `repository@sha256:…`. */
  image: string
  /** Whether migrations run that code released before cannot live with. */
  allowBreaking: boolean
  /** Seconds that a migration may take on the copy; without it, any time. */
  longest?: number
  /** Of a run that verifies: which backup; the newest without it. Of `after` and `compare`: of which snapshot. */
  backup?: string
  /** Of a run that takes migrations back. */
  back?: Back
  /** Of a run that restores, or that only plans to. */
  restore?: Restoration
  /** Older code that has to work before and after the migrations. */
  applications?: Application[]
}

export const back = z.object({
  /** The migration that the database is at afterwards. */
  to: z.string(),
  /** Migrations that are not taken back, because code that serves was built for them. */
  needed: z.array(z.string()),
  /** Although rows or values are lost by it. */
  loseData: z.boolean(),
})
/** How far a database goes back. */
export type Back = z.output<typeof back>

export const restoration = z.object({
  point: restorePoint,
  /** The same until it has succeeded, so that a repeated command goes on with it. */
  operation: z.string(),
  /** The migration that the restored database gets before it serves, because the code was built for it. */
  target: z.string().optional(),
})
/** What a restore puts into the place of the database. */
export type Restoration = z.output<typeof restoration>

/** The run that a state says is in progress. */
export const runOf = ({
  id,
  image,
  allowBreaking,
  longest,
  back,
  restore,
  applications,
}: Omit<MigrationRun, "mode" | "backup">): MigrationRun => ({
  id,
  image,
  allowBreaking,
  mode: restore ? "restore" : back ? "revert" : "migrate",
  ...(longest !== undefined && { longest }),
  ...(back && { back }),
  ...(restore && { restore }),
  ...(applications && { applications }),
})

/** What serves from the copy beside a run that migrates: its own image, and older ones. */
const servingBeside = (
  settings: Pick<DatabaseSettings, "name">,
  run: Pick<MigrationRun, "id" | "mode" | "image" | "restore" | "applications">,
): Serving | undefined => {
  const { image, mode, restore, applications = [] } = run
  if (restore || !["migrate", "plan"].includes(mode)) return undefined
  return { old: applications, new: { image, configMap: jobName(settings, run) } }
}

/** The label of a migration's pods. */
export const databaseLabel = "pitwall.dev/database"

/** The user of PostgreSQL's image. */
const copyUser = 999
export const copyPort = 5433

/** Where the command finds the throw-away copy. It has no password, because it listens inside of the pod only and ends with it. */
export const copyUrl = `postgresql://postgres@127.0.0.1:${copyPort}/postgres`

/** What the container `copy` runs: an empty PostgreSQL, made anew at every start. Its data may be lost, so it waits for no disk. */
export const copyCommand = [
  "bash",
  "-ec",
  [
    'export PATH="$PATH:/usr/lib/postgresql/${PG_MAJOR:-15}/bin"',
    "rm -rf /copy/data",
    "initdb --pgdata=/copy/data --username=postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync --no-instructions",
    `exec postgres -D /copy/data -c listen_addresses=127.0.0.1 -c port=${copyPort} -c unix_socket_directories=/copy -c fsync=off -c synchronous_commit=off -c full_page_writes=off`,
  ].join("\n"),
]
export const copyProbe = [
  "bash",
  "-ec",
  `PATH="$PATH:/usr/lib/postgresql/\${PG_MAJOR:-15}/bin" pg_isready --quiet --host=127.0.0.1 --port=${copyPort}`,
]

/** Names of the two containers. */
export const containerNames = { migrate: "migrate", copy: "copy" } as const

/** Where files of the Secret are mounted. */
export const secretsFolder = "/run/secrets"
/** The file of the Secret with the keys for backups, in the form of AWS. */
export const credentialsFile = "aws_credentials"

/** Variables of the container `migrate` beside those of the service's pods. */
export const migrationVariables = ({ backup }: Pick<DatabaseSettings, "backup">): Plain<V1EnvVar>[] => [
  { name: "AWS_SHARED_CREDENTIALS_FILE", value: `${secretsFolder}/${credentialsFile}` },
  ...(backup.region === undefined ? [] : [{ name: "AWS_DEFAULT_REGION", value: backup.region }]),
  ...(backup.endpoint === undefined ? [] : [{ name: "BACKUP_S3_ENDPOINT", value: backup.endpoint }]),
]

/** As `servicekit.backups` names them: they begin with the time. */
export const backupPattern = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9]{2}-[0-9]{2}Z-[0-9a-f]{6}"

export const isBackupId = (text: string): boolean => new RegExp(`^${backupPattern}$`).test(text)

/** A moment in UTC. */
export const momentPattern = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"

/** Ids of migrations, which Alembic keeps in a column of 32 characters; names of operations have the same form. */
export const migrationPattern = "[0-9A-Za-z_]{1,32}"

/** What the command `database` is asked to do. */
export const commands = [
  "migrate",
  "backup",
  "verify",
  "downgrade",
  "restore",
  "drift",
  "observe",
  "compare",
  "prune",
] as const

const places = ["--copy", copyUrl, "--work", "/work"]

const backupStart = (settings: Parameters<typeof backupLocation>[0], operation: string): string[] => [
  ...["database", "backup", ...places, "--operation", operation, "--backup", backupLocation(settings)],
]

const keepWords = ({ backup: { keep } }: Pick<DatabaseSettings, "backup">): string[] => [
  ...["--keep-days", String(keep.days), "--keep-count", String(keep.count)],
]

const backupEnd = (settings: Pick<DatabaseSettings, "backup">): string[] => [
  "--verify",
  ...keepWords(settings),
]

const pruneWords = (settings: Parameters<typeof backupLocation>[0]): string[] => [
  ...["database", "prune", "--backup", backupLocation(settings), ...keepWords(settings)],
]

/**
 * The arguments that the container `migrate` may have, for an admission policy: each is one of `words`, or matches `pattern`.
 */
export const migrationArguments = (settings: Pick<DatabaseSettings, "backup" | "environment" | "name">) => ({
  /** How the arguments of a backup end, and where that begins. */
  backupEnd: { at: backupStart(settings, "").length, words: backupEnd(settings) },
  /** All arguments of a run that only removes expired backups. */
  pruneWords: pruneWords(settings),
  words: [
    ...["database", ...commands, "--copy", copyUrl, "--work", "/work", "--operation"],
    ...["--backup", backupLocation(settings), "--plan-only", "--allow-breaking", "--id"],
    ...["--to", "--needed", "--lose-data", "--longest", "--before", "--target", "--dry-run"],
    ...["--verify", "--keep-days", "--keep-count", "--old-application", "--new-application"],
  ],
  pattern: `^(${backupPattern}|${migrationPattern}|${momentPattern}|${applicationPattern})$`,
})

/** Runs on one database for the same purpose share it, so that a rerun can use the backup that an interrupted run has verified. */
const operationOf = ({ namespace, name }: DatabaseSettings, purpose: string) =>
  digestOfData({ namespace, name, purpose }).slice("sha256:".length, "sha256:".length + 16)

export const jobName = (
  { name }: Pick<DatabaseSettings, "name">,
  { id, mode }: Pick<MigrationRun, "id" | "mode">,
) => `${name}-${mode}-${id}`

/** Labels of a database's objects. No selector of a service matches them. */
export const databaseLabels = (name: string): Record<string, string> => ({
  "app.kubernetes.io/name": name,
  "app.kubernetes.io/component": "database",
  "app.kubernetes.io/part-of": "f1-prediction-analytics",
  ...managedBy,
  [databaseLabel]: name,
})

/**
 * Everything that one run needs in the cluster.
 *
 * @param secrets by file name; only the Secret contains them
 * @throws Error for an image without a digest
 */
export function migrationObjects(
  settings: DatabaseSettings,
  run: MigrationRun,
  secrets: Record<string, string>,
): JobObjects {
  const { namespace, name, variables, limits } = settings
  return jobObjects({
    metadata: { namespace, name: jobName(settings, run), labels: databaseLabels(name) },
    pod: podSpec(settings, run),
    container: containerNames.migrate,
    time: limits.time,
    networkPolicy: networkPolicy(settings),
    variables,
    secrets,
  })
}

/**
 * A digest of everything that is applied for an image, but for the values of secrets.
 *
 * @param point of a restore; without it, of a migration
 * @throws Error for an image without a digest
 */
export function settingsDigest(
  settings: DatabaseSettings,
  image: string,
  secretNames: string[],
  point?: RestorePoint,
): string {
  const run = runOf({
    id: "x",
    image,
    allowBreaking: false,
    ...(point && { restore: { point, operation: "x" } }),
  })
  const blank = Object.fromEntries(secretNames.map((secret) => [secret, ""]))
  const { job, networkPolicy, owned } = migrationObjects(settings, run, blank)
  return digestOfData({ job, networkPolicy, owned: owned("") })
}

function podSpec(settings: DatabaseSettings, run: MigrationRun): Plain<V1PodSpec> {
  const { name, limits, pullSecrets } = settings
  const disk = { sizeLimit: limits.disk }
  const serving = servingBeside(settings, run)
  return {
    serviceAccountName: databaseAccount(name),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    restartPolicy: "Never",
    // Long enough to leave the migration's transaction and to say so.
    terminationGracePeriodSeconds: 60,
    ...(pullSecrets.length > 0 && { imagePullSecrets: pullSecrets.map((secret) => ({ name: secret })) }),
    securityContext: servicePodSecurity,
    initContainers: [
      copyContainer(settings),
      ...(serving ? applicationContainers(settings, serving, copyPort) : []),
    ],
    containers: [migrateContainer(settings, run)],
    volumes: [
      { name: "work", emptyDir: disk },
      { name: "copy", emptyDir: disk },
      { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
      { name: "secrets", secret: { secretName: jobName(settings, run), defaultMode: 0o440 } },
      ...(serving ? applicationVolumes(settings) : []),
    ],
  }
}

function migrateContainer(settings: DatabaseSettings, run: MigrationRun): Plain<V1Container> {
  const { image } = run
  const name = jobName(settings, run)
  return {
    name: containerNames.migrate,
    image,
    args: argumentsOf(settings, run),
    envFrom: [{ configMapRef: { name } }],
    env: migrationVariables(settings),
    resources: jobResources(settings.limits),
    terminationMessagePolicy: "FallbackToLogsOnError",
    securityContext: containerSecurity,
    volumeMounts: [
      { name: "work", mountPath: "/work" },
      { name: "tmp", mountPath: temporaryFolder },
      { name: "secrets", mountPath: secretsFolder, readOnly: true },
    ],
  }
}

function argumentsOf(settings: DatabaseSettings, run: MigrationRun): string[] {
  const { id, image, mode, allowBreaking, back, backup, longest, restore } = run
  const store = ["--backup", backupLocation(settings)]
  if (mode === "drift") return ["database", "drift", "--copy", copyUrl]
  const ofBackup = backup === undefined ? [] : ["--id", backup]
  if (mode === "before" || mode === "after") return ["database", "observe", ...store, ...ofBackup]
  if (mode === "compare") return ["database", "compare", ...store, ...ofBackup]
  if (mode === "prune") return pruneWords(settings)
  if (mode === "verify") return ["database", "verify", ...places, ...store, ...ofBackup]
  // The Job's next pod uses what this one has stored.
  if (mode === "backup") return [...backupStart(settings, operationOf(settings, id)), ...backupEnd(settings)]
  if (restore) {
    const { point, operation, target } = restore
    return [
      ...["database", "restore", ...places, "--operation", operation, ...store],
      ...("backup" in point ? ["--id", point.backup] : ["--before", point.before]),
      ...(target === undefined ? [] : ["--target", target]),
      ...(mode === "plan" ? ["--dry-run"] : []),
    ]
  }
  const operation = ["--operation", operationOf(settings, digestOf(image))]
  const serving = servingBeside(settings, run)
  if (back) {
    return [
      ...["database", "downgrade", ...places, ...operation, ...store, "--to", back.to],
      ...back.needed.flatMap((migration) => ["--needed", migration]),
      ...(back.loseData ? ["--lose-data"] : []),
    ]
  }
  return [
    ...["database", "migrate", ...places, ...operation],
    ...(mode === "plan" ? ["--plan-only"] : store),
    ...(allowBreaking ? ["--allow-breaking"] : []),
    ...(longest === undefined ? [] : ["--longest", String(Math.ceil(longest))]),
    ...(serving ? applicationArguments(serving) : []),
  ]
}

/** A sidecar: an init container that goes on running, and is stopped when the migration has ended. */
function copyContainer(settings: DatabaseSettings): Plain<V1Container> {
  return {
    name: containerNames.copy,
    image: settings.copy,
    restartPolicy: "Always",
    command: copyCommand,
    // The migration starts when the copy answers.
    startupProbe: {
      exec: { command: copyProbe },
      periodSeconds: 1,
      timeoutSeconds: 5,
      failureThreshold: 120,
    },
    resources: jobResources(settings.limits),
    securityContext: { ...containerSecurity, runAsUser: copyUser, runAsGroup: copyUser },
    volumeMounts: [{ name: "copy", mountPath: "/copy" }],
  }
}

/** Nobody reaches the pod, and it reaches what the service does, and the backups. */
function networkPolicy({ namespace, name, backup, egress }: DatabaseSettings): Plain<V1NetworkPolicy> {
  const { protocol, port } = new URL(backup.endpoint ?? "https://s3.amazonaws.com")
  const backups = port === "" ? (protocol === "https:" ? 443 : 80) : Number(port)
  const metadata = { namespace, name: `database-${name}`, labels: databaseLabels(name) }
  return unreachable(metadata, { [databaseLabel]: name }, [
    ...egress,
    { ports: [{ protocol: "TCP", port: backups }] },
  ])
}
