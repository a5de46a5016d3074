/**
 * The scan's result as JSON, and back. The SDK's classes describe the module's types, and hold on to the syntax
 * tree that they were read from; what a call and a registration need of them is their fields and their class.
 */

// No identifier of a module can collide with these.
const CLASS = "@class"
const LOCATION = "@location"

/** Fields that lead into the syntax tree; the module's `references` served the scan only. */
const SCAN_ONLY = new Set(["node", "__node", "ast", "symbol", "signature", "userModule", "references"])

type Fields = Record<string, unknown>
type Class = { prototype: object }

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null

export function dehydrate(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(dehydrate)
  if (!isObject(value)) return value
  const prototype = Object.getPrototypeOf(value) as object
  const fields = (names: string[]) => Object.fromEntries(names.map((name) => [name, dehydrate(value[name])]))
  // A plain object is a dictionary of the module's own names, of which none is left out.
  if (prototype === Object.prototype) return fields(Object.keys(value))
  return {
    [CLASS]: prototype.constructor.name,
    ...(typeof value.getLocation === "function" && { [LOCATION]: value.getLocation() }),
    ...fields(Object.keys(value).filter((name) => !SCAN_ONLY.has(name))),
  }
}

/** Classes that are not among `classes` are ones of which the SDK reads fields and the location only. */
export function hydrate(value: unknown, classes: Record<string, Class | undefined>): unknown {
  if (Array.isArray(value)) return value.map((item) => hydrate(item, classes))
  if (!isObject(value)) return value
  const { [CLASS]: name, [LOCATION]: location, ...fields } = value
  const prototype = classes[String(name)]?.prototype ?? Object.prototype
  const result = Object.create(prototype) as Fields
  for (const [key, field] of Object.entries(fields)) result[key] = hydrate(field, classes)
  if (location !== undefined) result.getLocation = () => location
  return result
}
