import { type Container, dag, type Directory } from "@dagger.io/dagger"
import { images } from "./base-images.js"
import { cache } from "./caches.js"

/** Keeps pip's downloads between runs. */
export const withPipCache = (container: Container): Container =>
  container.withMountedCache("/root/.cache/pip", cache("pip"))

/** Python with pip. */
export const pip = (): Container => withPipCache(dag.container().from(images.python))

/** The command that installs the packages of a lock file, each held to its hash. */
export const installLocked = (lock: string): string[] => [
  "pip",
  "install",
  "--quiet",
  "--root-user-action=ignore",
  "--require-hashes",
  "-r",
  lock,
]

/** Tools from PyPI, installed from their lock files in dagger/config. */
export function pypiTool(source: Directory, ...tools: string[]): Container {
  return tools
    .reduce((container, tool) => {
      const lock = `dagger/config/${tool}/requirements.txt`
      return container
        .withDirectory("/tool", source.filter({ include: [lock] }))
        .withExec(installLocked(`/tool/${lock}`))
    }, pip())
    .withEnvVariable("NO_COLOR", "1")
    .withWorkdir("/src")
}
