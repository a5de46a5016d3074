import { checkCommand } from "../runner/summary.js"
import type { Severity } from "./severity.js"
import { inWords, type Counts, type TestCase } from "./junit.js"
import { clip, count, isolated, oneLine, plain, printableWord, shellQuoted } from "../../lib/text.js"

/** A failed test, gate or scan that a person has to look at. */
export interface Finding {
  severity: Severity
  file?: string
  line?: number
  title: string
  message: string
  /** The command that runs just this again. */
  again: string
}

/** Gives the command that runs a gate again, or just one of its tests if the gate can do that. */
export type Again = (gate: string, test?: TestCase) => string

/** Runs the whole gate again, as a check. */
export const checkAgain: Again = (gate) => checkCommand(gate)

/** Runs one test again, as far as its tool can select it, or else the whole gate. */
export const testAgain: Again = (gate, test) => {
  if (!test || test.select.length === 0) return checkCommand(gate)
  // A shell in the gate's container reads the words of the selection, after the shell of the terminal.
  const select = test.select.map(shellQuoted).join(" ")
  return `./daggerw call test --gate ${gate} --select ${printableWord(select)}`
}

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

/** Limits for one failed test in a terminal: lines, and characters per line. */
const shown = { assertion: 10, width: 160 }

/**
 * Describes the failed tests of a gate for the terminal, within a number of lines.
 *
 * The first failures are shown in full, the others in one line each. The last line has the counts.
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
  // A command that all tests share is shown once.
  const common =
    new Set(commands).size === 1 ? commands.slice(0, 1).map((command) => `again: ${command}`) : []
  // There is no room for more blocks than lines.
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

/** Fits blocks into the room: full blocks first, then one line per test, then the number of the rest. */
function fit(blocks: string[][], brief: string[], room: number): string[] {
  const lines: string[] = []
  let full = 0
  for (const block of blocks) {
    // Keep room to name a few of the other tests.
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
  return clip(
    `✗ ${place === "" ? "" : `${isolated(oneLine(place))}  `}${isolated(oneLine(test.name))}`,
    shown.width,
  )
}

/**
 * Picks the lines of a failure that show what was expected and what was there instead.
 *
 * @param limit how many lines at most
 */
export function assertion({ detail, message }: TestCase, limit: number): string[] {
  // Longer lines are never shown in full, and patterns are slow on them.
  const lines = plain(detail)
    .split("\n")
    .map((line) => line.slice(0, 1000))
  const chosen = pytest(lines) ?? playwright(lines) ?? vitest(lines)
  const kept = chosen.filter((line, at) => line.trim() !== "" || (at > 0 && chosen[at - 1]?.trim() !== ""))
  while (kept.length > 0 && kept.at(-1)?.trim() === "") kept.pop()
  if (kept.length === 0) return message === "" ? [] : [oneLine(message, shown.width)]
  // Lines that expected and received share are dropped first.
  const differing = kept.length > limit ? kept.filter((line) => !line.startsWith("  ")) : kept
  const cut =
    differing.length > limit
      ? [...differing.slice(0, limit - 1), `… ${count(differing.length - limit + 1, "more line")}`]
      : differing
  return cut.map((line) => clip(line, shown.width))
}

/** The lines that pytest marks: the last statement (>) and the error (E). */
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

/** The first attempt without its call log, and the line of code that failed. */
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

/** Everything above the stack that Vitest prints. */
function vitest(lines: string[]): string[] {
  const ends = lines.findIndex((line) => /^\s*(⎯{5,}|❯ |at \S.*:\d)/.test(line))
  return ends < 0 ? lines : lines.slice(0, ends)
}

function failed(cases: TestCase[]): TestCase[] {
  return cases.filter(({ outcome }) => outcome === "failed")
}
