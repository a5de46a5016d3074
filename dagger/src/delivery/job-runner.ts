import type {
  CoreV1Event,
  V1ConfigMap,
  V1Job,
  V1NetworkPolicy,
  V1Pod,
  V1Secret,
} from "@kubernetes/client-node"
import {
  ApiError,
  type KubernetesApi,
  type KubernetesObject,
  UnreachableError,
} from "../clients/kubernetes/client.js"
import type { Plain } from "../clients/kubernetes/manifest.js"
import { podLog } from "../clients/kubernetes/pod-log.js"
import type { Clock } from "../lib/clock.js"
import { oneLine } from "../lib/text.js"
import type { JobLog } from "./job-log.js"

type Job = Plain<V1Job>
type Pod = Plain<V1Pod>

/** Milliseconds between two looks at a running Job. */
const interval = 2_000
/** Lines of the log that one look reads. */
const recentLines = 200
/** Milliseconds for which the API server may be out of reach. */
const patience = 5 * 60_000
/** Milliseconds until the command's container has to have started. */
const startLimit = 10 * 60_000
/** Tries to read the log of a Job that has ended. */
const logTries = 5

/** The command stopped following a Job, which goes on in the cluster. */
export class StoppedFollowing extends Error {
  override name = "StoppedFollowing"
}

/** The Job was not created, because the cluster refuses it. */
class JobRefused extends Error {
  override name = "JobRefused"
}

/** Whether a Job has ended, and how. */
const endOf = (job: Job) =>
  job.status?.conditions?.find(
    ({ type, status }) => ["Complete", "Failed"].includes(type) && status === "True",
  )

/** The objects of a run. The Job owns the Secret and the ConfigMap, so that they are deleted with it. */
export interface JobObjects {
  networkPolicy: Plain<V1NetworkPolicy>
  job: Plain<V1Job>
  /** @param uid of the Job */
  owned: (uid: string) => [Plain<V1ConfigMap>, Plain<V1Secret>]
}

/** How a run ended. */
export interface JobEnd<Result> {
  /** ISO 8601. */
  at: string
  /** Absent where the run ended without one: that is a failure. */
  result?: Result
  /** One sentence. */
  message: string
}

/** The last event of a command: `failed`, or what it came to. */
export interface JobResult {
  outcome: string
}

/** What Jobs of one kind are, and how their logs are read. */
export interface JobKind<Result extends JobResult> {
  /** For people, such as `migration`. */
  noun: string
  /** The name of the container that runs the command. */
  container: string
  readLog: (text: string) => JobLog<Result>
  /** What a run came to, in one sentence. */
  text: (result: Result) => string
  /** What the next run does after one without a result, such as `it asks the database what is left to do`. */
  next: string
}

export interface RunnerContext {
  cluster: KubernetesApi
  clock: Clock
  /** Receives one line for each event. */
  say: (line: string) => void
}

/** Runs a command of an image as a Job in the cluster, which goes on by itself when this command ends. */
export class JobRunner<Result extends JobResult> {
  constructor(
    private readonly context: RunnerContext,
    private readonly kind: JobKind<Result>,
  ) {}

  /** Whether the Job exists and has not ended. */
  async isActive(job: KubernetesObject): Promise<boolean> {
    const live = (await this.context.cluster.read(job)) as Job | undefined
    return live !== undefined && endOf(live) === undefined
  }

  /**
   * Runs a Job to its end, or follows the one that an interrupted command has created. A Job that the cluster refuses has ended without a result.
   *
   * @throws StoppedFollowing when the cluster cannot be asked any longer; the Job goes on
   */
  async run(objects: JobObjects): Promise<JobEnd<Result>> {
    try {
      await this.ensure(objects)
    } catch (error) {
      if (!(error instanceof JobRefused)) throw error
      return { at: new Date(this.context.cluster.now()).toISOString(), message: error.message }
    }
    return this.follow(objects.job)
  }

  /**
   * Creates the Job, or takes the one that an interrupted command has created, with all that it needs.
   *
   * @throws JobRefused when the cluster does not accept it
   */
  private async ensure({ networkPolicy, job, owned }: JobObjects): Promise<void> {
    const { cluster } = this.context
    let created = false
    try {
      await cluster.apply(networkPolicy)
      const found = await this.createOrRead(job)
      created = found.created
      if (endOf(found.object as Job)) return
      // Pods wait for both. They come after the Job, so that they are deleted with it.
      for (const object of owned(found.object.metadata?.uid ?? "")) await this.createOrRead(object)
    } catch (error) {
      if (!(error instanceof ApiError && [400, 403, 404, 422].includes(error.status))) throw error
      if (created) await cluster.delete(job)
      throw new JobRefused(`the cluster refuses the ${this.kind.noun}: ${error.message}`, { cause: error })
    }
  }

  private async follow(job: Job): Promise<JobEnd<Result>> {
    const name = job.metadata?.name ?? ""
    try {
      return await this.followed(job)
    } catch (error) {
      throw new StoppedFollowing(
        `this command cannot follow the ${this.kind.noun} any longer: ${oneLine((error as Error).message, 300)}; the Job ${name} goes on in the cluster: run the same command again to see its end`,
        { cause: error },
      )
    }
  }

  /**
   * The end of a Job that does not run any longer; undefined while it runs.
   *
   * @param job that was begun; one that is gone has ended without a result
   */
  async ended(job: Job): Promise<(JobEnd<Result> & { log?: JobLog<Result> }) | undefined> {
    const { cluster } = this.context
    const live = (await cluster.read(job)) as Job | undefined
    if (!live) {
      const at = new Date(cluster.now()).toISOString()
      return { at, message: `its Job ${job.metadata?.name ?? ""} is gone, so what it did is not known` }
    }
    return endOf(live) && this.readEnd(live)
  }

  private async createOrRead(
    object: KubernetesObject,
  ): Promise<{ created: boolean; object: KubernetesObject }> {
    const { cluster } = this.context
    for (;;) {
      try {
        return { created: true, object: await cluster.create(object) }
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 409)) throw error
      }
      // Only the Job's id is needed.
      if (object.kind !== "Job") return { created: false, object }
      const live = await cluster.read(object)
      if (live) return { created: false, object: live }
    }
  }

  private async followed(job: Job): Promise<JobEnd<Result>> {
    const { clock } = this.context
    const began = clock.now()
    const progress = new Progress(this.context.say)
    let [reached, started] = [clock.now(), false]
    for (;;) {
      try {
        const end = await this.ended(job)
        if (end) {
          progress.report(end.log)
          return end
        }
        const pod = await this.newestPod(job)
        reached = clock.now()
        started ||= this.hasStarted(pod)
        if (pod && this.hasStarted(pod))
          progress.report(this.kind.readLog(await this.log(pod, recentLines).catch(noLog)))
        else progress.note(await this.reasonNotStarted(job, pod))
        if (!started && clock.now() - began > startLimit) return await this.giveUp(job, pod)
      } catch (error) {
        // The Job does not need this command, so it waits for an API server that restarts.
        if (!(error instanceof UnreachableError) || clock.now() - reached > patience) throw error
        progress.note(error.message)
      }
      await clock.pause(interval)
    }
  }

  /** Ends a Job whose container does not start: left alone, it would begin at any later time. */
  private async giveUp(job: Job, pod: Pod | undefined): Promise<JobEnd<Result>> {
    const { cluster } = this.context
    const reason = await this.reasonNotStarted(job, pod)
    await cluster.delete(job)
    return {
      at: new Date(cluster.now()).toISOString(),
      message: `it did not start within ${startLimit / 60_000} minutes: ${reason}`,
    }
  }

  private async readEnd(job: Job): Promise<JobEnd<Result> & { log: JobLog<Result> }> {
    const { clock, cluster } = this.context
    const end = endOf(job)
    const at = new Date(job.status?.completionTime ?? end?.lastTransitionTime ?? cluster.now()).toISOString()
    let log: JobLog<Result> = { progress: [], tail: [] }
    for (let tried = 1; tried <= logTries; tried++) {
      const pod = await this.newestPod(job)
      log = pod
        ? await this.log(pod).then(this.kind.readLog, (error: unknown) => ({
            progress: [],
            tail: [],
            problem: `its log cannot be read: ${oneLine((error as Error).message)}`,
          }))
        : { progress: [], tail: [], problem: "its pod is gone, and the log with it" }
      if (log.result) break
      if (tried < logTries) await clock.pause(interval)
    }
    const { result, problem = "", tail } = log
    const succeeded = end?.type === "Complete"
    if (result && succeeded === (result.outcome !== "failed"))
      return { at, result, message: this.kind.text(result), log }
    const why = result
      ? `its result says ${result.outcome}, but its Job ${succeeded ? "succeeded" : "failed"}`
      : [
          succeeded ? "it ended without saying how" : `it was stopped: ${await this.reasonOfFailure(job)}`,
          problem,
          ...(tail.length > 0 ? [`last lines: ${tail.join(" | ")}`] : []),
        ].join("; ")
    return {
      at,
      message: oneLine(`${why}; run the same command again: ${this.kind.next}`, 900),
      log,
    }
  }

  private hasStarted(pod: Pod | undefined): boolean {
    const statuses = pod?.status?.containerStatuses
    const state = statuses?.find(({ name }) => name === this.kind.container)?.state
    return state?.running !== undefined || state?.terminated !== undefined
  }

  private async newestPod({ metadata }: Job): Promise<Pod | undefined> {
    const { namespace = "", name = "" } = metadata ?? {}
    const selector = `batch.kubernetes.io/job-name=${name}`
    const pods = (await this.context.cluster.list("v1", "Pod", namespace, selector)) as Pod[]
    const bornAt = ({ metadata: of }: Pod) => new Date(of?.creationTimestamp ?? 0).getTime()
    return pods.sort((one, other) => bornAt(other) - bornAt(one))[0]
  }

  private log(pod: Pod, lines = Infinity): Promise<string> {
    return podLog(this.context.cluster, pod, { container: this.kind.container, lines })
  }

  private async reasonOfFailure(job: Job): Promise<string> {
    const pod = await this.newestPod(job)
    const ended = pod?.status?.containerStatuses?.find(({ name }) => name === this.kind.container)?.state
      ?.terminated
    const parts = [
      endOf(job)?.message,
      pod?.status?.reason,
      pod?.status?.message,
      ended && `${ended.reason ?? "ended"}, exit code ${ended.exitCode}`,
    ]
    return oneLine(parts.filter(Boolean).join("; ") || "no reason is known", 300)
  }

  private async reasonNotStarted(job: Job, pod: Pod | undefined): Promise<string> {
    const { status } = pod ?? {}
    const unscheduled = status?.conditions?.find(
      ({ type, status: is }) => type === "PodScheduled" && is === "False",
    )
    const waiting = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
      .map(({ name, state }) => ({ name, ...state?.waiting }))
      // A container that waits for another one says nothing.
      .find(({ reason }) => reason !== undefined && reason !== "PodInitializing")
    if (unscheduled) return oneLine(`no node for its pod: ${unscheduled.message ?? ""}`)
    if (waiting)
      return oneLine(`container ${waiting.name} waits: ${waiting.reason ?? ""} ${waiting.message ?? ""}`)
    if (pod) return "its pod starts"
    const { namespace = "", name = "" } = job.metadata ?? {}
    const events = (await this.context.cluster.list("v1", "Event", namespace)) as Plain<CoreV1Event>[]
    const refused = events.filter(
      ({ involvedObject, type }) => involvedObject.name === name && type === "Warning",
    )
    return oneLine(refused.at(-1)?.message ?? "it has no pod yet")
  }
}

/** A log that cannot be read now may be readable at the next look, or at the end. */
const noLog = (): string => ""

/** Says each event and each note once, although logs are read again and again. */
class Progress {
  private lastEvent?: string
  private lastNote = ""

  constructor(private readonly say: (line: string) => void) {}

  report(log: JobLog<unknown> | undefined): void {
    const lines = log?.progress ?? []
    // A log is cut off at its beginning, so the new lines follow the last that was said.
    const at = this.lastEvent === undefined ? -1 : lines.lastIndexOf(this.lastEvent)
    for (const line of lines.slice(at + 1)) this.say(line)
    this.lastEvent = lines.at(-1) ?? this.lastEvent
  }

  note(text: string): void {
    if (text === this.lastNote) return
    this.lastNote = text
    this.say(text)
  }
}
