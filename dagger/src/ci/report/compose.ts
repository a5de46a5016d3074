import { allFindings, readReport } from "./report.js"
import { githubAnnotations } from "./annotations.js"
import { toLcov } from "./coverage.js"
import type { Run } from "./artifacts.js"
import { reportFiles } from "./files.js"
import { type Again, checkAgain } from "./failures.js"
import { page } from "./page.js"
import { summaryMarkdown, toSummary } from "./summary.js"
import { plain } from "../../lib/text.js"

/**
 * Writes every file of the report folder except the pictures, which the caller puts under `reportFiles.pictures(gate)`.
 *
 * @param again how a gate, or just one test of it, is run again
 */
export function composeReport(run: Run, again: Again = checkAgain): Record<string, string> {
  const report = readReport(run, again)
  const files: Record<string, string> = {
    [reportFiles.summary]: summaryMarkdown(report),
    [reportFiles.json]: `${JSON.stringify(toSummary(report), null, 2)}\n`,
    [reportFiles.page]: page(report),
    [reportFiles.annotations]: githubAnnotations(allFindings(report))
      .map((line) => `${line}\n`)
      .join(""),
  }
  report.gates.forEach(({ verdict: { gate, output }, tests, coverage }, at) => {
    const { junit, coverage: cobertura } = run.gates[at]?.artifacts ?? {}
    if (junit !== undefined)
      files[tests ? reportFiles.junit(gate) : reportFiles.unreadable(gate, "junit")] = junit
    if (cobertura !== undefined) {
      files[coverage ? reportFiles.coverage(gate) : reportFiles.unreadable(gate, "coverage")] = cobertura
    }
    if (coverage) files[reportFiles.lcov(gate)] = toLcov(coverage)
    if (output !== "") files[reportFiles.log(gate)] = `${plain(output).trimEnd()}\n`
  })
  report.sarif.files.forEach((text, at) => {
    files[reportFiles.sarif(at + 1)] = text
  })
  return files
}
