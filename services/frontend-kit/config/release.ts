import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { Plugin } from "vite"
import type { FlagDeclarations } from "../src/flags.ts"

const services = join(import.meta.dirname, "../..")

/** What a build is. */
export interface Release {
  /** The app's folder of services/. */
  app: string
  /** The backend's folder of services/, whose openapi.json the app's types come from. */
  backend: string
  flags: FlagDeclarations
}

/** Writes release.json, from which a publisher sees what a build is and what it needs. The same sources give the same file. */
export function releasePlugin(release: Release): Plugin {
  return {
    name: "kit:release",
    apply: "build",
    generateBundle() {
      const contract = readFileSync(join(services, release.backend, "openapi.json"))
      this.emitFile({ type: "asset", fileName: "release.json", source: describeRelease(release, contract) })
    },
  }
}

/**
 * The text of release.json.
 *
 * @param contract the contents of the backend's openapi.json
 */
export function describeRelease({ app, backend, flags }: Release, contract: Uint8Array): string {
  const sha256 = createHash("sha256").update(contract).digest("hex")
  return `${JSON.stringify({ app, backend, contract: sha256, flags: Object.keys(flags).sort() }, null, 2)}\n`
}
