import {
  type Container,
  dag,
  type Directory,
  ExecError,
  type Secret,
  type Service as Running,
} from "@dagger.io/dagger"
import { images, tools } from "../../platform/base-images.js"
import { cache } from "../../platform/caches.js"
import type { Severity } from "../report/severity.js"
import { once } from "../../lib/once.js"
import { count } from "../../lib/text.js"
import {
  checkGates,
  readSecurity,
  type SecurityConfiguration,
  securityFile,
} from "../security/configuration.js"
import { type VulnerabilityDatabase, vulnerabilityDatabase } from "../security/database.js"
import { type Ignores, ignoresOf, trivyIgnores } from "../security/ignores.js"
import { type ScanResult, applyPolicy } from "../security/policy.js"
import { examineLicences } from "../security/licences.js"
import { readSarif, writeSarif } from "../security/sarif.js"
import { offline, scanner, withDatabase } from "../security/scanner.js"
import {
  checksIn,
  examine,
  licensed,
  packagesIn,
  packagesOfImage,
  readTrivy,
  unread,
} from "../security/trivy.js"
import type { Platform } from "../../platform/platform.js"
import { pip, pypiTool } from "../../platform/pypi.js"
import { settingsFiles } from "./settings.js"
import type { Subjects } from "./subjects.js"
import {
  afterCommand,
  commandGate,
  reportsFolder,
  runCommand,
  withoutReportsLine,
} from "../runner/command.js"
import { type Gate, GateFailure, type GatePass, GateSkip } from "../runner/gate.js"

/** What a run gives the security gates, beside their configuration. */
export interface SecurityOptions {
  /** Without it, `security:snyk` is skipped. */
  snykToken?: Secret
  /** The OCI reference of a vulnerability database; the configured one by default. */
  database?: string
  /** A registry on this machine, which the reference names `registry.local`. */
  registry?: Running
  /** The time that decides whether the database is too old and which ignores have expired. */
  now?: Date
}

/** Seconds that a scanner may take. */
const limit = 900

/** What the security gates of one run share. */
interface SecurityContext {
  source: Directory
  now: Date
  /** The date on which ignores end, beside whatever else a gate's result depends on. */
  today: () => Promise<string[]>
  /** The date and the vulnerability database. */
  todaysDatabase: () => Promise<string[] | undefined>
  configuration: () => Promise<SecurityConfiguration>
  database: () => Promise<VulnerabilityDatabase>
}

/** The gates that scan the repository and the images that are built from it. */
export function securityGates(
  { source, worktree, platform }: Omit<Subjects, "manifests">,
  options: SecurityOptions = {},
): Gate[] {
  const now = options.now ?? new Date()
  const names: string[] = []
  const configuration = once(async () => {
    const read = readSecurity(await source.file(securityFile).contents(), now)
    checkGates(read, names)
    return read
  })
  const database = once(async () => {
    const { vulnerabilities } = await configuration()
    const { oldest, database: configured } = vulnerabilities
    const reference = options.database ?? configured
    return vulnerabilityDatabase(
      { reference, oldest, ...(options.registry && { registry: options.registry }) },
      now,
    )
  })
  // An ignore ends with its day.
  const today = () => Promise.resolve([now.toISOString().slice(0, 10)])
  const todaysDatabase = async () => {
    const found = await database()
    return "missing" in found ? undefined : [...(await today()), found.made]
  }
  const context = { source, now, today, todaysDatabase, configuration, database }
  const deployable = Object.values(platform.catalog).filter((service) => service.deployable)
  const gates = [
    ...deployable.map((service) => imageScan(context, platform, service.name)),
    licences(context, platform),
    sast(context),
    bandit(context),
    dependencies(context),
    secrets(context, worktree),
    dockerfiles(source),
    config(context),
    snyk(context, options.snykToken),
  ]
  names.push(...gates.map(({ name }) => name))
  return gates
}

/** One run of a scanner. */
interface ScannerRun {
  container: Container
  /** Shell commands. Any exit code but 0 means that the scanner did not finish. */
  script: string
  /** Reads the findings, and the SARIF logs that replace the scanner's own. */
  read: (ran: Container) => Promise<{ examined: ScanResult; logs?: Record<string, string> }>
}

/** Runs a scanner. The engine remembers the findings for equal input; whether they block a change is decided each time. */
async function scan(
  { container, script, read }: ScannerRun,
  block: Severity[],
  ignores: Ignores,
): Promise<GatePass> {
  const command = { container, command: ["sh", "-ec", script], limit }
  let result: GatePass
  try {
    result = await runCommand(command, () => "")
  } catch (error) {
    throw error instanceof ExecError ? new Error(`the scanner did not finish:\n${outputOf(error)}`) : error
  }
  const { examined, logs = {} } = await read(afterCommand(command))
  let reports = result.reports ?? dag.directory()
  for (const [file, text] of Object.entries(logs)) reports = reports.withNewFile(file, text)
  const { detail, fault } = applyPolicy(examined, block, ignores)
  if (fault) throw new GateFailure(fault, reports)
  return { ...result, detail, reports }
}

function outputOf({ stdout, stderr, message }: ExecError): string {
  return (
    [stdout, stderr]
      .map((text) => withoutReportsLine(text).trim())
      .filter(Boolean)
      .join("\n") || message
  )
}

/** Trivy logs an error for a file that it cannot read, skips the file, and succeeds. That it uses its own checks, as it is told to, is no error. */
export const refuseLoggedErrors = `
if grep -E '^[^[:space:]]+[[:space:]]+(ERROR|FATAL)[[:space:]]' /gate/log | grep -v 'Falling back to embedded checks' >&2; then exit 1; fi`

/** Trivy's own format, which decides. A SARIF log is kept beside it. */
const trivyResults = "/gate/trivy.json"
const trivy = (command: string) => `
trivy ${command} --ignorefile /gate/trivyignore.yaml --show-suppressed --list-all-pkgs --format json --output ${trivyResults} 2>/gate/log || { cat /gate/log >&2; exit 1; }
${refuseLoggedErrors}
trivy convert --quiet --format sarif --output ${reportsFolder}/trivy.sarif ${trivyResults}`

async function trivyScan(
  { configuration, now }: SecurityContext,
  gate: string,
  container: Container,
  command: string,
  section: (configuration: SecurityConfiguration) => { block: Severity[] },
  checked: (results: ReturnType<typeof readTrivy>) => string[],
): Promise<GatePass> {
  const read = await configuration()
  const ignores = ignoresOf(read.ignores, gate, now)
  return scan(
    {
      container: container.withNewFile("/gate/trivyignore.yaml", trivyIgnores(ignores.active)),
      script: trivy(command),
      read: async (ran) => {
        const results = readTrivy(await ran.file(trivyResults).contents())
        return { examined: examine(results, ignores.active, checked(results)) }
      },
    },
    section(read).block,
    ignores,
  )
}

/** The database, for a gate that needs it. The configuration decides whether a missing one skips the gate or stops it. */
async function requireDatabase(
  { configuration, database }: SecurityContext,
  note = "",
): Promise<Exclude<VulnerabilityDatabase, { missing: string }>> {
  const found = await database()
  if (!("missing" in found)) return found
  const reason = `no vulnerability database (${found.missing})${note}`
  const { vulnerabilities } = await configuration()
  throw vulnerabilities["without-database"] === "warn" ? new GateSkip(reason) : new Error(reason)
}

const databaseFrom = (time: string) => `database of ${time.slice(0, 16).replace("T", " ")} UTC`

const lockFiles = ["**/requirements*.txt", "**/package-lock.json", "**/go.mod", "**/go.sum"]

function dependencies(context: SecurityContext): Gate {
  const name = "security:dependencies"
  const locks = context.source.filter({ include: lockFiles })
  return {
    name,
    subject: "lock files, Trivy",
    dependsOn: context.todaysDatabase,
    prepare: () => scanner().sync(),
    execute: async () => {
      const { folder, made: time } = await requireDatabase(context)
      const files = (await locks.glob("**/*")).filter((path) => /\.txt$|\.json$|go\.mod$/.test(path))
      return trivyScan(
        context,
        name,
        withDatabase(scanner(), folder).withDirectory("/src", locks),
        `fs --scanners vuln ${offline} --include-dev-deps --file-patterns 'pip:requirements.*\\.txt$' .`,
        ({ vulnerabilities }) => vulnerabilities,
        (results) => {
          const missed = unread(results, files)
          if (missed.length > 0) throw new Error(`Trivy read no package from ${missed.join(", ")}`)
          return [packagesIn(results), databaseFrom(time)]
        },
      )
    },
  }
}

/** Secrets hide anywhere, so this gate scans the whole checkout instead of the files that other gates read. */
function secrets(context: SecurityContext, worktree: Subjects["worktree"]): Gate {
  const name = "security:secrets"
  const rules = "dagger/config/trivy/secrets.yaml"
  const container = async () =>
    scanner()
      .withDirectory("/rules", await settingsFiles(context.source, [rules]))
      .withDirectory("/src", await worktree.files())
  return {
    name,
    subject: "every tracked file, Trivy",
    dependsOn: async () => [...(await context.today()), await (await worktree.files()).digest()],
    prepare: async () => (await container()).sync(),
    execute: async () =>
      trivyScan(
        context,
        name,
        await container(),
        `fs --scanners secret --secret-config /rules/${rules} .`,
        () => ({ block: ["critical"] }),
        () => [],
      ),
  }
}

/** Files that configure containers, compose and clusters. */
const configurations = [
  "**/Dockerfile",
  "**/*.Dockerfile",
  "**/compose*.yaml",
  "**/compose*.yml",
  "**/kubernetes/**",
]

/** The local engine's base images imitate the official ones, root and unpinned packages included. None of them is delivered. */
const baseImageRecipes = ["engine/images"]

function config(context: SecurityContext): Gate {
  const name = "security:config"
  const container = scanner()
    .withDirectory("/rules", context.source.filter({ include: ["dagger/config/trivy/*.rego"] }))
    .withDirectory("/src", context.source.filter({ include: configurations, exclude: baseImageRecipes }))
  return {
    name,
    subject: "Dockerfiles, compose, manifests, Trivy",
    dependsOn: context.today,
    prepare: () => container.sync(),
    execute: () =>
      trivyScan(
        context,
        name,
        container,
        // Trivy has no rules for compose files; those in /rules are ours.
        "fs --scanners misconfig --skip-check-update --misconfig-scanners dockerfile,kubernetes,helm,yaml --config-check /rules --check-namespaces pitwall .",
        ({ configuration }) => configuration,
        (results) => [checksIn(results)],
      ),
  }
}

/** The rules of hadolint, beside Trivy's in `security:config`. */
function dockerfiles(source: Directory): Gate {
  return commandGate({
    name: "security:dockerfiles",
    subject: "Dockerfiles, hadolint",
    container: pypiTool(source, "hadolint").withDirectory(
      "/src",
      source.filter({ include: ["**/Dockerfile", "**/*.Dockerfile"], exclude: baseImageRecipes }),
    ),
    command: ["sh", "-ec", lintDockerfiles],
    limit,
  })
}

export const lintDockerfiles = `
find . \\( -name Dockerfile -o -name '*.Dockerfile' \\) -print >/tmp/files
[ -s /tmp/files ] || { echo "there is no Dockerfile"; exit 1; }
xargs -d '\\n' hadolint --no-color </tmp/files
echo "$(wc -l </tmp/files) Dockerfiles"`

/** Packages name their licences only once they are installed, so this gate installs what is delivered. */
function licences(context: SecurityContext, { services, catalog }: Platform): Gate {
  const name = "security:licences"
  const python = Object.values(catalog).filter(({ kind, deployable }) => kind === "python" && deployable)
  const delivered = () => {
    const npm = services.filter({ include: ["package*.json", ".npmrc", "*/package.json"] })
    let container = scanner().withDirectory("npm/node_modules", installedNpm(npm))
    for (const service of python) {
      const lock = services.filter({ include: [`${service.name}/requirements.txt`] })
      container = container.withDirectory(service.name, installedPython(lock, service.name))
    }
    return container
  }
  return {
    name,
    subject: "what is delivered, Trivy",
    dependsOn: context.today,
    prepare: () => delivered().sync(),
    execute: async () => {
      const read = await context.configuration()
      const ignores = ignoresOf(read.ignores, name, context.now)
      return scan(
        {
          container: delivered().withNewFile("/gate/trivyignore.yaml", ""),
          script: trivy("rootfs --scanners license ."),
          read: async (ran) => {
            const packages = licensed(readTrivy(await ran.file(trivyResults).contents()))
            const examined = examineLicences(packages, read.licences, ignores.active)
            // Trivy's own SARIF log follows Trivy's licence policy instead of ours.
            return { examined, logs: { "trivy.sarif": writeSarif("Licence policy", examined.found) } }
          },
        },
        ["critical", "high"],
        ignores,
      )
    },
  }
}

function installedNpm(manifests: Directory): Directory {
  return dag
    .container()
    .from(images.node)
    .withMountedCache("/root/.npm", cache("npm"))
    .withWorkdir("/npm")
    .withDirectory(".", manifests)
    .withExec(["npm", "ci", "--omit=dev", "--ignore-scripts"])
    .directory("node_modules")
    .filter({ include: ["**/package.json"] })
}

function installedPython(lock: Directory, service: string): Directory {
  return pip()
    .withDirectory("/lock", lock)
    .withExec([
      "pip",
      "install",
      "--quiet",
      "--root-user-action=ignore",
      "--no-deps",
      "--require-hashes",
      "--target",
      "/packages",
      "-r",
      `/lock/${service}/requirements.txt`,
    ])
    .directory("/packages")
    .filter({ include: ["*.dist-info/METADATA"] })
}

/** A gate whose tool writes all of its findings to a SARIF log. */
function sarifGate(
  context: SecurityContext,
  gate: Pick<Gate, "name" | "subject">,
  container: () => Promise<Container>,
  script: string,
  log: string,
  checked: (text: string, output: string) => string[],
): Gate {
  const { name } = gate
  return {
    ...gate,
    dependsOn: context.today,
    prepare: async () => (await container()).sync(),
    execute: async () => {
      const read = await context.configuration()
      const ignores = ignoresOf(read.ignores, name, context.now)
      return scan(
        {
          container: await container(),
          script,
          read: async (ran) => {
            const [text, output] = await Promise.all([
              ran.file(`${reportsFolder}/${log}`).contents(),
              ran.stdout(),
            ])
            const { text: marked, examined } = readSarif(name, text, ignores.active)
            return { examined: { ...examined, looked: checked(text, output) }, logs: { [log]: marked } }
          },
        },
        read.code.block,
        ignores,
      )
    },
  }
}

const code = ["**/*.py", "**/*.ts", "**/*.tsx", "**/*.js", "**/*.mjs", "**/*.html", "**/Dockerfile"]

function sast(context: SecurityContext): Gate {
  const rules = "dagger/config/semgrep"
  const files = context.source.filter({ include: code })
  return sarifGate(
    context,
    { name: "security:sast", subject: "code, Semgrep" },
    async () =>
      pypiTool(context.source, "semgrep")
        .withEnvVariable("SEMGREP_SEND_METRICS", "off")
        .withEnvVariable("SEMGREP_ENABLE_VERSION_CHECK", "0")
        .withDirectory("/rules", await settingsFiles(context.source, [`${rules}/*.yaml`]))
        .withDirectory("/src", files),
    [
      `semgrep scan --config /rules/${rules} --metrics off --disable-version-check --no-git-ignore`,
      `--strict --jobs 2 --sarif-output ${reportsFolder}/semgrep.sarif . 2>&1`,
    ].join(" "),
    "semgrep.sarif",
    (_, output) => {
      const [, rules, files] = /Ran (\d+) rules? on (\d+) files?/.exec(output) ?? []
      if (rules === undefined || files === undefined)
        throw new Error(`Semgrep reports no number of rules and files:\n${output}`)
      return [`${count(Number(rules), "rule")} on ${count(Number(files), "file")}`]
    },
  )
}

function bandit(context: SecurityContext): Gate {
  const settings = "dagger/config/bandit/bandit.yaml"
  return sarifGate(
    context,
    { name: "security:bandit", subject: "Python, Bandit" },
    async () =>
      pypiTool(context.source, "bandit")
        .withDirectory("/tool", await settingsFiles(context.source, [settings]))
        .withDirectory("/src", context.source.filter({ include: ["**/*.py"] })),
    `bandit --recursive --quiet --exit-zero --configfile /tool/${settings} --format sarif --output ${reportsFolder}/bandit.sarif .`,
    "bandit.sarif",
    (text) => {
      const { loc, nosec } = banditTotals(text)
      return [count(loc, "line"), ...(nosec > 0 ? [`${nosec} marked nosec`] : [])]
    },
  )
}

/** Bandit writes its counts to the properties of its log. */
function banditTotals(text: string): { loc: number; nosec: number } {
  const { runs } = JSON.parse(text) as {
    runs: { properties?: { metrics?: { _totals?: { loc: number; nosec: number } } } }[]
  }
  const totals = runs[0]?.properties?.metrics?._totals
  if (!totals) throw new Error("Bandit reports no number of lines")
  return totals
}

/** Scans the image of a service for known vulnerabilities and for secrets in its layers. */
function imageScan(context: SecurityContext, platform: Platform, service: string): Gate {
  const name = `${service}:scan`
  const container = () =>
    scanner().withMountedFile("/image.tar", platform.image(platform.service(service)).asTarball())
  return {
    name,
    subject: "the image, Trivy",
    needs: [`${service}:image`],
    dependsOn: context.todaysDatabase,
    prepare: () => container().sync(),
    execute: async () => {
      const command = (scanners: string) => `image --input /image.tar --scanners ${scanners} ${offline}`
      const database = await context.database()
      const examined = await trivyScan(
        context,
        name,
        "missing" in database ? container() : withDatabase(container(), database.folder),
        command("missing" in database ? "secret" : "vuln,secret"),
        // Secrets are critical and always block, whatever the configuration says about vulnerabilities.
        ({ vulnerabilities: { block } }) => ({ block: [...new Set<Severity>(["critical", ...block])] }),
        (results) => ("missing" in database ? [] : [packagesOfImage(results), databaseFrom(database.made)]),
      )
      if ("missing" in database) await requireDatabase(context, "; secrets in its layers: none")
      return examined
    },
  }
}

/** Snyk checks the lock files when there is a token. */
function snyk(context: SecurityContext, token: Secret | undefined): Gate {
  const name = "security:snyk"
  const locks = context.source.filter({
    include: ["**/requirements.txt", "**/package-lock.json", "**/package.json"],
  })
  return {
    name,
    subject: "lock files, Snyk",
    // Snyk's database changes by the hour.
    dependsOn: () => Promise.resolve(undefined),
    prepare: () => Promise.resolve(),
    execute: async () => {
      if (!token) throw new GateSkip("no token SNYK_TOKEN was given")
      const { block } = (await context.configuration()).vulnerabilities
      const container = dag
        .container()
        .from(images.node)
        .withMountedCache("/root/.npm", cache("npm"))
        .withExec(["npm", "install", "--global", "--no-fund", "--no-audit", `snyk@${tools.snyk}`])
        .withWorkdir("/src")
        .withDirectory(".", locks)
        .withSecretVariable("SNYK_TOKEN", token)
        .withEnvVariable("SNYK_DISABLE_ANALYTICS", "1")
        .withEnvVariable("REQUESTED_AT", context.now.toISOString())
      return snykScan(container, block, ignoresOf((await context.configuration()).ignores, name, context.now))
    },
  }
}

async function snykScan(container: Container, block: Severity[], ignores: Ignores): Promise<GatePass> {
  const log = `${reportsFolder}/snyk.sarif`
  return scan(
    {
      container,
      // Exit code 1 means findings, which are read from the log. Without --fail-fast, Snyk skips a project that it cannot read and still succeeds.
      script: `code=0; snyk test --all-projects --fail-fast --dev --sarif-file-output=${log} >/gate/log 2>&1 || code=$?
if [ $code -gt 1 ] || [ ! -s ${log} ]; then cat /gate/log >&2; exit 2; fi`,
      read: async (ran) => {
        const { text, examined } = readSarif("security:snyk", await ran.file(log).contents(), ignores.active)
        return { examined: { ...examined, looked: [] }, logs: { "snyk.sarif": text } }
      },
    },
    block,
    ignores,
  )
}
