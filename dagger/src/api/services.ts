import { check, type Directory, func, object, type Service, up } from "@dagger.io/dagger"
import { Pipeline } from "../ci/pipeline.js"

/** A Python library of the platform: its gates as checks. */
@object()
export class PythonLibrary {
  private source: Directory
  private name: string

  constructor(source: Directory, name: string) {
    this.source = source
    this.name = name
  }

  /**
   * Runs the tests, with real PostgreSQL and Redis where the service keeps data.
   *
   * Throws with the failing tests. Example: `./daggerw check servicekit:test`
   */
  @func()
  @check()
  async test(): Promise<void> {
    await this.enforce("test")
  }

  /**
   * Checks that its files are formatted: black for Python, Prettier for the rest.
   *
   * Throws with the files that are not, or the changes they need. Example: `./daggerw check servicekit:format`
   */
  @func()
  @check()
  async format(): Promise<void> {
    await this.enforce("format")
  }

  /**
   * Checks its code against the rules of flake8 or ESLint.
   *
   * Throws with the findings. Example: `./daggerw check servicekit:lint`
   */
  @func()
  @check()
  async lint(): Promise<void> {
    await this.enforce("lint")
  }

  /**
   * Checks its types with mypy or tsc.
   *
   * Throws with the errors. Example: `./daggerw check servicekit:types`
   */
  @func()
  @check()
  async types(): Promise<void> {
    await this.enforce("types")
  }

  /**
   * Holds what its tests reach against the threshold in `dagger/config/services.yaml`.
   *
   * Throws with what is missing. Example: `./daggerw check servicekit:coverage`
   */
  @func()
  @check()
  async coverage(): Promise<void> {
    await this.enforce("coverage")
  }

  private async enforce(gate: string): Promise<void> {
    await new Pipeline(this.source).enforce(`${this.name}:${gate}`)
  }
}

/** A Python service of the platform: its gates as checks, and itself to run. */
@object()
export class PythonService {
  private source: Directory
  private name: string

  constructor(source: Directory, name: string) {
    this.source = source
    this.name = name
  }

  /**
   * Runs the tests, with real PostgreSQL and Redis where the service keeps data.
   *
   * Throws with the failing tests. Example: `./daggerw check api:test`
   */
  @func()
  @check()
  async test(): Promise<void> {
    await this.enforce("test")
  }

  /**
   * Checks that its files are formatted: black for Python, Prettier for the rest.
   *
   * Throws with the files that are not, or the changes they need. Example: `./daggerw check api:format`
   */
  @func()
  @check()
  async format(): Promise<void> {
    await this.enforce("format")
  }

  /**
   * Checks its code against the rules of flake8 or ESLint.
   *
   * Throws with the findings. Example: `./daggerw check api:lint`
   */
  @func()
  @check()
  async lint(): Promise<void> {
    await this.enforce("lint")
  }

  /**
   * Checks its types with mypy or tsc.
   *
   * Throws with the errors. Example: `./daggerw check api:types`
   */
  @func()
  @check()
  async types(): Promise<void> {
    await this.enforce("types")
  }

  /**
   * Holds what its tests reach against the threshold in `dagger/config/services.yaml`.
   *
   * Throws with what is missing. Example: `./daggerw check api:coverage`
   */
  @func()
  @check()
  async coverage(): Promise<void> {
    await this.enforce("coverage")
  }

  /**
   * Checks its database migrations: one head, equal to the models, up, down to nothing and up again.
   *
   * Throws with what does not hold. Example: `./daggerw check api:migrations`
   */
  @func()
  @check()
  async migrations(): Promise<void> {
    await this.enforce("migrations")
  }

  /**
   * Builds its image.
   *
   * Throws with the failing step. Example: `./daggerw check api:image`
   */
  @func()
  @check()
  async image(): Promise<void> {
    await this.enforce("image")
  }

  /**
   * Starts its image on empty stores and waits until it says that it is ready.
   *
   * Throws with what it said instead. Example: `./daggerw check api:smoke`
   */
  @func()
  @check()
  async smoke(): Promise<void> {
    await this.enforce("smoke")
  }

  /**
   * Holds what is in its image against a database of known vulnerabilities and the policy of licences, with Trivy.
   *
   * Throws with what stops a change. Never remembered: see `security:dependencies`. Example: `./daggerw check api:scan`
   */
  @func({ cache: "never" })
  @check()
  async scan(): Promise<void> {
    await this.enforce("scan")
  }

  /**
   * The service with all that it needs, on the port that `dagger/config/services.yaml` gives it.
   *
   * Example: `./daggerw up api:serve`
   */
  @func({ cache: "never" })
  @up()
  async serve(): Promise<Service> {
    return new Pipeline(this.source).serve(this.name)
  }

  private async enforce(gate: string): Promise<void> {
    await new Pipeline(this.source).enforce(`${this.name}:${gate}`)
  }
}

/** A library of the web apps: its gates as checks. */
@object()
export class ReactLibrary {
  private source: Directory
  private name: string

  constructor(source: Directory, name: string) {
    this.source = source
    this.name = name
  }

  /**
   * Runs the tests, with real PostgreSQL and Redis where the service keeps data.
   *
   * Throws with the failing tests. Example: `./daggerw check frontend-kit:test`
   */
  @func()
  @check()
  async test(): Promise<void> {
    await this.enforce("test")
  }

  /**
   * Checks that its files are formatted: black for Python, Prettier for the rest.
   *
   * Throws with the files that are not, or the changes they need. Example: `./daggerw check frontend-kit:format`
   */
  @func()
  @check()
  async format(): Promise<void> {
    await this.enforce("format")
  }

  /**
   * Checks its code against the rules of flake8 or ESLint.
   *
   * Throws with the findings. Example: `./daggerw check frontend-kit:lint`
   */
  @func()
  @check()
  async lint(): Promise<void> {
    await this.enforce("lint")
  }

  /**
   * Checks its types with mypy or tsc.
   *
   * Throws with the errors. Example: `./daggerw check frontend-kit:types`
   */
  @func()
  @check()
  async types(): Promise<void> {
    await this.enforce("types")
  }

  /**
   * Holds what its tests reach against the threshold in `dagger/config/services.yaml`.
   *
   * Throws with what is missing. Example: `./daggerw check frontend-kit:coverage`
   */
  @func()
  @check()
  async coverage(): Promise<void> {
    await this.enforce("coverage")
  }

  private async enforce(gate: string): Promise<void> {
    await new Pipeline(this.source).enforce(`${this.name}:${gate}`)
  }
}

/** A web app of the platform: its gates as checks, and itself to run. */
@object()
export class ReactApp {
  private source: Directory
  private name: string

  constructor(source: Directory, name: string) {
    this.source = source
    this.name = name
  }

  /**
   * Runs the tests, with real PostgreSQL and Redis where the service keeps data.
   *
   * Throws with the failing tests. Example: `./daggerw check web:test`
   */
  @func()
  @check()
  async test(): Promise<void> {
    await this.enforce("test")
  }

  /**
   * Checks that its files are formatted: black for Python, Prettier for the rest.
   *
   * Throws with the files that are not, or the changes they need. Example: `./daggerw check web:format`
   */
  @func()
  @check()
  async format(): Promise<void> {
    await this.enforce("format")
  }

  /**
   * Checks its code against the rules of flake8 or ESLint.
   *
   * Throws with the findings. Example: `./daggerw check web:lint`
   */
  @func()
  @check()
  async lint(): Promise<void> {
    await this.enforce("lint")
  }

  /**
   * Checks its types with mypy or tsc.
   *
   * Throws with the errors. Example: `./daggerw check web:types`
   */
  @func()
  @check()
  async types(): Promise<void> {
    await this.enforce("types")
  }

  /**
   * Holds what its tests reach against the threshold in `dagger/config/services.yaml`.
   *
   * Throws with what is missing. Example: `./daggerw check web:coverage`
   */
  @func()
  @check()
  async coverage(): Promise<void> {
    await this.enforce("coverage")
  }

  /**
   * Checks that its types are those of its backend's OpenAPI.
   *
   * Throws with the difference. Example: `./daggerw check web:contract`
   */
  @func()
  @check()
  async contract(): Promise<void> {
    await this.enforce("contract")
  }

  /**
   * Builds its image.
   *
   * Throws with the failing step. Example: `./daggerw check web:image`
   */
  @func()
  @check()
  async image(): Promise<void> {
    await this.enforce("image")
  }

  /**
   * Starts its image on empty stores and waits until it says that it is ready.
   *
   * Throws with what it said instead. Example: `./daggerw check web:smoke`
   */
  @func()
  @check()
  async smoke(): Promise<void> {
    await this.enforce("smoke")
  }

  /**
   * Runs its journeys in Chromium, against its image in front of its backend's.
   *
   * Throws with the failing journeys. Example: `./daggerw check web:browser`
   */
  @func()
  @check()
  async browser(): Promise<void> {
    await this.enforce("browser")
  }

  /**
   * Holds what is in its image against a database of known vulnerabilities and the policy of licences, with Trivy.
   *
   * Throws with what stops a change. Never remembered: see `security:dependencies`. Example: `./daggerw check web:scan`
   */
  @func({ cache: "never" })
  @check()
  async scan(): Promise<void> {
    await this.enforce("scan")
  }

  /**
   * The service with all that it needs, on the port that `dagger/config/services.yaml` gives it.
   *
   * Example: `./daggerw up web:serve`
   */
  @func({ cache: "never" })
  @up()
  async serve(): Promise<Service> {
    return new Pipeline(this.source).serve(this.name)
  }

  private async enforce(gate: string): Promise<void> {
    await new Pipeline(this.source).enforce(`${this.name}:${gate}`)
  }
}

/** The pipeline's own source: its gates as checks. */
@object()
export class ModuleChecks {
  private source: Directory

  constructor(source: Directory) {
    this.source = source
  }

  /**
   * Checks that every text file is formatted as Prettier would.
   *
   * Throws with the files that are not; `npm run format` rewrites them. Example: `./daggerw check module:format`
   */
  @func()
  @check()
  async format(): Promise<void> {
    await this.enforce("format")
  }

  /**
   * Checks TypeScript and JavaScript against the type-aware ESLint rules.
   *
   * Throws with the findings. Example: `./daggerw check module:lint`
   */
  @func()
  @check()
  async lint(): Promise<void> {
    await this.enforce("lint")
  }

  /**
   * Checks the types of the pipeline, its tests and its scripts with tsc.
   *
   * Throws with the errors. Example: `./daggerw check module:types`
   */
  @func()
  @check()
  async types(): Promise<void> {
    await this.enforce("types")
  }

  /**
   * Runs the unit tests of the pipeline's decisions.
   *
   * Throws with the failing tests. Example: `./daggerw check module:unit`
   */
  @func()
  @check()
  async unit(): Promise<void> {
    await this.enforce("unit")
  }

  /**
   * Checks the shell scripts with ShellCheck.
   *
   * Throws with the findings. Example: `./daggerw check module:shell`
   */
  @func()
  @check()
  async shell(): Promise<void> {
    await this.enforce("shell")
  }

  private async enforce(gate: string): Promise<void> {
    await new Pipeline(this.source).enforce(`module:${gate}`)
  }
}
