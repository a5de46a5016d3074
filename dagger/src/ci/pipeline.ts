import { dag, type Directory, type File, type Service, type Workspace } from "@dagger.io/dagger"
import { images } from "../platform/base-images.js"
import { type Platform, readPlatform } from "../platform/platform.js"
import { affected } from "./affected/affected.js"
import { allGates, type GateOptions, runAll } from "./gates/gates.js"
import type { Subjects } from "./gates/subjects.js"
import { gateNamed, groupOf, inGroups, withNeeds } from "./gates/selection.js"
import { collect } from "./report/collect.js"
import { composeReport } from "./report/compose.js"
import { readReport } from "./report/report.js"
import type { GateResult, Run } from "./report/artifacts.js"
import { reportFiles } from "./report/files.js"
import type { TestCase } from "./report/junit.js"
import { readSummary, toSummary, verdictsOf } from "./report/summary.js"
import type { Gate } from "./runner/gate.js"
import type { CompletedGate } from "./runner/run.js"
import { allPassed, checkCommand, failureDetails, summarize } from "./runner/summary.js"
import type { Verdict } from "./runner/verdict.js"
import { Worktree } from "./worktree/worktree.js"

export interface RunOptions {
  /** Groups of gates by name; all if empty. */
  only: string[]
  /** Run only the gates that the changes since this git ref affect; all if empty. */
  since: string
  /** Start no further gate once one has failed. */
  failFast: boolean
  /** Gates that run at the same time; 0: as many as the engine has processors. */
  parallel: number
}

/** Gates to run, and why these; the reason is empty when it is obvious. */
interface GateSelection {
  gates: Gate[]
  reason: string
}

/** Selects gates, runs them, and reports the results. */
export class Pipeline {
  private readonly worktree: Worktree

  /**
   * @param source the repository, as far as gates and builds read it
   * @param manifests what deploys and administrators apply, as YAML by file name
   * @param workspace the caller's checkout
   */
  constructor(
    private readonly source: Directory,
    private readonly manifests: Subjects["manifests"],
    workspace: Workspace = dag.currentWorkspace(),
    private readonly options: GateOptions = {},
  ) {
    this.worktree = new Worktree(workspace)
  }

  /** Runs gates and returns the gate table. Throws with the table when a gate did not pass. */
  async ci(options: RunOptions): Promise<string> {
    const selection = await this.select(options)
    if (selection.gates.length === 0) return selection.reason
    return tableOf(await this.verdicts(selection, options), selection.reason)
  }

  /** The gate table of an earlier run, from its summary.json. Throws with the table when a gate did not pass. */
  async resultOf(summary: File): Promise<string> {
    const read = readSummary(await summary.contents())
    return tableOf(verdictsOf(read), read.because ?? "")
  }

  /** Runs gates and returns the report folder, whether they pass or not. */
  async report(options: RunOptions): Promise<Directory> {
    const selection = await this.select(options)
    const [{ run, completed }, revision] = await Promise.all([
      this.run(selection, options, () => true),
      // Outside of a git checkout the report names no revision.
      this.worktree.revision().catch(() => undefined),
    ])
    if (revision !== undefined) run.revision = revision
    let report = dag.directory()
    for (const [path, text] of Object.entries(composeReport(run, rerunCommand)))
      report = report.withNewFile(path, text)
    for (const [at, { verdict, artifacts }] of run.gates.entries()) {
      const reports = completed[at]?.reports
      if (!reports) continue
      for (const picture of artifacts.pictures ?? []) {
        report = report.withFile(`${reportFiles.pictures(verdict.gate)}/${picture}`, reports.file(picture))
      }
    }
    return report
  }

  /** Runs one gate with the gates that it needs. Throws with the output of each that did not pass. */
  async enforce(name: string): Promise<void> {
    const gates = await this.gates()
    const selection = { gates: withNeeds(gates, [gateNamed(gates, name).name]), reason: "" }
    const verdicts = await this.verdicts(selection, { failFast: false, parallel: 0 })
    const unmet = verdicts.filter(({ outcome }) => outcome !== "passed")
    if (!unmet.some(({ gate }) => gate === name)) return
    // A skipped gate says so itself while it runs, and stops no change.
    if (unmet.some(({ outcome }) => outcome !== "skipped"))
      throw new Error(unmet.map(failureDetails).join("\n\n"))
  }

  /**
   * Runs load tests and returns their gate table. The gates that they need run before; those that did not pass are in the table too.
   *
   * @param only backends by name; all if empty
   */
  async load(only: string[]): Promise<string> {
    const gates = await this.gates()
    const loads = inGroups(
      gates.filter(({ name }) => name.endsWith(":load")),
      only,
    )
    const names = loads.map(({ name }) => name)
    // One after another, because two at once would slow each other down.
    const verdicts = await this.verdicts(
      { gates: withNeeds(gates, names), reason: "" },
      { failFast: false, parallel: 1 },
    )
    return tableOf(
      verdicts.filter(({ gate, outcome }) => names.includes(gate) || outcome !== "passed"),
      "",
    )
  }

  /**
   * Runs some tests of a gate and returns the output of their tool.
   *
   * @param select arguments of the tool
   * @throws Error when they fail, when they select no test, and for a gate that runs no tests
   */
  async rerun(name: string, select: string): Promise<string> {
    const gates = await this.gates()
    const withTests = gates.filter(({ rerun }) => rerun !== undefined)
    const known = gates.some((gate) => gate.name === name) ? gates : withTests
    const { rerun } = gateNamed(known, name)
    if (!rerun)
      throw new Error(`${name} runs no tests; allowed: ${withTests.map((gate) => gate.name).join(", ")}`)
    return rerun(select)
  }

  /**
   * The files that the tool of a gate would change so that the gate passes.
   *
   * @throws Error for a gate whose tool changes nothing
   */
  async fix(name: string): Promise<Directory> {
    const gates = await this.gates()
    const fixable = gates.filter(({ fix }) => fix !== undefined)
    const known = gates.some((gate) => gate.name === name) ? gates : fixable
    const { fix } = gateNamed(known, name)
    if (!fix) {
      throw new Error(
        `the tool of ${name} changes no files; allowed: ${fixable.map((gate) => gate.name).join(", ")}`,
      )
    }
    return fix.files()
  }

  /** A running service of the platform, on its port of a developer's machine. */
  async serve(name: string): Promise<Service> {
    const platform = await readPlatform(this.source)
    const service = platform.service(name)
    return platform.run(service, "up", { ...(service.port !== undefined && { port: service.port }) })
  }

  private async gates(platform?: Platform): Promise<Gate[]> {
    return allGates(
      {
        source: this.source,
        worktree: this.worktree,
        platform: platform ?? (await readPlatform(this.source)),
        manifests: this.manifests,
      },
      this.options,
    )
  }

  private async select({ only, since }: Pick<RunOptions, "only" | "since">): Promise<GateSelection> {
    const platform = await readPlatform(this.source)
    const gates = await this.gates(platform)
    const chosen = ofGroups(gates, only)
    if (since === "") return { gates: chosen, reason: "" }

    let changes
    try {
      changes = await this.worktree.changedSince(since)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      return {
        gates: chosen,
        reason: `All gates run: git cannot tell what changed since ${since}: ${reason}`,
      }
    }
    const call = affected(platform.catalog, changes)
    if (call.everything) return { gates: chosen, reason: `All gates run: ${call.reason}.` }
    const groups = Object.entries(call.groups).filter(([group]) => only.length === 0 || only.includes(group))
    if (groups.length === 0) return { gates: [], reason: `No gate is affected by changes since ${since}.` }
    // A group without gates of its own, such as a library that lost its last one, is not an error here.
    const known = new Set(gates.map(groupOf))
    return {
      gates: ofGroups(
        gates,
        groups.map(([group]) => group).filter((group) => known.has(group)),
      ),
      reason: groups.map(([group, path]) => `Affected since ${since}: ${group}, by ${path}`).join("\n"),
    }
  }

  /** Runs gates. The output of one that did not pass is its failing part. */
  private async verdicts(
    selection: GateSelection,
    policy: Pick<RunOptions, "failFast" | "parallel">,
  ): Promise<Verdict[]> {
    const { run } = await this.run(selection, policy, ({ verdict }) => verdict.outcome !== "passed")
    return verdictsOf(toSummary(readReport(run, rerunCommand)))
  }

  /** Runs gates and reads the reports of those that `isRelevant` selects. */
  private async run(
    { gates, reason }: GateSelection,
    { failFast, parallel }: Pick<RunOptions, "failFast" | "parallel">,
    isRelevant: (gate: CompletedGate) => boolean,
  ): Promise<{ run: Run; completed: CompletedGate[] }> {
    const started = new Date()
    const completed = await runAll(gates, { failFast, parallel: await this.parallel(parallel) })
    const withArtifacts = async (one: CompletedGate): Promise<GateResult> => {
      const { folder, thresholds } = gateNamed(gates, one.verdict.gate)
      return {
        verdict: one.verdict,
        after: (one.startedAt.getTime() - started.getTime()) / 1000,
        artifacts: {
          ...(folder !== undefined && { folder }),
          ...(thresholds && { thresholds }),
          ...(one.reports && isRelevant(one) ? await collect(one.reports) : {}),
        },
      }
    }
    const results = await Promise.all(completed.map(withArtifacts))
    const seconds = (Date.now() - started.getTime()) / 1000
    return { completed, run: { gates: results, started, seconds, ...(reason !== "" && { because: reason }) } }
  }

  /** Tools start workers of their own, so more gates than processors would only slow each other down. */
  private async parallel(wanted: number): Promise<number> {
    if (wanted < 0)
      throw new Error(`--parallel ${wanted}: allowed are 1 and more, or 0 for one per processor`)
    if (wanted > 0) return wanted
    const count = await dag.container().from(images.debian).withExec(["nproc"]).stdout()
    return Number(count)
  }
}

/** The gate table. Throws with it unless all gates passed. */
function tableOf(verdicts: Verdict[], reason: string): string {
  const summary = [reason, summarize(verdicts)].filter(Boolean).join("\n\n")
  if (!allPassed(verdicts)) throw new Error(`not every gate passed\n\n${summary}`)
  // Dagger prints no line break of its own behind it when the output is no terminal.
  return `${summary}\n`
}

/** The command that runs a gate again, or one of its tests. */
function rerunCommand(gate: string, test?: TestCase): string {
  if (!test || test.select.length === 0) return checkCommand(gate)
  const select = test.select.map(quote).join(" ")
  return `./daggerw call test --gate ${gate} --select ${quote(select)}`
}

/** Quotes a word for a shell if it needs quotes. */
function quote(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

/** The gates of some groups, or all, with the gates that they need. */
function ofGroups(gates: Gate[], groups: string[]): Gate[] {
  return withNeeds(
    gates,
    inGroups(gates, groups).map(({ name }) => name),
  )
}
