import { describe, expect, it } from "vitest"
import {
  modifyParameters,
  restoreParameters,
  settingDifferences,
} from "../../../src/databases/rds/instance.js"
import { source } from "./fixtures.js"

describe("the settings of an instance", () => {
  it("are all given to the restore, or to the change after it", () => {
    expect(restoreParameters(source())).toEqual({
      DBInstanceClass: "db.r6g.large",
      Port: 5433,
      AllocatedStorage: 500,
      StorageType: "gp3",
      Iops: 13_000,
      StorageThroughput: 600,
      DedicatedLogVolume: false,
      MultiAZ: true,
      DBSubnetGroupName: "private",
      VpcSecurityGroupIds: ["sg-1", "sg-2"],
      PubliclyAccessible: false,
      DBParameterGroupName: "recipes15",
      OptionGroupName: "default:postgres-15",
      CACertificateIdentifier: "rds-ca-rsa2048-g1",
      EnableIAMDatabaseAuthentication: false,
      EnableCloudwatchLogsExports: ["postgresql"],
      AutoMinorVersionUpgrade: false,
      CopyTagsToSnapshot: true,
      DeletionProtection: true,
    })
    const bare = source({
      PreferredMaintenanceWindow: undefined,
      BackupRetentionPeriod: undefined,
      MonitoringInterval: 0,
    })
    expect(modifyParameters(source(), bare)).toEqual({
      BackupRetentionPeriod: 14,
      PreferredMaintenanceWindow: "sun:04:00-sun:05:00",
      MonitoringInterval: 60,
    })
    expect(modifyParameters(source(), source())).toEqual({})
  })

  it("leave the zone to RDS where there are several, and name the performance of storage only where that is allowed", () => {
    expect(restoreParameters(source({ MultiAZ: false, AvailabilityZone: "eu-central-1a" }))).toMatchObject({
      MultiAZ: false,
      AvailabilityZone: "eu-central-1a",
    })
    expect(restoreParameters(source({ AvailabilityZone: "eu-central-1a" }))).not.toHaveProperty(
      "AvailabilityZone",
    )
    const small = source({ AllocatedStorage: 100, Iops: 3_000, StorageThroughput: 125 })
    expect(restoreParameters(small)).not.toHaveProperty("Iops")
    expect(restoreParameters(small)).not.toHaveProperty("StorageThroughput")
  })

  it.each([
    [{ DBInstanceClass: "db.t4g.micro" }, "class: db.t4g.micro instead of db.r6g.large"],
    [
      { DBParameterGroups: [{ DBParameterGroupName: "default.postgres15" }] },
      "parameter group: default.postgres15 instead of recipes15",
    ],
    [{ VpcSecurityGroups: [{ VpcSecurityGroupId: "sg-9" }] }, "security groups: sg-9 instead of sg-1, sg-2"],
    [{ MultiAZ: false }, "Multi-AZ: false instead of true"],
    [{ KmsKeyId: undefined }, "KMS key: none instead of arn:aws:kms"],
    [{ DeletionProtection: false }, "deletion protection: false instead of true"],
    [
      { PreferredMaintenanceWindow: "mon:01:00-mon:01:30" },
      "maintenance window: mon:01:00-mon:01:30 instead",
    ],
    [{ EnabledCloudwatchLogsExports: undefined }, "logs in CloudWatch: none instead of postgresql"],
  ])("that differ are named: %j", (change, line) => {
    const found = settingDifferences(source(), { ...source(), ...change })
    expect(found.join("\n")).toContain(line)
  })

  it("do not differ by the order of groups or by what RDS chooses", () => {
    const restored = source({
      DBInstanceIdentifier: "recipes-2",
      VpcSecurityGroups: [{ VpcSecurityGroupId: "sg-1" }, { VpcSecurityGroupId: "sg-2" }],
      AvailabilityZone: "eu-central-1c",
    })
    expect(settingDifferences(source({ AvailabilityZone: "eu-central-1a" }), restored)).toEqual([])
  })
})
