// What the benchmarks share: copies of the repository, and engines with nothing in their cache.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs"
import { homedir, tmpdir } from "node:os"
import { join } from "node:path"

/** What is not copied: history, and what tools leave. */
export const left = new Set([
  ".git",
  "node_modules",
  "dist",
  "coverage",
  "reports",
  "__pycache__",
  ".mypy_cache",
  ".pytest_cache",
])

/**
 * The folder to work in. That of BENCH_WORK is kept, with its engine and all that it remembers: the next benchmark goes on there.
 *
 * @param {() => void} stop ends what lives there
 * @returns {{ work: string, done: () => void }} `done` clears up
 */
export function workFolder(stop) {
  const kept = process.env.BENCH_WORK
  if (kept !== undefined) mkdirSync(kept, { recursive: true })
  const work = kept ?? mkdtempSync(join(tmpdir(), "pitwall-bench-"))
  chmodSync(work, 0o755) // PostgreSQL of the plain script is another user's
  const done = () => {
    if (kept !== undefined) return
    stop()
    rmSync(work, { recursive: true, force: true })
  }
  return { work, done }
}

/**
 * The environment of an engine with nothing in its cache but what a kept folder has, which shares with the daily one only what is built and never changes.
 *
 * @param {string} work the folder that its home is made in
 */
export function freshHome(work) {
  const daily = process.env.PITWALL_HOME ?? join(homedir(), ".cache", "pitwall")
  const home = join(work, "home")
  mkdirSync(home, { recursive: true })
  for (const shared of ["go", "bin"]) {
    if (existsSync(join(home, shared))) continue
    if (existsSync(join(daily, shared))) symlinkSync(join(daily, shared), join(home, shared))
  }
  return { PITWALL_HOME: home, PITWALL_STORE: join(daily, "store") }
}
