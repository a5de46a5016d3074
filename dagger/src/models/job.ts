import type { V1Job, V1NetworkPolicy, V1PodSpec } from "@kubernetes/client-node"
import { managedBy, type Plain } from "../clients/kubernetes/manifest.js"
import { modelAccount } from "../delivery/access.js"
import type { JobObjects } from "../delivery/job-runner.js"
import { digestOf } from "../delivery/release.js"
import { containerSecurity, servicePodSecurity } from "../platform/pod-security.js"
import { type ModelSettings, registryPort } from "./settings.js"

/** One run of the command `registry train` of the service's image. */
export interface TrainingRun {
  /** Part of the names of its objects. */
  id: string
  /** The image that serves: `repository@sha256:…`. */
  image: string
  /** Train although nothing is new. */
  force: boolean
}

/** The label of a training's pods. */
export const modelLabel = "pitwall.dev/model"

/** The container that trains. */
export const trainingContainer = "train"

/** The file of the Secret with the private key that models are signed with; see `f1.settings`. */
export const signingKeyFile = "model_signing_key"

/** What the container is asked to do; `--force` may follow. */
export const trainingCommand = ["registry", "train"]
export const forceOption = "--force"

/** Results of races and the weather come from the internet. */
const sourcesPort = 443

/** Labels of a model's objects. No selector of a service matches them. */
export const modelLabels = (name: string): Record<string, string> => ({
  "app.kubernetes.io/name": name,
  "app.kubernetes.io/component": "model",
  "app.kubernetes.io/part-of": "f1-prediction-analytics",
  ...managedBy,
  [modelLabel]: name,
})

const jobName = ({ name }: Pick<ModelSettings, "name">, { id }: Pick<TrainingRun, "id">) =>
  `${name}-train-${id}`

/**
 * Everything that one run needs in the cluster.
 *
 * @param secrets by file name; only the Secret contains them
 * @throws Error for an image without a digest
 */
export function trainingObjects(
  settings: ModelSettings,
  run: TrainingRun,
  secrets: Record<string, string>,
): JobObjects {
  const { namespace, name, variables } = settings
  digestOf(run.image)
  const metadata = { namespace, name: jobName(settings, run), labels: modelLabels(name) }
  return {
    networkPolicy: networkPolicy(settings),
    job: job(settings, run),
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

function job(settings: ModelSettings, run: TrainingRun): Plain<V1Job> {
  const { namespace, name, limits } = settings
  const labels = modelLabels(name)
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { namespace, name: jobName(settings, run), labels },
    spec: {
      // One pod at a time, and the next one only when the last has ended.
      parallelism: 1,
      completions: 1,
      podReplacementPolicy: "Failed",
      backoffLimit: 3,
      activeDeadlineSeconds: limits.time,
      // Its log is the whole story of a failure.
      ttlSecondsAfterFinished: 86_400,
      podFailurePolicy: {
        rules: [
          // A drained node says nothing about the training, which begins anew in the next pod.
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
          // The command's own verdict is final. A pod that was killed is replaced.
          {
            action: "FailJob",
            onExitCodes: { containerName: trainingContainer, operator: "In", values: [1, 2] },
          },
        ],
      },
      template: { metadata: { labels }, spec: podSpec(settings, run) },
    },
  }
}

function podSpec(settings: ModelSettings, run: TrainingRun): Plain<V1PodSpec> {
  const { limits, name, pullSecrets } = settings
  const own = jobName(settings, run)
  return {
    serviceAccountName: modelAccount(name),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    restartPolicy: "Never",
    terminationGracePeriodSeconds: 30,
    ...(pullSecrets.length > 0 && { imagePullSecrets: pullSecrets.map((secret) => ({ name: secret })) }),
    securityContext: servicePodSecurity,
    containers: [
      {
        name: trainingContainer,
        image: run.image,
        args: [...trainingCommand, ...(run.force ? [forceOption] : [])],
        envFrom: [{ configMapRef: { name: own } }],
        resources: {
          requests: { cpu: limits.cpu ?? "100m", memory: limits.memory },
          limits: { memory: limits.memory, ...(limits.cpu !== undefined && { cpu: limits.cpu }) },
        },
        terminationMessagePolicy: "FallbackToLogsOnError",
        securityContext: containerSecurity,
        volumeMounts: [
          { name: "tmp", mountPath: "/tmp" },
          { name: "secrets", mountPath: "/run/secrets", readOnly: true },
        ],
      },
    ],
    volumes: [
      { name: "tmp", emptyDir: { sizeLimit: limits.disk } },
      { name: "secrets", secret: { secretName: own, defaultMode: 0o440 } },
    ],
  }
}

/** Nobody reaches the pod, and it reaches what the service does, the registry, and where results come from. */
function networkPolicy(settings: ModelSettings): Plain<V1NetworkPolicy> {
  const { namespace, name, egress } = settings
  const ports = [...new Set([registryPort(settings), sourcesPort])]
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { namespace, name: `model-${name}`, labels: modelLabels(name) },
    spec: {
      podSelector: { matchLabels: { [modelLabel]: name } },
      policyTypes: ["Ingress", "Egress"],
      ingress: [],
      egress: [...egress, { ports: ports.map((port) => ({ protocol: "TCP", port })) }],
    },
  }
}
