import type { KeyObject } from "node:crypto"
import { dag, type Directory, type File, type Service, type Workspace } from "@dagger.io/dagger"
import { images } from "../platform/base-images.js"
import { signingKey, trustedKey } from "../lib/keys.js"
import { once } from "../lib/once.js"
import { readPlatform } from "../platform/platform.js"
import { affected } from "./affected/affected.js"
import { allGates, type GateOptions, runAll } from "./gates/gates.js"
import type { Subjects } from "./gates/subjects.js"
import { passesFolder, ResultsCache } from "./passes/results-cache.js"
import { joined, type Part, partFile, readPart, readShard, type Shard, split } from "./shard.js"
import { readSecurity, securityFile } from "./security/configuration.js"
import { gateNamed, groupOf, inGroups, withNeeds } from "./gates/selection.js"
import { collect } from "./report/collect.js"
import { composeReport } from "./report/compose.js"
import { testAgain } from "./report/failures.js"
import { readReport } from "./report/report.js"
import type { Artifacts, GateResult, Run } from "./report/artifacts.js"
import { reportFiles } from "./report/files.js"
import { readSummary, toSummary, verdictsOf } from "./report/summary.js"
import type { Gate } from "./runner/gate.js"
import type { CompletedGate } from "./runner/run.js"
import { allPassed, failureDetails, summarize } from "./runner/summary.js"
import type { Verdict } from "./runner/verdict.js"
import { Worktree } from "./worktree/worktree.js"

/** Passes that other machines made, and that this one makes for others. */
export interface PortablePasses {
  /** Files of passes, as a report has them. */
  folder?: Directory
  /** A private key in PEM; without it, a report has no passes. */
  signingKey?: string
}

export interface RunOptions {
  /** Groups of gates by name; all if empty. */
  only: string[]
  /** Run only the gates that the changes since this git ref affect; all if empty. */
  since: string
  /** Start no further gate once one has failed. */
  failFast: boolean
  /** Gates that run at the same time; 0: as many as the engine has processors. */
  parallel: number
  /** The part of the gates that this machine runs, such as 2/4; all of them if empty. */
  shard?: string
}

/** Gates to run, and why these; the reason is empty when it is obvious. */
interface GateSelection {
  gates: Gate[]
  reason: string
  /** The names of all gates that the machines of a run share. */
  planned?: string[]
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
    private readonly options: GateOptions & { passes?: PortablePasses } = {},
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
    const shard = readShard(options.shard ?? "")
    const selection = shard ? await this.selectPart(options, shard) : await this.select(options)
    const [{ run, completed, passes }, revision] = await Promise.all([
      this.run(selection, options, { all: true }),
      // Outside of a git checkout the report names no revision.
      this.worktree.revision().catch(() => undefined),
    ])
    if (revision !== undefined) run.revision = revision
    const part: Part | undefined = shard && {
      schemaVersion: 1,
      shard,
      planned: selection.planned ?? [],
      run,
    }
    let report = folderOf({
      ...composeReport(run, testAgain),
      ...passes,
      ...(part && { [partFile]: JSON.stringify(part) }),
    })
    for (const [at, { verdict, artifacts }] of run.gates.entries()) {
      const reports = completed[at]?.reports
      if (!reports) continue
      for (const picture of artifacts.pictures ?? []) {
        report = report.withFile(`${reportFiles.pictures(verdict.gate)}/${picture}`, reports.file(picture))
      }
    }
    return report
  }

  /**
   * Joins the reports of the machines that shared a run.
   *
   * @param parts a folder with a folder for each report
   * @throws Error when they do not belong together, and when one is missing
   */
  async merge(parts: Directory): Promise<Directory> {
    const paths = await parts.glob(`*/${partFile}`)
    const read = await Promise.all(
      paths.map(async (path) => readPart(path, await parts.file(path).contents())),
    )
    let report = folderOf(composeReport(joined(read), testAgain))
    for (const path of paths) {
      const folder = path.slice(0, -partFile.length)
      report = report.withDirectory(
        ".",
        parts.directory(folder).filter({ include: [`${passesFolder}/**`, "pictures/**"] }),
      )
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
    const { platform } = await this.subjects()
    const service = platform.service(name)
    return platform.run(service, "up", { ...(service.port !== undefined && { port: service.port }) })
  }

  private readonly subjects = once(async (): Promise<Subjects> => {
    const { source, worktree, manifests } = this
    return { source, worktree, manifests, platform: await readPlatform(source) }
  })

  private async gates(): Promise<Gate[]> {
    return allGates(await this.subjects(), this.options)
  }

  /** The gates that one of several machines runs. */
  private async selectPart(
    options: Pick<RunOptions, "only" | "since">,
    shard: Shard,
  ): Promise<GateSelection> {
    const { gates, reason } = await this.select(options)
    const durations = await (await this.cache()).durations()
    const names = split(gates, shard.of, durations)[shard.number - 1] ?? []
    return { gates: withNeeds(gates, names), reason, planned: gates.map(({ name }) => name) }
  }

  private async select({ only, since }: Pick<RunOptions, "only" | "since">): Promise<GateSelection> {
    const { platform } = await this.subjects()
    const gates = await this.gates()
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
    const { run } = await this.run(selection, policy, { all: false })
    return verdictsOf(toSummary(readReport(run, testAgain)))
  }

  /**
   * Runs gates that no earlier run remembers, and reads their reports.
   *
   * @param reports.all reports of all gates are wanted, and not only of those that did not pass
   */
  private async run(
    { gates, reason }: GateSelection,
    { failFast, parallel }: Pick<RunOptions, "failFast" | "parallel">,
    reports: { all: boolean },
  ): Promise<{ run: Run; completed: CompletedGate[]; passes: Record<string, string> }> {
    const started = new Date()
    const { signingKey: pem } = this.options.passes ?? {}
    // Before the gates, so that a wrong key does not cost a run.
    const key = pem === undefined ? undefined : signingKey("PASSES_SIGNING_KEY", pem)
    const cache = await this.cache()
    const [limit] = await Promise.all([this.parallel(parallel), cache.prepare(gates)])
    const completed = await runAll(gates, { failFast, parallel: limit }, (gate) => cache.find(gate))
    const [remembered, left] = await Promise.all([
      reports.all ? cache.artifacts() : new Map<string, Artifacts>(),
      Promise.all(completed.map(async ({ reports }) => (reports ? collect(reports) : {}))),
    ])
    const withArtifacts = completed.map((gate, at) => ({
      gate,
      artifacts: remembered.get(gate.verdict.gate) ?? left[at] ?? {},
    }))
    await cache.keep(withArtifacts)
    const passes = key && reports.all ? cache.signed(withArtifacts, key) : {}
    const results = withArtifacts.map(({ gate: { verdict, startedAt }, artifacts }): GateResult => {
      const { folder, thresholds } = gateNamed(gates, verdict.gate)
      const isShown = reports.all || verdict.outcome !== "passed"
      return {
        verdict,
        after: (startedAt.getTime() - started.getTime()) / 1000,
        artifacts: {
          ...(folder !== undefined && { folder }),
          ...(thresholds && { thresholds }),
          ...(isShown && artifacts),
        },
      }
    })
    const seconds = (Date.now() - started.getTime()) / 1000
    const run = { gates: results, started, seconds, ...(reason !== "" && { because: reason }) }
    return { completed, run, passes }
  }

  private readonly cache = once(async () => {
    const { folder } = this.options.passes ?? {}
    return new ResultsCache(await this.subjects(), {
      ...(folder && { folder }),
      trusted: () => this.trusted(),
    })
  })

  /** The keys whose passes count here. */
  private async trusted(): Promise<KeyObject[]> {
    const { passes } = readSecurity(await this.source.file(securityFile).contents(), new Date())
    return passes.trusted.flatMap((pem) => trustedKey(pem) ?? [])
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

const folderOf = (files: Record<string, string>): Directory =>
  Object.entries(files).reduce((folder, [path, text]) => folder.withNewFile(path, text), dag.directory())

/** The gate table. Throws with it unless all gates passed. */
function tableOf(verdicts: Verdict[], reason: string): string {
  const summary = [reason, summarize(verdicts)].filter(Boolean).join("\n\n")
  if (!allPassed(verdicts)) throw new Error(`not every gate passed\n\n${summary}`)
  // Dagger prints no line break of its own behind it when the output is no terminal.
  return `${summary}\n`
}

/** The gates of some groups, or all, with the gates that they need. */
function ofGroups(gates: Gate[], groups: string[]): Gate[] {
  return withNeeds(
    gates,
    inGroups(gates, groups).map(({ name }) => name),
  )
}
