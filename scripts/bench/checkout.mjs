// What the benchmarks share: copies of the repository, and engines with nothing in their cache.
import { existsSync, mkdirSync, symlinkSync } from "node:fs"
import { homedir } from "node:os"
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
 * The environment of an engine with nothing in its cache, which shares with the daily one only what is built and never changes.
 *
 * @param {string} work the folder that its home is made in
 */
export function freshHome(work) {
  const daily = process.env.PITWALL_HOME ?? join(homedir(), ".cache", "pitwall")
  const home = join(work, "home")
  mkdirSync(home)
  for (const shared of ["go", "bin"]) {
    if (existsSync(join(daily, shared))) symlinkSync(join(daily, shared), join(home, shared))
  }
  return { PITWALL_HOME: home, PITWALL_STORE: join(daily, "store") }
}
