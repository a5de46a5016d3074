import { type Container, dag, type Directory, ExecError } from "@dagger.io/dagger"
import { count } from "../../lib/text.js"
import { type Examination, readExamination } from "../../migrations/examination.js"
import {
  checkMigrations,
  checkRows,
  describeFindings,
  type Linted,
  type MigrationFinding,
} from "../../migrations/rules.js"
import { readSquawk, scriptOf } from "../../migrations/squawk.js"
import type { Service } from "../../platform/catalog.js"
import type { Platform } from "../../platform/platform.js"
import { withStores } from "../../platform/stores.js"
import { writeSarif } from "../security/sarif.js"
import { afterCommand, reportsFolder, runCommand, withoutReportsLine } from "../runner/command.js"
import { type Gate, GateFailure, type GatePass } from "../runner/gate.js"
import { pypiTool } from "../../platform/pypi.js"

/**
 * The gates of a service's migrations.
 *
 * `migrations` runs each on an empty database: one head, equal to the models, taken back cleanly, and nothing in it that holds up or breaks the services that
 * run meanwhile. `downgrade` takes each back on a database with the rows of the service's setup.
 *
 * @param code the service's source with its tools
 */
export function migrationGates(
  source: Directory,
  platform: Platform,
  service: Service,
  code: Container,
): Gate[] {
  const { name, limits } = service
  const empty = () => withStores(code, `${name}:migrations`, "test")
  // The rows come from the service's image, so that it is what has to build first.
  const filled = () => withStores(code, `${name}:downgrade`, service.database ?? name, platform.dump(service))
  return [
    {
      name: `${name}:migrations`,
      subject: "one head, models match, safe for running services, squawk",
      prepare: () => Promise.all([empty().sync(), squawk(source).sync()]),
      execute: async () => {
        const { examination, pass } = await examine(empty(), "empty", limits.tool)
        const { linted, lint } = await lintAll(source, examination, limits.tool)
        const statements = [...linted.values()].reduce(
          (sum, { script }) => sum + new Set(script.statements.filter(Boolean)).size,
          0,
        )
        conclude(name, checkMigrations(examination, linted))
        return {
          detail: `1 head, ${count(examination.migrations.length, "migration")}, ${count(statements, "statement")}`,
          seconds: (pass.seconds ?? 0) + (lint?.seconds ?? 0),
          cached: pass.cached === true && lint?.cached !== false,
        }
      },
    },
    {
      name: `${name}:downgrade`,
      subject: "each migration back and again, with the rows of its setup",
      needs: [`${name}:image`, `${name}:migrations`],
      prepare: async () => filled().sync(),
      execute: async () => {
        const { examination, pass } = await examine(filled(), "rows", limits.tool)
        conclude(name, checkRows(examination))
        const lossy = examination.migrations.filter(({ downgrade_loses }) => downgrade_loses !== null)
        return {
          ...pass,
          detail: `${count(examination.migrations.length, "migration")}; ${lossy.length} say what a downgrade loses`,
        }
      },
    },
  ]
}

const output = `${reportsFolder}/migrations.json`

/** Runs the migrations and reads what they do. */
async function examine(
  container: Container,
  mode: "empty" | "rows",
  limit: number,
): Promise<{ examination: Examination; pass: GatePass }> {
  const command = {
    container: container.withEnvVariable("PYTHONPATH", "/services/servicekit/src"),
    command: ["python", "-m", "servicekit.migrations.examine", mode, output],
    limit,
  }
  const pass = await finished(
    "the migrations could not be examined",
    runCommand(command, () => ""),
  )
  return { examination: readExamination(await afterCommand(command).file(output).contents()), pass }
}

const squawkSettings = "dagger/config/squawk/squawk.toml"
// Under its path in the repository, by which squawk names a fault in it.
const squawk = (source: Directory) =>
  pypiTool(source, "squawk").withDirectory("/tool", source.filter({ include: [squawkSettings] }))

/** Runs squawk on the SQL of each migration. It knows nothing of the files before, so that a table of an older one is an existing table. */
async function lintAll(
  source: Directory,
  { migrations }: Examination,
  limit: number,
): Promise<{ linted: Map<string, Linted>; lint?: GatePass }> {
  const scripts = migrations.flatMap(({ revision, upgrade }) =>
    upgrade && upgrade.statements.length > 0 ? [{ revision, script: scriptOf(upgrade) }] : [],
  )
  if (scripts.length === 0) return { linted: new Map() }
  const files = scripts.reduce(
    (folder, { script }, at) => folder.withNewFile(`${at}.sql`, script.text),
    dag.directory(),
  )
  const report = `${reportsFolder}/squawk.json`
  const command = {
    container: squawk(source).withDirectory("/src", files),
    // Exit code 1 means findings, which are read from the report.
    command: [
      "sh",
      "-c",
      `squawk --config /tool/${squawkSettings} --reporter json *.sql >${report} || { code=$?; [ $code -eq 1 ] && [ -s ${report} ] || exit $code; }`,
    ],
    limit,
  }
  const lint = await finished(
    "squawk did not finish",
    runCommand(command, () => ""),
  )
  const found = readSquawk(await afterCommand(command).file(report).contents())
  const linted = scripts.map(({ revision, script }, at): [string, Linted] => [
    revision,
    { script, found: found.filter(({ file }) => file === `${at}.sql`) },
  ])
  return { linted: new Map(linted), lint }
}

/** A command whose failure says nothing about the migrations. */
async function finished<Result>(words: string, result: Promise<Result>): Promise<Result> {
  try {
    return await result
  } catch (error) {
    if (!(error instanceof ExecError)) throw error
    const printed = [error.stdout, withoutReportsLine(error.stderr)]
      .map((text) => text.trim())
      .filter(Boolean)
    throw new Error([`${words}:`, ...printed].join("\n"), { cause: error })
  }
}

/** @throws GateFailure for findings, with a SARIF log of them */
function conclude(service: string, found: MigrationFinding[]): void {
  if (found.length === 0) return
  const folder = `services/${service}`
  const placed = found.map((finding) => ({
    ...finding,
    ...(finding.file !== undefined && { file: `${folder}/${finding.file}` }),
  }))
  const log = writeSarif(
    "migrations",
    placed.map(({ rule, message, fix, file, line }) => ({
      id: rule,
      severity: "high",
      title: `${message}. ${fix}`,
      ...(file !== undefined && { file }),
      ...(line !== undefined && { line }),
    })),
  )
  throw new GateFailure(describeFindings(placed), dag.directory().withNewFile("migrations.sarif", log))
}
