import { dag, type Service } from "@dagger.io/dagger"
import { images } from "../../src/platform/base-images.js"

/** Where the store listens. */
export const storePort = 5000

/**
 * An S3 store that keeps everything in memory.
 *
 * @param owner who uses it: the engine runs equal services once
 */
export function s3(owner: string): Service {
  return dag
    .container()
    .from(images.python)
    .withExec(["pip", "install", "--quiet", "--root-user-action=ignore", "moto[server,s3]==5.2.5"])
    .withEnvVariable("OWNER", owner)
    .withExposedPort(storePort)
    .asService({ args: ["moto_server", "-H", "0.0.0.0", "-p", String(storePort)] })
}
