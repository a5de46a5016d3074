import type { Directory } from "@dagger.io/dagger"
import { verifyYaml } from "../../lib/document.js"

/**
 * The files with the settings and rules of a tool. Those that are YAML are read here first, because a tool names a fault in them by a path of its container, if at all.
 *
 * @param include patterns of the repository
 * @throws ConfigurationError with file and line
 */
export async function settingsFiles(source: Directory, include: string[]): Promise<Directory> {
  const files = source.filter({ include })
  await Promise.all(
    (await files.glob("**/*.yaml")).map(async (path) => {
      verifyYaml(path, await files.file(path).contents())
    }),
  )
  return files
}
