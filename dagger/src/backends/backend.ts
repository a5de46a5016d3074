import {
  type Component,
  type ComponentId,
  type ComponentPlan,
  type ComponentStatus,
  type ImageInUse,
  type OperationOutcome,
  type RevertRequest,
  type WouldRun,
  componentText,
} from "../delivery/component.js"
import { digestOf, type Release, type ReleasedImage } from "../delivery/release.js"
import type { ServingPod } from "../delivery/serving-pod.js"
import { readPages, requestLimit } from "./analysis/sources.js"
import { stableRevision } from "./decisions.js"
import { type BackendContext, DeployedService } from "./deployed-service.js"
import { LockedBackend } from "./locked-backend.js"
import { planOf, prepare, secretsOf, settingsOf, wouldRun } from "./prepare.js"
import { revert } from "./revert.js"
import { isOver } from "./rollout/rollout.js"
import type { BackendSettings } from "./settings.js"
import { ClusterPods, servingPod } from "./revisions/pods.js"
import type { Revision } from "./revisions/revisions.js"
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

  get service(): string {
    return this.deployed.name
  }

  async current(): Promise<ReleasedImage | undefined> {
    const number = await this.live()
    const revision = number === undefined ? undefined : await this.deployed.revisions.find(number)
    if (!revision) return undefined
    return { reference: revision.image, ...(revision.schema && { migrations: revision.schema }) }
  }

  /** Every revision in the cluster, newest first. */
  revisions(): Promise<Revision[]> {
    return this.deployed.revisions.all()
  }

  async imagesInUse(): Promise<ImageInUse[]> {
    return (await this.revisions()).map(({ image, number }) => ({
      digest: digestOf(image),
      use: `revision ${number} of ${componentText(this.id)}`,
    }))
  }

  /**
   * The metrics of each process of all its revisions, without the text of those that do not answer.
   *
   * @throws Error when none answers
   */
  async metricsPages(): Promise<{ instance: string; text?: string }[]> {
    const { cluster, environment } = this.deployed.context
    const { namespace } = environment
    const pods = new ClusterPods(cluster)
    const revisions = (await this.revisions()).filter(({ wanted }) => wanted > 0)
    const read = revisions.map(({ number: revision }) =>
      readPages(pods, { namespace, service: this.service, revision, role: "stable" }, requestLimit),
    )
    const pages = (await Promise.all(read)).flatMap((one) => one.pages)
    if (pages.some(({ page }) => page.error === undefined))
      return pages.map(({ instance, page }) =>
        page.error === undefined ? { instance, text: page.value } : { instance },
      )
    const [first] = pages
    throw new Error(
      `no pod of ${this.service} shows its metrics: ${first ? `${first.pod}: ${first.page.error ?? ""}` : "none runs"}`,
    )
  }

  /** The number of the revision with all traffic. */
  async live(): Promise<number | undefined> {
    return stableRevision(await this.deployed.record.read())
  }

  /** The pods of the revision with all traffic; none before the first deploy. */
  async pods(): Promise<ServingPod[]> {
    const number = await this.live()
    return number === undefined ? [] : (await this.deployed.revisions.pods(number)).map(servingPod)
  }

  /** Whether its traffic is being moved. */
  async isRollingOut(): Promise<boolean> {
    const rollout = await this.deployed.record.read()
    return rollout !== undefined && !isOver(rollout)
  }

  /**
   * The secrets of its pods by file name: those given, otherwise those of the present revision.
   *
   * @throws Error when one is neither given nor readable
   */
  async secrets(): Promise<Record<string, string>> {
    return (await secretsOf(this.deployed, await this.live())).secrets
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

  revert(request: RevertRequest): Promise<OperationOutcome> {
    return revert(this.deployed, request)
  }

  status(): Promise<ComponentStatus> {
    return statusOf(this.deployed)
  }
}
