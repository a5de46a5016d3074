import type {
  ComponentId,
  ComponentPlan,
  LockedComponent,
  Operation,
  OperationOutcome,
  RevertRequest,
} from "../delivery/component.js"
import { frontendObject } from "../delivery/access.js"
import { iso } from "../delivery/journal.js"
import { Lease } from "../delivery/lease.js"
import { Operations } from "../delivery/operations.js"
import { digestOf, type Release } from "../delivery/release.js"
import { refuseUnserved } from "../delivery/rollback-contract.js"
import { day } from "../lib/clock.js"
import { count, duration, oneLine } from "../lib/text.js"
import { auditFaults, auditOf, auditRuns, auditSummary, readAudit } from "./audit.js"
import { auditFiles, auditObjects } from "./audit-objects.js"
import type { Bundle } from "./bundle.js"
import { cookieOf } from "./cookie.js"
import {
  isLive,
  keptRevisions,
  leftOver,
  promoted,
  targetOf,
  variantOf,
  withCanary,
  withoutCanary,
} from "./decisions.js"
import type { DeployedFrontend, PreparedFrontend } from "./deployed-frontend.js"
import { objectsOf } from "./layout.js"
import type { ReleaseManifest } from "./manifest.js"
import { type Expected, look, observe } from "./observe.js"
import { type Pointer, PointerSuperseded, type Variant, type Writer } from "./pointer.js"
import { type Configuration, manifestIn, uploadRelease, publishedText, verify } from "./publish.js"
import { overPreviews, removePreview } from "./preview.js"
import { addressOf, previewHeaders } from "./settings.js"
import {
  begun,
  ended,
  type FrontendState,
  liveRevision,
  type RunningSwitch,
  type FrontendRecord,
} from "./state.js"

/** Milliseconds between two looks at a canary. */
const lookEvery = 5_000
/** Milliseconds between two looks at what browsers tell. */
const tellEvery = 15_000
/** Faulty answers of a canary, one after another, after which it is taken back. */
const faultsInARow = 3

/** A web app under this command's lease. */
export class LockedFrontend implements LockedComponent {
  private prepared?: PreparedFrontend
  private commit?: string | undefined
  private readonly operations: Operations<FrontendState, RunningSwitch>

  private constructor(
    private readonly app: DeployedFrontend,
    private readonly lease: Lease,
    private readonly record: FrontendRecord,
  ) {
    this.operations = new Operations({
      component: app.id,
      context: app.context,
      record,
      begun,
      facts: ({ action, revision, from }) => ({
        action,
        revision: revision.number,
        digest: digestOf(revision.image),
        ...(from !== undefined && { from }),
      }),
    })
  }

  /** @throws LeaseHeld while another command has the lease */
  static async take(app: DeployedFrontend): Promise<LockedFrontend> {
    const { clock, cluster, who } = app.context
    const { app: name, namespace } = app.settings
    const lease = await Lease.take(cluster, namespace, name, who, {
      name: frontendObject(name),
      clock,
      report: app.say,
    })
    return new LockedFrontend(app, lease, app.stateRecord())
  }

  get id(): ComponentId {
    return this.app.id
  }

  /** Ends an interrupted operation on another release: it is live, or it never was. */
  async settle(release: Release): Promise<void> {
    const state = await this.record.read()
    if (!state.running) return
    const { action } = await this.app.prepare(release, state)
    if (action.kind !== "resume") await this.conclude(state, state.running)
  }

  async plan(release: Release): Promise<ComponentPlan> {
    this.commit = release.commit
    this.prepared = await this.app.prepare(release, await this.record.read())
    return this.app.planOf(this.prepared, release)
  }

  async apply(operation: Operation): Promise<OperationOutcome> {
    const { app, prepared } = this
    if (!prepared) throw new Error(`${app.id.name}: apply without a plan`)
    const { action, state } = prepared
    switch (action.kind) {
      case "nothing":
        return {
          result: "unchanged",
          revision: action.revision.number,
          message: liveAlready(action.revision),
        }
      case "resume":
        await this.operations.event("resumed", action.running, { message: "its deploy goes on" })
        return this.deploy(state, action.running, prepared)
      case "begin": {
        const { id, author, reason, guards, overridden, approval } = operation
        const running: RunningSwitch = {
          id,
          action: "deploy",
          revision: app.revisionOf(prepared, action.number, this.commit),
          author,
          reason,
          guards,
          began: iso(app.context.cluster.now()),
          ...(action.from && { from: action.from.number }),
        }
        const after = await this.operations.begin(state, running, {
          message: `deploys version ${prepared.bundle.version}`,
          ...(overridden && { overridden }),
          ...(approval && { approval }),
        })
        return this.deploy(after, after.running, prepared)
      }
    }
  }

  /**
   * Takes back what an interrupted command began, or returns to an earlier revision. Nothing is uploaded; the revision is looked at in full before.
   *
   * @throws Error when there is no such revision, its files are not complete, or its backend does not serve what it calls
   */
  async revert({ to, reason, override }: RevertRequest): Promise<OperationOutcome> {
    const { app } = this
    const { context, settings } = app
    let state = await this.record.read()
    const { running } = state
    if (running?.action === "rollback" && (to === undefined || to === String(running.revision.number))) {
      await this.operations.event("resumed", running, { message: "its rollback goes on" })
      return this.goBack(state, running)
    }
    if (running?.action === "deploy" && to === undefined) {
      const live = await this.takeBack(state, running, reason)
      if (live !== undefined) return live
      state = await this.record.read()
    } else if (running) {
      await this.conclude(state, running)
      state = await this.record.read()
    }
    const target = targetOf(state, settings.app, to)
    const pointer = await app.stores.edge.read()
    if (target.number === state.live && isLive(pointer, target) && !pointer?.canary)
      return { result: "unchanged", revision: target.number, message: liveAlready(target) }
    await verify(app.stores.bucket, app.layout, target.release, target.config)
    const from = liveRevision(state)
    const others = state.revisions.filter(({ number }) => number !== target.number && number !== state.live)
    const overridden = await refuseUnserved(target, others, {
      lacks: (revision) => app.lacksOf(revision),
      first: "deploy or take back the backend first",
      override,
    })
    const after = await this.operations.begin(
      state,
      {
        id: context.id,
        action: "rollback",
        revision: target,
        author: context.who,
        reason,
        began: iso(context.cluster.now()),
        ...(from && { from: from.number }),
      },
      { message: `goes back to revision ${target.number}, version ${target.version}`, ...overridden },
    )
    return this.goBack(after, after.running)
  }

  unlock(): Promise<void> {
    return this.lease.end()
  }

  private async goBack(state: FrontendState, running: RunningSwitch): Promise<OperationOutcome> {
    if (running.end) return this.ending(state, running, running.end)
    const { bucket } = this.app.stores
    const { release, config } = running.revision
    const manifest = await verify(bucket, this.app.layout, release, config)
    return this.promote(state, running, manifest, await this.configuration(config))
  }

  /** Records an end that an interrupted command has left in the state. */
  private async ending(
    state: FrontendState,
    running: RunningSwitch,
    { result, message }: NonNullable<RunningSwitch["end"]>,
  ): Promise<OperationOutcome> {
    const { live } = await this.finish(state, running, result, message)
    return { result, message, ...(live !== undefined && { revision: live }) }
  }

  private async deploy(
    state: FrontendState,
    running: RunningSwitch,
    prepared: PreparedFrontend,
  ): Promise<OperationOutcome> {
    const { app, lease } = this
    const { bundle, manifest, configuration, pointer } = prepared
    if (running.end) return this.ending(state, running, running.end)
    let audited: string | undefined
    try {
      const published = await uploadRelease(app.stores.bucket, app.layout, bundle, manifest, configuration)
      app.say(publishedText(published))
      lease.check()
      if (!isLive(pointer, running.revision)) {
        // Backends of the same command have been deployed by now.
        const contract = await app.contractOf(bundle)
        if (!contract.served) return await this.refuse(state, running, pointer, contract.reason)
        const audit = await this.audit(state, running)
        lease.check()
        if (audit?.refusal !== undefined) return await this.refuse(state, running, pointer, audit.refusal)
        audited = audit?.summary
        const reason =
          pointer &&
          (await this.canary(
            running,
            { release: running.revision.release, manifest, configuration },
            {
              live: pointer.live,
              bundle,
            },
          ))
        if (reason !== undefined) return await this.abort(state, running, reason)
      }
      return await this.promote(state, running, manifest, configuration, audited)
    } catch (error) {
      if (error instanceof PointerSuperseded) {
        // Over, so that the next deploy of this release is a newer one.
        return this.giveUp(state, running, error.message)
      }
      await this.operations.failed(running, error)
      throw error
    }
  }

  /**
   * Looks at the release at its preview address, which no visitor knows, and keeps the report in the bucket. An audit that was not made as a whole refuses like one that failed.
   *
   * @returns nothing where the settings ask for none
   */
  private async audit(
    state: FrontendState,
    { revision: { release, config } }: RunningSwitch,
  ): Promise<{ summary: string; refusal?: string } | undefined> {
    const { app } = this
    const { settings, layout, context } = app
    const { bucket } = app.stores
    if (!settings.audit) return undefined
    const { paths } = settings.audit
    const request = {
      address: addressOf(settings),
      headers: previewHeaders(release, config),
      paths,
      runs: auditRuns,
    }
    app.say(`release ${release} is audited before visitors get it: ${paths.join(", ")}`)
    try {
      const files = await context.audit(request)
      const found = auditOf(files, { release, paths, runs: auditRuns })
      const live = liveRevision(state)
      const before = live && (await bucket.text(layout.audit(live.release) + auditFiles.data))
      const faults = auditFaults(found, settings.audit)
      const audit = {
        ...found,
        faults,
        ...(live && before && { before: { release: live.release, pages: readAudit(before.text).pages } }),
      }
      for (const { object, body } of auditObjects(layout, { release, audit, files }))
        await bucket.put(object, body)
      const summary = auditSummary(audit)
      app.say(`the audit found ${summary}; its report: ${layout.audit(release)}${auditFiles.report}`)
      if (faults.length === 0) return { summary }
      return { summary, refusal: `the audit refuses release ${release}: ${faults.join("; ")}` }
    } catch (error) {
      return {
        summary: "",
        refusal: `the audit could not be made: ${oneLine((error as Error).message, 300)}`,
      }
    }
  }

  /**
   * Gives a growing part of the visitors the new revision, looks at what they get, and where the settings ask for it waits for what their browsers tell.
   *
   * @returns why it is to be taken back
   */
  private async canary(
    running: RunningSwitch,
    expected: Expected,
    { live, bundle }: { live: Variant; bundle: Bundle },
  ): Promise<string | undefined> {
    const { app, lease } = this
    const { clock, fetch } = app.context
    const { revision } = running
    const { canary: steps, visits: settings } = app.settings
    const variant = variantOf(revision)
    const address = addressOf(app.settings)
    const cookies = `${cookieOf(app.settings.app)}=0`
    const visits = app.visitsOf(bundle, { canary: variant, live })
    for (const { percent, for: seconds } of steps) {
      await app.stores.edge.switch(writerOf(running), (now) => withCanary(now, variant, percent))
      app.say(`revision ${revision.number} for ${percent} % of the visitors`)
      const first = await observe(address, expected, { fetch, clock, cookies })
      if (first.result !== "served") return `the canary was not seen: ${first.reason}`
      await visits?.begin()
      const end = clock.now() + seconds * 1_000
      const last = end + (settings?.wait ?? 0) * 1_000
      let faults = 0
      let next = Math.min(clock.now() + tellEvery, end)
      for (;;) {
        const now = clock.now()
        const ended = now >= end
        if (ended && !visits) break
        if (visits && now >= next) {
          next = ended ? now + tellEvery : Math.min(now + tellEvery, end)
          const { outcome, reason } = await visits.judge(ended)
          if (outcome === "fail") return `the canary is worse: ${reason}`
          if (ended && outcome === "hold" && now >= last)
            return `too little is known of the canary ${duration((last - end) / 1_000)} after its time: ${reason}`
          if (ended) app.say(outcome === "hold" ? `waits: ${reason}` : reason)
          if (ended && outcome === "pass") break
        }
        await clock.pause(Math.min(lookEvery, (visits ? next : end) - clock.now()))
        lease.check()
        const found = await look(address, expected, { fetch, cookies })
        faults = found.result === "served" ? 0 : faults + 1
        if (found.result !== "served" && faults >= faultsInARow)
          return `the canary is broken: ${found.reason}`
      }
    }
    return undefined
  }

  /** Makes a revision live whose files are complete, and asks the edge until visitors get it. */
  private async promote(
    state: FrontendState,
    running: RunningSwitch,
    manifest: ReleaseManifest,
    configuration: Configuration,
    audited?: string,
  ): Promise<OperationOutcome> {
    const { app, lease } = this
    const { clock, fetch } = app.context
    const { revision } = running
    const { edge } = app.stores
    lease.check()
    const { warnings, switched } = await edge.switch(writerOf(running), (now) =>
      promoted(now, variantOf(revision)),
    )
    const begin = clock.now()
    const expected = { release: revision.release, manifest, configuration }
    const patient = running.from === undefined
    const seen = await observe(addressOf(app.settings), expected, { fetch, clock, patient })
    lease.check()
    if (seen.result === "broken") return this.abort(state, running, seen.reason)
    if (seen.result === "late" && warnings.length === 0) {
      throw new Error(
        `revision ${revision.number} was made live, and ${seen.reason}: look at the distribution, and run the same command again to go on`,
      )
    }
    await edge.settle(variantOf(revision))
    for (const warning of warnings) app.say(warning)
    const became = !switched
      ? "was live already, so that nothing was switched"
      : seen.result === "served"
        ? `is served ${duration((clock.now() - begin) / 1_000)} after the switch`
        : `was switched, and ${seen.reason}`
    const message = [
      `revision ${revision.number}, version ${revision.version}, ${became}`,
      ...(audited === undefined ? [] : [`audit: ${audited}`]),
      ...warnings,
    ].join("; ")
    const after = await this.finish(state, running, "promoted", message)
    await app
      .withFiles((files) => this.prune(after, files))
      .catch((error: unknown) => {
        app.say(`old releases were not deleted: ${oneLine((error as Error).message)}`)
      })
    return { result: "promoted", revision: revision.number, message }
  }

  /** Puts what was live before in place again. */
  private async abort(
    state: FrontendState,
    running: RunningSwitch,
    reason: string,
  ): Promise<OperationOutcome> {
    const { app } = this
    const before = state.revisions.find(({ number }) => number === running.from)
    if (!before) {
      // The state may be gone, and visitors still there.
      const pointer = await app.stores.edge.read()
      if (pointer?.canary)
        await app.stores.edge.switch(writerOf(running), (now) => withoutCanary(now ?? pointer))
      throw new Error(
        `revision ${running.revision.number} is broken, and there is none to go back to: ${reason}`,
      )
    }
    await this.operations.event("rolling-back", running, { message: oneLine(reason, 500) })
    await app.stores.edge.switch(writerOf(running), (now) => ({
      live: variantOf(before),
      ...(now?.previous && now.previous.revision !== before.number && { previous: now.previous }),
    }))
    await app.stores.edge.settle(variantOf(before))
    const message = `${reason}; revision ${before.number} is live`
    await this.finish(state, running, "aborted", message)
    return { result: "aborted", revision: before.number, message }
  }

  /** Ends a deploy before it is live for everybody; an interrupted one may have had a canary. */
  private refuse(
    state: FrontendState,
    running: RunningSwitch,
    pointer: Pointer | undefined,
    reason: string,
  ): Promise<OperationOutcome> {
    return pointer?.canary ? this.abort(state, running, reason) : this.giveUp(state, running, reason)
  }

  /** Ends a deploy that no visitor has seen. */
  private async giveUp(
    state: FrontendState,
    running: RunningSwitch,
    message: string,
  ): Promise<OperationOutcome> {
    const { live } = await this.finish(state, running, "aborted", message)
    return { result: "aborted", message, ...(live !== undefined && { revision: live }) }
  }

  /** Records how an interrupted operation ended that nobody goes on with. */
  private async conclude(state: FrontendState, running: RunningSwitch): Promise<void> {
    if (running.end) {
      await this.finish(state, running, running.end.result, running.end.message)
      return
    }
    const { edge } = this.app.stores
    const pointer = await edge.read()
    if (isLive(pointer, running.revision)) {
      // Its copies may not have been made.
      const variant = variantOf(running.revision)
      await edge.switch(writerOf(running), (now) => promoted(now, variant))
      await edge.settle(variant)
      await this.finish(state, running, "promoted", "it was live when its command was interrupted")
      return
    }
    if (pointer?.canary) await edge.switch(this.writer(), (now) => withoutCanary(now ?? pointer))
    await this.finish(state, running, "aborted", "it was interrupted before it was live for everybody")
  }

  /**
   * Takes back a deploy that was interrupted.
   *
   * @returns nothing when it was the first of the app, or is live: then the revision before it is returned to
   */
  private async takeBack(
    state: FrontendState,
    running: RunningSwitch,
    reason: string,
  ): Promise<OperationOutcome | undefined> {
    const pointer = await this.app.stores.edge.read()
    await this.conclude(state, running)
    if (isLive(pointer, running.revision)) return undefined
    const { live } = pointer ?? {}
    return {
      result: "promoted",
      message: `the deploy of revision ${running.revision.number} is taken back: ${oneLine(reason)}`,
      ...(live && { revision: live.revision }),
    }
  }

  /** This very command. */
  private writer(): Writer {
    const { id, cluster } = this.app.context
    return { operation: id, since: iso(cluster.now()) }
  }

  private async configuration(id: string): Promise<Configuration> {
    const { bucket } = this.app.stores
    const found = await bucket.text(this.app.layout.config(id))
    if (!found) throw new Error(`the configuration ${id} is not in the bucket`)
    return { id, text: found.text }
  }

  private async finish(
    state: FrontendState,
    running: RunningSwitch,
    result: "promoted" | "aborted",
    message: string,
  ): Promise<FrontendState> {
    return (await this.operations.finish(state, running, { result, message }, ended)).after
  }

  /** Deletes what neither a kept revision nor a preview needs. Reads every manifest that is kept first: what cannot be read deletes nothing. */
  private async prune(state: FrontendState, files: Lease): Promise<void> {
    const { app } = this
    const { bucket, edge, previews } = app.stores
    const { keep } = app.settings
    const now = app.context.cluster.now()
    const [pointer, named] = await Promise.all([edge.read(), app.previews()])
    const revisions = keptRevisions(state, pointer, keep, now)
    const over = overPreviews(named, now)
    const shown = named.filter((one) => !over.includes(one))
    const variants: { release: string; config: string }[] = [...revisions, ...variantsOf(pointer), ...shown]
    const releases = new Set(variants.map(({ release }) => release))
    const assets = new Set<string>()
    for (const id of releases) {
      const manifest = await manifestIn(bucket, app.layout, id)
      if (!manifest) throw new Error(`release ${id} is kept and has no manifest in the bucket`)
      for (const { key } of objectsOf(app.layout, manifest)) assets.add(key)
    }
    const configs = new Set(variants.map(({ config }) => config))
    const old = leftOver(
      await bucket.list(app.layout.root),
      app.layout,
      { releases, configs, assets },
      now - keep.days * day,
    )
    if (revisions.length < state.revisions.length) await this.record.write({ ...state, revisions })
    this.lease.check()
    files.check()
    for (const { name } of over) if (previews) await removePreview(previews, name, app.context.clock)
    if (over.length > 0) app.say(`${count(over.length, "preview")} that expired removed`)
    if (old.length === 0) return
    await bucket.delete(old)
    app.say(`${count(old.length, "object")} of old releases deleted`)
  }
}

const liveAlready = ({ number }: { number: number }) =>
  `revision ${number} is live already: nothing was switched`

const writerOf = ({ id, began }: RunningSwitch): Writer => ({ operation: id, since: began })

const variantsOf = (pointer: Pointer | undefined) =>
  pointer
    ? [
        pointer.live,
        ...(pointer.previous ? [pointer.previous] : []),
        ...(pointer.canary ? [pointer.canary] : []),
      ]
    : []
