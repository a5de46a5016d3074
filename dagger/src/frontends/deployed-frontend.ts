import type { KubernetesApi } from "../clients/kubernetes/client.js"
import type { Change, ComponentId, ComponentPlan, WouldRun } from "../delivery/component.js"
import { frontendObject } from "../delivery/access.js"
import { digestOfData } from "../delivery/guards/digest.js"
import type { Journal } from "../delivery/journal.js"
import { Lease, LeaseHeld } from "../delivery/lease.js"
import { digestOf, type Release, type ReleasedImage } from "../delivery/release.js"
import { wouldRunWith } from "../delivery/would-run.js"
import type { Clock } from "../lib/clock.js"
import { count, duration, oneLine } from "../lib/text.js"
import { type AuditFiles, type AuditRequest, auditRuns, devices } from "./audit.js"
import type { Bucket } from "./bucket.js"
import { type Bundle, readFiles } from "./bundle.js"
import { type BackendContract, type ContractVerdict, judgeContract, type NeededContract } from "./contract.js"
import { decideSwitch, type FrontendAction } from "./decisions.js"
import type { Edge } from "./edge.js"
import { type Layout, layoutOf } from "./layout.js"
import { differenceOf, type ReleaseManifest, manifestOf, releaseId } from "./manifest.js"
import type { Fetch } from "./observe.js"
import type { Pointer, Variant } from "./pointer.js"
import { type NamedPreview, type PreviewStore, readPreviews } from "./preview.js"
import { type Configuration, manifestIn, missingObjects } from "./publish.js"
import { configurationOf, type FrontendSettings, refuseUnknownFlags } from "./settings.js"
import { size } from "../lib/size.js"
import { CanaryVisits, type MetricsPage } from "./visits.js"
import {
  type FrontendRevision,
  type FrontendState,
  liveRevision,
  type RunningSwitch,
  FrontendRecord,
} from "./state.js"

/** Where the files of a web app lie, and what decides which of them visitors get. */
export interface Stores {
  bucket: Bucket
  edge: Edge
  /** Where the settings have previews. */
  previews?: PreviewStore
}

/** What all web apps of an environment work with. */
export interface FrontendContext {
  cluster: KubernetesApi
  /** Who runs the command, as the API server knows them. */
  who: string
  /** The operation's id. */
  id: string
  journal: Journal
  say: (line: string) => void
  clock: Clock
  /** Takes the files of a web app out of its image. */
  bundle: (image: string) => Promise<Bundle>
  /**
   * Reads the description of the API that the image of a backend serves.
   *
   * @throws Error for an image that cannot be read, or has none
   */
  contract: (image: string) => Promise<string>
  /** The backends of the environment by name. */
  backends: Record<string, ServingBackend>
  /**
   * Looks at pages as Lighthouse and axe see them.
   *
   * @throws Error when one of the runs was not made
   */
  audit: (request: AuditRequest) => Promise<AuditFiles>
  /** @throws Error when there are no keys for the stores */
  stores: (settings: FrontendSettings, layout: Layout) => Stores
  fetch: Fetch
}

/** A backend that web apps may call. */
export interface ServingBackend {
  /** The image with all traffic; nothing before the first deploy. */
  current: () => Promise<ReleasedImage | undefined>
  /** The deploy that this command makes brings it before any web app is switched. */
  deployed: boolean
  /**
   * The metrics of its processes.
   *
   * @throws Error when none answers
   */
  metrics: () => Promise<MetricsPage[]>
}

/** What a deploy does to a web app, worked out against what is live. */
export interface PreparedFrontend {
  image: ReleasedImage
  bundle: Bundle
  manifest: ReleaseManifest
  configuration: Configuration
  state: FrontendState
  pointer: Pointer | undefined
  action: FrontendAction
}

/** Milliseconds: for another command to be done with the files, and between two looks. */
const filesWait = 5 * 60_000
const filesPause = 2_000

/** Files that a plan names one by one. */
const longestList = 10

/** A web app in its environment: what is known of it, and what a deploy would change. */
export class DeployedFrontend {
  readonly id: ComponentId
  readonly layout: Layout
  private readonly bundles = new Map<string, Promise<Bundle>>()
  private opened?: Stores

  constructor(
    readonly context: FrontendContext,
    readonly settings: FrontendSettings,
  ) {
    this.id = { kind: "frontend", name: settings.app }
    this.layout = layoutOf({ prefix: settings.prefix, app: settings.app })
  }

  readonly say = (line: string): void => {
    this.context.say(`${this.settings.app}: ${line}`)
  }

  get stores(): Stores {
    return (this.opened ??= this.context.stores(this.settings, this.layout))
  }

  stateRecord(): FrontendRecord {
    const { namespace, app } = this.settings
    return new FrontendRecord(this.context.cluster, namespace, app)
  }

  /** What the edge shows by names, expired ones included. */
  async previews(): Promise<NamedPreview[]> {
    const { previews } = this.stores
    return previews ? readPreviews((await previews.readAll()).values) : []
  }

  /**
   * The right to remove old files of the app, or to rely on them without the lease of a deploy: who removes files has both.
   *
   * @throws LeaseHeld when others have had it for minutes
   */
  async withFiles<Value>(task: (lease: Lease) => Promise<Value>): Promise<Value> {
    const lease = await this.filesLease()
    try {
      return await task(lease)
    } finally {
      await lease.end()
    }
  }

  private async filesLease(): Promise<Lease> {
    const { clock, cluster, who } = this.context
    const { app, namespace } = this.settings
    const options = { name: `${frontendObject(app)}-files`, activity: "having its files changed", clock }
    for (const until = clock.now() + filesWait; ;) {
      try {
        return await Lease.take(cluster, namespace, app, who, { ...options, report: this.say })
      } catch (error) {
        if (!(error instanceof LeaseHeld) || clock.now() >= until) throw error
        await clock.pause(filesPause)
      }
    }
  }

  /** @throws Error when the release has no image of the app */
  imageOf(release: Release): ReleasedImage {
    const released = release.images[this.settings.app]
    if (released) return released
    const all = Object.keys(release.images).join(", ") || "none"
    throw new Error(`the release has no image of ${this.settings.app}; it has ${all}`)
  }

  /** The files of an image are taken out once. */
  private bundle(image: string): Promise<Bundle> {
    const known = this.bundles.get(image)
    if (known) return known
    const taken = this.context.bundle(image)
    // The next plan tries again.
    taken.catch(() => this.bundles.delete(image))
    this.bundles.set(image, taken)
    return taken
  }

  /** @throws Error for an image that cannot be read, or whose files cannot be released */
  async prepare(release: Release, state: FrontendState): Promise<PreparedFrontend> {
    const image = this.imageOf(release)
    const [bundle, pointer] = await Promise.all([this.bundle(image.reference), this.stores.edge.read()])
    const manifest = manifestOf(this.settings.app, bundle.app, await readFiles(bundle.folder))
    refuseUnknownFlags(this.settings, bundle.flags)
    const configuration = configurationOf(this.settings, bundle.version)
    const wanted = { image: image.reference, release: releaseId(manifest), config: configuration.id }
    return {
      image,
      bundle,
      manifest,
      configuration,
      state,
      pointer,
      action: decideSwitch(state, pointer, wanted),
    }
  }

  wouldRun(release: Release): WouldRun {
    const { namespace, app } = this.settings
    const image = this.imageOf(release).reference
    const settings = (secretNames: string[]) => this.settingsDigest(image, secretNames)
    return wouldRunWith({ namespace, name: app, settings }, image, {})
  }

  settingsDigest(image: string, secretNames: string[]): string {
    return digestOfData({ ...this.settings, image: digestOf(image), secretNames })
  }

  /**
   * Whether the backend of a build serves what it calls.
   *
   * @param release what this command deploys; absent: what is live counts alone
   */
  async contractOf({ contract: needed }: Bundle, release?: Release): Promise<ContractVerdict> {
    const { app, environment } = this.settings
    const backend = needed
      ? await this.backendContract(needed.backend, release)
      : ({ found: "not-live" } as const)
    return judgeContract(app, environment, needed, backend)
  }

  /** Why visitors of a revision would miss something of what its backend serves now; nothing when they would not. What cannot be read is a reason too. */
  lacksOf(revision: Pick<FrontendRevision, "number" | "image">): Promise<string[]> {
    return this.lacks(revision, (needed) => this.backendContract(needed.backend, undefined))
  }

  /**
   * Why visitors would miss something when a backend served by another image: those of the live revision, and of one whose operation has not ended.
   *
   * @param backend name of the service; what calls another one misses nothing
   * @param image `repository@sha256:…`
   */
  async lacksWith(backend: string, image: string): Promise<string[]> {
    try {
      const state = await this.stateRecord().read()
      const live = liveRevision(state)
      const { running } = state
      const shown = [...(live ? [live] : []), ...(running && !running.end ? [running.revision] : [])]
      const all = shown.map((revision) =>
        this.lacks(revision, async (needed) =>
          needed.backend === backend ? this.describedBy(image) : undefined,
        ),
      )
      return [...new Set((await Promise.all(all)).flat())]
    } catch (error) {
      return [`it is not known what ${this.settings.app} calls: ${oneLine((error as Error).message, 200)}`]
    }
  }

  /** @param served what it is compared with; undefined where it has nothing to do with it */
  private async lacks(
    { number, image }: Pick<FrontendRevision, "number" | "image">,
    served: (needed: NeededContract) => Promise<BackendContract | undefined>,
  ): Promise<string[]> {
    const { app, environment } = this.settings
    const what = `revision ${number} of ${app}`
    let needed: NeededContract | undefined
    try {
      needed = (await this.bundle(image)).contract
    } catch (error) {
      return [`it is not known what ${what} calls: ${oneLine((error as Error).message, 200)}`]
    }
    const backend = needed ? await served(needed) : ({ found: "not-live" } as const)
    if (!backend) return []
    const verdict = judgeContract(what, environment, needed, backend)
    return verdict.served ? [] : [verdict.lack]
  }

  /**
   * What browsers tell of a canary, where the settings ask for it: the backend that the build calls counts it.
   *
   * @throws Error when the build does not say which backend it calls
   */
  visitsOf({ contract }: Bundle, shown: { canary: Variant; live: Variant }): CanaryVisits | undefined {
    const { app, visits } = this.settings
    if (!visits) return undefined
    const backend = contract && this.context.backends[contract.backend]
    if (!backend) throw new Error(`${app}: no backend of the environment counts its visits`)
    return new CanaryVisits(() => backend.metrics(), shown, visits)
  }

  private async backendContract(name: string, release: Release | undefined): Promise<BackendContract> {
    const { backends } = this.context
    const backend = backends[name]
    if (!backend) return { found: "no-service", allowed: Object.keys(backends) }
    try {
      const coming = backend.deployed ? release?.images[name] : undefined
      const image = (coming ?? (await backend.current()))?.reference
      return image === undefined ? { found: "not-live" } : await this.describedBy(image)
    } catch (error) {
      return { found: "unreadable", reason: (error as Error).message }
    }
  }

  private async describedBy(image: string): Promise<BackendContract> {
    try {
      return { found: "described", image, text: await this.context.contract(image) }
    } catch (error) {
      return { found: "unreadable", reason: (error as Error).message }
    }
  }

  async planOf(prepared: PreparedFrontend, release: Release): Promise<ComponentPlan> {
    const { action, state } = prepared
    const actions = { nothing: "none", resume: "resume", begin: "start" } as const
    const plan = {
      component: this.id,
      action: actions[action.kind],
      summary: this.summaryOf(prepared),
      changes: [] as Change[],
    }
    if (action.kind === "nothing") return plan
    const contract = await this.contractOf(prepared.bundle, release)
    if (action.kind === "resume")
      // Its apply takes back what visitors may have of it.
      return contract.served ? plan : { ...plan, summary: `${plan.summary}; ${contract.reason}` }
    if (!contract.served) return { ...plan, action: "blocked", summary: contract.reason }
    return {
      ...plan,
      changes: [await this.changeOf(prepared, contract.text)],
      start: this.startOf(release, action.number, liveRevision(state)),
    }
  }

  /** The plan where the files of the image cannot be read from here: what changes in them is not known. */
  unreadablePlan(release: Release, state: FrontendState, error: unknown): ComponentPlan {
    return {
      component: this.id,
      action: "start",
      summary: `switches to ${this.imageOf(release).reference}, whose files are not known: ${oneLine((error as Error).message)}`,
      changes: [],
      start: this.startOf(release, state.last + 1, liveRevision(state)),
    }
  }

  /** The revision that a deploy makes. */
  revisionOf(
    { image, bundle, manifest, configuration }: PreparedFrontend,
    number: number,
    commit: string | undefined,
  ): RunningSwitch["revision"] {
    return {
      number,
      image: image.reference,
      release: releaseId(manifest),
      config: configuration.id,
      version: bundle.version,
      files: manifest.files.length,
      bytes: sizeOf(manifest.files),
      by: this.context.who,
      ...(commit !== undefined && { commit }),
    }
  }

  private startOf(release: Release, revision: number, live: FrontendRevision | undefined) {
    const { commit } = release
    return {
      ...this.wouldRun(release),
      revision,
      compatibility: { compatible: true as const },
      ...(this.settings.canary.length > 0 && { strategy: "canary" }),
      ...(commit !== undefined && { commit }),
      ...(live && {
        from: live.number,
        live: { revision: live.number, ...(live.commit !== undefined && { commit: live.commit }) },
      }),
    }
  }

  private summaryOf({ action, manifest, bundle }: PreparedFrontend): string {
    switch (action.kind) {
      case "nothing":
        return `unchanged; revision ${action.revision.number} is live`
      case "resume":
        return `resumes the deploy of revision ${action.running.revision.number} that ${action.running.revision.by} began at ${action.running.began}`
      case "begin": {
        const { canary } = this.settings
        const steps = canary.map(({ percent, for: time }) => `${percent} % for ${duration(time)}`)
        return oneLine(
          `revision ${action.number}, version ${bundle.version}, ${count(manifest.files.length, "file")} with ${size(sizeOf(manifest.files))}${steps.length > 0 && action.from ? `; canary: ${steps.join(", ")}` : ", for everybody at once"}`,
          500,
        )
      }
    }
  }

  private auditPlan(): string[] {
    const { audit } = this.settings
    if (!audit) return []
    const least = devices.map((device) => {
      const { performance, accessibility, bestPractices } = audit[device]
      return `${device} ${performance} / ${accessibility} / ${bestPractices}`
    })
    return [
      `audit before the switch: ${audit.paths.join(", ")}; at least ${least.join(", ")} (performance / accessibility / best practices, median of ${auditRuns} runs), nothing ${audit.violations} or worse`,
    ]
  }

  private async changeOf(
    { manifest, configuration, state }: PreparedFrontend,
    contract: string,
  ): Promise<Change> {
    const { bucket } = this.stores
    const live = liveRevision(state)
    const [before, missing, config] = await Promise.all([
      live && manifestIn(bucket, this.layout, live.release),
      missingObjects(bucket, this.layout, manifest),
      live && bucket.text(this.layout.config(live.config)),
    ])
    const { added, changed, removed } = differenceOf(before, manifest)
    const files = [
      ...added.map((one) => `+ ${one.path}, ${size(one.size)}`),
      ...changed.map((one) => `~ ${one.path}, ${size(one.size)}`),
      ...removed.map((one) => `- ${one.path}`),
    ]
    const more = files.length - longestList
    return {
      object: `Web app ${this.settings.namespace}/${this.settings.app}`,
      kind: live ? "changed" : "created",
      fields: [
        `release: ${live?.release ?? "none"} → ${releaseId(manifest)}`,
        `calls: ${contract}`,
        ...this.auditPlan(),
        `files: ${added.length} new (${size(sizeOf(added))}), ${changed.length} changed (${size(sizeOf(changed))}), ${removed.length} removed`,
        ...files.slice(0, longestList).map((line) => `  ${line}`),
        ...(more > 0 ? [`  and ${more} more`] : []),
        `upload: ${count(missing.length, "object")} with ${size(sizeOf(missing))}`,
        ...configurationDifference(config?.text, configuration.text),
      ],
    }
  }
}

const sizeOf = (files: { size: number }[]) => files.reduce((sum, one) => sum + one.size, 0)

/** The lines of a configuration that change. */
function configurationDifference(before: string | undefined, after: string): string[] {
  const lines = (text: string) =>
    text
      .split("\n")
      .map((line) => line.trim().replace(/,$/, ""))
      // The id follows from the others.
      .filter((line) => line.includes(":") && !line.startsWith('"id":'))
  const [old, now] = [lines(before ?? ""), lines(after)]
  return [
    ...old.filter((line) => !now.includes(line)).map((line) => `config.json - ${line}`),
    ...now.filter((line) => !old.includes(line)).map((line) => `config.json + ${line}`),
  ]
}
