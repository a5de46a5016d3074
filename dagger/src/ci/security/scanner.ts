import { type Container, dag, type Directory } from "@dagger.io/dagger"
import { images } from "../../platform/base-images.js"

/**
 * Trivy in an image with a shell, coreutils and certificates, which its own image may lack.
 *
 * It never uses the network: databases and checks are mounted.
 */
export function scanner(): Container {
  return dag
    .container()
    .from(images.python)
    .withFile("/usr/local/bin/trivy", dag.container().from(images.trivy).file("/usr/local/bin/trivy"))
    .withEnvVariable("NO_COLOR", "1")
    .withEnvVariable("TRIVY_DISABLE_TELEMETRY", "true")
    .withEnvVariable("TRIVY_SKIP_VERSION_CHECK", "true")
    .withEnvVariable("TRIVY_CACHE_BACKEND", "memory")
    .withEnvVariable("TRIVY_TIMEOUT", "10m")
    .withWorkdir("/src")
}

/** Trivy with a database of vulnerabilities. */
export const withDatabase = (container: Container, folder: Directory): Container =>
  container.withDirectory("/root/.cache/trivy/db", folder)

/** Flags for a scan with that database and without the network. */
export const offline = "--skip-db-update --skip-java-db-update --offline-scan"
