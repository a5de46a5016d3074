import { dag, type Container, type Directory } from "@dagger.io/dagger"
import { images } from "../images.js"
import type { Gate } from "./gate.js"

const manifests = ["package*.json", ".npmrc", "dagger/package*.json", "dagger/.npmrc"]
const code = ["**/*.ts", "**/*.mts", "**/*.js", "**/*.mjs", "**/tsconfig.json"]
const text = [...code, "**/*.json", "**/*.md", "**/*.yaml", "**/*.yml", ".prettier*", ".gitignore"]
const module = ["dagger", "scripts", "dagger.json", "vitest.config.ts"]
const shellScripts = ["daggerw", ".ci/run"]

/** The gates of the pipeline's own source. Where npm runs one, its command is the script that developers type. */
export function gates(source: Directory) {
  // filter, and not withDirectory's include: only its result has a content hash of its own, so that a gate is run
  // again for a change in what it looks at and for no other.
  const only = (include: string[]) => source.filter({ include })
  const npm = workbench(only(manifests))
  const npmGate = (name: string, on: string, include: string[]): Gate => ({
    name,
    on,
    container: npm.withDirectory(".", only(include)),
    command: ["npm", "run", "--silent", `check:${name}`],
  })
  return {
    format: npmGate("format", "every text file", text),
    lint: npmGate("lint", "TypeScript, JavaScript", code),
    types: npmGate("types", "TypeScript, JavaScript", code),
    unit: npmGate("unit", "the module's decisions", module),
    shell: {
      name: "shell",
      on: "shell scripts",
      container: shellcheck().withWorkdir("/src").withDirectory(".", only(shellScripts)),
      command: ["shellcheck", ...shellScripts],
    },
  } satisfies Record<string, Gate>
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

function shellcheck(): Container {
  return dag
    .container()
    .from(images.debian)
    .withExec(["sh", "-c", "apt-get update && apt-get install -y --no-install-recommends shellcheck"])
}
