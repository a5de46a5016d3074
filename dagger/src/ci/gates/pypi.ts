import { type Container, dag, type Directory } from "@dagger.io/dagger"
import { images } from "../../platform/base-images.js"
import { cache } from "../../platform/caches.js"

/** Python with pip's downloads kept between runs. */
export function pip(): Container {
  return dag.container().from(images.python).withMountedCache("/root/.cache/pip", cache("pip"))
}

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

/** A tool from PyPI, installed from its lock file in dagger/config. */
export function pypiTool(source: Directory, tool: string): Container {
  const lock = `dagger/config/${tool}/requirements.txt`
  return pip()
    .withDirectory("/tool", source.filter({ include: [lock] }))
    .withExec(installLocked(`/tool/${lock}`))
    .withEnvVariable("NO_COLOR", "1")
    .withWorkdir("/src")
}
