import { z } from "zod"
import "../../lib/schema-errors.js"
import type { Verdict } from "../runner/verdict.js"
import { gaps } from "./coverage.js"
import {
  allTests,
  flaky,
  type GateReport,
  isIncomplete,
  type Report,
  slowest,
  slowestGates,
} from "./report.js"
import { reportFiles } from "./files.js"
import { inWords } from "./junit.js"
import { isLine } from "./paths.js"
import { severities } from "./severity.js"
import { clip, count, duration, isolated, moment, oneLine, percent, plain, tail } from "../../lib/text.js"

const outcome = z.enum(["passed", "failed", "could not run", "skipped"])
const whole = z.int().min(0)
const seconds = z.number().min(0)
const counts = z.object({
  tests: whole,
  passed: whole,
  failed: whole,
  errors: whole,
  skipped: whole,
  flaky: whole.describe("Part of passed: passed after a retry."),
})
const share = z.object({
  covered: whole,
  valid: whole,
  percent: z.number().min(0).max(100).describe("100 if there is nothing to cover."),
})
const coverage = z.object({
  lines: share,
  branches: share,
  thresholds: z.object({ lines: z.number(), branches: z.number() }).optional(),
})
const test = z.object({
  gate: z.string(),
  suite: z.string(),
  name: z.string(),
  file: z.string().optional(),
  line: z.int().optional(),
  seconds,
})

/** The schema of summary.json. Adding a field keeps the version; changing or removing one needs a new version. */
export const summarySchema = z
  .object({
    schemaVersion: z.literal(1),
    outcome: outcome.describe("Of the whole run; skipped: no gate ran."),
    conclusion: z.string(),
    started: z.iso.datetime(),
    seconds,
    revision: z.string().optional(),
    because: z.string().optional().describe("Why only these gates ran."),
    gates: z.array(
      z.object({
        gate: z.string(),
        on: z.string().describe("What it checks."),
        outcome,
        seconds: seconds.describe("Seconds that its command took."),
        after: z.number().optional().describe("Seconds from the start of the run to the start of this gate."),
        cached: z.boolean(),
        retries: z
          .array(z.string())
          .describe("Infrastructure failures after which the gate was tried again."),
        detail: z.string(),
        output: z.string().describe("The end of its output; logs/ has all of it."),
        failing: z.string().describe("Why it did not pass, in at most 40 lines."),
        again: z.string().describe("The command that runs it again."),
        tests: counts.optional(),
        coverage: coverage.optional(),
        pictures: z.array(z.string()).describe("In the report folder."),
      }),
    ),
    tests: counts,
    failures: z
      .array(test.extend({ message: z.string(), again: z.string() }))
      .describe("The first 1,000 failing tests."),
    flaky: z.array(test),
    slowest: z.array(test),
    scans: z.array(
      z.object({
        gate: z.string(),
        tool: z.string(),
        failure: z.string().optional().describe("Why its result is incomplete."),
        counts: z.object({ critical: whole, high: whole, medium: whole, low: whole, note: whole }),
        suppressed: whole,
        dropped: whole.describe("Left out of the SARIF file, for GitHub's limits."),
        changes: z.array(z.string()).optional().describe("What else was changed in it for GitHub."),
      }),
    ),
    problems: z
      .array(z.object({ gate: z.string(), file: z.string(), message: z.string() }))
      .describe("Reports of tools that cannot be read."),
  })
  .describe("The result of a run of Pitwall's gates.")

export type Summary = z.output<typeof summarySchema>

/** The JSON Schema (draft 2020-12) of summary.json. */
export function summaryJsonSchema(): object {
  // The schema for reading: unknown fields are allowed.
  return z.toJSONSchema(summarySchema, { io: "input" })
}

export function toSummary(report: Report): Summary {
  const place = ({
    gate,
    test,
  }: {
    gate: string
    test: { suite: string; name: string; file?: string; line?: number; seconds: number }
  }) => ({
    gate,
    suite: test.suite,
    name: test.name,
    ...(test.file !== undefined && { file: test.file }),
    ...(isLine(test.line) && { line: test.line }),
    seconds: atLeastZero(test.seconds),
  })
  return {
    schemaVersion: 1,
    outcome: report.outcome,
    conclusion: report.conclusion,
    started: (Number.isNaN(report.started.getTime()) ? new Date(0) : report.started).toISOString(),
    seconds: atLeastZero(report.seconds),
    ...(report.revision !== undefined && { revision: report.revision }),
    ...(report.because !== undefined && { because: report.because }),
    gates: report.gates.map(gateSummary),
    tests: allTests(report),
    failures: report.gates
      .flatMap(({ verdict: { gate }, tests }) =>
        (tests?.cases ?? [])
          .filter((test) => test.outcome === "failed")
          .map((test) => ({
            ...place({ gate, test }),
            message: test.message,
            again: report.again(gate, test),
          })),
      )
      .slice(0, 1000),
    flaky: flaky(report).map(place),
    slowest: slowest(report, 20).map(place),
    scans: report.sarif.scans.map(({ gate, tool, failure, counts, suppressed, dropped, changes }) => ({
      gate,
      tool,
      ...(failure !== undefined && { failure }),
      counts,
      suppressed,
      dropped,
      ...(changes.length > 0 && { changes }),
    })),
    problems: report.problems,
  }
}

/** JSON cannot hold NaN or Infinity. */
function atLeastZero(value: number): number {
  return Number.isFinite(value) ? Math.max(0, value) : 0
}

function gateSummary({
  verdict,
  after,
  again,
  tests,
  coverage,
  thresholds,
  failing,
  pictures,
}: GateReport): Summary["gates"][number] {
  const { gate, subject, outcome, seconds, cached, retries, detail, output } = verdict
  return {
    gate,
    on: subject,
    outcome,
    seconds: atLeastZero(seconds),
    ...(after !== undefined && Number.isFinite(after) && { after }),
    cached,
    retries,
    detail,
    output: output === "" ? "" : tail(output, 200),
    failing,
    again,
    ...(tests && { tests: tests.counts }),
    ...(coverage && { coverage: { ...coverage.totals, ...(thresholds && { thresholds }) } }),
    pictures: pictures.map((picture) => `${reportFiles.pictures(gate)}/${picture}`),
  }
}

/**
 * Reads a summary.json back.
 *
 * @throws Error that lists what is wrong with it
 */
export function readSummary(json: string): Summary {
  let parsed: unknown
  try {
    parsed = JSON.parse(json)
  } catch (error) {
    const reason = json.trim() === "" ? "it is empty" : error instanceof Error ? error.message : String(error)
    throw new Error(`summary.json cannot be read: ${reason}`, { cause: error })
  }
  const version = (parsed as { schemaVersion?: unknown } | null)?.schemaVersion
  if (typeof version === "number" && version !== 1) {
    throw new Error(`summary.json has schemaVersion ${version}; this Pitwall reads version 1`)
  }
  const result = summarySchema.safeParse(parsed)
  if (result.success) return result.data
  const faults = result.error.issues.map(
    ({ path, message }) => `${path.map(String).join(".") || "the whole file"}: ${message}`,
  )
  throw new Error(`summary.json is not a summary of Pitwall:\n${faults.slice(0, 20).join("\n")}`)
}

/** The verdicts in a summary, for the gate table in the terminal. */
export function verdictsOf({ gates }: Summary): Verdict[] {
  return gates.map(({ gate, on, outcome, seconds, cached, retries, detail, output, failing }) => ({
    gate,
    subject: on,
    outcome,
    seconds,
    cached,
    retries,
    detail,
    output: failing || output,
  }))
}

/** Symbols beside the outcomes. */
export const emojis: Record<Verdict["outcome"], string> = {
  passed: "✅",
  failed: "❌",
  "could not run": "⚠️",
  skipped: "⏭️",
}

/** Bytes: GitHub refuses a job summary above 1 MiB. */
const largest = 900_000

/** Bytes per section, so that a large one does not displace others. Failures get the rest of the room. */
const largestSection = 60_000

/** Writes summary.md, which is GitHub's job summary too: the verdict first, then the failures. */
export function summaryMarkdown(report: Report): string {
  const sign = emojis[isIncomplete(report) ? "could not run" : report.outcome]
  const before = [`# ${sign} ${escape(report.conclusion)}`, about(report), gateTable(report)]
  const after = [
    problems(report),
    flakyTests(report),
    retries(report),
    slow(report),
    coverageTable(report),
    security(report),
  ]
  const [first, last] = [before, after].map((sections) =>
    sections.filter((section) => section !== "").map((section) => cut(section, largestSection)),
  )
  const others = [...(first ?? []), ...(last ?? [])]
  const room = largest - others.reduce((sum, section) => sum + bytes(section) + 2, 0)
  return `${[...(first ?? []), ...failures(report, room), ...(last ?? [])].join("\n\n")}\n`
}

/** Cuts a section of tables and lists at a line, and notes how many lines are left out. */
function cut(section: string, most: number): string {
  if (bytes(section) <= most) return section
  const lines = section.split("\n")
  const kept: string[] = []
  let size = 0
  for (const line of lines) {
    if ((size += bytes(line) + 1) > most) break
    kept.push(line)
  }
  return `${kept.join("\n")}\n\n_${count(lines.length - kept.length, "line")} left out for their size: see index.html._`
}

const bytes = (text: string) => Buffer.byteLength(text)

function about({ started, seconds, revision, because }: Report): string {
  const facts = [
    revision !== undefined && `revision \`${oneLine(revision, 60).replaceAll("`", "")}\``,
    moment(started),
    duration(seconds),
    because !== undefined && escape(because),
  ]
  return facts.filter((fact) => fact !== false).join(" · ")
}

function gateTable({ gates }: Report): string {
  const rows = gates.map(({ verdict, again, tests }) => [
    escape(verdict.gate),
    `${emojis[verdict.outcome]} ${verdict.outcome}`,
    verdict.outcome === "skipped" ? "" : duration(verdict.seconds),
    verdict.cached ? "cached" : "",
    escape(verdict.detail || (tests ? inWords(tests.counts) : verdict.subject)),
    code(again),
  ])
  return rows.length === 0
    ? ""
    : markdownTable(["gate", "outcome", "time", "cached", "detail", "run again"], rows)
}

/** The gates that did not pass. Those that do not fit are counted. */
function failures({ gates }: Report, room: number): string[] {
  const failed = gates.filter(({ failing }) => failing !== "")
  if (failed.length === 0) return []
  const blocks: string[] = []
  let size = 200
  for (const { verdict, failing, again } of failed) {
    const head = [`### ${escape(verdict.gate)}: ${verdict.outcome}`, `Run again: ${code(again)}`]
    const block = [...head, fenced(failing)].join("\n\n")
    if (size + bytes(block) + 2 > room) continue
    size += bytes(block) + 2
    blocks.push(block)
  }
  const left = failed.length - blocks.length
  const note = left > 0 ? [`_${count(left, "more gate")} left out for their size: see index.html._`] : []
  return ["## What did not pass", ...blocks, ...note]
}

function problems({ problems }: Report): string {
  if (problems.length === 0) return ""
  const lines = problems.map(({ gate, file, message }) => `- ${escape(`${gate}: its ${file} ${message}`)}`)
  return ["## Reports that cannot be read", lines.join("\n")].join("\n\n")
}

function flakyTests(report: Report): string {
  const tests = flaky(report)
  if (tests.length === 0) return ""
  const lines = tests.slice(0, 50).map(({ gate, test }) => `- ${escape(gate)}: ${escape(test.name)}`)
  const more = tests.length > 50 ? [`- … and ${tests.length - 50} more`] : []
  return ["## Passed, but not at the first try", [...lines, ...more].join("\n")].join("\n\n")
}

function retries({ gates }: Report): string {
  const lines = gates.flatMap(({ verdict: { gate, retries } }) =>
    retries.map((reason) => `- ${escape(gate)}: tried again: ${escape(reason)}`),
  )
  return lines.length === 0
    ? ""
    : ["## Retries after infrastructure failures", lines.slice(0, 100).join("\n")].join("\n\n")
}

function slow(report: Report): string {
  const steps = slowestGates(report, 5).map(({ gate, seconds }) => [escape(gate), duration(seconds)])
  const tests = slowest(report, 10).map(({ gate, test }) => [
    escape(`${gate}: ${clip(test.name, 120)}`),
    duration(test.seconds),
  ])
  const parts = [
    steps.length > 0 && markdownTable(["slowest gates", "time"], steps),
    tests.length > 0 && markdownTable(["slowest tests", "time"], tests),
  ].filter((part) => part !== false)
  return parts.length === 0 ? "" : ["## Where the time went", ...parts].join("\n\n")
}

function coverageTable({ gates }: Report): string {
  const rows = gates.flatMap(({ verdict, coverage, thresholds }) => {
    if (!coverage) return []
    const cell = (kind: "lines" | "branches") => {
      const share = coverage.totals[kind]
      const goal = thresholds ? `, ${thresholds[kind]} % needed` : ""
      return share.valid === 0
        ? "nothing to cover"
        : `${percent(share.percent)} (${share.covered} of ${share.valid}${goal})`
    }
    const worst = [...coverage.files].sort((a, b) => a.lines.percent - b.lines.percent)[0]
    const gap = worst && worst.missed.length > 0 ? `${worst.file}: ${gaps(worst, 6)}` : ""
    return [[escape(verdict.gate), cell("lines"), cell("branches"), escape(gap)]]
  })
  return rows.length === 0
    ? ""
    : ["## Coverage", markdownTable(["gate", "lines", "branches", "least covered file"], rows)].join("\n\n")
}

function security({ sarif: { scans } }: Report): string {
  if (scans.length === 0) return ""
  const rows = scans.map(({ gate, tool, failure, counts, suppressed, dropped, changes }) => [
    escape(gate),
    escape(tool),
    ...(failure === undefined
      ? severities.map((severity) => String(counts[severity]))
      : severities.map(() => "?")),
    escape(
      [
        failure !== undefined && `did not finish: ${failure}`,
        suppressed > 0 && `${suppressed} accepted`,
        dropped > 0 && `${dropped} not in the SARIF file`,
        ...changes.map((change) => `in the SARIF file, ${change.replace(/\.$/, "")}`),
      ]
        .filter((part) => part !== false)
        .join("; "),
    ),
  ])
  return ["## Findings of scanners", markdownTable(["gate", "tool", ...severities, "remarks"], rows)].join(
    "\n\n",
  )
}

function markdownTable(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n")
}

/** Escapes text for a sentence or table cell of Markdown. */
function escape(text: string): string {
  return (
    isolated(oneLine(text, 2000))
      .replace(/[\\`*_[\]|~#]/g, "\\$&")
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      // A test's name must not mention a GitHub user.
      .replaceAll("@", "&#64;")
  )
}

function code(text: string): string {
  return `\`${oneLine(text, 500).replaceAll("`", "'").replaceAll("|", "\\|")}\``
}

/** A code block whose fence is longer than any in the text. */
function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length))
  const fence = "`".repeat(longest + 1)
  return `${fence}text\n${plain(text)}\n${fence}`
}
