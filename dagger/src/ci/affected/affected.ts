import { touched, type Catalog } from "../../platform/catalog.js"

/** Which gates a change calls for. */
export type Affected =
  /** All, and why there is a doubt. */
  | { everything: true; because: string }
  /** Those of these groups, and what speaks for each. */
  | { everything: false; groups: Record<string, string> }

/** The gates of the pipeline's own source, and those that look at every file. */
export const moduleGroup = "module"
export const securityGroup = "security"

/** The file of the services that the module's unit tests read: the services and the analysis have to agree on metrics. */
export const sharedMetrics = "services/servicekit/src/servicekit/middleware.py"

/**
 * What a change calls for. What is not known to be without effect on a service means everything.
 *
 * @param paths changed files, from the repository's root
 */
export function affected(catalog: Catalog, paths: string[]): Affected {
  const groups: Record<string, string> = {}
  for (const path of paths) {
    groups[securityGroup] ??= path
    if (path === sharedMetrics) groups[moduleGroup] ??= path
    if (pipeline.test(path)) return { everything: true, because: `${path} belongs to the pipeline` }
    if (path.startsWith("services/")) {
      const services = touched(catalog, [path.slice("services/".length)])
      if (services.length === 0 && !path.endsWith(".md")) {
        return { everything: true, because: `${path} belongs to no one service` }
      }
      for (const { name } of services) groups[name] ??= path
    } else if (own.test(path)) groups[moduleGroup] ??= path
    else return { everything: true, because: `${path} is not known` }
  }
  return { everything: false, groups }
}

/** What decides how every gate runs. */
const pipeline = /^(dagger\/(src|config)\/|dagger\/(package(-lock)?|tsconfig)\.json$|dagger\.json$|\.env$)/
/** What only the pipeline's own gates look at: its tests, its scripts, its local engine, its papers. */
const own =
  /^(dagger|engine|scripts|docs|\.ci|\.github)\/|^[^/]+\.(md|js|ts|json)$|^(daggerw|LICENSE)$|^\.(gitignore|gitattributes|editorconfig|npmrc|prettierrc|prettierignore)$/
