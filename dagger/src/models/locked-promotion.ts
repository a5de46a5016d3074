import { promotionObject } from "../delivery/access.js"
import {
  type ComponentId,
  type ComponentPlan,
  type LockedComponent,
  modelText,
  type Operation,
  type OperationOutcome,
  type RevertRequest,
} from "../delivery/component.js"
import { iso } from "../delivery/journal.js"
import { Lease } from "../delivery/lease.js"
import { Operations, type Said } from "../delivery/operations.js"
import { digestOf } from "../delivery/release.js"
import type { StateRecord } from "../delivery/state-record.js"
import { hexDigestPattern } from "../lib/image-reference.js"
import { duration, oneLine } from "../lib/text.js"
import {
  backwards,
  continues,
  decideRollback,
  forwards,
  type Judged,
  judgePods,
  judgeShadow,
  type ModelChange,
} from "./decisions.js"
import { pointerObjects, type PointerStep } from "./job.js"
import type { PreparedPromotion, PromotedModel } from "./promoted-model.js"
import { ended, type PromotionState, type RunningPromotion, withRunning } from "./promotion-state.js"
import type { Moved } from "./result.js"
import type { PodReport } from "./serving.js"

/** Milliseconds between two looks at the pods. */
const lookEvery = 5_000

/** The promotions of a model under this command's lease. */
export class LockedPromotion implements LockedComponent {
  private prepared?: PreparedPromotion
  private readonly operations: Operations<PromotionState, RunningPromotion>

  private constructor(
    private readonly model: PromotedModel,
    private readonly lease: Lease,
    private readonly record: StateRecord<PromotionState>,
  ) {
    this.operations = new Operations({
      component: model.id,
      context: model.context,
      record,
      begun: withRunning,
      facts: ({ action, image, from, to }) => ({
        action,
        digest: digestOf(image),
        models: { to, ...(from !== undefined && { from }) },
      }),
    })
  }

  /** @throws LeaseHeld while another command has the lease */
  static async take(model: PromotedModel): Promise<LockedPromotion> {
    const { clock, cluster, who } = model.context
    const { name, namespace } = model.settings
    const lease = await Lease.take(cluster, namespace, name, who, {
      name: promotionObject(name),
      activity: "being promoted",
      clock,
      report: model.say,
    })
    return new LockedPromotion(model, lease, model.stateRecord())
  }

  get id(): ComponentId {
    return this.model.id
  }

  /** Ends an interrupted operation that this deploy does not go on with: a promotion is taken back, and a rollback goes on. */
  async settle(): Promise<void> {
    const state = await this.record.read()
    const { running } = state
    if (!running || continues(running, this.model.wanted)) return
    await this.conclude(state, running, "another model is deployed")
  }

  async plan(): Promise<ComponentPlan> {
    this.prepared = await this.model.prepare(await this.record.read())
    return this.model.planOf(this.prepared)
  }

  async apply(operation: Operation): Promise<OperationOutcome> {
    const { model, prepared } = this
    if (!prepared) throw new Error(`${model.id.name}: apply without a plan`)
    const { action, image, state } = prepared
    switch (action.kind) {
      case "nothing":
        return { result: "unchanged", message: action.reason }
      case "blocked":
        throw new Error(`${model.id.name}: ${action.reason}`)
      case "resume":
        return this.resume(state, action.running, "its promotion goes on")
      case "begin": {
        const { id, by, author, reason, guards, overridden, approval } = operation
        const { change, shadow } = action
        const begin = { id, by, author, reason, guards, action: "deploy" as const, image }
        const after = await this.begin(
          state,
          change,
          { ...begin, shadow },
          {
            message: `promotes ${change.version} (${modelText(change.to)}) in the place of ${modelText(change.from)}: ${action.because}`,
            ...(overridden && { overridden }),
            ...(approval && { approval }),
          },
        )
        return this.attempt(after, after.running)
      }
    }
  }

  /**
   * Takes back the promotion in progress, or returns to an earlier model.
   *
   * @throws Error when there is no such model, or it cannot be served
   */
  async revert({ to, reason }: RevertRequest): Promise<OperationOutcome> {
    const { model } = this
    if (to !== undefined && !hexDigestPattern.test(to))
      throw new Error(`"${oneLine(to, 80)}" is no digest of a model; allowed: all 64 hexadecimal digits`)
    let state = await this.record.read()
    const { running } = state
    if (running?.action === "rollback" && (to === undefined || to === running.to))
      return this.resume(state, running, "its rollback goes on")
    if (running) {
      const outcome = await this.conclude(state, running, reason)
      if (to === undefined && outcome.result === "aborted") {
        return {
          result: "promoted",
          message: `the promotion of ${modelText(running.to)} is taken back: ${outcome.message}`,
        }
      }
      state = await this.record.read()
    }
    const image = await model.image()
    const change = decideRollback(await model.examine(image, to ?? "previous"), to)
    if (!change) return { result: "unchanged", message: `${modelText(to)} serves` }
    const { id, who } = model.context
    const begin = { id, by: who, author: who, reason, action: "rollback" as const, image, shadow: false }
    const after = await this.begin(state, change, begin, {
      message: `goes back from ${modelText(change.from)} to ${change.version} (${modelText(change.to)})`,
    })
    return this.attempt(after, after.running)
  }

  unlock(): Promise<void> {
    return this.lease.end()
  }

  private async begin(
    state: PromotionState,
    change: ModelChange,
    {
      shadow,
      ...more
    }: Omit<Operation, "guards" | "overridden" | "approval"> &
      Pick<RunningPromotion, "action" | "image" | "guards"> & { shadow: boolean },
    said: Said,
  ): Promise<PromotionState & { running: RunningPromotion }> {
    const began = iso(this.model.context.cluster.now())
    const phase = shadow ? "shadowing" : "moving"
    return this.operations.begin(state, { ...change, ...more, began, phase, failed: 0 }, said)
  }

  private async resume(
    state: PromotionState,
    running: RunningPromotion,
    message: string,
  ): Promise<OperationOutcome> {
    await this.operations.event("resumed", running, { message })
    return this.attempt(state, running)
  }

  private async attempt(state: PromotionState, running: RunningPromotion): Promise<OperationOutcome> {
    try {
      return await this.carryOut(state, running)
    } catch (error) {
      await this.operations.failed(running, error)
      throw error
    }
  }

  private async carryOut(state: PromotionState, running: RunningPromotion): Promise<OperationOutcome> {
    if (running.end) return this.finish(state, running, running.end.result, running.end.message)
    if (running.phase === "returning") return this.giveBack(state, running)
    const { from, to } = running
    if (running.phase === "shadowing") {
      const { refused, compared } = await this.shadow(state, running)
      if (refused !== undefined)
        return this.finish(state, running, "aborted", `${refused}; ${modelText(from)} goes on serving`)
      this.model.say(compared)
      return this.carryOut(...(await this.write(state, { ...running, phase: "moving", compared })))
    }
    const moved = await this.step(state, running, "p", forwards(running))
    if (moved.outcome === "superseded") return this.finish(state, running, "aborted", moved.message)
    const seen = await this.watch(to)
    if (seen.broken !== undefined) {
      await this.operations.event("rolling-back", running, { message: oneLine(seen.broken, 500) })
      return this.giveBack(...(await this.write(state, { ...running, phase: "returning", why: seen.broken })))
    }
    const message = [
      seen.unfollowed
        ? `${modelText(to)} is the champion; no pod follows the registry yet, and the next deploy of ${this.model.settings.service} serves it`
        : `${modelText(to)} serves on every pod (${seen.pods}), ${duration(seen.served)} after the switch from ${modelText(from)}`,
      ...(running.compared === undefined ? [] : [running.compared]),
    ].join("; ")
    return this.finish(state, running, "promoted", message)
  }

  /** Has the model predict beside the champion on every pod, until each has compared an answer. */
  private async shadow(
    state: PromotionState,
    running: RunningPromotion,
  ): Promise<{ refused?: string; compared: string }> {
    const { model } = this
    const { timeout } = model.settings.promotion
    const { from, to } = running
    const moved = await this.step(state, running, "s", { kind: "shadow", model: to, champion: from })
    if (moved.outcome === "superseded") return { refused: moved.message, compared: "" }
    model.say(`${modelText(to)} predicts beside the champion`)
    return this.look((reports, waited) => {
      const { refused, waiting, compared } = judgeShadow(reports, to)
      if (refused !== undefined) return { refused, compared }
      if (waiting.length === 0) return { compared }
      if (waited < timeout) return undefined
      const late = `not every pod has compared it with the champion within ${duration(timeout)}: ${waiting.join("; ")}`
      return { refused: late, compared }
    })
  }

  /**
   * Looks at the pods until all of them serve a model, and for a while after.
   *
   * @returns why it is to be taken back, as `broken`, and after how many seconds all of them served it
   */
  private watch(
    target: string,
  ): Promise<Pick<Judged, "broken" | "unfollowed"> & { pods: number; served: number }> {
    const { model } = this
    const { timeout, watch } = model.settings.promotion
    const began = new Map<string, number>()
    let served: number | undefined
    return this.look((reports, waited) => {
      for (const { uid, restarts } of reports) if (!began.has(uid)) began.set(uid, restarts)
      const { broken, waiting, unfollowed } = judgePods(reports, target, began)
      const seen = { unfollowed, pods: reports.length, served: served ?? waited }
      if (unfollowed) return seen
      if (broken !== undefined) return { ...seen, broken }
      if (waiting.length === 0) {
        if (served === undefined)
          model.say(
            `${modelText(target)} serves on every pod (${reports.length}); they are watched for ${duration(watch)}`,
          )
        served ??= waited
        if (waited - served >= watch) return seen
      }
      // Pods that come up meanwhile have as long again.
      if (waited < timeout + (served === undefined ? 0 : watch)) return undefined
      const late = `not every pod serves it within ${duration(timeout)}: ${waiting.join("; ")}`
      return { ...seen, broken: late }
    })
  }

  /** Puts the model before in place again, and waits for the pods. */
  private async giveBack(state: PromotionState, running: RunningPromotion): Promise<OperationOutcome> {
    const { from, why = "it was taken back" } = running
    const moved = await this.step(state, running, "r", backwards(running))
    if (moved.outcome === "superseded")
      return this.finish(state, running, "aborted", `${why}; ${moved.message}`)
    const late = from === undefined ? [] : await this.untilServed(from)
    const end =
      late.length === 0
        ? `${modelText(from)} serves`
        : `${modelText(from)} is the champion, but ${late.join("; ")}`
    return this.finish(state, running, "aborted", `${why}; ${end}`)
  }

  /** @returns pods that do not serve the model in time, each with what it does instead */
  private untilServed(target: string): Promise<string[]> {
    const { timeout } = this.model.settings.promotion
    return this.look((reports, waited) => {
      const { waiting, unfollowed } = judgePods(reports, target, new Map())
      if (unfollowed || waiting.length === 0) return []
      return waited < timeout ? undefined : waiting
    })
  }

  /**
   * Looks at the pods until a look comes to something.
   *
   * @param judge is told how many seconds it has been
   */
  private async look<Found>(
    judge: (reports: PodReport[], waited: number) => Found | undefined,
  ): Promise<Found> {
    const { clock } = this.model.context
    for (const began = clock.now(); ; await clock.pause(lookEvery)) {
      this.lease.check()
      const found = judge(await this.model.reports(), (clock.now() - began) / 1_000)
      if (found !== undefined) return found
    }
  }

  /** Ends an interrupted operation: a rollback goes on to its end, and a promotion is taken back. */
  private async conclude(
    state: PromotionState,
    running: RunningPromotion,
    reason: string,
  ): Promise<OperationOutcome> {
    this.model.forget()
    if (running.action === "rollback" || running.end || running.phase === "returning")
      return this.resume(state, running, "it goes on to its end")
    const why = `it was interrupted, and ${oneLine(reason)}`
    if (running.phase === "shadowing")
      return this.finish(state, running, "aborted", `${why}; ${modelText(running.from)} goes on serving`)
    await this.operations.event("rolling-back", running, { message: why })
    // One that still runs could move the pointer after it was taken back.
    const job = this.objectsOf(running, "p", forwards(running), {}).job
    if (await this.model.mover.isActive(job)) await this.step(state, running, "p", forwards(running))
    return this.giveBack(...(await this.write(state, { ...running, phase: "returning", why })))
  }

  /**
   * Runs a step of an operation as a Job, or follows the one that an interrupted command has created.
   *
   * @throws Error when it is not known what the registry says then; the next command runs the step again
   */
  private async step(
    state: PromotionState,
    running: RunningPromotion,
    kind: "s" | "p" | "r",
    step: PointerStep,
  ): Promise<Moved> {
    const { model, lease } = this
    lease.check()
    const secrets = await model.owner.secrets()
    const { result, message } = await model.mover.run(this.objectsOf(running, kind, step, secrets))
    lease.check()
    model.forget()
    if (result && result.outcome !== "failed") return result
    await this.write(state, { ...running, failed: running.failed + 1 })
    throw new Error(`the pointer was not changed: ${message}; run the same command again to go on`)
  }

  private objectsOf(
    { id, image, failed }: RunningPromotion,
    kind: "s" | "p" | "r",
    step: PointerStep,
    secrets: Record<string, string>,
  ) {
    // A Job of this name that failed has ended, and cannot change the pointer later.
    return pointerObjects(this.model.settings, { id, part: `${kind}${failed}`, image, step }, secrets)
  }

  private async write(
    state: PromotionState,
    running: RunningPromotion,
  ): Promise<[PromotionState, RunningPromotion]> {
    const after = withRunning(state, running)
    await this.record.write(after)
    return [after, after.running]
  }

  private async finish(
    state: PromotionState,
    running: RunningPromotion,
    result: "promoted" | "aborted",
    message: string,
  ): Promise<OperationOutcome> {
    const ending = { result, message: oneLine(message, 500) }
    const { end } = await this.operations.finish(state, running, ending, ended)
    return { result: end.result, message: end.message }
  }
}
