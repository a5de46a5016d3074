import {
  AddTagsToResourceCommand,
  CreateDBSnapshotCommand,
  type DBInstance,
  type DBSnapshot,
  DeleteDBInstanceCommand,
  DeleteDBSnapshotCommand,
  ModifyDBInstanceCommand,
  type ModifyDBInstanceMessage,
  paginateDescribeDBInstances,
  paginateDescribeDBSnapshots,
  RDSClient,
  RestoreDBInstanceFromDBSnapshotCommand,
  type RestoreDBInstanceFromDBSnapshotMessage,
  type Tag,
} from "@aws-sdk/client-rds"
import { oneLine } from "../../lib/text.js"

/** An error of RDS, by its code, such as `SnapshotQuotaExceeded`. */
export class RdsError extends Error {
  override name = "RdsError"

  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** What backups ask of Amazon RDS. Each throws RdsError with what it could not do and why. */
export interface Rds {
  instances(): Promise<DBInstance[]>
  /** Manual snapshots of an instance. */
  snapshots(instance: string): Promise<DBSnapshot[]>
  createSnapshot(instance: string, name: string, tags: Tag[]): Promise<void>
  deleteSnapshot(name: string): Promise<void>
  tag(arn: string, tags: Tag[]): Promise<void>
  restore(input: RestoreDBInstanceFromDBSnapshotMessage): Promise<void>
  /** At once, not in the next maintenance window. */
  modify(instance: string, changes: Partial<ModifyDBInstanceMessage>): Promise<void>
  /** Without a last snapshot, and with its automatic backups. */
  deleteInstance(name: string): Promise<void>
}

/** What a code means and what to do, where the message of RDS says less. */
const explanations: Record<string, string> = {
  SnapshotQuotaExceeded:
    "the account has as many manual snapshots in this Region as its quota allows, 100 by default: remove some that nobody needs, or have the quota raised (Service Quotas, Amazon RDS)",
  InstanceQuotaExceeded:
    "the account has as many DB instances in this Region as its quota allows, 40 by default: a backup is verified on one that is restored beside the database, so remove one or have the quota raised (Service Quotas, Amazon RDS)",
  StorageQuotaExceeded:
    "the storage of all DB instances reaches the account's quota: a backup is verified on one that is restored beside the database, so free storage or have the quota raised (Service Quotas, Amazon RDS)",
  InsufficientDBInstanceCapacity:
    "Amazon has no instance of this class in the zone at present: try again later",
  KMSKeyNotAccessible:
    "the KMS key that the storage is encrypted with cannot be used: it is disabled, or the role lacks kms:CreateGrant and kms:DescribeKey for it",
  InvalidDBInstanceState: "the instance is busy with something else: try again when it is available",
  DBInstanceNotFound:
    "there is no such instance in this account and Region: see backup.instance in deploy.yaml",
  AccessDenied: "the keys lack the right; docs/migrations.md lists those that backups need",
  ExpiredToken: "the keys have expired: give new ones",
}

/** The code of an error in one form: `SnapshotQuotaExceededFault` and `SnapshotQuotaExceeded` are one. */
const codeOf = (name: string) => name.replace(/(Fault|Exception|Failure)$/, "")

/** Amazon RDS in one Region. */
export class AmazonRds implements Rds {
  private readonly client: RDSClient

  /** @param options.endpoint address of a server with its API that is not Amazon's */
  constructor({
    endpoint,
    ...options
  }: {
    region: string
    endpoint?: string | undefined
    credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string }
  }) {
    this.client = new RDSClient({
      ...options,
      maxAttempts: 5,
      requestHandler: { requestTimeout: 30_000, connectionTimeout: 10_000, throwOnRequestTimeout: true },
      ...(endpoint !== undefined && { endpoint }),
    })
  }

  instances(): Promise<DBInstance[]> {
    return explained("list the DB instances", async () => {
      const pages = paginateDescribeDBInstances({ client: this.client }, {})
      return (await allOf(pages)).flatMap(({ DBInstances = [] }) => DBInstances)
    })
  }

  snapshots(instance: string): Promise<DBSnapshot[]> {
    return explained(`list the snapshots of ${instance}`, async () => {
      const wanted = { DBInstanceIdentifier: instance, SnapshotType: "manual" }
      const pages = paginateDescribeDBSnapshots({ client: this.client }, wanted)
      return (await allOf(pages)).flatMap(({ DBSnapshots = [] }) => DBSnapshots)
    })
  }

  async createSnapshot(instance: string, name: string, tags: Tag[]): Promise<void> {
    const input = { DBInstanceIdentifier: instance, DBSnapshotIdentifier: name, Tags: tags }
    await explained(`make a snapshot of ${instance}`, () =>
      this.client.send(new CreateDBSnapshotCommand(input)),
    )
  }

  async deleteSnapshot(name: string): Promise<void> {
    await explained(`remove the snapshot ${name}`, () =>
      this.client.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: name })),
    )
  }

  async tag(arn: string, tags: Tag[]): Promise<void> {
    await explained(`tag ${arn}`, () =>
      this.client.send(new AddTagsToResourceCommand({ ResourceName: arn, Tags: tags })),
    )
  }

  async restore(input: RestoreDBInstanceFromDBSnapshotMessage): Promise<void> {
    await explained(
      `restore ${input.DBSnapshotIdentifier ?? ""} to ${input.DBInstanceIdentifier ?? ""}`,
      () => this.client.send(new RestoreDBInstanceFromDBSnapshotCommand(input)),
    )
  }

  async modify(instance: string, changes: Partial<ModifyDBInstanceMessage>): Promise<void> {
    const input = { ...changes, DBInstanceIdentifier: instance, ApplyImmediately: true }
    await explained(`change ${instance}`, () => this.client.send(new ModifyDBInstanceCommand(input)))
  }

  async deleteInstance(name: string): Promise<void> {
    const input = { DBInstanceIdentifier: name, SkipFinalSnapshot: true, DeleteAutomatedBackups: true }
    await explained(`remove the restored instance ${name}`, () =>
      this.client.send(new DeleteDBInstanceCommand(input)),
    )
  }
}

async function allOf<Page>(pages: AsyncIterable<Page>): Promise<Page[]> {
  const found: Page[] = []
  for await (const page of pages) found.push(page)
  return found
}

async function explained<Value>(action: string, task: () => Promise<Value>): Promise<Value> {
  try {
    return await task()
  } catch (error) {
    const { name = "", message = String(error) } = error instanceof Error ? error : {}
    const code = codeOf(name)
    const cause = oneLine(message, 300)
    const meaning = explanations[code]
    throw new RdsError(
      code,
      `cannot ${action}: ${meaning === undefined ? `${code}: ${cause}` : `${meaning} (${code}: ${cause})`}`,
      { cause: error },
    )
  }
}
