import { dag, type Container, type Directory } from "@dagger.io/dagger"
import { unitTestInputs } from "../affected/affected.js"
import { images } from "../../platform/base-images.js"
import { withPackages } from "../../platform/packages.js"
import { cache } from "../../platform/caches.js"
import { commandGate, lastLine } from "../runner/command.js"
import type { Gate } from "../runner/gate.js"
import { installLocked, pypiTool, withPipCache } from "../../platform/pypi.js"
import type { Subjects } from "./subjects.js"
import { testCount } from "./react.js"

const packages = ["package*.json", ".npmrc", "dagger/package*.json", "dagger/.npmrc"]
const code = ["**/*.ts", "**/*.mts", "**/*.js", "**/*.mjs", "**/tsconfig.json"]
const text = [...code, "**/*.json", "**/*.md", "**/*.yaml", "**/*.yml", ".prettier*", ".gitignore"]
const units = ["dagger", "scripts", ".github", "dagger.json", "vitest.config.ts", ".prettierrc"]
const imports = [
  "dagger/src",
  "**/tsconfig.json",
  ".dependency-cruiser.mjs",
  "docs/architecture.md",
  "scripts/architecture.mjs",
]
const shellScripts = ["daggerw", ".ci/run"]
const workflows = [".github"]
const services = ["services"]

/** Seconds that a tool may take. */
const limit = 900

/** The gates of the pipeline's own source, and of the manifests that it applies. Those that npm runs use the scripts that developers type. */
export function moduleGates({ source, manifests: rendered }: Pick<Subjects, "source" | "manifests">): Gate[] {
  // Only the result of filter has a content hash of its own. With it, a gate runs again for a change in its own files only.
  const only = (include: string[]) => source.filter({ include, exclude: services })
  const npm = workbench(only(packages))
  const npmGate = (
    name: string,
    subject: string,
    include: string[],
    { detail = lastLine, container = npm, fix = "" } = {},
  ): Gate =>
    commandGate({
      name: `module:${name}`,
      subject,
      folder: ".",
      container: container.withDirectory(".", only(include)),
      command: ["npm", "run", "--silent", `check:${name}`],
      detail,
      limit,
      ...(fix !== "" && { fixing: { command: ["npm", "run", "--silent", fix], folder: "." } }),
    })
  return [
    npmGate("lint", "TypeScript, JavaScript", code),
    npmGate("types", "TypeScript, JavaScript", code),
    npmGate("format", "every text file", text, { fix: "format" }),
    npmGate("architecture", "which folder may import which", imports),
    npmGate("unit", "the module's decisions", units, {
      detail: testCount,
      // The watchdog of a rollout is a Python program, and the changes since a ref come from git.
      container: withMoto(withPackages(npm, "python3", "python3-venv", "git"), source).withDirectory(
        ".",
        source.filter({ include: unitTestInputs }),
      ),
    }),
    commandGate({
      name: "module:shell",
      subject: "shell scripts",
      container: shellcheck().withWorkdir("/src").withDirectory(".", only(shellScripts)),
      command: ["shellcheck", ...shellScripts],
      limit,
    }),
    commandGate({
      name: "module:workflow",
      subject: "GitHub's workflow and settings, zizmor, actionlint, check-jsonschema",
      container: withActionlint(pypiTool(source, "zizmor", "check-jsonschema")).withDirectory(
        ".",
        only(workflows),
      ),
      command: ["sh", "-ec", lintWorkflows],
      limit,
    }),
    commandGate({
      name: "module:manifests",
      subject: "manifests of deploy and access for every environment, kubeconform",
      container: async () => withManifests(withKubeconform(source), await rendered()),
      command: ["sh", "-ec", validateManifests],
      limit,
    }),
  ]
}

const schemasFolder = "/schemas"
/** The version whose schemas the package of the lock file has. */
const kubernetesVersion = "1.34.0"

/** kubeconform, with schemas that need no network. */
function withKubeconform(source: Directory): Container {
  const gatewayApi = "dagger/config/kubernetes/gateway-api.yaml"
  const script = "dagger/config/kubeconform/schemas.py"
  return pypiTool(source, "kubeconform")
    .withFile("/usr/local/bin/kubeconform", dag.container().from(images.kubeconform).file("/kubeconform"))
    .withDirectory("/tool", source.filter({ include: [gatewayApi, script] }))
    .withExec(["python", `/tool/${script}`, kubernetesVersion, `/tool/${gatewayApi}`, schemasFolder])
}

function withManifests(container: Container, manifests: Record<string, string>): Container {
  return Object.entries(manifests).reduce(
    (described, [file, text]) => described.withNewFile(`manifests/${file}`, text),
    container,
  )
}

// A kind without a schema is an error, and so is a file without an object.
export const validateManifests = `
[ "$(ls manifests | wc -l)" -gt 0 ] || { echo "there are no manifests"; exit 1; }
kubeconform -strict -summary -schema-location '${schemasFolder}/{{.ResourceKind}}{{.KindSuffix}}.json' manifests`

// --offline: the pinned version alone decides, and no token is needed. Schemas come with the program that checks them.
export const lintWorkflows = `
status=0
zizmor --offline --no-progress --quiet --color never --persona pedantic .github || status=$?
set --
for file in .github/workflows/*.yml .github/workflows/*.yaml; do [ ! -e "$file" ] || set -- "$@" "$file"; done
[ $# -gt 0 ] || { echo "there is no workflow"; exit 1; }
actionlint -no-color "$@" || status=$?
for bot in dependabot.yml renovate.json; do
  check-jsonschema --color never --builtin-schema "vendor.\${bot%.*}" ".github/$bot" || status=$?
done
[ "$status" -eq 0 ] || exit "$status"
echo "$# workflows, no findings"`

/** Python with moto as well, a server with Amazon's API. */
function withMoto(container: Container, source: Directory): Container {
  const [lock, folder] = ["dagger/config/moto/requirements.txt", "/moto"]
  return withPipCache(container)
    .withDirectory("/tool", source.filter({ include: [lock] }))
    .withExec(["python3", "-m", "venv", folder])
    .withEnvVariable("PATH", `${folder}/bin:$PATH`, { expand: true })
    .withExec(installLocked(`/tool/${lock}`))
}

/** Node with the locked packages. Only a changed manifest installs them again. */
function workbench(manifests: Directory): Container {
  return (
    dag
      .container()
      .from(images.node)
      .withMountedCache("/root/.npm", cache("npm"))
      .withWorkdir("/src")
      .withDirectory(".", manifests)
      // Keeps colours out of the summary.
      .withEnvVariable("NO_COLOR", "1")
      .withExec(["npm", "ci"])
  )
}

const shellcheck = () => withPackages(dag.container().from(images.debian), "shellcheck")

/** actionlint checks the scripts of a workflow with the ShellCheck that it finds. */
const withActionlint = (container: Container) =>
  withPackages(container, "shellcheck").withFile(
    "/usr/local/bin/actionlint",
    dag.container().from(images.actionlint).file("/usr/local/bin/actionlint"),
  )
