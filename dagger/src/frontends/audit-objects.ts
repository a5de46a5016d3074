import { type AuditFiles, auditReport, auditText, type KeptAudit, readAudit } from "./audit.js"
import type { Bucket, ListedObject } from "./bucket.js"
import { sha256Of } from "./bundle.js"
import type { Layout, StoredObject } from "./layout.js"
import { cacheControl } from "./manifest.js"

/** The files of an audit in the bucket, beside its screenshots. */
export const auditFiles = { data: "audit.json", report: "report.md" }

/** The objects that keep an audit, its figures last. Browsers never get them: no address of the app leads there. */
export function auditObjects(
  layout: Layout,
  { release, audit, files }: { release: string; audit: KeptAudit; files: AuditFiles },
): { object: StoredObject; body: Uint8Array }[] {
  const texts: [string, string, Uint8Array][] = [
    [auditFiles.report, "text/markdown; charset=utf-8", Buffer.from(auditReport(release, audit))],
    [auditFiles.data, "application/json; charset=utf-8", Buffer.from(auditText(audit))],
  ]
  const pictures = [...files.screenshots].map(([name, body]): [string, string, Uint8Array] => [
    name,
    "image/png",
    body,
  ])
  return [...pictures, ...texts].map(([name, type, body]) => ({
    object: {
      key: `${layout.audit(release)}${name}`,
      type,
      cache: cacheControl["no-store"],
      sha256: sha256Of(body),
      size: body.length,
    },
    body,
  }))
}

/** An audit as the bucket has it. */
export interface StoredAudit {
  release: string
  /** When it was kept, in ms since the epoch. */
  at: number
  audit: KeptAudit
  /** Its files by name: figures, report and pictures. */
  files: Map<string, Uint8Array>
  /** Files that it should have and the bucket does not. */
  missing: string[]
}

/**
 * Reads the audit that was kept last.
 *
 * @returns nothing where no release was ever audited
 * @throws Error when it cannot be read
 */
export async function newestAudit(bucket: Bucket, layout: Layout): Promise<StoredAudit | undefined> {
  const newest = newestIn(await bucket.list(layout.audits), layout)
  if (!newest) return undefined
  const { release, at } = newest
  const folder = layout.audit(release)
  const data = await bucket.contents(folder + auditFiles.data)
  if (!data)
    throw new Error(
      `${folder} has no ${auditFiles.data}: the deploy of release ${release} was interrupted; deploy it again`,
    )
  let audit: KeptAudit
  try {
    audit = readAudit(Buffer.from(data).toString())
  } catch (error) {
    throw new Error(`${folder}${auditFiles.data} is no audit: ${(error as Error).message}`, { cause: error })
  }
  const names = [auditFiles.report, ...new Set(audit.pages.map(({ screenshot }) => screenshot))]
  const read = await Promise.all(
    names.map(async (name) => ({ name, body: await bucket.contents(folder + name) })),
  )
  return {
    release,
    at,
    audit,
    files: new Map([
      [auditFiles.data, data],
      ...read.flatMap(({ name, body }): [string, Uint8Array][] => (body ? [[name, body]] : [])),
    ]),
    missing: read.flatMap(({ name, body }) => (body ? [] : [name])),
  }
}

/** The release whose audit was written last, whole or not. */
function newestIn(objects: ListedObject[], { audits }: Layout): { release: string; at: number } | undefined {
  const [newest] = [...objects].sort((one, other) => other.at - one.at)
  return newest && { release: newest.key.slice(audits.length).split("/")[0] ?? "", at: newest.at }
}
