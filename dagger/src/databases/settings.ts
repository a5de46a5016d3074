import { z } from "zod"
import type { V1NetworkPolicyEgressRule } from "@kubernetes/client-node"
import type { Plain } from "../clients/kubernetes/manifest.js"
import { bucketName, regionName } from "../lib/cloud-names.js"
import { section } from "../lib/document.js"
import { configuredDuration } from "../lib/duration.js"
import { readImageReference } from "../lib/image-reference.js"
import { cpu, memory } from "../lib/quantity.js"
import { images } from "../platform/base-images.js"

/** Room for the longest name made from it: a Job's name has at most 63 characters. */
const longestName = 63 - "-migrate-20261126-101500-x7k2".length

const url = z.string().refine(
  (text) => {
    const found = URL.canParse(text) ? new URL(text) : undefined
    const plain = found?.username === "" && found.password === "" && found.search === "" && found.hash === ""
    return plain && ["http:", "https:"].includes(found.protocol)
  },
  { error: "an address such as https://s3.example.com, without a user and a password" },
)

/** Where dumps go, and manifests of all backups. */
const store = {
  bucket: bucketName,
  prefix: z
    .string()
    .regex(
      /^[A-Za-z0-9_.-]+(\/[A-Za-z0-9_.-]+)*$/,
      "a path such as backups/pitwall, without a slash at its ends",
    )
    .optional(),
  endpoint: url.optional(),
  region: regionName.optional(),
  keep: section({
    days: z.int({ error: "a number of days, from 1" }).min(1, "a number of days, from 1").default(30),
    count: z.int({ error: "a number of backups, from 1" }).min(1, "a number of backups, from 1").default(7),
  }).prefault({}),
}

/** How a database is backed up; see `dagger/config/deploy.yaml`. */
export const backupSection = z.discriminatedUnion(
  "kind",
  [
    section({ kind: z.literal("postgres"), ...store }),
    section({
      kind: z.literal("rds"),
      ...store,
      instance: z
        .string()
        .regex(
          /^[a-z](-?[a-z0-9])*$/,
          "the name of a DB instance: lower-case letters, digits and single hyphens",
        )
        .max(63, "the name of a DB instance: at most 63 characters"),
      region: regionName,
      api: url.optional(),
    }),
  ],
  { error: "the kind of backup; allowed: postgres, rds" },
)

const image = z.string().refine((text) => readImageReference(text) !== undefined, {
  error: "an image of PostgreSQL, such as postgres:15-bookworm",
})

const limits = section({
  time: configuredDuration
    .refine((seconds) => seconds >= 60 && seconds <= 86_400, "from 1m to 24h")
    .prefault("4h"),
  cpu: cpu.optional(),
  memory: memory.prefault("512Mi"),
  disk: memory.prefault("10Gi"),
}).prefault({})

/** The database of a service: how it is migrated and backed up; see `dagger/config/deploy.yaml`. */
export const databaseSection = section({
  name: z
    .string()
    .regex(
      new RegExp(`^[a-z]([a-z0-9-]{0,${longestName - 2}}[a-z0-9])?$`),
      `a lower-case name of at most ${longestName} letters, digits and hyphens`,
    ),
  backup: backupSection,
  copy: image.default(images.postgres),
  limits,
})

export type BackupSettings = z.output<typeof backupSection>
/** Of backups that are snapshots of an RDS instance. */
export type SnapshotSettings = Extract<BackupSettings, { kind: "rds" }>

/** How the database of a service is migrated in one environment. */
export interface DatabaseSettings {
  /** Of the component. No service has it. */
  name: string
  /** The service that owns its migrations: the migration runs in its image. */
  service: string
  environment: string
  namespace: string
  /** Backups go to `s3://bucket/prefix/environment/name`. */
  backup: BackupSettings
  /** The image of the throw-away copy. */
  copy: string
  /** `time` in seconds; `disk` limits the dump and the copy, each. */
  limits: z.output<typeof limits>
  /** What code of the service is given that serves from the copy: of its pods. */
  application: { memory: { request: string; limit: string }; temporary: string }
  /** Variables of the service's pods. */
  variables: Record<string, string>
  /** What the service's pods may reach. */
  egress: Plain<V1NetworkPolicyEgressRule>[]
  pullSecrets: string[]
}

/** Where the backups of a database go, such as `s3://backups/pitwall/staging/recipes`. */
export const backupLocation = ({
  backup,
  environment,
  name,
}: Pick<DatabaseSettings, "backup" | "environment" | "name">): string =>
  `s3://${[backup.bucket, ...(backup.prefix === undefined ? [] : [backup.prefix]), environment, name].join("/")}`
