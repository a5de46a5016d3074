import { check, type Directory, func, object, type Secret, type Service } from "@dagger.io/dagger"
import type { SecurityOptions } from "../ci/gates/security.js"
import { Pipeline } from "../ci/pipeline.js"

/** What may not be in the repository or in what it delivers: its gates as checks. */
@object()
export class SecurityChecks {
  private source: Directory
  private snykToken?: Secret
  private database?: string
  private registry?: Service

  constructor(source: Directory, snykToken?: Secret, database?: string, registry?: Service) {
    this.source = source
    this.snykToken = snykToken
    this.database = database
    this.registry = registry
  }

  /**
   * Holds every lock file of the repository against a database of known vulnerabilities, with Trivy.
   *
   * Throws with those of a severity that stops a change. Never remembered: the database and what is ignored for a time change with the day; the scan is
   * remembered for equal lock files and an equal database. Example: `./daggerw check security:dependencies`
   */
  @func({ cache: "never" })
  @check()
  async dependencies(): Promise<void> {
    await this.enforce("dependencies")
  }

  /**
   * Looks for secrets in every file, with Trivy's rules and those for the platform's own secrets.
   *
   * Throws with their places. Example: `./daggerw check security:secrets`
   */
  @func({ cache: "never" })
  @check()
  async secrets(): Promise<void> {
    await this.enforce("secrets")
  }

  /**
   * Checks Dockerfiles, compose files and manifests, with Trivy: no root, no privileges, images of a named version.
   *
   * Throws with the findings. Example: `./daggerw check security:config`
   */
  @func({ cache: "never" })
  @check()
  async config(): Promise<void> {
    await this.enforce("config")
  }

  /**
   * Holds the licences of all packages that are delivered against the policy in `dagger/config/security.yaml`.
   *
   * Throws with those that are forbidden or not decided on. Example: `./daggerw check security:licences`
   */
  @func({ cache: "never" })
  @check()
  async licences(): Promise<void> {
    await this.enforce("licences")
  }

  /**
   * Looks for ways to attack the code, with Semgrep and the rules in `dagger/config/semgrep`.
   *
   * Throws with the findings. Example: `./daggerw check security:sast`
   */
  @func({ cache: "never" })
  @check()
  async sast(): Promise<void> {
    await this.enforce("sast")
  }

  /**
   * Looks for ways to attack the Python code, with Bandit.
   *
   * Throws with the findings. Example: `./daggerw check security:bandit`
   */
  @func({ cache: "never" })
  @check()
  async bandit(): Promise<void> {
    await this.enforce("bandit")
  }

  /**
   * Asks Snyk about the lock files of npm, where SNYK_TOKEN is given.
   *
   * Throws with the findings. Example: `./daggerw call security --snyk-token env://SNYK_TOKEN snyk`
   */
  @func({ cache: "never" })
  @check()
  async snyk(): Promise<void> {
    await this.enforce("snyk")
  }

  private async enforce(gate: string): Promise<void> {
    const options: SecurityOptions = {
      ...(this.snykToken && { snykToken: this.snykToken }),
      ...(this.database !== undefined && { database: this.database }),
      ...(this.registry && { registry: this.registry }),
    }
    await new Pipeline(this.source, undefined, options).enforce(`security:${gate}`)
  }
}
