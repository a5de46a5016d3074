import type { Report, GateReport } from "../report.js"
import { inWords } from "../junit.js"
import { duration, oneLine } from "../../../lib/text.js"
import { html, type Html } from "./html.js"
import { anchor, badge, tones } from "./badges.js"

export function gateTable({ gates }: Report): Html | undefined {
  if (gates.length === 0) return undefined
  return html`<div class="wide">
    <table class="cards">
      <caption>
        What each gate checks, how it ended, and the command that runs it again
      </caption>
      <thead>
        <tr>
          <th scope="col">Gate</th>
          <th scope="col">Outcome</th>
          <th scope="col" class="number">Time</th>
          <th scope="col">Detail</th>
          <th scope="col">Run again</th>
        </tr>
      </thead>
      <tbody>
        ${gates.map(
          ({ verdict, failing, again, tests }) =>
            html`<tr class="${tones[verdict.outcome]}">
              <th scope="row">
                ${failing === "" ? verdict.gate : html`<a href="#${anchor(verdict.gate)}">${verdict.gate}</a>`}
              </th>
              <td>${badge(verdict.outcome)}</td>
              <td class="number">
                ${verdict.outcome !== "skipped" && duration(verdict.seconds)}${verdict.cached && html` <span class="cached">cached</span>`}
              </td>
              <td class="detail">
                <span class="on">${verdict.subject}</span
                >${detail(verdict.detail, tests)}${verdict.retries.map((reason) => html`<span class="retry">tried again: ${oneLine(reason, 300)}</span>`)}
              </td>
              <td class="command">
                <code
                  >${again.split(" ").flatMap((word) => [html`<span class="word">${word}</span>`, " "])}</code
                >
              </td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`
}

function detail(detail: string, tests: GateReport["tests"]): Html | false {
  const text = detail === "" && tests ? inWords(tests.counts) : detail
  return text !== "" && html`<span>${oneLine(text, 300)}</span>`
}
