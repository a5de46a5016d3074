import { createHash, randomUUID } from "node:crypto"
import { CacheSharingMode, type Container, type Directory, ExecError, type Service } from "@dagger.io/dagger"
import { z } from "zod"
import { oneLine, plain } from "../../lib/text.js"
import { cache as cacheVolume } from "../../platform/caches.js"
import { scanner } from "./scanner.js"

/** Milliseconds. A newer database is looked for at least this often. */
const day = 86_400_000

const schema = z.looseObject({
  UpdatedAt: z.iso.datetime({ offset: true }),
  NextUpdate: z.iso.datetime({ offset: true }),
  DownloadedAt: z.iso.datetime({ offset: true }),
})

/** The metadata file of a vulnerability database. */
export interface Metadata {
  /** When the database was made. It identifies the database. */
  made: string
  next: Date
  downloaded: Date
}

/** Reads the metadata of a database; undefined if it is missing or unreadable, as after an interrupted download. */
export function readMetadata(text: string): Metadata | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return undefined
  }
  const checked = schema.safeParse(parsed)
  if (!checked.success) return undefined
  const { UpdatedAt, NextUpdate, DownloadedAt } = checked.data
  return { made: UpdatedAt, next: new Date(NextUpdate), downloaded: new Date(DownloadedAt) }
}

/** Whether it is time to look for a newer database. */
export function due(kept: Metadata | undefined, now: Date): boolean {
  return !kept || now >= kept.next || now.getTime() - kept.downloaded.getTime() >= day
}

/** Why a database is too old; undefined if it is not. */
export function outdated({ made }: Metadata, oldest: number, now: Date): string | undefined {
  const age = Math.floor((now.getTime() - Date.parse(made)) / day)
  return age > oldest ? `the one of ${made.slice(0, 10)} is ${age} days old, of ${oldest} at most` : undefined
}

/** Where a vulnerability database comes from. */
export interface Source {
  /** Its OCI reference, as `ghcr.io/aquasecurity/trivy-db:2`. */
  reference: string
  /** A registry that the reference names as `registry.local`. */
  registry?: Service
  /** The most days that a database may be old. */
  oldest: number
}

/** The folder of a vulnerability database, or why none is usable. */
export type VulnerabilityDatabase = { folder: Directory; made: string } | { missing: string }

/**
 * Gives the cached vulnerability database, after an update if one is due.
 *
 * Each source has its own cache. Gates get a copy, so that an equal database is an equal input and their result stays cached.
 */
export async function vulnerabilityDatabase(
  { reference, registry, oldest }: Source,
  now: Date,
): Promise<VulnerabilityDatabase> {
  const client = keeper(reference)
  // The state of the cache must be read anew in every run.
  const anew = (registry ? client.withServiceBinding("registry.local", registry) : client).withEnvVariable(
    "ASKED",
    randomUUID(),
  )
  let kept = readMetadata(await anew.withExec(["sh", "-c", `cat ${cache}/db/metadata.json || true`]).stdout())
  let downloadError = ""
  if (due(kept, now)) {
    try {
      kept = readMetadata(await anew.withExec(["sh", "-ec", download, "download", reference]).stdout())
    } catch (error) {
      if (!(error instanceof ExecError)) throw error
      downloadError = reasonOf(error.stderr)
    }
  }
  if (!kept) return { missing: `tried ${reference}: ${downloadError || "what it holds is no database"}` }
  const old = outdated(kept, oldest, now)
  if (old !== undefined)
    return { missing: `tried ${reference}: ${downloadError || "it has no newer one"}; ${old}` }
  const folder = client.withExec(["sh", "-ec", take, "take", kept.made]).directory("/database")
  return { folder, made: kept.made }
}

const cache = "/var/cache/vulnerabilities"

/** Downloads beside the cached database, and replaces that only after the download is complete. */
const download = `
rm -rf ${cache}/new
timeout 600 trivy image --quiet --cache-dir ${cache}/new --download-db-only --db-repository "$1" >&2
rm -rf ${cache}/db
mv ${cache}/new/db ${cache}/db
cat ${cache}/db/metadata.json`

/** Copies the database that was made at the given time; fails if another run replaced it meanwhile. */
const take = `
grep -qF "$1" ${cache}/db/metadata.json || { echo "another run has just fetched a newer database; run again" >&2; exit 1; }
cp -r ${cache}/db /database`

/** Trivy with the cache of one source. */
function keeper(reference: string): Container {
  const name = createHash("sha256").update(reference).digest("hex").slice(0, 16)
  return scanner().withMountedCache(cache, cacheVolume(`vulnerabilities-${name}`), {
    sharing: CacheSharingMode.Locked,
  })
}

/**
 * Finds in Trivy's output why a download failed.
 *
 * The last error is the cause, unless it only says that every source failed: then the error of each source is.
 */
export function reasonOf(output: string): string {
  const lines = plain(output)
    .split("\n")
    .filter((line) => line.trim() !== "" && !/\t(INFO|WARN|DEBUG)\t/.test(line))
  const last = lines.at(-1)
  if (last === undefined) return "it did not say why"
  const ofSources = lines.flatMap((line) => /\serr="((?:[^"\\]|\\.)*)"/.exec(line)?.[1] ?? [])
  const causes = /any source\s*$/.test(last) && ofSources.length > 0 ? [...new Set(ofSources)] : [last]
  return causes
    .map((cause) => cause.replace(/^\S*\s*(FATAL|ERROR)\s+(Fatal error\s+)?/, "").replace(/^[\s*]+/, ""))
    .map((cause) => clipStart(oneLine(cause.replace(/\\(["\\])/g, "$1"), Infinity), 200))
    .join("; ")
}

/** Cuts the beginning: in a chain of errors the cause comes last. */
function clipStart(text: string, width: number): string {
  return text.length <= width ? text : `…${text.slice(1 - width).replace(/^[\udc00-\udfff]/, "")}`
}
