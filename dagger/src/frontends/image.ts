import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Container, dag, type Service } from "@dagger.io/dagger"
import { parseImageReference } from "../lib/image-reference.js"
import { type Bundle, declarationIn } from "./bundle.js"

/** The folder of an image with the files that a browser gets. */
const webRoot = "/srv/www"
/** The description of the API that a web app calls, in its image, and of the one that a backend serves, in its own. */
const contractFiles = { needed: "/srv/contract.json", served: "/app/openapi.json" }

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
export const bundleOf = (reference: string, keys: RegistryKeys): Promise<Bundle> =>
  bundleIn(pulled(reference, keys))

/** Takes the files of a web app out of its image, which may be one that was built and never published. */
export async function bundleIn(image: Container): Promise<Bundle> {
  const folder = await mkdtemp(join(tmpdir(), "web-app-"))
  const [app, version, described] = await Promise.all([
    image.envVariable("SERVICE_NAME"),
    image.envVariable("SERVICE_VERSION"),
    image.exists(contractFiles.needed),
    image.directory(webRoot).export(folder),
  ])
  const known = (text: string | null) => (text === null || text === "" ? undefined : text)
  return {
    app: known(app) ?? "",
    version: known(version) ?? "unknown",
    ...(await declarationIn(
      folder,
      described ? await image.file(contractFiles.needed).contents() : undefined,
    )),
    folder,
  }
}

/**
 * Reads the description of the API that the image of a backend serves.
 *
 * @returns an OpenAPI document
 * @throws Error when the image cannot be pulled, or has none
 */
export async function servedContract(reference: string, keys: RegistryKeys): Promise<string> {
  const image = pulled(reference, keys)
  if (!(await image.exists(contractFiles.served)))
    throw new Error(
      `${reference} has no ${contractFiles.served}: it was built before images described their API`,
    )
  return image.file(contractFiles.served).contents()
}

function pulled(reference: string, { user, password, service }: RegistryKeys): Container {
  const { registry } = parseImageReference(reference)
  const container = dag.container()
  const signedIn =
    password === undefined
      ? container
      : container.withRegistryAuth(registry, user ?? "", dag.setSecret("registry-password", password))
  return signedIn.from(reference, { ...(service && { registryService: service }) })
}
