import type { V1NetworkPolicy, V1PodSpec } from "@kubernetes/client-node"
import { managedBy, type Plain } from "../clients/kubernetes/manifest.js"
import { modelAccount } from "../delivery/access.js"
import { jobObjects, jobResources, unreachable } from "../delivery/job-objects.js"
import type { JobObjects } from "../delivery/job-runner.js"
import { digestOf } from "../delivery/release.js"
import { hexDigest } from "../lib/image-reference.js"
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

/** The container that examines a model, and that moves the pointer. */
export const pointerContainer = "model"

/** What a step of a promotion asks of the registry; models are digests, and none is left out. */
export type PointerStep =
  /** Verify a model, by its digest or as the pointer names it (`challenger`, `previous`), and read what the pointer says. */
  | { kind: "examine"; model: string }
  /** Load a model beside the champion. */
  | { kind: "shadow"; model: string; champion: string | undefined }
  /** Make a model the champion in the place of another. `previous`: where the next rollback goes. */
  | {
      kind: "point"
      model: string | undefined
      champion: string | undefined
      previous: string | undefined
    }

/** The commands below `registry` that a step runs. */
export const pointerCommands: PointerStep["kind"][] = ["examine", "shadow", "point"]
/** Every word that {@link pointerArguments} may have in place of a digest or the id of an operation. */
export const pointerWords = ["registry", ...pointerCommands, "challenger", "previous", "none"]
/** What the others look like. */
export const pointerPattern = `^(${hexDigest}|[0-9]{8}-[0-9]{6}-[0-9a-z]{4})$`

/** What the container is asked to do. */
function pointerArguments(step: PointerStep, operation: string): string[] {
  const none = "none"
  switch (step.kind) {
    case "examine":
      return ["registry", "examine", step.model]
    case "shadow":
      return ["registry", "shadow", step.model, step.champion ?? none, operation]
    case "point": {
      const { model, champion, previous } = step
      return ["registry", "point", model ?? none, champion ?? none, previous ?? none, operation]
    }
  }
}

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

/** A command of the service's image in a Job. */
interface Command {
  /** Of the Job and of what it owns. */
  job: string
  container: string
  image: string
  args: string[]
}

/**
 * Everything that a training needs in the cluster.
 *
 * @param secrets by file name; only the Secret contains them
 * @throws Error for an image without a digest
 */
export const trainingObjects = (
  settings: ModelSettings,
  { id, image, force }: TrainingRun,
  secrets: Record<string, string>,
): JobObjects =>
  commandObjects(
    settings,
    {
      job: `${settings.name}-train-${id}`,
      container: trainingContainer,
      image,
      args: [...trainingCommand, ...(force ? [forceOption] : [])],
    },
    secrets,
  )

/**
 * Everything that a step of a promotion needs in the cluster; see {@link trainingObjects}.
 *
 * @param run.id of the promotion, kept with the pointer
 * @param run.part tells the steps of a promotion apart
 */
export const pointerObjects = (
  settings: ModelSettings,
  { id, part, image, step }: { id: string; part: string; image: string; step: PointerStep },
  secrets: Record<string, string>,
): JobObjects =>
  commandObjects(
    settings,
    {
      job: `${settings.name}-model-${id}-${part}`,
      container: pointerContainer,
      image,
      args: pointerArguments(step, id),
    },
    secrets,
  )

function commandObjects(
  settings: ModelSettings,
  command: Command,
  secrets: Record<string, string>,
): JobObjects {
  const { namespace, name, variables, limits } = settings
  digestOf(command.image)
  return jobObjects({
    metadata: { namespace, name: command.job, labels: modelLabels(name) },
    pod: podSpec(settings, command),
    container: command.container,
    time: limits.time,
    networkPolicy: networkPolicy(settings),
    variables,
    secrets,
  })
}

function podSpec(settings: ModelSettings, { job, container, image, args }: Command): Plain<V1PodSpec> {
  const { limits, name, pullSecrets } = settings
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
        name: container,
        image,
        args,
        envFrom: [{ configMapRef: { name: job } }],
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
      { name: "secrets", secret: { secretName: job, defaultMode: 0o440 } },
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
