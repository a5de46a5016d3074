// Generates dagger/src/api/checks.ts: Dagger reads checks from the source of classes, and every kind of service has the same ones. `npm run generate` writes it.
import { readdirSync, readFileSync } from "node:fs"
import { dag } from "@dagger.io/dagger"
import { allGates } from "../../src/ci/gates/gates.js"
import type { Subjects } from "../../src/ci/gates/subjects.js"
import { type Catalog, readCatalog, type Recipes } from "../../src/platform/catalog.js"
import { Platform } from "../../src/platform/platform.js"

const repository = new URL("../../../", import.meta.url)
const read = (path: string) => readFileSync(new URL(path, repository), "utf8")

/** What a gate does, what it throws with, and whether Dagger may remember its result as long as its arguments are equal. */
interface Help {
  does: string
  throws: string
  never?: true
}

/** Help by group or kind and gate. */
const help: Record<string, Record<string, Help>> = {
  python: {
    test: {
      does: "Runs its tests with pytest, on a real PostgreSQL and Redis.",
      throws: "the failing tests",
    },
    format: { does: "Checks its formatting with black.", throws: "the changes that are needed" },
    lint: { does: "Checks its code with flake8.", throws: "the findings" },
    types: { does: "Checks its types with mypy.", throws: "the errors" },
    coverage: {
      does: "Checks that its tests reach the coverage of `dagger/config/services.yaml`.",
      throws: "what is missing",
    },
    migrations: {
      does: "Runs each migration on an empty database: one head, equal to the models, taken back cleanly, and safe for services that run meanwhile. Squawk reads their SQL.",
      throws: "the findings",
    },
    downgrade: {
      does: "Takes each migration back and applies it again, on a database with the rows of its setup.",
      throws: "what is lost",
    },
  },
  react: {
    test: { does: "Runs its tests with Vitest.", throws: "the failing tests" },
    format: { does: "Checks its formatting with Prettier.", throws: "the names of the files" },
    lint: { does: "Checks its code with ESLint.", throws: "the findings" },
    types: { does: "Checks its types with tsc.", throws: "the errors" },
    coverage: {
      does: "Checks that its tests reach the coverage of `dagger/config/services.yaml`.",
      throws: "what is missing",
    },
    contract: { does: "Compares its types with its backend's OpenAPI.", throws: "the difference" },
    size: {
      does: "Builds it and checks that what browsers download stays within the budget of `dagger/config/services.yaml`.",
      throws: "what grew",
    },
    browser: {
      does: "Runs its Playwright tests in Chromium, on its image and its backend's.",
      throws: "the failing tests",
    },
  },
  image: {
    image: {
      does: "Builds its image, and checks that it does not run as root, has no shell, package manager or compiler that it does not need, and stays within its budget of `dagger/config/services.yaml`.",
      throws: "the failing step, the programs and what grew",
    },
    smoke: {
      does: "Starts its image on empty stores and a root file system that cannot be written, and waits until it is ready.",
      throws: "its last answer",
    },
    scan: {
      does: "Scans its image with Trivy: known vulnerabilities, and secrets in its layers, its configuration and its history.",
      throws: "the findings",
      never: true,
    },
  },
  module: {
    format: {
      does: "Checks the formatting of every text file with Prettier.",
      throws: "the names of the files",
    },
    lint: { does: "Checks TypeScript and JavaScript with ESLint.", throws: "the findings" },
    types: {
      does: "Checks the types of the module, its tests and its scripts with tsc.",
      throws: "the errors",
    },
    architecture: {
      does: "Checks which folder of the module imports which, with dependency-cruiser.",
      throws: "the forbidden imports",
    },
    unit: { does: "Runs the module's unit tests with Vitest.", throws: "the failing tests" },
    shell: { does: "Checks the shell scripts with ShellCheck.", throws: "the findings" },
    workflow: {
      does: "Checks GitHub's workflow with actionlint and zizmor, and what update bots are told with their schemas.",
      throws: "the findings",
    },
    manifests: { does: "Checks the manifests that deploys apply with kubeconform.", throws: "the findings" },
  },
  security: {
    dependencies: {
      does: "Scans every lock file for known vulnerabilities with Trivy.",
      throws: "those that block a change",
      never: true,
    },
    secrets: {
      does: "Looks for secrets in every tracked file with Trivy.",
      throws: "their places",
      never: true,
    },
    config: {
      does: "Checks Dockerfiles, compose files and manifests with Trivy: no root, no privileges, images of a named version.",
      throws: "the findings",
      never: true,
    },
    dockerfiles: { does: "Checks every Dockerfile with hadolint.", throws: "the findings", never: true },
    licences: {
      does: "Checks the licences of all delivered packages against `dagger/config/security.yaml`.",
      throws: "those that are forbidden or not decided on",
      never: true,
    },
    sast: {
      does: "Looks for insecure code with Semgrep and the rules in `dagger/config/semgrep`.",
      throws: "the findings",
      never: true,
    },
    bandit: { does: "Looks for insecure Python code with Bandit.", throws: "the findings", never: true },
    snyk: {
      does: "Asks Snyk about npm's lock files. Skipped without the entry SNYK_TOKEN in the secrets file.",
      throws: "the findings",
      never: true,
    },
  },
}

/** The services of the repository, as the module sees them. */
export function shippedCatalog(): Catalog {
  const folders = readdirSync(new URL("services", repository), { withFileTypes: true })
  const recipes = folders
    .filter((entry) => entry.isDirectory())
    .map(({ name }): [string, Recipes] => {
      const files = readdirSync(new URL(`services/${name}`, repository))
      return [
        name,
        {
          ...(files.includes("Dockerfile") && { dockerfile: read(`services/${name}/Dockerfile`) }),
          ...(files.includes("package.json") && { manifest: read(`services/${name}/package.json`) }),
        },
      ]
    })
  return readCatalog(read("dagger/config/services.yaml"), Object.fromEntries(recipes))
}

/** Names of all gates by group. */
export function gatesByGroup(catalog: Catalog): Map<string, string[]> {
  const directory = dag.directory()
  const subjects = { source: directory, platform: new Platform(catalog, directory) } as Subjects
  const groups = new Map<string, string[]>()
  for (const { name } of allGates(subjects)) {
    const [group = "", gate = ""] = name.split(":")
    groups.set(group, [...(groups.get(group) ?? []), gate])
  }
  return groups
}

/** The class that has the checks of a service. */
export function classOf({ kind, deployable, database, backend }: Catalog[string]): string {
  if (kind === "python") {
    if (!deployable) return "PythonLibrary"
    return database === undefined ? "StatelessPythonService" : "PythonService"
  }
  if (!deployable) return "ReactLibrary"
  return backend === undefined ? "StandaloneReactApp" : "ReactApp"
}

const titles: Record<string, string> = {
  PythonLibrary: "A Python library of the platform: its gates.",
  PythonService: "A Python service with a database: its gates, and the service to run.",
  StatelessPythonService: "A Python service without a database: its gates, and the service to run.",
  ReactLibrary: "A React library of the platform: its gates.",
  ReactApp: "A web app of the platform: its gates, and the app to run.",
  StandaloneReactApp: "A web app without a backend: its gates, and the app to run.",
}

/** The text of dagger/src/api/checks.ts, before Prettier. */
export function checkObjects(catalog: Catalog): string {
  const groups = gatesByGroup(catalog)
  const classes = new Map<string, string>()
  for (const service of Object.values(catalog)) {
    const name = classOf(service)
    if (classes.has(name)) continue
    const gates = groups.get(service.name) ?? []
    const functions = gates.map((gate) =>
      check(gate, { ...help[service.kind], ...help.image }[gate], `${service.name}:${gate}`),
    )
    classes.set(
      name,
      serviceClass(name, service.name, [...functions, ...(service.deployable ? [serve(service.name)] : [])]),
    )
  }
  const own = (group: string) =>
    (groups.get(group) ?? []).map((gate) => check(gate, help[group]?.[gate], `${group}:${gate}`)).join("\n")
  return `// Generated by \`npm run generate\` from the gates and dagger/config/services.yaml: do not edit.
import { check, type Directory, func, object, type Secret, type Service, up } from "@dagger.io/dagger"
import { gatesOf, pipelineOf } from "./gates.js"

${[...classes.values()].join("\n")}
/** Gates of the pipeline's own source. */
@object()
export class ModuleChecks {
  private source: Directory
  private caches: string

  constructor(source: Directory, caches: string) {
    this.source = source
    this.caches = caches
  }

${own("module")}
  private async enforce(gate: string): Promise<void> {
    await pipelineOf(this.source, this.caches).enforce(\`module:\${gate}\`)
  }
}

/** Gates that look for vulnerabilities, secrets, licences and insecure code. */
@object()
export class SecurityChecks {
  private source: Directory
  private caches: string
  private secretsFile?: Secret
  private vulnerabilities?: string
  private database?: Service

  constructor(
    source: Directory,
    caches: string,
    secretsFile?: Secret,
    vulnerabilities?: string,
    database?: Service,
  ) {
    this.source = source
    this.caches = caches
    this.secretsFile = secretsFile
    this.vulnerabilities = vulnerabilities
    this.database = database
  }

${own("security")}
  private async enforce(gate: string): Promise<void> {
    const gates = await gatesOf(this.source, this.caches, {
      ...(this.secretsFile && { secrets: this.secretsFile }),
      ...(this.vulnerabilities !== undefined && { vulnerabilities: this.vulnerabilities }),
      ...(this.database && { database: this.database }),
    })
    await gates.enforce(\`security:\${gate}\`)
  }
}
`
}

function serviceClass(name: string, example: string, functions: string[]): string {
  return `/** ${titles[name] ?? example} */
@object()
export class ${name} {
  private source: Directory
  private name: string
  private caches: string

  constructor(source: Directory, name: string, caches: string) {
    this.source = source
    this.name = name
    this.caches = caches
  }

${functions.join("\n")}
  private async enforce(gate: string): Promise<void> {
    await pipelineOf(this.source, this.caches).enforce(\`\${this.name}:\${gate}\`)
  }
}
`
}

function check(gate: string, found: Help | undefined, example: string): string {
  if (!found) throw new Error(`${example} has no help: add it to dagger/test/api/check-objects.ts`)
  return `  /**
   * ${found.does}
   *
   * Throws with ${found.throws}. Example: \`./daggerw check ${example}\`
   */
  @func(${found.never ? '{ cache: "never" }' : ""})
  @check()
  async ${gate}(): Promise<void> {
    await this.enforce("${gate}")
  }
`
}

const serve = (example: string) => `  /**
   * Runs it with everything it needs, on the port that \`dagger/config/services.yaml\` gives it.
   *
   * Example: \`./daggerw up ${example}:serve\`
   */
  @func({ cache: "never" })
  @up()
  async serve(): Promise<Service> {
    return pipelineOf(this.source, this.caches).serve(this.name)
  }
`
