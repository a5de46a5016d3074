import type { V1Job, V1Pod } from "@kubernetes/client-node"
import { ApiError, type KubernetesApi, type KubernetesObject } from "../../clients/kubernetes/client.js"
import { managedBy, type Plain } from "../../clients/kubernetes/manifest.js"
import { watchAccount } from "../../delivery/access.js"
import { oneLine } from "../../lib/text.js"
import { baselineName, labels, revisionName } from "../manifests/labels.js"
import { leaseName } from "../../delivery/lease.js"
import { stateAnnotation } from "./record.js"
import { isExposed, isOver, phases, type Rollout } from "./rollout.js"
import { containerSecurity, serviceUser } from "../../platform/pod-security.js"

/** Settings of the watchdog, a dead man's switch: it takes traffic back when the command that works on a rollout is gone. */
export interface WatchdogSettings {
  namespace: string
  /** An image with Python 3 that can be pulled for sure: the candidate's own. */
  image: string
  /** The Secrets that the image is pulled with. */
  pullSecrets: string[]
  /** The program, `dagger/config/kubernetes/watchdog.py`. */
  program: string
  /** Seconds without a sign of life of the deploy after which the watchdog takes traffic back. */
  unattended: number
  /** The merge patch that takes traffic back, with the state that it leads to. */
  safePatch: object
}

/** What the watchdog's container runs; an admission policy refuses others. */
export const watchdogCommand = (program: string): string[] => ["python3", "-I", "-S", "-c", program]

/**
 * The Job that runs the watchdog.
 *
 * Its pod is ready only while the program's check succeeds: it reads the route and the lease and sends the patch as a dry run, with the token and over the network
 * that it would use. A pod that merely runs proves nothing.
 *
 * The image is the candidate's: its pods have just pulled it, so it exists, and nodes have it. The stable revision's image may be gone from the registry, and then
 * no hotfix could be deployed. Python runs isolated (`-I -S`), so that nothing the candidate installs can break the watchdog.
 */
export function watchdogJob(rollout: Rollout, settings: WatchdogSettings): Plain<V1Job> {
  const { namespace, image, pullSecrets, program, unattended, safePatch } = settings
  const { service, revision, stable } = rollout
  const jobLabels = { [labels.service]: watchAccount, ...managedBy }
  const phasesThat = (holds: (rollout: Rollout) => boolean) =>
    phases.filter((phase) => holds({ ...rollout, phase })).join(" ")
  const environment = {
    NAMESPACE: namespace,
    LEASE: leaseName(service),
    ROUTE: service,
    BACKENDS: [
      revisionName(service, revision),
      baselineName(service, revision),
      ...(stable === undefined ? [] : [revisionName(service, stable)]),
    ].join(" "),
    STATE: stateAnnotation,
    ROLLOUT: rollout.id,
    EXPOSED: phasesThat(isExposed),
    OVER: phasesThat((state) => isOver(state) || ["settling", "aborting"].includes(state.phase)),
    UNATTENDED_SECONDS: String(unattended),
    SAFE_PATCH: JSON.stringify(safePatch),
  }
  const command = watchdogCommand(program)
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { namespace, name: watchdogName(rollout), labels: jobLabels },
    spec: {
      backoffLimit: 20,
      ttlSecondsAfterFinished: 600,
      template: {
        metadata: { labels: { ...jobLabels, [jobLabel]: watchdogName(rollout) } },
        spec: {
          serviceAccountName: watchAccount,
          restartPolicy: "OnFailure",
          terminationGracePeriodSeconds: 0,
          enableServiceLinks: false,
          ...(pullSecrets.length > 0 && { imagePullSecrets: pullSecrets.map((name) => ({ name })) }),
          securityContext: {
            runAsNonRoot: true,
            runAsUser: serviceUser,
            seccompProfile: { type: "RuntimeDefault" },
          },
          containers: [
            {
              name: containerName,
              image,
              command,
              env: Object.entries(environment).map(([name, value]) => ({ name, value })),
              readinessProbe: {
                exec: { command: [...command, "check"] },
                periodSeconds: 5,
                timeoutSeconds: 30,
                failureThreshold: 1,
              },
              // What it wrote last explains why it is not ready.
              terminationMessagePolicy: "FallbackToLogsOnError",
              resources: { requests: { cpu: "5m", memory: "32Mi" }, limits: { memory: "96Mi" } },
              securityContext: containerSecurity,
            },
          ],
        },
      },
    },
  }
}

const containerName = "watch"
/** Names a watchdog's Job on its pods. */
const jobLabel = "pitwall.dev/watchdog"

export const watchdogName = ({ service, id }: Rollout): string => `${service}-watch-${id}`

/** Whether the watchdog could take traffic back now, and why not. */
export interface WatchdogStatus {
  ready: boolean
  reason: string
}

/** Starts the watchdog if there is none, and says whether it is ready. One that has ended is replaced at the next call. */
export async function ensureWatchdog(
  cluster: KubernetesApi,
  rollout: Rollout,
  settings: WatchdogSettings,
): Promise<WatchdogStatus> {
  const job = watchdogJob(rollout, settings)
  const live = (await cluster.read(job)) ?? (await create(cluster, job))
  const { ready = 0, conditions = [] } = (live as Plain<V1Job> | undefined)?.status ?? {}
  const end = conditions.find(
    ({ type, status }) => ["Complete", "Failed"].includes(type) && status === "True",
  )
  if (end) {
    await cluster.delete(job)
    return { ready: false, reason: oneLine(`it ended: ${end.message ?? end.type}`) }
  }
  return ready > 0
    ? { ready: true, reason: "" }
    : { ready: false, reason: await notReadyReason(cluster, job) }
}

async function create(cluster: KubernetesApi, job: KubernetesObject): Promise<KubernetesObject | undefined> {
  try {
    return await cluster.create(job)
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 409)) throw error
    // The previous Job of this rollout is still being deleted.
    return cluster.read(job)
  }
}

async function notReadyReason(cluster: KubernetesApi, { metadata }: KubernetesObject): Promise<string> {
  const namespace = metadata?.namespace ?? ""
  const selector = `${jobLabel}=${metadata?.name ?? ""}`
  const [pod] = (await cluster.list("v1", "Pod", namespace, selector)) as Plain<V1Pod>[]
  if (!pod) return "it has no pod yet"
  // A mesh or an agent may have injected others.
  const container = pod.status?.containerStatuses?.find(({ name }) => name === containerName)
  const { waiting } = container?.state ?? {}
  const ended = container?.state?.terminated ?? container?.lastState?.terminated
  const unscheduled = pod.status?.conditions?.find(
    ({ type, status }) => type === "PodScheduled" && status === "False",
  )
  const why =
    ended?.message ??
    (waiting ? [waiting.reason, waiting.message].filter(Boolean).join(": ") : undefined) ??
    unscheduled?.message ??
    (container?.state?.running
      ? await lastLine(cluster, namespace, pod.metadata?.name ?? "")
      : "it has not started")
  return oneLine(`${pod.metadata?.name ?? ""}: ${why}`, 300)
}

async function lastLine(cluster: KubernetesApi, namespace: string, pod: string): Promise<string> {
  try {
    const lines = (await cluster.logs(namespace, pod, { container: containerName, lines: 1 })).trim()
    return lines === "" ? "its check has not succeeded yet" : lines
  } catch (error) {
    return `its log cannot be read: ${(error as Error).message}`
  }
}

export async function removeWatchdog(
  cluster: KubernetesApi,
  rollout: Rollout,
  namespace: string,
): Promise<void> {
  await cluster.delete({
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { namespace, name: watchdogName(rollout) },
  })
}
