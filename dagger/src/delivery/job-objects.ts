import type {
  V1Job,
  V1NetworkPolicy,
  V1NetworkPolicyEgressRule,
  V1PodSpec,
  V1ResourceRequirements,
} from "@kubernetes/client-node"
import type { Plain } from "../clients/kubernetes/manifest.js"
import type { JobObjects } from "./job-runner.js"

/** What is common to a Job and to the objects that it owns. */
interface JobMetadata {
  namespace: string
  name: string
  labels: Record<string, string>
}

/** A Job of one command in one pod, with the variables and files that it reads. */
export interface OnePodJob {
  metadata: JobMetadata
  pod: Plain<V1PodSpec>
  /** The container that runs the command. Its exit codes 1 and 2 are the command's own verdict, which is final. */
  container: string
  /** Seconds that all its pods may take together. */
  time: number
  networkPolicy: Plain<V1NetworkPolicy>
  variables: Record<string, string>
  /** By file name; only the Secret contains them. */
  secrets: Record<string, string>
}

/** Everything that a run needs in the cluster. A pod that was killed or whose node is drained is replaced. */
export function jobObjects({ metadata, secrets, variables, networkPolicy, ...run }: OnePodJob): JobObjects {
  return {
    networkPolicy,
    job: jobOf(metadata, run),
    owned: (uid) => {
      const owner = { apiVersion: "batch/v1", kind: "Job", name: metadata.name, uid }
      const owned = { ...metadata, ownerReferences: [owner] }
      return [
        { apiVersion: "v1", kind: "ConfigMap", metadata: owned, immutable: true, data: variables },
        {
          apiVersion: "v1",
          kind: "Secret",
          metadata: owned,
          immutable: true,
          type: "Opaque",
          stringData: secrets,
        },
      ]
    },
  }
}

function jobOf(
  metadata: JobMetadata,
  { pod, container, time }: Pick<OnePodJob, "pod" | "container" | "time">,
): Plain<V1Job> {
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata,
    spec: {
      // One pod at a time, and the next one only when the last has ended.
      parallelism: 1,
      completions: 1,
      podReplacementPolicy: "Failed",
      backoffLimit: 3,
      activeDeadlineSeconds: time,
      // Its log is the whole story of a failure.
      ttlSecondsAfterFinished: 86_400,
      podFailurePolicy: {
        rules: [
          // A drained node says nothing about the command, which the next pod runs again.
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
          // The command's own verdict is final; running it again is up to people.
          { action: "FailJob", onExitCodes: { containerName: container, operator: "In", values: [1, 2] } },
        ],
      },
      template: { metadata: { labels: metadata.labels }, spec: pod },
    },
  }
}

/** What a container of a Job is given, from the limits in the settings. */
export const jobResources = ({
  cpu,
  memory,
}: {
  cpu?: string | undefined
  memory: string
}): Plain<V1ResourceRequirements> => ({
  requests: { cpu: cpu ?? "100m", memory },
  limits: { memory, ...(cpu !== undefined && { cpu }) },
})

/**
 * Nobody reaches the pods.
 *
 * @param label that only these pods have, with its value
 * @param egress what they may reach
 */
export function unreachable(
  metadata: JobMetadata,
  label: Record<string, string>,
  egress: Plain<V1NetworkPolicyEgressRule>[],
): Plain<V1NetworkPolicy> {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata,
    spec: {
      podSelector: { matchLabels: label },
      policyTypes: ["Ingress", "Egress"],
      ingress: [],
      egress,
    },
  }
}
