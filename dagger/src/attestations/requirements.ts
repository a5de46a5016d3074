import { z } from "zod"
import { type PredicateKind, predicateTypes, type Statement } from "./statement.js"

/** One manifest of an image, and what its trusted signer says of it. */
export interface Evidence {
  digest: string
  /** Such as `linux/amd64`; absent for an index of several. */
  platform?: string
  /** Signed by whom the policy trusts, and about this digest. */
  statements: Statement[]
  /** Why others do not count. */
  rejected: string[]
}

/** What an image must be. */
export interface Expectation {
  /** The commit that it was built from; any that its provenance names, if absent. */
  commit?: string | undefined
  /** The platforms that it must have; any, if empty. */
  platforms: string[]
}

const names: Record<PredicateKind, string> = {
  signature: "signature",
  provenance: "provenance",
  tests: "test result",
  spdx: "SBOM in SPDX",
  cyclonedx: "SBOM in CycloneDX",
  vulnerabilities: "vulnerability scan",
}

/** What is said of an image as a whole; the rest is different for each platform. */
const ofEvery: PredicateKind[] = ["signature", "provenance", "tests"]
const ofPlatform: PredicateKind[] = [...ofEvery, "spdx", "cyclonedx", "vulnerabilities"]

/**
 * Everything that speaks against an image.
 *
 * @param evidence of its index, if it has one, and of each platform
 * @returns one line each; nothing for an image that is as it must be
 */
export function faultsOf(evidence: Evidence[], { commit, platforms }: Expectation): string[] {
  const found = evidence.flatMap(({ platform }) => (platform === undefined ? [] : [platform]))
  const absent = platforms.filter((platform) => !found.includes(platform))
  const twice = found.filter((platform, at) => found.indexOf(platform) !== at)
  return [
    ...absent.map((platform) => `no image for ${platform}; it has ${found.join(", ") || "none"}`),
    ...twice.map((platform) => `two images for ${platform}`),
    ...(found.length === 0 ? ["no image for any platform"] : []),
    ...evidence.flatMap((one) => faultsOfManifest(one, commit)),
  ]
}

function faultsOfManifest(one: Evidence, commit: string | undefined): string[] {
  const { digest, platform, statements, rejected } = one
  const where = `${platform ?? "index"} ${digest.slice(0, 19)}`
  const of = (kind: PredicateKind) =>
    statements.filter(({ predicateType }) => predicateType === predicateTypes[kind])
  const wanted = platform === undefined ? ofEvery : ofPlatform
  const missing = wanted.filter((kind) => of(kind).length === 0).map((kind) => `no ${names[kind]}`)
  const built = of("provenance").map(readProvenance)
  const wrong = [
    ...provenanceFaults(built, commit),
    ...testFaults(
      of("tests").map(readTests),
      commit === undefined ? built.map((one) => one.commit) : [commit],
    ),
    ...(platform === undefined
      ? []
      : [
          ...bomFaults(of("spdx"), "SPDX", platform, digest, packagesOfSpdx),
          ...bomFaults(of("cyclonedx"), "CycloneDX", platform, digest, packagesOfCyclonedx),
        ]),
  ]
  // Why something is missing is only worth saying where something is missing.
  const why = missing.length > 0 ? rejected : []
  return [...missing, ...wrong, ...why].map((fault) => `${where}: ${fault}`)
}

const dependency = z.looseObject({ digest: z.record(z.string(), z.string()).default({}) })
const provenanceSchema = z.looseObject({
  buildDefinition: z.looseObject({ resolvedDependencies: z.array(dependency).default([]) }),
  runDetails: z.looseObject({ builder: z.looseObject({ id: z.string() }) }),
})

/** Who built an image, and from what; see {@link Statement}. */
export interface Built {
  commit: string | undefined
  builder: string | undefined
}

export function readProvenance({ predicate }: Statement): Built {
  const { data } = provenanceSchema.safeParse(predicate)
  const commits = data?.buildDefinition.resolvedDependencies.map(({ digest }) => digest.gitCommit)
  return { commit: commits?.find((one) => one !== undefined), builder: data?.runDetails.builder.id }
}

function provenanceFaults(built: Built[], commit: string | undefined): string[] {
  if (built.length === 0) return []
  const commits = built.flatMap((one) => (one.commit === undefined ? [] : [one.commit]))
  if (commits.length === 0) return ["the provenance names no commit"]
  if (commit === undefined || commits.includes(commit)) return []
  return [`built from ${short(commits)}, not from ${short([commit])}`]
}

const testSchema = z.looseObject({
  result: z.string(),
  configuration: z.array(dependency).default([]),
  failedTests: z.array(z.string()).default([]),
})

interface Tested {
  result: string
  commit: string | undefined
  failed: string[]
}

function readTests({ predicate }: Statement): Tested {
  const { data } = testSchema.safeParse(predicate)
  const commits = data?.configuration.map(({ digest }) => digest.gitCommit)
  return {
    result: data?.result ?? "unreadable",
    commit: commits?.find((one) => one !== undefined),
    failed: data?.failedTests ?? [],
  }
}

/** Of several results for a commit, each has to be a pass. */
function testFaults(tested: Tested[], commits: (string | undefined)[]): string[] {
  if (tested.length === 0) return []
  const own = tested.filter(({ commit }) => commit !== undefined && commits.includes(commit))
  if (own.length === 0) {
    const others = tested.flatMap(({ commit }) => (commit === undefined ? [] : [commit]))
    return [
      `the test result is about ${short(others) || "no commit"}, not about ${short(commits) || "a known one"}`,
    ]
  }
  return own
    .filter(({ result, failed }) => !["PASSED", "WARNED"].includes(result) || failed.length > 0)
    .map(({ result, failed }) => `the test result is ${[result, ...failed].join(" ")}`)
}

const short = (commits: (string | undefined)[]): string =>
  [...new Set(commits.flatMap((one) => (one === undefined ? [] : [one.slice(0, 12)])))].join(", ")

/** What a list of packages says of the image that it lists. */
interface Listed {
  /** Digests of the images that it says it is about. */
  images: string[]
  /** Package URLs. */
  packages: string[]
}

const spdxSchema = z.looseObject({
  packages: z
    .array(
      z.looseObject({
        externalRefs: z.array(z.looseObject({ referenceLocator: z.string() })).default([]),
      }),
    )
    .default([]),
})

function packagesOfSpdx({ predicate }: Statement): Listed {
  const { packages } = spdxSchema.safeParse(predicate).data ?? { packages: [] }
  return listedOf(packages.flatMap(({ externalRefs }) => externalRefs.map((one) => one.referenceLocator)))
}

const component = z.looseObject({ purl: z.string().optional() })
const cyclonedxSchema = z.looseObject({
  metadata: z.looseObject({ component: component.optional() }).optional(),
  components: z.array(component).default([]),
})

function packagesOfCyclonedx({ predicate }: Statement): Listed {
  const { metadata, components = [] } = cyclonedxSchema.safeParse(predicate).data ?? {}
  return listedOf(
    [metadata?.component, ...components].flatMap((one) => (one?.purl === undefined ? [] : [one.purl])),
  )
}

function listedOf(purls: string[]): Listed {
  const image = /^pkg:oci\/[^@]+@([^?]+)/
  return {
    images: purls.flatMap((purl) => {
      const digest = image.exec(purl)?.[1]
      return digest === undefined ? [] : [decodeURIComponent(digest)]
    }),
    packages: purls.filter((purl) => !image.test(purl)),
  }
}

/** Architectures as Alpine and Red Hat name them. */
const otherNames: Record<string, string> = { amd64: "x86_64", arm64: "aarch64" }

/** A list that says whose it is must say the right image, and system packages the right architecture. */
function bomFaults(
  boms: Statement[],
  format: string,
  platform: string,
  digest: string,
  read: (statement: Statement) => Listed,
): string[] {
  const [, architecture = ""] = platform.split("/")
  const own = ["all", "noarch", architecture, otherNames[architecture]]
  const faults = boms.map((bom) => {
    const { images, packages } = read(bom)
    const name = `the SBOM in ${format}`
    if (packages.length === 0) return `${name} lists no package`
    const others = images.filter((one) => one !== digest)
    if (others.length > 0) return `${name} is about ${others.map((one) => one.slice(0, 19)).join(", ")}`
    const foreign = packages.flatMap((purl) => {
      const found = /[?&]arch=([^&#]+)/.exec(purl)?.[1]
      return found === undefined || own.includes(found) ? [] : [found]
    })
    return foreign.length > 0
      ? `${name} is of another platform: its packages are for ${[...new Set(foreign)].join(", ")}`
      : undefined
  })
  // One that is right is enough.
  return faults.some((fault) => fault === undefined) ? [] : faults.flatMap((fault) => fault ?? [])
}
