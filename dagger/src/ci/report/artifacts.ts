import type { Verdict } from "../runner/verdict.js"

/** The reports that a gate left. Paths are relative to its reports folder. */
export interface Artifacts {
  /** The folder of the repository that the gate ran in, such as `services/api`. Paths in its reports are relative to it. */
  folder?: string
  /** JUnit XML. */
  junit?: string
  /** Cobertura XML. */
  coverage?: string
  /** The coverage that is required, in percent. */
  thresholds?: Thresholds
  /** SARIF logs, one per tool. */
  sarif?: string[]
  /** Screenshots of failed browser tests. */
  pictures?: string[]
}

/** The coverage that is required, in percent. */
export interface Thresholds {
  lines: number
  branches: number
}

/** One gate of a run, with its artifacts. */
export interface GateResult {
  verdict: Verdict
  artifacts: Artifacts
  /** Seconds from the start of the run to the start of this gate. */
  after?: number
}

/** A run of gates. */
export interface Run {
  gates: GateResult[]
  /** When it began. */
  started: Date
  /** Seconds that the whole run took. */
  seconds: number
  /** The commit that was checked, if known. */
  revision?: string
  /** Why only these gates ran. */
  because?: string
}
