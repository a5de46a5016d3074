const escape = String.fromCharCode(27)
const bell = String.fromCharCode(7)
// pytest writes the escape character of a colour as #x1B, because XML cannot hold it.
const colours = new RegExp(`(?:${escape}|#x1B)\\[[0-9;?]*[ -/]*[@-~]`, "g")
const titles = new RegExp(`${escape}\\][^${bell}${escape}]*(?:${bell}|${escape}\\\\)?`, "g")
// Marks that turn the direction of text make a name look like another.
const invisible = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu
// GitHub's runner takes these for commands: "::" at the start of a line, after blanks of any kind, and "##[" anywhere in it.
const command = /^([^\S\n]*):(?=:)/gm
const oldCommand = /##(?=\[)/g

/** Text as it reads: without colours, control characters and marks that turn its direction, and with nothing that GitHub's runner obeys. */
export function plain(text: string): string {
  return disarmed(
    text
      .replace(/\r\n?/g, "\n")
      .replace(colours, "")
      .replace(titles, "")
      .replace(invisible, (character) => (character === "\n" || character === "\t" ? character : "")),
  )
}

/** A blank in a workflow command makes it text. */
function disarmed(text: string): string {
  return text.replace(command, "$1: ").replace(oldCommand, "# #")
}

// Hebrew, Arabic and all other scripts that are written from right to left.
const rightToLeft = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u

/** Text that does not turn the direction of what stands beside it on the line: Unicode's isolates stand around it where it could. */
export function isolated(text: string): string {
  return rightToLeft.test(text) ? `\u2068${text}\u2069` : text
}

/** All on one line, of a width at most. */
export function oneLine(text: string, width = 200): string {
  return clip(plain(text).replace(/\s+/g, " ").trim(), width)
}

/** A line, cut where it is longer than it may be. */
export function clip(line: string, width: number): string {
  if (line.length <= width) return line
  // Not through the middle of a character of two halves.
  return `${line.slice(0, width - 1).replace(/[\ud800-\udbff]$/, "")}…`
}

/** The last lines of an output, and how many stand above them. */
export function tail(output: string, limit: number, width = 500): string {
  // A huge output is not worth cleaning for its last lines.
  const end = output.slice(-limit * width * 4)
  const lines = plain(end).trimEnd().split("\n")
  const all = output.length > end.length ? output.trimEnd().split("\n").length : lines.length
  const left = all - Math.min(lines.length, limit)
  const shown = lines.slice(-limit).map((line) => clip(line, width))
  return left > 0
    ? [`… ${count(left, "line")} above`, ...shown.slice(1 - limit)].join("\n")
    : shown.join("\n")
}

/** A number of things, in words: "1 test", "10,000 tests". */
export function count(number: number, thing: string): string {
  return `${number.toLocaleString("en-US")} ${thing}${number === 1 ? "" : "s"}`
}

/** Percent with one decimal, rounded down: 79.99 is not 80, and 99.96 is not 100. */
export function percent(value: number): string {
  return `${(Math.floor(value * 10 + 1e-9) / 10).toFixed(1)} %`
}

export function duration(seconds: number): string {
  if (seconds < 0.1) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`
}

/** As people write it, in the one time zone that all share. */
export function moment(date: Date): string {
  return Number.isNaN(date.getTime())
    ? "at an unknown time"
    : `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`
}

/** Rows of cells as a table for a terminal: columns as wide as their widest cell, each row on one line. */
export function columns(cells: string[][]): string {
  const rows = cells.map((row) => row.map((cell) => isolated(oneLine(cell, Infinity))))
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "))
    .map((line) => line.trimEnd())
    .join("\n")
}
