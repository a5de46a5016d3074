import { dag, type Service } from "@dagger.io/dagger"
import { pypiTool } from "../../src/platform/pypi.js"
import { repository } from "./daggerw.js"

/** Where the store listens. */
export const storePort = 5000

/**
 * An S3 store that keeps everything in memory.
 *
 * @param owner who uses it: the engine runs equal services once
 */
export function s3(owner: string): Service {
  const source = dag.host().directory(repository, { include: ["dagger/config/moto"] })
  return pypiTool(source, "moto")
    .withEnvVariable("OWNER", owner)
    .withExposedPort(storePort)
    .asService({ args: ["moto_server", "-H", "0.0.0.0", "-p", String(storePort)] })
}
