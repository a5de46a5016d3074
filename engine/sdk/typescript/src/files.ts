import { readdir } from "node:fs/promises"
import { join } from "node:path"

/** What is prepared once for a state of the sources, and lies beside them when a function is called. */
export const bundleFile = (src: string): string => join(src, "__dagger.module.mjs")
export const typesFile = (src: string): string => join(src, "__dagger.types.json")

/** Everything that is TypeScript belongs to the module, at any depth and imported or not. */
export async function sourceFiles(src: string): Promise<string[]> {
  const files = await readdir(src, { recursive: true })
  return files.filter((file) => /\.m?ts$/.test(file)).sort()
}
