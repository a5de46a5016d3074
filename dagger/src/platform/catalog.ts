import { posix } from "node:path"
import { Add, Copy, DockerfileParser, type Instruction, ModifiableInstruction, Onbuild } from "dockerfile-ast"
import { z } from "zod"
import { ConfigurationError, placeIn, readConfiguration, section } from "../lib/document.js"

const percent = z.int().min(0).max(100)
const coverage = section({ lines: percent, branches: percent })
const load = section({ p95: z.int().positive(), errorRate: percent })
const size = section({ start: z.int().positive(), all: z.int().positive() })
const image = section({ added: z.int().positive(), all: z.int().positive() })
const seconds = z.int().positive()
const limits = section({ tool: seconds, test: seconds, ready: seconds })
const name = z.string().regex(/^[a-z][a-z0-9-]*$/, "a lower-case name of letters, digits and hyphens")

const schema = section({
  defaults: section({
    coverage,
    load,
    size: size.default({ start: 150, all: 600 }),
    image: image.default({ added: 100, all: 200 }),
    limits,
  }),
  services: z.record(
    name,
    section({
      kind: z.enum(["python", "react"]),
      backend: name.optional(),
      database: z
        .string()
        .regex(/^[a-z][a-z0-9_]*$/, "a database name of lower-case letters, digits and _")
        .optional(),
      port: z.int().min(1024).max(65535).optional(),
      files: z.string().startsWith("/").optional(),
      environment: z.record(z.string(), z.string()).default({}),
      setup: z.array(z.string()).default([]),
      coverage: coverage.optional(),
      load: load.optional(),
      size: size.optional(),
      image: image.optional(),
      programs: z
        .record(z.string(), z.string().min(1, "the reason why the image has this program"))
        .default({}),
      limits: limits.optional(),
    }),
  ),
})

export type CoverageLimits = z.output<typeof coverage>
/** p95 in milliseconds, failed requests in percent. */
export type LoadLimits = z.output<typeof load>
/** kB that browsers may download, compressed: the start page's scripts and styles, and all files. */
export type SizeBudget = z.output<typeof size>
/** MB that an image may have as it is pushed, each of 1,000,000 bytes: what it adds to its base image, and all. */
export type ImageBudget = z.output<typeof image>

/** A service of the platform: a folder of services/ and its settings. */
export interface Service {
  name: string
  kind: "python" | "react"
  /** The service that a web app talks to. */
  backend?: string
  database?: string
  /** The port on a developer's machine. */
  port?: number
  /** The folder of its image in which it keeps files. */
  files?: string
  /** Environment variables on a throw-away platform. */
  environment: Record<string, string>
  /** Commands that fill its empty database, run in its image without a shell. */
  setup: string[]
  /** The coverage that its tests must reach. */
  coverage: CoverageLimits
  /** What it must hold under load. */
  load: LoadLimits
  /** What a build of a web app may weigh. */
  size: SizeBudget
  /** What its image may weigh. */
  image: ImageBudget
  /** Shells and the like that its image may have although hardly any service needs them, each with the reason. */
  programs: Record<string, string>
  /** Seconds that a tool may take, a suite of tests may take, and the service may take to become ready from an empty database. */
  limits: z.output<typeof limits>
  /** It has a Dockerfile. Without one it is a library. */
  deployable: boolean
  /** The folders and files of services/ that it is built from, its own folder first. `**` stands for all. */
  inputs: string[]
}

export type Catalog = Record<string, Service>

/** The files of a service's folder that name its dependencies. */
export interface Recipes {
  /** The text of its Dockerfile, if it has one. */
  dockerfile?: string
  /** The text of its package.json, if it has one. */
  manifest?: string
}

export const catalogFile = "dagger/config/services.yaml"

/**
 * Reads the services and derives their dependencies.
 *
 * @param text the contents of services.yaml
 * @param recipes by folder of services/
 * @throws ConfigurationError with file and line, for an unknown key, a wrong value, a backend that is none, and a port that two services have
 */
export function readCatalog(text: string, recipes: Record<string, Recipes>): Catalog {
  const { defaults, services } = readConfiguration(catalogFile, text, schema)
  refuse(text, contradictions(services))
  const entries = Object.entries(services).map(([service, { backend, ...settings }]) => {
    return [
      service,
      {
        ...defaults,
        ...settings,
        ...(backend !== undefined && { backend }),
        name: service,
        deployable: recipes[service]?.dockerfile !== undefined,
        inputs: inputs(service, settings.kind, backend, recipes),
      } satisfies Service,
    ]
  })
  return Object.fromEntries(entries) as Catalog
}

interface CatalogFault {
  path: string[]
  message: string
}

/** @throws ConfigurationError with every fault, each with its file and line */
function refuse(text: string, faults: CatalogFault[]): void {
  if (faults.length === 0) return
  const lines = faults.map(
    ({ path, message }) => `${placeIn([{ file: catalogFile, text }], path)}: ${path.join(".")}: ${message}`,
  )
  throw new ConfigurationError(lines.join("\n"))
}

/** Backends that are none, and ports that two services have. */
function contradictions(services: z.output<typeof schema>["services"]): CatalogFault[] {
  const all = Object.entries(services)
  const backends = all.flatMap(([name, { kind }]) => (kind === "python" ? [name] : []))
  const unknown = all.flatMap(([name, { backend = "" }]) =>
    backend === "" || backends.includes(backend)
      ? []
      : [
          {
            path: ["services", name, "backend"],
            message: `no such backend (found "${backend}"); allowed: ${backends.join(", ")}`,
          },
        ],
  )
  const taken = all.flatMap(([name, { port }], at) => {
    const [first] = all.slice(0, at).find(([, other]) => port !== undefined && other.port === port) ?? []
    return first === undefined
      ? []
      : [{ path: ["services", name, "port"], message: `another port than that of ${first} (found ${port})` }]
  })
  return [...unknown, ...taken]
}

/**
 * Checks that services.yaml names every service of services/ and no other. A service that it does not name would never be built or tested.
 *
 * @param text the contents of services.yaml
 * @param folders the folders of services/ that have a Dockerfile, a package.json or a pyproject.toml
 * @throws ConfigurationError with every folder and entry that has no counterpart
 */
export function verifyFolders(catalog: Catalog, text: string, folders: string[]): void {
  refuse(text, [
    ...folders
      .filter((folder) => !(folder in catalog))
      .map((folder) => ({
        path: ["services"],
        message: `services/${folder} has no entry below services; add one, with its kind (python or react)`,
      })),
    ...Object.keys(catalog)
      .filter((name) => !folders.includes(name))
      .map((name) => ({
        path: ["services", name],
        message: `there is no folder services/${name} with a pyproject.toml or a package.json`,
      })),
  ])
}

/** The files of services/ that every service of a kind depends on: lock files and settings of tools. */
const common = {
  python: ["pyproject.toml", ".flake8", ".dockerignore"],
  react: ["package.json", "package-lock.json", ".npmrc", ".prettierrc", ".dockerignore"],
}

/** Stands for everything in services/. */
export const everything = "**"

function inputs(
  service: string,
  kind: Service["kind"],
  backend: string | undefined,
  recipes: Record<string, Recipes>,
): string[] {
  // A web app's types are generated from its backend's contract, and its build names it.
  const contract = backend === undefined ? [] : [`${backend}/openapi.json`]
  const folders = new Set([service, ...copiedPaths(recipes[service]?.dockerfile ?? "", contract)])
  // The set grows during the loop, because a workspace may depend on another one.
  for (const folder of folders) {
    for (const workspace of workspacesOf(recipes[folder]?.manifest, recipes)) folders.add(workspace)
  }
  return [...new Set([...folders, ...contract, ...common[kind]])]
}

const manifestSchema = z.looseObject({
  name: z.string().optional(),
  dependencies: z.record(z.string(), z.string()).default({}),
  devDependencies: z.record(z.string(), z.string()).default({}),
  peerDependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
})

function readManifest(text: string): z.output<typeof manifestSchema> | undefined {
  try {
    return manifestSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

/** The folders of the packages that a package.json depends on and that are in services/ too. */
function workspacesOf(manifest: string | undefined, recipes: Record<string, Recipes>): string[] {
  if (manifest === undefined) return []
  const read = readManifest(manifest)
  if (!read) return [everything]
  const { dependencies, devDependencies, peerDependencies, optionalDependencies } = read
  const names = Object.keys({
    ...dependencies,
    ...devDependencies,
    ...peerDependencies,
    ...optionalDependencies,
  })
  return Object.entries(recipes).flatMap(([folder, recipe]) => {
    const name = recipe.manifest === undefined ? undefined : readManifest(recipe.manifest)?.name
    return names.includes(name ?? `@f1/${folder}`) ? [folder] : []
  })
}

/**
 * The top-level folders and files of the build context that a Dockerfile reads, by COPY, ADD and bind mounts.
 *
 * A Dockerfile that cannot be followed, such as one with a variable in a path, may read everything.
 *
 * @param files files that stand for themselves and not for their folder
 */
export function copiedPaths(dockerfile: string, files: string[] = []): string[] {
  try {
    const sources = DockerfileParser.parse(dockerfile).getInstructions().flatMap(sourcesOf)
    return [...new Set(sources.map((source) => (files.includes(source) ? source : topLevel(source))))]
  } catch {
    return [everything]
  }
}

/** The paths of the build context that one instruction reads. */
function sourcesOf(instruction: Instruction): string[] {
  // It runs where a stage begins with this one, in this Dockerfile too.
  if (instruction instanceof Onbuild) {
    const trigger = instruction.getTriggerInstruction()
    return trigger ? sourcesOf(trigger) : []
  }
  const flags = instruction instanceof ModifiableInstruction ? instruction.getFlags() : []
  if (instruction instanceof Copy || instruction instanceof Add) {
    if (flags.some((flag) => flag.getName() === "from")) return []
    // The lines of a here document count as arguments too, and name no paths.
    const [here] = instruction.getArguments().filter((argument) => argument.getValue().startsWith("<<"))
    const words = instruction
      .getArguments()
      .filter((argument) => !here || argument.getRange().start.line <= here.getRange().start.line)
      .map((argument) => argument.getValue())
    return pathsOf(words.join(" "))
      .slice(0, -1)
      .filter((source) => !/^(<<|\w+:\/\/|git@)/.test(source))
  }
  return flags
    .filter((flag) => flag.getName() === "mount")
    .flatMap((flag) => {
      const options = Object.fromEntries(
        flag.getOptions().map((option) => [option.getName(), option.getValue() ?? ""]),
      )
      const { type = "bind", from, source = options.src ?? "." } = options
      const reads = !otherMounts.includes(type.toLowerCase()) && from === undefined
      return reads ? [unquoted(source)] : []
    })
}

/** Types of mounts that read nothing of the build context. A variable may stand for any type. */
const otherMounts = ["cache", "tmpfs", "secret", "ssh"]

/** Docker takes quotes out of words and flags, wherever they stand. */
const unquoted = (word: string) => word.replace(/["']/g, "")

/** Docker reads arguments as words where they are not valid JSON, as `[ab]*.txt`. */
function pathsOf(text: string): string[] {
  try {
    return z.array(z.string()).parse(JSON.parse(text))
  } catch {
    return text.split(/\s+/).map(unquoted)
  }
}

/** The first step of a path, or everything where it is a pattern, a variable or the whole context. */
function topLevel(path: string): string {
  const [first = ""] = posix.normalize(`/${path}`).slice(1).split("/")
  return first === "" || /[$*?[\]\\]/.test(first) ? everything : first
}

/** The names of some services and of all services that they are built from. One that cannot be followed may be built from each. */
export function builtFrom(catalog: Catalog, names: string[]): string[] {
  const inputs = names.flatMap((name) => catalog[name]?.inputs ?? [])
  const known = Object.keys(catalog)
  const folders = inputs.includes(everything) ? known : inputs.filter((input) => known.includes(input))
  return [...new Set([...names, ...folders])]
}

/**
 * The services that a change affects: those built from it, and web apps whose backend is, because their browser tests run on its image.
 *
 * @param paths changed files and removed folders, relative to services/
 */
export function touched(catalog: Catalog, paths: string[]): Service[] {
  return Object.values(catalog).filter(({ name }) =>
    filesOf(catalog, name).some((file) => paths.some((path) => isWithin(path, file) || isWithin(file, path))),
  )
}

/** The folders and files of services/ that the gates of a service look at: what it is built from, and for a web app what its backend is built from. */
export function filesOf(catalog: Catalog, name: string): string[] {
  const service = catalog[name]
  if (!service) return []
  const backend = service.backend === undefined ? undefined : catalog[service.backend]
  const tested = service.deployable && backend ? backend.inputs : []
  return [...new Set([...service.inputs, ...tested])]
}

/** Whether a path is a file or folder, or in it. `**` stands for all. */
export function isWithin(path: string, folder: string): boolean {
  const bare = folder.replace(/\/$/, "")
  return bare === everything || path === bare || path.startsWith(`${bare}/`)
}
