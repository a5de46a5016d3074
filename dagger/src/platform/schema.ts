import type { Container } from "@dagger.io/dagger"

/** What a service's migrations make of its database. */
export interface Schema {
  /** The last migration. */
  head: string
  /** Those that code of before them cannot work with. */
  breaking: string[]
}

const labels = { head: "dev.pitwall.schema.head", breaking: "dev.pitwall.schema.breaking" }

/**
 * Reads Alembic's revisions. One that code of before it cannot work with says `breaking = True`.
 *
 * @param migrations text by file
 * @returns nothing where there is no migration
 * @throws Error with the file for one that is none, and for several heads
 */
export function schemaOf(migrations: Record<string, string>): Schema | undefined {
  const all = Object.entries(migrations).map(([file, text]) => migrationOf(file, text))
  const parents = all.flatMap(({ down }) => down)
  const heads = all.map(({ revision }) => revision).filter((revision) => !parents.includes(revision))
  const [head] = heads
  if (all.length === 0) return undefined
  if (head === undefined || heads.length > 1) {
    throw new Error(`migrations have one head; these have ${heads.sort().join(", ") || "none"}`)
  }
  const breaking = all.filter((migration) => migration.breaking).map(({ revision }) => revision)
  return { head, breaking: breaking.sort() }
}

function migrationOf(file: string, text: string): { revision: string; down: string[]; breaking: boolean } {
  const value = (name: string) => new RegExp(`^${name}\\b[^=\\n]*=\\s*(.+)$`, "m").exec(text)?.[1]?.trim()
  const named = /^["']([\w-]+)["']$/.exec(value("revision") ?? "")?.[1]
  if (named === undefined) throw new Error(`${file}: a migration has a line revision = "…"`)
  const down = [...(value("down_revision") ?? "").matchAll(/["']([\w-]+)["']/g)].map(([, name = ""]) => name)
  const breaking = value("breaking") ?? "False"
  if (!["True", "False"].includes(breaking)) {
    throw new Error(`${file}: breaking is True or False (found ${breaking})`)
  }
  return { revision: named, down, breaking: breaking === "True" }
}

/** Writes it on an image, where a deploy of it finds it. */
export function labelled(image: Container, schema: Schema | undefined): Container {
  if (!schema) return image
  return image.withLabel(labels.head, schema.head).withLabel(labels.breaking, schema.breaking.join(","))
}

/** What an image says of it. */
export async function schemaFrom(image: Container): Promise<Schema | undefined> {
  const all = await image.labels()
  const said = Object.fromEntries(
    await Promise.all(all.map(async (label) => [await label.name(), await label.value()])),
  ) as Record<string, string>
  const head = said[labels.head]
  if (head === undefined) return undefined
  return { head, breaking: (said[labels.breaking] ?? "").split(",").filter((name) => name !== "") }
}
