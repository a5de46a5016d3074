import { readFile } from "node:fs/promises"
import { dirname } from "node:path"
import * as classes from "#dagger/module/introspector/dagger_module/index.js"
import { typesFile } from "./files.ts"
import { hydrate } from "./types.ts"

/** Replaces the SDK's scan: reads the types that were scanned when the module was bundled. */
export async function scan([bundle]: string[]): Promise<classes.DaggerModule> {
  const types: unknown = JSON.parse(await readFile(typesFile(dirname(bundle!)), "utf8"))
  return hydrate(types, classes as unknown as Record<string, { prototype: object }>) as classes.DaggerModule
}
