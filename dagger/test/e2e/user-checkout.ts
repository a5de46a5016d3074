/** A checkout of somebody who deploys to a rehearsal's cluster: its settings, kubeconfig, secrets, and a .env that names them. */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { dag, type Directory } from "@dagger.io/dagger"
import { registryPort } from "../../src/platform/cluster/throw-away-registry.js"
import type { RehearsalEnvironment } from "../../src/rehearsal/environment.js"
import { repository } from "./daggerw.js"
import type { Tunnels } from "./tunnels.js"

/** What a rehearsal needs of the repository. */
export const rehearsalSource = (): Directory =>
  dag.host().directory(repository, {
    include: ["dagger/config", "services"],
    exclude: ["**/node_modules", "**/__pycache__", "**/.*_cache", "**/coverage", "**/dist"],
  })

/** Writes what a user has configured once, with a deployer's rights. */
export async function configure(
  checkout: string,
  rehearsal: RehearsalEnvironment,
  tunnels: Tunnels,
  { settings, secrets }: { settings: string; secrets: Record<string, string> },
): Promise<void> {
  // A service of a registry answers at the port of its address.
  const registry = await tunnels.open(rehearsal.registry.service, registryPort, registryPort)
  const write = (name: string, text: string) => writeFile(join(checkout, name), text)
  await write("settings.yaml", settings)
  await write("kubeconfig", await rehearsal.deployer())
  const entries = Object.entries(secrets).map(([name, value]) => `${name}="${value}"`)
  await write("secrets.env", entries.join("\n"))
  const defaults = {
    KUBECONFIG: `file://${join(checkout, "kubeconfig")}`,
    SECRETS: `file://${join(checkout, "secrets.env")}`,
    SETTINGS: "settings.yaml",
    REGISTRY: `localhost:${registryPort}`,
    REGISTRYSERVICE: `tcp://${registry}`,
  }
  const lines = Object.entries(defaults).map(([name, value]) => `${name}=${value}`)
  await write(".env", lines.join("\n"))
}
