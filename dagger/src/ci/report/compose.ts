import { allFindings, digest } from "./digest.js"
import { annotations } from "./annotations.js"
import { toLcov } from "./coverage.js"
import type { Run } from "./evidence.js"
import { reportFiles } from "./files.js"
import { type Again, checkAgain } from "./findings.js"
import { page } from "./page.js"
import { summaryMarkdown, toSummary } from "./summary.js"
import { plain } from "../../lib/text.js"

/**
 * Every file of the report folder but the pictures: those, the caller puts under `reportFiles.pictures(gate)`.
 *
 * @param again how a gate, or just one test of it, is run again
 */
export function composeReport(run: Run, again: Again = checkAgain): Record<string, string> {
  const told = digest(run, again)
  const files: Record<string, string> = {
    [reportFiles.summary]: summaryMarkdown(told),
    [reportFiles.json]: `${JSON.stringify(toSummary(told), null, 2)}\n`,
    [reportFiles.page]: page(told),
    [reportFiles.annotations]: annotations(allFindings(told))
      .map((line) => `${line}\n`)
      .join(""),
  }
  told.gates.forEach(({ verdict: { gate, output }, tests, coverage }, at) => {
    const { junit, coverage: cobertura } = run.gates[at]?.evidence ?? {}
    if (junit !== undefined)
      files[tests ? reportFiles.junit(gate) : reportFiles.unreadable(gate, "junit")] = junit
    if (cobertura !== undefined) {
      files[coverage ? reportFiles.coverage(gate) : reportFiles.unreadable(gate, "coverage")] = cobertura
    }
    if (coverage) files[reportFiles.lcov(gate)] = toLcov(coverage)
    if (output !== "") files[reportFiles.log(gate)] = `${plain(output).trimEnd()}\n`
  })
  told.sarif.files.forEach((text, at) => {
    files[reportFiles.sarif(at + 1)] = text
  })
  return files
}
