import { dag, type Container, type Directory } from "@dagger.io/dagger"
import { images } from "../../platform/base-images.js"
import { cache } from "../../platform/caches.js"
import type { Service } from "../../platform/catalog.js"
import { coverageGate } from "./coverage.js"
import { afterCommand, commandGate } from "../runner/command.js"
import type { Gate } from "../runner/gate.js"
import { sizeGate } from "./size.js"
import { verifyTestsRan } from "./tests.js"

/** The gates of a React app or library: the npm scripts that developers run. */
export function reactGates(service: Service, services: Directory): Gate[] {
  const { name, backend, limits } = service
  const folder = `services/${name}`
  const code = reactWorkbench(services)
    .withDirectory("/services", services.filter({ include: service.inputs }))
    .withWorkdir(`/services/${name}`)
  const script = (gate: string, subject: string, script: string, fix?: string) =>
    commandGate({
      name: `${name}:${gate}`,
      subject,
      folder,
      container: code,
      command: ["npm", "run", "--silent", script],
      limit: limits.tool,
      ...(fix !== undefined && {
        fixing: { command: ["npm", "run", "--silent", fix], folder },
      }),
    })
  const reports = reportsOf(name)
  const tests = { container: code, command: vitest, limit: limits.test, reports }
  return [
    commandGate({
      name: `${name}:test`,
      subject: "unit tests, Vitest",
      folder,
      selecting: ["npx", "vitest", "run"],
      detail: testCount,
      verify: verifyTestsRan,
      ...tests,
    }),
    script("lint", "ESLint", "check:lint"),
    script("types", "tsc", "check:types"),
    script("format", "Prettier", "check:format", "format"),
    ...(backend === undefined ? [] : [script("contract", `types as in ${backend}'s OpenAPI`, "check:api")]),
    ...(service.deployable ? [sizeGate(service, code, services)] : []),
    coverageGate(service, `${name}:test`, () =>
      afterCommand(tests).file(`${reports}/coverage/cobertura-coverage.xml`),
    ),
  ]
}

/** Where the tools of a web app leave reports when they run in CI. */
export const reportsOf = (name: string) => `/services/${name}/reports`

// The coverage gate checks the thresholds, so that too little coverage is not a failing test.
const measures = ["lines", "branches", "functions", "statements"]
const vitest = ["npm", "test", "--", ...measures.map((measure) => `--coverage.thresholds.${measure}=0`)]

/** Vitest's line of totals. */
export function testCount(output: string): string {
  return /^[^\S\n]*Tests[^\S\n]+(.*)$/m.exec(output)?.[1]?.trim() ?? ""
}

/** Node with the locked packages of all web apps, which share one lock file. */
export function reactWorkbench(services: Directory, node = dag.container().from(images.node)): Container {
  return (
    node
      .withMountedCache("/root/.npm", cache("npm"))
      .withWorkdir("/services")
      .withDirectory(".", services.filter({ include: ["package*.json", ".npmrc", "*/package.json"] }))
      // Keeps colours out of the summary.
      .withEnvVariable("NO_COLOR", "1")
      .withEnvVariable("CI", "true")
      .withExec(["npm", "ci", "--ignore-scripts"])
  )
}
