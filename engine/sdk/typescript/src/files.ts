import { readdir } from "node:fs/promises"
import { join } from "node:path"

/** Made once for each state of the sources, and kept beside them. */
export const bundleFile = (src: string): string => join(src, "__dagger.module.mjs")
export const typesFile = (src: string): string => join(src, "__dagger.types.json")

/** Every TypeScript file in the folder belongs to the module, imported or not. */
export async function sourceFiles(src: string): Promise<string[]> {
  const files = await readdir(src, { recursive: true })
  return files.filter((file) => /\.m?ts$/.test(file)).sort()
}
