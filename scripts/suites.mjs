// The test suites of the repository, and the files that each end-to-end suite depends on.
import { selected } from "./inputs.mjs"

/**
 * @typedef {{ kind: "unit", name: string, vitest?: string, go?: string }} UnitSuite
 *   `vitest` names a project of vitest.config.ts, `go` the folder of a Go module.
 * @typedef {{ file: string, project: "session" | "command", inputs: string[], alone?: boolean, after?: string[], when?: string }} EndToEndSuite
 *   One test file. `project` is its project in vitest.config.ts. `inputs` are files and folders, without those that start
 *   with "!"; its own file, what that imports but for those, and `shared` belong to them. An `alone` suite measures or compares
 *   the machine, so nothing runs beside it. `after` names suites that have to end first. `when` names a variable of the
 *   environment without which a long suite does not run.
 */

/** How suites are run: the locked packages, the configuration and the runner. */
export const shared = [
  "package.json",
  "package-lock.json",
  ".npmrc",
  "dagger/package.json",
  "dagger/package-lock.json",
  "dagger/.npmrc",
  "vitest.config.ts",
  "tsconfig.json",
  "scripts/test.mjs",
]

const engine = ["daggerw", "dagger.json", "scripts/progress", "engine", "!engine/test"]
const fixtures = "engine/test/fixtures"
const module = [...engine, "dagger/src", "dagger/config", "dagger/tsconfig.json", ".env"]
// Gates look at every file: format, lint, secrets.
const everything = ["."]
// What is found in documents and in tests, the gates of `ci` find.
const delivered = [...everything, "!README.md", "!docs", "!dagger/test", "!engine/test"]

// Parts of the module that do not import each other (.dependency-cruiser.mjs). A suite leaves out those that its commands
// do not use; `ci`, `mistakes` and `deploy`, which depend on all of them, find what keeps the module from being loaded or
// an environment from being read.
const databases = ["!dagger/src/databases"]
const frontends = ["!dagger/src/frontends", "!dagger/config/frontends"]
const gates = ["!dagger/src/ci"]
const images = ["!dagger/src/images"]
const models = ["!dagger/src/models"]
const rehearsals = ["!dagger/src/rehearsal", "!dagger/config/rehearsal", "!dagger/config/rehearsal.yaml"]
const webApps = ["!services/web", "!services/f1-frontend", "!services/frontend-kit"]

/** @type {UnitSuite[]} */
export const unit = [
  { kind: "unit", name: "the module", vitest: "unit" },
  { kind: "unit", name: "the local engine's manager", go: "engine" },
  { kind: "unit", name: "daggerw and the local engine's runtime", vitest: "engine" },
]

const ofCi = "dagger/test/e2e/ci.e2e.test.ts"
const ofImages = "dagger/test/e2e/images.e2e.test.ts"
const ofMigrate = "dagger/test/e2e/migrate.e2e.test.ts"
const ofFrontends = "dagger/test/e2e/frontends.e2e.test.ts"

/**
 * In the order in which they start; suites that run alone come last. The first `ci` on a new machine makes every image,
 * which takes longer than a run of `faults` may.
 *
 * @type {EndToEndSuite[]}
 */
export const endToEnd = [
  { file: ofCi, project: "command", inputs: everything },
  { file: "engine/test/engine.e2e.test.ts", project: "session", inputs: engine },
  { file: "engine/test/images.e2e.test.ts", project: "session", inputs: engine },
  {
    file: "engine/test/cli.e2e.test.ts",
    project: "command",
    inputs: [...module, ...databases, ...frontends, ...images, ...models, ...rehearsals],
  },
  { file: "dagger/test/e2e/workflow.e2e.test.ts", project: "command", inputs: [...module, ".github"] },
  { file: "dagger/test/e2e/events.e2e.test.ts", project: "session", inputs: engine },
  {
    file: "dagger/test/e2e/faults.e2e.test.ts",
    project: "command",
    inputs: [...delivered, ...databases, ...frontends, ...images, ...models, ...rehearsals],
    after: [ofCi],
  },
  {
    file: "dagger/test/e2e/mistakes.e2e.test.ts",
    project: "command",
    inputs: delivered,
    after: [ofCi],
  },
  { file: "engine/test/runtime.e2e.test.ts", project: "command", inputs: [...engine, fixtures] },
  { file: "engine/test/lifecycle.e2e.test.ts", project: "command", inputs: engine },
  { file: "engine/test/cluster.e2e.test.ts", project: "session", inputs: [...engine, "dagger/config"] },
  {
    file: "dagger/test/e2e/access.e2e.test.ts",
    project: "session",
    inputs: [...module, ...gates, ...images, ...rehearsals],
  },
  {
    file: "engine/test/security.e2e.test.ts",
    project: "session",
    inputs: [...module, fixtures, ...databases, ...frontends, ...images, ...models, ...rehearsals],
  },
  // It shows how daggerw and the engine work on a container runtime; what gates do there is the same anywhere. Every run
  // starts the engine without its cache, which takes a quarter of an hour on two cores.
  {
    file: "engine/test/docker.e2e.test.ts",
    project: "command",
    inputs: engine,
    alone: true,
    when: "PITWALL_TEST_DOCKER",
  },
  { file: "engine/test/machine.e2e.test.ts", project: "command", inputs: engine, alone: true },
  {
    file: ofMigrate,
    project: "session",
    inputs: [...module, "services", ...frontends, ...gates, ...images, ...models, ...webApps],
  },
  {
    file: "dagger/test/e2e/build.e2e.test.ts",
    project: "command",
    inputs: [...module, "services", ...databases, ...frontends, ...models, ...rehearsals],
  },
  // These need the same port of this machine, for their registries.
  {
    file: ofFrontends,
    project: "session",
    inputs: [...module, "services", ...databases, ...models],
    after: [ofMigrate],
  },
  {
    file: ofImages,
    project: "session",
    inputs: [...module, "services", ...databases, ...frontends, ...models],
    after: [ofMigrate, ofFrontends],
  },
  {
    file: "dagger/test/e2e/train.e2e.test.ts",
    project: "session",
    inputs: [...module, "services", ...frontends, ...gates, ...images, ...webApps],
    after: [ofMigrate, ofFrontends, ofImages],
  },
  { file: "dagger/test/e2e/deploy.e2e.test.ts", project: "session", inputs: delivered, alone: true },
  {
    file: "dagger/test/e2e/rehearse.e2e.test.ts",
    project: "command",
    inputs: [...module, "services", ...frontends, ...gates, ...images, ...models, ...webApps],
    alone: true,
  },
]

/**
 * A suite for each test file: a file that the table does not have runs alone and depends on everything.
 *
 * @param {EndToEndSuite[]} table
 * @param {string[]} files every file of the repository
 * @throws Error if the table names a file or folder that does not exist
 */
export function completed(table, files) {
  const tests = files.filter((file) => file.endsWith(".e2e.test.ts") && !file.startsWith("services/"))
  const named = table.flatMap(({ file, inputs }) => [file, ...inputs.map((input) => input.replace("!", ""))])
  // Not everybody has one.
  const optional = [".env"]
  const missing = [...new Set(named)].filter(
    (name) => selected([name], files).length === 0 && !optional.includes(name),
  )
  if (missing.length > 0) throw new Error(`scripts/suites.mjs names ${missing.join(", ")}: no such file`)
  const unlisted = tests.filter((file) => !table.some((suite) => suite.file === file))
  return [
    ...table,
    ...unlisted.map((file) => ({
      file,
      project: /** @type {const} */ ("command"),
      inputs: ["."],
      alone: true,
    })),
  ]
}
