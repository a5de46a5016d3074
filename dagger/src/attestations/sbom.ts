import { createHash } from "node:crypto"
import type { Subject } from "./statement.js"

/** The image that a list of packages is about. */
export interface Described extends Subject {
  /** Such as `linux/amd64`. */
  platform: string
}

/** The same for equal images, whenever it is made. */
const never = "1970-01-01T00:00:00Z"

type Json = Record<string, unknown>
const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)
const objects = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : [])
const text = (value: unknown): string => (typeof value === "string" ? value : "")
const hex = (value: string): string => createHash("sha256").update(value).digest("hex")

/** Names the image: its digest in its registry, for one architecture. */
function purlOf({ name, digest, platform }: Described): string {
  const last = name.slice(name.lastIndexOf("/") + 1)
  const query = new URLSearchParams({ arch: platform.split("/")[1] ?? "", repository_url: name })
  return `pkg:oci/${last}@${encodeURIComponent(digest)}?${query.toString()}`
}

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) =>
    isObject(one) ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1))) : one,
  )
}

const byText = (one: unknown, other: unknown): number => {
  const [a, b] = [canonical(one), canonical(other)]
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * New names for things that a scanner numbers at random: by what they are.
 *
 * @param key the field with the name
 * @param kept names that stay
 */
function renamed(
  things: Json[],
  key: string,
  prefix: string,
  kept: (name: string) => boolean,
): Map<string, string> {
  const names = new Map<string, string>()
  const seen = new Map<string, number>()
  const sorted = things
    .map((thing) => ({ name: text(thing[key]), content: canonical({ ...thing, [key]: undefined }) }))
    .sort((one, other) => (one.content < other.content ? -1 : one.content > other.content ? 1 : 0))
  for (const { name, content } of sorted) {
    if (name === "" || kept(name)) continue
    const times = seen.get(content) ?? 0
    seen.set(content, times + 1)
    names.set(name, `${prefix}${hex(`${content} ${times}`).slice(0, 32)}`)
  }
  return names
}

/**
 * A list of packages in CycloneDX as it is the same for equal images: without the time, and with names and order that follow from what it lists.
 *
 * @throws Error for a document without packages
 */
export function normalizeCyclonedx(document: unknown, image: Described): Json {
  const root = isObject(document) ? document : {}
  const metadata = isObject(root.metadata) ? root.metadata : {}
  const before = isObject(metadata.component) ? metadata.component : {}
  const components = objects(root.components)
  if (root.bomFormat !== "CycloneDX" || components.length === 0)
    throw new Error(`the scanner lists no package of ${image.name}@${image.digest} in CycloneDX`)
  const isRandom = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
  const names = renamed(components, "bom-ref", "component-", (name) => !isRandom.test(name))
  const purl = purlOf(image)
  names.set(text(before["bom-ref"]), purl)
  const nameOf = (name: unknown) => names.get(text(name)) ?? text(name)
  const rest = Object.fromEntries(Object.entries(metadata).filter(([key]) => key !== "timestamp"))
  const id = hex(`cyclonedx ${image.digest}`)
  return {
    ...root,
    serialNumber: `urn:uuid:${[id.slice(0, 8), id.slice(8, 12), `5${id.slice(13, 16)}`, `8${id.slice(17, 20)}`, id.slice(20, 32)].join("-")}`,
    metadata: {
      ...rest,
      component: {
        "bom-ref": purl,
        type: "container",
        name: image.name,
        version: image.digest,
        purl,
      },
    },
    components: components
      .map((one) => ({ ...one, ...("bom-ref" in one && { "bom-ref": nameOf(one["bom-ref"]) }) }))
      .sort(byText),
    dependencies: objects(root.dependencies)
      .map((one) => ({
        ...one,
        ref: nameOf(one.ref),
        ...(Array.isArray(one.dependsOn) && { dependsOn: one.dependsOn.map(nameOf).sort() }),
      }))
      .sort(byText),
  }
}

/**
 * The same for a list in SPDX 2.3.
 *
 * @throws Error for a document without packages
 */
export function normalizeSpdx(document: unknown, image: Described): Json {
  const root = isObject(document) ? document : {}
  const relationships = objects(root.relationships)
  const described = relationships.find(
    ({ spdxElementId, relationshipType }) =>
      spdxElementId === "SPDXRef-DOCUMENT" && relationshipType === "DESCRIBES",
  )
  const rootId = text(described?.relatedSpdxElement)
  const timeless = objects(root.packages).map((one) => ({
    ...one,
    ...("annotations" in one && {
      annotations: objects(one.annotations).map((note) => ({ ...note, annotationDate: never })),
    }),
  })) as Json[]
  const packages = timeless.map((one) =>
    one.SPDXID === rootId
      ? {
          SPDXID: rootId,
          name: image.name,
          versionInfo: image.digest,
          downloadLocation: "NOASSERTION",
          filesAnalyzed: false,
          primaryPackagePurpose: "CONTAINER",
          externalRefs: [
            { referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: purlOf(image) },
          ],
        }
      : one,
  )
  if (
    !text(root.spdxVersion).startsWith("SPDX-2") ||
    packages.filter(({ SPDXID }) => SPDXID !== rootId).length === 0
  )
    throw new Error(`the scanner lists no package of ${image.name}@${image.digest} in SPDX`)
  const names = renamed(packages, "SPDXID", "SPDXRef-Package-", () => false)
  const nameOf = (name: unknown) => names.get(text(name)) ?? text(name)
  const creation = isObject(root.creationInfo) ? root.creationInfo : {}
  return {
    ...root,
    name: `${image.name}@${image.digest}`,
    documentNamespace: `https://pitwall.dev/spdx/${image.digest.replace(":", "/")}`,
    creationInfo: { ...creation, created: never },
    packages: packages.map((one) => ({ ...one, SPDXID: nameOf(one.SPDXID) })).sort(byText),
    relationships: relationships
      .map((one) => ({
        ...one,
        spdxElementId: nameOf(one.spdxElementId),
        relatedSpdxElement: nameOf(one.relatedSpdxElement),
      }))
      .sort(byText),
  }
}
