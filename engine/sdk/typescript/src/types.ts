/**
 * Converts the scan's result to JSON and back. The SDK's classes refer to the syntax tree; calls and registration
 * need only their fields and their class.
 */

// No identifier of a module can equal these.
const CLASS = "@class"
const LOCATION = "@location"

/** Fields that refer to the syntax tree, and `references`, which only the scan uses. */
const SCAN_ONLY = new Set(["node", "__node", "ast", "symbol", "signature", "userModule", "references"])

type Fields = Record<string, unknown>
type Class = { prototype: object }

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null

export function dehydrate(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(dehydrate)
  if (!isObject(value)) return value
  const prototype = Object.getPrototypeOf(value) as object
  const fields = (names: string[]) => Object.fromEntries(names.map((name) => [name, dehydrate(value[name])]))
  // A plain object is a dictionary with the module's own names as keys: all of them are kept.
  if (prototype === Object.prototype) return fields(Object.keys(value))
  return {
    [CLASS]: prototype.constructor.name,
    ...(typeof value.getLocation === "function" && { [LOCATION]: value.getLocation() }),
    ...fields(Object.keys(value).filter((name) => !SCAN_ONLY.has(name))),
  }
}

/** Of classes that are not in `classes`, the SDK reads only fields and the location. */
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
