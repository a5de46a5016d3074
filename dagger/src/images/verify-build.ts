import { createHash } from "node:crypto"
import {
  type Container,
  dag,
  type Directory,
  ImageMediaTypes,
  type Platform as EnginePlatform,
} from "@dagger.io/dagger"
import { type ImagePart, partsOf } from "../attestations/verify.js"
import { reachRegistry } from "../clients/registry/reach.js"
import { Repository } from "../clients/registry/repository.js"
import { images } from "../platform/base-images.js"
import { type Platform, readPlatform } from "../platform/platform.js"
import { layoutsScript, type ReproducibleImage, reproducible } from "../platform/reproducible.js"
import { readTargets } from "../platform/targets.js"
import { parseImageReference } from "../lib/image-reference.js"
import { type RegistryAccess, signedIn } from "./access.js"
import { indexText } from "./push.js"

/** Differences of a platform that are named. */
const longestList = 30

/**
 * Builds images again from the working tree, and compares them with those that were published.
 *
 * @param source the repository, at the commit that they were built from
 * @param references images whose name ends with that of their service
 * @returns a line for each image
 * @throws Error with everything that differs
 */
export async function verifyBuild(
  source: Directory,
  references: string[],
  registry: RegistryAccess,
): Promise<string> {
  const platform = await readPlatform(source)
  const found = await Promise.all(references.map((one) => compareImage(source, platform, one, registry)))
  const text = found.flatMap(({ lines }) => lines).join("\n")
  if (found.every(({ equal }) => equal)) return text
  throw new Error(
    `${text}\nIs the working tree at the commit that the image was built from? "verify" names it; check it out, and run this again.`,
  )
}

interface Comparison {
  equal: boolean
  lines: string[]
}

async function compareImage(
  source: Directory,
  platform: Platform,
  reference: string,
  registry: RegistryAccess,
): Promise<Comparison> {
  const { registry: host, repository: path, digest, tag = "latest" } = parseImageReference(reference)
  const service = platform.service(path.split("/").at(-1) ?? path)
  const repository = new Repository(await reachRegistry(host, registry), path)
  const [top, ...others] = await partsOf(repository, digest ?? tag)
  if (!top) throw new Error(`${reference} has no platform`)
  const published = others.length > 0 ? others : [top]
  const compared = await Promise.all(
    published.map(async (part) => {
      const { platform: name = "", descriptor } = part
      const [target] = readTargets([name])
      const [image, base] = await Promise.all([
        platform.release(service, target),
        platform.base(service, target),
      ])
      const built = await reproducible(source, image, base)
      if (built.descriptor.digest === descriptor.digest) return { built, lines: [] }
      const pulled = signedIn(dag.container({ platform: name as EnginePlatform }), host, registry).from(
        `${host}/${path}@${descriptor.digest}`,
        { ...(registry.service && { registryService: registry.service }) },
      )
      const differences = [
        ...(await configurationDifferences(repository, part, built)),
        ...(await layerDifferences(source, pulled, built)),
      ]
      const more = differences.length - longestList
      return {
        built,
        lines: [
          `${reference} on ${name} differs: published ${descriptor.digest}, built ${built.descriptor.digest}`,
          ...differences.slice(0, longestList).map((one) => `  ${one}`),
          ...(more > 0 ? [`  and ${more} more`] : []),
        ],
      }
    }),
  )
  const lines = compared.flatMap((one) => one.lines)
  const index = indexText(compared.map(({ built }) => built))
  const ownDigest = `sha256:${createHash("sha256").update(index).digest("hex")}`
  if (lines.length === 0 && others.length > 0 && ownDigest !== top.descriptor.digest)
    lines.push(`${reference}: every platform is equal, and the list of them differs: built ${ownDigest}`)
  if (lines.length > 0) return { equal: false, lines }
  const names = published.map((part) => part.platform ?? "").join(", ")
  return { equal: true, lines: [`${reference} is what the working tree builds: ${names}`] }
}

/** What differs in the configurations of a platform's image, a line for each setting. */
async function configurationDifferences(
  repository: Repository,
  { json }: ImagePart,
  { layout, blobs }: ReproducibleImage,
): Promise<string[]> {
  const [own] = blobs
  if (!json.config || !own) return []
  const [theirs, mine] = await Promise.all([
    repository.blob(json.config.digest),
    layout.file(`blobs/${own.digest.replace(":", "/")}`).contents(),
  ])
  return settingDifferences(JSON.parse(theirs.toString()), JSON.parse(mine))
}

/** A line for each setting that two configurations of images do not have in common; layers are compared file by file. */
export function settingDifferences(published: unknown, built: unknown): string[] {
  const [one, other] = [settingsIn(published), settingsIn(built)]
  return [...new Set([...one.keys(), ...other.keys()])]
    .sort()
    .filter((name) => one.get(name) !== other.get(name))
    .map((name) => `${name}: published ${one.get(name) ?? "without"}, built ${other.get(name) ?? "without"}`)
}

/** Settings by their path, such as `config.Labels.version`. */
function settingsIn(value: unknown, path: string[] = []): Map<string, string> {
  if (path[0] === "rootfs") return new Map()
  if (value === null || typeof value !== "object") return new Map([[path.join("."), JSON.stringify(value)]])
  return new Map(Object.entries(value).flatMap(([key, part]) => [...settingsIn(part, [...path, key])]))
}

/** What differs in the layers, a line for each file. */
async function layerDifferences(
  source: Directory,
  published: Container,
  { layout }: ReproducibleImage,
): Promise<string[]> {
  const text = await dag
    .container()
    .from(images.python)
    .withMountedFile("/layouts.py", source.file(layoutsScript))
    .withMountedFile("/published.tar", published.asTarball({ mediaTypes: ImageMediaTypes.OcimediaTypes }))
    .withMountedDirectory("/built", layout)
    .withExec(["python", "/layouts.py", "compare", "/published.tar", "/built"])
    .stdout()
  return text.split("\n").filter(Boolean)
}
