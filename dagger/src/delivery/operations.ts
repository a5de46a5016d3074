import type { KubernetesApi } from "../clients/kubernetes/client.js"
import { oneLine } from "../lib/text.js"
import type { ComponentId, Operation } from "./component.js"
import type { DeliveryEvent, EventKind } from "./events/event.js"
import { iso, type Journal } from "./journal.js"
import type { StateRecord } from "./state-record.js"

/** An operation in the state of its component, from its beginning until its end is in the audit log. */
export interface Running {
  id: string
  author: string
  reason: string
  /** Digest of the guards that permitted it. */
  guards?: string | undefined
  /** ISO 8601, by the API server's clock. */
  began: string
  /** How it ended. */
  end?: End | undefined
}

/** How an operation ended that is carried out or taken back as a whole. */
export interface End {
  result: "promoted" | "aborted"
  /** ISO 8601, by the API server's clock. */
  at: string
  message: string
}

/** What is said of one event of an operation. */
export type Said = { message: string; at?: string } & Partial<Pick<Operation, "overridden" | "approval">>

/** The operations of a component, as its state and the audit log have them: whoever comes after a command that died goes on from there. */
export class Operations<State, Run extends Running> {
  constructor(
    private readonly of: {
      component: ComponentId
      context: { cluster: Pick<KubernetesApi, "now">; journal: Journal }
      record: StateRecord<State>
      /** The state after an operation has begun. */
      begun: (state: State, running: Run) => State & { running: Run }
      /** What the events of an operation say beside who began it and why. */
      facts: (running: Run) => Pick<DeliveryEvent, "action" | "digest" | "revision" | "from" | "models">
    },
  ) {}

  /** Writes down what begins, before anything changes. */
  async begin(state: State, running: Run, said: Said): Promise<State & { running: Run }> {
    const after = this.of.begun(state, running)
    await this.event("started", after.running, { ...said, at: running.began })
    await this.of.record.write(after)
    return after
  }

  /** Records that a command could not go on with it. The next one can. */
  failed(running: Run, error: unknown): Promise<void> {
    return this.event("failed", running, { message: oneLine((error as Error).message, 500) })
  }

  /**
   * Records how an operation ended: in the state, then in the audit log, then as over. A command that dies in between, and the next one, record the same end.
   *
   * @param over the state after the operation in progress has ended
   */
  async finish(
    state: State,
    running: Run,
    { result, message }: Pick<End, "result" | "message">,
    over: (state: State) => State,
  ): Promise<{ end: End; after: State }> {
    const { context, record } = this.of
    const end = running.end ?? { result, message, at: iso(context.cluster.now()) }
    const ending = { ...state, running: { ...running, end } }
    if (!running.end) await record.write(ending)
    await this.event(end.result === "promoted" ? "promoted" : "rolled-back", running, {
      message: end.message,
      at: end.at,
    })
    const after = over(ending)
    await record.write(after)
    return { end, after }
  }

  async event(kind: EventKind, running: Run, said: Said): Promise<void> {
    const { component, context, facts } = this.of
    const { id, author, reason, guards } = running
    await context.journal.record({
      kind,
      component,
      operation: id,
      ...facts(running),
      author,
      reason,
      ...(guards !== undefined && { guards }),
      ...said,
    })
  }
}
