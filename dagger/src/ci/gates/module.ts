import { dag, type Container, type Directory } from "@dagger.io/dagger"
import { sharedMetrics } from "../affected/affected.js"
import { images } from "../../platform/base-images.js"
import { commandGate, lastLine } from "../runner/command.js"
import type { Gate } from "../runner/gate.js"
import { testCount } from "./react.js"

const manifests = ["package*.json", ".npmrc", "dagger/package*.json", "dagger/.npmrc"]
const code = ["**/*.ts", "**/*.mts", "**/*.js", "**/*.mjs", "**/tsconfig.json"]
const text = [...code, "**/*.json", "**/*.md", "**/*.yaml", "**/*.yml", ".prettier*", ".gitignore"]
const units = ["dagger", "scripts", "dagger.json", "vitest.config.ts"]
const shellScripts = ["daggerw", ".ci/run"]
const services = ["services"]

/** Seconds that a tool may take. */
const limit = 900

/** The gates of the pipeline's own source. Where npm runs one, its command is the script that developers type. */
export function moduleGates(source: Directory): Gate[] {
  // filter, and not withDirectory's include: only its result has a content hash of its own, so that a gate is run
  // again for a change in what it looks at and for no other.
  const only = (include: string[]) => source.filter({ include, exclude: services })
  const npm = workbench(only(manifests))
  const npmGate = (
    name: string,
    subject: string,
    include: string[],
    { detail = lastLine, container = npm } = {},
  ): Gate =>
    commandGate({
      name: `module:${name}`,
      subject,
      container: container.withDirectory(".", only(include)),
      command: ["npm", "run", "--silent", `check:${name}`],
      detail,
      limit,
    })
  return [
    npmGate("lint", "TypeScript, JavaScript", code),
    npmGate("types", "TypeScript, JavaScript", code),
    npmGate("format", "every text file", text),
    npmGate("unit", "the module's decisions", units, {
      detail: testCount,
      container: withPython(npm).withFile(sharedMetrics, source.file(sharedMetrics)),
    }),
    commandGate({
      name: "module:shell",
      subject: "shell scripts",
      container: shellcheck().withWorkdir("/src").withDirectory(".", only(shellScripts)),
      command: ["shellcheck", ...shellScripts],
      limit,
    }),
  ]
}

/** Node with the locked tools in place; only a changed manifest installs them again. */
function workbench(manifests: Directory): Container {
  return (
    dag
      .container()
      .from(images.node)
      .withMountedCache("/root/.npm", dag.cacheVolume("npm"))
      .withWorkdir("/src")
      .withDirectory(".", manifests)
      // Colours would end up in the summary.
      .withEnvVariable("NO_COLOR", "1")
      .withExec(["npm", "ci"])
  )
}

/** The dead-man's switch of a rollout is a Python program. */
const withPython = (container: Container) => installed(container, "python3")

const shellcheck = () => installed(dag.container().from(images.debian), "shellcheck")

function installed(container: Container, name: string): Container {
  const command = `apt-get update && apt-get install -y --no-install-recommends ${name}`
  return container.withExec(["sh", "-c", command])
}
