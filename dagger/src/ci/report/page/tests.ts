import { allTests, type Report, flaky, slowest } from "../report.js"
import { inWords } from "../junit.js"
import { duration } from "../../../lib/text.js"
import { html, type Html } from "./html.js"
import { bar } from "./badges.js"

const most = { slowest: 15 }

export function tests(report: Report): Html | undefined {
  const counts = allTests(report)
  if (counts.tests === 0) return undefined
  const slow = slowest(report, most.slowest)
  const longest = slow[0]?.test.seconds ?? 1
  const notAtOnce = flaky(report)
  return html`<p>${inWords(counts)}.</p>
    ${
      notAtOnce.length > 0 &&
      html`<div class="note odd">
        <h3>Passed, but not at the first try</h3>
        <ul>
          ${notAtOnce.slice(0, 50).map(({ gate, test }) => html`<li>${gate}: ${test.name}</li>`)}${notAtOnce.length > 50 && html`<li>… and ${notAtOnce.length - 50} more</li>`}
        </ul>
      </div>`
    }
    ${
      slow.length > 0 &&
      html`<div class="wide">
        <table>
          <caption>
            The slowest tests
          </caption>
          <thead>
            <tr>
              <th scope="col">Test</th>
              <th scope="col" class="number">Time</th>
              <th scope="col" class="meter"><span class="unseen">Share of the slowest</span></th>
            </tr>
          </thead>
          <tbody>
            ${slow.map(
              ({ gate, test }) =>
                html`<tr>
                  <th scope="row" class="long">${test.name} <small>${gate}</small></th>
                  <td class="number">${duration(test.seconds)}</td>
                  <td class="meter">${bar(test.seconds / longest, "plain")}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>`
    }`
}
