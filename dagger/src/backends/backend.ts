import type {
  Component,
  ComponentId,
  ComponentPlan,
  ComponentStatus,
  Outcome,
  RevertRequest,
  WouldRun,
} from "../delivery/component.js"
import type { Release, ReleasedImage } from "../delivery/release.js"
import { stableRevision } from "./decisions.js"
import { type BackendContext, DeployedService } from "./deployed-service.js"
import { LockedBackend } from "./locked-backend.js"
import { planOf, prepare, settingsOf, wouldRun } from "./prepare.js"
import { revert } from "./revert.js"
import type { BackendSettings } from "./settings.js"
import { statusOf } from "./status.js"

/** A backend as a component: a service on Kubernetes whose revisions get traffic by rollouts. */
export class Backend implements Component {
  readonly deployed: DeployedService

  constructor(context: BackendContext, settings: BackendSettings) {
    this.deployed = new DeployedService(context, settings)
  }

  get id(): ComponentId {
    return this.deployed.id
  }

  async current(): Promise<ReleasedImage | undefined> {
    const { record, revisions } = this.deployed
    const number = stableRevision(await record.read())
    const revision = number === undefined ? undefined : await revisions.find(number)
    if (!revision) return undefined
    return { reference: revision.image, ...(revision.schema && { migrations: revision.schema }) }
  }

  async plan(release: Release): Promise<ComponentPlan> {
    return planOf(this.deployed, await prepare(this.deployed, release))
  }

  async wouldRun(release: Release): Promise<WouldRun> {
    return wouldRun(this.deployed, await prepare(this.deployed, release))
  }

  settingsDigest(image: string, secretNames: string[]): string {
    return settingsOf(this.deployed, image, secretNames)
  }

  lock(): Promise<LockedBackend> {
    return LockedBackend.take(this.deployed)
  }

  revert(request: RevertRequest): Promise<Outcome> {
    return revert(this.deployed, request)
  }

  status(): Promise<ComponentStatus> {
    return statusOf(this.deployed)
  }
}
