/**
 * Pitwall: the delivery pipeline of the F1 Prediction Analytics platform.
 *
 * Start with `./daggerw call ci`.
 */
import {
  argument,
  type Directory,
  type File,
  func,
  object,
  type Secret,
  type Service,
  type Workspace,
} from "@dagger.io/dagger"
import { KubernetesCluster } from "./cluster.js"
import { Desk } from "./desk.js"
import { secondsOf } from "./duration.js"
import { SecurityChecks } from "./security.js"
import { ModuleChecks, PythonLibrary, PythonService, ReactApp, ReactLibrary } from "./services.js"

@object()
export class Pitwall {
  source: Directory

  /**
   * @param source The repository. What no gate or build reads never leaves the host.
   */
  constructor(
    @argument({
      defaultPath: "/",
      ignore: [
        "*",
        "!.ci",
        "!.github",
        "!dagger",
        "!engine",
        "!scripts",
        "!services",
        "!*.js",
        "!*.json",
        "!*.md",
        "!*.ts",
        "!.gitignore",
        "!.npmrc",
        "!.prettierignore",
        "!.prettierrc",
        "!daggerw",
        "**/node_modules",
        "**/__pycache__",
        "**/.mypy_cache",
        "**/.pytest_cache",
        "**/.hypothesis",
        "**/coverage",
        "**/dist",
        "**/dev-dist",
        "**/reports",
        "dagger/sdk",
      ],
    })
    source: Directory,
  ) {
    this.source = source
  }

  /**
   * Runs every gate that a change must pass and gives back the gate table.
   *
   * The gates run in parallel and to the end. Throws when a gate failed or could not run; the message holds the table, of each such gate the failing part, and
   * the command that runs just that again. A pass is remembered for equal source, a failure never.
   *
   * Example: `./daggerw call ci --since origin/main`
   *
   * @param only Services to look at, such as `f1-backend`; `module` is the pipeline's own source, `security` what scanners look at. All, if none is named.
   * @param since A git ref, such as `origin/main`: only what the changes since then call for, uncommitted ones included. Any doubt (no git, a shallow clone, a
   * shared file) means everything.
   * @param performance Put the backends under load as well, for 60 seconds; see `load-test`.
   * @param failFast Start no further gate once one has failed.
   * @param parallel How many gates run at the same time; 0: twice as many as the engine has processors.
   * @param vulnerabilities The OCI reference of a vulnerability database in Trivy's format; that of `dagger/config/security.yaml`, if not given.
   * @param snykToken Asks Snyk too; without it, that gate is skipped.
   * @param from The summary.json of a report: run nothing, and pass or fail as that run did.
   */
  @func({ cache: "never" })
  async ci(
    workspace: Workspace,
    only: string[] = [],
    since = "",
    performance = false,
    failFast = false,
    parallel = 0,
    vulnerabilities?: string,
    snykToken?: Secret,
    from?: File,
  ): Promise<string> {
    const desk = this.desk({ performance, vulnerabilities, snykToken }, workspace)
    return from ? desk.judge(from) : desk.ci({ only, since, failFast, parallel })
  }

  /**
   * Runs the gates as `ci` does, and gives back a folder of reports, whether they pass or not.
   *
   * In it: `index.html` to look at, `summary.md`, `summary.json`, `annotations.txt` (GitHub's workflow commands), and `junit/`, `coverage/` (Cobertura, lcov),
   * `sarif/`, `logs/`, `pictures/`.
   *
   * Example: `./daggerw call report export --path reports`
   *
   * @param only As of `ci`.
   * @param since As of `ci`.
   * @param performance As of `ci`.
   * @param failFast As of `ci`.
   * @param parallel As of `ci`.
   * @param vulnerabilities As of `ci`.
   * @param snykToken As of `ci`.
   */
  @func({ cache: "never" })
  async report(
    workspace: Workspace,
    only: string[] = [],
    since = "",
    performance = false,
    failFast = false,
    parallel = 0,
    vulnerabilities?: string,
    snykToken?: Secret,
  ): Promise<Directory> {
    const desk = this.desk({ performance, vulnerabilities, snykToken }, workspace)
    return desk.report({ only, since, failFast, parallel })
  }

  /**
   * Puts the backends under load with Locust, each on stores of its own, and gives back the gate table.
   *
   * Throws when more than the allowed share of requests failed, or 95 % of answers took longer than allowed: `load` in `dagger/config/services.yaml`.
   *
   * Example: `./daggerw call load-test --users 50 --duration 60s`
   *
   * @param users Simulated people at the same time.
   * @param duration How long, such as `90s` or `5m`.
   * @param only Backends by name; both, if none is named.
   */
  @func({ cache: "never" })
  async loadTest(users = 50, duration = "60s", only: string[] = []): Promise<string> {
    const desk = new Desk(this.source, undefined, { load: { users, seconds: secondsOf(duration) } })
    return desk.load(only)
  }

  /**
   * Runs some tests of a gate, and gives back what their tool said. A failing gate's output names the call.
   *
   * Example: `./daggerw call test --gate api:test --select tests/test_search.py`
   *
   * @param gate A gate that runs tests, such as `api:test` or `web:browser`.
   * @param select What its tool (pytest, Vitest, Playwright) is to run, as you would type it behind the tool's name.
   */
  @func({ cache: "never" })
  async test(gate: string, select = ""): Promise<string> {
    return new Desk(this.source).rerun(gate, select)
  }

  /** The recipes API: its gates. Example: `./daggerw check 'api:*'` */
  @func()
  api(): PythonService {
    return new PythonService(this.source, "api")
  }

  /** The F1 prediction backend: its gates. Example: `./daggerw check 'f-1-backend:*'` */
  @func()
  f1Backend(): PythonService {
    return new PythonService(this.source, "f1-backend")
  }

  /** What the Python services share: its gates. Example: `./daggerw check 'servicekit:*'` */
  @func()
  servicekit(): PythonLibrary {
    return new PythonLibrary(this.source, "servicekit")
  }

  /** The recipes web app: its gates. Example: `./daggerw check 'web:*'` */
  @func()
  web(): ReactApp {
    return new ReactApp(this.source, "web")
  }

  /** The F1 dashboard: its gates. Example: `./daggerw check 'f-1-frontend:*'` */
  @func()
  f1Frontend(): ReactApp {
    return new ReactApp(this.source, "f1-frontend")
  }

  /** What the web apps share: its gates. Example: `./daggerw check 'frontend-kit:*'` */
  @func()
  frontendKit(): ReactLibrary {
    return new ReactLibrary(this.source, "frontend-kit")
  }

  /** The pipeline's own source: its gates. Example: `./daggerw check 'module:*'` */
  @func()
  module(): ModuleChecks {
    return new ModuleChecks(this.source)
  }

  /**
   * What may not be in the repository or in what it delivers: its gates. Example: `./daggerw check 'security:*'`
   *
   * @param snykToken Asks Snyk too; without it, that gate is skipped.
   * @param vulnerabilities The OCI reference of a vulnerability database in Trivy's format.
   * @param registry A registry that the reference names as `registry.local`.
   */
  @func()
  security(snykToken?: Secret, vulnerabilities?: string, registry?: Service): SecurityChecks {
    return new SecurityChecks(this.source, snykToken, vulnerabilities, registry)
  }

  /**
   * A throw-away Kubernetes of one node, with DNS and a router. Example: `./daggerw call cluster serve up`
   *
   * @param name Its own: two names are two clusters.
   */
  @func()
  cluster(name = "pitwall"): KubernetesCluster {
    return new KubernetesCluster(this.source, name)
  }

  private desk(
    wishes: { performance: boolean; vulnerabilities: string | undefined; snykToken: Secret | undefined },
    workspace: Workspace,
  ): Desk {
    const { performance, vulnerabilities, snykToken } = wishes
    return new Desk(this.source, workspace, {
      ...(performance && { load: { users: 50, seconds: 60 } }),
      ...(vulnerabilities !== undefined && { database: vulnerabilities }),
      ...(snykToken && { snykToken }),
    })
  }
}
