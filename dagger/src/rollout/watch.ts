import type { V1Job } from "@kubernetes/client-node"
import type { Kubernetes, Thing } from "../kubernetes/client.js"
import { leaseName } from "./lease.js"
import type { Rollout } from "./rollout.js"

/** What the dead-man's switch is made from. */
export interface Watch {
  namespace: string
  /** An image with Python 3 that the cluster has already: that of the stable revision. */
  image: string
  /** The program, `dagger/config/kubernetes/watch.py`. */
  program: string
  /** Seconds without a sign of life of the deploy after which traffic is taken back. */
  unattended: number
  /** The merge patch that takes it back. */
  safePatch: object
}

/** The account that may read the Lease and change the HTTPRoute, and nothing else; the cluster's admin makes it. */
export const watchAccount = "pitwall-watch"

/** A Job that takes an unproven revision's traffic back when the command that works on its rollout is gone. */
export function watchJob(rollout: Rollout, watch: Watch): V1Job {
  const { namespace, image, program, unattended, safePatch } = watch
  const labels = { "app.kubernetes.io/name": "pitwall-watch", "app.kubernetes.io/managed-by": "pitwall" }
  const environment = {
    NAMESPACE: namespace,
    LEASE: leaseName(rollout.service),
    ROUTE: rollout.service,
    ROLLOUT: rollout.id,
    UNATTENDED_SECONDS: String(unattended),
    SAFE_PATCH: JSON.stringify(safePatch),
  }
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { namespace, name: watchName(rollout), labels },
    spec: {
      backoffLimit: 20,
      ttlSecondsAfterFinished: 600,
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: watchAccount,
          restartPolicy: "OnFailure",
          terminationGracePeriodSeconds: 0,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 10001,
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

export const watchName = ({ service, id }: Rollout): string => `${service}-watch-${id}`

/** Sets the watch where it is not there yet, and says whether it is on duty. */
export async function setWatch(cluster: Kubernetes, rollout: Rollout, watch: Watch): Promise<boolean> {
  const job = watchJob(rollout, watch) as Thing
  const { status } = ((await cluster.read(job)) ?? (await cluster.create(job))) as V1Job
  return (status?.ready ?? 0) > 0
}

export async function clearWatch(cluster: Kubernetes, rollout: Rollout, namespace: string): Promise<void> {
  await cluster.delete({ apiVersion: "batch/v1", kind: "Job", metadata: { namespace, name: watchName(rollout) } })
}
