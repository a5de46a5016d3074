import type { Container } from "@dagger.io/dagger"

/** The container with packages of Debian, installed as root. */
export function withPackages(container: Container, ...packages: string[]): Container {
  const command = `apt-get update -qq && apt-get install -yqq --no-install-recommends ${packages.join(" ")}`
  return container.withExec(["sh", "-c", command])
}
