// Backups of kind rds: commands on a fake cluster whose Jobs run by themselves, with an RDS that is in memory.
import { describe, expect, it } from "vitest"
import { RdsError } from "../../src/databases/rds/client.js"
import type { Database } from "../../src/databases/database.js"
import { restore } from "../../src/delivery/executor.js"
import { type Command, type CommandOptions, FakePlatform } from "../delivery/fake-platform.js"
import { backup, FakeJobs, type JobScript, resultLine } from "./fixtures.js"
import { FakeRds, snapshot, source } from "./rds/fixtures.js"

const settings = `
services:
  api:
    database:
      name: recipes
      backup: { kind: rds, bucket: backups, region: eu-central-1, instance: recipes-staging, keep: { days: 30, count: 1 } }
`

/** What the image says by default, by the mode of its Job. */
const said = (name: string, id: string): JobScript => {
  const seen = { outcome: "observed", to: ["0001"], backup: { ...backup, id, verified: false } }
  const [, mode = ""] = /^recipes-([a-z]+)-/.exec(name) ?? []
  const results: Record<string, object> = {
    before: seen,
    after: seen,
    compare: { outcome: "verified", to: ["0001"], backup: { ...backup, id, changed: ["visits"] } },
    prune: { outcome: "pruned", to: [], backup: null, removed: ["2025-01-01T00-00-00Z-000000"] },
    migrate: {},
    verify: { outcome: "verified", backup: { ...backup, id } },
  }
  return { log: resultLine(results[mode]), takes: 3_000 }
}

const failing = (message: string): JobScript => ({
  end: "Failed",
  log: resultLine({ outcome: "failed", step: "compare", message, backup: null }),
})

class Platform extends FakePlatform {
  readonly jobs = new FakeJobs(this.cluster, this.clock)
  readonly amazon = new FakeRds()
  /** Addresses of databases that Jobs were given. */
  readonly addresses: string[] = []
  private made = 0
  /** Replaces what the image says. */
  script: (name: string) => JobScript | undefined = () => undefined

  constructor() {
    super()
    this.commit(settings)
    this.rds = () => this.amazon
    this.cluster.watchers.push(({ kind, data }) => {
      const address = kind === "Secret" ? data?.database_url : undefined
      if (address !== undefined) this.addresses.push(Buffer.from(address, "base64").toString())
    })
    this.jobs.script = ({ metadata }) => {
      const { name = "" } = metadata ?? {}
      if (name.startsWith("recipes-before-")) this.made++
      return this.script(name) ?? said(name, this.id)
    }
  }

  /** Of the newest backup. */
  get id(): string {
    const at = new Date(this.cluster.now()).toISOString().slice(0, 10)
    return `${at}T10-00-0${Math.max(1, this.made)}Z-ab12cd`
  }

  /** With an image that serves; what its deploy did counts for nothing here. */
  async deployed(): Promise<this> {
    await this.deploy("a")
    this.jobs.created.length = 0
    this.addresses.length = 0
    return this
  }

  database(options: CommandOptions = {}, command: Command = this.command(options)): Database {
    const [database] = command.opened.databases(["recipes"])
    if (!database) throw new Error("no database")
    return database
  }

  backUp(command?: Command): Promise<string> {
    return this.clock.until(this.database({}, command).backUp())
  }

  get modes(): string[] {
    return this.jobs.created.flatMap((name) => /^recipes-([a-z]+)-/.exec(name)?.[1] ?? [])
  }

  get instances(): (string | undefined)[] {
    return this.amazon.all.map(({ DBInstanceIdentifier }) => DBInstanceIdentifier)
  }

  async audited(): Promise<string[]> {
    const { events } = await this.trail("staging")
    const own = events.filter(
      ({ component, action }) => component.kind === "database" && action !== "migrate",
    )
    return own.map(({ kind }) => kind)
  }
}

describe("a backup of kind rds", () => {
  it("is a snapshot that was restored beside the database, compared there, and recorded", async () => {
    const platform = await new Platform().deployed()
    const text = await platform.backUp()
    expect(text).toContain(
      `recipes: the backup ${platform.id} was made and can be restored: 1 tables with 3 rows`,
    )
    expect(text).toContain("changed while it was taken, so read in whole and not compared: visits")
    expect(text).toContain("expired and removed: 2025-01-01T00-00-00Z-000000")
    expect(platform.modes).toEqual(["before", "after", "compare", "prune"])
    const restored = `recipes-${platform.id.toLowerCase()}`
    expect([...new Set(platform.addresses)]).toEqual([
      "postgresql://recipes@db/recipes",
      `postgresql://recipes@${restored}.rds.example.com:5433/recipes`,
    ])
    // Only the snapshot stays.
    expect(platform.instances).toEqual(["recipes-staging"])
    expect(platform.amazon.taken.map(({ TagList = [] }) => TagList.map(({ Key }) => Key))).toEqual([
      ["pitwall:environment", "pitwall:database", "pitwall:backup", "pitwall:verified"],
    ])
    expect(await platform.audited()).toEqual(["backup-verified"])
    const status = await platform.database().status()
    expect(status.text).toContain(`backup: ${platform.id}, verified`)
    expect(status.text).toContain("536.9 GB")
    expect(platform.cluster.get("Lease", "database-recipes-backup")?.spec?.holderIdentity ?? null).toBeNull()
  })

  it("that differs is no backup: its instance is removed, nothing expires, and the next one makes another", async () => {
    const platform = await new Platform().deployed()
    const old = "2025-01-01T00-00-00Z-000000"
    platform.amazon.taken = [
      snapshot({ tags: { "pitwall:backup": old, "pitwall:verified": "2025-01-01T01:00:00Z" } }),
    ]
    platform.script = (name) =>
      name.includes("-compare-") ? failing("table recipes has 2 rows instead of 3") : undefined
    await expect(platform.backUp()).rejects.toThrow(
      /^recipes: no verified backup: compare failed: table recipes has 2 rows instead of 3/,
    )
    expect(platform.instances).toEqual(["recipes-staging"])
    expect(platform.amazon.changes.join()).not.toContain("deleteSnapshot")
    expect(await platform.audited()).toEqual(["backup-not-verified"])
    platform.script = () => undefined
    const first = platform.id
    expect(await platform.backUp()).toContain("was made and can be restored")
    expect(platform.id).not.toBe(first)
    // Behind a good one, an old one expires; the refused one is young.
    expect(platform.amazon.taken).toHaveLength(2)
  })

  it.each([
    ["createSnapshot", "SnapshotQuotaExceeded", "the account has as many manual snapshots"],
    ["restore", "InstanceQuotaExceeded", "the account has as many DB instances"],
  ])("for which %s is over a quota says so, and removes nothing", async (action, code, message) => {
    const platform = await new Platform().deployed()
    platform.amazon.before = (asked) =>
      asked === action ? Promise.reject(new RdsError(code, `cannot do it: ${message}`)) : Promise.resolve()
    await expect(platform.backUp()).rejects.toThrow(`recipes: no verified backup: cannot do it: ${message}`)
    expect(platform.amazon.changes.join()).not.toContain("delete")
    expect(await platform.audited()).toEqual(["backup-not-verified"])
    platform.amazon.before = () => Promise.resolve()
    expect(await platform.backUp()).toContain("was made and can be restored")
    expect(platform.amazon.taken).toHaveLength(1)
  })

  it("whose snapshot is never available ends, and another command makes another", async () => {
    const platform = await new Platform().deployed()
    platform.amazon.snapshotStatuses = ["creating", "failed"]
    await expect(platform.backUp()).rejects.toThrow(
      /no verified backup: .* will never be available: its status is failed/,
    )
    platform.amazon.snapshotStatuses = ["available"]
    expect(await platform.backUp()).toContain("was made and can be restored")
    expect(platform.modes.filter((mode) => mode === "before")).toHaveLength(2)
  })

  it("whose restored instance has other settings is not verified, and its instance is removed", async () => {
    const platform = await new Platform().deployed()
    platform.amazon.defaults = { MultiAZ: false }
    await expect(platform.backUp()).rejects.toThrow(
      /no verified backup: .* does not have the settings of recipes-staging: Multi-AZ: false instead of true/,
    )
    expect(platform.instances).toEqual(["recipes-staging"])
    expect(platform.modes).not.toContain("compare")
  })

  it("is good although old ones cannot be removed, and says why", async () => {
    const platform = await new Platform().deployed()
    platform.script = (name) => (name.includes("-prune-") ? failing("the bucket refuses") : undefined)
    const text = await platform.backUp()
    expect(text).toMatch(/was made and can be restored.*not removed: .*the bucket refuses/)
  })

  it("whose instance cannot be removed names it, and the next one removes it", async () => {
    const platform = await new Platform().deployed()
    platform.amazon.before = (asked) =>
      asked === "deleteInstance" ? Promise.reject(new Error("it is busy")) : Promise.resolve()
    expect(await platform.backUp()).toMatch(/; not removed: .*it is busy; the next backup removes it$/)
    expect(platform.instances).toHaveLength(2)
    platform.amazon.before = () => Promise.resolve()
    await platform.backUp()
    expect(platform.instances).toEqual(["recipes-staging"])
  })

  it("is made by one command at a time", async () => {
    const platform = await new Platform().deployed()
    const [one, other] = [platform.backUp(), platform.backUp()]
    const results = await Promise.allSettled([one, other])
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"])
    const rejected = results.find(({ status }) => status === "rejected") as PromiseRejectedResult
    expect(String(rejected.reason)).toMatch(/being backed up/)
    expect(platform.amazon.taken).toHaveLength(1)
  })
})

describe("a backup of kind rds whose command is killed", () => {
  const actions = ["createSnapshot", "restore", "modify", "tag", "deleteInstance", "deleteSnapshot"]
  const cases = actions.flatMap((action) => [false, true].map((after) => ({ action, after })))

  it.each(cases)("at $action (handled: $after) is gone on with, and no instance is left", async (one) => {
    const platform = await new Platform().deployed()
    const { amazon } = platform
    const tags = {
      "pitwall:backup": "2025-01-01T00-00-00Z-000000",
      "pitwall:verified": "2025-01-01T01:00:00Z",
    }
    amazon.taken = [snapshot({ tags })]
    const command = platform.command()
    let reached = false
    amazon.before = (asked) => {
      // Hangs at the request, or at the one behind it; its lease is renewed no longer.
      const dies = reached || (asked === one.action && !one.after)
      reached ||= asked === one.action
      if (!dies) return Promise.resolve()
      command.kill()
      return new Promise<never>(() => undefined)
    }
    const killed = platform.database({}, command).backUp()
    await platform.clock.until(Promise.race([command.dead, killed]))
    expect(reached).toBe(true)
    amazon.before = () => Promise.resolve()
    expect(await platform.backUp()).toContain("was made and can be restored")
    expect(platform.instances).toEqual(["recipes-staging"])
    const verified = amazon.taken.filter(({ TagList = [] }) =>
      TagList.some(({ Key }) => Key === "pitwall:verified"),
    )
    // A second one only where the first had been verified when its command was killed; the expired one is gone.
    const hadEnded = one.action.startsWith("delete") || (one.action === "tag" && one.after)
    expect([amazon.taken.length, verified.length]).toEqual(hadEnded ? [2, 2] : [1, 1])
  })
})

describe("verify-backup of kind rds", () => {
  const id = "2026-03-02T10-00-00Z-ab12cd"

  it("restores the newest that was verified, compares it and removes the instance", async () => {
    const platform = await new Platform().deployed()
    platform.script = (name) => said(name, id)
    platform.amazon.taken = [snapshot({ tags: { "pitwall:verified": "2026-03-02T11:00:00Z" } })]
    const text = await platform.clock.until(platform.database().verifyBackup())
    expect(text).toContain(`the backup ${id} can be restored`)
    expect(platform.modes).toEqual(["compare"])
    expect(platform.instances).toEqual(["recipes-staging"])
    expect(await platform.audited()).toEqual(["backup-verified"])
  })

  it("says that there is none, and takes a dump by its id", async () => {
    const platform = await new Platform().deployed()
    platform.amazon.taken = [snapshot()]
    await expect(platform.clock.until(platform.database().verifyBackup())).rejects.toThrow(
      "there is no snapshot of recipes-staging that was verified",
    )
    const dump = "2026-03-01T10-00-00Z-ab12cd"
    await platform.clock.until(platform.database().verifyBackup(dump))
    expect(platform.modes).toEqual(["verify"])
  })

  it("is recorded as failed, and proves nothing, when RDS does not say whose backup an id is", async () => {
    const platform = await new Platform().deployed()
    platform.amazon.before = () => Promise.reject(new RdsError("Throttling", "cannot list the snapshots"))
    await expect(platform.clock.until(platform.database().verifyBackup(id))).rejects.toThrow(
      "recipes: no verified backup: cannot list the snapshots",
    )
    expect(platform.modes).toEqual([])
    expect(await platform.audited()).toEqual(["backup-not-verified"])
  })

  it("takes the newest that was good the last time", async () => {
    const platform = await new Platform().deployed()
    platform.script = (name) => (name.includes("-compare-") ? failing("a row is missing") : undefined)
    const older = "2026-03-01T10-00-00Z-ab12cd"
    const marks = { "pitwall:verified": "2026-03-01T11:00:00Z" }
    platform.amazon.taken = [
      snapshot({ tags: marks }),
      snapshot({ tags: { ...marks, "pitwall:backup": older } }),
    ]
    await expect(platform.clock.until(platform.database().verifyBackup())).rejects.toThrow("a row is missing")
    platform.script = (name) => said(name, older)
    await platform.clock.until(platform.database().verifyBackup())
    const restored = platform.amazon.changes.filter((change) => change.startsWith("restore "))
    expect(restored).toEqual([id, older].map((one) => `restore recipes-${one.toLowerCase()}`))
  })
})

describe("restore with backups of kind rds", () => {
  it("refuses a snapshot and a moment before anything begins, and says what is possible", async () => {
    const platform = await new Platform().deployed()
    const taken = "2026-03-02T10-00-00Z-ab12cd"
    platform.amazon.taken = [snapshot()]
    const { jobs, clock } = platform
    const command = platform.command()
    const run = (to: string) =>
      clock.until(
        restore(command, platform.database().restore(to), { reason: "rows are gone", override: "" }),
      )
    await expect(run(taken)).rejects.toThrow(
      /is the snapshot pitwall-staging-recipes-.*putting a snapshot into the place of the database is not possible yet/,
    )
    await expect(run("2026-03-02T12:00:00Z")).rejects.toThrow(
      /a moment is not possible with backups of kind rds/,
    )
    await expect(clock.until(platform.database().restore(taken).preview())).rejects.toThrow(
      /not possible yet/,
    )
    expect(jobs.created).toEqual([])
  })
})

describe("the settings of an instance that serves elsewhere", () => {
  it("make no backup: what is restored must not be the database itself", async () => {
    const platform = await new Platform().deployed()
    platform.amazon.all = [source({ Endpoint: { Address: "other", Port: 5432 } })]
    platform.amazon.defaults = { Endpoint: { Address: "db", Port: 5432 } }
    await expect(platform.backUp()).rejects.toThrow(/has the address of the database itself, db/)
  })
})
