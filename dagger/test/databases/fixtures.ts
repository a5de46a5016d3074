import type { V1Job } from "@kubernetes/client-node"
import type { KubernetesObject } from "../../src/clients/kubernetes/client.js"
import type { Plain } from "../../src/clients/kubernetes/manifest.js"
import { databaseLabel } from "../../src/databases/job.js"
import { modelLabel } from "../../src/models/job.js"
import type { DatabaseSettings } from "../../src/databases/settings.js"
import type { FakeCluster } from "../clients/kubernetes/fake.js"
import type { FakeClock } from "../lib/fake-clock.js"

export const settings = (change: Partial<DatabaseSettings> = {}): DatabaseSettings => ({
  name: "recipes",
  service: "api",
  environment: "staging",
  namespace: "f1-staging",
  backup: {
    kind: "postgres",
    bucket: "backups",
    prefix: "pitwall",
    endpoint: "https://s3.example.com:9000",
    keep: { days: 30, count: 7 },
  },
  copy: "postgres:15-bookworm",
  limits: { time: 3600, memory: "512Mi", disk: "10Gi" },
  application: { memory: { request: "192Mi", limit: "384Mi" }, temporary: "64Mi" },
  variables: { ENVIRONMENT: "staging" },
  egress: [],
  pullSecrets: [],
  ...change,
})

export const backup = {
  id: "2026-03-02T10-00-00Z-ab12cd",
  location: "s3://backups/pitwall/staging/recipes",
  bytes: 12_345_678,
  sha256: "5".repeat(64),
  heads: ["0001"],
  server: "15.8",
  changed: [] as string[],
  verified: true,
  rows: { recipes: 3 },
  checksums: { recipes: "md5" },
}

/** A result of the command, as a line of its log. */
export const resultLine = (change: object = {}): string =>
  JSON.stringify({
    event: "result",
    outcome: "migrated",
    from: ["0001"],
    to: ["0002"],
    waiting: [],
    backup,
    examination: null,
    ...change,
  })

export const step = (name: string, state: string, more: object = {}): string =>
  JSON.stringify({ event: "step", step: name, state, ...more })

/** What a Job's pod does. */
export interface JobScript {
  /** Lines of its log. */
  log?: string | Error
  end?: "Complete" | "Failed" | "never"
  /** Message of the Job's failure. */
  message?: string
  /** Merged into the status of its pod. */
  pod?: object
  /** Milliseconds until its container starts, and until it ends. */
  starts?: number
  takes?: number
  /** The pod is gone when the Job has ended. */
  gone?: boolean
}

const runsByItself = ({ metadata }: KubernetesObject) =>
  [databaseLabel, modelLabel].some((label) => metadata?.labels?.[label] !== undefined)

/** Runs Jobs of a fake cluster as a script says: like a real one it makes a pod, writes its log, and ends by itself. */
export class FakeJobs {
  readonly created: string[] = []
  /** The most Jobs that ran at the same time, of those that count. */
  mostAtOnce = 0
  counts: (job: Plain<V1Job>) => boolean = () => true
  /** What a Job does. */
  script: (job: Plain<V1Job>) => JobScript = () => ({ log: resultLine() })

  constructor(
    private readonly cluster: FakeCluster,
    private readonly clock: FakeClock,
  ) {
    cluster.watchers.push((object) => {
      if (object.kind !== "Job" || !runsByItself(object) || object.status !== undefined) return
      this.created.push(object.metadata?.name ?? "")
      void this.run(object as Plain<V1Job>)
    })
  }

  private async run(job: Plain<V1Job>): Promise<void> {
    const { log = resultLine(), end = "Complete", message = "", pod = {}, ...times } = this.script(job)
    const { starts = 1_000, takes = 10_000, gone = false } = times
    const { namespace = "", name = "", uid = "" } = job.metadata ?? {}
    // Not while the API server still answers the request.
    await this.clock.pause(1)
    const address: KubernetesObject = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        namespace,
        name: `${name}-pod`,
        labels: { "batch.kubernetes.io/job-name": name },
        ownerReferences: [{ apiVersion: "batch/v1", kind: "Job", name, uid }],
      },
      spec: job.spec?.template.spec,
    }
    const isThere = () => this.cluster.get("Job", name, namespace)?.metadata?.uid === uid
    const container = (state: object) => ({
      status: { containerStatuses: [{ name: job.spec?.template.spec?.containers[0]?.name, state }], ...pod },
    })
    if (!isThere()) return
    this.cluster.put({ ...address, ...container({ waiting: { reason: "PodInitializing" } }) })
    await this.clock.pause(starts)
    if (!isThere() || end === "never") return
    this.cluster.put({ ...address, ...container({ running: {} }) })
    const unfinished = this.cluster.all("Job").filter((one) => runsByItself(one) && !one.status?.conditions)
    this.mostAtOnce = Math.max(this.mostAtOnce, (unfinished as Plain<V1Job>[]).filter(this.counts).length)
    const lines = log instanceof Error ? log : log.split("\n")
    this.cluster.podLogs.set(`${name}-pod`, lines instanceof Error ? lines : lines.slice(0, -1).join("\n"))
    await this.clock.pause(takes)
    if (!isThere()) return
    this.cluster.podLogs.set(`${name}-pod`, log)
    const code = end === "Complete" ? 0 : 1
    if (gone) this.cluster.remove(address)
    else
      this.cluster.put({
        ...address,
        ...container({ terminated: { exitCode: code, reason: code ? "Error" : "Completed" } }),
      })
    const at = new Date(this.cluster.now()).toISOString()
    this.cluster.merge(job, {
      status: {
        ...(end === "Complete" && { completionTime: at }),
        conditions: [{ type: end, status: "True", message, lastTransitionTime: at }],
      },
    })
  }
}
