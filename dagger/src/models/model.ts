import type { KubernetesApi } from "../clients/kubernetes/client.js"
import { modelObject } from "../delivery/access.js"
import { type ComponentId, componentText, type ImageInUse } from "../delivery/component.js"
import { type JobEnd, JobRunner } from "../delivery/job-runner.js"
import { iso, type Journal } from "../delivery/journal.js"
import { Lease } from "../delivery/lease.js"
import { digestOf, type ReleasedImage } from "../delivery/release.js"
import type { StateRecord } from "../delivery/state-record.js"
import type { Clock } from "../lib/clock.js"
import { signingKeyFile, trainingContainer, trainingObjects } from "./job.js"
import { readTrainingLog, type TrainingResult, trainingText } from "./result.js"
import type { ModelSettings } from "./settings.js"
import { begun, ended, type ModelState, modelState, type Running } from "./state.js"

/** The service whose image trains a model, as it is in the environment. */
export interface TrainingService {
  /** The image with all traffic; nothing before the first deploy. */
  current(): Promise<ReleasedImage | undefined>
  /**
   * The secrets of its pods by file name: those given, otherwise those of the present revision.
   *
   * @throws Error when one is neither given nor readable
   */
  secrets(): Promise<Record<string, string>>
}

/** What all models of an environment work with. */
export interface ModelContext {
  cluster: KubernetesApi
  /** Who runs the command, as the API server knows them. */
  who: string
  /** The operation's id. */
  id: string
  journal: Journal
  /**
   * The private key that models are signed with, in PEM.
   *
   * @throws Error without one
   */
  signingKey: () => string
  say: (line: string) => void
  clock: Clock
}

/** The model of a service in its environment: trained by a Job from the image that serves it. */
export class Model {
  readonly id: ComponentId
  private readonly runner: JobRunner<TrainingResult>

  constructor(
    private readonly context: ModelContext,
    private readonly settings: ModelSettings,
    private readonly owner: TrainingService,
  ) {
    this.id = { kind: "model", name: settings.name }
    const { cluster, clock } = context
    this.runner = new JobRunner(
      { cluster, clock, say: this.say },
      {
        noun: "training",
        container: trainingContainer,
        readLog: readTrainingLog,
        text: trainingText,
        next: "it trains what is not in the registry yet",
      },
    )
  }

  /**
   * Trains on what the champion has not seen, or follows the training that an interrupted command has begun.
   *
   * @param force train although nothing is new
   * @returns what it came to, in a sentence
   * @throws Error when it failed, nothing serves, or another command trains
   */
  async train(force: boolean): Promise<string> {
    const { cluster, clock, who } = this.context
    const { name, namespace } = this.settings
    const lease = await Lease.take(cluster, namespace, name, who, {
      name: modelObject(name),
      activity: "being trained",
      clock,
      report: this.say,
    })
    try {
      const record = modelState(cluster, namespace, name)
      const [state, running] = await this.underWay(record, force)
      const end = await this.runner.run(trainingObjects(this.settings, running, await this.secrets()))
      return await this.conclude(record, state, running, end)
    } finally {
      await lease.end()
    }
  }

  /** The image of a training that was begun. */
  async imagesInUse(): Promise<ImageInUse[]> {
    const { name, namespace } = this.settings
    const { running } = await modelState(this.context.cluster, namespace, name).read()
    return running
      ? [{ digest: digestOf(running.image), use: `a training of ${componentText(this.id)}` }]
      : []
  }

  private readonly say = (line: string): void => {
    this.context.say(`${this.settings.name}: ${line}`)
  }

  /**
   * The training to run: the one that an interrupted command has begun, where its Job exists or its image still serves, or else a new one.
   *
   * @throws Error when nothing serves
   */
  private async underWay(record: StateRecord<ModelState>, force: boolean): Promise<[ModelState, Running]> {
    const { cluster, id, who } = this.context
    const [state, image] = await Promise.all([record.read(), this.owner.current()])
    if (!image)
      throw new Error(
        `${this.settings.service} was never deployed, and its image trains ${this.settings.name}`,
      )
    const { running } = state
    if (running) {
      const exists = (await cluster.read(trainingObjects(this.settings, running, {}).job)) !== undefined
      if (exists || running.image === image.reference) {
        this.say(`goes on with the training that ${running.by} began at ${running.began}`)
        return [state, running]
      }
    }
    const next = { id, force, image: image.reference, by: who, began: iso(cluster.now()) }
    const written = begun(state, next)
    // Before the Job is created: whoever comes after a command that died finds the Job by it.
    await record.write(written)
    return [written, next]
  }

  private async conclude(
    record: StateRecord<ModelState>,
    state: ModelState,
    running: Running,
    end: JobEnd<TrainingResult>,
  ): Promise<string> {
    await this.note(running, end)
    await record.write(ended(state, end))
    const sentence = `${this.settings.name}: ${end.message}`
    if (end.result === undefined || end.result.outcome === "failed") throw new Error(sentence)
    return sentence
  }

  private async note({ id, image }: Running, { result, message }: JobEnd<TrainingResult>): Promise<void> {
    const kinds = {
      challenger: "trained",
      unproven: "trained",
      refused: "trained",
      failed: "training-failed",
    } as const
    const outcome = result?.outcome ?? "failed"
    if (outcome === "nothing-new" || outcome === "deferred") return
    await this.context.journal.record({
      kind: kinds[outcome],
      component: this.id,
      action: "train",
      operation: id,
      digest: digestOf(image),
      message,
    })
  }

  private async secrets(): Promise<Record<string, string>> {
    return { ...(await this.owner.secrets()), [signingKeyFile]: this.context.signingKey() }
  }
}
