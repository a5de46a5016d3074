// Draws what a command printed as a picture of a terminal:
//
//   ./daggerw --silent call ci | node scripts/picture.mjs './daggerw call ci' > docs/ci.svg
//
// The live view is drawn from what a terminal of so many columns and rows received, up to a text in it:
//
//   script -qc './daggerw call ci' recording
//   node scripts/picture.mjs './daggerw call ci' 100 24 '5 of 62 gates' < recording > docs/pictures/running.svg
import { text } from "node:stream/consumers"
import xterm from "@xterm/headless"

const [command = "", width = "118", height = "", until = ""] = process.argv.slice(2)
const columns = Number(width)
const received = await text(process.stdin)
const printed = height === "" ? received.trimEnd().split("\n") : await screen(received, Number(height), until)
const [size, line, left, top] = [14, 20, 22, 58]
/** @type {[RegExp, string][]} */
const colours = [
  [/^[\dhms]+, .* (gates|steps?) done.*/, "#e8eaed"],
  [/\b(passed|promoted)\b|^Passed.*/, "#5fd38d"],
  [/^running\b/, "#e3b866"],
  [/\b(failed|aborting|aborted)\b|^Failed.*/, "#ff7a70"],
  [/\bskipped\b|^Incomplete.*/, "#e3b866"],
]

/**
 * The lines of the last live view, or of the last one that has a text.
 *
 * @param {string} bytes
 * @param {number} rows
 * @param {string} until
 */
async function screen(bytes, rows, until) {
  const [top, leave] = ["\u001b[H", "\u001b[H\u001b[J"]
  const live = bytes.slice(0, bytes.lastIndexOf(leave))
  const found = until === "" ? live.length : live.lastIndexOf(until)
  if (live === "" || found < 0) throw new Error(`the recording has no live view with "${until}"`)
  const next = live.indexOf(top, found)
  const terminal = new xterm.Terminal({ rows, cols: columns, allowProposedApi: true })
  await new Promise((resolve) => {
    terminal.write(next < 0 ? live : live.slice(0, next), () => {
      resolve(undefined)
    })
  })
  const buffer = terminal.buffer.active
  const lines = Array.from({ length: rows }, (_, row) => buffer.getLine(row)?.translateToString(true) ?? "")
  return lines.join("\n").trimEnd().split("\n")
}

// A browser makes one of several spaces, whatever xml:space says, and columns no longer stand under each other.
/** @param {string} words */
const escape = (words) =>
  words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll(" ", "\u00a0")
/** @param {string} words */
const shorten = (words) => (words.length > columns ? `${words.slice(0, columns - 1)}…` : words)
/** @param {string} words */
function coloured(words) {
  const found = colours
    .map(([pattern, colour]) => ({ match: pattern.exec(words), colour }))
    .find(({ match }) => match)
  if (!found?.match) return escape(words)
  const { match } = found
  const after = match.index + match[0].length
  return `${escape(words.slice(0, match.index))}<tspan fill="${found.colour}">${escape(match[0])}</tspan>${escape(words.slice(after))}`
}

const lines = [`$ ${command}`, ...printed].map(shorten)
const pixels = { width: Math.round(left * 2 + columns * 8.43), height: top + lines.length * line }
const rows = lines.map((words, at) => {
  const colour = at === 0 ? "#e8eaed" : words.startsWith("GATE ") ? "#8b95a5" : "#c8cdd5"
  return `<text x="${left}" y="${top + at * line}" fill="${colour}">${coloured(words)}</text>`
})
console.log(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${pixels.width} ${pixels.height}" width="${pixels.width}" height="${pixels.height}" role="img" aria-label="${escape(`Terminal: ${command}: ${printed.at(-1) ?? ""}`)}">
<rect width="${pixels.width}" height="${pixels.height}" rx="10" fill="#15181e"/>
<g fill="#3a414d"><circle cx="22" cy="20" r="6"/><circle cx="42" cy="20" r="6"/><circle cx="62" cy="20" r="6"/></g>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${size}">
${rows.join("\n")}
</g></svg>`)
