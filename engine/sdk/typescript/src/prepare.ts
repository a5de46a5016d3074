import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdtemp, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { bundle } from "./bundle.ts"
import { bundleFile, sourceFiles, typesFile } from "./files.ts"

/** Bundles the module in the working directory and scans its types, at the same time. */
const [moduleName, packages] = process.argv.slice(2) as [string, string]
const home = process.cwd()
const src = join(home, "src")
const client = join(home, "node_modules/@dagger.io/dagger/dist/src/api/client.gen.ts")

/** The module's own configuration, with the option that the SDK's decorators need. */
async function tsconfig(): Promise<string> {
  const own = join(home, "tsconfig.json")
  const file = join(await mkdtemp(join(tmpdir(), "tsconfig-")), "tsconfig.json")
  const config = { extends: existsSync(own) ? own : [], compilerOptions: { experimentalDecorators: true } }
  await writeFile(file, JSON.stringify(config))
  return file
}

const files = existsSync(src) ? await sourceFiles(src) : []
if (files.length === 0) {
  console.error(`${moduleName}: there is no TypeScript file in ${src}`)
  process.exit(1)
}

const [bundled, scanned] = await Promise.allSettled([
  bundle({ src, files, tsconfig: await tsconfig(), packages }, bundleFile(src)),
  // The scan blocks its thread, so it runs in a process of its own.
  promisify(execFile)(process.execPath, [
    ...[join(import.meta.dirname, "scan.mjs"), moduleName, src, typesFile(src), client],
  ]),
])
// esbuild has printed its errors; those of the scan would repeat them.
if (bundled.status === "rejected") process.exit(1)
if (scanned.status === "rejected") {
  console.error((scanned.reason as { stderr: string }).stderr)
  process.exit(1)
}
process.stderr.write(scanned.value.stderr)
