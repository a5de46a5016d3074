import type { Container } from "@dagger.io/dagger"
import {
  type Assignment,
  type Constant,
  everyName,
  PythonSyntaxError,
  readConstants,
} from "./python-constants.js"

/** The state that a service's migrations bring its database to. */
export interface Schema {
  /** The last migration. */
  head: string
  /** Migrations that break the code released before them. */
  breaking: string[]
}

const labels = { head: "dev.pitwall.schema.head", breaking: "dev.pitwall.schema.breaking" }

interface MigrationFile {
  file: string
  revision: string
  /** Revisions directly before it. */
  parents: string[]
  parentsLine: number
  breaking: boolean
}

/**
 * Reads Alembic's migrations without running them. A migration that breaks the code released before it assigns `breaking = True`.
 *
 * @param files text by path; names that Alembic ignores, such as `__init__.py`, are ignored
 * @returns undefined if there is no migration
 * @throws Error with file and line for a file that is not a migration, and for migrations without exactly one head
 */
export function schemaOf(files: Record<string, string>): Schema | undefined {
  const migrations = Object.entries(files)
    .filter(([file]) => alembicFile.test(file))
    .map(([file, text]) => migrationOf(file, text))
  if (migrations.length === 0) return undefined
  const byRevision = new Map<string, MigrationFile>()
  for (const migration of migrations) {
    const { file, revision } = migration
    const other = byRevision.get(revision)
    if (other) throw new Error(`${file}: revision "${revision}" is also in ${other.file}`)
    byRevision.set(revision, migration)
  }
  for (const { file, parents, parentsLine } of migrations) {
    const missing = parents.find((parent) => !byRevision.has(parent))
    if (missing === undefined) continue
    throw new Error(`${file}:${parentsLine}: down_revision "${missing}" is not a migration of this service`)
  }
  const parents = new Set(migrations.flatMap((migration) => migration.parents))
  const heads = migrations.filter(({ revision }) => !parents.has(revision))
  const [head] = heads
  if (head === undefined || heads.length > 1) {
    const found = heads.map(({ file, revision }) => `${revision} (${file})`).sort()
    throw new Error(`migrations must have one head; these have ${found.join(", ") || "none"}`)
  }
  const breaking = migrations.filter((migration) => migration.breaking)
  return { head: head.revision, breaking: breaking.map(({ revision }) => revision).sort() }
}

/** The files of a versions folder that Alembic loads. */
const alembicFile = /(?:^|\/)(?!\.#|__init__)[^/]*\.py$/

function migrationOf(file: string, text: string): MigrationFile {
  const constants = constantsOf(file, text)
  const refuse = (name: string, { value, line }: Assignment, allowed: string): never => {
    const found = value === undefined ? "an expression" : JSON.stringify(value)
    throw new Error(`${file}:${line}: ${name} must be ${allowed}, written out (found ${found})`)
  }
  const revision = constants.get("revision")
  if (!revision) throw new Error(`${file}:1: a migration must assign revision = "…"`)
  if (!isRevision(revision.value)) return refuse("revision", revision, "a string")
  const down = constants.get("down_revision") ?? { value: null, line: 1 }
  const parents = down.value === null ? [] : [down.value].flat()
  if (!parents.every(isRevision)) return refuse("down_revision", down, "None, a string or a tuple of strings")
  const breaking = constants.get("breaking") ?? constants.get(everyName) ?? { value: false, line: 1 }
  if (typeof breaking.value !== "boolean") return refuse("breaking", breaking, "True or False")
  return { file, revision: revision.value, parents, parentsLine: down.line, breaking: breaking.value }
}

const isRevision = (value: Constant | undefined): value is string => typeof value === "string" && value !== ""

function constantsOf(file: string, text: string): Map<string, Assignment> {
  try {
    return readConstants(text)
  } catch (error) {
    if (error instanceof PythonSyntaxError) {
      throw new Error(`${file}:${error.line}: not valid Python`, { cause: error })
    }
    throw error
  }
}

/** Records the schema in an image's labels, where a deploy of the image finds it. */
export function labelled(image: Container, schema: Schema | undefined): Container {
  if (!schema) return image
  return image.withLabel(labels.head, schema.head).withLabel(labels.breaking, schema.breaking.join(","))
}

/** Reads the schema from an image's labels. */
export async function schemaFrom(image: Container): Promise<Schema | undefined> {
  const found = Object.fromEntries(
    await Promise.all(
      (await image.labels()).map(async (label) => [await label.name(), await label.value()] as const),
    ),
  )
  const head = found[labels.head]
  if (head === undefined) return undefined
  return { head, breaking: (found[labels.breaking] ?? "").split(",").filter((name) => name !== "") }
}
