import type { DBInstance, DBSnapshot, Tag } from "@aws-sdk/client-rds"
import type { Rds } from "../../../src/databases/rds/client.js"
import type { Owner } from "../../../src/databases/rds/decisions.js"

export const owner: Owner = { environment: "staging", name: "recipes", instance: "recipes-staging" }
export const id = "2026-03-02T10-00-00Z-ab12cd"

/** An instance with a value of its own in every setting. */
export const source = (change: Partial<DBInstance> = {}): DBInstance => ({
  DBInstanceIdentifier: "recipes-staging",
  DBInstanceStatus: "available",
  Engine: "postgres",
  EngineVersion: "15.8",
  DBInstanceClass: "db.r6g.large",
  Endpoint: { Address: "db", Port: 5433 },
  MasterUsername: "recipes",
  AllocatedStorage: 500,
  MaxAllocatedStorage: 1000,
  StorageType: "gp3",
  Iops: 13_000,
  StorageThroughput: 600,
  StorageEncrypted: true,
  KmsKeyId: "arn:aws:kms:eu-central-1:123456789012:key/1",
  MultiAZ: true,
  DBSubnetGroup: { DBSubnetGroupName: "private" },
  VpcSecurityGroups: [{ VpcSecurityGroupId: "sg-2" }, { VpcSecurityGroupId: "sg-1" }],
  PubliclyAccessible: false,
  DBParameterGroups: [{ DBParameterGroupName: "recipes15" }],
  OptionGroupMemberships: [{ OptionGroupName: "default:postgres-15" }],
  CACertificateIdentifier: "rds-ca-rsa2048-g1",
  EnabledCloudwatchLogsExports: ["postgresql"],
  CopyTagsToSnapshot: true,
  DeletionProtection: true,
  BackupRetentionPeriod: 14,
  PreferredBackupWindow: "02:00-02:30",
  PreferredMaintenanceWindow: "sun:04:00-sun:05:00",
  MonitoringInterval: 60,
  MonitoringRoleArn: "arn:aws:iam::123456789012:role/monitoring",
  PerformanceInsightsEnabled: true,
  PerformanceInsightsRetentionPeriod: 31,
  ...change,
})

/** A snapshot with the tags that a backup gives it. */
export const snapshot = (
  change: Partial<DBSnapshot> & { tags?: Record<string, string> } = {},
): DBSnapshot => {
  const { tags = {}, ...more } = change
  const all = {
    "pitwall:environment": "staging",
    "pitwall:database": "recipes",
    "pitwall:backup": id,
    ...tags,
  }
  return {
    DBSnapshotIdentifier: `pitwall-staging-recipes-${all["pitwall:backup"].toLowerCase()}`,
    DBSnapshotArn: `arn:aws:rds:eu-central-1:123456789012:snapshot:${all["pitwall:backup"]}`,
    SnapshotType: "manual",
    Status: "available",
    AllocatedStorage: 500,
    TagList: Object.entries(all).map(([Key, Value]) => ({ Key, Value })),
    ...more,
  }
}

/** RDS as it is over time, in memory: what it makes takes a while to be available. */
export class FakeRds implements Rds {
  all: DBInstance[] = [source()]
  taken: DBSnapshot[] = []
  /** What was asked that changes something, such as `deleteSnapshot NAME`. */
  readonly changes: string[] = []
  /** Requests so far. */
  requests = 0
  /** Called before each request. */
  before: (action: string) => Promise<void> = () => Promise.resolve()
  /** Statuses that the next snapshot and the next restored instance go through, a look each; the last one stays. */
  snapshotStatuses = ["creating", "available"]
  instanceStatuses = ["creating", "backing-up", "available"]
  /** What a restored instance has, although it was told otherwise. */
  defaults: Partial<DBInstance> = {}
  /** What a change does not change. */
  deaf = false
  private readonly pending = new Map<string, string[]>()

  async instances(): Promise<DBInstance[]> {
    await this.request("instances")
    for (const one of this.all) {
      const next = this.pending.get(one.DBInstanceIdentifier ?? "")
      if (next && next.length > 0) one.DBInstanceStatus = next.shift()
      if (one.DBInstanceStatus === "available" && one.Endpoint === undefined)
        one.Endpoint = { Address: `${one.DBInstanceIdentifier}.rds.example.com`, Port: 5433 }
    }
    return structuredClone(this.all)
  }

  async snapshots(instance: string): Promise<DBSnapshot[]> {
    await this.request("snapshots")
    if (instance !== owner.instance) return []
    for (const one of this.taken) {
      const next = this.pending.get(one.DBSnapshotIdentifier ?? "")
      if (next && next.length > 0) one.Status = next.shift()
    }
    return structuredClone(this.taken)
  }

  async createSnapshot(_instance: string, name: string, tags: Tag[]): Promise<void> {
    await this.request("createSnapshot", name)
    this.taken.push({
      ...{ DBSnapshotIdentifier: name, DBSnapshotArn: `arn:${name}`, SnapshotType: "manual" },
      ...{ Status: "creating", AllocatedStorage: 500, TagList: tags },
    })
    this.pending.set(name, [...this.snapshotStatuses])
  }

  async deleteSnapshot(name: string): Promise<void> {
    await this.request("deleteSnapshot", name)
    this.taken = this.taken.filter((one) => one.DBSnapshotIdentifier !== name)
  }

  async tag(arn: string, tags: Tag[]): Promise<void> {
    await this.request("tag", `${arn} ${tags.map(({ Key }) => Key).join(" ")}`)
    const found = this.taken.find((one) => one.DBSnapshotArn === arn)
    const others = (found?.TagList ?? []).filter(({ Key }) => !tags.some((tag) => tag.Key === Key))
    if (found) found.TagList = [...others, ...tags]
  }

  async restore(input: Parameters<Rds["restore"]>[0]): Promise<void> {
    await this.request("restore", input.DBInstanceIdentifier)
    const { MasterUsername, Engine, EngineVersion, StorageEncrypted, KmsKeyId } = this.all[0] ?? {}
    this.all.push({
      ...(input as object),
      ...{ MasterUsername, Engine, EngineVersion, StorageEncrypted, KmsKeyId },
      ...{ DBInstanceIdentifier: input.DBInstanceIdentifier, DBInstanceStatus: "creating" },
      ...{ TagList: input.Tags, Endpoint: undefined },
      DBSubnetGroup: { DBSubnetGroupName: input.DBSubnetGroupName },
      VpcSecurityGroups: (input.VpcSecurityGroupIds ?? []).map((one) => ({ VpcSecurityGroupId: one })),
      DBParameterGroups: [{ DBParameterGroupName: input.DBParameterGroupName }],
      OptionGroupMemberships: [{ OptionGroupName: input.OptionGroupName }],
      EnabledCloudwatchLogsExports: input.EnableCloudwatchLogsExports,
      ...this.defaults,
    })
    this.pending.set(input.DBInstanceIdentifier ?? "", [...this.instanceStatuses])
  }

  async modify(instance: string, input: Parameters<Rds["modify"]>[1]): Promise<void> {
    const { EnablePerformanceInsights: insights, ...changes } = input
    await this.request("modify", `${instance} ${Object.keys(changes).join(" ")}`)
    const found = this.all.find((one) => one.DBInstanceIdentifier === instance)
    if (found && !this.deaf)
      Object.assign(found, changes, insights !== undefined && { PerformanceInsightsEnabled: insights })
  }

  async deleteInstance(name: string): Promise<void> {
    await this.request("deleteInstance", name)
    const found = this.all.find((one) => one.DBInstanceIdentifier === name)
    if (found?.DeletionProtection) throw new Error("Cannot delete protected DB Instance")
    this.all = this.all.filter((one) => one !== found)
  }

  private async request(action: string, of?: string): Promise<void> {
    this.requests++
    await this.before(action)
    if (of !== undefined) this.changes.push(`${action} ${of}`)
  }
}
