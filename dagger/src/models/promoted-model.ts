import { type ComponentId, type ComponentPlan, modelText, type WouldRun } from "../delivery/component.js"
import { digestOfData } from "../delivery/guards/digest.js"
import { JobRunner } from "../delivery/job-runner.js"
import type { ServingPod } from "../delivery/serving-pod.js"
import type { StateRecord } from "../delivery/state-record.js"
import { wouldRunWith } from "../delivery/would-run.js"
import { oneLine } from "../lib/text.js"
import { continues, decidePromotion, type PromotionAction } from "./decisions.js"
import { pointerContainer, pointerObjects } from "./job.js"
import type { ModelContext, TrainingService } from "./model.js"
import { promotionState, type PromotionState, type RunningPromotion } from "./promotion-state.js"
import { type Examination, type Moved, readExaminationLog, readMovedLog, stepText } from "./result.js"
import { askPods, type PodReport } from "./serving.js"
import type { ModelSettings } from "./settings.js"

/** The service that serves a model, as it is in the environment. */
export interface ServingService extends TrainingService {
  /** The pods of the revision with all traffic. */
  pods(): Promise<ServingPod[]>
  /** Whether its traffic is being moved. */
  isRollingOut(): Promise<boolean>
}

/** What a deploy of a model does, worked out against the registry and the pods. */
export interface PreparedPromotion {
  /** The image that serves, whose commands change the pointer. */
  image: string
  state: PromotionState
  action: PromotionAction
}

/** A model in its environment: what its registry, its pods and its state say. */
export class PromotedModel {
  readonly id: ComponentId
  readonly mover: JobRunner<Moved>
  private readonly examiner: JobRunner<Examination>
  private readonly examinations = new Map<string, Promise<Examination>>()
  private examined = 0

  /** @param wanted digest of the model to promote; the challenger, if absent */
  constructor(
    readonly context: Omit<ModelContext, "signingKey">,
    readonly settings: ModelSettings,
    readonly owner: ServingService,
    readonly wanted?: string,
  ) {
    this.id = { kind: "model", name: settings.name }
    const { cluster, clock } = context
    const common = { container: pointerContainer, text: stepText }
    this.examiner = new JobRunner(
      { cluster, clock, say: this.say },
      {
        ...common,
        noun: "examination of the model",
        readLog: readExaminationLog,
        next: "it examines it again",
      },
    )
    this.mover = new JobRunner(
      { cluster, clock, say: this.say },
      { ...common, noun: "change of the pointer", readLog: readMovedLog, next: "it goes on from there" },
    )
  }

  readonly say = (line: string): void => {
    this.context.say(`${this.settings.name}: ${line}`)
  }

  stateRecord(): StateRecord<PromotionState> {
    const { namespace, name } = this.settings
    return promotionState(this.context.cluster, namespace, name)
  }

  /**
   * The image with all traffic, whose commands know the registry.
   *
   * @throws Error when nothing serves, or its traffic is being moved
   */
  async image(): Promise<string> {
    const { service, name } = this.settings
    const [current, isRollingOut] = await Promise.all([this.owner.current(), this.owner.isRollingOut()])
    if (!current) throw new Error(`${service} was never deployed, and its pods serve ${name}`)
    if (isRollingOut)
      throw new Error(`a rollout of ${service} is under way: finish it, or take it back first`)
    return current.reference
  }

  async reports(): Promise<PodReport[]> {
    return askPods(this.context.cluster, this.settings.namespace, await this.owner.pods())
  }

  /**
   * What the registry says of a model. A command asks once, until {@link forget}.
   *
   * @param model a digest, or what the pointer names so
   * @throws Error when the registry cannot be asked
   */
  examine(image: string, model: string): Promise<Examination> {
    const known = this.examinations.get(model) ?? this.examineAnew(image, model)
    this.examinations.set(model, known)
    return known
  }

  /** The pointer has changed. */
  forget(): void {
    this.examinations.clear()
  }

  private async examineAnew(image: string, model: string): Promise<Examination> {
    const { context, settings } = this
    const step = { kind: "examine" as const, model }
    const part = `e${++this.examined}`
    const { result, message } = await this.examiner.run(
      pointerObjects(settings, { id: context.id, part, image, step }, await this.owner.secrets()),
    )
    if (!result || result.outcome === "failed")
      throw new Error(`${settings.name} cannot be examined: ${message}`)
    return result
  }

  async prepare(state: PromotionState): Promise<PreparedPromotion> {
    const { running } = state
    if (running && continues(running, this.wanted))
      return { image: running.image, state, action: { kind: "resume", running } }
    const image = await this.image()
    const [examined, pods] = await Promise.all([
      this.examine(image, this.wanted ?? "challenger"),
      this.reports(),
    ])
    const { shadow } = this.settings.promotion
    return { image, state, action: decidePromotion({ wanted: this.wanted, examined, pods, shadow }) }
  }

  async planOf({ action, image }: PreparedPromotion): Promise<ComponentPlan> {
    const plan = { component: this.id, changes: [] }
    switch (action.kind) {
      case "nothing":
        return { ...plan, action: "none", summary: `unchanged; ${action.reason}` }
      case "blocked":
        return { ...plan, action: "blocked", summary: `${this.id.name}: ${action.reason}` }
      case "resume":
        return { ...plan, action: "resume", summary: `resumes ${underWay(action.running)}` }
      case "begin": {
        const { change, verdict, because, shadow } = action
        const { namespace, name } = this.settings
        const beside = shadow ? "; it predicts beside the champion first" : ""
        return {
          ...plan,
          action: "start",
          summary: oneLine(
            `from ${modelText(change.from)} to ${change.version} (${modelText(change.to)}), ${verdict}: ${because}${beside}`,
            800,
          ),
          changes: [
            {
              object: `Model ${namespace}/${name}`,
              kind: "changed",
              fields: [`champion: ${change.from ?? "none"} → ${change.to}`],
            },
          ],
          start: { ...(await this.wouldRun(image, change.to)), compatibility: { compatible: true } },
        }
      }
    }
  }

  async wouldRun(image: string, model: string): Promise<WouldRun> {
    const { namespace, name } = this.settings
    const settings = (names: string[]) => this.settingsDigest(image, names, model)
    return { ...wouldRunWith({ namespace, name, settings }, image, await this.owner.secrets()), model }
  }

  /** The digest of what a promotion of a model runs with. */
  settingsDigest(image: string, secretNames: string[], model: string): string {
    const { namespace, name, publicKey, promotion, registry } = this.settings
    return digestOfData({ namespace, name, registry, publicKey, promotion, image, secretNames, model })
  }
}

/** For example `the promotion of 0a1b… that ada began at …`. */
export const underWay = ({ action, to, by, began }: RunningPromotion): string =>
  `the ${action === "deploy" ? "promotion of" : "rollback to"} ${modelText(to)} that ${by} began at ${began}`
