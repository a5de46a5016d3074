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
import { componentText } from "../delivery/component.js"
import { digestOf, type Release, type ReleasedImage } from "../delivery/release.js"
import { DeployedFrontend, type FrontendContext } from "./deployed-frontend.js"
import { LockedFrontend } from "./locked-frontend.js"
import { PreviewedFrontend } from "./previewed-frontend.js"
import type { FrontendSettings } from "./settings.js"
import { liveRevision } from "./state.js"
import { statusText } from "./status.js"

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

  async revert(request: RevertRequest): Promise<OperationOutcome> {
    const locked = await this.lock()
    try {
      return await locked.revert(request)
    } finally {
      await locked.unlock()
    }
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
