import type { Report } from "../report.js"
import { severities } from "../severity.js"
import { count, oneLine } from "../../../lib/text.js"
import { html, type Html } from "./html.js"

const most = { alerts: 200 }

export function scans({ sarif: { scans } }: Report): Html | undefined {
  if (scans.length === 0) return undefined
  const alerts = scans
    .flatMap((scan) => scan.alerts.map((alert) => ({ gate: scan.gate, ...alert })))
    .sort((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity))
  const shown = alerts.slice(0, most.alerts)
  return html`<div class="wide">
      <table>
        <caption>
          How much each scanner found, by severity
        </caption>
        <thead>
          <tr>
            <th scope="col">Gate</th>
            <th scope="col">Scanner</th>
            ${severities.map((severity) => html`<th scope="col" class="number">${severity}</th>`)}
            <th scope="col">Remarks</th>
          </tr>
        </thead>
        <tbody>
          ${scans.map(
            ({ gate, tool, failure, counts, suppressed, dropped, changes }) =>
              html`<tr>
                <th scope="row">${gate}</th>
                <td>${tool}</td>
                ${severities.map((severity) => html`<td class="number">${failure === undefined ? html`<span class="${counts[severity] > 0 ? `count ${severity}` : "zero"}">${counts[severity]}</span>` : "?"}</td>`)}
                <td>
                  ${failure !== undefined && html`<span class="badge odd"><span class="sign" aria-hidden="true">!</span>did not finish</span> ${failure} `}${suppressed > 0 && `${suppressed} accepted `}${dropped > 0 && `${dropped} not in the SARIF file `}${changes.map((change) => `In the SARIF file, ${change} `)}
                </td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${
      shown.length > 0 &&
      html`<ul class="alerts">
        ${shown.map(
          ({ gate, tool, rule, severity, file, line, message }) =>
            html`<li>
              <span class="count ${severity}">${severity}</span>
              <strong>${rule}</strong> ${oneLine(message, 400)}<span class="place"
                ><code>${[file ?? gate, line].filter((part) => part !== undefined).join(":")}</code> ·
                ${tool}</span
              >
            </li>`,
        )}
      </ul>`
    }
    ${alerts.length > shown.length && html`<p>${count(alerts.length - shown.length, "more finding")} in the SARIF file.</p>`}`
}
