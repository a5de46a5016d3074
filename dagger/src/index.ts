/**
 * Pitwall: the delivery pipeline of the F1 Prediction Analytics platform.
 *
 * Start with `./daggerw call ci`. Arguments that every call needs, such as the kubeconfig, are read from the file .env beside dagger.json; .env.example lists them.
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
import { Delivery } from "./api/delivery.js"
import { gatesOf, loadGatesOf } from "./api/gates.js"
import type { Output } from "./api/output.js"
import {
  ModuleChecks,
  PythonLibrary,
  PythonService,
  ReactApp,
  ReactLibrary,
  SecurityChecks,
} from "./api/checks.js"
import type { Connection } from "./environments/environment.js"
import { useCaches } from "./platform/caches.js"
import { RehearsalRunner } from "./rehearsal/runner.js"
import { faultTable } from "./rehearsal/faults.js"

/** Names without repetitions. A workflow passes an empty text where it knows none. */
const named = (authors: string[]) => [...new Set(authors.map((one) => one.trim()).filter(Boolean))]

@object()
export class Pitwall {
  private source: Directory
  private kubeconfig?: Secret
  private kubeToken?: Secret
  private secrets?: Secret
  private registry: string
  private registryService?: Service
  private settings?: File
  private caches: string
  private passes?: Directory

  /**
   * @param source The repository. Files that no gate and no build reads stay on the host.
   * @param kubeconfig Kubeconfig of the cluster to deploy to, such as file://kubeconfig or 'cmd://kubectl config view --raw --minify --flatten'.
   * @param kubeToken Token that replaces the kubeconfig's user, such as 'cmd://kubectl create token deployer --namespace f1-staging'. Managed clusters need it.
   * @param secrets Secrets file with one NAME=value per line, such as file://secrets.env: STAGING_DATABASE_URL, REGISTRY_PASSWORD, SNYK_TOKEN and so on. A deploy names entries that are missing.
   * @param registry Registry and path for images, such as ghcr.io/owner/repository.
   * @param registryService Service that answers at the registry's address, for registries that only this machine reaches.
   * @param settings YAML file with overrides for dagger/config/deploy.yaml.
   * @param passes Folder of passes that a report of another machine contains: gates whose inputs are equal need not run here. Only those count that are signed by a key of passes.trusted in dagger/config/security.yaml; a report contains passes when the secrets file has PASSES_SIGNING_KEY.
   * @param caches Caches to use, such as pull-request: runs with another name share no download, no tool's cache and no remembered gate with this one.
   */
  constructor(
    // Exceptions have no wildcards: with one, the CLI walks through all that is excluded, such as node_modules.
    @argument({
      defaultPath: "/",
      ignore: [
        "*",
        "!.ci",
        "!.dependency-cruiser.mjs",
        "!.github",
        "!dagger",
        "!docs/architecture.md",
        "!engine",
        "!scripts",
        "!services",
        "!.gitignore",
        "!.npmrc",
        "!.prettierignore",
        "!.prettierrc",
        "!README.md",
        "!dagger.json",
        "!daggerw",
        "!eslint.config.js",
        "!package-lock.json",
        "!package.json",
        "!tsconfig.json",
        "!vitest.config.ts",
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
    kubeconfig?: Secret,
    kubeToken?: Secret,
    secrets?: Secret,
    registry = "",
    registryService?: Service,
    settings?: File,
    caches = "",
    passes?: Directory,
  ) {
    this.source = source
    this.kubeconfig = kubeconfig
    this.kubeToken = kubeToken
    this.secrets = secrets
    this.registry = registry
    this.registryService = registryService
    this.settings = settings
    this.caches = caches
    this.passes = passes
  }

  /**
   * Runs every gate and prints the gate table.
   *
   * Gates run in parallel, and all of them run even after one failed. Throws when a gate failed or could not run; the message contains the table, the output of
   * each such gate, and the command that runs it again. A pass is remembered for the same source, a failure never.
   *
   * Example: `./daggerw call ci --since origin/main`
   *
   * @param only Groups of gates: services such as f1-backend, module (the pipeline itself) or security. All, if none is named.
   * @param since Git ref such as origin/main: run only the gates that the changes since then affect, uncommitted ones included. In doubt (no git, a shallow clone, a shared file) all gates run.
   * @param performance Put the backends under load for 60 seconds as well.
   * @param failFast Start no further gate after a failure.
   * @param parallel Gates that run at the same time; 0: as many as the engine has processors.
   * @param vulnerabilities OCI reference of a vulnerability database in Trivy's format; default: the one in dagger/config/security.yaml.
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
    from?: File,
  ): Promise<string> {
    const gates = await this.gates(workspace, performance, vulnerabilities)
    return from ? gates.resultOf(from) : gates.ci({ only, since, failFast, parallel })
  }

  /**
   * Runs the gates and returns a folder of reports, whether they pass or not.
   *
   * Contents: `index.html`, `summary.md`, `summary.json`, `annotations.txt` (GitHub workflow commands), and the folders `junit`, `coverage` (Cobertura, lcov),
   * `sarif`, `logs` and `pictures`.
   *
   * Example: `./daggerw call report export --path reports`
   *
   * @param only Groups of gates: services such as f1-backend, module (the pipeline itself) or security. All, if none is named.
   * @param since Git ref such as origin/main: run only the gates that the changes since then affect.
   * @param performance Put the backends under load for 60 seconds as well.
   * @param failFast Start no further gate after a failure.
   * @param parallel Gates that run at the same time; 0: as many as the engine has processors.
   * @param vulnerabilities OCI reference of a vulnerability database in Trivy's format; default: the one in dagger/config/security.yaml.
   * @param shard Run a part of the gates, such as 2/4 on the second of four machines. They are split by how long they took, as --passes says; without it, by number.
   * @param merge Folder with a folder for each report of a --shard: run nothing, and join them.
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
    shard = "",
    merge?: Directory,
  ): Promise<Directory> {
    const gates = await this.gates(workspace, performance, vulnerabilities)
    if (merge) return gates.merge(merge)
    return gates.report({ only, since, failFast, parallel, shard })
  }

  /**
   * Puts the backends under load with Locust, each on stores of its own, and prints the gate table.
   *
   * Throws when too many requests failed or answers were too slow: see `load` in dagger/config/services.yaml.
   *
   * Example: `./daggerw call load-test --users 50 --duration 60s`
   *
   * @param users Simulated users at the same time.
   * @param duration Length of the test, such as 90s or 5m.
   * @param only Backends by name; all, if none is named.
   */
  @func({ cache: "never" })
  async loadTest(users = 50, duration = "60s", only: string[] = []): Promise<string> {
    return loadGatesOf(this.source, this.caches, users, duration).load(only)
  }

  /**
   * Runs some tests of a gate and prints what their tool said. The output of a failed gate contains this command.
   *
   * Example: `./daggerw call test --gate api:test --select tests/test_reading.py`
   *
   * @param gate Gate that runs tests, such as api:test or web:browser.
   * @param select Arguments for its tool (pytest, Vitest or Playwright) that choose tests.
   */
  @func({ cache: "never" })
  async test(gate: string, select = ""): Promise<string> {
    return (await gatesOf(this.source, this.caches, {})).rerun(gate, select)
  }

  /**
   * Returns the files that the formatter of a gate would change, or the sizes that the gate of an image compares with. The output of a failed gate contains the whole command.
   *
   * Example: `./daggerw call fix --gate api:format export --path services/api`
   *
   * @param gate Gate of a formatter, such as api:format or module:format, or of an image, such as api:image.
   */
  @func({ cache: "never" })
  async fix(gate: string): Promise<Directory> {
    return (await gatesOf(this.source, this.caches, {})).fix(gate)
  }

  /**
   * Builds images for platforms, and starts each on its platform until it reports that it is ready, with a database, a cache or a backend where it needs them.
   *
   * A platform other than the machine's runs under QEMU, which is slow; nothing is pushed. A backend with a model is ready only when the model gives its golden
   * predictions. Throws with the table when an image does not build or does not become ready.
   *
   * Example: `./daggerw call build --platform linux/amd64 --platform linux/arm64 --only web`
   *
   * @param platform linux/amd64 or linux/arm64.
   * @param only Services; all that have an image, if none is named.
   */
  @func({ cache: "never" })
  async build(platform: string[] = ["linux/amd64"], only: string[] = []): Promise<string> {
    return this.delivery.build(only, platform)
  }

  /**
   * Builds the images that environments deploy, pushes them to the registry, and returns the release: a file with their digests that `deploy --release` takes.
   *
   * The same release goes through every environment, so that production runs the very images that staging ran. Needs --registry.
   *
   * With SIGNING_KEY in the secrets file, or in a job of GitHub Actions with its identity, it describes and signs every image and the release: packages of each platform, how and from
   * what it was built, what the gates and a scan said. The release is then in the registry too, and its reference is printed. An interrupted call is completed by the same call.
   *
   * Example: `./daggerw call --registry ghcr.io/owner/repository publish --from reports/summary.json export --path release.json`
   *
   * @param from The summary.json of a report for the same source. Nothing is published when its gates failed.
   * @param only Services; all that some environment deploys, if none is named.
   * @param author Authors that the release names in addition to those of its commits, such as logins that GitHub knows.
   * @param platform linux/amd64 or linux/arm64: with several, each image is an index of them; default: the machine's.
   */
  @func({ cache: "never" })
  async publish(
    workspace: Workspace,
    from?: File,
    only: string[] = [],
    author: string[] = [],
    platform: string[] = [],
  ): Promise<File> {
    return this.delivery.publish(workspace, {
      only,
      platforms: platform,
      authors: named(author),
      ...(from && { summary: from }),
    })
  }

  /**
   * Verifies images: that whoever it must be has signed each platform's, with its packages in SPDX and CycloneDX, its provenance, the gates' results and a scan, and that no layer was changed.
   *
   * Lists everything that is missing or wrong, and throws with it.
   *
   * Example: `./daggerw call verify --image ghcr.io/owner/repository/api@sha256:… --env production`
   *
   * @param image Images, such as ghcr.io/owner/repository/api@sha256:…
   * @param env staging or production: guards.signatures in dagger/config/deploy.yaml says whose signatures count.
   * @param publicKey Instead of an environment, a file with the public key.
   * @param identity Instead of a key, who must have signed without one: the whole address of a workflow with its ref, such as https://github.com/owner/repository/.github/workflows/pipeline.yml@refs/heads/main.
   * @param issuer Who vouches for that identity, such as https://token.actions.githubusercontent.com.
   * @param commit Commit that the images must be built from; any, if none is named.
   * @param platform linux/amd64 or linux/arm64: platforms that each image must have.
   * @param trustedRoot File with the trusted root of another Sigstore than the public one, or of the public one where there is no network.
   */
  @func({ cache: "never" })
  async verify(
    image: string[],
    env = "",
    publicKey?: File,
    identity = "",
    issuer = "",
    commit = "",
    platform: string[] = [],
    trustedRoot?: File,
  ): Promise<string> {
    return this.delivery.verify({
      images: image,
      env,
      identity,
      issuer,
      commit,
      platforms: platform,
      ...(publicKey && { publicKey }),
      ...(trustedRoot && { trustedRoot }),
    })
  }

  /**
   * Builds images again from the working tree, and compares them with those that were published: equal files have equal digests, on every machine.
   *
   * Names what differs, file by file, and throws with it. Check out the commit that the images were built from first; `verify` names it.
   *
   * Example: `./daggerw call verify-build --image ghcr.io/owner/repository/api@sha256:…`
   *
   * @param image Images, such as ghcr.io/owner/repository/api@sha256:…; their names end with that of a service.
   */
  @func({ cache: "never" })
  async verifyBuild(image: string[]): Promise<string> {
    return this.delivery.verifyBuild(image)
  }

  /**
   * Removes images and releases from the registry that nobody uses, with everything that is said of them, and lists what stays and why.
   *
   * What stays: every revision that an environment keeps, what its approvals and its history name, releases with such images and all their images, and what is younger
   * than --older-than; all of it with signatures and attestations. An environment or a registry that cannot be read removes nothing. It may be interrupted and run twice
   * at once. The registry must allow deletion, and frees the space itself. On ghcr.io GitHub's API deletes, with REGISTRY_PASSWORD, and never the last image of a package.
   *
   * Example: `./daggerw call --registry registry.example.com/owner prune --older-than 720h --dry-run`
   *
   * @param olderThan Age until which everything stays, such as 720h (30 days).
   * @param dryRun Only list what would go.
   * @param undeployed staging or production: nothing was ever deployed there, so that it is no mistake to find nothing.
   * @param productionKubeconfig Kubeconfig of production, with its token, where that is another cluster than that of --kubeconfig.
   */
  @func({ cache: "never" })
  async prune(
    olderThan = "720h",
    dryRun = false,
    undeployed: string[] = [],
    productionKubeconfig?: Secret,
  ): Promise<string> {
    return this.delivery.prune({
      olderThan,
      dryRun,
      undeployed,
      ...(productionKubeconfig && { production: productionKubeconfig }),
    })
  }

  /**
   * Writes release notes in Markdown from the commits between two releases: breaking changes first, then features, fixes and the rest by the types of Conventional Commits.
   *
   * Each change is named once: no merges, no cherry-picks that the first release has already, and no change whose revert came with it. Throws in a shallow clone.
   *
   * Example: `./daggerw call release-notes --from v1.1.0 --to v1.2.0 > notes.md`
   *
   * @param from Tag, branch or commit of the earlier release; default: the newest tag before the later one, and without one, everything.
   * @param to Tag, branch or commit of the later release.
   */
  @func({ cache: "never" })
  async releaseNotes(workspace: Workspace, from = "", to = "HEAD"): Promise<string> {
    return this.delivery.releaseNotes(workspace, from, to)
  }

  /**
   * Writes a changelog in Markdown: the release notes of every tag in the history, the newest first, and before them what no tag has yet.
   *
   * Example: `./daggerw call changelog export --path CHANGELOG.md`
   *
   * @param to Tag, branch or commit where it ends.
   */
  @func({ cache: "never" })
  async changelog(workspace: Workspace, to = "HEAD"): Promise<File> {
    return this.delivery.changelog(workspace, to)
  }

  /**
   * Publishes a release on GitHub: release notes since the tag before, and release.json, which deploys take.
   *
   * It is a draft until its files are there; run the same command again to resume. A version such as v1.2.0-rc.1 becomes a prerelease. Throws when the tag names another
   * commit than the one that the release was built from, and when the tag is published with another release. Needs GITHUB_TOKEN in --secrets.
   *
   * Example: `./daggerw call --secrets file://secrets.env github-release --repository owner/name --tag v1.2.0 --release release.json`
   *
   * @param repository Repository on GitHub, as owner/name.
   * @param tag Tag of the version; made at the release's commit if there is none.
   * @param release File that publish made.
   */
  @func({ cache: "never" })
  async githubRelease(workspace: Workspace, repository: string, tag: string, release: File): Promise<string> {
    return this.delivery.githubRelease(workspace, { repository, tag, release })
  }

  /**
   * Deploys to an environment and prints what became of each component.
   *
   * Prints the plan first. Strategy, analysis and guards come from dagger/config/deploy.yaml. A bad revision is taken back automatically. The state is in the cluster: run the same
   * command again to resume an interrupted deploy. Throws with the table when a component failed, and with every reason when the deploy may not start.
   *
   * Without a release or images it builds the images from source and runs their gates beside the deploy.
   *
   * A model is deployed by its name: it predicts beside the one that serves first, then every pod has to serve it, and a pod that cannot takes it back.
   *
   * Example: `./daggerw call deploy --env staging`, with KUBECONFIG, REGISTRY and SECRETS in .env
   *
   * Example: `./daggerw call deploy --env staging --only f1-winners`
   *
   * @param env staging or production.
   * @param release File in this repository that publish made, or the same release in the registry, as publish printed it: REPOSITORY/release@sha256:…
   * @param image Existing images instead of a release, such as api=ghcr.io/owner/repository/api@sha256:…
   * @param only Services; all of the environment, if none is named. A model only where it is named, alone: f1-winners for the challenger, or f1-winners@ and a digest.
   * @param strategy blue-green or canary; default: that of the environment.
   * @param reason Reason for the audit log.
   * @param author Authors in addition to those of the commits, such as who started a workflow: an e-mail, a login of GitHub or a user of the cluster.
   * @param override Reason to override guards; it is recorded. guards.overrides in dagger/config/deploy.yaml says who may. A database that the images cannot work with is never overridden.
   */
  @func({ cache: "never" })
  async deploy(
    workspace: Workspace,
    env: string,
    release = "",
    image: string[] = [],
    only: string[] = [],
    strategy = "",
    reason = "",
    author: string[] = [],
    override = "",
  ): Promise<string> {
    const selection = {
      images: image,
      only,
      strategy,
      release,
      authors: named(author),
    }
    return this.delivery.deploy(workspace, env, selection, { reason, override })
  }

  /**
   * Shows what a deploy would do: each component's steps, what would change in the cluster, and which guards stand against it. Changes nothing.
   *
   * Example: `./daggerw call plan --env production --release release.json`
   *
   * @param env staging or production.
   * @param release File in this repository that publish made, or the same release in the registry, as publish printed it: REPOSITORY/release@sha256:…
   * @param image Existing images instead of a release, such as api=ghcr.io/owner/repository/api@sha256:…; default: the images that are deployed now.
   * @param only Services; all of the environment, if none is named. A model only where it is named, alone: f1-winners for the challenger, or f1-winners@ and a digest.
   * @param strategy blue-green or canary; default: that of the environment.
   * @param author Authors in addition to those of the commits.
   */
  @func({ cache: "never" })
  async plan(
    workspace: Workspace,
    env: string,
    release = "",
    image: string[] = [],
    only: string[] = [],
    strategy = "",
    author: string[] = [],
  ): Promise<Output> {
    const selection = {
      images: image,
      only,
      strategy,
      release,
      authors: named(author),
    }
    return this.delivery.plan(workspace, env, selection)
  }

  /**
   * Migrates databases: backs each one up, restores the backup into a copy and compares it, runs the migrations on the copy, has older code and the new image answer reads from
   * it, then runs them on the database, and verifies it. Code that cannot answer a read any more refuses the migrations, and the request is named.
   *
   * It runs as a Job in the environment, from the image that will serve, so that no data leaves the environment and the database need not be reachable from here. The Job
   * goes on by itself: run the same command again to follow an interrupted migration to its end. `deploy` does the same for the databases of what it deploys. Migrations
   * that older code cannot live with wait until no revision is kept that needs the old shape; the status function says what waits for what. Throws with the table
   * when a migration failed, and with every reason when it may not start. Databases are those of `services.SERVICE.database` in dagger/config/deploy.yaml.
   *
   * Example: `./daggerw call migrate --env staging --release release.json --plan-only`
   *
   * @param env staging or production.
   * @param database Databases by their names or those of their services, such as recipes or api; all of the environment, if none is named.
   * @param planOnly Only run the migrations on a copy, and show each statement with its locks and how long it took. The database is read and not changed; no backup is made.
   * @param release File in this repository that publish made, or the same release in the registry, as REPOSITORY/release@sha256:…: its images bring the migrations.
   * @param image Existing images instead of a release, such as api=ghcr.io/owner/repository/api@sha256:…; default: the images that have all traffic now.
   * @param reason Reason for the audit log.
   * @param author Authors in addition to those of the commits.
   * @param override Reason to override guards; it is recorded. guards.overrides in dagger/config/deploy.yaml says who may.
   */
  @func({ cache: "never" })
  async migrate(
    workspace: Workspace,
    env: string,
    database: string[] = [],
    planOnly = false,
    release = "",
    image: string[] = [],
    reason = "",
    author: string[] = [],
    override = "",
  ): Promise<string> {
    const selection = {
      databases: database,
      images: image,
      release,
      authors: named(author),
    }
    return this.delivery.migrate(workspace, env, selection, { reason, override, planOnly })
  }

  /**
   * Backs databases up: dumps each to S3, restores the dump into a throw-away PostgreSQL in the environment and compares revisions, rows and checksums of every table.
   *
   * Behind a backup that is good, those that have expired are removed: `services.SERVICE.database.backup.keep` in dagger/config/deploy.yaml says which. The workflow does
   * it every night. The result goes into the audit log, and to a pager as a problem that the next success resolves. Throws when a backup cannot be made, stored or restored.
   *
   * Example: `./daggerw call backup --env production`
   *
   * @param env staging or production.
   * @param database Databases by their names or those of their services, such as recipes or api; all of the environment, if none is named.
   */
  @func({ cache: "never" })
  async backup(env: string, database: string[] = []): Promise<string> {
    return this.delivery.backup(env, database)
  }

  /**
   * Proves that backups can be restored: restores each into a throw-away PostgreSQL in the environment and compares revisions, rows and checksums of every table.
   *
   * The database itself is not read, so it may run at any time, for example every night. The result goes into the audit log, and to a pager as a problem that the next
   * success resolves. Throws when a backup is missing, damaged, incomplete, or of another database.
   *
   * Example: `./daggerw call verify-backup --env production`
   *
   * @param env staging or production.
   * @param database Databases by their names or those of their services, such as recipes or api; all of the environment, if none is named.
   * @param backup Id of the backup, such as 2026-03-02T10-00-00Z-0a1b2c; default: the newest.
   */
  @func({ cache: "never" })
  async verifyBackup(env: string, database: string[] = [], backup = ""): Promise<string> {
    return this.delivery.verifyBackup(env, database, backup)
  }

  /**
   * Finds what nobody migrated: compares databases with empty ones that get the same migrations, and with the models of the serving images.
   *
   * It sees what Alembic does not, such as sequences, triggers, functions and changed expressions. It only reads, so it may run at any time; status shows the last
   * result. Throws with every difference, which goes into the audit log, and to a pager as a problem that the next success resolves.
   *
   * Example: `./daggerw call drift --env production`
   *
   * @param env staging or production.
   * @param database Databases by their names or those of their services, such as recipes or api; all of the environment, if none is named.
   */
  @func({ cache: "never" })
  async drift(env: string, database: string[] = []): Promise<string> {
    return this.delivery.drift(env, database)
  }

  /**
   * Trains the model on results that the one which serves has not seen, and judges it; ends at once when there are none.
   *
   * A Job from the serving image does it in the environment: it takes new results in, trains, compares the model with the champion on races that neither knew, and
   * publishes it, signed, to the registry. A clearly better model becomes the challenger; with too little evidence the champion stays; a worse one, or one that fails a check, is
   * refused. A source that does not answer, and a race whose results are still coming in, put it off. The verdict and its reason go into the audit log. Run it again
   * after it was interrupted. Throws when the training failed.
   *
   * Example: `./daggerw call train --env staging`
   *
   * @param env staging or production.
   * @param force Train although there is nothing new.
   */
  @func({ cache: "never" })
  async train(env: string, force = false): Promise<string> {
    return this.delivery.train(env, force)
  }

  /**
   * Puts a backup into the place of a database, and keeps what was there beside it under another name.
   *
   * The database is read-only from the download of the backup on. The backup is restored beside it, compared with what it says of itself, migrated to what the serving
   * code was built for, and takes the place of the database by a rename. It runs as a Job in the environment that goes on by itself: run the same command again to
   * follow one that was interrupted. What was written since the backup is then only in the database that is kept, NAME_replaced_…, and an administrator drops that.
   *
   * Needs a reason, and where the environment requires approvals, that of somebody else; calendars, freezes and gates do not stand in its way. The role in the database's
   * address needs CREATEDB and to own the database.
   *
   * Example: `./daggerw call restore --env staging --database recipes --to 2026-03-02T10:00:00Z --dry-run`
   *
   * @param env staging or production.
   * @param to Id of a backup, such as 2026-03-02T10-00-00Z-0a1b2c, or a moment such as 2026-03-02T10:00:00Z, for the newest backup that was taken until then.
   * @param database The database, by its name or that of its service, such as recipes; not needed where the environment has one.
   * @param reason Reason for the audit log.
   * @param override Reason to do without the approval; it is recorded. guards.overrides in dagger/config/deploy.yaml says who may.
   * @param dryRun Only restore into a throw-away PostgreSQL, and say what the backup lacks. Changes nothing.
   */
  @func({ cache: "never" })
  async restore(
    workspace: Workspace,
    env: string,
    to: string,
    database = "",
    reason = "",
    override = "",
    dryRun = false,
  ): Promise<string> {
    return this.delivery.restore(workspace, env, named([database]), { to, reason, override, dryRun })
  }

  /**
   * Takes back the deploy in progress, or returns to a proven revision, without losing a request. With a database it takes migrations back, with a model it returns to the champion before.
   *
   * No guard stands in the way, but it refuses a revision that cannot work with the database as it is now, and one after which a web app that visitors get would call what
   * its backend does not serve; it names a revision that fits.
   *
   * A database goes back behind a verified backup and a rehearsal on its copy. That is refused where rows or values would be lost, and where the code that serves
   * was built for a migration that would be undone: take the code back first.
   *
   * Example: `./daggerw call rollback --env production --service api --reason "prices are wrong"`
   *
   * Example: `./daggerw call rollback --env production --database recipes --reason "the new table stays empty"`
   *
   * Example: `./daggerw call rollback --env production --model f1-winners --reason "its favourites are odd"`
   *
   * @param env staging or production.
   * @param reason Reason for the audit log.
   * @param service One service; all backends of the environment, if neither a service nor a database nor a model is named.
   * @param to Number of a kept revision of that service; default: the proven one before the present. The status function lists them. Of a database, the id of the
   * migration that it is at afterwards; default: the one that the serving code was built for. Of a model its digest; default: the champion before.
   * @param database One database by its name, such as recipes.
   * @param loseData Why the database may lose rows or values; recorded in the audit log. Default: it may not.
   * @param model One model by its name, such as f1-winners.
   * @param override Why a web app may call what its backend does not serve, or although that is not known; recorded in the audit log. Default: it may not.
   */
  @func({ cache: "never" })
  async rollback(
    env: string,
    reason: string,
    service = "",
    to = "",
    database = "",
    loseData = "",
    model = "",
    override = "",
  ): Promise<string> {
    const names = [service, database, model].filter((name) => name !== "")
    if (names.length > 1)
      throw new Error("--service, --database and --model: allowed is one of them, the code goes back first")
    return this.delivery.rollback(env, names, {
      reason,
      ...(to !== "" && { to }),
      ...(loseData !== "" && { loseData }),
      ...(override !== "" && { override }),
    })
  }

  /**
   * Shows the web apps of the working tree at an address of their own, beside what visitors get.
   *
   * Builds them, uploads what the bucket lacks, and prints the address: a host name below previews.domain where dagger/config/deploy.yaml has one, and the header that
   * shows the preview at the app's own address. Pages get the configuration of the environment and nothing else; a build with one of the given secrets in it is refused.
   * What is live, a canary and the history stay as they are. The edge refuses a preview that has expired (previews.expires, a week), and the next deploy removes its files. The same
   * name again replaces the preview, and begins its time anew.
   *
   * Example: `./daggerw call preview --name pr-12`
   *
   * @param name Name of the preview: up to 63 lower-case letters, digits and hyphens.
   * @param env staging or production.
   * @param only Web apps; all with preview: true, if none is named.
   * @param remove End the preview of that name now. Nothing is built.
   */
  @func({ cache: "never" })
  async preview(name: string, env = "staging", only: string[] = [], remove = false): Promise<string> {
    return this.delivery.preview(env, name, { only, remove })
  }

  /**
   * Returns the newest audit of each web app as a folder: what Lighthouse and axe found of the release, the difference to the release that was live, and screenshots.
   *
   * Contents: `index.html`, `summary.md`, and for each app a folder with `report.md`, `audit.json` and the pictures. An audit that cannot be read is shown as such.
   *
   * Example: `./daggerw call audits --env staging export --path audits`
   *
   * @param env staging or production.
   * @param only Web apps; all of the environment, if none is named.
   */
  @func({ cache: "never" })
  async audits(env: string, only: string[] = []): Promise<Directory> {
    return this.delivery.audits(env, only)
  }

  /**
   * Shows the components of an environment: phase, traffic, revisions with their images and pods, who works on them, and what happened last.
   *
   * Of web apps it shows their previews, each with its end. Of databases it shows their revision, the last verified backup, and which migrations wait for which revisions.
   *
   * Example: `./daggerw call status --env staging`
   *
   * @param env staging or production.
   * @param only Services, databases or models; all of the environment, if none is named.
   */
  @func({ cache: "never" })
  async status(env: string, only: string[] = []): Promise<Output> {
    return this.delivery.status(env, only)
  }

  /**
   * Shows what was deployed, rolled back and refused, newest first: who, what, when, why, how long it took and how it ended.
   *
   * Example: `./daggerw call history --env production json > history.json`
   *
   * @param env staging or production.
   * @param only Services; all of the environment, if none is named.
   * @param limit Most operations to show.
   * @param after Continue after the operation with this id; the output names it when there are more.
   */
  @func({ cache: "never" })
  async history(env: string, only: string[] = [], limit = 50, after = ""): Promise<Output> {
    return this.delivery.history(env, { only, limit, ...(after !== "" && { after }) })
  }

  /**
   * Deletes old entries from an environment's audit log. Deployers may not; give the kubeconfig of an administrator.
   *
   * Example: `./daggerw call --kubeconfig file://admin.kubeconfig prune-history --env staging --older-than 8760h`
   *
   * @param env staging or production.
   * @param olderThan Age of the newest entry to delete, such as 8760h (a year).
   */
  @func({ cache: "never" })
  async pruneHistory(env: string, olderThan: string): Promise<string> {
    return this.delivery.pruneHistory(env, olderThan)
  }

  /**
   * Returns the events of an environment's deploys, rollbacks and approvals, oldest first, as JSON Lines: those that ran on this engine. The permanent record is the history.
   *
   * Each is an object: schemaVersion (1), at (ISO 8601), kind (started, resumed, shifted, promoted, rolling-back, rolled-back, failed, refused, overridden, approved, revoked, checked,
   * migrated, migration-failed, restored, restore-failed, backup-verified, backup-not-verified, compared, drifted, trained or training-failed),
   * environment, component (kind, name), operation, revision, digest, models (from, to), by, message, key (the same for all events about one problem), severity (info, warning or critical),
   * resolves (true when that problem is over).
   *
   * Example: `./daggerw call events --env staging export --path events.jsonl`
   *
   * @param env staging or production.
   */
  @func({ cache: "never" })
  async events(env: string): Promise<File> {
    return this.delivery.events(env)
  }

  /**
   * Approves everything that a deploy would run: images, settings, variables and secrets, in the name of the kubeconfig's user and for a limited time.
   *
   * A refused deploy records what it would run and prints its id. With --request, this shows what that contains, after comparing its settings with those of this checkout;
   * with --confirm and the code that it prints, it approves exactly that.
   *
   * Example: `./daggerw call approve --env production --request 20261126-101500-x7k2`
   *
   * @param env production.
   * @param request Id of a refused deploy.
   * @param confirm Code that the same command prints without it.
   * @param release Instead of a request, a file in this repository that publish made, or the same release in the registry, as REPOSITORY/release@sha256:…: computes what it would run, from --secrets and --settings.
   * @param image Instead of a request, images such as api=ghcr.io/owner/repository/api@sha256:…
   * @param only Services of the release; all of the environment, if none is named.
   * @param note Note for the record.
   */
  @func({ cache: "never" })
  async approve(
    workspace: Workspace,
    env: string,
    request = "",
    confirm = "",
    release = "",
    image: string[] = [],
    only: string[] = [],
    note = "",
  ): Promise<string> {
    const selection = { images: image, only, release }
    return this.delivery.approve(workspace, env, { request, confirm, note, ...selection })
  }

  /**
   * Revokes an approval: it permits no further deploy. What runs goes on running; take it back with rollback.
   *
   * Example: `./daggerw call revoke --env production --approval 20261126-101500-x7k2 --reason "the advisory of this morning"`
   *
   * @param env production.
   * @param approval Id of the approval; the history function lists them.
   * @param reason Reason for the record.
   */
  @func({ cache: "never" })
  async revoke(env: string, approval: string, reason: string): Promise<string> {
    return this.delivery.revoke(env, approval, reason)
  }

  /**
   * Records for an environment what the gates said of a release. It counts for deploys of the release's images; of several verdicts, the latest.
   *
   * Only the identity of CI may: who was named as checker when the rights of the environment were made. The report has to be one of all gates, about the commit of the release. A failure is recorded as well, and then thrown.
   *
   * Example: `./daggerw call record-checks --env production --release release.json --from reports/summary.json`
   *
   * @param env staging or production.
   * @param release File that publish made.
   * @param from The summary.json of a report.
   */
  @func({ cache: "never" })
  async recordChecks(env: string, release: File, from: File): Promise<string> {
    return this.delivery.recordChecks(env, release, from)
  }

  /**
   * Prints what an administrator applies once for an environment, and again after a change to its host names or services and after an upgrade of Pitwall.
   *
   * Its namespaces, the least rights that deploying, approving and recording verdicts need, its Gateway, and admission policies: with them the API server itself refuses
   * images that nobody approved, other environments' host names and Gateways, and pods with other accounts, whatever program asks.
   *
   * Example: `./daggerw call access --env production --deployer system:serviceaccount:f1-production:deployer --approver group:approvers --checker system:serviceaccount:ci:checker | kubectl apply -f -`
   *
   * @param env staging or production.
   * @param deployer Who deploys, as the API server names them: a user, system:serviceaccount:NAMESPACE:NAME or group:NAME.
   * @param approver Who approves, where approval is required; default: those in dagger/config/deploy.yaml.
   * @param checker Who records what the gates said: the identity of CI.
   */
  @func({ cache: "never" })
  async access(
    env: string,
    deployer: string[],
    approver: string[] = [],
    checker: string[] = [],
  ): Promise<string> {
    return this.delivery.access(env, { deployers: deployer, approvers: approver, checkers: checker })
  }

  /**
   * Prints the CloudFormation template that an administrator applies once for a web app, and again after a change to its settings and after an upgrade of Pitwall.
   *
   * A private bucket, a distribution with its functions, access logs, and a role for deploys with the least rights. CloudFront wants it in us-east-1.
   *
   * Example: `./daggerw call frontend-infrastructure --env staging --app web > web.yaml`
   *
   * @param env staging or production.
   * @param app The web app, as in dagger/config/deploy.yaml.
   */
  @func({ cache: "never" })
  async frontendInfrastructure(env: string, app: string): Promise<string> {
    return this.delivery.frontendInfrastructure(env, app)
  }

  /**
   * Rehearses deploys: the code of `deploy`, on a throw-away cluster, under load, with a fault injected, measured.
   *
   * Prints a table: the result, failed requests, p95 before and during the deploy, seconds until promotion, seconds in which users were affected. Throws with it when a rehearsal did
   * not end as it must: a bad revision got through, a good one did not, or more requests were lost than the fault itself costs.
   *
   * Example: `./daggerw call rehearse --fault error-rate --strategy canary`
   *
   * @param fault Faults to inject, one after another, such as none, error-rate, latency, crash-at-start or killed-shifting. The faults function lists them.
   * @param strategy blue-green or canary; give it twice for both.
   * @param service Service to deploy: api or f1-backend.
   * @param requestsPerSecond Load in requests per second.
   * @param peer Tools to compare with on the same cluster, images and load: kubectl (a plain Deployment), argo-rollouts, flagger. Only for faults of the candidate.
   * @param asJson Print the figures as JSON.
   */
  @func({ cache: "never" })
  async rehearse(
    fault: string[],
    strategy: string[] = ["canary"],
    service = "api",
    requestsPerSecond = 50,
    peer: string[] = [],
    asJson = false,
  ): Promise<string> {
    useCaches(this.caches)
    return new RehearsalRunner(this.source).rehearse({
      faults: fault,
      strategies: strategy,
      service,
      rate: requestsPerSecond,
      peers: peer,
      json: asJson,
      ...(this.settings && { settings: this.settings }),
    })
  }

  /** Lists the faults that a rehearsal can inject. Example: `./daggerw call faults` */
  @func()
  faults(): string {
    return faultTable()
  }

  /** Gates of the recipes API. Example: `./daggerw check 'api:*'` */
  @func()
  api(): PythonService {
    return new PythonService(this.source, "api", this.caches)
  }

  /** Gates of the F1 prediction backend. Example: `./daggerw check 'f-1-backend:*'` */
  @func()
  f1Backend(): PythonService {
    return new PythonService(this.source, "f1-backend", this.caches)
  }

  /** Gates of the library that the Python services share. Example: `./daggerw check 'servicekit:*'` */
  @func()
  servicekit(): PythonLibrary {
    return new PythonLibrary(this.source, "servicekit", this.caches)
  }

  /** Gates of the recipes web app. Example: `./daggerw check 'web:*'` */
  @func()
  web(): ReactApp {
    return new ReactApp(this.source, "web", this.caches)
  }

  /** Gates of the F1 dashboard. Example: `./daggerw check 'f-1-frontend:*'` */
  @func()
  f1Frontend(): ReactApp {
    return new ReactApp(this.source, "f1-frontend", this.caches)
  }

  /** Gates of the library that the web apps share. Example: `./daggerw check 'frontend-kit:*'` */
  @func()
  frontendKit(): ReactLibrary {
    return new ReactLibrary(this.source, "frontend-kit", this.caches)
  }

  /** Gates of the pipeline's own source. Example: `./daggerw check 'module:*'` */
  @func()
  module(): ModuleChecks {
    return new ModuleChecks(this.source, this.caches)
  }

  /**
   * Gates that look for vulnerabilities, secrets, licences and insecure code. Example: `./daggerw check 'security:*'`
   *
   * @param vulnerabilities OCI reference of a vulnerability database in Trivy's format.
   * @param database Service that answers at registry.local in that reference.
   */
  @func()
  security(vulnerabilities?: string, database?: Service): SecurityChecks {
    return new SecurityChecks(this.source, this.caches, this.secrets, vulnerabilities, database)
  }

  /**
   * A throw-away Kubernetes cluster of one node, with DNS and a router. Example: `./daggerw call cluster serve up`
   *
   * @param name Name of the cluster; two names are two clusters.
   */
  @func()
  cluster(name = "pitwall"): KubernetesCluster {
    return new KubernetesCluster(this.source, name)
  }

  private get delivery(): Delivery {
    return new Delivery(this.source, this.connection, this.caches)
  }

  private get connection(): Connection {
    return {
      registry: this.registry,
      ...(this.kubeconfig && { kubeconfig: this.kubeconfig }),
      ...(this.kubeToken && { kubeToken: this.kubeToken }),
      ...(this.secrets && { secrets: this.secrets }),
      ...(this.registryService && { registryService: this.registryService }),
      ...(this.settings && { settings: this.settings }),
    }
  }

  private gates(workspace: Workspace, performance: boolean, vulnerabilities?: string) {
    return gatesOf(this.source, this.caches, {
      workspace,
      performance,
      ...(this.secrets && { secrets: this.secrets }),
      ...(this.passes && { passes: this.passes }),
      ...(vulnerabilities !== undefined && { vulnerabilities }),
    })
  }
}
