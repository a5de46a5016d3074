import type { DatabaseObject } from "./examination.js"

/** Objects that running code names: it fails when one is gone or has another name. */
const namedByCode = new Set([
  "table",
  "view",
  "materialized view",
  "foreign table",
  "sequence",
  "column",
  "function",
  "type",
  "domain",
  "schema",
  "text search configuration",
])

/**
 * What a change of the schema does that code written for the schema before it cannot live with, a line for each.
 *
 * It compares catalogues instead of reading SQL, so that it sees what functions, `DO` blocks and loops do as well.
 *
 * @param before the catalogue before the change
 * @param after the catalogue after it
 */
export function breakingChanges(before: DatabaseObject[], after: DatabaseObject[]): string[] {
  const old = byId(before)
  const now = byId(after)
  const changes: string[] = []
  for (const object of before) {
    const { id, kind, name, parent, facts } = object
    const found = now.get(id)
    if (!found) {
      // What goes with its table is not a change of its own.
      const goesWithParent = parent !== null && old.has(parent) && !now.has(parent)
      if (namedByCode.has(kind) && !goesWithParent) changes.push(`drops ${kind} ${name}`)
      continue
    }
    // The name of a column contains that of its table.
    const renamed = kind === "column" ? lastPart(found.name) !== lastPart(name) : found.name !== name
    if (namedByCode.has(kind) && renamed) changes.push(`renames ${kind} ${name} to ${found.name}`)
    if (kind === "column") changes.push(...columnChanges(name, facts, found.facts))
    if (kind === "type" || kind === "domain") changes.push(...typeChanges(object, found))
    if (kind === "table" && facts["row security"] === false && found.facts["row security"] === true) {
      changes.push(`turns on row security of table ${name}`)
    }
  }
  for (const object of after) {
    if (old.has(object.id) || object.parent === null || !old.has(object.parent)) continue
    changes.push(...additions(object, old))
  }
  return changes
}

function columnChanges(name: string, old: DatabaseObject["facts"], now: DatabaseObject["facts"]): string[] {
  const changes: string[] = []
  if (old.type !== now.type)
    changes.push(`changes the type of column ${name} from ${String(old.type)} to ${String(now.type)}`)
  if (old["not null"] === false && now["not null"] === true) changes.push(`makes column ${name} NOT NULL`)
  if (old["not null"] === true && now["not null"] === false) {
    changes.push(`allows NULL in column ${name}, which older code may not expect`)
  }
  if (isFilled(old) && !isFilled(now) && now["not null"] === true) {
    changes.push(`removes the default of column ${name}, which is NOT NULL`)
  }
  if (isComputed(now) && !isComputed(old)) changes.push(`makes column ${name} one that cannot be written`)
  return changes
}

function typeChanges(old: DatabaseObject, now: DatabaseObject): string[] {
  const labels = ({ facts }: DatabaseObject): unknown[] => (Array.isArray(facts.labels) ? facts.labels : [])
  const gone = labels(old).filter((label) => !labels(now).includes(label))
  const constraints = (object: DatabaseObject) =>
    JSON.stringify([object.facts.constraints, object.facts["not null"]])
  return [
    ...gone.map((label) => `removes the value ${JSON.stringify(label)} of type ${old.name}`),
    ...(constraints(old) === constraints(now) ? [] : [`changes the constraints of domain ${old.name}`]),
  ]
}

/** What a new object means for the table that it belongs to. */
function additions(
  { kind, name, facts, columns }: DatabaseObject,
  old: Map<string, DatabaseObject>,
): string[] {
  // Code that does not know a column never writes it, so a constraint on new columns alone cannot fail for it.
  const restrictsOldColumns = columns.length === 0 || columns.some((column) => old.has(column))
  switch (kind) {
    case "column":
      return facts["not null"] === true && !isFilled(facts)
        ? [`adds column ${name}, which is NOT NULL and has no default`]
        : []
    case "constraint":
      return restrictsOldColumns ? [`adds constraint ${name}, ${String(facts.definition)}`] : []
    case "index":
      return facts.unique === true && restrictsOldColumns ? [`adds unique index ${name}`] : []
    default:
      return []
  }
}

/** Whether an insert that does not name the column gives it a value. */
const isFilled = (facts: DatabaseObject["facts"]) =>
  facts.default !== null || facts.generated !== null || facts.identity !== ""

const isComputed = (facts: DatabaseObject["facts"]) => facts.generated !== null || facts.identity === "a"

const lastPart = (name: string) => /(?:"(?:[^"]|"")*"|[^."]+)$/.exec(name)?.[0] ?? name

const byId = (objects: DatabaseObject[]) => new Map(objects.map((object) => [object.id, object]))
