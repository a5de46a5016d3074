import type { Report } from "./report.js"
import { reportFiles } from "./files.js"
import { coverage } from "./page/coverage.js"
import { failures } from "./page/failures.js"
import { gateTable } from "./page/gates.js"
import { pageDocument } from "./page/document.js"
import { html, type Html } from "./page/html.js"
import { pageHeader } from "./page/header.js"
import { scans } from "./page/scans.js"
import { tests } from "./page/tests.js"
import { timeline } from "./page/timeline.js"
import { oneLine } from "../../lib/text.js"

/** The report as one HTML page. It needs the pictures and no other file, and fetches nothing. */
export function page(report: Report): string {
  const sections = [
    section("failures", "What did not pass", failures(report)),
    section("problems", "Reports that cannot be read", problems(report)),
    section("gates", "Gates", gateTable(report)),
    section(
      "timeline",
      report.gates.some(({ after }) => after !== undefined) ? "Timeline" : "Durations",
      timeline(report),
    ),
    section("tests", "Tests", tests(report)),
    section("coverage", "Coverage", coverage(report)),
    section("findings", "Findings of scanners", scans(report)),
    section("files", "Files", files(report)),
  ].filter((part) => part !== undefined)
  return pageDocument(
    `${report.outcome}: Pitwall report`,
    html`${pageHeader(report)}
      <nav aria-label="Sections">
        <ul>
          ${sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}
        </ul>
      </nav>
      <main>
        ${sections.map(
          ({ id, title, content }) =>
            html`<section id="${id}" aria-labelledby="${id}-title">
              <h2 id="${id}-title">${title}</h2>
              ${content}
            </section> `,
        )}
      </main>
      <footer>
        <p>Pitwall · the same facts for programs: <a href="${reportFiles.json}">${reportFiles.json}</a></p>
      </footer>`,
  )
}

function section(id: string, title: string, content: Html | undefined) {
  return content && { id, title, content }
}

function problems({ problems }: Report): Html | undefined {
  if (problems.length === 0) return undefined
  return html`<ul class="problems">
      ${problems.map(({ gate, file, message }) => html`<li><strong>${gate}</strong>: its ${file} ${oneLine(message, 400)}</li>`)}
    </ul>
    <p>The rest of this report is complete without it; the files are kept under <code>unreadable/</code>.</p>`
}

function files({ gates, sarif, problems }: Report): Html {
  const row = (name: string, path: string) =>
    html`<li><a href="${path}">${path}</a> <span>${name}</span></li>`
  return html`<ul class="files">
    ${row("this report in words", reportFiles.summary)}${row("the same facts, for programs", reportFiles.json)}${row("annotations for GitHub", reportFiles.annotations)}
    ${gates.flatMap(({ verdict: { gate, output }, tests, coverage }) => [
      ...(tests ? [row("JUnit", reportFiles.junit(gate))] : []),
      ...(coverage
        ? [row("Cobertura", reportFiles.coverage(gate)), row("lcov", reportFiles.lcov(gate))]
        : []),
      ...(output === "" ? [] : [row("output", reportFiles.log(gate))]),
    ])}
    ${sarif.files.map((_, at) => row("SARIF", reportFiles.sarif(at + 1)))}
    ${problems.map(({ gate, file }) => row(file, reportFiles.unreadable(gate, file.split(" ")[0]?.toLowerCase() ?? "")))}
  </ul>`
}
