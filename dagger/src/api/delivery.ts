import { dag, type Directory, type File, type Workspace } from "@dagger.io/dagger"
import { stringify } from "yaml"
import { pipelineOf } from "./gates.js"
import { accessObjects, readSubject } from "../delivery/access.js"
import type { Component } from "../delivery/component.js"
import { EventFile } from "../delivery/events/file.js"
import { deploy, type GateResult, plan, type ReadAuthors, rollback } from "../delivery/executor.js"
import { strictestApproval } from "../delivery/guards/weakening.js"
import { historyOf, historyText, type HistoryQuery } from "../delivery/history.js"
import { iso, newId } from "../delivery/journal.js"
import { planText } from "../delivery/plan.js"
import {
  digestOf,
  readImages,
  readRelease,
  type Release,
  type ReleasedImage,
  releaseText,
} from "../delivery/release.js"
import { deployFile } from "../environments/configuration.js"
import {
  type Connection,
  inEnvironment,
  type OpenEnvironment,
  readEnvironment,
  secretsOf,
} from "../environments/environment.js"
import { readStrategy, type Strategy } from "../delivery/strategy.js"
import { describeImages, publish, type RegistryAccess } from "../images/publish.js"
import { Worktree } from "../ci/worktree/worktree.js"
import { secondsOf } from "../lib/duration.js"
import { reportProgress } from "../lib/progress.js"
import { oneLine } from "../lib/text.js"
import { useCaches } from "../platform/caches.js"
import { readPlatform } from "../platform/platform.js"
import { type Output, outputOf } from "./output.js"

/** What is to be deployed, as the command line names it. */
export interface Selection {
  /** A file that `publish` made. */
  release?: File
  /** Pairs of a service and its image. */
  images: string[]
  /** Components; all of the environment, if empty. */
  only: string[]
  /** Empty: that of the environment. */
  strategy: string
  /** Authors beside those of the commits: e-mails, logins of GitHub or users of the cluster. */
  authors: string[]
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
    { only, authors, summary }: { only: string[]; authors: string[]; summary?: File },
  ): Promise<File> {
    const [{ configuration }, secrets, commit] = await Promise.all([
      readEnvironment(this.source, "staging", this.connection),
      secretsOf(this.connection),
      commitOf(workspace),
      // Throws for gates that did not pass.
      summary && pipelineOf(this.source, this.caches).resultOf(summary),
    ])
    const deployable = Object.keys(configuration.services)
    const unknown = only.filter((service) => !deployable.includes(service))
    if (unknown.length > 0) {
      throw new Error(`no environment deploys ${unknown.join(", ")}; allowed: ${deployable.join(", ")}`)
    }
    const services = only.length > 0 ? only : deployable
    const tag = commit === undefined ? newId(Date.now()) : `sha-${commit.slice(0, 12)}`
    const images = await publish(this.source, services, this.registry(secrets), tag)
    const release: Release = {
      schemaVersion: 1,
      images,
      ...(commit !== undefined && { commit }),
      ...(authors.length > 0 && { authors }),
      ...(summary && { checks: "passed" as const }),
    }
    return dag.directory().withNewFile("release.json", releaseText(release)).file("release.json")
  }

  /** @throws Error with every reason when the deploy may not start, and with the table when a component failed */
  async deploy(
    workspace: Workspace,
    env: string,
    selection: Selection,
    { reason, override }: { reason: string; override: string },
  ): Promise<string> {
    checkSelection(selection)
    return this.guarded(workspace, env, async (opened) => {
      const { delivery } = opened
      const components = opened.components(selection.only, strategyOf(selection))
      const { authors } = selection
      const request = { reason, override, authors, readAuthors: authorsIn(workspace) }
      const given = await this.givenRelease(opened, selection, components)
      if (given) return deploy(delivery, components, { ...request, release: given })
      const services = namesOf(components)
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
    checkSelection(selection)
    return this.guarded(workspace, env, async (opened) => {
      const { delivery } = opened
      const components = opened.components(selection.only, strategyOf(selection))
      const release =
        (await this.givenRelease(opened, selection, components)) ??
        (await presentRelease(components, delivery.say))
      const planned = await plan(delivery, components, {
        release,
        authors: selection.authors,
        readAuthors: authorsIn(workspace),
      })
      return outputOf(planText(planned), planned)
    })
  }

  /** @throws Error with the table when a component failed */
  async rollback(env: string, services: string[], request: { reason: string; to?: number }): Promise<string> {
    return this.within(env, (opened) => rollback(opened.delivery, opened.components(services), request))
  }

  async status(env: string, only: string[]): Promise<Output> {
    return this.within(env, async (opened) => {
      const all = await Promise.all(opened.components(only).map((component) => component.status()))
      return outputOf(
        all.map(({ text }) => text).join("\n\n"),
        all.map(({ component, details }) => ({ component, ...details })),
      )
    })
  }

  async history(env: string, query: HistoryQuery): Promise<Output> {
    return this.within(env, async (opened) => {
      opened.components(query.only)
      const [audit] = opened.delivery.audits
      const history = historyOf((await audit?.read()) ?? { events: [], unreadable: [] }, query)
      return outputOf(historyText(history), history)
    })
  }

  async pruneHistory(env: string, olderThan: string): Promise<string> {
    const seconds = secondsOf(olderThan)
    return this.within(env, async ({ delivery }) => {
      const before = delivery.now() - seconds * 1000
      const deleted = (await delivery.audits[0]?.prune(before)) ?? 0
      return `Deleted ${deleted} entries of before ${iso(before)} from the audit log of ${env}.`
    })
  }

  async approve(env: string, pairs: string[], note: string): Promise<string> {
    const images = readImages(pairs, { bare: true })
    const services = Object.keys(images)
    if (services.length === 0)
      throw new Error("an approval names images: give each with --image SERVICE=sha256:…")
    return this.within(env, async ({ components, delivery, environment }) => {
      const approval = strictestApproval(delivery.guards.committed, delivery.guards.effective)
      if (!approval) throw new Error(`${environment.name} needs no approval`)
      const approved = components(services)
      const digests = Object.fromEntries(
        Object.entries(images).map(([service, image]) => [service, digestOf(image)]),
      )
      const expires = delivery.now() + approval.validFor * 1000
      await delivery.approvals.give({
        id: delivery.id,
        by: delivery.who,
        expires,
        digests,
        ...(note !== "" && { note }),
      })
      await Promise.all(
        approved.map(({ id }) =>
          delivery.journal.record({
            kind: "approved",
            component: id,
            message: note,
            ...(digests[id.name] !== undefined && { digest: digests[id.name] }),
          }),
        ),
      )
      const list = Object.entries(digests).map(([service, digest]) => `${service}@${digest}`)
      return `${delivery.who} approves ${list.join(", ")} for ${environment.name} until ${iso(expires)}`
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
  async access(env: string, deployers: string[], approvers: string[]): Promise<string> {
    const { environment } = await readEnvironment(this.source, env, this.connection)
    const { approval } = environment.guards
    const named = approvers.length > 0 ? approvers : approval?.required ? (approval.approvers ?? []) : []
    if (approval?.required && named.length === 0) {
      throw new Error(`${env} needs approvals: say whose with --approver, such as group:approvers`)
    }
    if (deployers.length === 0)
      throw new Error("say who deploys with --deployer, as the API server names them")
    const objects = accessObjects({
      namespace: environment.namespace,
      deployers: deployers.map(readSubject),
      approvers: named.map(readSubject),
    })
    return objects.map((object) => stringify(object)).join("---\n")
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

  /** The release that the command names, in whole or by its images; undefined where it names none. */
  private async givenRelease(
    { delivery, secrets, environment }: OpenEnvironment,
    { release, images }: Selection,
    components: Component[],
  ): Promise<Release | undefined> {
    const services = namesOf(components)
    const given = release
      ? readRelease(await release.contents())
      : { images: readImages(images) as Record<string, unknown> }
    const named = Object.keys(given.images)
    if (named.length === 0 && !release) return undefined
    const missing = services.filter((service) => !named.includes(service))
    if (missing.length > 0) {
      throw new Error(
        `no image of ${missing.join(", ")}: give one for each, or choose components with --only ${named.join(" --only ")}`,
      )
    }
    if (release) return given as Release
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
  private async gates(services: string[]): Promise<GateResult> {
    const { catalog } = await readPlatform(this.source)
    const inputs = services.flatMap((service) =>
      (catalog[service]?.inputs ?? []).filter((name) => name in catalog),
    )
    const only = [...new Set([...services, ...inputs, "security"])]
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

const namesOf = (components: Component[]) => components.map(({ id }) => id.name)

function strategyOf({ strategy }: Selection): { strategy?: Strategy } {
  return strategy === "" ? {} : { strategy: readStrategy(strategy) }
}

/** The live release, so that a plan without images shows what changed settings would do; what was never deployed gets a placeholder. */
async function presentRelease(components: Component[], say: (line: string) => void): Promise<Release> {
  const images = await Promise.all(
    components.map(async (component): Promise<[string, ReleasedImage]> => {
      const { name } = component.id
      const current = await component.current()
      say(
        current
          ? `${name}: planned with its present image, ${current.reference}`
          : `${name}: never deployed; planned with a placeholder for the image that a deploy would build`,
      )
      return [name, current ?? { reference: `to-be-built/${name}@sha256:${"0".repeat(64)}` }]
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

/** Finds mistakes in what a command names before a cluster is asked. */
function checkSelection(selection: Selection): void {
  if (selection.release && selection.images.length > 0) throw new Error("give either --release or --image")
  readImages(selection.images)
  strategyOf(selection)
}
