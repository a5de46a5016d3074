// What long use and bad days do to `./daggerw call ci`, on a local engine of its own. Prints what it saw, and fails where something is left behind.
//
//   node scripts/bench/endurance.mjs [runs] [two] [network] [killed]     all, if none is named
//
// runs: ten runs in a row, each after a change · two: two runs at once, of different sources · network: the engine is cut off for a minute while
// packages are installed · killed: the engine is killed half-way, and the command is given again.
// Each run is of one service, with its image, its stores and its scans: what counts is what becomes of processes, services and the cache.
// Needs root and util-linux's nsenter, as it reaches into the engine's network.
import { spawn, spawnSync } from "node:child_process"
import { appendFileSync, cpSync, readdirSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { freshHome, left, workFolder } from "./checkout.mjs"

const repository = fileURLToPath(new URL("../..", import.meta.url))
const { work, done } = workFolder(() => {
  spawnSync("./daggerw", ["engine", "stop"], { cwd: one, env })
})
const env = { ...process.env, ...freshHome(work), DAGGERW_ENGINE: "local", NO_COLOR: "1" }

/** @param {string} name */
function checkout(name) {
  const copy = join(work, name)
  cpSync(repository, copy, { recursive: true, filter: (path) => !left.has(basename(path)) })
  return copy
}
const [one, other] = [checkout("one"), checkout("other")]

/**
 * @param {string} cwd
 * @param {string[]} args
 * @returns {Promise<{ code: number | null, seconds: number, stdout: string, stderr: string }>}
 */
function daggerw(cwd, args) {
  const started = performance.now()
  const child = spawn("./daggerw", args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] })
  let [stdout, stderr] = ["", ""]
  child.stdout.on("data", (chunk) => (stdout += String(chunk)))
  child.stderr.on("data", (chunk) => (stderr += String(chunk)))
  return new Promise((resolve) => {
    child.on("close", (code) => {
      resolve({ code, seconds: (performance.now() - started) / 1000, stdout, stderr })
    })
  })
}
const ci = (/** @type {string} */ cwd, service = "api") => daggerw(cwd, ["call", "ci", "--only", service])

/** @returns {{ pid: number, sandbox: number }} */
function instance() {
  const { pid, sandbox } = JSON.parse(readFileSync(join(env.PITWALL_HOME, "run/engine.json"), "utf8"))
  return { pid: Number(pid), sandbox: Number(sandbox) }
}

/** Everything that runs in the engine's sandbox, by name. */
function inside() {
  const { sandbox } = instance()
  return readdirSync("/proc").flatMap((pid) => {
    try {
      return isBelow(Number(pid), sandbox) ? [readFileSync(`/proc/${pid}/comm`, "utf8").trim()] : []
    } catch {
      return [] // no process, or one that has ended in the meantime
    }
  })
}

/** @param {number} pid @param {number} ancestor @returns {boolean} */
function isBelow(pid, ancestor) {
  if (pid === ancestor) return true
  if (!(pid > 1)) return false
  const status = readFileSync(`/proc/${pid}/stat`, "utf8")
  return isBelow(Number(status.slice(status.lastIndexOf(")") + 2).split(" ")[1]), ancestor)
}

/** Bytes that the engine and all that it runs hold, without what the kernel keeps of files. */
function held() {
  const groups = readFileSync(`/proc/${instance().sandbox}/cgroup`, "utf8")
  const v1 = /:memory:(.*)/.exec(groups)?.[1]
  const group =
    v1 === undefined ? `/sys/fs/cgroup${/^0::(.*)/m.exec(groups)?.[1] ?? ""}` : `/sys/fs/cgroup/memory${v1}`
  const stat = readFileSync(join(group, "memory.stat"), "utf8")
  const kinds = v1 === undefined ? ["anon", "shmem"] : ["total_rss", "total_shmem"]
  return kinds.reduce((sum, kind) => sum + Number(new RegExp(`^${kind} (\\d+)$`, "m").exec(stat)?.[1]), 0)
}

/** The most that was held since the start. */
let peak = 0
setInterval(() => {
  try {
    peak = Math.max(peak, held())
  } catch {
    return // there is no engine at this moment
  }
}, 500).unref()

async function cache() {
  const { stdout } = await daggerw(one, ["core", "engine", "local-cache", "entry-set", "disk-space-bytes"])
  return Number(stdout)
}

const gigabytes = (/** @type {number} */ bytes) => `${(bytes / 1e9).toFixed(1)} GB`
const lastLine = (/** @type {string} */ text) => text.trimEnd().split("\n").at(-1) ?? ""
const sleep = (/** @type {number} */ seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))

/** Waits until nothing but the engine itself is left, and says what else is. */
async function settled() {
  const own = new Set(["dagger-engine", "dnsmasq", "tini", "slirp4netns"])
  for (let wait = 0; wait < 60; wait++) {
    if (inside().every((name) => own.has(name))) return []
    await sleep(1)
  }
  return inside().filter((name) => !own.has(name))
}

/** @type {string[]} */
const faults = []
const expect = (/** @type {boolean} */ holds, /** @type {string} */ what) => {
  if (!holds) faults.push(what)
}

/** A change that makes gates of a service run again. */
const touch = (/** @type {string} */ copy, /** @type {string} */ file) => {
  appendFileSync(join(copy, file), `\n\n# ${Date.now()}\n`)
}
const source = "services/api/src/recipes/app.py"

/** @type {Record<string, () => Promise<void>>} */
const days = {
  runs: async () => {
    console.log("run   seconds   exit   cache     peak memory   left behind")
    for (let run = 1; run <= 10; run++) {
      touch(one, source)
      const { code, seconds, stderr } = await ci(one)
      const remains = await settled()
      const row = [
        run,
        seconds.toFixed(1),
        code,
        gigabytes(await cache()),
        gigabytes(peak),
        remains.join(" ") || "nothing",
      ]
      console.log(row.map((cell, at) => String(cell).padEnd([6, 10, 7, 10, 14, 0][at] ?? 0)).join(""))
      expect(code === 0, `run ${run} failed: ${stderr.slice(-2000)}`)
      expect(remains.length === 0, `run ${run} left ${remains.join(", ")}`)
    }
    expect((await cache()) < 60e9, "the cache is beyond its limit of 60 GB")
  },
  two: async () => {
    touch(one, source)
    touch(other, "services/servicekit/src/servicekit/problems.py")
    const both = await Promise.all([ci(one), ci(other, "servicekit")])
    const remains = await settled()
    for (const { code, seconds, stdout, stderr } of both) {
      console.log(`two at once: exit ${code} after ${seconds.toFixed(1)} s: ${lastLine(stdout || stderr)}`)
      expect(code === 0, stderr.slice(-2000))
    }
    expect(remains.length === 0, `two runs left ${remains.join(", ")}`)
  },
  network: async () => {
    for (const lock of ["requirements.txt", "requirements-dev.txt"]) touch(one, join("services/api", lock))
    const ip = (/** @type {string[]} */ ...args) =>
      spawnSync("nsenter", ["--target", String(instance().sandbox), "--net", "ip", ...args], {
        encoding: "utf8",
      })
    const [route = ""] = ip("route", "show", "default").stdout.split("\n")
    const running = ci(one)
    await sleep(5)
    expect(ip("link", "set", "tap0", "down").status === 0, "the network cannot be cut")
    await sleep(60)
    ip("link", "set", "tap0", "up")
    // It goes with the link, and does not come back with it.
    expect(ip("route", "add", ...route.trim().split(/\s+/)).status === 0, "the network does not come back")
    const { code, seconds, stdout, stderr } = await running
    const text = stdout || stderr.slice(stderr.lastIndexOf("GATE "))
    const outcomes = [...text.matchAll(/^[a-z0-9-]+:[a-z-]+ +(passed|failed|could not run|skipped) /gm)].map(
      ([, outcome = ""]) => outcome,
    )
    const count = [...new Set(outcomes)].map(
      (kind) => `${outcomes.filter((outcome) => outcome === kind).length} ${kind}`,
    )
    console.log(`network cut for 60 s: exit ${code} after ${seconds.toFixed(1)} s: ${count.join(", ")}`)
    for (const line of text
      .split("\n")
      .filter((line) => line.includes("tried again"))
      .slice(0, 3))
      console.log(`  ${line.trim()}`)
    expect(!outcomes.includes("failed"), "the source was blamed for the network")
    const again = await ci(one)
    console.log(`and again: exit ${again.code} after ${again.seconds.toFixed(1)} s`)
    expect(again.code === 0, again.stderr.slice(-2000))
  },
  killed: async () => {
    touch(one, source)
    const running = ci(one)
    await sleep(10)
    process.kill(instance().pid, "SIGKILL")
    const { code, seconds, stderr } = await running
    console.log(`engine killed half-way: exit ${code} after ${seconds.toFixed(1)} s: ${lastLine(stderr)}`)
    expect(code !== 0, "a run without an engine passed")
    const again = await ci(one)
    console.log(`and again: exit ${again.code} after ${again.seconds.toFixed(1)} s`)
    expect(again.code === 0, again.stderr.slice(-2000))
  },
}

const chosen = process.argv.slice(2)
const unknown = chosen.filter((name) => !(name in days))
if (unknown.length > 0) {
  console.error(`There is no ${unknown.join(", ")}: ${Object.keys(days).join(", ")} are.`)
  process.exit(2)
}
try {
  const first = await ci(one)
  console.log(
    `first run: exit ${first.code} after ${first.seconds.toFixed(1)} s, peak memory ${gigabytes(peak)}, cache ${gigabytes(await cache())}`,
  )
  for (const [name, day] of Object.entries(days))
    if (chosen.length === 0 || chosen.includes(name)) await day()
  expect(peak > 0, "what the engine holds could not be read")
} finally {
  done()
}
for (const fault of faults) console.error(fault)
process.exitCode = faults.length === 0 ? 0 : 1
