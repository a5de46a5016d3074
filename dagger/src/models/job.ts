import type { V1NetworkPolicy, V1PodSpec } from "@kubernetes/client-node"
import { managedBy, type Plain } from "../clients/kubernetes/manifest.js"
import { modelAccount } from "../delivery/access.js"
import { jobObjects, jobResources, unreachable } from "../delivery/job-objects.js"
import type { JobObjects } from "../delivery/job-runner.js"
import { digestOf } from "../delivery/release.js"
import { containerSecurity, servicePodSecurity, temporaryFolder } from "../platform/pod-security.js"
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
  const { namespace, name, variables, limits } = settings
  digestOf(run.image)
  return jobObjects({
    metadata: { namespace, name: jobName(settings, run), labels: modelLabels(name) },
    pod: podSpec(settings, run),
    container: trainingContainer,
    time: limits.time,
    networkPolicy: networkPolicy(settings),
    variables,
    secrets,
  })
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
        resources: jobResources(limits),
        terminationMessagePolicy: "FallbackToLogsOnError",
        securityContext: containerSecurity,
        volumeMounts: [
          { name: "tmp", mountPath: temporaryFolder },
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
  const metadata = { namespace, name: `model-${name}`, labels: modelLabels(name) }
  return unreachable(metadata, { [modelLabel]: name }, [
    ...egress,
    { ports: ports.map((port) => ({ protocol: "TCP", port })) },
  ])
}
