/**
 * Pitwall: the delivery pipeline of the F1 Prediction Analytics platform.
 *
 * Start with `./daggerw call ci`.
 */
import { argument, check, type Directory, func, object } from "@dagger.io/dagger"
import { type Gate, run } from "./checks/gate.js"
import { gates } from "./checks/gates.js"
import { allPassed, finding, summarize } from "./checks/summary.js"

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
        "!dagger",
        "!engine",
        "!scripts",
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
   * The gates run in parallel and to the end. Throws when a gate failed or could not run; the message holds the table and the end of each failing gate's
   * output. A pass is remembered for equal source, a failure never.
   *
   * Example: `./daggerw call ci`
   */
  @func()
  async ci(): Promise<string> {
    const verdicts = await Promise.all(Object.values(gates(this.source)).map(run))
    const summary = summarize(verdicts)
    if (!allPassed(verdicts)) throw new Error(`not every gate passed\n\n${summary}`)
    return summary
  }

  /**
   * Checks that every text file is formatted as Prettier would.
   *
   * Throws with the files that are not; `npm run format` rewrites them.
   *
   * Example: `./daggerw check format`
   */
  @func()
  @check()
  async format(): Promise<void> {
    await enforce(gates(this.source).format)
  }

  /**
   * Checks TypeScript and JavaScript against the type-aware ESLint rules.
   *
   * Throws with the findings.
   *
   * Example: `./daggerw check lint`
   */
  @func()
  @check()
  async lint(): Promise<void> {
    await enforce(gates(this.source).lint)
  }

  /**
   * Checks the types of the pipeline, its tests and its scripts with tsc.
   *
   * Throws with the errors.
   *
   * Example: `./daggerw check types`
   */
  @func()
  @check()
  async types(): Promise<void> {
    await enforce(gates(this.source).types)
  }

  /**
   * Runs the unit tests of the pipeline's decisions.
   *
   * Throws with the failing tests.
   *
   * Example: `./daggerw check unit`
   */
  @func()
  @check()
  async unit(): Promise<void> {
    await enforce(gates(this.source).unit)
  }

  /**
   * Checks the shell scripts with ShellCheck.
   *
   * Throws with the findings.
   *
   * Example: `./daggerw check shell`
   */
  @func()
  @check()
  async shell(): Promise<void> {
    await enforce(gates(this.source).shell)
  }
}

async function enforce(gate: Gate): Promise<void> {
  const verdict = await run(gate)
  if (verdict.outcome !== "passed") throw new Error(finding(verdict))
}
