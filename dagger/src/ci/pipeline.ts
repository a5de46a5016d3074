import { dag, type Directory, type File, type Service, type Workspace } from "@dagger.io/dagger"
import { affected } from "./affected/affected.js"
import { changesSince } from "./affected/changes.js"
import type { Gate, Ran } from "./runner/gate.js"
import { allGates, groupOf, type Options, runAll, withNeeds } from "./gates/gates.js"
import { allPassed, again as checkAgain, finding, summarize } from "./runner/summary.js"
import type { Verdict } from "./runner/verdict.js"
import { readPlatform } from "../platform/platform.js"
import { images } from "../platform/base-images.js"
import { collect } from "./report/collect.js"
import { composeReport } from "./report/compose.js"
import { readReport } from "./report/report.js"
import type { GateResult, Run } from "./report/artifacts.js"
import { reportFiles } from "./report/files.js"
import type { TestCase } from "./report/junit.js"
import { readSummary, toSummary, verdictsOf } from "./report/summary.js"

/** Which gates run, and how. */
export interface Order {
  /** Groups of gates by name; none means all. */
  only: string[]
  /** Only what the changes since this git ref call for; empty: all. */
  since: string
  failFast: boolean
  /** 0: as many as the engine has processors. */
  parallel: number
}

/** The gates that a run is to look at, and why those. */
interface Plan {
  gates: Gate[]
  because: string
}

/** Where the front desk's wishes become runs of gates. */
export class Desk {
  constructor(
    private readonly source: Directory,
    private readonly workspace?: Workspace,
    private readonly options: Options = {},
  ) {}

  /** The gate table. Throws with it when a gate did not pass. */
  async ci(order: Order): Promise<string> {
    const plan = await this.plan(order)
    if (plan.gates.length === 0) return plan.because
    return judged(await this.verdicts(plan, order), plan.because)
  }

  /** The gate table of a run that a report tells of. Throws with it when a gate did not pass. */
  async judge(summary: File): Promise<string> {
    const read = readSummary(await summary.contents())
    return judged(verdictsOf(read), read.because ?? "")
  }

  /** The report of a run, whatever came of it. */
  async report(order: Order): Promise<Directory> {
    const plan = await this.plan(order)
    const [{ run, ran }, revision] = await Promise.all([this.run(plan, order, () => true), this.revision()])
    if (revision !== undefined) run.revision = revision
    let report = dag.directory()
    for (const [path, text] of Object.entries(composeReport(run, againOf)))
      report = report.withNewFile(path, text)
    for (const [at, { verdict, artifacts }] of run.gates.entries()) {
      const reports = ran[at]?.reports
      if (!reports) continue
      for (const picture of artifacts.pictures ?? []) {
        report = report.withFile(`${reportFiles.pictures(verdict.gate)}/${picture}`, reports.file(picture))
      }
    }
    return report
  }

  /** Throws with what a gate found, unless it passed. */
  async enforce(name: string): Promise<void> {
    const plan = { gates: withNeeds(await this.gates(), [name]), because: "" }
    const order = { only: [], since: "", failFast: false, parallel: 0 }
    const unmet = (await this.verdicts(plan, order)).filter(({ outcome }) => outcome !== "passed")
    if (!unmet.some(({ gate }) => gate === name)) return
    const said = unmet.map(finding).join("\n\n")
    if (unmet.some(({ outcome }) => outcome !== "skipped")) throw new Error(said)
    console.warn(said)
  }

  /** The gate table of load tests alone, of all backends if none is named. What they need runs before, and is shown where it did not pass. */
  async load(only: string[]): Promise<string> {
    const gates = await this.gates()
    const all = gates.filter(({ name }) => name.endsWith(":load"))
    const loads = only.length === 0 ? all : inGroups(all, only)
    const names = loads.map(({ name }) => name)
    // One after another: two at once would measure each other.
    const order = { only: [], since: "", failFast: false, parallel: 1 }
    const verdicts = await this.verdicts({ gates: withNeeds(gates, names), because: "" }, order)
    return judged(
      verdicts.filter(({ gate, outcome }) => names.includes(gate) || outcome !== "passed"),
      "",
    )
  }

  /** What the tool of a gate says of some of its tests. Throws with that where they fail. */
  async rerun(name: string, select: string): Promise<string> {
    const able = (await this.gates()).filter(({ rerun }) => rerun !== undefined)
    const gate = able.find((candidate) => candidate.name === name)
    if (!gate?.rerun) {
      throw new Error(
        `no tests can be chosen of "${name}"; they can of ${able.map((one) => one.name).join(", ")}`,
      )
    }
    return gate.rerun(select)
  }

  /** A service of the platform, running, on the port that it has on a developer's machine. */
  async serve(name: string): Promise<Service> {
    const platform = await readPlatform(this.source)
    const service = platform.service(name)
    return platform.run(service, "up", service.port)
  }

  /** The commit that the workspace stands at, where it is one. */
  private async revision(): Promise<string | undefined> {
    try {
      return await this.workspace
        ?.directory("/", { include: [".git"] })
        .asGit()
        .head()
        .commit()
    } catch {
      return undefined // not a checkout: a report says what was looked at only where it can
    }
  }

  private async gates(): Promise<Gate[]> {
    return allGates(this.source, await readPlatform(this.source), this.options)
  }

  private async plan({ only, since }: Order): Promise<Plan> {
    const platform = await readPlatform(this.source)
    const gates = allGates(this.source, platform, this.options)
    if (since === "") return { gates: only.length === 0 ? gates : ofGroups(gates, only), because: "" }

    let paths
    try {
      if (!this.workspace) throw new Error("there is no workspace")
      paths = await changesSince(this.workspace, since)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      return {
        gates,
        because: `Everything is looked at: git cannot tell what changed since ${since}: ${reason}`,
      }
    }
    const call = affected(platform.catalog, paths)
    if (call.everything) return { gates, because: `Everything is looked at: ${call.because}.` }
    const groups = Object.entries(call.groups)
    if (groups.length === 0)
      return { gates: [], because: `Nothing that a gate looks at has changed since ${since}.` }
    return {
      gates: ofGroups(gates, Object.keys(call.groups)),
      because: groups.map(([group, path]) => `Looked at since ${since}: ${group}, for ${path}`).join("\n"),
    }
  }

  /** Runs gates; of those that did not pass, the output is the failing part. */
  private async verdicts(plan: Plan, order: Order): Promise<Verdict[]> {
    const { run } = await this.run(plan, order, ({ verdict }) => verdict.outcome !== "passed")
    return verdictsOf(toSummary(readReport(run, againOf)))
  }

  /** Runs gates; reads the artifacts of those that are worth it. */
  private async run(
    { gates, because }: Plan,
    { failFast, parallel }: Order,
    worthReading: (ran: Ran) => boolean,
  ): Promise<{ run: Run; ran: Ran[] }> {
    const started = new Date()
    const ran = await runAll(gates, { failFast, parallel: await this.parallel(parallel) })
    const examine = async (one: Ran, { folder, thresholds }: Partial<Gate> = {}): Promise<GateResult> => ({
      verdict: one.verdict,
      after: (one.began.getTime() - started.getTime()) / 1000,
      artifacts: {
        ...(folder !== undefined && { folder }),
        ...(thresholds && { thresholds }),
        ...(one.reports && worthReading(one) ? await collect(one.reports) : {}),
      },
    })
    const examined = await Promise.all(
      ran.map((one) =>
        examine(
          one,
          gates.find(({ name }) => name === one.verdict.gate),
        ),
      ),
    )
    const seconds = (Date.now() - started.getTime()) / 1000
    return { ran, run: { gates: examined, started, seconds, ...(because !== "" && { because }) } }
  }

  /** How many gates run at the same time: as many as there are processors. Tools bring workers of their own, and more gates would only make each other slow. */
  private async parallel(wanted: number): Promise<number> {
    if (wanted > 0) return wanted
    const count = await dag.container().from(images.debian).withExec(["nproc"]).stdout()
    return Number(count)
  }
}

function judged(verdicts: Verdict[], because: string): string {
  const summary = [because, summarize(verdicts)].filter(Boolean).join("\n\n")
  if (!allPassed(verdicts)) throw new Error(`not every gate passed\n\n${summary}`)
  return summary
}

/** The command that runs a gate again, or just one of its tests. */
function againOf(gate: string, test?: TestCase): string {
  if (!test || test.select.length === 0) return checkAgain(gate)
  const select = test.select.map(quote).join(" ")
  return `./daggerw call test --gate ${gate} --select ${quote(select)}`
}

/** For a shell, and only where it must be. */
function quote(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

/** The gates of some groups, with what they need. */
function ofGroups(gates: Gate[], groups: string[]): Gate[] {
  return withNeeds(
    gates,
    inGroups(gates, groups).map(({ name }) => name),
  )
}

/** The gates of some groups. Throws where there is no such group. */
function inGroups(gates: Gate[], groups: string[]): Gate[] {
  const there = new Set(gates.map(groupOf))
  const unknown = groups.filter((name) => !there.has(name))
  if (unknown.length > 0) {
    throw new Error(`there are no gates for ${unknown.join(", ")}; there are for ${[...there].join(", ")}`)
  }
  return gates.filter((gate) => groups.includes(groupOf(gate)))
}
