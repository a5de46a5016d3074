import { type CacheVolume, type Container, type Directory } from "@dagger.io/dagger"
import { cache } from "../../platform/caches.js"
import { withPackages } from "../../platform/packages.js"
import type { Service } from "../../platform/catalog.js"
import type { Platform } from "../../platform/platform.js"
import { withStores } from "../../platform/stores.js"
import { coverageGate } from "./coverage.js"
import { afterCommand, commandGate, lastLine, reportsFolder } from "../runner/command.js"
import type { Gate } from "../runner/gate.js"
import { migrationGates } from "./migrations.js"
import { installLocked, pip } from "../../platform/pypi.js"
import { verifyTestsRan } from "./tests.js"

/**
 * The gates of a Python service. Tests and migrations run on a real PostgreSQL and Redis.
 *
 * @param source the repository
 */
export function pythonGates(source: Directory, platform: Platform, service: Service): Gate[] {
  const { name, limits } = service
  const { services } = platform
  const folder = `services/${name}`
  const bench = pythonWorkbench(service, services)
  const code = bench.withDirectory("/services", services.filter({ include: service.inputs }))
  const tool = (
    gate: string,
    subject: string,
    command: string[],
    { container = code, detail = lastLine }: { container?: Container; detail?: typeof lastLine } = {},
  ) =>
    commandGate({ name: `${name}:${gate}`, subject, folder, container, command, detail, limit: limits.tool })

  const tests = {
    container: withStores(code, `${name}:test`, "test"),
    command: pytest,
    limit: limits.test,
  }
  return [
    commandGate({
      name: `${name}:test`,
      subject: "pytest, on PostgreSQL and Redis",
      folder,
      selecting: ["pytest", "--color=no", "-m", "", "--junitxml", `${reportsFolder}/junit.xml`],
      verify: verifyTestsRan,
      ...(service.database === undefined ? {} : { needs: [`${name}:migrations`] }),
      ...tests,
    }),
    commandGate({
      name: `${name}:format`,
      subject: "black",
      folder,
      container: code,
      command: ["black", "--check", "--quiet", "--diff", "."],
      fixing: { command: ["black", "--quiet", "."], folder },
      limit: limits.tool,
    }),
    tool("lint", "flake8", ["flake8", "."], { detail: () => "no findings" }),
    tool("types", "mypy", ["mypy"], { container: code.withMountedCache(mypyCache, mypyVolume(name)) }),
    coverageGate(service, `${name}:test`, () => afterCommand(tests).file(`${reportsFolder}/coverage.xml`)),
    ...(service.database === undefined ? [] : migrationGates(source, platform, service, code)),
  ]
}

const mypyCache = "/var/cache/mypy"
const mypyVolume = (name: string): CacheVolume => cache(`mypy-${name}`)

const pytest = [
  "pytest",
  "-m",
  "not slow",
  "--junitxml",
  `${reportsFolder}/junit.xml`,
  "--cov",
  "--cov-branch",
  "--cov-report",
  `xml:${reportsFolder}/coverage.xml`,
  "--cov-report=",
  "--cov-fail-under=0",
  // A test that hangs prints its stack after two minutes, long before the limit of the gate.
  "-o",
  "faulthandler_timeout=120",
  "-o",
  "junit_family=xunit1",
  "--color=no",
  "-q",
]

/** Python with the service's locked packages. Only a changed lock file installs them again. */
export function pythonWorkbench({ name, inputs }: Service, services: Directory): Container {
  const locks = inputs.filter((input) => !input.includes(".")).map((folder) => `${folder}/requirements*`)
  return (
    // Tests that back up and restore databases run the programs of PostgreSQL. Debian's wrapper around them would choose among versions.
    withPackages(pip(), "postgresql-client-15")
      .withEnvVariable("PATH", "/usr/lib/postgresql/15/bin:$PATH", { expand: true })
      .withWorkdir(`/services/${name}`)
      .withDirectory("/services", services.filter({ include: locks }))
      // Keeps colours out of the summary and byte code out of the layers.
      .withEnvVariable("NO_COLOR", "1")
      .withEnvVariable("PYTHONDONTWRITEBYTECODE", "1")
      .withEnvVariable("MYPY_CACHE_DIR", mypyCache)
      .withExec(installLocked("requirements-dev.txt"))
  )
}
