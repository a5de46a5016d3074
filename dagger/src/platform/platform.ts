import type { Container, Directory, File, Service as Running } from "@dagger.io/dagger"
import { type Catalog, catalogFile, readCatalog, type Recipes, type Service } from "./catalog.js"
import { labelled, schemaOf } from "./schema.js"
import { withStores } from "./stores.js"

/** Reads what services there are from the repository. */
export async function readPlatform(source: Directory): Promise<Platform> {
  const services = source.directory("services")
  const [text, found] = await Promise.all([
    source.file(catalogFile).contents(),
    services.filter({ include: ["*/Dockerfile", "*/package.json"] }).glob("*/*"),
  ])
  const recipes: Record<string, Recipes> = {}
  await Promise.all(
    found.map(async (path) => {
      const [service = "", file] = path.split("/")
      const contents = await services.file(path).contents()
      recipes[service] = {
        ...recipes[service],
        [file === "Dockerfile" ? "dockerfile" : "manifest"]: contents,
      }
    }),
  )
  return new Platform(readCatalog(text, recipes), services)
}

/** The services of the platform, made from source and run beside each other. */
export class Platform {
  constructor(
    readonly catalog: Catalog,
    /** The folder services/. */
    readonly services: Directory,
  ) {}

  /** The image of a service, from its Dockerfile and nothing but its inputs. */
  image({ name, inputs }: Service): Container {
    return this.services.filter({ include: inputs }).dockerBuild({ dockerfile: `${name}/Dockerfile` })
  }

  /** The same as it is deployed: with what its migrations make of its database written on it. */
  async release(service: Service): Promise<Container> {
    const files = await this.services.filter({ include: [service.name] }).glob("**/migrations/versions/*.py")
    const texts = await Promise.all(
      files.map(async (file) => [file, await this.services.file(file).contents()]),
    )
    return labelled(this.image(service), schemaOf(Object.fromEntries(texts) as Record<string, string>))
  }

  /**
   * A running service with all that it needs: a backend with stores of its own that hold what its setup puts there, a web app with its backend.
   *
   * @param owner who uses it; see `postgres`
   * @param port where it listens
   */
  async run(service: Service, owner: string, port: number = defaultPort): Promise<Running> {
    const { name, backend, database = name } = service
    const listening = await listeningOn(await this.furnished(service), port)
    if (backend !== undefined) {
      return listening
        .withServiceBinding("backend", await this.run(this.service(backend), owner))
        .withEnvVariable("API_UPSTREAM", `http://backend:${defaultPort}`)
        .asService({ useEntrypoint: true })
    }
    const seeded = configured(withStores(listening, owner, database, await this.dump(service)), service)
    return seeded.asService({ useEntrypoint: true })
  }

  /** The image of a service with the files that its setup keeps. */
  async furnished(service: Service): Promise<Container> {
    const { files } = service
    const image = this.image(service)
    if (files === undefined) return image
    const seed = await this.seed(service)
    return image.withDirectory(files, seed.directory(files), { owner: await image.user() })
  }

  /** What the setup of a backend has put into its empty database, as SQL. */
  async dump(service: Service): Promise<File> {
    return (await this.seed(service)).file(dump)
  }

  /** The image of a backend after its setup on empty stores, with a dump of its database beside the files that it keeps. Made once for an image. */
  private async seed(service: Service): Promise<Container> {
    const { name, setup, database = name } = service
    const image = this.image(service)
    const tools = image
      .withUser("root")
      .withExec([
        "sh",
        "-c",
        "apt-get update -qq && apt-get install -yqq --no-install-recommends postgresql-client-15",
      ])
      .withUser(await image.user())
    return configured(withStores(tools, `${name}:setup`, database), service).withExec([
      ...["sh", "-ec", [...setup, `pg_dump --no-owner --file ${dump} "$DATABASE_URL"`].join("\n")],
    ])
  }

  service(name: string): Service {
    const service = this.catalog[name]
    if (!service) {
      throw new Error(`there is no service "${name}"; there are: ${Object.keys(this.catalog).join(", ")}`)
    }
    return service
  }
}

/** Nothing but this port: what an image declares stands for where it listens by itself. */
async function listeningOn(image: Container, port: number): Promise<Container> {
  const declared = await Promise.all((await image.exposedPorts()).map((exposed) => exposed.port()))
  // The engine tells them in any order, and knows what is made in another one for something else.
  return declared
    .sort((one, other) => one - other)
    .reduce((container, number) => container.withoutExposedPort(number), image)
    .withEnvVariable("PORT", String(port))
    .withExposedPort(port)
}

/** What every backend of a throw-away platform is told. */
function configured(container: Container, { environment }: Service): Container {
  return Object.entries(environment)
    .reduce((told, [name, value]) => told.withEnvVariable(name, value), container)
    .withEnvVariable("ENVIRONMENT", "development")
    .withEnvVariable("SETUP_USER", setupUser)
    .withEnvVariable("SETUP_PASSWORD", setupPassword)
    .withEnvVariable("JWT_SECRET_KEY", throwAwayKey)
}

const defaultPort = 8000
const dump = "/tmp/database.sql"

// Of platforms that live for one run, on no network but the run's own: nothing that it opens is worth anything. No secrets to the engine either:
// it would forget all passes with every change of the module.
const throwAwayKey = "throw-away-key-of-a-platform-that-lives-for-one-run"
/** An editor that a setup may make, for journeys that sign in. */
export const setupUser = "editor"
export const setupPassword = "throw-away-password"
