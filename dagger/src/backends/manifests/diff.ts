import type { Change } from "../../delivery/component.js"
import { labels } from "./labels.js"
import type { Manifest } from "../../clients/kubernetes/manifest.js"

type Tree = Record<string, unknown>

/** What the API server, or another controller, writes by itself. */
const noise = {
  object: ["status"],
  metadata: ["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"],
  annotations: [
    // It holds the whole object, a Secret's values too.
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
  ],
  /** What each new object is given one of. */
  allotted: ["clusterIP", "clusterIPs", "nodePort"],
}

/**
 * What would change in an object of the cluster.
 *
 * @param live as it is, or nothing
 * @param wanted as it would be: what the API server answered to a dry run, with its defaults filled in
 * @param before for an object of a new revision, its counterpart of the present one, to say what is new about it
 */
export function diffObject(live: Manifest | undefined, wanted: Manifest, before?: Manifest): Change {
  const object = nameOf(wanted)
  if (live) {
    const fields = changes(plain(live), plain(wanted), "")
    return { object, kind: fields.length > 0 ? "changed" : "unchanged", fields }
  }
  if (!before) return { object, kind: "created", fields: [] }
  return {
    object,
    kind: "created",
    fields: changes(counterpart(before, wanted), withoutRevision(wanted), ""),
  }
}

function nameOf({ kind = "", metadata }: Manifest): string {
  const { namespace, name = "" } = metadata ?? {}
  return `${kind} ${namespace === undefined ? "" : `${namespace}/`}${name}`
}

/** An object without noise, and without a Secret's values in sight. */
function plain(object: Manifest): Tree {
  const { metadata = {}, ...rest } = JSON.parse(JSON.stringify(object)) as Tree & { metadata?: Tree }
  const { annotations, ...kept } = without(metadata, noise.metadata)
  const told = without((annotations ?? {}) as Tree, noise.annotations)
  const bare = {
    ...without(rest, noise.object),
    metadata: { ...kept, ...(Object.keys(told).length > 0 && { annotations: told }) },
  }
  return object.kind === "Secret" ? sealed(bare) : bare
}

/** A value that can be compared and not seen, whatever prints it. */
class Sealed {
  readonly #value: string
  constructor(value: string) {
    this.#value = value
  }
  equals(other: Sealed): boolean {
    return this.#value === other.#value
  }
}

/** `stringData` is only a way to write `data`. */
function sealed({ data, stringData, ...rest }: Tree & { data?: unknown; stringData?: unknown }): Tree {
  const encoded = Object.entries((stringData ?? {}) as Record<string, string>).map(([name, text]) => [
    name,
    Buffer.from(text).toString("base64"),
  ])
  const values = {
    ...(data as Record<string, string>),
    ...(Object.fromEntries(encoded) as Record<string, string>),
  }
  const entries = Object.entries(values).map(([name, value]) => [name, new Sealed(value)])
  return { ...rest, data: Object.fromEntries(entries) as Tree }
}

function without(tree: Tree, names: string[]): Tree {
  return Object.fromEntries(Object.entries(tree).filter(([name]) => !names.includes(name)))
}

/** An object of the present revision as if it were of the new one: another number, and the names that come of it, are no news. */
function counterpart(before: Manifest, wanted: Manifest): Tree {
  const [old, name] = [before.metadata?.name, wanted.metadata?.name]
  const renamed = JSON.parse(JSON.stringify(before), (_, value: unknown) =>
    value === old ? name : value,
  ) as Tree
  return withoutRevision(renamed)
}

function withoutRevision(object: Manifest): Tree {
  return strip(without(plain(object), ["metadata"])) as Tree
}

function strip(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strip)
  if (!isTree(value)) return value
  const own = [labels.revision, ...noise.allotted]
  const kept = Object.entries(value).filter(([name]) => !own.includes(name))
  return Object.fromEntries(kept.map(([name, part]) => [name, strip(part)]))
}

const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Sealed)

function changes(from: unknown, to: unknown, path: string): string[] {
  if (isTree(from) && isTree(to)) {
    const names = [...new Set([...Object.keys(from), ...Object.keys(to)])]
    return names.flatMap((name) => changes(from[name], to[name], join(path, name)))
  }
  if (Array.isArray(from) && Array.isArray(to)) {
    const longest = Math.max(from.length, to.length)
    return Array.from({ length: longest }, (_, at) => changes(from[at], to[at], `${path}[${at}]`)).flat()
  }
  if (from instanceof Sealed || to instanceof Sealed) return sealedChange(from, to, path)
  return JSON.stringify(from) === JSON.stringify(to) ? [] : [`${path}: ${show(from)} → ${show(to)}`]
}

function sealedChange(from: unknown, to: unknown, path: string): string[] {
  if (!(from instanceof Sealed)) return [`${path}: added`]
  if (!(to instanceof Sealed)) return [`${path}: removed`]
  return from.equals(to) ? [] : [`${path}: changed`]
}

/** Names with dots in them, as of labels, stand in brackets. */
const join = (path: string, name: string) =>
  /^[\w-]+$/.test(name) ? `${path}${path === "" ? "" : "."}${name}` : `${path}["${name}"]`

function show(value: unknown): string {
  if (value === undefined) return "(none)"
  return typeof value === "string" && value !== "" ? value : JSON.stringify(value)
}
