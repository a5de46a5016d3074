import type { V1Job } from "@kubernetes/client-node"
import { ApiError, type KubernetesApi, type KubernetesObject } from "../../clients/kubernetes/client.js"
import { watchAccount } from "../../delivery/access.js"
import { labels } from "../manifests/labels.js"
import { managedBy, type Plain } from "../../clients/kubernetes/manifest.js"
import { leaseName } from "./lease.js"
import { stateAnnotation } from "./record.js"
import { isExposed, isOver, phases, type Rollout } from "./rollout.js"

/** What the dead-man's switch is made from. */
export interface WatchdogSettings {
  namespace: string
  /** An image with Python 3 that the cluster has already: that of the stable revision. */
  image: string
  /** The Secrets that it is pulled with, should a node not have it. */
  pullSecrets: string[]
  /** The program, `dagger/config/kubernetes/watchdog.py`. */
  program: string
  /** Seconds without a sign of life of the deploy after which traffic is taken back. */
  unattended: number
  /** The merge patch that takes it back, with the state that it leads to. */
  safePatch: object
}

const uid = 10001

/** A Job that takes an unproven revision's traffic back when the command that works on its rollout is gone. */
export function watchdogJob(rollout: Rollout, watch: WatchdogSettings): Plain<V1Job> {
  const { namespace, image, pullSecrets, program, unattended, safePatch } = watch
  const marks = { [labels.service]: watchAccount, ...managedBy }
  const among = (holds: (rollout: Rollout) => boolean) =>
    phases.filter((phase) => holds({ ...rollout, phase })).join(" ")
  const environment = {
    NAMESPACE: namespace,
    LEASE: leaseName(rollout.service),
    ROUTE: rollout.service,
    STATE: stateAnnotation,
    ROLLOUT: rollout.id,
    EXPOSED: among(isExposed),
    OVER: among((state) => isOver(state) || ["settling", "aborting"].includes(state.phase)),
    UNATTENDED_SECONDS: String(unattended),
    SAFE_PATCH: JSON.stringify(safePatch),
  }
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { namespace, name: watchdogName(rollout), labels: marks },
    spec: {
      backoffLimit: 20,
      ttlSecondsAfterFinished: 600,
      template: {
        metadata: { labels: marks },
        spec: {
          serviceAccountName: watchAccount,
          restartPolicy: "OnFailure",
          terminationGracePeriodSeconds: 0,
          enableServiceLinks: false,
          ...(pullSecrets.length > 0 && { imagePullSecrets: pullSecrets.map((name) => ({ name })) }),
          securityContext: {
            runAsNonRoot: true,
            runAsUser: uid,
            seccompProfile: { type: "RuntimeDefault" },
          },
          containers: [
            {
              name: "watch",
              image,
              command: ["python3", "-c", program],
              env: Object.entries(environment).map(([name, value]) => ({ name, value })),
              resources: { requests: { cpu: "5m", memory: "32Mi" }, limits: { memory: "64Mi" } },
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ["ALL"] },
              },
            },
          ],
        },
      },
    },
  }
}

export const watchdogName = ({ service, id }: Rollout): string => `${service}-watch-${id}`

/** Sets the watch where it is not there yet, and says whether it is on duty. */
export async function ensureWatchdog(
  cluster: KubernetesApi,
  rollout: Rollout,
  watch: WatchdogSettings,
): Promise<boolean> {
  const job = watchdogJob(rollout, watch)
  const live = (await cluster.read(job)) ?? (await made(cluster, job))
  const { ready = 0, conditions = [] } = (live as Plain<V1Job> | undefined)?.status ?? {}
  const ended = conditions.some(
    ({ type, status }) => ["Complete", "Failed"].includes(type) && status === "True",
  )
  // One that has given up, or has gone home early: the next look sets another one.
  if (ended) await cluster.delete(job)
  return ready > 0 && !ended
}

async function made(cluster: KubernetesApi, job: KubernetesObject): Promise<KubernetesObject | undefined> {
  try {
    return await cluster.create(job)
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 409)) throw error
    // The one before it, of the same rollout, is still on its way out.
    return cluster.read(job)
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
