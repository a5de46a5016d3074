import { dag, type Directory, type File, type Secret, type Workspace } from "@dagger.io/dagger"
import { stringify } from "yaml"
import { pipelineOf } from "./gates.js"
import { changelog, releaseNotes } from "../ci/release-notes.js"
import { readSummary } from "../ci/report/summary.js"
import { GitHubReleases } from "../clients/github/releases.js"
import { ApiError } from "../clients/kubernetes/client.js"
import { readSubject } from "../delivery/access.js"
import { approve } from "../delivery/approve.js"
import type { Component, ComponentId, ImageInUse, RevertRequest, WouldRun } from "../delivery/component.js"
import { EventFile } from "../delivery/events/file.js"
import { deploy, type ChecksResult, plan, type ReadAuthors, restore, rollback } from "../delivery/executor.js"
import { strictestApproval } from "../delivery/guards/weakening.js"
import { historyOf, historyText, type HistoryQuery } from "../delivery/history.js"
import { iso, newId } from "../delivery/journal.js"
import { planText } from "../delivery/plan.js"
import { confirmationOf, refuseOtherSettings, requestOf, requestText } from "../delivery/request.js"
import { verdictFor } from "../delivery/verdicts.js"
import { environmentAccess } from "../environments/access.js"
import { functionFiles } from "../frontends/edge-functions.js"
import { previewsOf } from "../frontends/frontend.js"
import { bundleIn } from "../frontends/image.js"
import { infrastructureText } from "../frontends/infrastructure.js"
import { checkPreviewName } from "../frontends/preview.js"
import {
  digestOf,
  readImages,
  readRelease,
  type Release,
  type ReleasedImage,
  releaseText,
} from "../delivery/release.js"
import {
  databaseSettings,
  type DeployConfiguration,
  deployFile,
  frontendSettings,
  modelSettings,
} from "../environments/configuration.js"
import {
  type Connection,
  inEnvironment,
  type OpenEnvironment,
  readEnvironment,
  givenSecrets,
  watchdogFile,
} from "../environments/environment.js"
import { knownImages } from "../environments/images.js"
import { type EnvironmentName, environmentNames } from "../environments/secrets.js"
import { readStrategy, type Strategy } from "../delivery/strategy.js"
import { build } from "../images/build.js"
import { readTargets } from "../platform/targets.js"
import type { RegistryAccess } from "../images/access.js"
import { attestationBy } from "./attestation.js"
import { describeImages, publish } from "../images/publish.js"
import { Worktree } from "../ci/worktree/worktree.js"
import { secondsOf } from "../lib/duration.js"
import { parseImageReference } from "../lib/image-reference.js"
import { reportProgress } from "../lib/progress.js"
import { oneLine } from "../lib/text.js"
import { useCaches } from "../platform/caches.js"
import { builtFrom } from "../platform/catalog.js"
import { readPlatform } from "../platform/platform.js"
import type { Trust } from "../attestations/trust.js"
import { auditsFolder } from "./audits.js"
import { folderOf, type Output, outputOf } from "./output.js"
import { trustOf, type VerifyRequest } from "./trust.js"

/** What is to be deployed, as the command line names it. */
export interface Selection {
  /** A file of the workspace that `publish` made, or the same release in the registry, as REPOSITORY/release@sha256:…; empty: none. */
  release: string
  /** Pairs of a service and its image. */
  images: string[]
  /** Components; all of the environment, if empty. */
  only: string[]
  /** Empty: that of the environment. */
  strategy: string
  /** Authors beside those of the commits: e-mails, logins of GitHub or users of the cluster. */
  authors: string[]
}

/** What is to be approved, as the command line names it: a recorded request, or a release or images. */
export interface ApprovalSelection extends Pick<Selection, "release" | "images" | "only"> {
  /** Id of a refused deploy; empty: none. */
  request: string
  /** The code that shows that the request was read; empty: only show it. */
  confirm: string
  note: string
}

/** What to remove from the registry, as the command line says it. */
export interface PruneRequest {
  /** Such as `720h`. */
  olderThan: string
  dryRun: boolean
  undeployed: string[]
  production?: Secret
}

/** The verbs of delivery, behind the functions of the module. */
export class Delivery {
  constructor(
    private readonly source: Directory,
    private readonly connection: Connection,
    private readonly caches: string,
  ) {
    useCaches(caches)
  }

  /**
   * Builds and pushes what environments deploy.
   *
   * @throws Error when the report's gates did not pass, or there is no registry
   */
  async publish(
    workspace: Workspace,
    {
      only,
      platforms,
      authors,
      summary,
    }: { only: string[]; platforms: string[]; authors: string[]; summary?: File },
  ): Promise<File> {
    const targets = readTargets(platforms)
    const [{ configuration }, secrets, commit] = await Promise.all([
      readEnvironment(this.source, "staging", this.connection),
      givenSecrets(this.connection),
      commitOf(workspace),
      // Throws for gates that did not pass.
      summary && pipelineOf(this.source, this.caches).resultOf(summary),
    ])
    const registry = this.registry(secrets)
    const deployable = deployableServices(configuration)
    const unknown = only.filter((service) => !deployable.includes(service))
    if (unknown.length > 0) {
      throw new Error(`no environment deploys ${unknown.join(", ")}; allowed: ${deployable.join(", ")}`)
    }
    const services = only.length > 0 ? only : deployable
    const tag = commit === undefined ? newId(Date.now()) : `sha-${commit.slice(0, 12)}`
    // Before anything is built: a key that cannot be read, or a report about something else.
    const attestation = await attestationBy(secrets, {
      source: this.source,
      commit,
      services,
      report: await summary?.contents(),
    })
    const images = await publish(this.source, services, registry, tag, targets)
    const release: Release = {
      schemaVersion: 1,
      images,
      ...(commit !== undefined && { commit }),
      ...(authors.length > 0 && { authors }),
    }
    if (attestation) {
      const { attestImage } = await import("../images/attest.js")
      const { storeRelease } = await import("../images/release.js")
      // One after another: Sigstore and registries limit how much is asked of them at once.
      for (const [service, { reference }] of Object.entries(images))
        reportProgress(await attestImage(service, reference, registry, attestation))
      const reference = await storeRelease(release, tag, registry, attestation.signer)
      reportProgress(`Release: ${reference}`)
    }
    return dag.directory().withNewFile("release.json", releaseText(release)).file("release.json")
  }

  /** @throws Error with the table when an image does not build or does not start */
  async build(names: string[], platforms: string[]): Promise<string> {
    return build(this.source, names, readTargets(platforms))
  }

  /**
   * Verifies images.
   *
   * @throws Error with everything that speaks against one
   */
  async verify(request: VerifyRequest): Promise<string> {
    const { env, images, commit, platforms } = request
    const [secrets, trust] = await Promise.all([
      givenSecrets(this.connection),
      trustOf(request, async () => {
        const { guards } = await readEnvironment(this.source, env, this.connection)
        return guards.effective.signatures
      }),
    ])
    if (images.length === 0) throw new Error("name what to verify with --image")
    const { findingsText, verifyImages } = await import("../attestations/verify.js")
    const keys = this.registry(secrets)
    const expectation = { ...(commit !== "" && { commit }), platforms: readTargets(platforms) }
    const found = await verifyImages(images, trust, expectation, { keys, layers: true })
    const text = findingsText(found, trust)
    if (found.some(({ faults }) => faults.length > 0)) throw new Error(text)
    return text
  }

  /**
   * Builds images again, and compares them with those that were published.
   *
   * @throws Error with everything that differs
   */
  async verifyBuild(references: string[]): Promise<string> {
    if (references.length === 0) throw new Error("name what to build again with --image")
    for (const one of references) parseImageReference(one)
    const { verifyBuild } = await import("../images/verify-build.js")
    return verifyBuild(this.source, references, this.registry(await givenSecrets(this.connection)))
  }

  /**
   * Removes images and releases from the registry that no environment uses.
   *
   * @param request.undeployed environments to which nothing was ever deployed
   * @param request.production kubeconfig of production, where that is another cluster
   * @throws Error when an environment or the registry cannot be read; nothing is removed then
   */
  async prune({ olderThan, dryRun, undeployed, production }: PruneRequest): Promise<string> {
    const age = secondsOf(olderThan)
    for (const name of undeployed) {
      if (!environmentNames.some((one) => one === name))
        throw new Error(`--undeployed ${name} is no environment; allowed: ${environmentNames.join(", ")}`)
    }
    if (this.connection.registry === "")
      throw new Error(
        "no registry is named: put REGISTRY=ghcr.io/owner/repository into .env, or give --registry before the function's name",
      )
    const [{ configuration }, secrets] = await Promise.all([
      readEnvironment(this.source, "staging", this.connection),
      givenSecrets(this.connection),
    ])
    const inUse = (name: EnvironmentName): Promise<ImageInUse[]> => {
      // A token for the one cluster is none for the other.
      const { kubeToken, ...anywhere } = this.connection
      const connection =
        name === "production" && production
          ? { ...anywhere, kubeconfig: production }
          : { ...anywhere, ...(kubeToken && { kubeToken }) }
      return knownImages(name, undeployed, () =>
        inEnvironment(this.source, name, connection, (opened) => opened.imagesInUse()),
      )
    }
    const { pruneRegistry } = await import("../images/prune.js")
    return pruneRegistry(deployableServices(configuration), this.registry(secrets), {
      inUse: async () => (await Promise.all(environmentNames.map(inUse))).flat(),
      age,
      now: Date.now(),
      dryRun,
      say: reportProgress,
    })
  }

  /** @throws Error when git cannot tell what changed */
  async releaseNotes(workspace: Workspace, from: string, to: string): Promise<string> {
    return releaseNotes(await new Worktree(workspace).commits(from, to))
  }

  /** @throws Error when git cannot tell what changed */
  async changelog(workspace: Workspace, to: string): Promise<File> {
    const worktree = new Worktree(workspace)
    const text = await changelog((end) => worktree.commits("", end), to)
    return dag.directory().withNewFile("CHANGELOG.md", text).file("CHANGELOG.md")
  }

  /**
   * Publishes a release on GitHub, with its notes and its release.json.
   *
   * @throws Error when no token was given, and when the tag or a published release says something else
   */
  async githubRelease(
    workspace: Workspace,
    { repository, tag, release }: { repository: string; tag: string; release: File },
  ): Promise<string> {
    const [text, { GITHUB_TOKEN: token }] = await Promise.all([
      release.contents(),
      givenSecrets(this.connection),
    ])
    const { commit } = readRelease(text)
    if (commit === undefined)
      throw new Error("the release names no commit: publish it from a git checkout without changes")
    if (token === undefined) {
      throw new Error(
        "a release on GitHub needs GITHUB_TOKEN in the file given with --secrets, which may write the contents of the repository",
      )
    }
    const { from, commits } = await new Worktree(workspace).commits("", commit)
    const github = await GitHubReleases.of(repository, token)
    const notes = releaseNotes({ from, to: tag, commits })
    return `${tag} is published: ${await github.publish({ tag, commit, notes, files: { "release.json": text } })}\n`
  }

  /** @throws Error with every reason when the deploy may not start, and with the table when a component failed */
  async deploy(
    workspace: Workspace,
    env: string,
    selection: Selection,
    { reason, override }: { reason: string; override: string },
  ): Promise<string> {
    await checkSelection(workspace, selection)
    return this.guarded(workspace, env, async (opened) => {
      const { delivery } = opened
      const components = opened.components(selection.only, strategyOf(selection))
      const { authors } = selection
      const request = { reason, override, authors, readAuthors: authorsIn(workspace) }
      const given = await this.givenRelease(workspace, opened, selection, components)
      if (given) return deploy(delivery, components, { ...request, release: given })
      const services = servicesOf(components)
      const checks = this.gates(services)
      // Awaited by the deploy, unless publishing fails first.
      checks.catch(() => undefined)
      const [images, commit] = await Promise.all([
        publish(
          this.source,
          services,
          this.registry(opened.secrets),
          `${opened.environment.name}-${delivery.id}`,
        ),
        commitOf(workspace),
      ])
      const release: Release = { schemaVersion: 1, images, ...(commit !== undefined && { commit }) }
      for (const [service, { reference }] of Object.entries(images))
        delivery.say(`${service}: published as ${reference}`)
      return deploy(delivery, components, { ...request, release, checks: () => checks })
    })
  }

  async plan(workspace: Workspace, env: string, selection: Selection): Promise<Output> {
    await checkSelection(workspace, selection)
    return this.guarded(workspace, env, async (opened) => {
      const { delivery } = opened
      const components = opened.components(selection.only, strategyOf(selection))
      const release =
        (await this.givenRelease(workspace, opened, selection, components)) ??
        (await presentRelease(components, delivery.say))
      const planned = await plan(delivery, components, {
        release,
        authors: selection.authors,
        readAuthors: authorsIn(workspace),
      })
      return outputOf(planText(planned), planned)
    })
  }

  /**
   * Migrates databases by the migrations of an image, or with `planOnly` shows what that does on a copy.
   *
   * @throws Error with every reason when it may not start, and with the table when a migration failed
   */
  async migrate(
    workspace: Workspace,
    env: string,
    selection: Pick<Selection, "release" | "images" | "authors"> & { databases: string[] },
    { reason, override, planOnly }: { reason: string; override: string; planOnly: boolean },
  ): Promise<string> {
    await checkSelection(workspace, { ...selection, only: selection.databases, strategy: "" })
    return this.guarded(workspace, env, async (opened) => {
      const { delivery } = opened
      const databases = opened.databases(selection.databases)
      const release =
        (await this.givenRelease(workspace, opened, selection, databases)) ??
        (await liveRelease(databases, env))
      if (!planOnly) {
        const { authors } = selection
        return deploy(delivery, databases, {
          reason,
          override,
          authors,
          release,
          readAuthors: authorsIn(workspace),
        })
      }
      const plans: string[] = []
      // One after another: each copies a whole database.
      for (const database of databases) plans.push(await database.preview(release))
      return plans.join("\n\n")
    })
  }

  /**
   * Makes backups of databases, and proves them.
   *
   * @throws Error when one cannot be made or restored
   */
  async backup(env: string, names: string[]): Promise<string> {
    return this.within(env, (opened) => allOf(opened.databases(names), (database) => database.backUp()))
  }

  /**
   * Restores the backups of databases into throw-away copies and compares them.
   *
   * @param backup id of one backup; empty: the newest of each database
   * @throws Error when one cannot be restored
   */
  async verifyBackup(env: string, names: string[], backup: string): Promise<string> {
    return this.within(env, async (opened) => {
      const databases = opened.databases(names)
      if (backup !== "" && databases.length !== 1)
        throw new Error("--backup names a backup of one database: give that one with --database")
      return allOf(databases, (database) => database.verifyBackup(backup === "" ? undefined : backup))
    })
  }

  /**
   * Compares databases with what their migrations make.
   *
   * @throws Error when one differs
   */
  async drift(env: string, names: string[]): Promise<string> {
    return this.within(env, (opened) => allOf(opened.databases(names), (database) => database.drift()))
  }

  /**
   * Trains the models of an environment on what their champions have not seen.
   *
   * @throws Error when a training failed
   */
  async train(env: string, force: boolean): Promise<string> {
    return this.within(env, (opened) => allOf(opened.models(), (model) => model.train(force)))
  }

  /**
   * Puts a backup into the place of a database, or with `dryRun` only restores it beside it.
   *
   * @param names the database or its service; may be empty where the environment has one database
   * @param to id of a backup, or a moment
   * @throws Error with every reason when it may not start, and with the table when it failed
   */
  async restore(
    workspace: Workspace,
    env: string,
    names: string[],
    { to, reason, override, dryRun }: { to: string; reason: string; override: string; dryRun: boolean },
  ): Promise<string> {
    return this.guarded(workspace, env, async (opened) => {
      const { delivery } = opened
      const databases = opened.databases(names)
      const [database, ...others] = databases
      if (!database || others.length > 0) {
        const all = databases.map(({ id }) => id.name).join(", ")
        throw new Error(`a restore is of one database: name it with --database; allowed: ${all}`)
      }
      const wanted = database.restore(to)
      return dryRun ? wanted.preview() : restore(delivery, wanted, { reason, override })
    })
  }

  /**
   * @param names a service, a database or a model; every service, if empty. A database or a model goes back only when it is named.
   * @throws Error with the table when a component failed
   */
  async rollback(env: string, names: string[], request: RevertRequest): Promise<string> {
    return this.within(env, (opened) => {
      const components = names.length > 0 ? opened.components(names) : opened.backends([])
      return rollback(opened.delivery, components.filter(isNamed(names)), request)
    })
  }

  /**
   * Shows the web apps of the working tree at an address of their own, or with `remove` ends that.
   *
   * @param only names of web apps; all that have previews, if empty
   * @throws Error for a name that is none, and with what is known of every app when one of them is not shown
   */
  async preview(
    env: string,
    name: string,
    { only, remove }: { only: string[]; remove: boolean },
  ): Promise<string> {
    checkPreviewName(name)
    return this.within(env, async ({ delivery, frontends, secrets }) => {
      const all = frontends(only)
      const having = only.length > 0 ? all : all.filter(({ hasPreviews }) => hasPreviews)
      // Where no app has previews, each is named with what it needs.
      const apps = previewsOf(having.length > 0 ? having : all)
      if (remove) return allOf(apps, ({ previews }) => previews.remove(name))
      const platform = await readPlatform(this.source)
      // All are built before the first is shown.
      const shown = await Promise.all(
        apps.map(async ({ app, previews }) => {
          delivery.say(`${app.service}: is built from the working tree`)
          const bundle = await bundleIn(await platform.build(platform.service(app.service)))
          return { previews, bundle }
        }),
      )
      return allOf(shown, ({ previews, bundle }) => previews.publish({ name, bundle, secrets }))
    })
  }

  /**
   * The newest audits of web apps, with their pictures. One that cannot be read is in it as such.
   *
   * @param only names of web apps; all of the environment, if empty
   * @throws Error for a name that is none
   */
  async audits(env: string, only: string[]): Promise<Directory> {
    return this.within(env, async ({ environment, frontends }) => {
      const hasNone = only.length === 0 && Object.keys(environment.frontends).length === 0
      const apps = hasNone ? [] : frontends(only)
      const all = await Promise.all(apps.map((app) => app.newestAudit()))
      return folderOf(auditsFolder(environment.name, all))
    })
  }

  async status(env: string, only: string[]): Promise<Output> {
    return this.within(env, async (opened) => {
      const components = [...opened.components(only), ...(only.length === 0 ? opened.promotions() : [])]
      const all = await Promise.all(components.map((component) => component.status()))
      return outputOf(
        all.map(({ text }) => text).join("\n\n"),
        all.map(({ component, details }) => ({ component, ...details })),
      )
    })
  }

  async history(env: string, query: HistoryQuery): Promise<Output> {
    return this.within(env, async (opened) => {
      opened.components(query.only)
      const { approvals, audit, now } = opened.delivery
      const [trail, given] = await Promise.all([
        audit.read(),
        strictestApproval(opened.delivery.guards) ? approvals.all() : [],
      ])
      const history = historyOf(trail, query, given)
      return outputOf(historyText(history, now()), history)
    })
  }

  async pruneHistory(env: string, olderThan: string): Promise<string> {
    const seconds = secondsOf(olderThan)
    return this.within(env, async ({ backends, delivery }) => {
      const before = delivery.now() - seconds * 1000
      const deleted = await delivery.audit.prune(before)
      const revisions = await Promise.all(backends([]).map((backend) => backend.revisions()))
      const kept = revisions.flat().map(({ digest }) => digest)
      const approvals = strictestApproval(delivery.guards) ? await delivery.approvals.prune(before, kept) : 0
      return `Deleted ${deleted} entries of before ${iso(before)} from the audit log of ${env}, and ${approvals} approvals that expired before.`
    })
  }

  /**
   * Approves everything that a deploy would run. With a request and no confirmation it only shows what the request contains.
   *
   * @throws Error when the settings of a request are not those of this checkout, or the caller may not approve
   */
  async approve(
    workspace: Workspace,
    env: string,
    { request, confirm, note, ...selection }: ApprovalSelection,
  ): Promise<string> {
    if (request !== "" && (selection.release !== "" || selection.images.length > 0))
      throw new Error("give either --request, or --release or --image")
    await checkSelection(workspace, { ...selection, strategy: "", authors: [] })
    return this.within(env, async (opened) => {
      const { delivery, environment } = opened
      const approval = strictestApproval(delivery.guards)
      if (!approval) throw new Error(`${environment.name} needs no approval`)
      if (request === "") {
        const wanted = await this.wouldRun(workspace, opened, selection)
        return approve(delivery, wanted, { note, validFor: approval.validFor })
      }
      const recorded = requestOf((await delivery.audit.read()).events, request)
      refuseOtherSettings(
        recorded,
        recorded.components.flatMap<Pick<Component, "id" | "settingsDigest">>(
          ({ component: { name }, restore, model }) =>
            restore
              ? opened.databases([name]).map((database) => database.restore(restore))
              : opened.components([model === undefined ? name : `${name}@${model}`]),
        ),
      )
      const code = confirmationOf(recorded)
      if (confirm === "") {
        const command = `./daggerw call approve --env ${env} --request ${recorded.id} --confirm ${code}`
        return `${requestText(recorded)}\n\nNothing is approved yet. Approve exactly this with: ${command}`
      }
      if (confirm !== code)
        throw new Error(
          `--confirm ${confirm} is not the code of this request: read it again without --confirm`,
        )
      return approve(delivery, recorded.components, { note, validFor: approval.validFor })
    })
  }

  /** @throws Error for an approval that does not exist or is revoked already, and when the caller may not approve */
  async revoke(env: string, id: string, reason: string): Promise<string> {
    return this.within(env, async ({ components, delivery }) => {
      if (reason.trim() === "") throw new Error("a revocation needs a reason: give it with --reason")
      const { who: by } = delivery
      const { digests } = await delivery.approvals.revoke(id, { by, at: delivery.now(), reason })
      const services = Object.keys(digests)
      await Promise.all(
        components(services).map(({ id: component }) =>
          delivery.journal.record({
            kind: "revoked",
            component,
            message: reason,
            digest: digests[component.name] ?? "",
          }),
        ),
      )
      return `${by} revokes the approval ${id} of ${services.join(", ")} for ${env}`
    })
  }

  /**
   * Records what the gates said of a release where deployers can only read.
   *
   * @throws Error when the report is not about the release's commit or not about all of it, when the caller may not record verdicts, and, after recording it, for gates
   *   that did not pass
   */
  async recordChecks(env: string, release: File, summary: File): Promise<string> {
    return this.within(env, async ({ delivery }) => {
      const [{ commit, images }, report] = await Promise.all([
        release.contents().then(readRelease),
        summary.contents().then(readSummary),
      ])
      const verdict = verdictFor(report, { commit, services: Object.keys(images) })
      await delivery.verdicts.record({
        ...verdict,
        id: delivery.id,
        by: delivery.who,
        digests: Object.values(images).map(({ reference }) => digestOf(reference)),
      })
      const text = `${delivery.who} records for ${env}: the gates ${verdict.verdict} for ${Object.keys(images).join(", ")} of ${verdict.commit}`
      if (verdict.verdict === "failed") throw new Error(text)
      return text
    })
  }

  /** The event file of an environment on this engine. */
  async events(env: string): Promise<File> {
    const { environment } = await readEnvironment(this.source, env, this.connection)
    return new EventFile(environment.name).file()
  }

  /**
   * What an administrator applies once for an environment, as YAML.
   *
   * @throws Error where nobody may deploy, or nobody may approve although that is required
   */
  async access(
    env: string,
    { deployers, approvers, checkers }: { deployers: string[]; approvers: string[]; checkers: string[] },
  ): Promise<string> {
    const [{ configuration, environment }, watchdog] = await Promise.all([
      readEnvironment(this.source, env, this.connection),
      this.source.file(watchdogFile).contents(),
    ])
    const { approval } = environment.guards
    const named = approvers.length > 0 ? approvers : approval?.required ? (approval.approvers ?? []) : []
    if (deployers.length === 0)
      throw new Error("say who deploys with --deployer, as the API server names them")
    const people = {
      deployers: deployers.map(readSubject),
      approvers: named.map(readSubject),
      checkers: checkers.map(readSubject),
    }
    const databases = databaseSettings(configuration, environment)
    const models = modelSettings(configuration, environment)
    return environmentAccess(environment, people, watchdog, databases, models)
      .map((object) => stringify(object))
      .join("---\n")
  }

  /**
   * What an administrator applies once for a web app, as YAML.
   *
   * @throws Error for an app that the environment does not have
   */
  async frontendInfrastructure(env: string, app: string): Promise<string> {
    const [{ environment }, request, response] = await Promise.all([
      readEnvironment(this.source, env, this.connection),
      this.source.file(functionFiles.request).contents(),
      this.source.file(functionFiles.response).contents(),
    ])
    const all = frontendSettings(environment)
    const settings = all.find((one) => one.app === app)
    if (!settings) {
      const names = all.map((one) => one.app).join(", ")
      throw new Error(
        `${env} has no web app ${app}; allowed: ${names || `none, until ${deployFile} has environments.${env}.frontends`}`,
      )
    }
    return infrastructureText(settings, { request, response })
  }

  /** What a deploy of the release or images that the command names would run. */
  private async wouldRun(
    workspace: Workspace,
    opened: OpenEnvironment,
    selection: Pick<ApprovalSelection, "release" | "images" | "only">,
  ): Promise<(WouldRun & { component: ComponentId })[]> {
    const { release, images, only } = selection
    const named = only.length > 0 || release !== "" ? only : Object.keys(readImages(images))
    const components = opened.components(named)
    const given = await this.givenRelease(workspace, opened, selection, components)
    if (!given) throw new Error("say what to approve: --request, or --release or --image")
    try {
      return await Promise.all(
        components.map(async (one) => ({ component: one.id, ...(await one.wouldRun(given)) })),
      )
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 403)) throw error
      throw new Error(
        `what would run cannot be computed in your name, because it depends on secrets: ${error.message}; approve what a refused deploy has recorded, with --request`,
        { cause: error },
      )
    }
  }

  private within<Value>(env: string, task: (opened: OpenEnvironment) => Promise<Value>): Promise<Value> {
    return inEnvironment(this.source, env, this.connection, task)
  }

  /** Like {@link within}, for a command that evaluates guards: those count that are committed. */
  private guarded<Value>(
    workspace: Workspace,
    env: string,
    task: (opened: OpenEnvironment) => Promise<Value>,
  ): Promise<Value> {
    const committed = () => new Worktree(workspace).committed(deployFile)
    return inEnvironment(this.source, env, { ...this.connection, committed }, task)
  }

  /** The release that the command names, in whole or by its images, or the empty one where components take no image; undefined where it names none. */
  private async givenRelease(
    workspace: Workspace,
    { delivery, secrets, environment }: OpenEnvironment,
    selection: Pick<Selection, "release" | "images">,
    components: Component[],
  ): Promise<Release | undefined> {
    const services = servicesOf(components)
    const { images } = selection
    const { signature, signatures } = delivery.guards.effective
    const release = await this.wholeRelease(
      workspace,
      selection.release,
      secrets,
      signature === "required" ? signatures : undefined,
    )
    const given = release ?? { images: readImages(images) as Record<string, unknown> }
    const named = Object.keys(given.images)
    if (named.length === 0 && !release)
      return services.length === 0 ? { schemaVersion: 1, images: {} } : undefined
    const missing = services.filter((service) => !named.includes(service))
    if (missing.length > 0) {
      throw new Error(
        `no image of ${missing.join(", ")}: give one for each, or choose components with --only ${named.join(" --only ")}`,
      )
    }
    if (release) return release
    const unknown = named.filter((service) => !services.includes(service))
    if (unknown.length > 0) {
      throw new Error(
        `--image names ${unknown.join(", ")}, which is not deployed to ${environment.name} here; allowed: ${services.join(", ")}`,
      )
    }
    return {
      schemaVersion: 1,
      images: await describeImages(readImages(images), this.registry(secrets), delivery.say),
    }
  }

  /** The release of a file or of the registry. */
  private async wholeRelease(
    workspace: Workspace,
    release: string,
    secrets: Record<string, string>,
    trust: Trust | undefined,
  ): Promise<Release | undefined> {
    const found = await releaseFile(workspace, release)
    if (found || release === "") return found
    const { fetchRelease } = await import("../images/release.js")
    return fetchRelease(release, this.registry(secrets), trust)
  }

  private registry(secrets: Record<string, string>): RegistryAccess {
    const { registry, registryService } = this.connection
    return {
      address: registry,
      user: secrets.REGISTRY_USER,
      password: secrets.REGISTRY_PASSWORD,
      service: registryService,
    }
  }

  /** Runs the gates of services and of everything they are made of. Remembered passes cost nothing. */
  private async gates(services: string[]): Promise<ChecksResult> {
    const { catalog } = await readPlatform(this.source)
    const only = [...builtFrom(catalog, services), "security"]
    try {
      const summary = await pipelineOf(this.source, this.caches).ci({
        only,
        since: "",
        failFast: false,
        parallel: 0,
      })
      return { passed: true, summary }
    } catch (error) {
      return { passed: false, summary: (error as Error).message }
    }
  }
}

/** The services that some environment deploys. */
function deployableServices({ environments, services }: DeployConfiguration): string[] {
  const apps = Object.values(environments).flatMap(({ frontends }) => Object.keys(frontends))
  return [...new Set([...Object.keys(services), ...apps])]
}

/** The services whose images components take. A model takes none. */
const servicesOf = (components: Component[]) => [
  ...new Set(components.flatMap(({ id, service }) => (id.kind === "model" ? [] : [service]))),
]

/**
 * What a task says of each of several things.
 *
 * @throws Error with all of it when one failed
 */
async function allOf<One>(all: One[], task: (one: One) => Promise<string>): Promise<string> {
  const results = await Promise.allSettled(all.map(task))
  const lines = results.map((one) => (one.status === "fulfilled" ? one.value : (one.reason as Error).message))
  if (results.some(({ status }) => status === "rejected")) throw new Error(lines.join("\n"))
  return lines.join("\n")
}

/** A service that is named does not name its database. */
const isNamed =
  (names: string[]) =>
  ({ id }: Component) =>
    names.length === 0 || names.includes(id.name)

function strategyOf({ strategy }: Selection): { strategy?: Strategy } {
  return strategy === "" ? {} : { strategy: readStrategy(strategy) }
}

/** The live release, so that a plan without images shows what changed settings would do; what was never deployed gets a placeholder. */
async function presentRelease(components: Component[], say: (line: string) => void): Promise<Release> {
  const images = await Promise.all(
    [...new Map(components.map((one) => [one.service, one])).values()].map(
      async (component): Promise<[string, ReleasedImage]> => {
        const { service: name } = component
        const current = await component.current()
        say(
          current
            ? `${name}: planned with its present image, ${current.reference}`
            : `${name}: never deployed; planned with a placeholder for the image that a deploy would build`,
        )
        return [name, current ?? { reference: `to-be-built/${name}@sha256:${"0".repeat(64)}` }]
      },
    ),
  )
  return { schemaVersion: 1, images: Object.fromEntries(images) }
}

/**
 * The images with all traffic.
 *
 * @throws Error for a service that was never deployed
 */
async function liveRelease(databases: Component[], env: string): Promise<Release> {
  const images = await Promise.all(
    databases.map(async (database): Promise<[string, ReleasedImage]> => {
      const { id, service } = database
      const current = await database.current()
      if (current) return [service, current]
      throw new Error(
        `${service} was never deployed to ${env}: say which image migrates ${id.name}, with --release or --image ${service}=…`,
      )
    }),
  )
  return { schemaVersion: 1, images: Object.fromEntries(images) }
}

/** The commit that is built from; unknown, with a note, where files differ from it or git cannot tell. */
async function commitOf(workspace: Workspace): Promise<string | undefined> {
  try {
    const revision = await new Worktree(workspace).revision()
    if (!revision.endsWith("-dirty")) return revision
    reportProgress("The release does not name a commit, because files differ from it: commit them first.")
  } catch (error) {
    reportProgress(`The release does not name its commit: ${oneLine((error as Error).message)}`)
  }
  return undefined
}

/** Reads authors from the history of the clone. */
const authorsIn =
  (workspace: Workspace): ReadAuthors =>
  (from, to) =>
    new Worktree(workspace).authors(from, to)

/**
 * The release in a file of the workspace; undefined where the command names none, or one in the registry.
 *
 * @throws Error that names the file, if there is none or it holds no release
 */
async function releaseFile(workspace: Workspace, path: string): Promise<Release | undefined> {
  if (path === "" || path.includes("@sha256:")) return undefined
  let text: string
  try {
    text = await workspace.file(path).contents()
  } catch (error) {
    const message = oneLine((error as Error).message)
    const fault = /no such file|NotFound/.test(message)
      ? `there is no file ${path} in this repository`
      : `cannot read ${path}: ${message}`
    throw new Error(
      `--release: ${fault}; allowed: a file in this repository that publish made, or REPOSITORY/release@sha256:…`,
      { cause: error },
    )
  }
  return readRelease(text)
}

/** Finds mistakes in what a command names before a cluster is asked. */
async function checkSelection(workspace: Workspace, selection: Selection): Promise<void> {
  if (selection.release !== "" && selection.images.length > 0)
    throw new Error("give either --release or --image")
  readImages(selection.images)
  strategyOf(selection)
  await releaseFile(workspace, selection.release)
}
