import type { File } from "@dagger.io/dagger"
import { parseCoverage, shortfall } from "../report/coverage.js"
import { percent } from "../../lib/text.js"
import type { Service } from "../../platform/catalog.js"
import { type Gate, GateFailure } from "../runner/gate.js"

/**
 * Compares the coverage of a service's tests with its thresholds.
 *
 * @param tests the name of the gate that measures coverage
 * @param report the Cobertura XML that it leaves
 */
export function coverageGate({ name, coverage }: Service, tests: string, report: () => File): Gate {
  return {
    name: `${name}:coverage`,
    subject: `at least ${coverage.lines} % of lines, ${coverage.branches} % of branches`,
    needs: [tests],
    folder: `services/${name}`,
    thresholds: coverage,
    prepare: () => Promise.resolve(),
    execute: async () => {
      const measured = parseCoverage(await report().contents())
      const missing = shortfall(measured, coverage)
      if (missing) throw new GateFailure(missing)
      const { lines, branches } = measured.totals
      return {
        detail: `${percent(lines.percent)} of lines, ${percent(branches.percent)} of branches`,
      }
    },
  }
}
