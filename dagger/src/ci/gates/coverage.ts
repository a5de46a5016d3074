import type { File } from "@dagger.io/dagger"
import { parseCoverage, shortfall } from "../report/coverage.js"
import { percent } from "../../lib/text.js"
import type { Service } from "../../platform/catalog.js"
import { Fault, type Gate } from "../runner/gate.js"

/**
 * Holds what a service's tests reached against its threshold.
 *
 * @param tests the gate that measures
 * @param report its Cobertura XML
 */
export function coverageGate({ name, coverage }: Service, tests: string, report: () => File): Gate {
  return {
    name: `${name}:coverage`,
    on: `at least ${coverage.lines} % of lines, ${coverage.branches} % of branches`,
    needs: [tests],
    folder: `services/${name}`,
    thresholds: coverage,
    prepare: () => Promise.resolve(),
    look: async () => {
      const measured = parseCoverage(await report().contents())
      const missing = shortfall(measured, coverage)
      if (missing) throw new Fault(missing)
      const { lines, branches } = measured.totals
      return {
        detail: `${percent(lines.percent)} of lines, ${percent(branches.percent)} of branches`,
      }
    },
  }
}
