import { check, type Directory, func, object, type Secret, type Service } from "@dagger.io/dagger"
import { gatesOf } from "./gates.js"

/** Gates that look for vulnerabilities, secrets, licences and insecure code. */
@object()
export class SecurityChecks {
  private source: Directory
  private secretsFile?: Secret
  private vulnerabilities?: string
  private database?: Service

  constructor(source: Directory, secrets?: Secret, vulnerabilities?: string, database?: Service) {
    this.source = source
    this.secretsFile = secrets
    this.vulnerabilities = vulnerabilities
    this.database = database
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
   * Asks Snyk about npm's lock files. Skipped without the entry SNYK_TOKEN in the secrets file.
   *
   * Throws with the findings. Example: `./daggerw call --secrets file://secrets.env security snyk`
   */
  @func({ cache: "never" })
  @check()
  async snyk(): Promise<void> {
    await this.enforce("snyk")
  }

  private async enforce(gate: string): Promise<void> {
    const gates = await gatesOf(this.source, {
      ...(this.secretsFile && { secrets: this.secretsFile }),
      ...(this.vulnerabilities !== undefined && { vulnerabilities: this.vulnerabilities }),
      ...(this.database && { database: this.database }),
    })
    await gates.enforce(`security:${gate}`)
  }
}
