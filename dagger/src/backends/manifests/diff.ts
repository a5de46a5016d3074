import type { Change } from "../../delivery/component.js"
import { labels } from "./labels.js"
import type { Manifest } from "../../clients/kubernetes/manifest.js"

type Tree = Record<string, unknown>

/** Fields that the API server or a controller writes. */
const generated = {
  object: ["status"],
  metadata: ["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"],
  annotations: [
    // It contains the whole object, and so a Secret's values.
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
  ],
  /** Values that each new object gets. */
  allotted: ["clusterIP", "clusterIPs", "nodePort"],
}

/**
 * Compares an object in the cluster with the wanted one.
 *
 * @param live the object in the cluster; undefined if there is none
 * @param wanted the answer of the API server to a dry run, with defaults filled in
 * @param before for an object of a new revision: the same object of the present revision, to show what is new
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

/** An object without generated fields, and with hidden values of a Secret. */
function plain(object: Manifest): Tree {
  const { metadata = {}, ...rest } = JSON.parse(JSON.stringify(object)) as Tree & { metadata?: Tree }
  const { annotations, ...kept } = without(metadata, generated.metadata)
  const ownAnnotations = without((annotations ?? {}) as Tree, generated.annotations)
  const bare = {
    ...without(rest, generated.object),
    metadata: { ...kept, ...(Object.keys(ownAnnotations).length > 0 && { annotations: ownAnnotations }) },
  }
  return object.kind === "Secret" ? withHiddenValues(bare) : bare
}

/** A value that can be compared but never printed. */
class Hidden {
  readonly #value: string
  constructor(value: string) {
    this.#value = value
  }
  equals(other: Hidden): boolean {
    return this.#value === other.#value
  }
}

/** `stringData` is only a way to write `data`. */
function withHiddenValues({
  data,
  stringData,
  ...rest
}: Tree & { data?: unknown; stringData?: unknown }): Tree {
  const encoded = Object.entries((stringData ?? {}) as Record<string, string>).map(([name, text]) => [
    name,
    Buffer.from(text).toString("base64"),
  ])
  const values = {
    ...(data as Record<string, string>),
    ...(Object.fromEntries(encoded) as Record<string, string>),
  }
  const entries = Object.entries(values).map(([name, value]) => [name, new Hidden(value)])
  return { ...rest, data: Object.fromEntries(entries) as Tree }
}

function without(tree: Tree, names: string[]): Tree {
  return Object.fromEntries(Object.entries(tree).filter(([name]) => !names.includes(name)))
}

/** An object of the present revision with the names of the new one, so that names that contain the number do not count as changes. */
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
  const own = [labels.revision, ...generated.allotted]
  const kept = Object.entries(value).filter(([name]) => !own.includes(name))
  return Object.fromEntries(kept.map(([name, part]) => [name, strip(part)]))
}

const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Hidden)

function changes(from: unknown, to: unknown, path: string): string[] {
  if (isTree(from) && isTree(to)) {
    const names = [...new Set([...Object.keys(from), ...Object.keys(to)])]
    return names.flatMap((name) => changes(from[name], to[name], join(path, name)))
  }
  if (Array.isArray(from) && Array.isArray(to)) {
    const longest = Math.max(from.length, to.length)
    return Array.from({ length: longest }, (_, at) => changes(from[at], to[at], `${path}[${at}]`)).flat()
  }
  if (from instanceof Hidden || to instanceof Hidden) return hiddenChange(from, to, path)
  return JSON.stringify(from) === JSON.stringify(to) ? [] : [`${path}: ${show(from)} → ${show(to)}`]
}

function hiddenChange(from: unknown, to: unknown, path: string): string[] {
  if (!(from instanceof Hidden)) return [`${path}: added`]
  if (!(to instanceof Hidden)) return [`${path}: removed`]
  return from.equals(to) ? [] : [`${path}: changed`]
}

/** Names with dots, such as those of labels, are in brackets. */
const join = (path: string, name: string) =>
  /^[\w-]+$/.test(name) ? `${path}${path === "" ? "" : "."}${name}` : `${path}["${name}"]`

function show(value: unknown): string {
  if (value === undefined) return "(none)"
  return typeof value === "string" && value !== "" ? value : JSON.stringify(value)
}
