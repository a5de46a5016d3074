// Databases of an environment, migrated by commands on a fake cluster whose Jobs run by themselves.
import { describe, expect, it } from "vitest"
import { ApiError, UnreachableError } from "../../src/clients/kubernetes/client.js"
import { approvalEntries } from "../../src/delivery/approvals.js"
import { deploy, restore } from "../../src/delivery/executor.js"
import { planText } from "../../src/delivery/plan.js"
import { plan } from "../../src/delivery/executor.js"
import type { RevertRequest } from "../../src/delivery/component.js"
import { refuseOtherSettings, requestOf } from "../../src/delivery/request.js"
import type { Release } from "../../src/delivery/release.js"
import {
  type Command,
  type CommandOptions,
  FakePlatform,
  image,
  releaseOf,
  secrets,
} from "../delivery/fake-platform.js"
import { backup, FakeJobs, type JobScript, resultLine, step } from "./fixtures.js"

const databaseSettings = `
services:
  api: { database: { name: recipes, backup: { kind: postgres, bucket: backups } } }
  f1-backend: { database: { name: f1, backup: { kind: postgres, bucket: backups } } }
`

/** A platform whose services own databases, and what the Jobs did. */
class Platform extends FakePlatform {
  readonly jobs = new FakeJobs(this.cluster, this.clock)

  constructor() {
    super()
    this.commit(databaseSettings)
  }

  run(script: JobScript | ((name: string) => JobScript)): this {
    this.jobs.script = ({ metadata }) =>
      typeof script === "function" ? script(metadata?.name ?? "") : script
    return this
  }

  /** The command `migrate`. */
  migrate(
    release: string | Release,
    options: CommandOptions = {},
    command: Command = this.command(options),
  ): Promise<string> {
    const databases = command.opened.databases(options.only ?? ["recipes"])
    return this.clock.until(
      deploy(command, databases, {
        release: typeof release === "string" ? schemaRelease(release) : release,
        reason: "pesto",
        authors: [],
        override: "",
        readAuthors: this.readAuthors,
      }),
    )
  }

  /** The command `rollback --database recipes`. */
  takeBack(more: Partial<RevertRequest> = {}, command: Command = this.command()): Promise<string> {
    return this.rollback(more, { ...command, components: command.opened.databases(["recipes"]) })
  }

  /** The command `restore`. */
  async restore(
    to: string,
    { reason = "rows are gone", ...options }: CommandOptions & { reason?: string } = {},
    command: Command = this.command(options),
  ): Promise<string> {
    const [database] = command.opened.databases(["recipes"])
    if (!database) throw new Error("no database")
    return this.clock.until(restore(command, database.restore(to), { reason, override: "" }))
  }

  /** The command `restore --dry-run`. */
  async previewRestore(to: string): Promise<string> {
    const [database] = this.command().opened.databases(["recipes"])
    return this.clock.until(database?.restore(to).preview() ?? Promise.resolve(""))
  }

  /** The arguments of the newest Job. */
  get words(): string {
    const job = this.cluster.get("Job", this.jobs.created.at(-1) ?? "")
    const { template } = (job?.spec ?? {}) as { template?: { spec: { containers: { args: string[] }[] } } }
    return template?.spec.containers[0]?.args.join(" ") ?? ""
  }

  /** The command `drift`. */
  drift(): Promise<string> {
    const [database] = this.command().opened.databases(["recipes"])
    return this.clock.until(database?.drift() ?? Promise.resolve(""))
  }

  /** The command `backup`. */
  backUp(): Promise<string> {
    const [database] = this.command().opened.databases(["recipes"])
    return this.clock.until(database?.backUp() ?? Promise.resolve(""))
  }

  /** The command `verify-backup`. */
  verifyBackup(id?: string, command: Command = this.command()): Promise<string> {
    const [database] = command.opened.databases(["recipes"])
    return this.clock.until(database?.verifyBackup(id) ?? Promise.resolve(""))
  }

  /** Runs the command until it is killed. */
  async cutOff(command: Command): Promise<void> {
    await this.clock.until(Promise.race([command.dead, this.migrate("b", {}, command)]))
  }

  get state(): Record<string, unknown> & { runs: Record<string, unknown>[]; heads?: string[] } {
    const text = this.cluster.get("ConfigMap", "database-recipes")?.data?.state ?? "{}"
    return JSON.parse(text) as Platform["state"]
  }

  /** Entries of the audit log about the database, oldest first. */
  async audited(): Promise<string[]> {
    const { events } = await this.trail("staging")
    return events.filter(({ component }) => component.kind === "database").map(({ kind }) => kind)
  }
}

/** A release whose image has migrations: `a` up to 0001, `b` up to 0002 and so on. */
const schemaRelease = (letter: string, breaking: string[] = [], services = ["api"]): Release => {
  const head = `000${"abcdef".indexOf(letter) + 1}`
  const release = releaseOf(letter, {}, services)
  return {
    ...release,
    images: Object.fromEntries(
      Object.entries(release.images).map(([service, one]) => [
        service,
        { ...one, migrations: { head, breaking } },
      ]),
    ),
  }
}

const failed = (change: object = {}): JobScript => ({
  end: "Failed",
  log: resultLine({
    outcome: "failed",
    step: "migrate",
    message: "no such column",
    backup: null,
    to: ["0001"],
    ...change,
  }),
})

/** A command on a cluster that refuses Jobs. */
function refusingJobs(platform: Platform): Command {
  const command = platform.command()
  const [database] = command.opened.databases(["recipes"])
  const { cluster } = database?.migrated.context ?? {}
  if (!cluster) throw new Error("no database")
  const { create } = cluster
  cluster.create = (object) =>
    object.kind === "Job"
      ? Promise.reject(new ApiError(422, "Invalid", "ValidatingAdmissionPolicy: nobody has approved"))
      : create(object)
  return command
}

describe("migrate", () => {
  it("runs the command in the image that will serve, records it and says what it did", async () => {
    const platform = new Platform().run({
      log: [step("backup", "started"), step("backup", "done", { seconds: 3 }), resultLine()].join("\n"),
    })
    expect(await platform.migrate("b")).toMatch(
      /^recipes +migrated +.*0001 → 0002, after the verified backup/m,
    )
    expect(platform.state).toMatchObject({ heads: ["0002"], backup: { id: "2026-03-02T10-00-00Z-ab12cd" } })
    expect(platform.state.running).toBeUndefined()
    expect(await platform.audited()).toEqual(["started", "migrated"])
    expect(platform.said).toEqual(
      expect.arrayContaining([
        "recipes: it has no pod yet",
        "recipes: backup: started",
        "recipes: backup: done, 3.0 s",
      ]),
    )
    expect(platform.cluster.get("Lease", "database-recipes")?.spec?.holderIdentity ?? null).toBeNull()
  })

  it("asks the database each time, and says so when nothing is to do", async () => {
    const platform = new Platform()
    await platform.migrate("b")
    platform.run({ log: resultLine({ outcome: "unchanged", from: ["0002"], backup: null }) })
    expect(await platform.migrate("b")).toMatch(/^recipes +unchanged .*at 0002, nothing to migrate/m)
    expect(platform.jobs.created).toHaveLength(2)
  })

  it("gives the Job the address of the database and no other secret of the service, and the keys for backups in their form", async () => {
    const platform = new Platform()
    const keys = { STAGING_BACKUP_ACCESS_KEY_ID: "AKIA", STAGING_BACKUP_SECRET_ACCESS_KEY: "s3cret" }
    await platform.migrate("b", { secrets: { ...secrets, ...keys } })
    const secret = platform.cluster.get("Secret", platform.jobs.created[0] ?? "")
    const data = Object.entries(secret?.data ?? {}).map(([name, text]) => [
      name,
      Buffer.from(text, "base64").toString(),
    ])
    expect(Object.fromEntries(data)).toEqual({
      database_url: "postgresql://recipes@db/recipes",
      aws_credentials: "[default]\naws_access_key_id = AKIA\naws_secret_access_key = s3cret\n",
    })
    expect(platform.said.join("\n")).not.toMatch(/AKIA|s3cret/)
    const half = { secrets: { ...secrets, STAGING_BACKUP_ACCESS_KEY_ID: "AKIA" } }
    await expect(platform.migrate("b", half)).rejects.toThrow("allowed: both, or none")
    // What needs no backup does not ask for keys.
    expect(await platform.status(platform.command(half))).toContain("at 0002")
  })

  it("names the databases that there are", () => {
    const platform = new Platform()
    const { opened } = platform.command()
    expect(opened.databases(["api", "f1"]).map(({ id }) => id.name)).toEqual(["recipes", "f1"])
    expect(() => opened.databases(["web"])).toThrow(
      "staging has no database web; allowed: recipes, api, f1, f1-backend",
    )
    expect(() => opened.components(["web"])).toThrow("allowed: api, f1-backend, recipes, f1")
    expect(() => new FakePlatform().command().opened.databases([])).toThrow(
      "add services.SERVICE.database to",
    )
  })

  it("shows what a plan on a copy found, and changes nothing", async () => {
    const platform = new Platform().run({
      log: resultLine({
        outcome: "planned",
        backup: null,
        waiting: [],
        examination: { migrations: [], heads: ["0002"], model_differences: [], unreadable: null },
      }),
    })
    const [database] = platform.command().opened.databases(["recipes"])
    const text = await platform.clock.until(database?.preview(schemaRelease("b")) ?? Promise.resolve(""))
    expect(text).toBe("recipes at 0002: nothing to migrate")
    expect(platform.cluster.get("ConfigMap", "database-recipes")).toBeUndefined()
    expect(await platform.audited()).toEqual([])
    expect(platform.jobs.created[0]).toContain("recipes-plan-")
  })
})

describe("a migration that fails", () => {
  const ends: [string, JobScript, RegExp][] = [
    ["by its own verdict", failed(), /migrate failed: no such column/],
    [
      "without a result",
      { log: step("migrate", "done") },
      /it ended without saying how; its log has no result/,
    ],
    ["with a result that is cut off", { log: resultLine().slice(0, -3) }, /has no result/],
    [
      "with a log that cannot be read",
      { log: new ApiError(404, "NotFound", "gone") },
      /its log cannot be read: gone/,
    ],
    ["with a node that is lost", { log: new UnreachableError("502") }, /its log cannot be read: 502/],
    ["with its pod", { gone: true }, /its pod is gone, and the log with it/],
    [
      "by an eviction",
      {
        end: "Failed",
        log: "",
        message: "Job has reached the specified backoff limit",
        pod: { reason: "Evicted", message: "The node was low on resource: ephemeral-storage." },
      },
      /it was stopped: Job has reached .*Evicted; The node was low on resource/,
    ],
    ["although it says that it migrated", { end: "Failed" }, /its result says migrated, but its Job failed/],
    ["although its Job succeeds", { ...failed(), end: "Complete" }, /says failed, but its Job succeeded/],
    ["naming no backup", { log: resultLine({ backup: null }) }, /names no backup/],
    [
      "with a backup that is not verified",
      { log: resultLine({ backup: { ...backup, verified: false } }) },
      /names no backup that is verified/,
    ],
  ]

  it.each(ends)("%s is no success, and the next one tries again", async (_, script, message) => {
    const platform = new Platform().run(script)
    await expect(platform.migrate("b")).rejects.toThrow(message)
    expect(platform.state.heads).toBeUndefined()
    expect(platform.state.running).toBeUndefined()
    expect(platform.state.runs[0]).toMatchObject({ outcome: "failed" })
    expect(await platform.audited()).toEqual(["started", "migration-failed"])
    expect((await platform.history())[0]).toMatchObject({ action: "migrate", outcome: "failed" })
    platform.run({})
    expect(await platform.migrate("b")).toMatch(/^recipes +migrated /m)
    expect(platform.jobs.created).toHaveLength(2)
  })

  it("shows no secret of its pod", async () => {
    const { STAGING_DATABASE_URL: address = "" } = secrets
    const platform = new Platform().run({ end: "Failed", log: `OperationalError: ${address} refused` })
    await expect(platform.migrate("b")).rejects.toThrow(/last lines: OperationalError: \*\*\* refused/)
    expect(JSON.stringify([platform.state, await platform.history()])).not.toContain(address)
  })

  it("because nothing starts it is taken away, so that it does not begin later", async () => {
    const waiting = { waiting: { reason: "ImagePullBackOff", message: "no such image" } }
    const platform = new Platform().run({
      end: "never",
      pod: { containerStatuses: [{ name: "migrate", state: waiting }] },
    })
    await expect(platform.migrate("b")).rejects.toThrow(
      /did not start within 10 minutes: container migrate waits: ImagePullBackOff no such image/,
    )
    expect(platform.cluster.all("Job")).toEqual([])
    expect(platform.state.running).toBeUndefined()
  })

  it("because the cluster refuses its Job, leaves nothing that is never ended", async () => {
    const platform = new Platform()
    const command = refusingJobs(platform)
    await expect(platform.migrate("b", {}, command)).rejects.toThrow(
      /the cluster refuses .*nobody has approved/,
    )
    expect(platform.state.running).toBeUndefined()
    expect(platform.state.runs[0]).toMatchObject({ outcome: "failed" })
  })
})

describe("a migration whose command is killed", () => {
  const moments = Array.from({ length: 44 }, (_, at) => at + 1)
  const cases = moments.flatMap((dies) => [false, true].map((after) => ({ dies, after })))

  it("sends so many requests that the following are all of them", async () => {
    const platform = new Platform().run({ takes: 3_000 })
    const command = platform.command()
    await platform.migrate("b", {}, command)
    expect(command.requests()).toBeLessThanOrEqual(moments.length)
  })

  it.each(cases)("at request $dies (handled: $after) is gone on with, once", async ({ dies, after }) => {
    const platform = new Platform().run({ takes: 3_000 })
    const command = platform.command({ dies, after })
    await platform.cutOff(command)
    expect(await platform.migrate("b")).toMatch(/^recipes +migrated /m)
    expect(platform.state).toMatchObject({ heads: ["0002"] })
    expect(platform.state.running).toBeUndefined()
    const started = (await platform.audited()).filter((kind) => kind === "started").length
    // Two only where the first had ended: `migrate` asks the database each time.
    expect(platform.jobs.created.length).toBeLessThanOrEqual(platform.state.runs.length)
    expect(started).toBeGreaterThanOrEqual(platform.state.runs.length)
    expect(platform.jobs.mostAtOnce).toBe(1)
    expect(platform.cluster.all("Job").every(({ status }) => status?.conditions !== undefined)).toBe(true)
    const ends = (await platform.audited()).filter((kind) => kind === "migrated")
    expect(ends).toHaveLength(platform.state.runs.length)
  })

  it("goes on without it: the next command reads the end of the same Job", async () => {
    const platform = new Platform().run({ takes: 60_000 })
    const command = platform.command({ dies: 20 })
    await platform.cutOff(command)
    await platform.clock.pass(120_000)
    expect(await platform.migrate("b")).toMatch(/^recipes +migrated /m)
    expect(platform.jobs.created).toHaveLength(1)
    expect(await platform.audited()).toEqual(["started", "migrated"])
  })

  it("and that fails meanwhile is reported by the next command, and tried again by the one after", async () => {
    const platform = new Platform().run(failed())
    const command = platform.command({ dies: 20 })
    await platform.cutOff(command)
    await platform.clock.pass(120_000)
    await expect(platform.migrate("b")).rejects.toThrow("no such column")
    platform.run({})
    expect(await platform.migrate("b")).toMatch(/^recipes +migrated /m)
    expect(platform.jobs.created).toHaveLength(2)
  })

  it("is recorded by a command with another image, which then migrates further", async () => {
    const platform = new Platform()
    const command = platform.command({ dies: 20 })
    await platform.cutOff(command)
    await platform.clock.pass(120_000)
    platform.run({ log: resultLine({ from: ["0002"], to: ["0003"] }) })
    expect(await platform.migrate("c")).toMatch(/^recipes +migrated .*0002 → 0003/m)
    expect(platform.state.runs.map(({ to }) => to)).toEqual([["0003"], ["0002"]])
  })

  it("blocks another image for as long as it runs", async () => {
    const platform = new Platform().run({ takes: 600_000 })
    const command = platform.command({ dies: 20 })
    await platform.cutOff(command)
    await expect(platform.migrate("c")).rejects.toThrow(
      /recipes: the migration by .* that dora began .* is under way/,
    )
    expect(platform.jobs.created).toHaveLength(1)
  })
})

describe("two commands at once", () => {
  it("make one Job: the second is told who migrates", async () => {
    const platform = new Platform()
    const first = platform.migrate("b")
    const second = platform.migrate("b", { who: "grace" })
    const [one, other] = await Promise.allSettled([first, second])
    expect(one.status).toBe("fulfilled")
    expect(other).toMatchObject({ status: "rejected" })
    expect(String((other as PromiseRejectedResult).reason)).toMatch(/recipes is being migrated by dora/)
    expect(platform.jobs.created).toHaveLength(1)
  })
})

describe("a connection that is lost", () => {
  /** A command whose requests fail with an error from one on. */
  async function losing(platform: Platform, error: Error, forMilliseconds = Infinity): Promise<string> {
    const command = platform.command()
    const [database] = command.opened.databases(["recipes"])
    const cluster = database?.migrated.context.cluster
    if (!cluster) throw new Error("no database")
    const { read } = cluster
    let lost = Infinity
    cluster.read = (object) => {
      if (object.kind === "Job" && platform.jobs.created.length > 0)
        lost = Math.min(lost, platform.clock.now())
      const now = platform.clock.now()
      return object.kind === "Job" && now >= lost && now < lost + forMilliseconds
        ? Promise.reject(error)
        : read(object)
    }
    return platform.migrate("b", {}, command)
  }

  it("for two minutes is waited out", async () => {
    const platform = new Platform()
    expect(await losing(platform, new UnreachableError("connect ECONNREFUSED"), 120_000)).toMatch(/migrated/)
    expect(platform.said.filter((line) => line.includes("ECONNREFUSED"))).toHaveLength(1)
  })

  const losses: [string, Error][] = [
    ["by an expired token", new ApiError(401, "Unauthorized", "Unauthorized")],
    ["for good", new UnreachableError("connect ECONNREFUSED")],
  ]

  it.each(losses)(
    "%s ends the command and not the migration, which the next command follows",
    async (_, error) => {
      const platform = new Platform()
      await expect(losing(platform, error)).rejects.toThrow(
        /cannot follow the migration any longer: .*; the Job recipes-migrate-\S+ goes on in the cluster: run the same command again/,
      )
      expect(platform.state.running).toBeDefined()
      expect(await platform.migrate("b")).toMatch(/^recipes +migrated /m)
      expect(platform.jobs.created).toHaveLength(1)
    },
  )
})

describe("a deploy of a service with a database", () => {
  const both = ["api", "f1-backend"]

  it("migrates first, when the image has migrations that the database lacks", async () => {
    const platform = new Platform()
    const order: string[] = []
    platform.cluster.watchers.push(({ kind, metadata, status }) => {
      if (kind === "Job" && metadata?.name?.startsWith("recipes-"))
        order.push(status ? "migrated" : "migrates")
      if (kind === "Deployment") order.push("revision")
    })
    const table = await platform.deploy(schemaRelease("b"))
    expect(table).toMatch(/^recipes +migrated .*\napi +promoted +1 /m)
    expect(order.slice(0, 3)).toEqual(["migrates", "migrated", "revision"])
  })

  it("does not ask again for migrations that the database has", async () => {
    const platform = new Platform()
    await platform.deploy(schemaRelease("b"))
    expect(await platform.deploy(schemaRelease("b"))).toMatch(/^recipes +unchanged .*\napi +unchanged/m)
    expect(platform.jobs.created).toHaveLength(1)
  })

  it("has the code of kept revisions answer beside it, and names the request that it cannot answer any more", async () => {
    const platform = new Platform().run({ log: resultLine({ from: [], to: ["0001"] }) })
    await platform.deploy(schemaRelease("a"))
    expect(platform.words).toMatch(/ --new-application http:\/\/127\.0\.0\.1:8101$/)
    const message =
      "code does not work with the database after 0002: revision-1: GET /api/recipes answered 200 before the migration and 500 after it"
    platform.run(failed({ step: "replay-reads", message }))
    await expect(platform.deploy(schemaRelease("b"))).rejects.toThrow(
      /recipes +failed .*replay-reads failed: code .* GET \/api\/recipes answered 200 [^]*api +skipped/,
    )
    expect(platform.words).toContain("--old-application revision-1=http://127.0.0.1:8102")
    const job = platform.cluster.get("Job", platform.jobs.created.at(-1) ?? "")
    const { template } = job?.spec as { template: { spec: { initContainers: Record<string, unknown>[] } } }
    expect(template.spec.initContainers.map(({ name, image: own }) => [name, own]).slice(1)).toEqual([
      ["new", image("b")],
      ["revision-1", image("a")],
    ])
    expect(template.spec.initContainers.at(-1)).toMatchObject({
      envFrom: [{ configMapRef: { name: "api-1" } }],
    })
    expect(await platform.status()).toContain("replay-reads failed: code does not work")
    expect(JSON.stringify(await platform.trail("staging"))).toContain("GET /api/recipes answered 200")
  })

  it("deploys nothing when the migration fails", async () => {
    const platform = new Platform().run(failed())
    await expect(platform.deploy(schemaRelease("b"))).rejects.toThrow(
      /recipes +failed[^]*api +skipped +.*database recipes failed/,
    )
    expect(platform.cluster.all("Deployment")).toEqual([])
  })

  it("deploys nothing while another command migrates the database", async () => {
    const platform = new Platform().run({ takes: 600_000 })
    const migration = platform.migrate("b")
    const second = platform.deploy(schemaRelease("b"), { who: "grace" })
    await expect(second).rejects.toThrow(/recipes +failed .*being migrated by dora[^]*api +skipped/)
    expect(platform.cluster.all("Deployment")).toEqual([])
    await migration
  })

  it("migrates one database after the other, and no further one after a failure", async () => {
    const platform = new Platform().run((name) => (name.startsWith("recipes") ? failed() : {}))
    const release = schemaRelease("b", [], both)
    await expect(platform.deploy(release, { only: both })).rejects.toThrow(
      /recipes +failed[^]*f1 +skipped[^]*api +skipped[^]*f1-backend +skipped/,
    )
    expect(platform.jobs.created.map((name) => name.split("-")[0])).toEqual(["recipes"])
    platform.run({})
    expect(await platform.deploy(release, { only: both })).toMatch(/recipes +migrated[^]*f1 +migrated/)
  })

  it("resumes with the second database when the first was done", async () => {
    const platform = new Platform().run((name) => (name.startsWith("f1") ? failed() : {}))
    const release = schemaRelease("b", [], both)
    await expect(platform.deploy(release, { only: both })).rejects.toThrow(/recipes +migrated[^]*f1 +failed/)
    platform.run({})
    expect(await platform.deploy(release, { only: both })).toMatch(
      /recipes +unchanged[^]*f1 +migrated[^]*api +promoted[^]*f1-backend +promoted/,
    )
  })

  it("has a plan that says what happens to the database and changes nothing", async () => {
    const platform = new Platform()
    const command = platform.command()
    const release = schemaRelease("b")
    const planned = await platform.clock.until(
      plan(command, command.components, { release, authors: [], readAuthors: command.readAuthors }),
    )
    const text = planText(planned)
    expect(text).toContain(
      `database recipes: from where it is to 0002, by ${image("b")}, after a backup that is verified, with reads of the image answered on its copy`,
    )
    expect(text).toContain("~ Database f1-staging/recipes: changed")
    expect(platform.cluster.all("Job")).toEqual([])
    expect(platform.cluster.get("ConfigMap", "database-recipes")).toBeUndefined()
  })

  it("leaves a database alone that is past the image", async () => {
    const platform = new Platform()
    await platform.deploy(schemaRelease("b"))
    platform.run({ log: resultLine({ from: ["0002"], to: ["0003"] }) })
    await platform.deploy(schemaRelease("c"))
    const table = await platform.deploy(schemaRelease("b"))
    expect(table).toMatch(/^recipes +unchanged .*at 0003, which is past 0002 of this image/m)
  })
})

describe("a migration that older code cannot live with", () => {
  const contract = schemaRelease("c", ["0003"])
  const breaks = (platform: Platform) =>
    platform.cluster
      .all("Job")
      .filter(({ metadata }) => platform.jobs.created.includes(metadata?.name ?? ""))
      .map(({ spec }) => JSON.stringify(spec).includes("--allow-breaking"))

  async function deployed(): Promise<Platform> {
    const platform = new Platform()
    await platform.deploy(schemaRelease("b"))
    platform.run({
      log: resultLine({
        outcome: "unchanged",
        from: ["0002"],
        to: ["0002"],
        backup: null,
        waiting: ["0003"],
      }),
    })
    await platform.deploy(contract)
    return platform
  }

  it("runs at once where no revision is kept", async () => {
    const platform = new Platform()
    await platform.deploy(contract)
    expect(breaks(platform)).toEqual([true])
  })

  it("waits while a revision is kept that needs the old shape, and status says for which", async () => {
    const platform = await deployed()
    expect(breaks(platform)).toEqual([true, false])
    expect(await platform.status()).toContain("0003 waits for revision 1, released before it and still kept")
    await platform.deploy(contract)
    expect(platform.jobs.created).toHaveLength(2)
    // Asked for, it still does not run.
    expect(await platform.clock.until(platform.migrate(contract))).toContain("0003 waits")
    expect(breaks(platform).at(-1)).toBe(false)
  })

  it("does not keep a rollback from the revision that it waits for", async () => {
    const platform = await deployed()
    expect(await platform.rollback({}, onlyBackends(platform))).toMatch(/api +promoted +1/)
  })

  it("runs with a later deploy, when nothing needs the old shape any longer, and then keeps rollbacks from it", async () => {
    const platform = await deployed()
    platform.cluster.remove({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "api-1", namespace: "f1-staging" },
    })
    expect(await platform.status()).toContain("0003 no longer waits")
    platform.run({ log: resultLine({ from: ["0002"], to: ["0003"] }) })
    expect(await platform.deploy(contract)).toMatch(/^recipes +migrated .*0002 → 0003/m)
    expect(breaks(platform).at(-1)).toBe(true)
    expect(await platform.status()).not.toContain("waits")
  })

  function onlyBackends(platform: Platform): Command {
    const command = platform.command()
    return { ...command, components: command.opened.backends(["api"]) }
  }
})

describe("a maintenance window", () => {
  // The fake clock begins on Monday 2026-03-02 at 10:00 UTC.
  const window = (hours: string) =>
    `environments: { staging: { guards: { timezone: UTC, migrationWindow: { ${hours}, longest: 30s } } } }`
  const contract = schemaRelease("c", ["0003"])
  const lastArguments = (platform: Platform) =>
    JSON.stringify(platform.cluster.get("Job", platform.jobs.created.at(-1) ?? "")?.spec)

  it("is waited for by what older code cannot live with; everything else runs, if it is short", async () => {
    const platform = new Platform()
    platform.commit(window("days: [sun], from: '02:00', to: '05:00'"))
    platform.run({ log: resultLine({ waiting: ["0003"] }) })
    expect(await platform.deploy(contract)).toMatch(/^recipes +migrated .*0003 waits/m)
    expect(lastArguments(platform)).toContain('"--longest","30"')
    expect(lastArguments(platform)).not.toContain("--allow-breaking")
    expect(platform.said.join("\n")).toMatch(
      /takes longer than 30.0 s on the copy, waits for the maintenance window, Sun 02:00–05:00 \(UTC\), which opens next on Sunday 2026-03-08 02:00/,
    )
    expect(await platform.status()).toMatch(/0003 waits for the maintenance window, Sun/)
    expect(await platform.deploy(contract)).toMatch(
      /^recipes +unchanged .*0003 waits for the maintenance window/m,
    )
    expect(platform.jobs.created).toHaveLength(1)

    platform.commit(window("days: [mon], from: '09:00', to: '12:00'"))
    platform.run({ log: resultLine({ from: ["0002"], to: ["0003"] }) })
    expect(await platform.status()).toContain("0003 no longer waits")
    expect(await platform.deploy(contract)).toMatch(/^recipes +migrated .*0002 → 0003/m)
    expect(lastArguments(platform)).toContain("--allow-breaking")
    expect(lastArguments(platform)).not.toContain("--longest")
  })

  it("keeps no rollback of a database waiting", async () => {
    const platform = new Platform()
    await platform.deploy(schemaRelease("b"))
    platform.commit(window("days: [sun], from: '02:00', to: '05:00'"))
    await platform.takeBack({ to: "0001" }).catch(() => undefined)
    expect(lastArguments(platform)).toContain('"downgrade"')
  })
})

describe("the state of a database", () => {
  it("is shown with its revision, its last migration and its backup", async () => {
    const platform = new Platform()
    expect(await platform.status()).toContain("recipes, the database of api: never migrated by a deploy")
    await platform.migrate("b")
    const text = await platform.status()
    expect(text).toContain("recipes, the database of api: at 0002")
    expect(text).toMatch(/last: migrated at 2026-03-02T10:00:\S+ by dora: 0001 → 0002/)
    expect(text).toMatch(
      /backup: 2026-03-02T10-00-00Z-ab12cd, verified \S+, 12\.3 MB, at 0001, s3:\/\/backups/,
    )
  })

  it("says who migrates, and what to do when nobody followed it to its end", async () => {
    const platform = new Platform().run({ takes: 60_000 })
    const command = platform.command({ dies: 20 })
    await platform.cutOff(command)
    expect(await platform.status()).toMatch(/dora migrates it since 2026-03-02T10:00/)
    await platform.clock.pass(120_000)
    expect(await platform.status()).toContain("has ended, and nobody has recorded it: repeat the command")
  })
})

describe("a rollback of a database", () => {
  const takenBack = (change: object = {}) =>
    resultLine({ outcome: "downgraded", from: ["0003"], to: ["0002"], undone: ["0003"], ...change })

  /** Revision 1 of the api was built for 0002, revision 2 for 0003, and the first serves again. */
  async function withOldCode(): Promise<Platform> {
    const platform = new Platform()
    await platform.deploy(schemaRelease("b"))
    platform.run({ log: resultLine({ from: ["0002"], to: ["0003"] }) })
    await platform.deploy(schemaRelease("c"))
    await platform.rollback({}, onlyBackends(platform))
    return platform.run({ log: takenBack() })
  }

  const onlyBackends = (platform: Platform): Command => {
    const command = platform.command()
    return { ...command, components: command.opened.backends(["api"]) }
  }

  const lastArguments = (platform: Platform): string[] => {
    const job = platform.cluster.get("Job", platform.jobs.created.at(-1) ?? "")
    const { template } = (job?.spec ?? {}) as { template?: { spec: { containers: { args: string[] }[] } } }
    return template?.spec.containers[0]?.args ?? []
  }

  it("goes back to the migration that the serving code was built for, by the image that knows how", async () => {
    const platform = await withOldCode()
    expect(await platform.takeBack()).toMatch(
      /^recipes +downgraded .*back from 0003 to 0002, after the verified backup 2026-03-02T10-00-00Z-ab12cd; taken back: 0003/m,
    )
    const words = lastArguments(platform)
    expect(words.slice(0, 2)).toEqual(["database", "downgrade"])
    expect(words.join(" ")).toMatch(/ --backup s3:\/\/backups\/staging\/recipes --to 0002 --needed 0002$/)
    expect(JSON.stringify(platform.cluster.get("Job", platform.jobs.created.at(-1) ?? ""))).toContain("cccc")
    expect(platform.state).toMatchObject({
      heads: ["0002"],
      passed: expect.not.arrayContaining(["0003"]) as unknown,
    })
    expect((await platform.history())[0]).toMatchObject({ action: "rollback", outcome: "migrated" })
    expect(await platform.status()).toMatch(/recipes, the database of api: at 0002\n +last: downgraded/)
  })

  it("lets the next deploy migrate again", async () => {
    const platform = await withOldCode()
    await platform.takeBack()
    platform.run({ log: resultLine({ from: ["0002"], to: ["0003"] }) })
    expect(await platform.deploy(schemaRelease("c"))).toMatch(/^recipes +migrated .*0002 → 0003/m)
  })

  it("is refused while the code that serves was built for what it would undo", async () => {
    const platform = await withOldCode()
    await platform.rollback({ to: "2" }, onlyBackends(platform))
    await expect(platform.takeBack()).rejects.toThrow(
      /revision 2, which serves, was built for 0003, where the database is: take the code back first, with rollback --service api/,
    )
    // A migration that is named goes to the command, which knows what lies between.
    await platform.takeBack({ to: "0001" })
    expect(lastArguments(platform).join(" ")).toMatch(/ --to 0001 --needed 0003$/)
  })

  it("loses nothing without a reason, which the audit log keeps", async () => {
    const platform = await withOldCode()
    await platform.takeBack()
    expect(lastArguments(platform)).not.toContain("--lose-data")
    platform.run({ log: resultLine({ from: ["0002"], to: ["0003"] }) })
    await platform.deploy(schemaRelease("c"))
    await platform.rollback({}, onlyBackends(platform))
    platform.run({ log: takenBack() })
    await platform.takeBack({ loseData: "the column was never filled" })
    expect(lastArguments(platform)).toContain("--lose-data")
    expect((await platform.history())[0]).toMatchObject({
      overridden: { reason: "the column was never filled", guards: ["data-loss"] },
    })
  })

  it("is resumed where it was cut off, and no deploy takes it for its own migration", async () => {
    const platform = await withOldCode()
    platform.run({ log: takenBack(), takes: 120_000 })
    const command = platform.command({ dies: 20 })
    await platform.clock.until(Promise.race([command.dead, platform.takeBack({}, command)]))
    expect(platform.state.running).toMatchObject({ back: { to: "0002" } })
    await expect(platform.deploy(schemaRelease("c"))).rejects.toThrow(/the way back to 0002 that dora began/)
    expect(await platform.takeBack()).toMatch(/^recipes +downgraded/m)
    expect(platform.jobs.created.filter((name) => name.startsWith("recipes-revert-"))).toHaveLength(1)
    expect(platform.state.running).toBeUndefined()
  })

  it("that failed leaves the database where nobody knows, and is run again", async () => {
    const platform = await withOldCode()
    platform.run(failed({ message: "going back loses data: 0003 loses 3 rows of notes", from: ["0003"] }))
    await expect(platform.takeBack()).rejects.toThrow(/0003 loses 3 rows of notes/)
    expect(platform.state.heads).toBeUndefined()
    platform.run({ log: takenBack() })
    expect(await platform.takeBack({ loseData: "they are of a test" })).toMatch(/^recipes +downgraded/m)
  })

  it("says what is missing", async () => {
    const platform = new Platform()
    await expect(platform.takeBack()).rejects.toThrow(/never migrated by a deploy/)
    await platform.migrate("b")
    await expect(platform.takeBack()).rejects.toThrow(/no revision of api serves: name the migration/)
    expect(await platform.takeBack({ to: "0002" })).toMatch(/^recipes +unchanged .*at 0002 already/m)
    await expect(platform.takeBack({ to: "-1; rm" })).rejects.toThrow(/"-1; rm" is no id of a migration/)
  })

  it("is not what a service understands", async () => {
    const platform = await withOldCode()
    await expect(platform.rollback({ loseData: "x" }, onlyBackends(platform))).rejects.toThrow(
      /--lose-data is for databases/,
    )
    await expect(platform.rollback({ to: "0x2" }, onlyBackends(platform))).rejects.toThrow(
      /"0x2" is no revision; allowed: its number/,
    )
  })
})

describe("a restore of a database", () => {
  const restored = (change: object = {}): JobScript => ({
    log: resultLine({
      outcome: "restored",
      from: ["0003"],
      to: ["0003"],
      lost: { recipes: 3, users: -1 },
      message:
        "the backup 2026-03-02T10-00-00Z-ab12cd is in its place, and what was there is kept as recipes_replaced_1",
      ...change,
    }),
  })
  const id = "2026-03-02T10-00-00Z-ab12cd"

  async function deployed(script: JobScript = restored()): Promise<Platform> {
    const platform = new Platform().run({ log: resultLine({ from: ["0001"], to: ["0003"] }) })
    await platform.deploy(schemaRelease("c"))
    return platform.run(script)
  }

  it("has the image that migrated last restore and migrate to what the serving code was built for", async () => {
    const platform = await deployed()
    expect(await platform.restore(id)).toMatch(
      /^recipes +restored .*at 0003; the backup \S+ is in its place, and what was there is kept as recipes_replaced_1; rows that the backup lacks: recipes 3; rows that only the backup has: users 1/m,
    )
    expect(platform.words).toMatch(
      /^database restore .* --backup s3:\/\/backups\/staging\/recipes --id 2026-03-02T10-00-00Z-ab12cd --target 0003$/,
    )
    expect(platform.state).toMatchObject({ heads: ["0003"], passed: ["0003"] })
    expect((await platform.history())[0]).toMatchObject({
      action: "restore",
      outcome: "restored",
      reason: "rows are gone",
    })
    expect(await platform.status()).toMatch(/at 0003\n +last: restored at/)
  })

  it("takes a moment, with its offset", async () => {
    const platform = await deployed()
    await platform.restore("2026-03-02T11:30:00+01:00")
    expect(platform.words).toContain(" --before 2026-03-02T10:30:00Z ")
  })

  it.each(["2026-03-02T10:00:00", "2026-03-02", "yesterday", "", "2026-13-02T10:00:00Z", "latest; rm"])(
    "refuses %j, which is neither a backup nor a moment",
    async (to) => {
      const platform = await deployed()
      await expect(platform.restore(to)).rejects.toThrow(/is nothing to restore; allowed: the id of a backup/)
    },
  )

  it("needs a reason", async () => {
    const platform = await deployed()
    await expect(platform.restore(id, { reason: " " })).rejects.toThrow(/needs a reason/)
    expect(platform.jobs.created).toHaveLength(1)
  })

  it("forgets what only the replaced database had, so that the next deploy migrates again", async () => {
    const platform = await deployed(restored({ to: ["0001"] }))
    await platform.restore(id)
    expect(platform.state).toMatchObject({ heads: ["0001"], passed: ["0001"] })
    platform.run({ log: resultLine({ from: ["0001"], to: ["0003"] }) })
    expect(await platform.migrate("c")).toMatch(/^recipes +migrated/m)
  })

  it("only says what it would do, with a dry run", async () => {
    const platform = await deployed(
      restored({ outcome: "planned", backup: { ...backup, taken: "2026-03-02T09:00:00+00:00" } }),
    )
    expect(await platform.previewRestore(id)).toBe(
      "recipes: 2026-03-02T10-00-00Z-ab12cd can be restored, 1 tables with 3 rows as when it was taken, 2026-03-02 09:00 UTC, at 0001; rows that the backup lacks: recipes 3; rows that only the backup has: users 1; it is migrated to 0003 then. Nothing was changed.",
    )
    expect(platform.words).toMatch(/ --target 0003 --dry-run$/)
    expect(platform.state.runs).toHaveLength(1)
    platform.run(failed({ step: "plan", message: "the role recipes lacks CREATEDB" }))
    await expect(platform.previewRestore(id)).rejects.toThrow(
      /cannot be restored: plan failed: .*lacks CREATEDB/,
    )
  })

  it("is resumed where it was cut off, by its own command only", async () => {
    const platform = await deployed({ ...restored(), takes: 120_000 })
    const command = platform.command({ dies: 32 })
    await platform.clock.until(Promise.race([command.dead, platform.restore(id, {}, command)]))
    expect(platform.state.running).toMatchObject({ restore: { point: { backup: id } } })
    const begun = platform.words
    await expect(platform.deploy(schemaRelease("c"))).rejects.toThrow(
      /the restore of the backup 2026\S+ that dora began .* is under way/,
    )
    await expect(platform.restore("2026-03-02T10:00:00Z")).rejects.toThrow(/is under way/)
    expect(await platform.restore(id)).toMatch(/^recipes +restored/m)
    expect(platform.words).toBe(begun)
    expect(platform.state.running).toBeUndefined()
  })

  it("goes on with its own copy after a failure, and not after a success", async () => {
    const operation = (words: string) => / --operation (\S+)/.exec(words)?.[1]
    const platform = await deployed(failed({ step: "switch", message: "somebody holds it" }))
    await expect(platform.restore(id)).rejects.toThrow(/switch failed: somebody holds it/)
    expect(platform.state.heads).toBeUndefined()
    expect((await platform.history())[0]).toMatchObject({ action: "restore", outcome: "failed" })
    const first = operation(platform.words)
    platform.run(restored())
    await platform.restore(id)
    expect(operation(platform.words)).toBe(first)
    await platform.restore(id)
    expect(operation(platform.words)).not.toBe(first)
  })

  it("waits for no calendar and no gates, but for a second person where one is required", async () => {
    const platform = new Platform()
    const production = { environment: "production" } as const
    platform.commit(`
environments:
  production:
    guards: { timezone: UTC, hours: { days: [sat], from: "01:00", to: "02:00" }, freezes: [{ from: "2026-01-01T00:00:00Z", to: "2026-12-31T00:00:00Z", reason: races }], checks: required, approval: { required: true, validFor: 1h } }
`)
    const [database] = platform.command(production).opened.databases(["recipes"])
    if (!database) throw new Error("no database")
    await platform.clock.until(
      database.migrated.stateRecord().write({
        schemaVersion: 1,
        passed: ["0003"],
        heads: ["0003"],
        runs: [
          {
            id: "first",
            image: image("c"),
            by: "dora",
            reason: "",
            began: "2026-03-01T10:00:00Z",
            ended: "2026-03-01T10:00:00Z",
            outcome: "migrated",
            from: [],
            to: ["0003"],
            message: "",
          },
        ],
      }),
    )
    platform.run(restored())
    const refusal = await platform.restore(id, production).catch((error: unknown) => (error as Error).message)
    expect(refusal).toMatch(/^It may not start:\n {2}approval: no approval for recipes@sha256:cccc/)
    expect(refusal).not.toMatch(/hours|freeze|checks/)
    const { events } = await platform.trail("production")
    const asked = events.filter(({ kind }) => kind === "refused").at(-1)
    expect(asked).toMatchObject({ action: "restore", request: { restore: { backup: id } } })
    const recorded = requestOf(events, asked?.operation ?? "")
    const approver = platform.command({ ...production, who: "ada" })
    const [wanted] = approver.opened.databases(["recipes"])
    if (!wanted) throw new Error("no database")
    // An approval of one backup is none of another one, and none of a migration.
    for (const other of [wanted.restore("2026-03-02T10:00:00Z"), wanted])
      expect(() => {
        refuseOtherSettings(recorded, [other])
      }).toThrow(/other settings of recipes/)
    refuseOtherSettings(recorded, [wanted.restore(id)])
    const [{ digest, contents } = { digest: "", contents: { settings: "", secrets: "" } }] =
      recorded.components
    const at = platform.cluster.now()
    platform.approvals(
      approvalEntries({
        id: "by-ada",
        by: "ada",
        at,
        expires: at + 3_600_000,
        digests: { recipes: digest },
        contents: { recipes: contents },
      }),
    )
    expect(await platform.restore(id, production)).toMatch(/^recipes +restored/m)
    await expect(platform.restore("2026-03-02T10:00:00Z", production)).rejects.toThrow(
      /no approval for recipes/,
    )
  })
})

describe("a database in production", () => {
  it("needs an approval of the migration, and is refused by the same guards as a deploy", async () => {
    const platform = new Platform()
    const refusal = platform.migrate("b", { environment: "production" })
    await expect(refusal).rejects.toThrow(/approval: no approval for recipes@sha256:bbbb/)
    expect(platform.jobs.created).toEqual([])
  })
})

describe("the search for drift", () => {
  const compared = (change: object = {}) =>
    resultLine({ outcome: "compared", from: ["0002"], to: ["0002"], backup: null, ...change })
  const differences = ["index slow is left over", "sequence numbers is left over"]
  const drifted: JobScript = {
    end: "Failed",
    log: compared({
      outcome: "failed",
      step: "compare",
      message: `the database is not what its migrations make: ${differences.join("; ")}`,
      differences,
    }),
  }

  async function deployed(script: JobScript): Promise<Platform> {
    const platform = new Platform()
    await platform.deploy(schemaRelease("b"))
    return platform.run(script)
  }

  it("finds none, and status says when", async () => {
    const platform = await deployed({ log: compared() })
    expect(await platform.drift()).toBe("recipes: at 0002, as its migrations and models say")
    expect(await platform.status()).toMatch(/ drift: none at 2026-03-02T10:/)
    expect((await platform.history())[0]).toMatchObject({ action: "drift", outcome: "verified" })
  })

  it("names every difference, also in status, through the next migration", async () => {
    const platform = await deployed(drifted)
    await expect(platform.drift()).rejects.toThrow(
      /recipes: compare failed: .*index slow is left over; sequence/,
    )
    expect(await platform.status()).toMatch(
      / drift at 2026\S+: index slow is left over; sequence numbers is left over/,
    )
    expect((await platform.history())[0]).toMatchObject({ action: "drift", outcome: "failed" })
    platform.run({ log: resultLine({ from: ["0002"], to: ["0003"] }) })
    await platform.deploy(schemaRelease("c"))
    expect(await platform.status()).toContain("index slow is left over")
    platform.run({ log: compared({ to: ["0003"] }) })
    await platform.drift()
    expect(await platform.status()).not.toContain("left over")
  })

  it("that ended without a result says nothing of the database", async () => {
    const platform = await deployed({ log: "" })
    await expect(platform.drift()).rejects.toThrow(/recipes: it ended without saying how/)
    expect(await platform.status()).not.toContain("drift")
    expect((await platform.history())[0]).toMatchObject({ action: "drift", outcome: "failed" })
  })

  it("takes no result of another command for one", async () => {
    const platform = await deployed({ log: resultLine() })
    await expect(platform.drift()).rejects.toThrow(/recipes/)
    expect(await platform.status()).not.toContain("drift: none")
  })
})

describe("a backup of a database", () => {
  const backedUp = (change: object = {}): JobScript => ({
    log: resultLine({
      outcome: "backed-up",
      from: ["0002"],
      to: ["0002"],
      backup: { ...backup, taken: "2026-03-02T10:00:00+00:00" },
      removed: ["2026-01-02T10-00-00Z-0a1b2c"],
      ...change,
    }),
  })

  async function deployed(script: JobScript): Promise<Platform> {
    const platform = new Platform()
    await platform.deploy(schemaRelease("b"))
    return platform.run(script)
  }

  it("is made, proven and shown, and says which have expired", async () => {
    const platform = await deployed(backedUp())
    await platform.clock.pass(3_600_000)
    expect(await platform.backUp()).toMatch(
      /^recipes: the backup 2026-03-02T10-00-00Z-ab12cd was made and can be restored: 1 tables with 3 rows .*; expired and removed: 2026-01-02T10-00-00Z-0a1b2c$/,
    )
    expect(platform.words).toMatch(
      /^database backup .* --operation [0-9a-f]{16} --backup s3:\/\/backups\/staging\/recipes --verify --keep-days 30 --keep-count 7$/,
    )
    expect(platform.state.backup).toMatchObject({
      verified: expect.stringMatching(/^2026-03-02T11:/) as string,
    })
    expect((await platform.history())[0]).toMatchObject({ action: "backup", outcome: "verified" })
  })

  it("is good although old ones were not removed, and says why", async () => {
    const platform = await deployed(backedUp({ removed: [], unpruned: "one is of another database" }))
    expect(await platform.backUp()).toMatch(/can be restored: .*; not removed: one is of another/)
  })

  it("that is not good, or is somebody else's result, is none", async () => {
    const platform = await deployed(failed({ step: "verify-backup", message: "a file is damaged" }))
    await expect(platform.backUp()).rejects.toThrow(
      /no verified backup: verify-backup failed: a file is damaged/,
    )
    platform.run(backedUp({ backup: { ...backup, verified: false } }))
    await expect(platform.backUp()).rejects.toThrow(/no verified backup/)
    expect((await platform.history())[0]).toMatchObject({ action: "backup", outcome: "failed" })
  })

  it("is made while somebody works on the database, which status does not wait for", async () => {
    const platform = await deployed(backedUp())
    const [database] = platform.command({ who: "ada" }).opened.databases(["recipes"])
    const locked = await platform.clock.until(database?.lock() ?? Promise.reject(new Error("no database")))
    expect(await platform.backUp()).toMatch(/was made and can be restored/)
    expect(platform.said.join("\n")).toMatch(/status does not show this, because the database is in use/)
    await locked.unlock()
  })
})

describe("the test of a backup", () => {
  const verified = (more = {}) =>
    resultLine({
      outcome: "verified",
      from: ["0001"],
      to: ["0001"],
      backup: { ...backup, taken: "2026-03-02T09:00:00+00:00", rows: { recipes: 1_200, users: 34 }, ...more },
    })

  it("says what is in it, changes nothing that is known of the database, and is in the history", async () => {
    const platform = new Platform().run({})
    await platform.deploy(schemaRelease("b"))
    const before = JSON.stringify(platform.state)
    platform.run({ log: verified() })
    expect(await platform.verifyBackup()).toBe(
      `recipes: the backup ${backup.id} can be restored: 2 tables with 1,234 rows as when it was taken, 2026-03-02 09:00 UTC, at ${backup.heads.join(", ")}`,
    )
    expect(JSON.stringify(platform.state)).toBe(before)
    expect((await platform.history())[0]).toMatchObject({ action: "verify-backup", outcome: "verified" })
    expect(platform.jobs.created.at(-1)).toMatch(/^recipes-verify-/)
  })

  it.each<[string, JobScript, RegExp]>([
    [
      "its own verdict",
      { end: "Failed", log: resultLine({ outcome: "failed", step: "verify-backup", message: "t1 differs" }) },
      /recipes: no verified backup: verify-backup failed: t1 differs/,
    ],
    ["no result", { log: "" }, /no verified backup: it ended without saying how/],
    [
      "a result that names none",
      { log: resultLine({ outcome: "verified", backup: null }) },
      /no verified backup/,
    ],
    ["one that is not verified", { log: verified({ verified: false }) }, /no verified backup/],
    ["the result of a migration", { log: resultLine() }, /no verified backup/],
  ])("fails by %s, and the history says so", async (_, script, message) => {
    const platform = new Platform().run({})
    await platform.deploy(schemaRelease("b"))
    platform.run(script)
    await expect(platform.verifyBackup()).rejects.toThrow(message)
    expect((await platform.history())[0]).toMatchObject({ action: "verify-backup", outcome: "failed" })
  })

  it("that the cluster refuses is recorded as one that failed", async () => {
    const platform = new Platform().run({})
    await platform.deploy(schemaRelease("b"))
    const refused = platform.verifyBackup(undefined, refusingJobs(platform))
    await expect(refused).rejects.toThrow(/no verified backup: the cluster refuses .*nobody has approved/)
    expect((await platform.history())[0]).toMatchObject({ action: "verify-backup", outcome: "failed" })
  })

  it.each([
    ["newest; rm -rf /", /"newest; rm -rf \/" is no id of a backup; allowed: such as 2026-/],
    ["--lose-data", /is no id of a backup/],
  ])("refuses the id %s", async (id, message) => {
    const platform = new Platform().run({})
    await platform.deploy(schemaRelease("b"))
    await expect(platform.verifyBackup(id)).rejects.toThrow(message)
  })

  it("needs an image of the service", async () => {
    await expect(new Platform().run({}).verifyBackup()).rejects.toThrow(/api was never deployed/)
  })
})
