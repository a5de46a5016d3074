// Changes databases with millions of rows while their services answer requests, each change twice: by the services' own runner and by plain
// `alembic upgrade head`. Prints what became of the requests, as Markdown tables.
//
//   node scripts/bench/migrations.mjs [--database recipes] [--case "add column"] [--rows 5000000] [--rate 200] [--seconds 10] [--reader 8]
//                                     [--python recipes=PATH] [--python f1=PATH]
//
// --database, --case: which ones, again for more; all without them · --rows: in one table of each database · --rate: requests a second; a machine that does
// not bear it gets 60 % of what it bears, and the rate is printed · --seconds: of load before a change · --reader: seconds for which a reading transaction
// stays in the way after a change has connected; 0 for none · --python: an interpreter with a service's packages; without it they are installed, which takes
// minutes.
//
// Each change has a fresh copy of the data and a fresh process of the service, without Redis, so that each read reaches PostgreSQL. Requests are due at a
// constant rate, and the time of an answer counts from when its request was due. `before` is the load alone, `during` lasts from the start of the command
// until 2 s behind its end. `lock waits` are the seconds in which a session of the service waited for a lock, and the most sessions that did at once.
// Needs Linux, PostgreSQL 15 and 12 GB of disk for 5 million rows. With BENCH_WORK, the databases are kept for the next run.
import { createHash, randomBytes } from "node:crypto"
import { once } from "node:events"
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { workFolder } from "./checkout.mjs"
import { startLoad, summarise } from "./load.mjs"
import { cases, databases, migrationFile, plainEnvironment } from "./migration-cases.mjs"
import { freePort, start, startPostgres, watchSessions } from "./postgres.mjs"

/** @typedef {import("./migration-cases.mjs").Database} Database @typedef {import("./migration-cases.mjs").Case} Case */

const services = fileURLToPath(new URL("../../services", import.meta.url))
const options = read()

/** What was asked for. Ends with 2 when it is not possible. */
function read() {
  try {
    const { values } = parseArgs({
      options: {
        database: { type: "string", multiple: true, default: Object.keys(databases) },
        case: { type: "string", multiple: true, default: Object.keys(cases) },
        rows: { type: "string", default: "5000000" },
        rate: { type: "string", default: "200" },
        seconds: { type: "string", default: "10" },
        reader: { type: "string", default: "8" },
        python: { type: "string", multiple: true, default: [] },
      },
    })
    /** @param {"rows" | "rate" | "seconds" | "reader"} name @param {number} least */
    const number = (name, least) => {
      const value = Number(values[name])
      if (Number.isInteger(value) && value >= least) return value
      throw new Error(`--${name} ${values[name]} is not a whole number of at least ${least}`)
    }
    /** @param {string} name @param {string[]} given @param {string[]} allowed */
    const known = (name, given, allowed) => {
      const wrong = given.find((each) => !allowed.includes(each))
      if (wrong !== undefined) throw new Error(`--${name} ${wrong} is none of ${allowed.join(", ")}`)
      return given
    }
    const pythons = values.python.map((each) => each.split("="))
    known(
      "python",
      pythons.map(([name]) => String(name)),
      Object.keys(databases),
    )
    const missing = pythons.find(([, path]) => path === undefined || !existsSync(path))
    if (missing) throw new Error(`--python ${missing.join("=")} is not NAME=PATH of an interpreter`)
    return {
      databases: known("database", values.database, Object.keys(databases)),
      cases: known("case", values.case, Object.keys(cases)),
      rows: number("rows", 1_000),
      rate: number("rate", 1),
      seconds: number("seconds", 1),
      reader: number("reader", 0),
      pythons: new Map(pythons.map(([name, path]) => [name, path])),
    }
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exit(2)
  }
}

for (const name of readdirSync(tmpdir()).filter((name) => name.startsWith("pitwall-bench-"))) {
  // What a killed run left: its processes ended with it, its folder could not.
  const owner = join(tmpdir(), name, "owner")
  if (existsSync(owner) && !existsSync(`/proc/${readFileSync(owner, "utf8")}`)) {
    rmSync(join(tmpdir(), name), { recursive: true, force: true })
  }
}
const { work, done } = workFolder(() => undefined)
writeFileSync(join(work, "owner"), String(process.pid))
const key = randomBytes(24).toString("hex")
const note = (/** @type {string} */ text) =>
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)

/** @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set()
/** @type {Awaited<ReturnType<typeof startPostgres>> | undefined} */
let server
async function end() {
  for (const child of running) child.kill("SIGKILL")
  await server?.stop()
  done()
}
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
  process.once(signal, () => {
    void end().finally(() => process.exit(130))
  })
}

/**
 * Starts a program of a service. What it writes is in `log`.
 *
 * @param {string} python @param {string} path of packages @param {string[]} args @param {string} url of the database @param {string} name of its sessions
 * @param {Record<string, string>} more variables
 */
function python(python, path, args, url, name, more = {}) {
  const log = join(work, `${name}.log`)
  const file = openSync(log, "w")
  const child = start([python, ...args], {
    stdio: ["ignore", file, file],
    cwd: work,
    env: {
      PATH: process.env.PATH,
      PYTHONPATH: `${path}:${join(services, "servicekit/src")}`,
      PYTHONPYCACHEPREFIX: join(work, "pycache"),
      DATABASE_URL: url,
      PGAPPNAME: name,
      // Nothing listens there.
      REDIS_URL: "redis://127.0.0.1:1/0",
      JWT_SECRET_KEY: key,
      ...more,
    },
  })
  closeSync(file)
  running.add(child)
  const ended = once(child, "close").then(([status]) => {
    running.delete(child)
    return { status: Number(status), output: readFileSync(log, "utf8") }
  })
  return { child, ended, log }
}

/** Runs a program of a service to its end. @param {Parameters<typeof python>} args */
async function run(...args) {
  const { status, output } = await python(...args).ended
  if (status !== 0) throw new Error(`${args[2].join(" ")} ended with ${status}: ${output.slice(-3000)}`)
  return output
}

/** An interpreter with the packages of a service's lock. @param {Database} database @param {string} name @returns {Promise<string>} */
async function interpreter(database, name) {
  const given = options.pythons.get(name)
  if (given !== undefined) return given
  const lock = join(services, database.folder, "requirements.txt")
  const stamp = createHash("sha256").update(readFileSync(lock)).digest("hex").slice(0, 12)
  const venv = join(work, `venv-${name}-${stamp}`)
  const found = join(venv, "bin/python")
  if (!existsSync(join(venv, "complete"))) {
    note(`installing the packages of ${database.folder}`)
    await run("python3", "", ["-m", "venv", venv], "", "install")
    await run(found, "", ["-m", "pip", "install", "-q", "--require-hashes", "-r", lock], "", "install")
    writeFileSync(join(venv, "complete"), "")
  }
  return found
}

/** The service as it is. @param {Database} database */
const source = (database) => join(services, database.folder, "src")

/** The newest revision of a service's migrations. @param {Database} database */
function head(database) {
  const folder = join(source(database), database.package, "migrations/versions")
  const texts = readdirSync(folder)
    .filter((file) => file.endsWith(".py"))
    .map((file) => readFileSync(join(folder, file), "utf8"))
  const before = new Set(texts.map((text) => /^down_revision = "(.*)"$/m.exec(text)?.[1]))
  const heads = texts
    .map((text) => /^revision = "(.*)"$/m.exec(text)?.[1])
    .filter((each) => !before.has(each))
  const [found] = heads
  if (heads.length !== 1 || found === undefined) {
    throw new Error(`${folder} has ${heads.length} newest revisions: ${heads.join(", ")}`)
  }
  return found
}

/**
 * A copy of the service's package, with more migrations and changes.
 *
 * @param {Database} database @param {string} name @param {string[]} bodies of its migrations
 */
function release(database, name, bodies) {
  const folder = join(work, name)
  rmSync(folder, { recursive: true, force: true })
  const found = join(folder, database.package)
  cpSync(join(source(database), database.package), found, { recursive: true })
  let before = head(database)
  const revisions = bodies.map((body, at) => {
    const revision = `bench_${at + 1}`
    writeFileSync(join(found, `migrations/versions/${revision}.py`), migrationFile(revision, before, body))
    return (before = revision)
  })
  return { folder, found, revisions }
}

/**
 * Starts a service and waits until it answers.
 *
 * @param {Database} database @param {string} interpreter @param {string} path @param {string} url @param {import("./load.mjs").Ask} first
 */
async function serve(database, interpreter, path, url, first) {
  const port = await freePort()
  const models = join(work, "models")
  mkdirSync(models, { recursive: true })
  const name = "service"
  const { child, ended, log } = python(interpreter, path, ["-m", database.package, "serve"], url, name, {
    HOST: "127.0.0.1",
    PORT: String(port),
    MODEL_DIR: models,
    DRAIN_SECONDS: "1",
    KEEP_ALIVE_LINGER_SECONDS: "1",
    // All requests come from one address.
    RATE_LIMIT_WRITES: "1000000/minute",
  })
  for (let tries = 0; ; tries++) {
    if (child.exitCode !== null || tries > 600) {
      throw new Error(`${database.package} did not start: ${readFileSync(log, "utf8").slice(-3000)}`)
    }
    const answer = await fetch(`http://127.0.0.1:${port}${first.path}`).catch(() => undefined)
    if (answer?.ok) break
    await sleep(200)
  }
  return {
    port,
    stop: async () => {
      child.kill("SIGTERM")
      await ended
    },
  }
}

/** @param {Database} database @param {string} interpreter @param {string} url */
async function requestsFor(database, interpreter, url) {
  const token =
    database.package === "recipes"
      ? await run(
          interpreter,
          source(database),
          ["-m", "recipes", "token", "editor", "--ttl", "86400"],
          url,
          "token",
        )
      : ""
  return database.requests(options.rows, token.trim())
}

/** Fills the database that all changes start from. @param {Database} database @param {string} name @param {string} interpreter */
async function fill(database, name, interpreter) {
  if (!server) throw new Error("there is no server")
  const data = `${name}_${options.rows}`
  const found = await server.run(`SELECT 1 FROM pg_database WHERE datname = '${data}' AND datistemplate`)
  if (found) return data
  note(`${options.rows} rows for ${name}`)
  await server.run(`DROP DATABASE IF EXISTS ${data}`)
  await server.run(`CREATE DATABASE ${data}`)
  await run(interpreter, source(database), ["-m", database.package, "migrate"], server.url(data), "fill")
  await server.run(database.data(options.rows), data)
  await server.run("VACUUM (FREEZE, ANALYZE)", data)
  // Says that it is complete.
  await server.run(`ALTER DATABASE ${data} IS_TEMPLATE true`)
  return data
}

/** A fresh copy of the data. @param {string} data */
async function copy(data) {
  if (!server) throw new Error("there is no server")
  await server.run("DROP DATABASE IF EXISTS bench WITH (FORCE)")
  await server.run(`CREATE DATABASE bench TEMPLATE ${data} STRATEGY file_copy`)
  await server.run("CHECKPOINT")
  return server.url("bench")
}

/** The share of what a machine bears that it gets: services are not run at their limit, and a change takes its part. */
const headroom = 0.6

/**
 * The rate that was asked for, or a part of what this machine bears: no failure, and answers that do not queue.
 *
 * @param {Database} database @param {string} interpreter @param {string} data
 */
async function bearable(database, interpreter, data) {
  const url = await copy(data)
  const ask = await requestsFor(database, interpreter, url)
  const service = await serve(database, interpreter, source(database), url, ask(1))
  for (let rate = options.rate; ;) {
    if (rate < 5) throw new Error(`${database.package} does not bear 5 requests a second`)
    const load = startLoad(rate, ask, service.port)
    await sleep(3_000)
    const from = performance.now()
    await sleep(10_000)
    const until = performance.now()
    const answers = await load.stop()
    const seen = summarise(answers, from, until)
    note(
      `${database.package}: ${rate}/s: p50 ${milliseconds(seen.p50)}, p99 ${milliseconds(seen.p99)}, failed ${seen.failed}`,
    )
    if (seen.failed === 0 && seen.p50 < 100 && seen.p99 < 1_000) {
      await service.stop()
      return rate === options.rate ? rate : Math.floor(rate * headroom)
    }
    const answered = answers.filter(
      ({ due, milliseconds }) => due + milliseconds >= from && due + milliseconds < until,
    )
    rate = Math.floor(Math.min(rate * 0.8, (answered.length * 1000) / (until - from)))
  }
}

/**
 * Keeps a reading transaction open from now until `options.reader` seconds after a migration has connected. Ends with it.
 *
 * @param {NonNullable<typeof server>} server @param {string} table @param {ReturnType<typeof watchSessions>} sessions
 */
async function holdUp(server, table, sessions) {
  if (options.reader === 0) return
  const client = server.session("bench", "reader")
  client.stdin?.write(`BEGIN; SELECT count(*) FROM (SELECT FROM ${table} LIMIT 1) AS row;\n`)
  const began = performance.now()
  while (performance.now() < began + 120_000) {
    await sleep(50)
    const migration = sessions.of("migration")
    if (migration && performance.now() > migration.since + options.reader * 1000) break
  }
  client.stdin?.end("COMMIT;\n")
  await once(client, "close")
}

/**
 * Makes one change under load.
 *
 * @param {Database} database @param {string} interpreter @param {string} data @param {number} rate @param {Case} change @param {"runner" | "alembic"} way
 */
async function measure(database, interpreter, data, rate, change, way) {
  if (!server) throw new Error("there is no server")
  const url = await copy(data)
  const bodies = way === "runner" ? change.ours.map(({ body }) => body) : [change.naive]
  const { folder, found, revisions } = release(database, "release", bodies)
  const ask = await requestsFor(database, interpreter, url)
  let service = await serve(database, interpreter, source(database), url, ask(1))
  const load = startLoad(rate, ask, service.port)
  await sleep(3_000)
  const before = performance.now()
  await sleep(options.seconds * 1000)

  const sessions = watchSessions(server, "bench")
  const reading = holdUp(server, database.table, sessions)

  /** @type {{ status: number, output: string }[]} */
  const commands = []
  /** @param {string} revision */
  const migrate = async (revision) => {
    if (way === "runner") {
      const args = ["-m", database.package, "migrate", "--revision", revision]
      commands.push(await python(interpreter, folder, args, url, "migration").ended)
    } else {
      const file = join(folder, "alembic.ini")
      writeFileSync(file, `[alembic]\nscript_location = ${join(found, "migrations")}\npath_separator = os\n`)
      writeFileSync(join(found, "migrations/env.py"), plainEnvironment)
      const args = ["-m", "alembic", "-c", file, "upgrade", revision]
      commands.push(await python(interpreter, folder, args, url, "migration").ended)
    }
    return commands.at(-1)?.status === 0
  }
  const takeOver = async () => {
    const renamed = release(database, "renamed", [])
    const [file, old, now] = database.renaming
    const module = join(renamed.found, file)
    const text = readFileSync(module, "utf8")
    if (text.split(old).length !== 2) throw new Error(`${file} has another form than expected`)
    writeFileSync(module, text.replace(old, now))
    const next = await serve(database, interpreter, renamed.folder, url, ask(1))
    load.turn(next.port)
    await service.stop()
    service = next
  }

  const began = performance.now()
  const last = way === "runner" ? change.ours.filter(({ behind }) => behind !== true).length - 1 : 0
  let good = await migrate(String(revisions[last]))
  if (good && change.renames) {
    await takeOver()
    if (last < revisions.length - 1) good = await migrate(String(revisions.at(-1)))
  }
  const ended = performance.now()
  await sleep(2_000)
  const until = performance.now()
  sessions.stop()
  await reading
  const answers = await load.stop()
  await service.stop()
  if (good) {
    const revision = await server.run("SELECT version_num FROM alembic_version", "bench")
    if (revision !== revisions.at(-1)) throw new Error(`the database is at ${revision} after all migrations`)
  }
  return {
    before: summarise(answers, before, began),
    during: summarise(answers, began, until),
    seconds: (ended - began) / 1000,
    waits: sessions.of("service"),
    retries: commands.reduce((sum, { output }) => sum + output.split('"message": "retrying"').length - 1, 0),
    problem: good ? undefined : commands.at(-1)?.output.slice(-1000),
  }
}

const milliseconds = (/** @type {number} */ value) =>
  value < 10_000 ? `${value.toFixed(0)} ms` : `${(value / 1000).toFixed(1)} s`

const columns = [
  "change",
  "by",
  "sent",
  "failed",
  "p50 before",
  "p50 during",
  "p99 before",
  "p99 during",
  "ratio of p99",
  "max",
  "lock waits",
  "tries again",
  "takes",
]

/** @param {string} name @param {string} way @param {Awaited<ReturnType<typeof measure>>} seen */
function row(name, way, { before, during, seconds, waits, retries, problem }) {
  return [
    name,
    way,
    during.sent,
    during.failed,
    milliseconds(before.p50),
    milliseconds(during.p50),
    milliseconds(before.p99),
    milliseconds(during.p99),
    (during.p99 / before.p99).toFixed(1),
    milliseconds(during.max),
    waits && waits.waited > 0 ? `${waits.waited.toFixed(1)} s, ${waits.most} at once` : "none",
    way === "runner" ? retries : "",
    `${seconds.toFixed(1)} s${problem === undefined ? "" : ", failed"}`,
  ]
}

const line = (/** @type {unknown[]} */ cells) => `| ${cells.join(" | ")} |`
let failed = false
try {
  server = await startPostgres(join(work, "postgres"))
  console.log(`${cpus().length} × ${cpus()[0]?.model ?? "processor"}, ${server.version}`)
  for (const name of options.databases) {
    const database = databases[name]
    if (!database) throw new Error(`there is no database ${name}`)
    const interpreted = await interpreter(database, name)
    const data = await fill(database, name, interpreted)
    const rate = await bearable(database, interpreted, data)
    const less = rate < options.rate ? `, of ${options.rate} that were asked for` : ""
    console.log(
      `\n${name}: ${options.rows.toLocaleString("en")} rows in ${database.table}, ${rate} requests/s${less}, a reading transaction in the way for ${options.reader} s\n`,
    )
    console.log(line(columns))
    console.log(line(columns.map(() => "---")))
    /** @type {string[]} */
    const notes = []
    for (const chosen of options.cases) {
      const change = cases[chosen]?.(database)
      if (!change) throw new Error(`there is no case ${chosen}`)
      for (const way of /** @type {const} */ (["runner", "alembic"])) {
        note(`${name}: ${chosen} by ${way}`)
        const seen = await measure(database, interpreted, data, rate, change, way)
        console.log(line(row(chosen, way, seen)))
        for (const [when, { problems }] of Object.entries({ before: seen.before, during: seen.during })) {
          const counts = Object.entries(problems).map(([problem, count]) => `${count} × ${problem}`)
          if (counts.length > 0) notes.push(`${chosen} by ${way}, ${when}: ${counts.join(", ")}`)
        }
        if (seen.problem !== undefined) {
          failed = true
          note(seen.problem)
          notes.push(`${chosen} by ${way} failed: ${seen.problem}`)
        }
      }
    }
    if (notes.length > 0) console.log(`\n${notes.map((each) => `- ${each}`).join("\n")}`)
  }
  await server.run("DROP DATABASE IF EXISTS bench WITH (FORCE)")
} finally {
  await end()
}
if (failed) process.exitCode = 1
