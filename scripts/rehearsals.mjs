// Rehearses every fault with every strategy, and writes the results as a Markdown table.
//
//   node scripts/rehearsals.mjs [TABLE.md] [ARGUMENTS of `call rehearse`]
//
// Each fault is a call of its own with a cluster of its own, so that no fault affects the next one.
import { spawn } from "node:child_process"
import { writeFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"

/** @typedef {import("../dagger/src/rehearsal/measurements/result.js").RehearsalResult} RehearsalResult */

const repository = fileURLToPath(new URL("..", import.meta.url))
const [target = "rehearsals.md", ...given] = process.argv.slice(2)

// Blue-green has no phase "shifting".
const strategiesOf = (/** @type {string} */ fault) =>
  fault === "killed-shifting" ? ["canary"] : ["blue-green", "canary"]

const header = [
  "fault",
  "strategy",
  "outcome",
  "sent",
  "failed",
  "by candidate",
  "p95 before",
  "p95 during",
  "promoted after",
  "users affected",
  "candidate share",
  "as expected",
]

/**
 * @param {string[]} args
 * @returns {Promise<{ code: number | null, stdout: string, stderr: string }>}
 */
function daggerw(args) {
  return new Promise((resolve, reject) => {
    const child = spawn("./daggerw", args, { cwd: repository, stdio: ["ignore", "pipe", "pipe"] })
    const output = { stdout: "", stderr: "" }
    child.stdout.on("data", (/** @type {Buffer} */ chunk) => (output.stdout += chunk.toString()))
    child.stderr.on("data", (/** @type {Buffer} */ chunk) => (output.stderr += chunk.toString()))
    child.on("error", reject)
    child.on("close", (code) => {
      resolve({ code, ...output })
    })
  })
}

/**
 * Reads the results: from standard output, or from the error if a rehearsal did not end as expected.
 *
 * @param {{ stdout: string, stderr: string }} ended
 * @returns {RehearsalResult[]}
 */
function resultsIn({ stdout, stderr }) {
  const text =
    stdout.trim() === "" ? stderr.slice(stderr.lastIndexOf("not all rehearsals ended as expected")) : stdout
  const [json] = /^\[\n[\s\S]*?^\]/m.exec(text) ?? []
  if (json === undefined) throw new Error(stderr.slice(-2_000))
  const found = /** @type {RehearsalResult[]} */ (JSON.parse(json))
  return found
}

const seconds = (/** @type {number | undefined} */ number) =>
  number === undefined ? "–" : `${number.toFixed(1)} s`

/** @param {RehearsalResult} rehearsed */
function row({ fault, strategy, figures, unmet }) {
  const shares = figures.shares.map(
    ({ weight, measured, requests }) => `${weight} %: ${measured.toFixed(1)} % of ${requests}`,
  )
  return [
    fault,
    strategy,
    figures.outcome,
    String(figures.sent),
    String(figures.failed),
    String(figures.failedByCandidate),
    `${Math.round(figures.p95Before)} ms`,
    `${Math.round(figures.p95During)} ms`,
    seconds(figures.secondsToPromoted),
    seconds(figures.secondsHurt),
    shares.length === 0 ? "–" : shares.join(", "),
    unmet.length === 0 ? "yes" : `no: ${unmet.join("; ")}`,
  ]
}

const line = (/** @type {string[]} */ cells) =>
  `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll(/\s+/g, " ")).join(" | ")} |`

const listed = await daggerw(["call", "faults"])
if (listed.code !== 0) throw new Error(listed.stderr)
const [, ...faults] = listed.stdout
  .trim()
  .split("\n")
  .map((row) => row.split(" ", 1).join(""))
const lines = [line(header), line(header.map(() => "---"))]
for (const fault of faults) {
  const flags = strategiesOf(fault).flatMap((strategy) => ["--strategy", strategy])
  const ended = await daggerw(["call", "rehearse", "--as-json", "--fault", fault, ...flags, ...given])
  if (ended.code !== 0) process.exitCode = 1
  /** @type {string[][]} */
  const found = []
  try {
    found.push(...resultsIn(ended).map(row))
  } catch (error) {
    const why = `could not run: ${/** @type {Error} */ (error).message}`
    found.push([fault, strategiesOf(fault).join(", "), ...header.slice(3).map(() => "–"), why])
  }
  lines.push(...found.map(line))
  await writeFile(target, `${lines.join("\n")}\n`)
  console.log(found.map(line).join("\n"))
}
