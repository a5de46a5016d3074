import { posix } from "node:path"
import {
  type Container,
  dag,
  type Directory,
  type File,
  type Platform as Target,
  type Service as Running,
} from "@dagger.io/dagger"
import {
  type Catalog,
  catalogFile,
  readCatalog,
  type Recipes,
  type Service,
  verifyFolders,
} from "./catalog.js"
import { explainedBuild } from "./build-failure.js"
import { cacheArguments } from "./caches.js"
import { baseImageOf } from "./dockerfile.js"
import { readOnlyService } from "./read-only.js"
import { labelled, schemaOf } from "./schema.js"
import { setupCommand } from "./setup.js"
import { withStores } from "./stores.js"
import type { TargetPlatform } from "./targets.js"

/**
 * Reads the services of the repository.
 *
 * @throws ConfigurationError for a fault in services.yaml, and when it names other services than services/ has
 */
export async function readPlatform(source: Directory): Promise<Platform> {
  const services = source.directory("services")
  const [text, found] = await Promise.all([
    source.file(catalogFile).contents(),
    services.filter({ include: ["*/Dockerfile", "*/package.json", "*/pyproject.toml"] }).glob("*/*"),
  ])
  const recipes: Record<string, Recipes> = {}
  await Promise.all(
    found.map(async (path) => {
      const [service = "", file] = path.split("/")
      if (file === "pyproject.toml") return
      const contents = await services.file(path).contents()
      recipes[service] = {
        ...recipes[service],
        [file === "Dockerfile" ? "dockerfile" : "manifest"]: contents,
      }
    }),
  )
  const catalog = readCatalog(text, recipes)
  verifyFolders(catalog, text, [...new Set(found.map((path) => posix.dirname(path)))])
  return new Platform(catalog, services)
}

interface RunOptions {
  port?: number
  target?: TargetPlatform
  readOnly?: boolean
}

/** The services of the platform, built from source. */
export class Platform {
  constructor(
    readonly catalog: Catalog,
    /** The folder services/. */
    readonly services: Directory,
  ) {}

  /**
   * The image of a service, built from its inputs alone, so that other changes do not rebuild it.
   *
   * @param target the platform that it runs on; that of the engine, if absent
   */
  image({ name, inputs }: Service, target?: TargetPlatform): Container {
    return this.services.filter({ include: inputs }).dockerBuild({
      dockerfile: `${name}/Dockerfile`,
      buildArgs: cacheArguments(),
      ...(target && { platform: target as Target }),
    })
  }

  /**
   * Builds the image of a service now, and not when it is first used.
   *
   * @throws BuildFailed with the place in its Dockerfile
   */
  async build(service: Service, target?: TargetPlatform): Promise<Container> {
    const image = this.image(service, target)
    try {
      await image.sync()
    } catch (error) {
      const file = `${service.name}/Dockerfile`
      throw explainedBuild(error, `services/${file}`, await this.services.file(file).contents())
    }
    return image
  }

  /** The image as it is deployed: labelled with the head of its migrations. */
  async release(service: Service, target?: TargetPlatform): Promise<Container> {
    const files = await this.services.filter({ include: [service.name] }).glob("**/migrations/versions/*.py")
    const texts = await Promise.all(
      files.map(async (file) => [file, await this.services.file(file).contents()]),
    )
    return labelled(
      await this.build(service, target),
      schemaOf(Object.fromEntries(texts) as Record<string, string>),
    )
  }

  /** The image that a service's image begins with, on a platform; undefined when it begins with nothing. */
  async base({ name }: Service, target?: TargetPlatform): Promise<Container | undefined> {
    const image = baseImageOf(await this.services.file(`${name}/Dockerfile`).contents())
    if (image === undefined) return undefined
    return dag.container({ ...(target && { platform: target as Target }) }).from(image)
  }

  /**
   * Runs a service with everything it needs: a backend with its own stores and the data of its setup, a web app with its backend.
   *
   * @param owner who uses it; see {@link postgres}
   * @param options.port that it listens on
   * @param options.target the platform of its image; what it needs runs on that of the engine
   * @param options.readOnly as in a cluster, its root file system cannot be written; what it needs runs as it is
   */
  async run(
    service: Service,
    owner: string,
    { port = defaultPort, target, readOnly = false }: RunOptions = {},
  ): Promise<Running> {
    const { name, kind, backend, database = name } = service
    const started = (container: Container) =>
      readOnly ? readOnlyService(container, kind) : container.asService({ useEntrypoint: true })
    const listening = await listeningOn(await this.furnished(service, target), port)
    if (backend !== undefined) {
      return started(
        listening
          .withServiceBinding("backend", await this.run(this.service(backend), owner))
          .withEnvVariable("API_UPSTREAM", `http://backend:${defaultPort}`),
      )
    }
    return started(configured(withStores(listening, owner, database, this.dump(service)), service))
  }

  /** The image of a service with the files of its setup. */
  async furnished(service: Service, target?: TargetPlatform): Promise<Container> {
    const { files } = service
    const image = await this.build(service, target)
    if (files === undefined) return image
    return image.withDirectory(files, this.seed(service).directory(files), { owner: await image.user() })
  }

  /** The database of a backend after its setup, as SQL. */
  dump(service: Service): File {
    return this.seed(service).file(dump)
  }

  /** Runs the setup of a backend on empty stores, once per image. The result contains its files and a dump of its database. */
  private seed(service: Service): Container {
    const { name, setup, database } = service
    // An image with a database has PostgreSQL's client, for backups.
    const last = database === undefined ? `touch ${dump}` : `pg_dump --no-owner --file ${dump} $DATABASE_URL`
    const stores = withStores(this.image(service), `${name}:setup`, database ?? name)
    return configured(stores, service).withExec(setupCommand([...setup, last]))
  }

  /** @throws Error for an unknown name, with all known ones */
  service(name: string): Service {
    const service = this.catalog[name]
    if (!service) {
      throw new Error(`there is no service "${name}"; allowed: ${Object.keys(this.catalog).join(", ")}`)
    }
    return service
  }
}

/** Makes a service listen on `port` only, whatever its image declares. */
async function listeningOn(image: Container, port: number): Promise<Container> {
  const declared = await Promise.all((await image.exposedPorts()).map((exposed) => exposed.port()))
  // Sorted, because the engine returns them in any order, and another order would miss its cache.
  return declared
    .sort((one, other) => one - other)
    .reduce((container, number) => container.withoutExposedPort(number), image)
    .withEnvVariable("PORT", String(port))
    .withExposedPort(port)
}

/** Adds the variables of every backend on a throw-away platform. */
function configured(container: Container, { environment }: Service): Container {
  return Object.entries(environment)
    .reduce((configured, [name, value]) => configured.withEnvVariable(name, value), container)
    .withEnvVariable("ENVIRONMENT", "development")
    .withEnvVariable("SETUP_USER", setupUser)
    .withEnvVariable("SETUP_PASSWORD", setupPassword)
    .withEnvVariable("JWT_SECRET_KEY", throwAwayKey)
}

/** Where services listen that run for a gate. */
export const defaultPort = 8000
const dump = "/tmp/database.sql"

// They protect nothing, because the platform lives for one run on its own network. As secrets they would change with the module, and every remembered
// gate would run again.
const throwAwayKey = "throw-away-key-of-a-platform-that-lives-for-one-run"
/** An editor that a setup may create, for tests that sign in. */
export const setupUser = "editor"
export const setupPassword = "throw-away-password"
