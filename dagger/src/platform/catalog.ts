import { z } from "zod"
import { ConfigurationError, readConfiguration, section } from "../lib/document.js"

const percent = z.int().min(0).max(100)
const coverage = section({ lines: percent, branches: percent })
const load = section({ p95: z.int().positive(), errorRate: percent })
const seconds = z.int().positive()
const limits = section({ tool: seconds, test: seconds, ready: seconds })
const name = z.string().regex(/^[a-z][a-z0-9-]*$/, "a lower-case name of letters, digits and hyphens")

const schema = section({
  defaults: section({ coverage, load, limits }),
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
      limits: limits.optional(),
    }),
  ),
})

export type Coverage = z.output<typeof coverage>
/** p95 in milliseconds, failed requests in percent. */
export type LoadLimits = z.output<typeof load>

/** A folder of services/, and what the pipeline has to know of it. */
export interface Service {
  name: string
  kind: "python" | "react"
  backend?: string
  database?: string
  /** Where it listens on a developer's machine. */
  port?: number
  /** The folder in its image in which it keeps files. */
  files?: string
  /** Variables that it is told on a throw-away platform. */
  environment: Record<string, string>
  /** Shell commands, run in its image, that bring an empty database to where there is something to show. */
  setup: string[]
  coverage: Coverage
  /** What it must hold under load. */
  load: LoadLimits
  /** Seconds that a tool and a suite of tests may take, and that it has to become ready from an empty database. */
  limits: z.output<typeof limits>
  /** It has a Dockerfile; without one it is a library of the others. */
  deployable: boolean
  /** What it is made from, under services/: folders and files, its own folder first. A change elsewhere does not touch it. */
  inputs: string[]
}

export type Catalog = Record<string, Service>

/** What of a service's folder says what it depends on. */
export interface Recipes {
  /** The text of its Dockerfile, if it has one. */
  dockerfile?: string
  /** The text of its package.json, if it has one. */
  manifest?: string
}

export const catalogFile = "dagger/config/services.yaml"

/**
 * The services, with what each depends on.
 *
 * @param text the contents of services.yaml
 * @param recipes by service
 * @throws ConfigurationError for what is not allowed, and for a backend that is no service
 */
export function readCatalog(text: string, recipes: Record<string, Recipes>): Catalog {
  const { defaults, services } = readConfiguration(catalogFile, text, schema)
  const names = Object.keys(services)
  const entries = Object.entries(services).map(([service, { backend, ...settings }]) => {
    if (backend !== undefined && !names.includes(backend)) {
      throw new ConfigurationError(
        `${catalogFile}: services.${service}.backend: no such service (found "${backend}"); allowed: ${names.join(", ")}`,
      )
    }
    const recipe = recipes[service] ?? {}
    return [
      service,
      {
        ...defaults,
        ...settings,
        ...(backend === undefined ? {} : { backend }),
        name: service,
        deployable: recipe.dockerfile !== undefined,
        inputs: inputs(service, settings.kind, backend, recipe),
      } satisfies Service,
    ]
  })
  return Object.fromEntries(entries) as Catalog
}

/** The files at the top of services/ that hold for all of a kind: what is installed, and how tools judge. */
const common = {
  python: ["pyproject.toml", ".flake8", ".dockerignore"],
  react: ["package.json", "package-lock.json", ".npmrc", ".prettierrc", ".dockerignore"],
}

function inputs(
  service: string,
  kind: Service["kind"],
  backend: string | undefined,
  { dockerfile = "", manifest = "{}" }: Recipes,
): string[] {
  const copied = copiedFolders(dockerfile)
  const workspaces = Object.keys(
    (JSON.parse(manifest) as { dependencies?: Record<string, string> }).dependencies ?? {},
  ).flatMap((dependency) => /^@f1\/(.+)$/.exec(dependency)?.[1] ?? [])
  // A web app's types are made from its backend's contract.
  const contract = backend === undefined ? [] : [`${backend}/openapi.json`]
  return [...new Set([service, ...copied, ...workspaces, ...contract, ...common[kind]])]
}

/** The top folders of the build context that a Dockerfile copies from. */
export function copiedFolders(dockerfile: string): string[] {
  const instructions = dockerfile.replaceAll(/\\\r?\n/g, " ").split("\n")
  const sources = instructions.flatMap((line) => {
    const [, flags = "", words = ""] = /^\s*(?:COPY|ADD)\s+((?:--\S+\s+)*)(.*)$/i.exec(line) ?? []
    if (flags.includes("--from=") || words === "") return []
    const paths = words.trim().startsWith("[") ? (JSON.parse(words) as string[]) : words.trim().split(/\s+/)
    return paths.slice(0, -1)
  })
  const folders = sources
    .map((path) => path.replace(/^(\.?\/)+/, ""))
    .filter((path) => path.includes("/"))
    .map((path) => path.slice(0, path.indexOf("/")))
  return [...new Set(folders)]
}

/** The services whose inputs a change touches. A path is relative to services/. */
export function touched(catalog: Catalog, paths: string[]): Service[] {
  return Object.values(catalog).filter(({ inputs }) =>
    paths.some((path) => inputs.some((input) => path === input || path.startsWith(`${input}/`))),
  )
}
