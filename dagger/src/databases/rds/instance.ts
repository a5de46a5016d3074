import type {
  DBInstance,
  ModifyDBInstanceMessage,
  RestoreDBInstanceFromDBSnapshotMessage,
} from "@aws-sdk/client-rds"

type Value = string | number | boolean | string[] | undefined

/** One property of an instance that a restored one has to have as well. */
interface Setting {
  name: string
  of: (instance: DBInstance) => Value
  /** The parameter of a restore that takes it. */
  restore?: keyof RestoreDBInstanceFromDBSnapshotMessage
  /** The parameter of a change that takes it: a restore has none, or has not always had one. */
  modify?: keyof ModifyDBInstanceMessage
}

const names = (all: (string | undefined)[] | undefined): string[] =>
  (all ?? []).flatMap((name) => (name === undefined ? [] : [name])).sort()

/** Below this size, in GiB, PostgreSQL on gp3 has the performance that comes with it, and a request that names one is refused. */
const tunable = 400

const isTuned = ({ StorageType: type = "", AllocatedStorage: size = 0 }: DBInstance) =>
  type.startsWith("io") || (type === "gp3" && size >= tunable)

/** What a restore gets, or inherits from the snapshot; without being told, RDS takes its defaults for most of it. */
const settings: Setting[] = [
  { name: "engine", of: (one) => one.Engine },
  { name: "engine version", of: (one) => one.EngineVersion },
  { name: "class", of: (one) => one.DBInstanceClass, restore: "DBInstanceClass" },
  { name: "port", of: (one) => one.Endpoint?.Port, restore: "Port" },
  { name: "master user", of: (one) => one.MasterUsername },
  { name: "license", of: (one) => one.LicenseModel, restore: "LicenseModel" },
  { name: "storage in GiB", of: (one) => one.AllocatedStorage, restore: "AllocatedStorage" },
  { name: "most storage in GiB", of: (one) => one.MaxAllocatedStorage, modify: "MaxAllocatedStorage" },
  { name: "type of storage", of: (one) => one.StorageType, restore: "StorageType" },
  { name: "IOPS", of: (one) => (isTuned(one) ? one.Iops : undefined), restore: "Iops" },
  {
    name: "throughput of storage",
    of: (one) => (isTuned(one) ? one.StorageThroughput : undefined),
    restore: "StorageThroughput",
  },
  { name: "log volume", of: (one) => one.DedicatedLogVolume ?? false, restore: "DedicatedLogVolume" },
  { name: "encryption", of: (one) => one.StorageEncrypted ?? false },
  { name: "KMS key", of: (one) => one.KmsKeyId },
  { name: "Multi-AZ", of: (one) => one.MultiAZ ?? false, restore: "MultiAZ" },
  {
    name: "zone",
    // RDS chooses the zones of one that is in several.
    of: (one) => (one.MultiAZ ? undefined : one.AvailabilityZone),
    restore: "AvailabilityZone",
  },
  { name: "subnet group", of: (one) => one.DBSubnetGroup?.DBSubnetGroupName, restore: "DBSubnetGroupName" },
  {
    name: "security groups",
    of: (one) => names(one.VpcSecurityGroups?.map(({ VpcSecurityGroupId }) => VpcSecurityGroupId)),
    restore: "VpcSecurityGroupIds",
  },
  { name: "public address", of: (one) => one.PubliclyAccessible ?? false, restore: "PubliclyAccessible" },
  { name: "type of network", of: (one) => one.NetworkType, restore: "NetworkType" },
  {
    name: "parameter group",
    of: (one) => one.DBParameterGroups?.[0]?.DBParameterGroupName,
    restore: "DBParameterGroupName",
  },
  {
    name: "option group",
    of: (one) => one.OptionGroupMemberships?.[0]?.OptionGroupName,
    restore: "OptionGroupName",
  },
  {
    name: "certificate authority",
    of: (one) => one.CACertificateIdentifier,
    restore: "CACertificateIdentifier",
  },
  {
    name: "IAM authentication",
    of: (one) => one.IAMDatabaseAuthenticationEnabled ?? false,
    restore: "EnableIAMDatabaseAuthentication",
  },
  {
    name: "logs in CloudWatch",
    of: (one) => names(one.EnabledCloudwatchLogsExports),
    restore: "EnableCloudwatchLogsExports",
  },
  {
    name: "minor upgrades",
    of: (one) => one.AutoMinorVersionUpgrade ?? false,
    restore: "AutoMinorVersionUpgrade",
  },
  { name: "tags in snapshots", of: (one) => one.CopyTagsToSnapshot ?? false, restore: "CopyTagsToSnapshot" },
  { name: "extended support", of: (one) => one.EngineLifecycleSupport, restore: "EngineLifecycleSupport" },
  {
    name: "deletion protection",
    of: (one) => one.DeletionProtection ?? false,
    restore: "DeletionProtection",
  },
  { name: "days of backups", of: (one) => one.BackupRetentionPeriod, modify: "BackupRetentionPeriod" },
  { name: "backup window", of: (one) => one.PreferredBackupWindow, modify: "PreferredBackupWindow" },
  {
    name: "maintenance window",
    of: (one) => one.PreferredMaintenanceWindow,
    modify: "PreferredMaintenanceWindow",
  },
  { name: "monitoring interval", of: (one) => one.MonitoringInterval ?? 0, modify: "MonitoringInterval" },
  { name: "monitoring role", of: (one) => one.MonitoringRoleArn, modify: "MonitoringRoleArn" },
  {
    name: "Performance Insights",
    of: (one) => one.PerformanceInsightsEnabled ?? false,
    modify: "EnablePerformanceInsights",
  },
  {
    name: "key of Performance Insights",
    of: (one) => (one.PerformanceInsightsEnabled ? one.PerformanceInsightsKMSKeyId : undefined),
    modify: "PerformanceInsightsKMSKeyId",
  },
  {
    name: "days of Performance Insights",
    of: (one) => (one.PerformanceInsightsEnabled ? one.PerformanceInsightsRetentionPeriod : undefined),
    modify: "PerformanceInsightsRetentionPeriod",
  },
  { name: "Database Insights", of: (one) => one.DatabaseInsightsMode, modify: "DatabaseInsightsMode" },
]

const given = (value: Value): boolean => value !== undefined && !(Array.isArray(value) && value.length === 0)

/** The parameters of a restore that make an instance like this one. */
export const restoreParameters = (
  source: DBInstance,
): Partial<Omit<RestoreDBInstanceFromDBSnapshotMessage, "Tags">> =>
  Object.fromEntries(
    settings.flatMap(({ of, restore }) => {
      const value = of(source)
      return restore !== undefined && given(value) ? [[restore, value]] : []
    }),
  )

/** What a restored instance still has to be told, to be like the source; nothing when it has all of it. */
export function modifyParameters(source: DBInstance, restored: DBInstance): Partial<ModifyDBInstanceMessage> {
  return Object.fromEntries(
    settings.flatMap(({ of, modify }) => {
      const value = of(source)
      return modify !== undefined && given(value) && text(value) !== text(of(restored))
        ? [[modify, value]]
        : []
    }),
  )
}

const text = (value: Value): string =>
  Array.isArray(value) ? value.join(", ") || "none" : value === undefined ? "none" : String(value)

/** How a restored instance differs from its source, a line each, such as `class: db.r6g.large instead of db.t4g.micro`. */
export const settingDifferences = (source: DBInstance, restored: DBInstance): string[] =>
  settings.flatMap(({ name, of }) => {
    const [expected, found] = [text(of(source)), text(of(restored))]
    return expected === found ? [] : [`${name}: ${found} instead of ${expected}`]
  })
