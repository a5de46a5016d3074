import picomatch from "picomatch"
import { type Catalog, filesOf, isWithin, touched } from "../../platform/catalog.js"

/** The gates that a change affects. */
export type Affected =
  /** All gates, and why no smaller choice is safe. */
  | { everything: true; reason: string }
  /** The gates of these groups, each with one path that affects it. */
  | { everything: false; groups: Record<string, string> }

/** The group of the pipeline's own source. */
export const moduleGroup = "module"
/** The group of the scanners, which look at every file. */
export const securityGroup = "security"

/**
 * Files of services that the module's unit tests read: names and buckets of metrics must be those that the analysis knows, the check objects are generated from
 * what services are made of, and the shipped descriptions of the backends are compared with each other.
 */
export const unitTestInputs = [
  "services/servicekit/src/servicekit/middleware.py",
  "services/servicekit/src/servicekit/metrics.py",
  "services/*/Dockerfile",
  "services/compose*.yaml",
  "services/*/package.json",
  "services/*/openapi.json",
]
const isUnitTestInput = picomatch(unitTestInputs)

/**
 * Decides which gates a change affects. A path that is not known to leave a service alone affects everything.
 *
 * @param paths changed files and removed folders, relative to the root of the repository
 */
export function affected(catalog: Catalog, paths: string[]): Affected {
  const groups: Record<string, string> = {}
  for (const path of paths) {
    groups[securityGroup] ??= path
    if (isUnitTestInput(path)) groups[moduleGroup] ??= path
    if (pipelineFiles.some((file) => isWithin(path, file)))
      return { everything: true, reason: `${path} belongs to the pipeline` }
    if (path.startsWith("services/")) {
      const services = touched(catalog, [path.slice("services/".length)])
      if (services.length === 0 && !path.endsWith(".md")) {
        return { everything: true, reason: `${path} belongs to no one service` }
      }
      for (const { name } of services) groups[name] ??= path
    } else if (moduleFiles.test(path)) groups[moduleGroup] ??= path
    else return { everything: true, reason: `${path} is not known` }
  }
  return { everything: false, groups }
}

/** Files and folders that decide how every gate runs. */
export const pipelineFiles = [
  "dagger/src",
  "dagger/config",
  "dagger/package.json",
  "dagger/package-lock.json",
  "dagger/tsconfig.json",
  "dagger.json",
  ".env",
]

/**
 * The files, beside those of the pipeline, that the gates of a group look at: the counterpart of {@link affected}.
 *
 * @returns patterns; each selection of files is complete by itself
 */
export function inputsOf(catalog: Catalog, group: string): { include?: string[]; exclude?: string[] }[] {
  if (group === securityGroup) return [{}]
  if (group === moduleGroup) return [{ exclude: ["services"] }, { include: unitTestInputs }]
  return [{ include: filesOf(catalog, group).map((file) => `services/${file}`) }]
}

/** Files that only the gates of `module` look at: tests, scripts, the local engine, documents. */
const moduleFiles =
  /^(dagger|engine|scripts|docs|\.ci|\.github)\/|^[^/]+\.(md|js|ts|json)$|^(daggerw|dagger\.sums|LICENSE)$|^\.(gitignore|gitattributes|editorconfig|npmrc|prettierrc|prettierignore|dependency-cruiser\.mjs|env\.example)$/
