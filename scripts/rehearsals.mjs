// Rehearses every fault with every strategy, and writes what came of it as a Markdown table.
//
//     node scripts/rehearsals.mjs [TABLE.md] [arguments of `call rehearse`]
//
// Each fault is a call of its own, with a cluster of its own: what one leaves behind is nothing to the next one.
import { spawn } from "node:child_process"
import { writeFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"

/**
 * @typedef {{ code: number | null, stdout: string, stderr: string }} Ended
 * @typedef {{ weight: number, measured: number, requests: number }} Share
 * @typedef {{ outcome: string, sent: number, failed: number, failedByCandidate: number, p95Before: number, p95During: number,
 *   secondsToPromoted?: number, secondsHurt?: number, shares: Share[] }} Figures
 * @typedef {{ fault: string, strategy: string, figures: Figures, unmet: string[] }} Rehearsed
 */

const repository = fileURLToPath(new URL("..", import.meta.url))
const [target = "rehearsals.md", ...given] = process.argv.slice(2)

/**
 * Both strategies, except where one never comes to the phase that it is about.
 *
 * @type {Record<string, string[]>}
 */
const faults = {
  ...Object.fromEntries(
    [
      ...["none", "crash-at-start", "never-ready", "broken", "error-rate", "latency", "memory-leak"],
      ...["after-promotion", "bad-configuration", "image-missing", "node-pressure", "api-restart"],
      ...["metrics-down", "two-deployers", "clock", "killed-preparing", "killed-verifying"],
      ...["killed-promoting", "killed-settling", "unattended"],
    ].map((fault) => [fault, ["blue-green", "canary"]]),
  ),
  "killed-shifting": ["canary"],
}

/** @param {string[]} args @returns {Promise<Ended>} */
function daggerw(args) {
  return new Promise((resolve, reject) => {
    const child = spawn("./daggerw", args, { cwd: repository, stdio: ["ignore", "pipe", "pipe"] })
    const output = { stdout: "", stderr: "" }
    child.stdout.on("data", (chunk) => (output.stdout += String(chunk)))
    child.stderr.on("data", (chunk) => (output.stderr += String(chunk)))
    child.on("error", reject)
    child.on("close", (code) => {
      resolve({ code, ...output })
    })
  })
}

/**
 * The figures, which are on standard output, or part of the error where something was not as it has to be.
 *
 * @param {Ended} ended
 * @returns {Rehearsed[]}
 */
function figuresIn({ stdout, stderr }) {
  const told = stderr.slice(stderr.lastIndexOf("not as it has to be"))
  const json = stdout.trim() === "" ? /^\[\n[\s\S]*?^\]$/m.exec(told)?.[0] : stdout
  if (json === undefined) throw new Error(stderr.slice(-2_000))
  /** @type {Rehearsed[]} */
  const rehearsed = JSON.parse(json)
  return rehearsed
}

const cell = (/** @type {string | number} */ text) =>
  String(text).replaceAll("|", "\\|").replaceAll("\n", " ")
const seconds = (/** @type {number | undefined} */ number) =>
  number === undefined ? "–" : `${number.toFixed(1)} s`

/** @param {Rehearsed} rehearsed @returns {(string | number)[]} */
function row({ fault, strategy, figures, unmet }) {
  const {
    outcome,
    sent,
    failed,
    failedByCandidate,
    p95Before,
    p95During,
    secondsToPromoted,
    secondsHurt,
    shares,
  } = figures
  const measured = shares.map(
    ({ weight, measured, requests }) => `${weight} %: ${measured.toFixed(1)} % of ${requests}`,
  )
  return [
    ...[fault, strategy, outcome, sent, failed, failedByCandidate],
    ...[`${Math.round(p95Before)} ms`, `${Math.round(p95During)} ms`],
    ...[seconds(secondsToPromoted), seconds(secondsHurt), measured.join(", ") || "–"],
    unmet.length === 0 ? "yes" : `no: ${unmet.join("; ")}`,
  ]
}

const head = [
  ...[
    "fault",
    "strategy",
    "outcome",
    "sent",
    "failed",
    "of these the candidate's",
    "p95 before",
    "p95 during",
  ],
  ...["promoted after", "hurt for", "share of the candidate", "as expected"],
]
/** @type {(string | number)[][]} */
const rows = []
let bad = 0
for (const [fault, strategies] of Object.entries(faults)) {
  const flags = strategies.flatMap((strategy) => ["--strategy", strategy])
  const ended = await daggerw(["call", "rehearse", "--as-json", "--fault", fault, ...flags, ...given])
  if (ended.code !== 0) bad++
  /** @type {(string | number)[][]} */
  let found
  try {
    found = figuresIn(ended).map(row)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    found = [
      [fault, strategies.join(", "), ...head.slice(3).map(() => "–"), `could not be rehearsed: ${why}`],
    ]
  }
  rows.push(...found)
  const lines = [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.map(cell).join(" | ")} |`)
  await writeFile(target, `${lines.join("\n")}\n`)
  for (const cells of found) console.log(cells.join("  "))
}
process.exitCode = bad === 0 ? 0 : 1
