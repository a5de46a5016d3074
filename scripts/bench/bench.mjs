// Times `./daggerw call ci` against the plain script by-hand.sh, both in one run, and prints the ratios.
//
//   node scripts/bench/bench.mjs [cold] [unchanged] [line] [dependency]     all, if none is named
//
// cold: nothing installed or cached but the engine, its base images and what registries' clients keep on this machine for the script · unchanged: again
// · line: one line changed in services/api · dependency: one lock file changed in services/api.
// The script does all of its work each time, but for installing what is installed: its time for the others is that of its cold run without what it
// would not install again.
// Needs the machine's own PostgreSQL 15, Redis, nginx, Chromium, Python 3.11 and Node 24.
import { spawnSync } from "node:child_process"
import { appendFileSync, cpSync, mkdirSync } from "node:fs"
import { cpus } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { freshHome, left, workFolder } from "./checkout.mjs"

const repository = fileURLToPath(new URL("../..", import.meta.url))
const { work, done } = workFolder(() => {
  spawnSync("./daggerw", ["engine", "stop"], { cwd: checkouts.ours, env: { ...process.env, ...env } })
})

/** @type {Record<string, (checkout: string) => void>} */
const changes = {
  cold: () => undefined,
  unchanged: () => undefined,
  line: (checkout) => {
    appendFileSync(join(checkout, "services/api/src/recipes/app.py"), "\n\n# one line\n")
  },
  dependency: (checkout) => {
    for (const lock of ["requirements.txt", "requirements-dev.txt"]) {
      appendFileSync(join(checkout, "services/api", lock), "# one dependency\n")
    }
  },
}
const chosen = process.argv.slice(2)
const unknown = chosen.filter((name) => !(name in changes))
if (unknown.length > 0) {
  console.error(`There is no ${unknown.join(", ")} to measure: ${Object.keys(changes).join(", ")} are.`)
  process.exit(2)
}

/** @param {string} name @param {string[]} command @param {string} cwd @param {NodeJS.ProcessEnv} env */
function time(name, [program = "", ...args], cwd, env = {}) {
  const started = performance.now()
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, ...env },
    maxBuffer: 256 << 20,
  })
  const seconds = (performance.now() - started) / 1000
  if (status !== 0) {
    throw new Error(
      `${name} ended with ${String(status)} after ${seconds.toFixed(0)} s:\n${stdout.slice(-3000)}\n${stderr.slice(-5000)}`,
    )
  }
  return { seconds, stdout }
}

const checkouts = { ours: join(work, "ours"), hand: join(work, "hand") }
for (const checkout of Object.values(checkouts)) {
  cpSync(repository, checkout, { recursive: true, filter: (path) => !left.has(basename(path)) })
}
mkdirSync(join(work, "by-hand"), { recursive: true })
const env = freshHome(work)

/** Seconds that the script takes where nothing is installed, and where only something changed. */
function byHand() {
  const script = join(repository, "scripts/bench/by-hand.sh")
  const { seconds, stdout } = time("by hand", [script, checkouts.hand, join(work, "by-hand")], work)
  const installing = [...stdout.matchAll(/^installing (\S+): (\d+) s$/gm)].map(([, what, took]) => ({
    what,
    took: Number(took),
  }))
  const api = installing.find(({ what }) => what === "api")
  if (!api) throw new Error(`the script does not say what it installed:\n${stdout}`)
  const working = seconds - installing.reduce((sum, { took }) => sum + took, 0)
  return { cold: seconds, unchanged: working, line: working, dependency: working + api.took }
}

console.log(`${cpus().length} × ${cpus()[0]?.model ?? "processor"}, Node ${process.version}`)
console.log("state       pitwall    by hand    ratio")
try {
  time("start of the engine", ["./daggerw", "engine", "start"], checkouts.ours, env)
  const script = byHand()
  for (const [name, change] of Object.entries(changes)) {
    if (chosen.length > 0 && !chosen.includes(name)) continue
    change(checkouts.ours)
    const hand = script[/** @type {keyof typeof script} */ (name)]
    const { seconds: ours } = time("pitwall", ["./daggerw", "call", "ci"], checkouts.ours, env)
    const cells = [name, `${ours.toFixed(1)} s`, `${hand.toFixed(1)} s`, (ours / hand).toFixed(2)]
    console.log(
      cells
        .map((cell) => cell.padEnd(11))
        .join("")
        .trimEnd(),
    )
  }
  const status = spawnSync("./daggerw", ["engine", "status"], {
    cwd: checkouts.ours,
    encoding: "utf8",
    env: { ...process.env, ...env },
  })
  console.log(
    status.stdout
      .split("\n")
      .filter((line) => line.startsWith("home"))
      .join("\n"),
  )
} finally {
  done()
}
