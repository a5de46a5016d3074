import type { DBInstance, DBSnapshot, Tag } from "@aws-sdk/client-rds"
import { day } from "../../lib/clock.js"

/** Whose snapshots they are. */
export interface Owner {
  environment: string
  /** Of the database. */
  name: string
  /** The RDS instance that it is on. */
  instance: string
}

/** A snapshot that this database's backups made. */
export interface Snapshot {
  /** Of the backup. */
  id: string
  /** At RDS. */
  name: string
  arn: string
  status: string
  /** In ms since the epoch: the moment in its id. */
  taken: number
  bytes: number
  /** When what was restored from it was compared the last time, ISO 8601. */
  verified?: string
  /** When that failed, if it failed the last time. */
  refused?: string
}

/** Which snapshots are kept: those of the last `days` days, and the newest `count` that were verified, whatever their age. */
export interface Keep {
  days: number
  count: number
}

const tagNames = {
  environment: "pitwall:environment",
  database: "pitwall:database",
  backup: "pitwall:backup",
  verified: "pitwall:verified",
  refused: "pitwall:refused",
} as const

/** How long a snapshot that was not verified is gone on with, in ms: the longer ago, the more has changed around it. */
const resumable = day / 2

/** The name of a snapshot at RDS, such as `pitwall-staging-recipes-2026-03-02t10-00-00z-0a1b2c`. */
export const snapshotName = ({ environment, name }: Owner, id: string): string =>
  rdsName(`pitwall-${environment}-${name}-${id}`)

/** The name of the instance that is restored from a backup, such as `recipes-2026-03-02t10-00-00z-0a1b2c`: at most 63 characters. */
export const restoredName = ({ name }: Owner, id: string): string => rdsName(`${name}-${id}`)

/** RDS has lower-case names, without two hyphens in a row. */
const rdsName = (text: string) => text.toLowerCase().replace(/-+/g, "-")

/** The tags of everything that a backup makes. */
export const tagsOf = ({ environment, name }: Owner, id: string): Tag[] =>
  tagList({
    [tagNames.environment]: environment,
    [tagNames.database]: name,
    [tagNames.backup]: id,
  })

/** The tag of a snapshot that says what became of it. */
export const markTags = (mark: "verified" | "refused", at: string): Tag[] => tagList({ [tagNames[mark]]: at })

const tagList = (tags: Record<string, string>): Tag[] =>
  Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))

/** The id of the backup that something was made for, where it has every tag of this owner. */
function backupOf(owner: Owner, tags: Tag[] | undefined): string | undefined {
  const found = Object.fromEntries((tags ?? []).map(({ Key = "", Value = "" }) => [Key, Value]))
  const isOwn = found[tagNames.environment] === owner.environment && found[tagNames.database] === owner.name
  return isOwn ? found[tagNames.backup] : undefined
}

/** Snapshots that this database's backups made, the newest first. One of somebody else is none, also when it was copied with its tags. */
export function ownSnapshots(owner: Owner, found: DBSnapshot[]): Snapshot[] {
  return found
    .flatMap((one): Snapshot[] => {
      const { DBSnapshotIdentifier: name, DBSnapshotArn: arn = "", Status: status = "" } = one
      const id = backupOf(owner, one.TagList)
      const taken = id === undefined ? undefined : takenAt(id)
      if (id === undefined || taken === undefined || name !== snapshotName(owner, id)) return []
      if (one.SnapshotType !== "manual") return []
      const tag = (key: string) => one.TagList?.find(({ Key }) => Key === key)?.Value
      const [verified, refused] = [tag(tagNames.verified), tag(tagNames.refused)]
      const isRefused = refused !== undefined && (verified === undefined || refused > verified)
      return [
        {
          ...{ id, name, arn, status, taken, bytes: (one.AllocatedStorage ?? 0) * 2 ** 30 },
          ...(isRefused ? { refused } : verified !== undefined && { verified }),
        },
      ]
    })
    .sort((one, other) => other.taken - one.taken || (other.id > one.id ? 1 : -1))
}

/** Instances that were restored for this database's backups. The instance that serves is none of them, whatever its tags. */
export const ownInstances = (owner: Owner, found: DBInstance[]): DBInstance[] =>
  found.filter(({ DBInstanceIdentifier: name, TagList }) => {
    const id = backupOf(owner, TagList)
    return id !== undefined && name === restoredName(owner, id) && name !== owner.instance
  })

/** The moment in the id of a backup, in ms since the epoch. */
function takenAt(id: string): number | undefined {
  const found = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)Z-[0-9a-f]{6}$/.exec(id)
  return found ? Date.parse(`${found[1]}T${found[2]}:${found[3]}:${found[4]}Z`) : undefined
}

/** The snapshot of a backup that was interrupted, to go on with. */
export const interrupted = (own: Snapshot[], now: number): Snapshot | undefined =>
  own
    .slice(0, 1)
    .find(
      ({ verified, refused, taken, status }) =>
        verified === undefined &&
        refused === undefined &&
        now - taken < resumable &&
        stateOf(status) !== "failed",
    )

/** Snapshots to remove: nothing while fewer are verified than have to stay. */
export function expired(own: Snapshot[], { days, count }: Keep, now: number): Snapshot[] {
  const kept = own.filter(({ verified }) => verified !== undefined).slice(0, count)
  if (kept.length < count) return []
  return own.filter((one) => !kept.includes(one) && now - one.taken > days * day)
}

/** Statuses of snapshots and instances after which none is ever available by itself. */
const final =
  /^(failed|restore-error|storage-full|insufficient-capacity|delet(ing|ed)|stopp(ing|ed)|incompatible-.*|inaccessible-.*)$/

/** What a status of RDS means for whoever waits. A status that nobody knows may pass. */
export function stateOf(status: string): "ready" | "failed" | "waiting" {
  if (["available", "storage-optimization"].includes(status)) return "ready"
  return final.test(status) ? "failed" : "waiting"
}

/** Parameters of an address by which it may name its server as well. */
const serverParameters = ["host", "hostaddr", "port", "service"]

/**
 * The address of a database on another server, where everything else is the same.
 *
 * @throws Error for an address that names its server by a query, or several
 */
export function addressAt(address: string, { host, port }: { host: string; port: number }): string {
  const url = URL.canParse(address) ? new URL(address) : undefined
  const isSingle =
    url !== undefined &&
    url.hostname !== "" &&
    !url.hostname.includes(",") &&
    !serverParameters.some((name) => url.searchParams.has(name))
  if (!isSingle)
    throw new Error(
      "the secret DATABASE_URL names no single server, so the restored one cannot be put in its place; allowed: postgresql://…@HOST:PORT/DATABASE",
    )
  if (url.hostname.toLowerCase() === host.toLowerCase())
    throw new Error(`the restored instance has the address of the database itself, ${host}`)
  url.hostname = host
  url.port = String(port)
  return url.href
}
