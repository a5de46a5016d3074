import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { scan } from "#dagger/module/introspector/index.js"
import { sourceFiles } from "./files.ts"
import { dehydrate } from "./types.ts"

/** Writes the result of the SDK's scan of the module's types. */
const [moduleName, src, output, client] = process.argv.slice(2) as [string, string, string, string]
const files = (await sourceFiles(src)).map((file) => join(src, file))
try {
  const module = await scan([...files, client], moduleName, false)
  await writeFile(output, JSON.stringify(dehydrate(module)))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
