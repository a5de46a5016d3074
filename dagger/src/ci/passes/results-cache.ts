import { createHash, type KeyObject } from "node:crypto"
import { dag, type Directory } from "@dagger.io/dagger"
import { inputsOf, moduleGroup, pipelineFiles } from "../affected/affected.js"
import { groupOf } from "../gates/selection.js"
import type { Subjects } from "../gates/subjects.js"
import type { Artifacts } from "../report/artifacts.js"
import type { Gate } from "../runner/gate.js"
import type { CompletedGate } from "../runner/run.js"
import { once } from "../../lib/once.js"
import { reportProgress } from "../../lib/progress.js"
import { count, oneLine } from "../../lib/text.js"
import { securityFile } from "../security/configuration.js"
import { EnginePasses } from "./engine-passes.js"
import {
  canBeKept,
  completedBy,
  type Pass,
  type PassArtifacts,
  passFile,
  passKey,
  passOf,
  type PassWithArtifacts,
} from "./pass.js"
import { openPass, signPass } from "./signed-passes.js"

/** The folder of passes in a report. */
export const passesFolder = "passes"

/** A gate that ended, with the reports of its tools. */
export interface GateWithArtifacts {
  gate: CompletedGate
  artifacts: Artifacts
}

/** Passes that come from other machines, and go to them. */
export interface Portable {
  /** Files of passes, as `signed` makes them. */
  folder?: Directory
  /** Keys of those whose passes count. */
  trusted: () => Promise<KeyObject[]>
}

/** Passes of earlier runs, found by everything that a gate's result depends on. A failure is never kept. */
export class ResultsCache {
  private readonly known = once(() => this.engine.read())
  private readonly machine = once(() => this.identity())
  private readonly inputsOfGroup = new Map<string, Promise<string[]>>()
  private readonly keys = new Map<string, string>()
  private readonly used: Pass[] = []
  /** Artifacts of passes from other machines, by key. */
  private readonly brought = new Map<string, PassArtifacts>()
  private readonly files = once(async () => new Set((await this.portable.folder?.glob("*.json"))?.sort()))
  /** Files of passes that no trusted key has signed. */
  private readonly untrusted: string[] = []

  constructor(
    private readonly subjects: Pick<Subjects, "source" | "platform" | "manifests">,
    private readonly portable: Portable,
    private readonly engine: Pick<EnginePasses, "read" | "artifacts" | "write"> = new EnginePasses(),
    private readonly identity = identityOfEngine,
  ) {}

  /** Reads what `find` needs, for all gates at once. */
  async prepare(gates: Gate[]): Promise<void> {
    await Promise.allSettled([
      this.known(),
      this.machine(),
      this.pipeline(),
      ...gates.map((gate) => this.filesOf(groupOf(gate))),
    ])
  }

  /**
   * The pass of a gate on the same inputs; nothing if it has to run.
   *
   * What cannot be read here, such as a file with an error in it, is no pass: the gate runs and says so itself.
   */
  async find(gate: Gate): Promise<CompletedGate | undefined> {
    return this.lookUp(gate).catch(() => undefined)
  }

  private async lookUp(gate: Gate): Promise<CompletedGate | undefined> {
    const [key, known] = await Promise.all([this.keyOf(gate), this.known()])
    if (key === undefined) return undefined
    this.keys.set(gate.name, key)
    const pass = known.get(key) ?? (await this.bring(gate.name, key))
    if (!pass) return undefined
    this.used.push(pass)
    return completedBy(pass, new Date())
  }

  /** The pass of a key from another machine. */
  private async bring(gate: string, key: string): Promise<Pass | undefined> {
    const file = passFile({ gate, key })
    const { folder, trusted } = this.portable
    if (!folder || !(await this.files()).has(file)) return undefined
    const opened = openPass(await folder.file(file).contents(), await trusted())
    // A file can be given another name than that of the pass that was signed.
    if (opened?.pass.key !== key) {
      this.untrusted.push(file)
      return undefined
    }
    this.brought.set(key, opened.artifacts)
    return opened.pass
  }

  /**
   * The artifacts of the passes that were found, by gate.
   *
   * @throws Error when another run has just forgotten one
   */
  async artifacts(): Promise<Map<string, PassArtifacts>> {
    const found = await this.engine.artifacts(this.used.filter(({ key }) => !this.brought.has(key)))
    return new Map(
      this.used.map(({ gate, key }) => {
        const artifacts = this.brought.get(key) ?? found.get(key)
        if (!artifacts)
          throw new Error(`the reports of ${gate} have just been removed by another run; run again`)
        return [gate, artifacts] as const
      }),
    )
  }

  /** The passes of a run, for the machine that has signed with the key to give to others: texts by their paths in the report. */
  signed(completed: GateWithArtifacts[], key: KeyObject): Record<string, string> {
    return Object.fromEntries(
      this.passesOf(completed).map((one) => [`${passesFolder}/${passFile(one.pass)}`, signPass(one, key)]),
    )
  }

  /** Seconds that gates took on other machines, by name, whatever their inputs were: every machine that gets the same passes has the same durations. */
  async durations(): Promise<Map<string, number>> {
    const { folder, trusted } = this.portable
    if (!folder) return new Map()
    const keys = await trusted()
    const opened = await Promise.all(
      [...(await this.files())].map(async (file) => openPass(await folder.file(file).contents(), keys)),
    )
    return new Map(opened.flatMap((one) => (one ? [[one.pass.gate, one.pass.seconds] as const] : [])))
  }

  /** Keeps the passes of gates that ran. */
  async keep(completed: GateWithArtifacts[]): Promise<void> {
    if (this.untrusted.length > 0) {
      reportProgress(
        `${count(this.untrusted.length, "file")} of --passes did not count, not signed by a key of passes.trusted in ${securityFile}: ${this.untrusted.join(", ")}`,
      )
    }
    const remembered = new Set(this.used.map(({ gate }) => gate))
    const passes = this.passesOf(completed.filter(({ gate }) => !remembered.has(gate.verdict.gate)))
    try {
      await this.engine.write(passes)
    } catch (error) {
      // The gates have run, and their result counts whether it can be kept or not.
      reportProgress(
        `the next run repeats these gates, because passes cannot be kept: ${oneLine((error as Error).message, 200)}`,
      )
    }
  }

  private passesOf(completed: GateWithArtifacts[]): PassWithArtifacts[] {
    return completed.flatMap(({ gate, artifacts }) => {
      const key = this.keys.get(gate.verdict.gate)
      const pass = key !== undefined && canBeKept(artifacts) ? passOf(key, gate, new Date()) : undefined
      const { junit, coverage, sarif } = artifacts
      return pass ? [{ pass, artifacts: { junit, coverage, sarif } }] : []
    })
  }

  private async keyOf(gate: Gate): Promise<string | undefined> {
    const [machine, pipeline, files, others] = await Promise.all([
      this.machine(),
      this.pipeline(),
      this.filesOf(groupOf(gate)),
      gate.dependsOn ? gate.dependsOn() : [],
    ])
    return others && passKey(gate.name, machine, [pipeline, ...files, ...others])
  }

  private readonly pipeline = once(() => this.digest({ include: pipelineFiles }))

  private filesOf(group: string): Promise<string[]> {
    const { manifests, platform } = this.subjects
    const kept = this.inputsOfGroup.get(group)
    if (kept) return kept
    const files = inputsOf(platform.catalog, group).map((selection) => this.digest(selection))
    // A layer of settings changes them without a change to a file.
    const rendered = group === moduleGroup ? [manifests().then(digestOf)] : []
    const digests = Promise.all([...files, ...rendered])
    this.inputsOfGroup.set(group, digests)
    return digests
  }

  private digest(selection: { include?: string[]; exclude?: string[] }): Promise<string> {
    const { source } = this.subjects
    const selected: Directory = Object.keys(selection).length === 0 ? source : source.filter(selection)
    return selected.digest()
  }
}

/** What identifies the tools, whose images the pipeline's files pin. */
const identityOfEngine = async (): Promise<string> => `${await dag.version()} ${await dag.defaultPlatform()}`

const digestOf = (value: unknown): string => createHash("sha256").update(JSON.stringify(value)).digest("hex")
