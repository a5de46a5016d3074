import { type Audit, type AuditFiles, auditText } from "./audit.js"
import { sha256Of } from "./bundle.js"
import type { StoredObject } from "./layout.js"
import { cacheControl } from "./manifest.js"

/** The files of an audit in the bucket, beside its screenshots. */
export const auditFiles = { data: "audit.json", report: "report.md" }

/** The objects that keep an audit. Browsers never get them: no address of the app leads there. */
export function auditObjects(
  folder: string,
  { audit, report, files }: { audit: Audit; report: string; files: AuditFiles },
): { object: StoredObject; body: Uint8Array }[] {
  const texts: [string, string, Uint8Array][] = [
    [auditFiles.report, "text/markdown; charset=utf-8", Buffer.from(report)],
    [auditFiles.data, "application/json; charset=utf-8", Buffer.from(auditText(audit))],
  ]
  const pictures = [...files.screenshots].map(([name, body]): [string, string, Uint8Array] => [
    name,
    "image/png",
    body,
  ])
  return [...pictures, ...texts].map(([name, type, body]) => ({
    object: {
      key: `${folder}${name}`,
      type,
      cache: cacheControl["no-store"],
      sha256: sha256Of(body),
      size: body.length,
    },
    body,
  }))
}
