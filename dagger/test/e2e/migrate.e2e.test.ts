// Migrations of a real database by the commands `deploy` and `migrate`, as a Job of the service's image on a throw-away cluster, with backups in an S3 store: planned on
// a copy, backed up, cut off by a kill and gone on with, taken back, failing on the copy, and waiting for revisions that need the old shape. A deployer's rights and no more.
import { readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { connection, type Container, dag, type Service } from "@dagger.io/dagger"
import type { V1Pod } from "@kubernetes/client-node"
import { afterAll, aroundAll, beforeAll, describe, expect, it } from "vitest"
import type { Plain } from "../../src/clients/kubernetes/manifest.js"
import { environmentAccess } from "../../src/environments/access.js"
import {
  databaseSettings,
  deployFile,
  environmentOf,
  readDeploy,
} from "../../src/environments/configuration.js"
import { watchdogFile } from "../../src/environments/environment.js"
import { images } from "../../src/platform/base-images.js"
import { registryPort } from "../../src/platform/cluster/throw-away-registry.js"
import { labelled, type Schema } from "../../src/platform/schema.js"
import { RehearsalEnvironment } from "../../src/rehearsal/environment.js"
import { anyKey } from "../frontends/servers.js"
import { copyOfTheRepository, daggerw, repository } from "./daggerw.js"
import { newestMigration } from "./newest-migration.js"
import { s3, storePort } from "./s3.js"
import { Tunnels } from "./tunnels.js"
import { configure, rehearsalSource } from "./user-checkout.js"

aroundAll((suite) => connection(suite))

const namespace = "f1-staging"
const deployer = { kind: "ServiceAccount" as const, namespace: "operators", name: "deployer" }
const bucket = "backups"

/** As it is shipped, where this cluster's router is and in less time, with a database. */
const settingsOf = (database: string, guards = "{}") => `
environments:
  staging:
    guards: ${guards}
    gateway: { name: f1-staging, namespace: router, class: router, port: 8080 }
    rollout:
      steps: [{ weight: 50, for: 6s }]
      progressDeadline: 120s
      prePromotion: 3s
      postPromotion: 0s
      scaleDownDelay: 5s
      abortDelay: 5s
      unattended: 90s
    services: { f1-backend: null }
  production:
    gateway: { name: f1-production, namespace: router, class: router, port: 8080 }
    services: { f1-backend: null }
analysis: { interval: 2s, noDataTimeout: 60s, rules: [{ metric: error-rate, above: 10, for: 4s, requests: 1 }] }
${database}`

let rehearsal: RehearsalEnvironment
let store: Service
let storeAddress: string
/** A copy of the repository with a .env, as a user has one. */
let checkout: string
/** Writes the settings anew, with guards. */
let guarded: (guards: string) => Promise<void>
const tunnels = new Tunnels()

beforeAll(async () => {
  checkout = await copyOfTheRepository()
  const shipped = await readFile(join(repository, deployFile), "utf8")
  const configured = (database = "") =>
    readDeploy(shipped, { file: "settings.yaml", text: settingsOf(database) })
  rehearsal = await RehearsalEnvironment.start(rehearsalSource(), {
    service: "api",
    deployedTo: environmentOf(configured(), "staging"),
    id: "migrate-test",
    resolveEndpoint: (service, port) => tunnels.open(service, port),
  })
  store = await s3("migrate-test").start()
  storeAddress = `http://${await tunnels.open(store, storePort)}`
  const made = await fetch(`${storeAddress}/${bucket}`, { method: "PUT" })
  expect(made.status, await made.text()).toBe(200)
  const copy = await rehearsal.publish(dag.container().from(images.postgres), "postgres")
  const database = `services:
  api:
    database:
      name: recipes
      backup: { kind: postgres, bucket: ${bucket}, prefix: pitwall, endpoint: "http://${await store.hostname()}:${storePort}", region: us-east-1 }
      copy: ${copy}
      limits: { time: 15m, memory: 256Mi, disk: 1Gi }
`
  // What an administrator applies, now for the database too.
  const configuration = configured(database)
  const environment = environmentOf(configuration, "staging")
  const watchdog = await readFile(join(repository, watchdogFile), "utf8")
  const people = { deployers: [deployer], approvers: [] }
  for (const object of environmentAccess(
    environment,
    people,
    watchdog,
    databaseSettings(configuration, environment),
  ))
    await rehearsal.admin.apply(object)
  const secrets = {
    ...rehearsal.secrets,
    STAGING_BACKUP_ACCESS_KEY_ID: "key-of-the-test",
    STAGING_BACKUP_SECRET_ACCESS_KEY: "secret-key-of-the-test",
  }
  guarded = (guards) => writeFile(join(checkout, "settings.yaml"), settingsOf(database, guards))
  await configure(checkout, rehearsal, tunnels, { settings: settingsOf(database), secrets })
})

afterAll(async () => {
  await rehearsal.stop()
  await store.stop({ kill: true })
  tunnels.close()
  await rm(checkout, { recursive: true, force: true })
})

interface Migration {
  revision: string
  down: string
  body: string
  undo: string
  breaking?: boolean
}

/** Writes a release of the service's image with further migrations, published for the cluster, and returns the arguments that name it. */
async function releaseWith(schema: Schema, ...migrations: Migration[]): Promise<string[]> {
  const folder = "/app/recipes/migrations/versions"
  const image = migrations.reduce(
    (container: Container, { revision, down, body, undo, breaking = false }) =>
      container.withNewFile(
        `${folder}/${revision}_of_the_test.py`,
        [
          `"""A migration of a test."""`,
          "from alembic import op",
          `revision = "${revision}"`,
          `down_revision = "${down}"`,
          ...(breaking ? ["breaking = True"] : []),
          "def upgrade() -> None:",
          `    op.execute("""${body}""")`,
          "def downgrade() -> None:",
          `    op.execute("""${undo}""")`,
          "",
        ].join("\n"),
        { permissions: 0o644 },
      ),
    await rehearsal.image(),
  )
  const published = await rehearsal.publish(labelled(image, schema), "api")
  const reference = published.replace("registry.local", `localhost:${registryPort}`)
  const file = `release-${schema.head}.json`
  const release = { schemaVersion: 1, images: { api: { reference, migrations: schema } } }
  await writeFile(join(checkout, file), JSON.stringify(release))
  return ["--release", file]
}

/** Where a new database is. */
const { revision: start } = await newestMigration(repository)
// Views, so that the models and the service do not notice them.
const view = "CREATE VIEW of_the_test AS SELECT count(*) AS recipes FROM recipes"
const expand = { revision: "of_test_2", down: start, body: view, undo: "DROP VIEW of_the_test" }
const contract = {
  revision: "of_test_3",
  down: "of_test_2",
  body: "DROP VIEW of_the_test",
  undo: view,
  breaking: true,
}
// The models do not notice it, and no code can read it.
const unreadable = {
  revision: "of_test_8",
  down: "of_test_2",
  body: "UPDATE recipes SET tags = '{}'",
  undo: "UPDATE recipes SET tags = '[]'",
}
const failing = { revision: "of_test_9", down: "of_test_2", body: "SELECT 1 / 0", undo: "SELECT 1" }

const call = (args: string[], mortal = false) =>
  daggerw(["--progress", "plain", "call", ...args], checkout, { mortal })

/** What the cluster knows of migrations, for the message of a test that failed. */
async function diagnosis(): Promise<string> {
  const pods = (await rehearsal.admin.list("v1", "Pod", namespace, "pitwall.dev/database")) as Plain<V1Pod>[]
  const parts = await Promise.all(
    pods.map(async ({ metadata, status }) => {
      const logs = await Promise.all(
        ["copy", "new", "migrate"].map((container) =>
          rehearsal.admin
            .logs(namespace, metadata?.name ?? "", { container, lines: 40 })
            .catch((error: unknown) => String(error)),
        ),
      )
      return [`── ${metadata?.name ?? ""}`, JSON.stringify(status), ...logs].join("\n")
    }),
  )
  return ["The migrations' pods:", ...parts].join("\n")
}

async function done(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await call(args).ended
  if (code !== 0) throw new Error(`${args.join(" ")}\n${stderr.slice(-4_000)}\n${await diagnosis()}`)
  return { stdout, stderr }
}

async function refused(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await call(args).ended
  if (code === 0) throw new Error(`${args.join(" ")} succeeded:\n${stdout}\n${await diagnosis()}`)
  return stderr
}

interface Status {
  component: { kind: string; name: string }
  heads?: string[]
  waiting: { migration: string; revisions: number[] }[]
  backup?: { id: string; location: string; heads: string[] }
  runs: { outcome: string; message: string }[]
}

async function database(): Promise<Status> {
  const { stdout } = await done("status", "--env", "staging", "--only", "recipes", "json")
  const [found] = JSON.parse(stdout) as Status[]
  if (!found) throw new Error(`no database in ${stdout}`)
  return found
}

const deploy = (release: string[]) => ["deploy", "--env", "staging", ...release]
const viewExists = async () =>
  (await rehearsal.query("SELECT to_regclass('of_the_test') IS NOT NULL")).trim() === "t"
const head = async () => (await rehearsal.query("SELECT version_num FROM alembic_version")).trim()

describe("the database of a service", { timeout: 20 * 60_000 }, () => {
  let second: string[]

  it("is left as it is by a deploy of an image without further migrations", async () => {
    const first = await releaseWith({ head: start, breaking: [] })
    const { stdout } = await done(...deploy(first))
    expect(stdout).toMatch(new RegExp(`^recipes +unchanged .*at ${start}`, "m"))
    expect(stdout).toMatch(/^api +promoted +1 /m)
    expect((await database()).heads).toEqual([start])
  })

  it("is not changed by a plan, which shows what the migrations do on a copy", async () => {
    second = await releaseWith({ head: "of_test_2", breaking: [] }, expand)
    const { stdout } = await done("migrate", "--env", "staging", "--plan-only", ...second)
    expect(stdout).toMatch(/of_test_2 .*expand/)
    expect(stdout).toContain("CREATE VIEW of_the_test")
    expect(stdout).toMatch(
      /on the copy, revision-1 answered [1-9]\d* reads, the new image answered [1-9]\d* reads/,
    )
    expect(await viewExists()).toBe(false)
    expect(await head()).toBe(start)
  })

  it("is migrated by a deploy that is killed and run again, after a backup that is verified", async () => {
    const first = call(deploy(second), true)
    await first.until("recipes: backup: started")
    first.kill()
    expect((await first.ended).signal).toBe("SIGKILL")
    const { stdout } = await done(...deploy(second))
    expect(stdout).toMatch(new RegExp(`^recipes +migrated .*${start} → of_test_2`, "m"))
    expect(stdout).toMatch(/^api +promoted +2 /m)
    expect(await viewExists()).toBe(true)
    const { heads, backup } = await database()
    expect(heads).toEqual(["of_test_2"])
    const folder = `pitwall/staging/recipes/${backup?.id ?? "?"}`
    expect(backup).toMatchObject({ heads: [start], location: `s3://${bucket}/${folder}` })
    const list = await (await fetch(`${storeAddress}/${bucket}?list-type=2`)).text()
    expect(list).toContain(`<Key>${folder}/manifest.json</Key>`)
  })

  it("has backups that can be restored; one that was damaged is found, and so is the absence of all", async () => {
    const { stdout } = await done("verify-backup", "--env", "staging")
    const { backup } = await database()
    const id = backup?.id ?? "?"
    expect(stdout).toMatch(
      new RegExp(
        `^recipes: the backup ${id} can be restored: [2-9]\\d* tables with [\\d,]+ rows .* at ${start}$`,
        "m",
      ),
    )
    const list = await (await fetch(`${storeAddress}/${bucket}?list-type=2`)).text()
    const keys = [...list.matchAll(/<Key>([^<]+)<\/Key>/g)].map(([, key = ""]) => key)
    const data = keys.find((key) => key.includes(id) && key.endsWith(".dat.gz")) ?? "?"
    const object = `${storeAddress}/${bucket}/${data}`
    const asked = (more: RequestInit = {}) => fetch(object, { headers: { authorization: anyKey }, ...more })
    const put = async (body: Uint8Array<ArrayBuffer>) => (await asked({ method: "PUT", body })).status
    const stored = await asked()
    expect(stored.status).toBe(200)
    const whole = new Uint8Array(await stored.arrayBuffer())
    const flipped = whole.map((byte, at) => (at === whole.length >> 1 ? byte ^ 1 : byte))
    expect(await put(flipped)).toBe(200)
    expect(await refused("verify-backup", "--env", "staging", "--backup", id)).toMatch(
      new RegExp(`recipes: no verified backup: verify-backup failed: .*${data.split("/").at(-1) ?? "?"}`),
    )
    expect(await put(whole)).toBe(200)
    expect(
      await refused("verify-backup", "--env", "staging", "--backup", "2020-01-01T00-00-00Z-000000"),
    ).toMatch(/no verified backup: verify-backup failed: there is no finished backup at /)
    const { stdout: history } = await done("history", "--env", "staging", "--only", "recipes", "text")
    const ends = [...history.matchAll(/recipes +verify-backup +\S+ +\S+ +(\w+) /g)].map(([, end]) => end)
    expect(ends, history).toEqual(["failed", "failed", "verified"])
  })

  it("goes back when its code has, behind a backup of its own, and forward again", async () => {
    const back = ["rollback", "--env", "staging", "--reason", "the view is slow"]
    expect(await refused(...back, "--database", "recipes")).toMatch(
      /revision 2, which serves, was built for of_test_2, where the database is: take the code back first/,
    )
    expect((await done(...back, "--service", "api")).stdout).toMatch(/^api +promoted +1 /m)
    const { backup: before } = await database()
    const { stdout } = await done(...back, "--database", "recipes")
    expect(stdout).toMatch(
      new RegExp(
        `^recipes +downgraded .*back from of_test_2 to ${start}, after the verified backup \\S+; taken back: of_test_2`,
        "m",
      ),
    )
    expect(await viewExists()).toBe(false)
    const { heads, backup } = await database()
    expect(heads).toEqual([start])
    expect(backup).toMatchObject({ heads: ["of_test_2"] })
    expect(backup?.id).not.toBe(before?.id)
    const again = await done("migrate", "--env", "staging", ...second)
    expect(again.stdout).toMatch(new RegExp(`^recipes +migrated .*${start} → of_test_2`, "m"))
    expect((await done(...back, "--service", "api", "--to", "2")).stdout).toMatch(/^api +promoted +2 /m)
  })

  it("is backed up, which is proven at once", async () => {
    const { backup: before } = await database()
    const { stdout } = await done("backup", "--env", "staging")
    expect(stdout).toMatch(/^recipes: the backup \S+ was made and can be restored: .* at of_test_2$/m)
    const { backup } = await database()
    expect(backup?.id).not.toBe(before?.id)
    expect(stdout).toContain(backup?.id)
  })

  it("is restored from a backup, and what it had is kept beside it", async () => {
    const recipes = async () => Number(await rehearsal.query("SELECT count(*) FROM recipes"))
    const { backup } = await database()
    const before = await recipes()
    expect(before).toBeGreaterThan(1)
    await rehearsal.query("DELETE FROM recipes WHERE id IN (SELECT id FROM recipes LIMIT 1)")
    const restore = ["restore", "--env", "staging", "--to", backup?.id ?? "?"]
    const dry = await done(...restore, "--dry-run")
    expect(dry.stdout).toMatch(
      /^recipes: \S+ can be restored, .*; rows that only the backup has: .*recipes 1\b.*Nothing was/m,
    )
    expect(await recipes()).toBe(before - 1)
    expect(await refused(...restore)).toMatch(/a restore needs a reason/)
    const first = call([...restore, "--reason", "a recipe is gone"], true)
    await first.until("recipes: hold: done")
    first.kill()
    await first.ended
    const { stdout } = await done(...restore, "--reason", "a recipe is gone")
    expect(stdout).toMatch(
      /^recipes +restored .*at of_test_2; the backup \S+ is in its place, and what was there is kept as /m,
    )
    expect(await recipes()).toBe(before)
    expect(await head()).toBe("of_test_2")
    const status = await done("status", "--env", "staging", "--only", "recipes", "text")
    expect(status.stdout).toMatch(/recipes, the database of api: at of_test_2\n +last: restored at /)
    const { stdout: api } = await done("status", "--env", "staging", "--only", "api", "text")
    expect(api).toMatch(/api/)
  })

  it("is what its migrations make; what somebody else changed is found", async () => {
    expect((await done("drift", "--env", "staging")).stdout).toMatch(
      /^recipes: at of_test_2, as its migrations/m,
    )
    await rehearsal.query("CREATE SEQUENCE by_hand")
    expect(await refused("drift", "--env", "staging")).toMatch(/recipes: .*sequence by_hand is left over/)
    const { stdout } = await done("status", "--env", "staging", "--only", "recipes", "text")
    expect(stdout).toMatch(/drift at .*sequence by_hand is left over/)
    await rehearsal.query("DROP SEQUENCE by_hand")
    await done("drift", "--env", "staging")
  })

  it("is not touched by a migration that fails on the copy, and nothing is deployed then", async () => {
    const bad = await releaseWith({ head: "of_test_9", breaking: [] }, expand, failing)
    const refusal = await refused(...deploy(bad))
    expect(refusal).toMatch(/recipes +failed .*dry-run failed/)
    expect(refusal).toMatch(/api +skipped/)
    expect(await head()).toBe("of_test_2")
    expect((await database()).runs[0]).toMatchObject({ outcome: "failed" })
  })

  it("is not touched by a migration that passes alone and breaks older code, and the request that fails is named", async () => {
    const breaking = await releaseWith({ head: "of_test_8", breaking: [] }, expand, unreadable)
    const before = await rehearsal.query("SELECT md5(string_agg(tags::text, '' ORDER BY id)) FROM recipes")
    const named =
      /replay-reads failed: code does not work with the database after of_test_8: revision-\d+: GET \/api\/\S+ answered 200 before the migration and 500 after it/
    expect(await refused("migrate", "--env", "staging", "--plan-only", ...breaking)).toMatch(named)
    const refusal = await refused(...deploy(breaking))
    expect(refusal).toMatch(named)
    expect(refusal).toMatch(/api +skipped/)
    expect(await head()).toBe("of_test_2")
    expect(await rehearsal.query("SELECT md5(string_agg(tags::text, '' ORDER BY id)) FROM recipes")).toBe(
      before,
    )
    expect((await database()).runs[0]).toMatchObject({
      outcome: "failed",
      message: expect.stringMatching(named) as string,
    })
  })

  it("keeps the old shape for as long as revisions need it, to which a rollback still returns", async () => {
    const third = await releaseWith({ head: "of_test_3", breaking: ["of_test_3"] }, expand, contract)
    const { stdout } = await done(...deploy(third))
    expect(stdout).toMatch(/^api +promoted +3 /m)
    expect(await viewExists()).toBe(true)
    const { waiting, ...state } = await database()
    expect(waiting, `${stdout}\n${JSON.stringify(state)}`).toEqual([
      { migration: "of_test_3", revisions: [2, 1] },
    ])
    const back = await done("rollback", "--env", "staging", "--service", "api", "--reason", "it is wrong")
    expect(back.stdout).toMatch(/^api +promoted +2 /m)
    expect(await done(...deploy(third))).toMatchObject({
      stdout: expect.stringMatching(/^api +promoted +4 /m) as string,
    })
    for (const revision of [1, 2]) {
      await rehearsal.admin.delete({
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { namespace, name: `api-${revision}` },
      })
    }
    // A window that opens in three days.
    const day = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"][(new Date().getUTCDay() + 3) % 7] ?? ""
    const hours = `days: [${day}], from: "02:00", to: "04:00", longest: 5m`
    await guarded(`{ timezone: UTC, migrationWindow: { ${hours} } }`)
    const waits = await done("migrate", "--env", "staging", "--reason", "nothing needs it")
    expect(waits.stdout).toMatch(/^recipes +unchanged .*of_test_3 waits/m)
    const { stdout: closed } = await done("status", "--env", "staging", "--only", "recipes", "text")
    expect(closed).toMatch(/of_test_3 waits for the maintenance window, .*, which opens next on /)
    await guarded("{}")
    const migrated = await done("migrate", "--env", "staging", "--reason", "nothing needs it")
    expect(migrated.stdout).toMatch(/^recipes +migrated .*of_test_2 → of_test_3/m)
    expect(await viewExists()).toBe(false)
  })

  it("shows no secret in what is said of it", async () => {
    const { stdout, stderr } = await done("migrate", "--env", "staging")
    const logs = await diagnosis()
    const secrets = [rehearsal.secrets.STAGING_DATABASE_URL ?? "?", "secret-key-of-the-test"]
    for (const secret of secrets) expect(stdout + stderr + logs).not.toContain(secret)
    const { stdout: history } = await done("history", "--env", "staging", "--only", "recipes", "text")
    expect(history).toMatch(/recipes +migrate .*migrated/)
  })
})
