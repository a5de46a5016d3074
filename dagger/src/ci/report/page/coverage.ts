import { type FileCoverage, gaps, isShort, type Share } from "../coverage.js"
import type { Report } from "../report.js"
import type { Thresholds } from "../artifacts.js"
import { count, percent } from "../../../lib/text.js"
import { html, type Html } from "./html.js"
import { bar } from "./badges.js"

const most = { files: 300 }

export function coverage({ gates }: Report): Html | undefined {
  const measured = gates.flatMap(({ verdict, coverage, thresholds }) =>
    coverage ? [{ gate: verdict.gate, coverage, thresholds }] : [],
  )
  if (measured.length === 0) return undefined
  return html`<div class="wide">
      <table class="cards">
        <caption>
          Coverage of tests; the mark is the threshold
        </caption>
        <thead>
          <tr>
            <th scope="col">Measured by</th>
            <th scope="col">Lines</th>
            <th scope="col">Branches</th>
          </tr>
        </thead>
        <tbody>
          ${measured.map(
            ({ gate, coverage, thresholds }) =>
              html`<tr>
                <th scope="row">${gate}</th>
                ${shareCell("Lines", coverage.totals.lines, thresholds?.lines)}${shareCell("Branches", coverage.totals.branches, thresholds?.branches)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${measured.map(({ gate, coverage, thresholds }) => fileTable(gate, coverage.files, thresholds))}`
}

function shareCell(label: string, share: Share, threshold?: number): Html {
  if (share.valid === 0) return html`<td data-label="${label}">nothing to cover</td>`
  const short = threshold !== undefined && isShort(share, threshold)
  return html`<td data-label="${label}">
    ${bar(share.covered / share.valid, short ? "bad" : "good", threshold)}<span class="share"
      >${percent(share.percent)}
      <small
        >${share.covered.toLocaleString("en-US")} of
        ${share.valid.toLocaleString("en-US")}${short && html`, <b class="short">${threshold} % needed</b>`}</small
      ></span
    >
  </td>`
}

function fileTable(gate: string, files: FileCoverage[], thresholds: Thresholds | undefined): Html {
  const wanting = files
    .filter(
      ({ lines, branches, branchRate }) =>
        lines.covered < lines.valid || branches.covered < branches.valid || branchRate !== undefined,
    )
    .sort((a, b) => a.lines.percent + a.branches.percent - b.lines.percent - b.branches.percent)
  const shown = wanting.slice(0, most.files)
  const whole = files.length - wanting.length
  return html`<details>
    <summary>${gate}: ${count(files.length, "file")}, ${whole} covered in full</summary>
    ${
      shown.length > 0 &&
      html`<div class="wide">
        <table class="cards">
          <caption>
            Files with something missed, least covered first
          </caption>
          <thead>
            <tr>
              <th scope="col">File</th>
              <th scope="col">Lines</th>
              <th scope="col">Branches</th>
              <th scope="col">Missed</th>
            </tr>
          </thead>
          <tbody>
            ${shown.map(
              (file) =>
                html`<tr>
                  <th scope="row" class="long"><code>${file.file}</code></th>
                  ${shareCell("Lines", file.lines)}${shareCell("Branches", file.branches)}
                  <td class="missed">${gaps(file, 40)}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>`
    }
    ${wanting.length > shown.length && html`<p>${count(wanting.length - shown.length, "more file")} in the coverage report.</p>`}
    ${thresholds && html`<p>At least ${thresholds.lines} % of lines and ${thresholds.branches} % of branches are needed in all files together.</p>`}
  </details>`
}
