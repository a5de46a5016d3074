// The client of Amazon RDS with moto, a server with Amazon's API. Skipped without it.
import {
  AddTagsToResourceCommand,
  CreateDBInstanceCommand,
  CreateDBParameterGroupCommand,
  CreateDBSnapshotCommand,
  CreateOptionGroupCommand,
  RDSClient,
} from "@aws-sdk/client-rds"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { AmazonRds } from "../../../src/databases/rds/client.js"
import { markTags, type Owner, snapshotName, tagsOf } from "../../../src/databases/rds/decisions.js"
import { RdsSnapshots } from "../../../src/databases/rds/snapshots.js"
import { monotonic } from "../../../src/lib/clock.js"
import { Moto, withoutMoto } from "../../frontends/servers.js"

const credentials = { accessKeyId: "key", secretAccessKey: "secret-key" }
const id = "2026-03-02T10-00-00Z-ab12cd"
/** Snapshots that the server lets an account have. */
const quota = 8

if (withoutMoto !== undefined) console.log(`backups at Amazon RDS are not tested: ${withoutMoto}`)

describe.skipIf(withoutMoto !== undefined)("Amazon RDS", () => {
  let moto: Moto
  let client: RDSClient
  let rds: AmazonRds

  beforeAll(async () => {
    moto = await Moto.start({ MOTO_RDS_SNAPSHOT_LIMIT: String(quota) })
    const options = { endpoint: moto.endpoint, region: "eu-central-1", credentials }
    client = new RDSClient(options)
    rds = new AmazonRds(options)
    await client.send(
      new CreateDBParameterGroupCommand({
        DBParameterGroupName: "recipes15",
        DBParameterGroupFamily: "postgres15",
        Description: "settings",
      }),
    )
    // moto has no default ones, and knows those of old versions only.
    await client.send(
      new CreateOptionGroupCommand({
        OptionGroupName: "recipes",
        EngineName: "postgres",
        MajorEngineVersion: "13",
        OptionGroupDescription: "options",
      }),
    )
  }, 90_000)
  afterAll(() => {
    moto.stop()
  })

  /** A database on an instance of its own, with settings that are not the defaults. */
  async function setUp(instance: string) {
    await client.send(
      new CreateDBInstanceCommand({
        DBInstanceIdentifier: instance,
        Engine: "postgres",
        EngineVersion: "15.8",
        DBInstanceClass: "db.r6g.large",
        AllocatedStorage: 120,
        MaxAllocatedStorage: 300,
        MasterUsername: "recipes",
        MasterUserPassword: "only-for-tests",
        DBParameterGroupName: "recipes15",
        OptionGroupName: "recipes",
        VpcSecurityGroupIds: ["sg-0123456789abcdef0"],
        MultiAZ: true,
        StorageEncrypted: true,
        KmsKeyId: "arn:aws:kms:eu-central-1:123456789012:key/1",
        DeletionProtection: true,
        CopyTagsToSnapshot: true,
        BackupRetentionPeriod: 14,
        PreferredBackupWindow: "02:00-02:30",
        PreferredMaintenanceWindow: "sun:04:00-sun:05:00",
        EnableCloudwatchLogsExports: ["postgresql"],
        Tags: [{ Key: "team", Value: "food" }],
      }),
    )
    const owner: Owner = { environment: "staging", name: "recipes", instance }
    const said: string[] = []
    const snapshots = new RdsSnapshots({
      ...{ rds, owner, clock: monotonic, limit: 60 },
      now: () => Date.parse("2026-04-20T00:00:00Z"),
      say: (line) => said.push(line),
    })
    return { owner, snapshots, said }
  }
  const named = async (name: string) =>
    (await rds.instances()).find(({ DBInstanceIdentifier }) => DBInstanceIdentifier === name)

  it("makes a snapshot with tags, restores it with all settings, and removes the instance again", async () => {
    const { snapshots } = await setUp("recipes-one")
    await snapshots.create(id)
    const made = await snapshots.available(id)
    expect(made).toMatchObject({ id, status: "available", bytes: 120 * 2 ** 30 })
    const place = await snapshots.restore(made)
    const restored = await named("recipes-2026-03-02t10-00-00z-ab12cd")
    expect(place).toEqual({ host: restored?.Endpoint?.Address, port: 5432 })
    expect(restored).toMatchObject({
      DBInstanceClass: "db.r6g.large",
      DBParameterGroups: [{ DBParameterGroupName: "recipes15" }],
      VpcSecurityGroups: [{ VpcSecurityGroupId: "sg-0123456789abcdef0" }],
      MultiAZ: true,
      DeletionProtection: true,
      MaxAllocatedStorage: 300,
      PreferredMaintenanceWindow: "sun:04:00-sun:05:00",
      TagList: tagsOf({ environment: "staging", name: "recipes", instance: "" }, id),
    })
    // Again, as after an interruption.
    expect(await snapshots.restore(made)).toEqual(place)
    await snapshots.mark(made, "verified")
    expect(await snapshots.own()).toMatchObject([{ id, verified: "2026-04-20T00:00:00.000Z" }])
    await snapshots.removeRestored(id)
    expect(await named("recipes-2026-03-02t10-00-00z-ab12cd")).toBeUndefined()
    expect(await named("recipes-one")).toMatchObject({ DeletionProtection: true })
  })

  it("removes expired snapshots of ours, and none of anybody else", async () => {
    const { owner, snapshots } = await setUp("recipes-two")
    const taken = async (name: string, of: Owner | undefined, backup: string) => {
      const tags = of ? tagsOf(of, backup) : []
      await rds.createSnapshot("recipes-two", name, tags)
    }
    const [old, young] = ["2025-01-01T00-00-00Z-000000", "2026-04-19T00-00-00Z-000000"]
    await taken(snapshotName(owner, old), owner, old)
    await taken(snapshotName(owner, young), owner, young)
    await taken("by-hand", undefined, "")
    // Made by hand, with tags that were copied.
    await taken("before-the-move", owner, old)
    const found = (await rds.snapshots("recipes-two")).find(
      ({ DBSnapshotIdentifier }) => DBSnapshotIdentifier === snapshotName(owner, young),
    )
    await client.send(
      new AddTagsToResourceCommand({
        ResourceName: found?.DBSnapshotArn,
        Tags: markTags("verified", "2026-04-19T01:00:00Z"),
      }),
    )
    expect(await snapshots.prune({ days: 30, count: 1 })).toEqual([old])
    const left = (await rds.snapshots("recipes-two")).map(({ DBSnapshotIdentifier }) => DBSnapshotIdentifier)
    expect(left.sort()).toEqual(["before-the-move", "by-hand", snapshotName(owner, young)])
  })

  it("names the quota of snapshots, an instance that is not there, and a server that does not answer", async () => {
    const { snapshots } = await setUp("recipes-three")
    for (let number = 0; number < quota; number++) {
      const input = { DBInstanceIdentifier: "recipes-three", DBSnapshotIdentifier: `theirs-${number}` }
      await client.send(new CreateDBSnapshotCommand(input)).catch(() => undefined)
    }
    await expect(snapshots.create("2026-03-03T10-00-00Z-ab12cd")).rejects.toThrow(
      /^cannot make a snapshot of recipes-three: the account has as many manual snapshots in this Region as its quota allows.*\(SnapshotQuotaExceeded: /,
    )
    await expect(rds.createSnapshot("nowhere", "x", [])).rejects.toThrow(
      /cannot make a snapshot of nowhere: there is no such instance .*\(DBInstanceNotFound: /,
    )
    await expect(rds.deleteSnapshot("nowhere")).rejects.toThrow(
      /cannot remove the snapshot nowhere: DBSnapshotNotFound/,
    )
    const away = new AmazonRds({ endpoint: "http://127.0.0.1:1", region: "eu-central-1", credentials })
    await expect(away.instances()).rejects.toThrow(/^cannot list the DB instances: .*ECONNREFUSED/)
  })
})
