import type { Outcome } from "../../runner/verdict.js"
import { isShort } from "../coverage.js"
import { allTests, isIncomplete, type Report } from "../report.js"
import { count, duration, moment, oneLine, percent, plain } from "../../../lib/text.js"
import { html, type Html } from "./html.js"
import { signs, tones } from "./badges.js"

const headlines: Record<Outcome, string> = {
  passed: "Passed",
  failed: "Failed",
  "could not run": "Could not run",
  skipped: "No gate ran",
}

/** The verdict, revision, time and key figures. */
export function pageHeader(report: Report): Html {
  const { outcome, conclusion, started, seconds, revision, because, gates } = report
  const shown = isIncomplete(report) ? "could not run" : outcome
  const headline = isIncomplete(report) ? "Incomplete" : headlines[outcome]
  return html`<header class="page-header ${tones[shown]}">
    <div class="flag" aria-hidden="true"></div>
    <p class="name">Pitwall report</p>
    <h1><span class="sign" aria-hidden="true">${signs[shown]}</span>${headline}</h1>
    <p class="conclusion">${plain(conclusion)}</p>
    <p class="about">
      ${revision !== undefined && html`Revision <code>${oneLine(revision, 60)}</code> · `}<time
        datetime="${isoOf(started)}"
        >${moment(started)}</time
      >
      · took ${duration(seconds)}
    </p>
    ${because !== undefined && html`<p class="about">${oneLine(because, 400)}</p>`}
    ${
      gates.length === 0
        ? html`<p>No gate ran, so nothing is known.</p>`
        : html`<dl class="tiles">
            ${tiles(report).map(
              ({ label, value, note, tone }) =>
                html`<div class="tile ${tone}">
                  <dt>${label}</dt>
                  <dd><strong>${value}</strong><span>${note}</span></dd>
                </div>`,
            )}
          </dl>`
    }
  </header>`
}

function isoOf(date: Date): string {
  return Number.isNaN(date.getTime()) ? "" : date.toISOString()
}

interface Tile {
  label: string
  value: string
  note: string
  tone: string
}

function tiles(report: Report): Tile[] {
  const { gates, sarif } = report
  const ended = (outcome: Outcome) => gates.filter(({ verdict }) => verdict.outcome === outcome).length
  const cached = gates.filter(({ verdict }) => verdict.cached)
  const saved = cached.reduce((sum, { verdict }) => sum + verdict.seconds, 0)
  const counts = allTests(report)
  const measured = gates.flatMap(({ verdict, coverage, thresholds }) =>
    coverage && coverage.totals.lines.valid > 0
      ? [{ gate: verdict.gate, share: coverage.totals.lines, thresholds }]
      : [],
  )
  const [least] = measured.sort((a, b) => a.share.percent - b.share.percent)
  const grave = sarif.scans.reduce((sum, { counts }) => sum + counts.critical + counts.high, 0)
  const unfinished = sarif.scans.filter(({ failure }) => failure !== undefined).length
  const notPassed = [
    ended("failed") > 0 && `${ended("failed")} failed`,
    ended("could not run") > 0 && `${ended("could not run")} could not run`,
    ended("skipped") > 0 && `${ended("skipped")} skipped`,
  ].filter((part) => part !== false)
  const none: (Tile | false | undefined)[] = [
    gates.length > 0 && {
      label: "Gates passed",
      value: `${ended("passed")} of ${gates.length}`,
      note: notPassed.length > 0 ? notPassed.join(", ") : "nothing left out",
      tone: ended("failed") > 0 ? "bad" : ended("could not run") + ended("skipped") > 0 ? "odd" : "good",
    },
    counts.tests > 0 && {
      label: "Tests passed",
      value: `${counts.passed.toLocaleString("en-US")} of ${counts.tests.toLocaleString("en-US")}`,
      note: testNote(counts),
      tone: counts.failed + counts.errors > 0 ? "bad" : counts.flaky > 0 ? "odd" : "good",
    },
    least && {
      label: "Least line coverage",
      value: percent(least.share.percent),
      note: least.gate,
      tone: least.thresholds && isShort(least.share, least.thresholds.lines) ? "bad" : "good",
    },
    sarif.scans.length > 0 && {
      label: "Critical and high findings",
      value: unfinished > 0 && grave === 0 ? "?" : String(grave),
      note:
        unfinished > 0
          ? `${count(unfinished, "scanner")} did not finish`
          : `by ${count(sarif.scans.length, "scanner")}`,
      tone: grave > 0 ? "bad" : unfinished > 0 ? "odd" : "good",
    },
    cached.length > 0 && {
      label: "Saved by the cache",
      value: duration(saved),
      note: `${count(cached.length, "gate")} unchanged`,
      tone: "idle",
    },
  ]
  return none.filter((tile) => tile !== false && tile !== undefined)
}

function testNote({ failed, errors, skipped, flaky }: ReturnType<typeof allTests>): string {
  const parts = [
    failed > 0 && `${failed.toLocaleString("en-US")} failed`,
    errors > 0 && count(errors, "error"),
    skipped > 0 && `${skipped.toLocaleString("en-US")} skipped`,
    flaky > 0 && `${flaky} flaky`,
  ].filter((part) => part !== false)
  return parts.length > 0 ? parts.join(", ") : "at the first try"
}
