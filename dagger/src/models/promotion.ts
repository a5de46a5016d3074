import {
  type Component,
  type ComponentId,
  type ComponentPlan,
  type ComponentStatus,
  componentText,
  exclusively,
  type ImageInUse,
  modelText,
  type OperationOutcome,
  type RevertRequest,
  type WouldRun,
} from "../delivery/component.js"
import { digestOf, type ReleasedImage } from "../delivery/release.js"
import { columns, oneLine } from "../lib/text.js"
import { LockedPromotion } from "./locked-promotion.js"
import type { ModelContext } from "./model.js"
import { PromotedModel, type ServingService, underWay } from "./promoted-model.js"
import type { PromotionState } from "./promotion-state.js"
import type { PodReport } from "./serving.js"
import type { ModelSettings } from "./settings.js"

/** The model of a service as a component: which one serves is said by a pointer in the registry, and every pod follows it. */
export class Promotion implements Component {
  private readonly model: PromotedModel

  /** @param wanted digest of the model that a deploy promotes; the challenger, if absent */
  constructor(
    context: Omit<ModelContext, "signingKey">,
    settings: ModelSettings,
    owner: ServingService,
    wanted?: string,
  ) {
    this.model = new PromotedModel(context, settings, owner, wanted)
  }

  get id(): ComponentId {
    return this.model.id
  }

  get service(): string {
    return this.model.settings.service
  }

  current(): Promise<ReleasedImage | undefined> {
    return this.model.owner.current()
  }

  async plan(): Promise<ComponentPlan> {
    const { model } = this
    return model.planOf(await model.prepare(await model.stateRecord().read()))
  }

  /** @throws Error when no model is named, and there is no challenger */
  async wouldRun(): Promise<WouldRun> {
    const { model } = this
    const image = await model.image()
    const digest = model.wanted ?? (await model.examine(image, "challenger")).digest
    if (digest === undefined) throw new Error(`${model.id.name} has no challenger to promote`)
    return model.wouldRun(image, digest)
  }

  /** @throws Error when no model is named: what the challenger is changes */
  settingsDigest(image: string, secretNames: string[]): string {
    const { wanted } = this.model
    if (wanted === undefined) throw new Error(`name the model of ${this.model.id.name} by its digest`)
    return this.model.settingsDigest(image, secretNames, wanted)
  }

  lock(): Promise<LockedPromotion> {
    return LockedPromotion.take(this.model)
  }

  revert(request: RevertRequest): Promise<OperationOutcome> {
    return exclusively(this.lock(), (locked) => locked.revert(request))
  }

  async status(): Promise<ComponentStatus> {
    const { model } = this
    const [state, pods] = await Promise.all([model.stateRecord().read(), model.reports()])
    return { component: this.id, text: statusText(model.settings, state, pods), details: { ...state, pods } }
  }

  async imagesInUse(): Promise<ImageInUse[]> {
    const { running } = await this.model.stateRecord().read()
    return running
      ? [{ digest: digestOf(running.image), use: `a promotion of ${componentText(this.id)}` }]
      : []
  }
}

function statusText({ name }: ModelSettings, { running, runs }: PromotionState, pods: PodReport[]): string {
  const rows = pods.map(({ name: pod, ready, served, silence }) => {
    const { champion, refused, shadow } = served ?? {}
    return [
      pod,
      ready ? "yes" : "no",
      silence ?? (champion?.digest ? modelText(champion.digest) : (champion?.version ?? "none")),
      champion ? `${champion.predictions}, ${champion.failures} failed` : "–",
      shadow ? modelText(shadow.digest) : "–",
      refused ? `cannot load ${modelText(refused.digest)}: ${refused.reason}` : "",
    ]
  })
  const [last] = runs
  return [
    `${name}: ${running ? underWay(running) : "no promotion under way"}`,
    ...(last
      ? [
          `  last: ${last.action} of ${modelText(last.to)} ${last.result}, ${last.ended}: ${oneLine(last.message, 300)}`,
        ]
      : []),
    ...(rows.length === 0
      ? ["  no pod runs"]
      : [columns([["POD", "READY", "SERVES", "PREDICTIONS", "SHADOW", ""], ...rows]).replace(/^/gm, "  ")]),
  ].join("\n")
}
