import { reportPlan, reportProgress, reportStart } from "../../lib/progress.js"
import { duration, oneLine, plain } from "../../lib/text.js"
import type { Service } from "../../platform/catalog.js"
import type { Gate } from "../runner/gate.js"
import { type CompletedGate, runGate, skippedGate } from "../runner/run.js"
import { schedule, type SchedulePolicy } from "../runner/schedule.js"
import { firstFinding } from "../runner/output.js"
import type { Verdict } from "../runner/verdict.js"
import { browserGate } from "./browser.js"
import { imageGates } from "./image.js"
import { loadGate, type LoadProfile } from "./load.js"
import { moduleGates } from "./module.js"
import { pythonGates } from "./python.js"
import { reactGates } from "./react.js"
import { securityGates, type SecurityOptions } from "./security.js"
import type { Subjects } from "./subjects.js"

export interface GateOptions extends SecurityOptions {
  /** Runs the load tests of the backends as well. */
  load?: LoadProfile
}

/** Every gate. The slowest come first, because they decide how long a run takes. */
export function allGates(subjects: Subjects, { load, ...security }: GateOptions = {}): Gate[] {
  const { platform } = subjects
  const services = Object.values(platform.catalog)
  const deployable = services.filter((service) => service.deployable)
  return [
    ...deployable.flatMap((service) => imageGates(subjects, service)),
    ...services.flatMap((service) =>
      service.kind === "python"
        ? pythonGates(subjects.source, platform, service)
        : reactGates(service, platform.services),
    ),
    ...deployable.filter((service) => !isBackend(service)).map((service) => browserGate(platform, service)),
    ...(load ? deployable.filter(isBackend).map((service) => loadGate(platform, service, load)) : []),
    ...moduleGates(subjects),
    ...securityGates(subjects, security),
  ]
}

const isBackend = ({ backend }: Service) => backend === undefined

/**
 * Runs gates, in parallel as far as the policy allows, and reports each as it starts and ends.
 *
 * @param remembered gives the pass of a gate that need not run
 */
export function runAll(
  gates: Gate[],
  policy: SchedulePolicy,
  remembered: (gate: Gate) => Promise<CompletedGate | undefined> = () => Promise.resolve(undefined),
): Promise<CompletedGate[]> {
  const run = async (gate: Gate) => {
    reportStart(gate.name)
    const completed = (await remembered(gate)) ?? (await runGate(gate))
    reportProgress(progressLine(completed.verdict))
    return completed
  }
  const skip = (gate: Gate, reason: string) => {
    const skipped = skippedGate(gate, reason)
    reportProgress(progressLine(skipped.verdict))
    return skipped
  }
  reportPlan(gates.length)
  return schedule(gates, run, skip, policy)
}

/** The last line that has a word, because tools end with rulers and bare counts, and npm with its own log. */
function lastSentence(output: string): string {
  const lines = plain(output).trimEnd().split("\n")
  return (
    [...lines].reverse().find((line) => /[A-Za-z]{2}/.test(line) && !/^npm (error|ERR!)/.test(line)) ??
    lines.at(-1) ??
    ""
  )
}

/** For example `api:test passed in 12.3 s`, or `api:lint failed in 2.0 s: services/api/src/a.py:2:1: F401 'sys' imported but unused`. */
export function progressLine({ gate, outcome, seconds, cached, detail, output }: Verdict): string {
  const time = outcome === "skipped" ? "" : ` in ${duration(seconds)}`
  const first = outcome === "failed" ? firstFinding(plain(output)) : undefined
  const reason = outcome === "passed" ? "" : oneLine(detail || (first ?? lastSentence(output)), 160)
  return `${gate} ${outcome}${time}${cached ? " (remembered)" : ""}${reason === "" ? "" : `: ${reason}`}`
}
