import { hexDigest } from "../lib/image-reference.js"
import type {
  V1MatchCondition,
  V1NamedRuleWithOperations,
  V1ParamKind,
  V1ParamRef,
  V1RuleWithOperations,
  V1ValidatingAdmissionPolicy,
  V1ValidatingAdmissionPolicyBinding,
  V1Validation,
  V1Variable,
} from "@kubernetes/client-node"
import { labels } from "../backends/manifests/labels.js"
import { applicationNames, applicationRules } from "../databases/applications.js"
import {
  containerNames,
  copyCommand,
  copyPort,
  copyProbe,
  commands,
  migrationArguments,
  migrationVariables,
} from "../databases/job.js"
import type { DatabaseSettings } from "../databases/settings.js"
import {
  forceOption,
  pointerCommands,
  pointerContainer,
  pointerPattern,
  pointerWords,
  trainingCommand,
  trainingContainer,
} from "../models/job.js"
import { type ModelSettings, modelVariables } from "../models/settings.js"
import { watchdogCommand } from "../backends/rollout/watchdog.js"
import { managedBy, type Manifest, type Plain } from "../clients/kubernetes/manifest.js"
import {
  approvalsName,
  databaseAccount,
  guardsNamespace,
  modelAccount,
  watchAccount,
} from "../delivery/access.js"
import { entryPatterns } from "../delivery/approvals.js"
import { auditLabels } from "../delivery/audit.js"
import { verdictLabel, verdictPrefix } from "../delivery/verdicts.js"

/** What the API server has to know of an environment. */
export interface AdmissionSettings {
  namespace: string
  /** Names of the services that run there. */
  services: string[]
  /** Host names of its requests. */
  hostnames: string[]
  gateway: { name: string; namespace: string; section?: string | undefined }
  /** Only approved images may run. */
  approval: boolean
  /** The program of the watchdog, `dagger/config/kubernetes/watchdog.py`. */
  watchdog: string
  /** Databases that deploys migrate. */
  databases?: DatabaseSettings[]
  /** Models that are trained there. */
  models?: ModelSettings[]
}

/** A policy and where it holds. */
interface PolicyRule {
  /** Its name without the environment's. */
  name: string
  namespace: string
  resources: Plain<V1RuleWithOperations>[]
  variables?: Plain<V1Variable>[]
  /** The request is refused unless every one holds. */
  validations: Plain<V1Validation>[]
  matchConditions?: Plain<V1MatchCondition>[]
  /** Holds for objects with this label only. */
  label?: string
  params?: { kind: Plain<V1ParamKind>; ref: Plain<V1ParamRef> }
}

const apiVersion = "admissionregistration.k8s.io/v1"
/** A value as a CEL literal; CEL reads JSON. */
const cel = (value: unknown) => JSON.stringify(value)

/**
 * ValidatingAdmissionPolicies of an environment: what the API server refuses, whatever program asks. A deployer's rights are wide enough to deploy without Pitwall;
 * these policies keep such a deploy within the same limits.
 *
 * Administrators of the namespace (who could grant themselves any right) and Kubernetes' own controllers are exempt from all but the rule about images.
 */
export function admissionObjects(settings: AdmissionSettings): Manifest[] {
  const { namespace, approval } = settings
  const guards = guardsNamespace(namespace)
  const rules = [
    ...(approval ? [images(settings)] : []),
    workloads(settings),
    accounts(settings),
    secrets(settings),
    services(settings),
    routes(settings),
    variables(settings),
    audit(settings),
    ledger(guards),
    verdicts(guards),
  ]
  return rules.flatMap((rule) => policyObjects(namespace, rule))
}

function policyObjects(
  environment: string,
  { name, namespace, resources, variables, validations, matchConditions, label, params }: PolicyRule,
): [Plain<V1ValidatingAdmissionPolicy>, Plain<V1ValidatingAdmissionPolicyBinding>] {
  const metadata = { name: `pitwall-${environment}-${name}`, labels: managedBy }
  return [
    {
      apiVersion,
      kind: "ValidatingAdmissionPolicy",
      metadata,
      spec: {
        failurePolicy: "Fail",
        ...(params && { paramKind: params.kind }),
        matchConstraints: { resourceRules: resources.map((rule): Plain<V1NamedRuleWithOperations> => rule) },
        ...(matchConditions && { matchConditions }),
        ...(variables && { variables }),
        validations,
      },
    },
    {
      apiVersion,
      kind: "ValidatingAdmissionPolicyBinding",
      metadata,
      spec: {
        policyName: metadata.name,
        validationActions: ["Deny"],
        ...(params && { paramRef: params.ref }),
        matchResources: {
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
          ...(label !== undefined && {
            objectSelector: { matchExpressions: [{ key: label, operator: "Exists" }] },
          }),
        },
      },
    },
  ]
}

const written = (apiGroup: string, ...resources: string[]): Plain<V1RuleWithOperations> => ({
  apiGroups: [apiGroup],
  apiVersions: ["*"],
  operations: ["CREATE", "UPDATE"],
  resources,
})

/** Everything that holds containers. */
const workloadResources = [
  written("", "pods", "pods/ephemeralcontainers", "replicationcontrollers", "podtemplates"),
  written("apps", "deployments", "replicasets", "statefulsets", "daemonsets"),
  written("batch", "jobs", "cronjobs"),
]

const byController = `(request.userInfo.username.startsWith("system:serviceaccount:kube-system:") || request.userInfo.username == "system:kube-controller-manager")`

/** Whoever may bind roles in the namespace could take any right there. */
const exempt = (namespace: string): Plain<V1MatchCondition>[] => [
  { name: "not-a-controller", expression: `!${byController}` },
  {
    name: "not-an-administrator",
    expression: `!authorizer.group("rbac.authorization.k8s.io").resource("rolebindings").namespace(${cel(namespace)}).check("create").allowed()`,
  },
]

const variable = (name: string, expression: string): Plain<V1Variable> => ({ name, expression })

const specOf = (object: string) =>
  `${object}.kind == "Pod" ? ${object}.spec : ${object}.kind == "CronJob" ? ${object}.spec.jobTemplate.spec.template.spec : ${object}.kind == "PodTemplate" ? ${object}.template.spec : ${object}.spec.template.spec`

const containersOf = (spec: string) =>
  `${spec}.containers + (has(${spec}.initContainers) ? ${spec}.initContainers : []) + (has(${spec}.ephemeralContainers) ? ${spec}.ephemeralContainers : [])`

/** Whether an object runs migrations: a Job as the account of a database, and the pods that its controller makes of it. */
const migrationVariable = (databases: DatabaseSettings[]): Plain<V1Variable>[] => [
  variable(
    "account",
    `has(variables.spec.serviceAccountName) ? variables.spec.serviceAccountName : "default"`,
  ),
  variable(
    "migration",
    databases.length === 0
      ? "false"
      : `(object.kind == "Job" || (object.kind == "Pod" && variables.automatic)) && variables.account in ${cel(databases.map(({ name }) => databaseAccount(name)))}`,
  ),
]

/** Whether a container is the throw-away copy of a migration, as CEL. Nobody approves its image; it runs a program that a policy knows. */
const copies = (databases: DatabaseSettings[]): string =>
  databases
    .map(
      ({ name, copy }) =>
        `(variables.account == ${cel(databaseAccount(name))} && container.name == ${cel(containerNames.copy)} && container.image == ${cel(copy)})`,
    )
    .join(" || ") || "false"

/**
 * Only approved images run. People start them only while the approval counts. Controllers go on starting pods of images that were approved once, so that a revision
 * scales and survives the loss of a node after its approval has expired or was revoked.
 */
function images({ namespace, databases = [] }: AdmissionSettings): PolicyRule {
  const some = (condition: string, digests = "digests") =>
    `variables.${digests}.all(digest, variables.ledger.exists(key, key.endsWith("." + digest)${condition}))`
  const stands = ` && !(key.split(".")[0] + ".revoked" in variables.ledger)`
  const others = ` && !variables.ledger[key].startsWith("by=" + request.userInfo.username + "\\n")`
  // Older code that a migration is compared with was approved for as long as it is kept.
  const beginning = `(${containersOf("variables.spec")}).filter(container, !(variables.migration && container.name.matches(${cel(`^${applicationNames.old}$`)}))).map(container, container.image)`
  const unexpired = ` && timestamp(variables.ledger[key].split("\\n")[2].substring(8)) > timestamp(object.metadata.creationTimestamp)`
  return {
    name: "images",
    namespace,
    resources: workloadResources,
    params: {
      kind: { apiVersion: "v1", kind: "ConfigMap" },
      ref: {
        name: approvalsName,
        namespace: guardsNamespace(namespace),
        parameterNotFoundAction: "Deny",
      },
    },
    variables: [
      variable("spec", specOf("object")),
      variable("automatic", byController),
      ...migrationVariable(databases),
      variable(
        "images",
        `(${containersOf("variables.spec")}).filter(container, !(variables.migration && (${copies(databases)}))).map(container, container.image)`,
      ),
      variable("oldSpec", `oldObject == null ? null : ${specOf("oldObject")}`),
      variable(
        "same",
        `oldObject != null && (${containersOf("variables.oldSpec")}).map(container, container.image) == (${containersOf("variables.spec")}).map(container, container.image)`,
      ),
      variable("pinned", `variables.images.all(image, image.matches("^[^@]+@sha256:${hexDigest}$"))`),
      variable(
        "digests",
        `variables.pinned ? variables.images.map(image, image.split("@sha256:")[1]) : [""]`,
      ),
      variable(
        "beginning",
        `variables.pinned ? variables.images.filter(image, image in (${beginning})).map(image, image.split("@sha256:")[1]) : [""]`,
      ),
      variable("ledger", "has(params.data) ? params.data : {}"),
      // A watchdog and a baseline run what runs already, and so does a check of a database, every night; a migration comes before it.
      variable(
        "accompanies",
        `(object.kind == "Job" && (!variables.migration || (${checksOnly}))) || (object.kind == "Deployment" && has(object.metadata.labels) && ${cel(labels.baseline)} in object.metadata.labels)`,
      ),
    ],
    validations: [
      {
        expression: "oldObject == null || variables.same",
        message: "the images of a revision never change: deploy another revision",
      },
      {
        expression: "variables.same || variables.pinned",
        message: "every image must be pinned by its digest, as REPOSITORY@sha256:…",
      },
      {
        expression: `variables.same || ${some("")}`,
        messageExpression: `"nobody has approved " + variables.images.join(", ")`,
        message: "nobody has approved this image",
      },
      {
        expression: `variables.same || variables.automatic || ${some(stands, "beginning")}`,
        messageExpression: `"the approval was revoked of " + variables.images.join(", ")`,
        message: "the approval of this image was revoked",
      },
      {
        expression: `variables.same || variables.automatic || variables.accompanies || ${some(stands + others, "beginning")}`,
        message: "whoever approved this image may not deploy it: somebody else must",
      },
      {
        expression: `variables.same || variables.automatic || variables.accompanies || ${some(stands + others + unexpired, "beginning")}`,
        messageExpression: `"the approval has expired of " + variables.images.join(", ")`,
        message: "the approval of this image has expired",
      },
    ],
  }
}

/** Pods have the shape of Pitwall's own: an approved image runs as it was built, as the account of its service and without a token. */
function workloads({
  namespace,
  services,
  watchdog,
  databases = [],
  models = [],
}: AdmissionSettings): PolicyRule {
  const command = watchdogCommand(watchdog)
  const probe = [...command, "check"]
  const asWatchdog = [
    `object.kind == "Job"`,
    "variables.containers.size() == 1",
    "!has(variables.spec.volumes)",
    `variables.containers.all(container, container.command == ${cel(command)} && !has(container.args) && !has(container.envFrom) && !has(container.lifecycle) && !has(container.startupProbe) && !has(container.livenessProbe) && (!has(container.readinessProbe) || (has(container.readinessProbe.exec) && container.readinessProbe.exec.command == ${cel(probe)})))`,
  ]
  const migrating = databases.map(({ name }) => databaseAccount(name))
  const training = models.map(({ name }) => modelAccount(name))
  const accounts = [...migrating, ...training]
  const jobs = [
    "watchdogs",
    ...(migrating.length > 0 ? ["migrations"] : []),
    ...(training.length > 0 ? ["trainings"] : []),
  ].join(" and ")
  const special = "(variables.watchdog || variables.migration || variables.training)"
  return {
    name: "workloads",
    namespace,
    resources: workloadResources,
    matchConditions: exempt(namespace),
    variables: [
      variable("spec", specOf("object")),
      variable("oldSpec", `oldObject == null ? null : ${specOf("oldObject")}`),
      variable("same", "oldObject != null && variables.oldSpec == variables.spec"),
      variable("containers", containersOf("variables.spec")),
      variable(
        "account",
        `has(variables.spec.serviceAccountName) ? variables.spec.serviceAccountName : "default"`,
      ),
      variable("watchdog", `variables.account == ${cel(watchAccount)}`),
      variable("migration", migrating.length === 0 ? "false" : `variables.account in ${cel(migrating)}`),
      variable("training", training.length === 0 ? "false" : `variables.account in ${cel(training)}`),
    ],
    validations: [
      {
        expression: "oldObject == null || variables.same",
        message: "the pods of a revision never change: deploy another revision",
      },
      {
        expression: `variables.same || variables.account in ${cel([...services, watchAccount, ...accounts])}`,
        messageExpression: `"pods must not run as the service account " + variables.account + ${cel(`; allowed: ${services.join(", ")}`)}`,
        message: "pods must not run as this service account",
      },
      {
        expression:
          "variables.same || variables.watchdog || (has(variables.spec.automountServiceAccountToken) && !variables.spec.automountServiceAccountToken)",
        message: "pods get no token of the Kubernetes API: set automountServiceAccountToken: false",
      },
      {
        expression: `variables.same || ${special} == (object.kind == "Job")`,
        message: `the only Jobs are ${jobs}, and only they run as ${[watchAccount, ...accounts].join(", ")}`,
      },
      {
        expression: `variables.same || !variables.watchdog || (${asWatchdog.join(" && ")})`,
        message: `${watchAccount} runs the program of this environment's watchdog and nothing else; after an upgrade of Pitwall an administrator applies the output of access again`,
      },
      ...databases.map((database) => ({
        expression: `variables.same || variables.account != ${cel(databaseAccount(database.name))} || (${asMigration(database).join(" && ")})`,
        message: `${databaseAccount(database.name)} runs the migrations of ${database.name} and nothing else, with backups to where deploy.yaml says; after a change to that or an upgrade of Pitwall an administrator applies the output of access again`,
      })),
      ...models.map(({ name }) => ({
        expression: `variables.same || variables.account != ${cel(modelAccount(name))} || (${asTraining.join(" && ")})`,
        message: `${modelAccount(name)} trains and promotes the model ${name} and runs nothing else`,
      })),
      {
        expression:
          "variables.same || !has(variables.spec.volumes) || variables.spec.volumes.all(volume, has(volume.emptyDir) || has(volume.persistentVolumeClaim) || has(volume.secret))",
        message: "pods mount volumes of the kinds emptyDir, persistentVolumeClaim and secret only",
      },
      {
        expression: `variables.same || variables.watchdog || !has(variables.spec.volumes) || variables.spec.volumes.all(volume, !has(volume.secret) || variables.containers.all(container, !has(container.volumeMounts) || container.volumeMounts.all(mount, mount.name != volume.name || mount.mountPath == "/run/secrets")))`,
        message: "secrets are mounted at /run/secrets only",
      },
      {
        expression: `variables.same || ${special} || variables.containers.all(container, ${plain.join(" && ")})`,
        message:
          "a container runs what its image says: without command, args, env, exec probes or hooks, and with variables of a ConfigMap only",
      },
    ],
  }
}

const withoutProbes = ["startupProbe", "livenessProbe", "readinessProbe"].map(
  (name) => `(!has(container.${name}) || !has(container.${name}.exec))`,
)
const withoutHooks = `(!has(container.lifecycle) || (${["postStart", "preStop"]
  .map((name) => `(!has(container.lifecycle.${name}) || !has(container.lifecycle.${name}.exec))`)
  .join(" && ")}))`
const fromConfigMaps = "(!has(container.envFrom) || container.envFrom.all(source, has(source.configMapRef)))"

/** A Job of a database that changes nothing in it: a backup, the test of one, a comparison, a restore on trial. */
const checksOnly = [
  "variables.spec.containers.all(container, has(container.args) && container.args.size() > 1",
  `&& (container.args[1] in ["backup", "verify", "drift", "observe", "compare", "prune"] || (container.args[1] == "restore" && "--dry-run" in container.args)))`,
].join(" ")

/** A container that runs what its image says. */
const plain = [
  "!has(container.command)",
  "!has(container.args)",
  "!has(container.env)",
  fromConfigMaps,
  ...withoutProbes,
  withoutHooks,
]

/** The Job of a migration: the command `database` of the service's image, and the copy beside it, each as `databases/job.ts` writes it. */
function asMigration(database: DatabaseSettings): string[] {
  const { words, pattern, backupEnd, pruneWords } = migrationArguments(database)
  const migrate = [
    `container.name == ${cel(containerNames.migrate)}`,
    "!has(container.command)",
    `has(container.args) && container.args.size() > 1 && container.args[0] == "database" && container.args[1] in ${cel([...commands])}`,
    `container.args.all(word, word in ${cel(words)} || word.matches(${cel(pattern)}))`,
    // Which backups are removed is the configuration's to say.
    `(container.args[1] != "backup" || (container.args.size() == ${backupEnd.at + backupEnd.words.length} && ${backupEnd.words.map((word, index) => `container.args[${backupEnd.at + index}] == ${cel(word)}`).join(" && ")}))`,
    `(container.args[1] != "prune" || container.args == ${cel(pruneWords)})`,
    `(container.args[1] in ["backup", "prune"] || !("--keep-days" in container.args))`,
    // Variables of a ConfigMap come first, so that these stand.
    `has(container.env) && container.env == ${cel(migrationVariables(database))}`,
    fromConfigMaps,
    ...withoutProbes,
    withoutHooks,
  ]
  const application = [...applicationRules(copyPort, cel), fromConfigMaps, ...withoutProbes, withoutHooks]
  const copy = [
    `container.image == ${cel(database.copy)}`,
    `has(container.command) && container.command == ${cel(copyCommand)}`,
    "!has(container.args)",
    "!has(container.env)",
    "!has(container.envFrom)",
    "!has(container.lifecycle)",
    "!has(container.livenessProbe)",
    "!has(container.readinessProbe)",
    `(!has(container.startupProbe) || (has(container.startupProbe.exec) && container.startupProbe.exec.command == ${cel(copyProbe)}))`,
    // It has neither the secrets nor what the migration works with.
    `has(container.volumeMounts) && container.volumeMounts.all(mount, mount.mountPath == "/copy" && mount.name == "copy")`,
  ]
  return [
    "!has(variables.spec.ephemeralContainers)",
    `variables.spec.containers.size() == 1 && variables.spec.containers.all(container, ${migrate.join(" && ")})`,
    `has(variables.spec.initContainers) && variables.spec.initContainers.exists(container, container.name == ${cel(containerNames.copy)})`,
    `variables.spec.initContainers.all(container, container.name == ${cel(containerNames.copy)} ? (${copy.join(" && ")}) : (${application.join(" && ")}))`,
    `has(variables.spec.volumes) && variables.spec.volumes.all(volume, has(volume.emptyDir) || has(volume.secret))`,
    `variables.spec.volumes.all(volume, volume.name != "copy" || has(volume.emptyDir))`,
  ]
}

const trains = `(container.name == ${cel(trainingContainer)} && (container.args == ${cel(trainingCommand)} || container.args == ${cel([...trainingCommand, forceOption])}))`
const points = [
  `(container.name == ${cel(pointerContainer)}`,
  `container.args.size() > 1 && container.args[0] == "registry" && container.args[1] in ${cel(pointerCommands)}`,
  `container.args.all(word, word in ${cel(pointerWords)} || word.matches(${cel(pointerPattern)})))`,
].join(" && ")

/** The Job of a training or of a step of a promotion: the commands `registry train`, `examine`, `shadow` and `point` of the service's image, as `models/job.ts` writes it. */
const asTraining = [
  "!has(variables.spec.ephemeralContainers)",
  "!has(variables.spec.initContainers)",
  `variables.spec.containers.size() == 1 && variables.spec.containers.all(container, ${[
    "!has(container.command)",
    `has(container.args) && (${trains} || ${points})`,
    "!has(container.env)",
    fromConfigMaps,
    ...withoutProbes,
    withoutHooks,
  ].join(" && ")})`,
  `has(variables.spec.volumes) && variables.spec.volumes.all(volume, has(volume.emptyDir) || has(volume.secret))`,
]

/** A deployer cannot give an account of a service a token or a role of the cloud. */
function accounts({ namespace, services }: AdmissionSettings): PolicyRule {
  const annotations = (object: string) =>
    `(${object} != null && has(${object}.metadata.annotations) ? ${object}.metadata.annotations : {})`
  return {
    name: "accounts",
    namespace,
    resources: [written("", "serviceaccounts")],
    matchConditions: exempt(namespace),
    validations: [
      {
        expression: `object.metadata.name in ${cel(services)}`,
        message: `only the service accounts of services may be written; allowed: ${services.join(", ")}`,
      },
      {
        expression:
          "has(object.automountServiceAccountToken) && !object.automountServiceAccountToken && !has(object.secrets)",
        message: "the account of a service has no token: automountServiceAccountToken: false, and no secrets",
      },
      {
        expression: `${annotations("object")} == ${annotations("oldObject")}`,
        message: "only an administrator may annotate an account, as that can give it a role of the cloud",
      },
    ],
  }
}

function secrets({ namespace }: AdmissionSettings): PolicyRule {
  return {
    name: "secrets",
    namespace,
    resources: [written("", "secrets")],
    matchConditions: exempt(namespace),
    validations: [
      {
        expression: `!has(object.type) || object.type != "kubernetes.io/service-account-token"`,
        message:
          "a Secret of the type kubernetes.io/service-account-token would hold another account's token",
      },
    ],
  }
}

/** A Service leads to pods of the service that it is named after, and is reached by the gateway and inside the cluster only. */
function services({ namespace, services }: AdmissionSettings): PolicyRule {
  return {
    name: "services",
    namespace,
    resources: [written("", "services")],
    matchConditions: exempt(namespace),
    variables: [
      variable(
        "service",
        `has(object.spec.selector) && ${cel(labels.service)} in object.spec.selector ? object.spec.selector[${cel(labels.service)}] : ""`,
      ),
    ],
    validations: [
      {
        expression: `has(object.spec.type) && object.spec.type == "ClusterIP" && !has(object.spec.externalName) && !has(object.spec.externalIPs)`,
        message: "Services are of the type ClusterIP, without external names and addresses",
      },
      {
        expression: `variables.service in ${cel(services)} && (object.metadata.name == variables.service || object.metadata.name.startsWith(variables.service + "-"))`,
        message: `a Service selects the pods of the service that it is named after, by the label ${labels.service}; allowed: ${services.join(", ")}`,
      },
    ],
  }
}

/** Requests of this environment's host names only, by its own Gateway. What an administrator added to a route stays. */
function routes({ namespace, hostnames, gateway }: AdmissionSettings): PolicyRule {
  const own = [
    `has(parent.kind) && parent.kind == "Gateway"`,
    `parent.name == ${cel(gateway.name)}`,
    `has(parent.namespace) && parent.namespace == ${cel(gateway.namespace)}`,
    ...(gateway.section === undefined
      ? []
      : [`has(parent.sectionName) && parent.sectionName == ${cel(gateway.section)}`]),
  ].join(" && ")
  const place = `${gateway.namespace}/${gateway.name}${gateway.section === undefined ? "" : `, section ${gateway.section}`}`
  return {
    name: "routes",
    namespace,
    resources: [written("gateway.networking.k8s.io", "*")],
    matchConditions: exempt(namespace),
    variables: [
      variable(
        "oldHostnames",
        "oldObject != null && has(oldObject.spec.hostnames) ? oldObject.spec.hostnames : []",
      ),
      variable(
        "oldParents",
        "oldObject != null && has(oldObject.spec.parentRefs) ? oldObject.spec.parentRefs : []",
      ),
    ],
    validations: [
      {
        expression: `request.resource.resource == "httproutes"`,
        message: "HTTPRoutes are the only objects of the Gateway API that belong here",
      },
      {
        expression: `has(object.spec.hostnames) && object.spec.hostnames.size() > 0 && object.spec.hostnames.all(name, name in ${cel(hostnames)} || name in variables.oldHostnames)`,
        message: `a route names host names of this environment; allowed: ${hostnames.join(", ")}`,
      },
      {
        expression: `has(object.spec.parentRefs) && object.spec.parentRefs.size() > 0 && object.spec.parentRefs.all(parent, (${own}) || parent in variables.oldParents)`,
        message: `a route belongs to the Gateway of this environment; allowed: ${place}`,
      },
      {
        expression: `!has(object.spec.rules) || object.spec.rules.all(rule, !has(rule.backendRefs) || rule.backendRefs.all(backend, (!has(backend.kind) || backend.kind == "Service") && (!has(backend.namespace) || backend.namespace == ${cel(namespace)})))`,
        message: "a route leads to Services of its own namespace",
      },
    ],
  }
}

/** Variables that make a program run other code than its image holds. */
const hijacking =
  "^(LD_.*|GCONV_PATH|PATH|ENV|BASH_ENV|PYTHON.*|NODE_OPTIONS|NODE_PATH|GUNICORN_.*|UVICORN_.*|PERL5.*|RUBY.*|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS)$"
/** Variables that send backups elsewhere. */
const redirecting = "^(AWS_ENDPOINT_URL.*|AWS_CONFIG_FILE|BACKUP_S3_ENDPOINT)$"

/** Variables that say which models serve, and which key has to have signed them. */
const modelNames = ["MODEL_REGISTRY", "MODEL_REGISTRY_ENDPOINT", "MODEL_REGISTRY_REGION", "MODEL_PUBLIC_KEY"]

/** Each is what the configuration says of one of the models, or is not there. */
const modelVariablesStand = (models: ModelSettings[]): string =>
  modelNames
    .map((name) => {
      const allowed = models.flatMap((model) => modelVariables(model)[name] ?? [])
      return `(!(${cel(name)} in object.data) || object.data[${cel(name)}] in ${cel(allowed)})`
    })
    .join(" && ")

function variables({ namespace, databases = [], models = [] }: AdmissionSettings): PolicyRule {
  return {
    name: "variables",
    namespace,
    resources: [written("", "configmaps")],
    matchConditions: exempt(namespace),
    validations: [
      {
        expression: `!has(object.data) || object.data.all(name, !name.matches(${cel(hijacking)}))`,
        message: "a ConfigMap must not hold variables that make a program run other code, such as PYTHONPATH",
      },
      ...(databases.length === 0
        ? []
        : [
            {
              expression: `!has(object.data) || object.data.all(name, !name.matches(${cel(redirecting)}))`,
              message: "a ConfigMap must not hold variables that send backups elsewhere",
            },
          ]),
      ...(models.length === 0
        ? []
        : [
            {
              expression: `!has(object.data) || (${modelVariablesStand(models)})`,
              message:
                "the registry of models and the key that verifies them are those of deploy.yaml; after a change to that an administrator applies the output of access again",
            },
          ]),
    ],
  }
}

function audit({ namespace }: AdmissionSettings): PolicyRule {
  return {
    name: "audit",
    namespace,
    resources: [written("", "configmaps")],
    label: auditLabels.kind,
    validations: [
      {
        expression: `has(object.data) && "by" in object.data && object.data["by"] == request.userInfo.username`,
        message: "an entry of the audit log bears the name of who writes it",
      },
      {
        expression: "oldObject == null && has(object.immutable) && object.immutable",
        message: "an entry of the audit log is immutable",
      },
    ],
  }
}

/** Approvers only add to the approvals, in their own name. */
function ledger(guards: string): PolicyRule {
  const own = `object.data[key].startsWith("by=" + request.userInfo.username + "\\n")`
  return {
    name: "approvals",
    namespace: guards,
    resources: [{ ...written("", "configmaps"), operations: ["UPDATE"] }],
    matchConditions: exempt(guards),
    variables: [
      variable("old", "has(oldObject.data) ? oldObject.data : {}"),
      variable("new", "has(object.data) ? object.data : {}"),
      variable("added", "variables.new.filter(key, !(key in variables.old))"),
    ],
    validations: [
      {
        expression: `object.metadata.name == ${cel(approvalsName)} && !has(object.binaryData) && (!has(object.immutable) || !object.immutable)`,
        message: `${approvalsName} is the only ConfigMap here that changes, and it stays one that does`,
      },
      {
        expression:
          "variables.old.all(key, key in variables.new && variables.new[key] == variables.old[key])",
        message: "an approval never changes: revoke it, and give another one",
      },
      {
        expression: `variables.added.all(key, ${own}) && !request.userInfo.username.contains("\\n")`,
        message: "an approval bears the name of who gives it, and so does its revocation",
      },
      {
        expression: `variables.added.all(key, ${[entryPatterns.approval, entryPatterns.revocation].map(({ key, value }) => `(key.matches(${cel(key)}) && object.data[key].matches(${cel(value)}))`).join(" || ")})`,
        message: "an approval or a revocation has the form that approve and revoke write",
      },
    ],
  }
}

/** The identity of CI writes verdicts in its own name. */
function verdicts(guards: string): PolicyRule {
  return {
    name: "verdicts",
    namespace: guards,
    resources: [{ ...written("", "configmaps"), operations: ["CREATE"] }],
    matchConditions: exempt(guards),
    validations: [
      {
        expression: `object.metadata.name.startsWith(${cel(verdictPrefix)}) && has(object.metadata.labels) && ${cel(verdictLabel)} in object.metadata.labels && has(object.immutable) && object.immutable`,
        message: "what is created here is a verdict of the gates, and is immutable",
      },
      {
        expression: `has(object.data) && "by" in object.data && object.data["by"] == request.userInfo.username`,
        message: "a verdict bears the name of who records it",
      },
    ],
  }
}
