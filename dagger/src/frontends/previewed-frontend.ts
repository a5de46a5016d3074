import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { secretsIn } from "../lib/redaction.js"
import { moment, oneLine } from "../lib/text.js"
import { type Bundle, readFiles } from "./bundle.js"
import type { DeployedFrontend } from "./deployed-frontend.js"
import { manifestOf, releaseId } from "./manifest.js"
import { observe } from "./observe.js"
import { type PreviewStore, removePreview, writePreview } from "./preview.js"
import { type Configuration, publishedText, uploadRelease } from "./publish.js"
import {
  addressOf,
  configurationOf,
  namedPreviewHeaders,
  previewAddress,
  refuseUnknownFlags,
} from "./settings.js"

/** What is to be shown. */
export interface PreviewRequest {
  /** See `checkPreviewName`. */
  name: string
  bundle: Bundle
  /** Values that no browser may get, by name. */
  secrets: Record<string, string>
}

/** A web app whose releases are shown by names, beside what visitors get: neither its state nor what is live changes. */
export class PreviewedFrontend {
  constructor(
    private readonly app: DeployedFrontend,
    private readonly store: PreviewStore,
  ) {}

  /**
   * Uploads a release, and makes the edge show it with the configuration of the environment until it expires. An upload that was interrupted goes on where it was.
   *
   * @returns where it is, for people
   * @throws Error for the build of another app, one with a secret in it, and when the edge does not show it in time
   */
  async publish({ name, bundle, secrets }: PreviewRequest): Promise<string> {
    const { app } = this
    const { settings, layout, stores } = app
    const { clock, cluster, fetch, who } = app.context
    const manifest = manifestOf(settings.app, bundle.app, await readFiles(bundle.folder))
    const paths = manifest.files.map(({ path }) => path)
    refuseUnknownFlags(settings, bundle.flags)
    const configuration = configurationOf(settings, bundle.version)
    await refuseSecrets(settings.app, { bundle, paths, configuration }, secrets)
    const contract = await app.contractOf(bundle)
    if (!contract.served) app.say(`the preview is published all the same: ${contract.reason}`)
    const release = releaseId(manifest)
    const { version } = bundle
    const until = await app.withFiles(async (lease) => {
      app.say(publishedText(await uploadRelease(stores.bucket, layout, bundle, manifest, configuration)))
      lease.check()
      const end = cluster.now() + settings.previews.expires * 1_000
      const preview = { release, config: configuration.id, until: end, version, by: oneLine(who) }
      await writePreview(this.store, name, preview, clock)
      return end
    })
    const seen = await observe(
      addressOf(settings),
      { release, manifest, configuration },
      { fetch, clock, headers: namedPreviewHeaders(name), patient: true },
    )
    if (seen.result !== "served") {
      throw new Error(
        `${settings.app}: the preview ${name} was published, and the edge does not show it: ${seen.reason}; apply the output of frontend-infrastructure again if that is older than this Pitwall or the settings, and run the same command again`,
      )
    }
    const { url, curl } = previewAddress(settings, name)
    return [
      `${settings.app}: the preview ${name} is shown until ${moment(new Date(until))}: release ${release}, version ${oneLine(version, 60)}`,
      url === undefined
        ? "  by header alone; with previews.domain in deploy.yaml it has an address for browsers"
        : `  in a browser: ${url}`,
      `  by header: ${curl}`,
    ].join("\n")
  }

  /** Ends a preview before it expires. */
  async remove(name: string): Promise<string> {
    const { app } = this
    const existed = await removePreview(this.store, name, app.context.clock)
    return existed
      ? `${app.settings.app}: the preview ${name} is removed; the edge stops showing it within seconds`
      : `${app.settings.app}: there is no preview ${name}`
  }
}

/** @throws Error that names the files and the secrets, and shows no value */
async function refuseSecrets(
  app: string,
  { bundle, paths, configuration }: { bundle: Bundle; paths: string[]; configuration: Configuration },
  secrets: Record<string, string>,
): Promise<void> {
  const texts: [string, string][] = [["config.json", configuration.text]]
  for (const path of paths) texts.push([path, await readFile(join(bundle.folder, path), "utf8")])
  const found = texts.flatMap(([path, text]) => secretsIn(text, secrets).map((name) => `${name} in ${path}`))
  if (found.length === 0) return
  throw new Error(`${app} cannot be shown to everybody: it has ${found.join(", ")}; nothing was uploaded`)
}
