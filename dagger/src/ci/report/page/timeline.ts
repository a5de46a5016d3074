import type { Report } from "../report.js"
import { duration } from "../../../lib/text.js"
import { html, type Html } from "./html.js"
import { tones } from "./badges.js"

/** Gates by the time they started or, if unknown, by duration. */
export function timeline({ gates, seconds }: Report): Html | undefined {
  const known = gates.some(({ after }) => after !== undefined)
  const ran = gates.filter(({ verdict }) => verdict.outcome !== "skipped")
  if (ran.length === 0) return undefined
  const bars = ran
    .map(({ verdict, after = 0 }) => ({
      verdict,
      begin: known ? Math.max(0, after) : 0,
      length: known && verdict.cached ? 0 : Math.max(0, verdict.seconds),
    }))
    .sort((a, b) => (known ? a.begin - b.begin : b.length - a.length))
  const end = Math.max(known ? seconds : 0, ...bars.map(({ begin, length }) => begin + length), 0.001)
  const ticks = ticksTo(end)
  const x = (value: number) => ((value / end) * 1000).toFixed(2)
  const at = (value: number) => `left:${((value / end) * 100).toFixed(3)}%`
  return html`<div class="timeline">
    <ol>
      ${bars.map(({ verdict, begin, length }) => {
        const words =
          known && verdict.cached ? `cached, saved ${duration(verdict.seconds)}` : duration(length)
        return html`<li>
          <span class="label">${verdict.gate}</span>
          <span class="bar"
            ><svg viewBox="0 0 1000 20" preserveAspectRatio="none" aria-hidden="true">
              ${ticks.map((tick) => html`<line class="tick" x1="${x(tick)}" x2="${x(tick)}" y1="0" y2="20" />`)}
              <rect
                class="${verdict.cached ? "cache" : tones[verdict.outcome]}"
                x="${x(begin)}"
                y="4"
                width="${Math.max(verdict.cached ? 7 : 3, (length / end) * 1000).toFixed(2)}"
                height="12"
                rx="2"
              /></svg
          ></span>
          <span class="time"
            >${words}<span class="unseen"
              >${known && `, began after ${duration(begin)}`}, ${verdict.outcome}</span
            ></span
          >
        </li>`
      })}
    </ol>
    <div class="axis" aria-hidden="true">
      <span></span
      ><span class="ticks">${ticks.map((tick) => html`<i style="${at(tick)}">${short(tick)}</i>`)}</span
      ><span></span>
    </div>
    <p class="legend">
      <span class="key good">passed</span><span class="key bad">failed</span
      ><span class="key odd">could not run</span><span class="key cache">cached</span>
    </p>
  </div>`
}

/** Round numbers for the axis. */
function ticksTo(end: number): number[] {
  const step =
    [0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800].find((step) => end / step <= 6) ??
    Math.ceil(end / 6)
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, number) => number * step)
}

function short(seconds: number): string {
  if (seconds < 60) return `${Number(seconds.toFixed(3))} s`
  const rest = Math.round(seconds % 60)
  return `${Math.floor(seconds / 60)} min${rest > 0 ? ` ${rest}` : ""}`
}
