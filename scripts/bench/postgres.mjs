// A throw-away PostgreSQL 15 on 127.0.0.1, and programs that end with the one that started them.
import { spawn, spawnSync } from "node:child_process"
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs"
import { createServer } from "node:net"
import { delimiter, join } from "node:path"

const user = "postgres"
/** Room for millions of rows; everything that a commit waits for is as it comes. */
const settings = { shared_buffers: "1GB", max_wal_size: "2GB", maintenance_work_mem: "256MB" }

/** Where a program of PostgreSQL is: on the PATH, or where Debian puts it. @param {string} name */
function found(name) {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/lib/postgresql/15/bin"]
  const path = folders.map((folder) => join(folder, name)).find((file) => existsSync(file))
  if (path === undefined) {
    throw new Error(`${name} is neither on the PATH nor in /usr/lib/postgresql/15/bin: install PostgreSQL 15`)
  }
  return path
}

/**
 * Starts a program that the kernel kills when this one ends, however it ends.
 *
 * @param {string[]} command @param {import("node:child_process").SpawnOptions} options
 * @param {string[]} identity what setpriv changes besides
 */
export function start(command, options, identity = []) {
  return spawn("setpriv", ["--pdeathsig", "KILL", ...identity, ...command], options)
}

/** A port of 127.0.0.1 that nobody uses. @returns {Promise<number>} */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on("error", reject).listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => {
        resolve(typeof address === "object" && address ? address.port : 0)
      })
    })
  })
}

/**
 * Starts a server on what is in `folder`, and on a new one where that is empty.
 *
 * @param {string} folder
 */
export async function startPostgres(folder) {
  const [initdb, postgres, psql] = ["initdb", "postgres", "psql"].map(found)
  const version = spawnSync(String(postgres), ["--version"], { encoding: "utf8" }).stdout.trim()
  if (!version.includes(" 15."))
    throw new Error(`PostgreSQL 15 is needed, and ${String(postgres)} is ${version}`)
  // PostgreSQL refuses to run as root.
  const identity =
    process.getuid?.() === 0 ? ["--reuid", user, "--regid", user, "--clear-groups", "--inh-caps=-all"] : []
  const data = join(folder, "data")
  if (!existsSync(data)) {
    mkdirSync(folder, { recursive: true })
    if (identity.length > 0) spawnSync("chown", [user, folder])
    const made = spawnSync(
      "setpriv",
      [...identity, String(initdb), "-D", data, "-U", user, "--auth", "trust"],
      {
        encoding: "utf8",
      },
    )
    if (made.status !== 0) throw new Error(`initdb failed: ${made.error?.message ?? made.stderr}`)
  }
  const port = await freePort()
  const given = {
    ...settings,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    port: String(port),
  }
  const flags = Object.entries(given).flatMap(([name, value]) => ["-c", `${name}=${value}`])
  const path = join(folder, "log")
  const log = openSync(path, "w")
  const child = start([String(postgres), "-D", data, ...flags], { stdio: ["ignore", log, log] }, identity)
  closeSync(log)
  const connection = { ...process.env, PGHOST: "127.0.0.1", PGPORT: String(port), PGUSER: user }

  /**
   * Starts psql, which reads SQL from its standard input.
   *
   * @param {string} database @param {string} name of the session
   */
  const session = (database, name) =>
    start([String(psql), "-XqAt", "-v", "ON_ERROR_STOP=1", database], {
      stdio: "pipe",
      env: { ...connection, PGAPPNAME: name },
    })

  /**
   * Runs SQL and returns its rows, a line each.
   *
   * @param {string} sql @param {string} database @returns {Promise<string>}
   */
  const run = (sql, database = "postgres") =>
    new Promise((resolve, reject) => {
      const client = session(database, "benchmark")
      const output = { out: "", err: "" }
      client.stdout?.on("data", (chunk) => (output.out += String(chunk)))
      client.stderr?.on("data", (chunk) => (output.err += String(chunk)))
      client.on("error", reject).on("close", (status) => {
        if (status === 0) resolve(output.out.trim())
        else reject(new Error(`psql ended with ${String(status)}: ${output.err.trim()}`))
      })
      client.stdin?.end(sql)
    })

  for (let tries = 0; ; tries++) {
    if (child.exitCode !== null || tries > 600) {
      throw new Error(`PostgreSQL did not start: ${readFileSync(path, "utf8").slice(-2000)}`)
    }
    if (await run("SELECT 1").catch(() => undefined)) break
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return {
    version,
    run,
    session,
    /** @param {string} database */
    url: (database) => `postgresql://${user}@127.0.0.1:${port}/${database}`,
    /** @returns {Promise<void>} */
    stop: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null) resolve()
        child.on("close", () => {
          resolve()
        })
        child.kill("SIGINT")
      }),
  }
}

/**
 * Asks ten times a second until `stop` which sessions of a database there are, and which of them wait for a lock.
 *
 * @param {Awaited<ReturnType<typeof startPostgres>>} server @param {string} database
 */
export function watchSessions(server, database) {
  const client = server.session("postgres", "watch")
  const query = `
SELECT application_name, count(*) FILTER (WHERE wait_event_type = 'Lock') FROM pg_stat_activity WHERE datname = '${database}' GROUP BY 1
UNION ALL SELECT '', 0;
`
  /** @type {Map<string, { since: number, waited: number, most: number }>} */
  const seen = new Map()
  let [asked, last] = [0, performance.now()]
  let [answered, text] = [0, ""]
  client.stdout?.on("data", (chunk) => {
    text += String(chunk)
    // The last row of each answer.
    if (!text.endsWith("|0\n") || !/^\|0$/m.test(text)) return
    const now = performance.now()
    answered++
    for (const line of text.trim().split("\n")) {
      const [name = "", waiting] = line.split("|")
      const session = seen.get(name) ?? { since: now, waited: 0, most: 0 }
      if (Number(waiting) > 0) session.waited += (now - last) / 1000
      session.most = Math.max(session.most, Number(waiting))
      seen.set(name, session)
    }
    ;[text, last] = ["", now]
  })
  const timer = setInterval(() => {
    // One that is not answered yet is not asked again.
    if (asked > answered) return
    asked++
    client.stdin?.write(query)
  }, 100)
  return {
    /**
     * Since when sessions of that name were there, by `performance.now()`, for how many seconds at least one of them waited for a lock, and how many did at
     * once. Nothing for a name that there was never.
     *
     * @param {string} name
     */
    of: (name) => seen.get(name),
    stop: () => {
      clearInterval(timer)
      client.stdin?.end()
      if (answered === 0) throw new Error("nothing was learnt about sessions that wait")
    },
  }
}
