import { checkCommand } from "../runner/summary.js"
import type { Severity } from "./severity.js"
import { inWords, type Counts, type TestCase } from "./junit.js"
import { clip, count, isolated, oneLine, plain } from "../../lib/text.js"

/** What a person has to look at, and where. */
export interface Finding {
  severity: Severity
  file?: string
  line?: number
  title: string
  message: string
  /** The command that shows just this again. */
  again: string
}

/** The command that runs a gate again, or just one test of it where the pipeline can. */
export type Again = (gate: string, test?: TestCase) => string

/** The gate as a check. */
export const checkAgain: Again = (gate) => checkCommand(gate)

/** The failing tests of a gate. */
export function findings(gate: string, cases: TestCase[], runAgain = checkAgain): Finding[] {
  return failed(cases).map((test) => ({
    severity: "high",
    ...(test.file !== undefined && { file: test.file }),
    ...(test.line !== undefined && { line: test.line }),
    title: `${gate}: ${test.name}`,
    message: assertion(test, 12).join("\n"),
    again: runAgain(gate, test),
  }))
}

/** How many lines of one failed test are worth reading in a terminal, and how many a line may take. */
const shown = { assertion: 10, width: 160 }

/**
 * The failing part of a gate's tests: what a person needs to see in the terminal to begin, and no more lines than there are to spare.
 *
 * The first failures stand in full, the rest on a line each; the last line has the counts.
 */
export function failingPart(
  gate: string,
  { cases, counts }: { cases: TestCase[]; counts: Counts },
  runAgain = checkAgain,
  limit = 40,
): string {
  const tests = failed(cases)
  const last = `${inWords(counts)}.`.replace(/^./, (letter) => letter.toUpperCase())
  const commands = tests.map((test) => runAgain(gate, test))
  // One command for all is said once.
  const common =
    new Set(commands).size === 1 ? commands.slice(0, 1).map((command) => `again: ${command}`) : []
  // More than there are lines cannot be shown.
  const blocks = tests
    .slice(0, limit)
    .map((test, at) => [
      heading(test),
      ...assertion(test, shown.assertion).map((line) => `    ${line}`),
      ...(common.length > 0 ? [] : [`    again: ${commands[at] ?? ""}`]),
    ])
  const brief = tests.map((test) => clip(`${heading(test)}: ${isolated(oneLine(test.message))}`, shown.width))
  const room = Math.max(0, limit - 1 - common.length)
  const lines = [...fit(blocks, brief, room), ...common, last]
  return lines.slice(-Math.max(1, limit)).join("\n")
}

/** As many blocks as there is room for; of the others one line, and of those that do not fit their number. */
function fit(blocks: string[][], brief: string[], room: number): string[] {
  const lines: string[] = []
  let full = 0
  for (const block of blocks) {
    // Of what follows, a few are to be named in any case.
    const others = Math.min(brief.length - full - 1, 6)
    if (lines.length + block.length + others > room) break
    lines.push(...block)
    full++
  }
  const rest = brief.slice(full)
  const left = room - lines.length
  if (rest.length <= left) return [...lines, ...rest]
  if (left <= 0) return lines.slice(0, room)
  return [
    ...lines,
    ...rest.slice(0, left - 1),
    `… and ${(rest.length - left + 1).toLocaleString("en-US")} more failed`,
  ]
}

function heading(test: TestCase): string {
  const place = [test.file ?? test.suite, test.line]
    .filter((part) => part !== undefined && part !== "")
    .join(":")
  return clip(`✗ ${place === "" ? "" : `${isolated(place)}  `}${isolated(oneLine(test.name))}`, shown.width)
}

/**
 * The part of a failure's text that says what was expected and what was there instead.
 *
 * @param limit how many lines at most
 */
export function assertion({ detail, message }: TestCase, limit: number): string[] {
  // Whatever a tool prints on one line: more than this is never shown, and patterns take their time on it.
  const lines = plain(detail)
    .split("\n")
    .map((line) => line.slice(0, 1000))
  const chosen = pytest(lines) ?? playwright(lines) ?? vitest(lines)
  const kept = chosen.filter((line, at) => line.trim() !== "" || (at > 0 && chosen[at - 1]?.trim() !== ""))
  while (kept.length > 0 && kept.at(-1)?.trim() === "") kept.pop()
  if (kept.length === 0) return message === "" ? [] : [oneLine(message, shown.width)]
  // What expected and received have in common is the first to go.
  const differing = kept.length > limit ? kept.filter((line) => !line.startsWith("  ")) : kept
  const cut =
    differing.length > limit
      ? [...differing.slice(0, limit - 1), `… ${count(differing.length - limit + 1, "more line")}`]
      : differing
  return cut.map((line) => clip(line, shown.width))
}

/** The lines that pytest marks: what was run last, and why it failed. */
function pytest(lines: string[]): string[] | undefined {
  const errors = lines.flatMap((line, at) => (/^E {3}.*\S/.test(line) ? [at] : []))
  const first = errors[0]
  if (first === undefined) return undefined
  const ran = lines
    .slice(0, first)
    .filter((line) => line.startsWith(">"))
    .at(-1)
  return [...(ran === undefined ? [] : [ran]), ...errors.flatMap((at) => lines[at] ?? [])]
}

/** The first try, without the log of its waiting; of the code, the line at which it stood. */
function playwright(lines: string[]): string[] | undefined {
  const begin = lines.findIndex((line) => /^\s*\[[^\]]*\] › /.test(line))
  if (begin < 0) return undefined
  const after = lines.slice(begin + 1)
  const ends = after.findIndex((line) => /^\s*(attachment #|Error Context:|Retry #)/.test(line))
  const first = ends < 0 ? after : after.slice(0, ends)
  const code = first
    .filter((line) => /^\s*> +\d+ \|/.test(line))
    .map((line) => line.replace(/^\s*> +(\d+) \|\s*/, "> $1 | "))
  const words = first.filter((line) => !/^\s*(>? *\d+ \||\|)/.test(line) && !/^\s+at \S/.test(line))
  const log = words.findIndex((line) => line.trim() === "Call log:")
  return [...(log < 0 ? words : words.slice(0, log)).map((line) => line.replace(/^ {4}/, "")), ...code]
}

/** All but what Vitest puts below: the stack, and the error once more. */
function vitest(lines: string[]): string[] {
  const ends = lines.findIndex((line) => /^\s*(⎯{5,}|❯ |at \S.*:\d)/.test(line))
  return ends < 0 ? lines : lines.slice(0, ends)
}

function failed(cases: TestCase[]): TestCase[] {
  return cases.filter(({ outcome }) => outcome === "failed")
}
