import { createHash, randomUUID } from "node:crypto"
import {
  CacheSharingMode,
  type Container,
  dag,
  type Directory,
  ExecError,
  type Service,
} from "@dagger.io/dagger"
import { z } from "zod"
import { oneLine, plain } from "../../lib/text.js"
import { scanner } from "./scanner.js"

/** A day, after which there is a newer database even where an old one does not say so. */
const day = 86_400_000

const schema = z.looseObject({
  UpdatedAt: z.iso.datetime({ offset: true }),
  NextUpdate: z.iso.datetime({ offset: true }),
  DownloadedAt: z.iso.datetime({ offset: true }),
})

/** What stands beside a vulnerability database. */
export interface Metadata {
  /** When it was made, as it says itself: this tells one database from another. */
  made: string
  next: Date
  downloaded: Date
}

/** Reads what stands beside a database; undefined for what is not there or cannot be read, as after a download that was cut off. */
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

/** Whether a newer database is to be looked for. */
export function due(kept: Metadata | undefined, now: Date): boolean {
  return !kept || now >= kept.next || now.getTime() - kept.downloaded.getTime() >= day
}

/** Why a database is of no use any more, if it is not. */
export function outdated({ made }: Metadata, oldest: number, now: Date): string | undefined {
  const age = Math.floor((now.getTime() - Date.parse(made)) / day)
  return age > oldest ? `the one of ${made.slice(0, 10)} is ${age} days old, of ${oldest} at most` : undefined
}

/** Where a vulnerability database comes from. */
export interface Source {
  /** Its OCI reference, as `ghcr.io/aquasecurity/trivy-db:2`. */
  reference: string
  /** A registry beside the pipeline, which the reference names as `registry.local`. */
  registry?: Service
  /** Days that a database may be old. */
  oldest: number
}

/** A vulnerability database in its folder, or why there is none. */
export type Database = { folder: Directory; made: string } | { missing: string }

/**
 * The vulnerability database: the one that is kept, or a newer one where it is time to look.
 *
 * What is kept is named by its source and no other, and a gate gets it as it was at one moment: equal databases are equal inputs.
 */
export async function vulnerabilityDatabase(
  { reference, registry, oldest }: Source,
  now: Date,
): Promise<Database> {
  const client = keeper(reference)
  // Two runs at once ask for themselves; nothing of this may be remembered.
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

/** Downloads beside the database that is kept, which stays as it is until there is a whole new one. */
const download = `
rm -rf ${cache}/new
timeout 600 trivy image --quiet --cache-dir ${cache}/new --download-db-only --db-repository "$1" >&2
rm -rf ${cache}/db
mv ${cache}/new/db ${cache}/db
cat ${cache}/db/metadata.json`

/** The copy is remembered under the time that the database was made; if another run has put a newer one in its place, there is nothing to take. */
const take = `
grep -qF "$1" ${cache}/db/metadata.json || { echo "another run has just fetched a newer database; run again" >&2; exit 1; }
cp -r ${cache}/db /database`

/** Trivy, with what is kept of one source. */
function keeper(reference: string): Container {
  const name = createHash("sha256").update(reference).digest("hex").slice(0, 16)
  return scanner().withMountedCache(cache, dag.cacheVolume(`vulnerabilities-${name}`), {
    sharing: CacheSharingMode.Locked,
  })
}

/**
 * Why a download failed, by what Trivy printed.
 *
 * Its last line is the cause, unless that only says that every source failed: then the line of each source names it.
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

/** In a chain of errors the cause stands last. */
function clipStart(text: string, width: number): string {
  return text.length <= width ? text : `…${text.slice(1 - width).replace(/^[\udc00-\udfff]/, "")}`
}
