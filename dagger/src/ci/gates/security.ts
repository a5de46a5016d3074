import {
  type Container,
  dag,
  type Directory,
  ExecError,
  type Secret,
  type Service as Running,
} from "@dagger.io/dagger"
import { images, tools } from "../../platform/base-images.js"
import type { Severity } from "../report/severity.js"
import { count } from "../../lib/text.js"
import {
  checkGates,
  readSecurity,
  type SecurityConfiguration,
  securityFile,
} from "../security/configuration.js"
import { type Database, vulnerabilityDatabase } from "../security/database.js"
import { type Ignores, ignoresOf, trivyIgnores } from "../security/ignores.js"
import { type ScanResult, applyPolicy } from "../security/policy.js"
import { examineLicences } from "../security/licences.js"
import { readSarif, writeSarif } from "../security/sarif.js"
import { scanner } from "../security/scanner.js"
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
import { Fault, type Gate, look, type Look, recorded, reportsFolder, Skip } from "../runner/gate.js"

/** What an operator gives the security gates, beside their configuration. */
export interface SecurityOptions {
  /** Without it, there is no `security:snyk`. */
  snykToken?: Secret
  /** The OCI reference of a vulnerability database; that of the configuration, if not given. */
  database?: string
  /** A registry that the reference names as `registry.local`, as a mirror on this machine. */
  registry?: Running
  /** Databases grow old and ignores expire by it. */
  now?: Date
}

/** Seconds that a scanner may take. */
const limit = 900

/** What the gates of one run share. */
interface Room {
  source: Directory
  now: Date
  configuration: () => Promise<SecurityConfiguration>
  database: () => Promise<Database>
}

/** The gates of what the repository holds, and of the images that are made from it. */
export function securityGates(source: Directory, platform: Platform, options: SecurityOptions = {}): Gate[] {
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
  const room = { source, now, configuration, database }
  const deployable = Object.values(platform.catalog).filter((service) => service.deployable)
  const gates = [
    ...deployable.map((service) => imageScan(room, platform, service.name)),
    licences(room, platform),
    sast(room),
    bandit(room),
    dependencies(room),
    secrets(room),
    config(room),
    snyk(room, options.snykToken),
  ]
  names.push(...gates.map(({ name }) => name))
  return gates
}

const once = <Value>(make: () => Promise<Value>): (() => Promise<Value>) => {
  let made: Promise<Value> | undefined
  return () => (made ??= make())
}

/** How a scanner looks at what it is given. */
interface Scan {
  container: Container
  /** Shell commands. Whatever they end with but 0, the scanner did not do its work. */
  script: string
  /** Reads what they came to, and the SARIF logs to take in the place of their own. */
  read: (ran: Container) => Promise<{ examined: ScanResult; logs?: Record<string, string> }>
}

/** Runs a scanner. A result is remembered for equal input, a decision never: what blocks is decided anew each time. */
async function scan({ container, script, read }: Scan, block: Severity[], ignores: Ignores): Promise<Look> {
  const command = { container, command: ["sh", "-ec", script], limit }
  let seen: Look
  try {
    seen = await look(command, () => "")
  } catch (error) {
    throw error instanceof ExecError ? new Error(`the scanner did not finish:\n${saidBy(error)}`) : error
  }
  const { examined, logs = {} } = await read(recorded(command))
  let reports = seen.reports ?? dag.directory()
  for (const [file, text] of Object.entries(logs)) reports = reports.withNewFile(file, text)
  const { detail, fault } = applyPolicy(examined, block, ignores)
  if (fault) throw new Fault(fault, reports)
  return { ...seen, detail, reports }
}

function saidBy({ stdout, stderr, message }: ExecError): string {
  return (
    [stdout, stderr]
      .map((text) => text.replace(/^evidence: .*$/m, "").trim())
      .filter(Boolean)
      .join("\n") || message
  )
}

/** Trivy's findings go to a file of its own format, to decide by, and to a SARIF log, to keep. */
const found = "/gate/trivy.json"
const trivy = (command: string) => `
trivy ${command} --ignorefile /gate/trivyignore.yaml --show-suppressed --list-all-pkgs --format json --output ${found} 2>/gate/said || { cat /gate/said >&2; exit 1; }
trivy convert --quiet --format sarif --output ${reportsFolder}/trivy.sarif ${found}`

async function trivyScan(
  { configuration, now }: Room,
  gate: string,
  container: Container,
  command: string,
  section: (configuration: SecurityConfiguration) => { block: Severity[] },
  looked: (results: ReturnType<typeof readTrivy>) => string[],
): Promise<Look> {
  const read = await configuration()
  const ignores = ignoresOf(read.ignores, gate, now)
  return scan(
    {
      container: container.withNewFile("/gate/trivyignore.yaml", trivyIgnores(ignores.active)),
      script: trivy(command),
      read: async (ran) => {
        const results = readTrivy(await ran.file(found).contents())
        return { examined: examine(results, ignores.active, looked(results)) }
      },
    },
    section(read).block,
    ignores,
  )
}

/** The database for a gate that cannot do without: where there is none, the configuration says what that means. */
async function needed(
  { configuration, database }: Room,
  also = "",
): Promise<Exclude<Database, { missing: string }>> {
  const found = await database()
  if (!("missing" in found)) return found
  const reason = `no vulnerability database (${found.missing})${also}`
  const { vulnerabilities } = await configuration()
  throw vulnerabilities["without-database"] === "warn" ? new Skip(reason) : new Error(reason)
}

const withDatabase = (container: Container, folder: Directory) =>
  container.withDirectory("/root/.cache/trivy/db", folder)
const offline = "--skip-db-update --skip-java-db-update --offline-scan"
const made = (time: string) => `database of ${time.slice(0, 16).replace("T", " ")} UTC`

const lockFiles = ["**/requirements*.txt", "**/package-lock.json", "**/go.mod", "**/go.sum"]

function dependencies(room: Room): Gate {
  const name = "security:dependencies"
  const locks = room.source.filter({ include: lockFiles })
  return {
    name,
    on: "lock files, Trivy",
    prepare: () => scanner().sync(),
    look: async () => {
      const { folder, made: time } = await needed(room)
      const files = (await locks.glob("**/*")).filter((path) => /\.txt$|\.json$|go\.mod$/.test(path))
      return trivyScan(
        room,
        name,
        withDatabase(scanner(), folder).withDirectory("/src", locks),
        `fs --scanners vuln ${offline} --include-dev-deps --file-patterns 'pip:requirements.*\\.txt$' .`,
        ({ vulnerabilities }) => vulnerabilities,
        (results) => {
          const missed = unread(results, files)
          if (missed.length > 0) throw new Error(`Trivy read no package from ${missed.join(", ")}`)
          return [packagesIn(results), made(time)]
        },
      )
    },
  }
}

function secrets(room: Room): Gate {
  const name = "security:secrets"
  const container = scanner()
    .withFile("/gate/secrets.yaml", room.source.file("dagger/config/trivy/secrets.yaml"))
    .withDirectory("/src", room.source.filter({ include: ["**"] }))
  return {
    name,
    on: "every file, Trivy",
    prepare: () => container.sync(),
    look: () =>
      trivyScan(
        room,
        name,
        container,
        "fs --scanners secret --secret-config /gate/secrets.yaml .",
        () => ({ block: ["critical"] }),
        () => [],
      ),
  }
}

/** What says how things run: for containers, for compose, for a cluster. */
const configurations = [
  "**/Dockerfile",
  "**/*.Dockerfile",
  "**/compose*.yaml",
  "**/compose*.yml",
  "**/kubernetes/**",
]

/** The local engine's base images stand for the official ones and are root's as those are; none of them is delivered. */
const standIns = ["engine/images"]

function config(room: Room): Gate {
  const name = "security:config"
  const container = scanner()
    .withDirectory("/rules", room.source.filter({ include: ["dagger/config/trivy/*.rego"] }))
    .withDirectory("/src", room.source.filter({ include: configurations, exclude: standIns }))
  return {
    name,
    on: "Dockerfiles, compose, manifests, Trivy",
    prepare: () => container.sync(),
    look: () =>
      trivyScan(
        room,
        name,
        container,
        // Compose files are YAML like any other to Trivy: only our own rules know them.
        "fs --scanners misconfig --skip-check-update --misconfig-scanners dockerfile,kubernetes,helm,yaml --config-check /rules --check-namespaces pitwall .",
        ({ configuration }) => configuration,
        (results) => [checksIn(results)],
      ),
  }
}

/** The packages that are delivered, as they are installed: only there do they all say their licences. */
function licences(room: Room, { services, catalog }: Platform): Gate {
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
    on: "what is delivered, Trivy",
    prepare: () => delivered().sync(),
    look: async () => {
      const read = await room.configuration()
      const ignores = ignoresOf(read.ignores, name, room.now)
      return scan(
        {
          container: delivered().withNewFile("/gate/trivyignore.yaml", ""),
          script: trivy("rootfs --scanners license ."),
          read: async (ran) => {
            const packages = licensed(readTrivy(await ran.file(found).contents()))
            const examined = examineLicences(packages, read.licences, ignores.active)
            // Trivy's own log judges by a policy of its own.
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
    .withMountedCache("/root/.npm", dag.cacheVolume("npm"))
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
      ...["pip", "install", "--quiet", "--root-user-action=ignore", "--no-deps", "--require-hashes"],
      ...["--target", "/packages", "-r", `/lock/${service}/requirements.txt`],
    ])
    .directory("/packages")
    .filter({ include: ["*.dist-info/METADATA"] })
}

function pip(): Container {
  return dag.container().from(images.python).withMountedCache("/root/.cache/pip", dag.cacheVolume("pip"))
}

/** A tool from PyPI, with the packages that its own lock names. */
function pypiTool(room: Room, tool: string): Container {
  const lock = room.source.filter({ include: [`dagger/config/${tool}/requirements.txt`] })
  return pip()
    .withDirectory("/tool", lock)
    .withExec([
      ...["pip", "install", "--quiet", "--root-user-action=ignore", "--require-hashes"],
      ...["-r", `/tool/dagger/config/${tool}/requirements.txt`],
    ])
    .withEnvVariable("NO_COLOR", "1")
    .withWorkdir("/src")
}

/** Runs a tool whose whole result is a SARIF log. */
function sarifGate(
  room: Room,
  gate: Pick<Gate, "name" | "on">,
  container: () => Container,
  script: string,
  log: string,
  looked: (text: string, output: string) => string[],
): Gate {
  const { name } = gate
  return {
    ...gate,
    prepare: () => container().sync(),
    look: async () => {
      const read = await room.configuration()
      const ignores = ignoresOf(read.ignores, name, room.now)
      return scan(
        {
          container: container(),
          script,
          read: async (ran) => {
            const [text, output] = await Promise.all([
              ran.file(`${reportsFolder}/${log}`).contents(),
              ran.stdout(),
            ])
            const { text: marked, examined } = readSarif(name, text, ignores.active)
            return { examined: { ...examined, looked: looked(text, output) }, logs: { [log]: marked } }
          },
        },
        read.code.block,
        ignores,
      )
    },
  }
}

const code = ["**/*.py", "**/*.ts", "**/*.tsx", "**/*.js", "**/*.mjs", "**/*.html", "**/Dockerfile"]

function sast(room: Room): Gate {
  const rules = room.source.filter({ include: ["dagger/config/semgrep/*.yaml"] })
  const files = room.source.filter({ include: code })
  return sarifGate(
    room,
    { name: "security:sast", on: "code, Semgrep" },
    () =>
      pypiTool(room, "semgrep")
        .withEnvVariable("SEMGREP_SEND_METRICS", "off")
        .withEnvVariable("SEMGREP_ENABLE_VERSION_CHECK", "0")
        .withDirectory("/rules", rules)
        .withDirectory("/src", files),
    [
      "semgrep scan --config /rules/dagger/config/semgrep --metrics off --disable-version-check --no-git-ignore",
      `--strict --jobs 2 --sarif-output ${reportsFolder}/semgrep.sarif . 2>&1`,
    ].join(" "),
    "semgrep.sarif",
    (_, output) => {
      const [, rules, files] = /Ran (\d+) rules? on (\d+) files?/.exec(output) ?? []
      if (rules === undefined || files === undefined)
        throw new Error(`Semgrep does not say what it looked at:\n${output}`)
      return [`${count(Number(rules), "rule")} on ${count(Number(files), "file")}`]
    },
  )
}

function bandit(room: Room): Gate {
  return sarifGate(
    room,
    { name: "security:bandit", on: "Python, Bandit" },
    () =>
      pypiTool(room, "bandit")
        .withFile("/tool/bandit.yaml", room.source.file("dagger/config/bandit/bandit.yaml"))
        .withDirectory("/src", room.source.filter({ include: ["**/*.py"] })),
    `bandit --recursive --quiet --exit-zero --configfile /tool/bandit.yaml --format sarif --output ${reportsFolder}/bandit.sarif .`,
    "bandit.sarif",
    (text) => {
      const { loc, nosec } = banditTotals(text)
      return [count(loc, "line"), ...(nosec > 0 ? [`${nosec} marked nosec`] : [])]
    },
  )
}

/** Bandit counts what it looked at in a corner of its log. */
function banditTotals(text: string): { loc: number; nosec: number } {
  const { runs } = JSON.parse(text) as {
    runs: { properties?: { metrics?: { _totals?: { loc: number; nosec: number } } } }[]
  }
  const totals = runs[0]?.properties?.metrics?._totals
  if (!totals) throw new Error("Bandit does not say what it looked at")
  return totals
}

/** The image of a service: known vulnerabilities in all that is installed, and secrets in its layers. */
function imageScan(room: Room, platform: Platform, service: string): Gate {
  const name = `${service}:scan`
  const container = () =>
    scanner().withMountedFile("/image.tar", platform.image(platform.service(service)).asTarball())
  return {
    name,
    on: "the image, Trivy",
    needs: [`${service}:image`],
    prepare: () => container().sync(),
    look: async () => {
      const command = (scanners: string) => `image --input /image.tar --scanners ${scanners} ${offline}`
      const database = await room.database()
      const examined = await trivyScan(
        room,
        name,
        "missing" in database ? container() : withDatabase(container(), database.folder),
        command("missing" in database ? "secret" : "vuln,secret"),
        // A secret is critical to us: it blocks whatever is said of vulnerabilities.
        ({ vulnerabilities: { block } }) => ({ block: [...new Set<Severity>(["critical", ...block])] }),
        (results) => ("missing" in database ? [] : [packagesOfImage(results), made(database.made)]),
      )
      if ("missing" in database) await needed(room, "; secrets in its layers: none")
      return examined
    },
  }
}

/** Snyk's own look at the lock files, where there is a token for it. */
function snyk(room: Room, token: Secret | undefined): Gate {
  const name = "security:snyk"
  const locks = room.source.filter({
    include: ["**/requirements.txt", "**/package-lock.json", "**/package.json"],
  })
  return {
    name,
    on: "lock files, Snyk",
    prepare: () => Promise.resolve(),
    look: async () => {
      if (!token) throw new Skip("no token SNYK_TOKEN was given")
      const { block } = (await room.configuration()).vulnerabilities
      const container = dag
        .container()
        .from(images.node)
        .withMountedCache("/root/.npm", dag.cacheVolume("npm"))
        .withExec(["npm", "install", "--global", "--no-fund", "--no-audit", `snyk@${tools.snyk}`])
        .withWorkdir("/src")
        .withDirectory(".", locks)
        .withSecretVariable("SNYK_TOKEN", token)
        .withEnvVariable("SNYK_DISABLE_ANALYTICS", "1")
        // What Snyk knows changes by the hour.
        .withEnvVariable("ASKED", room.now.toISOString())
      return snykLook(container, block, ignoresOf((await room.configuration()).ignores, name, room.now))
    },
  }
}

async function snykLook(container: Container, block: Severity[], ignores: Ignores): Promise<Look> {
  const log = `${reportsFolder}/snyk.sarif`
  return scan(
    {
      container,
      // Exit code 1 says that there are findings; those are read from the log.
      script: `code=0; snyk test --all-projects --dev --sarif-file-output=${log} >/gate/said 2>&1 || code=$?
if [ $code -gt 1 ] || [ ! -s ${log} ]; then cat /gate/said >&2; exit 2; fi`,
      read: async (ran) => {
        const { text, examined } = readSarif("security:snyk", await ran.file(log).contents(), ignores.active)
        return { examined: { ...examined, looked: [] }, logs: { "snyk.sarif": text } }
      },
    },
    block,
    ignores,
  )
}
