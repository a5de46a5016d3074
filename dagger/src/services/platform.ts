import { dag, type Container, type Directory, type File, type Service as Running } from "@dagger.io/dagger"
import type { Catalog, Service } from "./catalog.js"
import { labelled, schemaOf } from "./schema.js"
import { withStores } from "./stores.js"

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
    const { name, backend, files, database = name } = service
    const image = this.image(service)
    const listening = await listeningOn(image, port)
    if (backend !== undefined) {
      return listening
        .withServiceBinding("backend", await this.run(this.service(backend), owner))
        .withEnvVariable("API_UPSTREAM", `http://backend:${defaultPort}`)
        .asService({ useEntrypoint: true })
    }
    const seed = await this.seed(service)
    const seeded = configured(withStores(listening, owner, database, seed.database), service)
    const furnished = files === undefined ? seeded : seeded.withDirectory(files, seed.files ?? dag.directory())
    return furnished.asService({ useEntrypoint: true })
  }

  /** What the setup of a backend leaves behind on empty stores: a dump of its database, and the files that it keeps. Made once for an image. */
  async seed(service: Service): Promise<{ database: File; files?: Directory }> {
    const { name, files, setup, database = name } = service
    const image = this.image(service)
    const tools = image
      .withUser("root")
      .withExec(["sh", "-c", "apt-get update -qq && apt-get install -yqq --no-install-recommends postgresql-client-15"])
      .withUser(await image.user())
    const done = configured(withStores(tools, `${name}:setup`, database), service).withExec([
      ...["sh", "-ec", [...setup, `pg_dump --no-owner --file ${dump} "$DATABASE_URL"`].join("\n")],
    ])
    return {
      database: done.file(dump),
      // Known by its contents from the first time on, so that what runs with it is remembered from the first time on.
      ...(files !== undefined && { files: done.directory(files).filter({ include: ["**"] }) }),
    }
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
  return declared
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
    .withSecretVariable("SETUP_PASSWORD", dag.setSecret("throw-away-password", setupPassword))
    .withSecretVariable("JWT_SECRET_KEY", dag.setSecret("throw-away-jwt-key", throwAwayKey))
}

const defaultPort = 8000
const dump = "/tmp/database.sql"

// Of platforms that live for one run, on no network but the run's own: nothing that it opens is worth anything.
const throwAwayKey = "throw-away-key-of-a-platform-that-lives-for-one-run"
/** An editor that a setup may make, for journeys that sign in. */
export const setupUser = "editor"
export const setupPassword = "throw-away-password"
