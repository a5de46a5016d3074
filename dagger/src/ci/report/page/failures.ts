import type { Report } from "../report.js"
import { reportFiles } from "../files.js"
import { assertion } from "../failures.js"
import { inWords, type TestCase } from "../junit.js"
import { link } from "../paths.js"
import { clip, count, duration, plain } from "../../../lib/text.js"
import { html, type Html } from "./html.js"
import { anchor, badge, tones } from "./badges.js"

/** Limits that keep the page readable. */
const most = { failures: 50, lines: 400, named: 500, pictures: 100 }

export function failures(report: Report): Html | undefined {
  const failed = report.gates.filter(({ failing }) => failing !== "")
  if (failed.length === 0) return undefined
  let budget = most.failures
  let pictures = most.pictures
  return html`${failed.map((reading) => {
    const { verdict, again } = reading
    const tests = (reading.tests?.cases ?? []).filter(({ outcome }) => outcome === "failed")
    const full = tests.slice(0, budget)
    const shown = reading.pictures.slice(0, pictures)
    budget -= full.length
    pictures -= shown.length
    const own = new Map(full.map((test) => [test, shown.filter((picture) => leftBy(test, picture))]))
    const others = shown.filter((picture) => ![...own.values()].flat().includes(picture))
    return html`<article class="failure ${tones[verdict.outcome]}" id="${anchor(verdict.gate)}">
      <h3>${badge(verdict.outcome)} <span>${verdict.gate}</span></h3>
      <p class="on">${verdict.subject}${reading.tests && html` · ${inWords(reading.tests.counts)}`}</p>
      <p class="again">Run again: <code>${again}</code></p>
      ${(tests.length === 0 || verdict.outcome !== "failed") && html`<pre tabindex="0">${reading.failing}</pre>`}
      ${full.map((test) => failure(verdict.gate, test, report, own.get(test) ?? []))}
      ${named(tests.slice(full.length))}
      ${others.length > 0 && html`<div class="pictures">${others.map((picture) => figure(verdict.gate, picture, picture))}</div>`}
      ${reading.pictures.length > shown.length && html`<p>${count(reading.pictures.length - shown.length, "more picture")} in <code>${reportFiles.pictures(verdict.gate)}</code>.</p>`}
    </article>`
  })}`
}

function failure(gate: string, test: TestCase, { again }: Report, pictures: string[]): Html {
  const place = [test.file ?? test.suite, test.line]
    .filter((part) => part !== undefined && part !== "")
    .join(":")
  const detail = plain(test.detail).split("\n")
  const cut = detail.slice(0, most.lines).map((line) => clip(line, 1000))
  const part = assertion(test, 20)
  const command = again(gate, test)
  return html`<div class="case">
    <h4>${test.name}</h4>
    <p class="place">
      <code>${place}</code> ·
      ${duration(test.seconds)}${command !== again(gate) && html` · <code>${command}</code>`}
    </p>
    <pre tabindex="0">${part.flatMap((line) => [marked(line), "\n"])}</pre>
    ${
      cut.length > part.length &&
      html`<details>
        <summary>Full output of the test</summary>
        <pre tabindex="0">
${cut.join("\n")}${detail.length > cut.length && `\n… ${count(detail.length - cut.length, "more line")}`}</pre>
      </details>`
    }
    ${pictures.length > 0 && html`<div class="pictures">${pictures.map((picture) => figure(gate, picture, test.name))}</div>`}
  </div>`
}

/** Marks expected and received lines, as a diff does. */
function marked(line: string): Html {
  const kind = /^(- |E +- |Expected:)/.test(line)
    ? "expected"
    : /^(\+ |E +\+ |Received:)/.test(line)
      ? "received"
      : ""
  return kind === "" ? html`${line}` : html`<span class="${kind}">${line}</span>`
}

/** Whether a test lists a picture among its attachments, by folder and file name. */
function leftBy({ attachments }: TestCase, picture: string): boolean {
  const end = (path: string) => path.split("/").slice(-2).join("/")
  return attachments.some((path) => end(path) === end(picture))
}

function figure(gate: string, picture: string, caption: string): Html {
  const source = `${reportFiles.pictures(gate)}/${link(picture)}`
  return html`<figure>
    <a href="${source}"><img src="${source}" alt="Screenshot: ${caption}" loading="lazy" /></a>
    <figcaption>${caption}</figcaption>
  </figure>`
}

function named(tests: TestCase[]): Html | false {
  if (tests.length === 0) return false
  const shown = tests.slice(0, most.named)
  const more = tests.length - shown.length
  return html`<details>
    <summary>${count(tests.length, "more failing test")}</summary>
    <ul class="named">
      ${shown.map(
        (test) => html`<li>${test.name}${test.message !== "" && html`: ${clip(test.message, 160)}`}</li>`,
      )}${more > 0 && html`<li>… and ${more.toLocaleString("en-US")} more, in the JUnit file</li>`}
    </ul>
  </details>`
}
