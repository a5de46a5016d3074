import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { dag, type Service } from "@dagger.io/dagger"
import { parseImageReference } from "../lib/image-reference.js"
import { type Bundle, flagsIn } from "./bundle.js"

/** The folder of an image with the files that a browser gets. */
const webRoot = "/srv/www"

/** How to sign in to the registry of an image. */
interface RegistryKeys {
  user?: string | undefined
  password?: string | undefined
  /** Serves the registry's address where that is a Dagger service. */
  service?: Service | undefined
}

/**
 * Takes the files of a web app out of its image, so that every environment gets the same bytes.
 *
 * @throws Error when the image cannot be pulled
 */
export async function bundleOf(
  reference: string,
  { user, password, service }: RegistryKeys,
): Promise<Bundle> {
  const { registry } = parseImageReference(reference)
  const container = dag.container()
  const signedIn =
    password === undefined
      ? container
      : container.withRegistryAuth(registry, user ?? "", dag.setSecret("registry-password", password))
  const image = signedIn.from(reference, { ...(service && { registryService: service }) })
  const folder = await mkdtemp(join(tmpdir(), "web-app-"))
  const [app, version] = await Promise.all([
    image.envVariable("SERVICE_NAME"),
    image.envVariable("SERVICE_VERSION"),
    image.directory(webRoot).export(folder),
  ])
  const known = (text: string | null) => (text === null || text === "" ? undefined : text)
  return {
    app: known(app) ?? "",
    version: known(version) ?? "unknown",
    flags: await flagsIn(folder),
    folder,
  }
}
