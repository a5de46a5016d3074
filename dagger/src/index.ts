/**
 * Pitwall: the delivery pipeline of the F1 Prediction Analytics platform.
 *
 * Start with `./daggerw call ci`.
 */
import {
  argument,
  type Directory,
  type File,
  func,
  object,
  type Secret,
  type Service,
  type Workspace,
} from "@dagger.io/dagger"
import { KubernetesCluster } from "./api/cluster.js"
import { accessYaml, DeployDesk, eventFile } from "./api/delivery.js"
import { Pipeline } from "./ci/pipeline.js"
import { secondsOf } from "./lib/duration.js"
import { RehearsalDesk } from "./rehearsal/desk.js"
import { faultTable } from "./rehearsal/faults.js"
import { SecurityChecks } from "./api/security.js"
import { ModuleChecks, PythonLibrary, PythonService, ReactApp, ReactLibrary } from "./api/services.js"

@object()
export class Pitwall {
  source: Directory

  /**
   * @param source The repository. What no gate or build reads never leaves the host.
   */
  constructor(
    @argument({
      defaultPath: "/",
      ignore: [
        "*",
        "!.ci",
        "!.dependency-cruiser.mjs",
        "!.github",
        "!dagger",
        "!engine",
        "!scripts",
        "!services",
        "!*.js",
        "!*.json",
        "!*.md",
        "!*.ts",
        "!.gitignore",
        "!.npmrc",
        "!.prettierignore",
        "!.prettierrc",
        "!daggerw",
        "**/node_modules",
        "**/__pycache__",
        "**/.mypy_cache",
        "**/.pytest_cache",
        "**/.hypothesis",
        "**/coverage",
        "**/dist",
        "**/dev-dist",
        "**/reports",
        "dagger/sdk",
      ],
    })
    source: Directory,
  ) {
    this.source = source
  }

  /**
   * Runs every gate that a change must pass and gives back the gate table.
   *
   * The gates run in parallel and to the end. Throws when a gate failed or could not run; the message holds the table, of each such gate the failing part, and
   * the command that runs just that again. A pass is remembered for equal source, a failure never.
   *
   * Example: `./daggerw call ci --since origin/main`
   *
   * @param only Services to look at, such as f1-backend; "module" is the pipeline's own source, "security" what scanners look at. All, if none is named.
   * @param since A git ref, such as origin/main: only what the changes since then call for, uncommitted ones included. Any doubt (no git, a shallow clone, a
   * shared file) means everything.
   * @param performance Put the backends under load as well, for 60 seconds; see "call load-test".
   * @param failFast Start no further gate once one has failed.
   * @param parallel How many gates run at the same time; 0: as many as the engine has processors.
   * @param vulnerabilities The OCI reference of a vulnerability database in Trivy's format; that of dagger/config/security.yaml, if not given.
   * @param snykToken Asks Snyk too; without it, that gate is skipped.
   * @param from The summary.json of a report: run nothing, and pass or fail as that run did.
   */
  @func({ cache: "never" })
  async ci(
    workspace: Workspace,
    only: string[] = [],
    since = "",
    performance = false,
    failFast = false,
    parallel = 0,
    vulnerabilities?: string,
    snykToken?: Secret,
    from?: File,
  ): Promise<string> {
    const desk = this.desk({ performance, vulnerabilities, snykToken }, workspace)
    return from ? desk.resultOf(from) : desk.ci({ only, since, failFast, parallel })
  }

  /**
   * Runs the gates as `ci` does, and gives back a folder of reports, whether they pass or not.
   *
   * In it: `index.html` to look at, `summary.md`, `summary.json`, `annotations.txt` (GitHub's workflow commands), and `junit/`, `coverage/` (Cobertura, lcov),
   * `sarif/`, `logs/`, `pictures/`.
   *
   * Example: `./daggerw call report export --path reports`
   *
   * @param only As in ci.
   * @param since As in ci.
   * @param performance As in ci.
   * @param failFast As in ci.
   * @param parallel As in ci.
   * @param vulnerabilities As in ci.
   * @param snykToken As in ci.
   */
  @func({ cache: "never" })
  async report(
    workspace: Workspace,
    only: string[] = [],
    since = "",
    performance = false,
    failFast = false,
    parallel = 0,
    vulnerabilities?: string,
    snykToken?: Secret,
  ): Promise<Directory> {
    const desk = this.desk({ performance, vulnerabilities, snykToken }, workspace)
    return desk.report({ only, since, failFast, parallel })
  }

  /**
   * Puts the backends under load with Locust, each on stores of its own, and gives back the gate table.
   *
   * Throws when more than the allowed share of requests failed, or 95 % of answers took longer than allowed: `load` in `dagger/config/services.yaml`.
   *
   * Example: `./daggerw call load-test --users 50 --duration 60s`
   *
   * @param users Simulated people at the same time.
   * @param duration How long, such as 90s or 5m.
   * @param only Backends by name; both, if none is named.
   */
  @func({ cache: "never" })
  async loadTest(users = 50, duration = "60s", only: string[] = []): Promise<string> {
    const desk = new Pipeline(this.source, undefined, { load: { users, seconds: secondsOf(duration) } })
    return desk.load(only)
  }

  /**
   * Runs some tests of a gate, and gives back what their tool said. A failing gate's output names the call.
   *
   * Example: `./daggerw call test --gate api:test --select tests/test_reading.py`
   *
   * @param gate A gate that runs tests, such as api:test or web:browser.
   * @param select What its tool (pytest, Vitest, Playwright) is to run, as you would type it behind the tool's name.
   */
  @func({ cache: "never" })
  async test(gate: string, select = ""): Promise<string> {
    return new Pipeline(this.source).rerun(gate, select)
  }

  /**
   * Brings the backends of an environment to all traffic, each by its own rollout, and gives back the table of what became of them.
   *
   * Shows first what would change. Blue-green or canary, analysis and guards are those of `dagger/config/deploy.yaml`. What is bad goes back by itself. The state is in the
   * cluster: the same call goes on with what was cut off, wherever that was. Throws with the table when a service did not get there, and with all reasons when it may not begin.
   *
   * Example: `./daggerw call deploy --env staging --kubeconfig file://$HOME/.kube/config --registry ghcr.io/owner/repository
   * --database-url env://STAGING_DATABASE_URL --f-1-database-url env://STAGING_F1_DATABASE_URL --redis-url env://STAGING_REDIS_URL --jwt-secret-key env://JWT_SECRET_KEY`
   *
   * @param env staging or production.
   * @param kubeconfig Of the cluster: what it may do there is all that is done; see "call access". 'cmd://kubectl config view --raw --flatten --minify' gives the present one.
   * @param image Images that were built before, as api=ghcr.io/owner/repository/api@sha256:…; without any, they are built from source, and the gates of "call ci" are asked about it.
   * @param registry Where images that are built go, such as ghcr.io/owner/repository.
   * @param registryUser Its user.
   * @param registryPassword Its password or token.
   * @param registryService Answers at the registry's address, where that is a service.
   * @param only Services; all of the environment, if none is named.
   * @param strategy blue-green or canary, where it is to be another than that of the environment.
   * @param reason Why, for the audit log.
   * @param author Who wrote the change, as the cluster would know them: somebody else has to approve it. Whoever deploys, if not said.
   * @param override Why guards may be set aside this time; it is recorded. The state of a database cannot be.
   * @param kubeToken Of who asks instead of the kubeconfig's user, such as 'cmd://kubectl create token deployer --namespace f1-staging --duration 2h'.
   * @param settings A file in the form of dagger/config/deploy.yaml that is laid over it.
   * @param databaseUrl Of the recipes API. A secret that is not given stays as the present revision has it.
   * @param f1DatabaseUrl Of the prediction backend.
   * @param redisUrl Of the cache of both.
   * @param jwtSecretKey Signs tokens.
   * @param ergastApiKey Optional.
   * @param weatherApiKey Optional.
   * @param datadogApiKey Where metrics come from Datadog.
   * @param datadogAppKey Where metrics come from Datadog.
   */
  @func({ cache: "never" })
  async deploy(
    env: string,
    kubeconfig: Secret,
    image: string[] = [],
    registry = "",
    registryUser = "",
    registryPassword?: Secret,
    registryService?: Service,
    only: string[] = [],
    strategy = "",
    reason = "",
    author = "",
    override = "",
    kubeToken?: Secret,
    settings?: File,
    databaseUrl?: Secret,
    f1DatabaseUrl?: Secret,
    redisUrl?: Secret,
    jwtSecretKey?: Secret,
    ergastApiKey?: Secret,
    weatherApiKey?: Secret,
    datadogApiKey?: Secret,
    datadogAppKey?: Secret,
  ): Promise<string> {
    const desk = this.deployDesk({ env, kubeconfig, kubeToken, settings, datadogApiKey, datadogAppKey })
    return desk.deploy({
      ...{ images: image, only, strategy, reason, author, override },
      registry: {
        ...{ address: registry, user: registryUser },
        ...(registryPassword && { password: registryPassword }),
        ...(registryService && { service: registryService }),
      },
      secrets: secretsOf({ databaseUrl, f1DatabaseUrl, redisUrl, jwtSecretKey, ergastApiKey, weatherApiKey }),
    })
  }

  /**
   * Shows what a deploy would do: its steps, what would change in the cluster, and what is against it now. Changes nothing.
   *
   * Example: `./daggerw call plan --env production --kubeconfig file://$HOME/.kube/config --image api=ghcr.io/owner/repository/api@sha256:…`
   *
   * @param env As in deploy.
   * @param kubeconfig As in deploy.
   * @param image As in deploy; for services without one, the image that is there.
   * @param only As in deploy.
   * @param strategy As in deploy.
   * @param author As in deploy.
   * @param kubeToken As in deploy.
   * @param settings As in deploy.
   */
  @func({ cache: "never" })
  async plan(
    env: string,
    kubeconfig: Secret,
    image: string[] = [],
    only: string[] = [],
    strategy = "",
    author = "",
    kubeToken?: Secret,
    settings?: File,
  ): Promise<string> {
    const nothing = { reason: "", override: "", registry: { address: "", user: "" }, secrets: {} }
    return this.deployDesk({ env, kubeconfig, kubeToken, settings }).plan({
      images: image,
      only,
      strategy,
      author,
      ...nothing,
    })
  }

  /**
   * Takes back a deploy that is under way, or goes back to a revision that was proven, without losing a request. No guard stands in the way, but it refuses where the
   * database has moved past what that revision can read.
   *
   * Example: `./daggerw call rollback --env production --kubeconfig file://$HOME/.kube/config --service api --reason "prices are wrong"`
   *
   * @param env As in deploy.
   * @param kubeconfig As in deploy.
   * @param reason Why, for the audit log.
   * @param service One service; all of the environment, if none is named.
   * @param to The number of a kept revision of that service; 0: the proven one before the present. See "call status".
   * @param kubeToken As in deploy.
   * @param settings As in deploy.
   */
  @func({ cache: "never" })
  async rollback(
    env: string,
    kubeconfig: Secret,
    reason: string,
    service = "",
    to = 0,
    kubeToken?: Secret,
    settings?: File,
  ): Promise<string> {
    return this.deployDesk({ env, kubeconfig, kubeToken, settings }).rollback({
      ...{ services: service === "" ? [] : [service], reason },
      ...(to !== 0 && { to }),
    })
  }

  /**
   * Shows how the backends of an environment are: phase, traffic, revisions with their images and pods, who works on them, and what happened last.
   *
   * Example: `./daggerw call status --env staging --kubeconfig file://$HOME/.kube/config`
   *
   * @param env As in deploy.
   * @param kubeconfig As in deploy.
   * @param only As in deploy.
   * @param kubeToken As in deploy.
   * @param settings As in deploy.
   */
  @func({ cache: "never" })
  async status(
    env: string,
    kubeconfig: Secret,
    only: string[] = [],
    kubeToken?: Secret,
    settings?: File,
  ): Promise<string> {
    return this.deployDesk({ env, kubeconfig, kubeToken, settings }).status(only)
  }

  /**
   * Shows what was deployed, rolled back and refused, newest first: who, what, when, why, how long, and what came of it.
   *
   * Example: `./daggerw call history --env production --kubeconfig file://$HOME/.kube/config --as-json > history.json`
   *
   * @param env As in deploy.
   * @param kubeconfig As in deploy.
   * @param only As in deploy.
   * @param asJson Everything that is known, as JSON.
   * @param kubeToken As in deploy.
   * @param settings As in deploy.
   */
  @func({ cache: "never" })
  async history(
    env: string,
    kubeconfig: Secret,
    only: string[] = [],
    asJson = false,
    kubeToken?: Secret,
    settings?: File,
  ): Promise<string> {
    return this.deployDesk({ env, kubeconfig, kubeToken, settings }).history(only, asJson)
  }

  /**
   * The events of an environment's deploys, rollbacks and approvals, oldest first, as a file of JSON Lines: what this engine has done and still keeps. What lasts, whoever did
   * it, is `history`.
   *
   * Each is an object: at (ISO 8601), kind (started, resumed, waiting, shifted, promoted, rolling-back, rolled-back, failed, refused, overridden or approved), environment,
   * service, revision, digest, by, message, key (the same for all of one trouble), severity (info, warning or critical), resolves (true when that trouble is over).
   *
   * Example: `./daggerw call events --env staging export --path events.jsonl`
   *
   * @param env As in deploy.
   * @param settings As in deploy.
   */
  @func({ cache: "never" })
  async events(env: string, settings?: File): Promise<File> {
    return eventFile(this.source, env, settings)
  }

  /**
   * Says yes to images for an environment that asks for it, in the name of whose kubeconfig it is. It holds for these very images, and for a time.
   *
   * Example: `./daggerw call approve --env production --kubeconfig file://$HOME/.kube/config --image api=sha256:…`
   *
   * @param env As in deploy.
   * @param kubeconfig Of the approver.
   * @param image Services and their images, as api=sha256:…; a refused deploy names them.
   * @param note For the record.
   * @param kubeToken As in deploy.
   * @param settings As in deploy.
   */
  @func({ cache: "never" })
  async approve(
    env: string,
    kubeconfig: Secret,
    image: string[],
    note = "",
    kubeToken?: Secret,
    settings?: File,
  ): Promise<string> {
    return this.deployDesk({ env, kubeconfig, kubeToken, settings }).approve(image, note)
  }

  /**
   * Prints what an administrator applies once for an environment: its namespaces, and no more rights than deploying and approving need.
   *
   * Example: `./daggerw call access --env production --deployer system:serviceaccount:ci:deployer --approver group:approvers | kubectl apply -f -`
   *
   * @param env As in deploy.
   * @param deployer Who deploys, as the API server names them: a user, system:serviceaccount:NAMESPACE:NAME or group:NAME.
   * @param approver Who approves, where that is asked for; those of dagger/config/deploy.yaml, if none is named.
   * @param settings As in deploy.
   */
  @func({ cache: "never" })
  async access(env: string, deployer: string[], approver: string[] = [], settings?: File): Promise<string> {
    return accessYaml(this.source, {
      ...{ name: env, deployers: deployer, approvers: approver },
      ...(settings && { settings }),
    })
  }

  /**
   * Rehearses deploys: the very code of `deploy`, on a throw-away cluster, with load on it and something that goes wrong, measured.
   *
   * Gives back a table: what became of it, requests that failed, p95 before and during it, seconds until all was promoted, seconds for which users were hurt. Throws with
   * it when a rehearsal did not end as it has to: a bad revision got through, a good one did not, or requests were lost that the fault itself did not cost.
   *
   * Example: `./daggerw call rehearse --fault error-rate --strategy canary`
   *
   * @param fault What goes wrong, such as none, error-rate, latency, crash-at-start or killed-shifting; several one after another. "call faults" lists them.
   * @param strategy blue-green, canary or both.
   * @param service Of which an image is deployed: api or f1-backend.
   * @param requestsPerSecond The load.
   * @param settings A file in the form of dagger/config/deploy.yaml that is laid over dagger/config/rehearsal.yaml.
   * @param peer What the same faults are rehearsed with too, to compare with, on the same cluster and with the same images: kubectl, a plain Deployment;
   * argo-rollouts or flagger, a canary with the same steps and rules. Only faults of the candidate, not what is done to the deploy.
   * @param asJson The figures as JSON.
   */
  @func({ cache: "never" })
  async rehearse(
    fault: string[],
    strategy: string[] = ["canary"],
    service = "api",
    requestsPerSecond = 50,
    settings?: File,
    peer: string[] = [],
    asJson = false,
  ): Promise<string> {
    return new RehearsalDesk(this.source).rehearse({
      ...{ faults: fault, strategies: strategy, service, rate: requestsPerSecond, peers: peer, json: asJson },
      ...(settings && { settings }),
    })
  }

  /** Lists what can go wrong in a rehearsal. Example: `./daggerw call faults` */
  @func()
  faults(): string {
    return faultTable()
  }

  /** The recipes API: its gates. Example: `./daggerw check 'api:*'` */
  @func()
  api(): PythonService {
    return new PythonService(this.source, "api")
  }

  /** The F1 prediction backend: its gates. Example: `./daggerw check 'f-1-backend:*'` */
  @func()
  f1Backend(): PythonService {
    return new PythonService(this.source, "f1-backend")
  }

  /** What the Python services share: its gates. Example: `./daggerw check 'servicekit:*'` */
  @func()
  servicekit(): PythonLibrary {
    return new PythonLibrary(this.source, "servicekit")
  }

  /** The recipes web app: its gates. Example: `./daggerw check 'web:*'` */
  @func()
  web(): ReactApp {
    return new ReactApp(this.source, "web")
  }

  /** The F1 dashboard: its gates. Example: `./daggerw check 'f-1-frontend:*'` */
  @func()
  f1Frontend(): ReactApp {
    return new ReactApp(this.source, "f1-frontend")
  }

  /** What the web apps share: its gates. Example: `./daggerw check 'frontend-kit:*'` */
  @func()
  frontendKit(): ReactLibrary {
    return new ReactLibrary(this.source, "frontend-kit")
  }

  /** The pipeline's own source: its gates. Example: `./daggerw check 'module:*'` */
  @func()
  module(): ModuleChecks {
    return new ModuleChecks(this.source)
  }

  /**
   * What may not be in the repository or in what it delivers: its gates. Example: `./daggerw check 'security:*'`
   *
   * @param snykToken Asks Snyk too; without it, that gate is skipped.
   * @param vulnerabilities The OCI reference of a vulnerability database in Trivy's format.
   * @param registry A registry that the reference names as registry.local.
   */
  @func()
  security(snykToken?: Secret, vulnerabilities?: string, registry?: Service): SecurityChecks {
    return new SecurityChecks(this.source, snykToken, vulnerabilities, registry)
  }

  /**
   * A throw-away Kubernetes of one node, with DNS and a router. Example: `./daggerw call cluster serve up`
   *
   * @param name Its own: two names are two clusters.
   */
  @func()
  cluster(name = "pitwall"): KubernetesCluster {
    return new KubernetesCluster(this.source, name)
  }

  private deployDesk({
    env,
    kubeconfig,
    kubeToken,
    settings,
    datadogApiKey,
    datadogAppKey,
  }: {
    env: string
    kubeconfig: Secret
    kubeToken: Secret | undefined
    settings: File | undefined
    datadogApiKey?: Secret | undefined
    datadogAppKey?: Secret | undefined
  }): DeployDesk {
    return new DeployDesk(this.source, {
      ...{ environment: env, kubeconfig },
      ...(kubeToken && { token: kubeToken }),
      ...(settings && { settings }),
      ...(datadogApiKey && datadogAppKey && { datadog: { api: datadogApiKey, application: datadogAppKey } }),
    })
  }

  private desk(
    wishes: { performance: boolean; vulnerabilities: string | undefined; snykToken: Secret | undefined },
    workspace: Workspace,
  ): Pipeline {
    const { performance, vulnerabilities, snykToken } = wishes
    return new Pipeline(this.source, workspace, {
      ...(performance && { load: { users: 50, seconds: 60 } }),
      ...(vulnerabilities !== undefined && { database: vulnerabilities }),
      ...(snykToken && { snykToken }),
    })
  }
}

/** Secrets as `dagger/config/deploy.yaml` names them, of the arguments of the same names: `databaseUrl` is DATABASE_URL. */
function secretsOf(given: Record<string, Secret | undefined>): Record<string, Secret> {
  const named = Object.entries(given).map(([name, secret]) => [
    name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase(),
    secret,
  ])
  return Object.fromEntries(named.filter(([, secret]) => secret !== undefined)) as Record<string, Secret>
}
