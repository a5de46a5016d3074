import type { Verdict } from "../runner/verdict.js"

/** What a gate left behind, by what tools call it; paths are relative to its own folder. */
export interface Artifacts {
  /** Where in the repository the gate ran, as `services/api`: what the paths in its reports are relative to. */
  folder?: string
  /** JUnit's XML. */
  junit?: string
  /** Cobertura's XML. */
  coverage?: string
  /** What coverage is held against, in percent. */
  thresholds?: Thresholds
  /** SARIF logs, one a tool. */
  sarif?: string[]
  /** Pictures of what went wrong in a browser. */
  pictures?: string[]
}

/** The least share that tests must reach, in percent. */
export interface Thresholds {
  lines: number
  branches: number
}

/** One gate of a run, with its evidence. */
export interface GateResult {
  verdict: Verdict
  artifacts: Artifacts
  /** When it began, in seconds after the run did. */
  after?: number
}

/** A whole run. */
export interface Run {
  gates: GateResult[]
  /** When it began. */
  started: Date
  /** From its first step to its last. */
  seconds: number
  /** The commit that was looked at, where it is known. */
  revision?: string
  /** Why these gates and no others, where they are not all. */
  because?: string
}
