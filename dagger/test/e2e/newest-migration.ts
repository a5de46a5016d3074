import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"

/** Migrations of the recipes API in the repository. */
export const versions = "services/api/src/recipes/migrations/versions"

/** The newest migration of a checkout, and the one before it. */
export async function newestMigration(root: string): Promise<{ revision: string; parent?: string }> {
  const names = (await readdir(join(root, versions))).filter((name) => /^\d.*\.py$/.test(name))
  const text = await readFile(join(root, versions, names.sort().at(-1) ?? ""), "utf8")
  const value = (name: string) => new RegExp(`^${name}.*= "(.*)"$`, "m").exec(text)?.[1]
  const [revision, parent] = [value("revision"), value("down_revision")]
  if (revision === undefined) throw new Error(`${versions} has no migration with a revision`)
  return { revision, ...(parent !== undefined && { parent }) }
}
