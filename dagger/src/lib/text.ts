const escape = String.fromCharCode(27)
const bell = String.fromCharCode(7)
// pytest writes the escape character of a colour as #x1B, because XML cannot hold it.
const colours = new RegExp(`(?:${escape}|#x1B)\\[[0-9;?]*[ -/]*[@-~]`, "g")
const titles = new RegExp(`${escape}\\][^${bell}${escape}]*(?:${bell}|${escape}\\\\)?`, "g")
// Marks that change the direction of text can make a name look like another.
const invisible = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu
// GitHub's runner obeys commands that begin with "::" after any white space, and "##[" anywhere in a line.
const command = /^([^\S\n]*):(?=:)/gm
const oldCommand = /##(?=\[)/g

/** Removes colours, control characters and direction marks, and makes workflow commands of GitHub's runner inactive. */
export function plain(text: string): string {
  return disarmed(
    text
      .replace(/\r\n?/g, "\n")
      .replace(colours, "")
      .replace(titles, "")
      .replace(invisible, (character) => (character === "\n" || character === "\t" ? character : "")),
  )
}

/** A space inside a workflow command makes it plain text. */
function disarmed(text: string): string {
  return text.replace(command, "$1: ").replace(oldCommand, "# #")
}

// Hebrew, Arabic and the other scripts that are written from right to left.
const rightToLeft = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u

/** Wraps right-to-left text in Unicode isolates, so that it does not reorder its neighbours on the line. */
export function isolated(text: string): string {
  return rightToLeft.test(text) ? `\u2068${text}\u2069` : text
}

/** Quotes a word for a POSIX shell if it needs quotes. */
export function shellQuoted(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

/**
 * Quotes a word for a command that is shown to people. Control characters, direction marks and workflow commands are written as escapes, which the shells of
 * terminals (Bash, Zsh) turn back: removing them, as {@link plain} does, would make it another word.
 */
export function printableWord(word: string): string {
  const printable = word
    .replace(/[\\']/g, "\\$&")
    .replace(oldCommand, "#\\x23")
    .replace(invisible, (character) => Buffer.from(character).toString("hex").replace(/../g, "\\x$&"))
  const active = word.search(invisible) >= 0 || word.search(oldCommand) >= 0
  return active ? `$'${printable}'` : shellQuoted(word)
}

/** Puts text on one line of at most `width` characters. */
export function oneLine(text: string, width = 200): string {
  return clip(plain(text).replace(/\s+/g, " ").trim(), width)
}

/** Cuts a line to at most `width` characters. */
export function clip(line: string, width: number): string {
  if (line.length <= width) return line
  // Never cut a surrogate pair in two.
  return `${line.slice(0, width - 1).replace(/[\ud800-\udbff]$/, "")}…`
}

/** The last lines of an output, and the number of lines above them. */
export function tail(output: string, limit: number, width = 500): string {
  // Only the end of a huge output has to be cleaned.
  const end = output.slice(-limit * width * 4)
  const lines = plain(end).trimEnd().split("\n")
  const all = output.length > end.length ? output.trimEnd().split("\n").length : lines.length
  const left = all - Math.min(lines.length, limit)
  const shown = lines.slice(-limit).map((line) => clip(line, width))
  return left > 0
    ? [`… ${count(left, "line")} above`, ...shown.slice(1 - limit)].join("\n")
    : shown.join("\n")
}

/** Writes a count: "1 test", "10,000 tests". */
export function count(number: number, thing: string): string {
  return `${number.toLocaleString("en-US")} ${thing}${number === 1 ? "" : "s"}`
}

/** Percent with one decimal, rounded down: 79.99 is not 80, and 99.96 is not 100. */
export function percent(value: number): string {
  return `${(Math.floor(value * 10 + 1e-9) / 10).toFixed(1)} %`
}

export function duration(seconds: number): string {
  if (seconds < 0.1) return `${Math.round(seconds * 1000)} ms`
  // 59.97 is not 60.0.
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`
}

/** Writes a time in UTC, to the minute. */
export function moment(date: Date): string {
  return Number.isNaN(date.getTime())
    ? "at an unknown time"
    : `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`
}

/** Formats rows as a table for the terminal: columns as wide as their widest cell, each row on one line. */
export function columns(cells: string[][]): string {
  const rows = cells.map((row) => row.map((cell) => isolated(oneLine(cell, Infinity))))
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "))
    .map((line) => line.trimEnd())
    .join("\n")
}

/** Such as `0.4 %`, and never `0 %` for what is more, nor `100 %` for what is less. */
export function rateText(value: number): string {
  const rounded = Math.round(value * 10) / 10
  if (value > 0 && rounded === 0) return "< 0.1 %"
  return value < 100 && rounded === 100 ? "> 99.9 %" : `${rounded} %`
}
