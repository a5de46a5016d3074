import { randomUUID } from "node:crypto"
import { mkdtemp, readdir, readFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { dag, type Directory, ExecError } from "@dagger.io/dagger"
import { images } from "../platform/base-images.js"
import { cache } from "../platform/caches.js"
import { withPackages } from "../platform/packages.js"
import { tail } from "../lib/text.js"
import type { AuditFiles, AuditRequest } from "./audit.js"

/** The folder with the program that looks at pages. */
export const auditFolder = "dagger/config/frontends/audit"

/** Seconds for a whole audit. */
const limit = 3_600

/**
 * Looks at pages in Debian's Chromium, with Lighthouse and axe of the locked versions.
 *
 * @param program the contents of `auditFolder`
 * @throws Error when one of its runs was not made
 */
export async function auditPages(program: Directory, request: AuditRequest): Promise<AuditFiles> {
  const made = withPackages(dag.container().from(images.node), "chromium", "fonts-liberation")
    .withEnvVariable("CHROMIUM_PATH", "/usr/bin/chromium")
    .withMountedCache("/root/.npm", cache("npm"))
    .withWorkdir("/audit")
    .withDirectory(".", program.filter({ include: ["package*.json", ".npmrc"] }))
    .withExec(["npm", "ci", "--ignore-scripts"])
    .withFile("audit.mjs", program.file("audit.mjs"))
    .withNewFile("request.json", JSON.stringify(request))
    // Each audit is made anew.
    .withEnvVariable("AUDIT", randomUUID())
    .withExec(["mkdir", "/out"])
    .withExec(["timeout", String(limit), "node", "audit.mjs", "request.json", "/out"])
  const folder = await mkdtemp(join(tmpdir(), "audit-"))
  await made
    .directory("/out")
    .export(folder)
    .catch((error: unknown) => {
      throw error instanceof ExecError ? new Error(tail(error.stderr, 5), { cause: error }) : error
    })
  return auditFilesIn(folder)
}

/** What the program has written into a folder. */
export async function auditFilesIn(folder: string): Promise<AuditFiles> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".png"))
  const screenshots = await Promise.all(
    names.map(async (name): Promise<[string, Uint8Array]> => [name, await readFile(join(folder, name))]),
  )
  return {
    result: await readFile(join(folder, "result.json"), "utf8"),
    screenshots: new Map(screenshots),
  }
}
