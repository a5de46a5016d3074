import type { Directory } from "@dagger.io/dagger"
import type { CoverageLimits } from "../../platform/catalog.js"
import type { ScheduledGate } from "./schedule.js"

/** One check that a change must pass. */
export interface Gate extends ScheduledGate {
  /** What it checks, in an operator's words. */
  subject: string
  /** Sets up tools, source and services. When this throws, the gate could not run. */
  prepare: () => Promise<unknown>
  /** Runs the check. Throws a GateFailure, or the ExecError of its command, when the source is at fault. */
  execute: () => Promise<GatePass>
  /**
   * What its result depends on beside the pipeline and the files of its group; nothing, by default. It gives undefined while its pass must not be remembered
   * by its inputs.
   */
  dependsOn?: () => Promise<string[] | undefined>
  /** The folder of the repository that paths in its reports and its output are relative to. */
  folder?: string
  /** The coverage that is required, in percent. */
  thresholds?: CoverageLimits
  /** The files that its tool would change so that the gate passes, or that it compares with, and the folder of the repository that they belong to. */
  fix?: { folder: string; files: () => Promise<Directory> }
  /** Runs only the tests that the given arguments of its tool select, and returns the output. Throws when they fail, and when they select no test. */
  rerun?: (select: string) => Promise<string>
}

/** What a gate that passed reports. */
export interface GatePass {
  /** One line: the tool's own count. */
  detail?: string
  /** Seconds the command took when it ran. */
  seconds?: number
  /** Remembered from an earlier run on the same input. */
  cached?: boolean
  reports?: Directory
}

/** The source is at fault, by other evidence than a command's exit code. */
export class GateFailure extends Error {
  override name = "GateFailure"
  constructor(
    message: string,
    readonly reports?: Directory,
  ) {
    super(message)
  }
}

/** The gate lacks something that only an operator can give, and must not block a change for it. The message says what. */
export class GateSkip extends Error {
  override name = "GateSkip"
}
