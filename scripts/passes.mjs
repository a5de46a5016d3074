// The memory of suites that passed: one small file a pass, named after the digest of the suite's inputs.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/**
 * @typedef {{ suite: string, passed: number, at: string }} Pass
 *   `passed` counts tests, `at` is a time in ISO 8601.
 */

// Registries, advisories and expiry dates change while the inputs do not.
const days = 7
const most = 200

/**
 * The pass of a suite with exactly these inputs, not older than a week.
 * @param {string} folder
 * @param {string} digest
 * @param {number} now milliseconds since 1970
 * @returns {Pass | undefined}
 */
export function recall(folder, digest, now = Date.now()) {
  const pass = read(join(folder, `${digest}.json`))
  const age = pass === undefined ? NaN : now - Date.parse(pass.at)
  return age >= 0 && age <= days * 86_400_000 ? pass : undefined
}

/**
 * Remembers a pass, and forgets those that are too old or too many.
 * @param {string} folder
 * @param {string} digest
 * @param {{ suite: string, passed: number }} pass
 * @param {number} now milliseconds since 1970
 */
export function remember(folder, digest, { suite, passed }, now = Date.now()) {
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `${digest}.json`)
  const partial = `${path}.${process.pid}.tmp`
  writeFileSync(partial, JSON.stringify({ suite, passed, at: new Date(now).toISOString() }))
  renameSync(partial, path)
  prune(folder, now)
}

/**
 * Whether a run is a pass to remember: every test ran, and every one passed.
 * @param {import("./tally.mjs").Tally} tally
 */
export const complete = ({ passed, failed, skipped }) => passed > 0 && failed === 0 && skipped === 0

/** @param {string} folder @param {number} now */
function prune(folder, now) {
  const times = readdirSync(folder).map((name) => {
    const pass = name.endsWith(".json") ? read(join(folder, name)) : undefined
    const at = Date.parse(pass?.at ?? "")
    return { name, at: now - at <= days * 86_400_000 ? at : -Infinity }
  })
  const kept = times.filter(({ at }) => at > -Infinity).sort((a, b) => b.at - a.at)
  const names = new Set(kept.slice(0, most).map(({ name }) => name))
  for (const { name } of times) if (!names.has(name)) rmSync(join(folder, name), { force: true })
}

/** @param {string} path @returns {Pass | undefined} undefined as well for a file that is not a whole pass */
function read(path) {
  try {
    const { suite, passed, at } = /** @type {Partial<Pass>} */ (JSON.parse(readFileSync(path, "utf8")))
    const whole = typeof suite === "string" && typeof at === "string" && Number.isInteger(passed)
    return whole ? { suite, passed: Number(passed), at } : undefined
  } catch {
    return undefined
  }
}
