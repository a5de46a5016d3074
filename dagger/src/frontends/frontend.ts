import type {
  Component,
  ComponentId,
  ComponentPlan,
  ComponentStatus,
  ImageInUse,
  OperationOutcome,
  RevertRequest,
  WouldRun,
} from "../delivery/component.js"
import { componentText, exclusively } from "../delivery/component.js"
import { digestOf, type Release, type ReleasedImage } from "../delivery/release.js"
import { oneLine } from "../lib/text.js"
import { newestAudit, type StoredAudit } from "./audit-objects.js"
import { DeployedFrontend, type FrontendContext } from "./deployed-frontend.js"
import { LockedFrontend } from "./locked-frontend.js"
import { PreviewedFrontend } from "./previewed-frontend.js"
import type { FrontendSettings } from "./settings.js"
import { liveRevision } from "./state.js"
import { statusText } from "./status.js"

/** The newest audit of a web app, or why there is none to show. */
export type NewestAudit = { app: string } & (
  | ({
      found: "audit"
      /** The release that visitors get now. */
      live?: string
    } & StoredAudit)
  | { found: "none" | "unreadable"; reason: string }
)

/** A web app as a component: files in a bucket, and an edge that knows which release visitors get. */
export class Frontend implements Component {
  readonly deployed: DeployedFrontend

  constructor(context: FrontendContext, settings: FrontendSettings) {
    this.deployed = new DeployedFrontend(context, settings)
  }

  get id(): ComponentId {
    return this.deployed.id
  }

  get service(): string {
    return this.deployed.settings.app
  }

  async current(): Promise<ReleasedImage | undefined> {
    const live = liveRevision(await this.deployed.stateRecord().read())
    return live && { reference: live.image }
  }

  async plan(release: Release): Promise<ComponentPlan> {
    const { deployed } = this
    const state = await deployed.stateRecord().read()
    // The plan under the lease, which is carried out, has to read everything.
    return deployed.prepare(release, state).then(
      (prepared) => deployed.planOf(prepared, release),
      (error: unknown) => deployed.unreadablePlan(release, state, error),
    )
  }

  wouldRun(release: Release): Promise<WouldRun> {
    return Promise.resolve(this.deployed.wouldRun(release))
  }

  settingsDigest(image: string, secretNames: string[]): string {
    return this.deployed.settingsDigest(image, secretNames)
  }

  lock(): Promise<LockedFrontend> {
    return LockedFrontend.take(this.deployed)
  }

  revert(request: RevertRequest): Promise<OperationOutcome> {
    return exclusively(this.lock(), (locked) => locked.revert(request))
  }

  /** Whether the settings let releases be shown that are not live. */
  get hasPreviews(): boolean {
    const { edge, preview } = this.deployed.settings
    return preview && edge.kind === "key-value-store"
  }

  /** @throws Error where the settings have no previews */
  previews(): PreviewedFrontend {
    const store = this.hasPreviews ? this.deployed.stores.previews : undefined
    if (store) return new PreviewedFrontend(this.deployed, store)
    throw new Error(withoutPreviews([this]))
  }

  async status(): Promise<ComponentStatus> {
    const { deployed } = this
    const orError = <Value>(read: () => Promise<Value>): Promise<Value | Error> =>
      Promise.resolve()
        .then(read)
        .catch((error: unknown) => error as Error)
    const [state, pointer, previews] = await Promise.all([
      deployed.stateRecord().read(),
      orError(() => deployed.stores.edge.read()),
      orError(() => deployed.previews()),
    ])
    const now = deployed.context.cluster.now()
    return { component: this.id, ...statusText(deployed.settings, state, pointer, { previews, now }) }
  }

  /** The audit that was kept last. One that cannot be read is no error, but said to be so. */
  async newestAudit(): Promise<NewestAudit> {
    const { deployed } = this
    const { app } = deployed.settings
    try {
      const [stored, state] = await Promise.all([
        newestAudit(deployed.stores.bucket, deployed.layout),
        deployed.stateRecord().read(),
      ])
      const live = liveRevision(state)?.release
      if (stored) return { app, found: "audit", ...stored, ...(live !== undefined && { live }) }
      const reason = deployed.settings.audit
        ? "no release was audited yet"
        : `its settings ask for none: environments.${deployed.settings.environment}.frontends.${app}.audit`
      return { app, found: "none", reason }
    } catch (error) {
      return { app, found: "unreadable", reason: oneLine((error as Error).message, 500) }
    }
  }

  async imagesInUse(): Promise<ImageInUse[]> {
    const { revisions, running } = await this.deployed.stateRecord().read()
    return [...revisions, ...(running ? [running.revision] : [])].map(({ image, number }) => ({
      digest: digestOf(image),
      use: `revision ${number} of ${componentText(this.id)}`,
    }))
  }
}

/**
 * The previews of web apps.
 *
 * @throws Error that names every app whose settings have none
 */
export function previewsOf(apps: Frontend[]): { app: Frontend; previews: PreviewedFrontend }[] {
  const without = apps.filter(({ hasPreviews }) => !hasPreviews)
  if (without.length > 0) throw new Error(withoutPreviews(without))
  return apps.map((app) => ({ app, previews: app.previews() }))
}

function withoutPreviews(apps: Frontend[]): string {
  const all = apps.map(({ deployed }) => deployed.settings)
  const sections = all.map(({ app, environment }) => `environments.${environment}.frontends.${app}`)
  const [have, need] = all.length === 1 ? ["has", "needs"] : ["have", "need"]
  return `${all.map(({ app }) => app).join(", ")} ${have} no previews: ${sections.join(", ")} ${need} preview: true and an edge of the kind key-value-store`
}
