import { type Container, dag } from "@dagger.io/dagger"
import { images } from "../../platform/base-images.js"
import { withPackages } from "../../platform/packages.js"
import { setupPassword, setupUser, type Platform } from "../../platform/platform.js"
import type { Service } from "../../platform/catalog.js"
import { commandGate } from "../runner/command.js"
import type { Gate } from "../runner/gate.js"
import { reactWorkbench, reportsOf } from "./react.js"
import { verifyTestsRan } from "./tests.js"

/** The browser tests of a web app in Debian's Chromium, against its own image and that of its backend. */
export function browserGate(platform: Platform, service: Service): Gate {
  const { name } = service
  return commandGate({
    name: `${name}:browser`,
    subject: "journeys in Chromium, on the image and its backend",
    needs: [`${name}:smoke`],
    container: async () =>
      chromium(platform)
        .withDirectory("/services", platform.services.filter({ include: service.inputs }))
        .withWorkdir(`/services/${name}`)
        .withServiceBinding("service", await platform.run(service, `${name}:browser`))
        .withEnvVariable("PLAYWRIGHT_JUNIT_INCLUDE_RETRIES", "1")
        .withEnvVariable("E2E_BASE_URL", "http://localhost:8080")
        .withEnvVariable("E2E_USERNAME", setupUser)
        .withEnvVariable("E2E_PASSWORD", setupPassword),
    folder: `services/${name}`,
    selecting: ["sh", "-c", `${forwarder} & exec npx playwright test "$@"`, "playwright"],
    command: ["sh", "-c", `${forwarder} & exec npm run --silent e2e`],
    limit: service.limits.test,
    reports: reportsOf(name),
    verify: verifyTestsRan,
    detail: (output) =>
      [...output.matchAll(/^ *(\d+ (?:flaky|passed).*)$/gm)].map(([, line]) => line).join(", "),
  })
}

// Browsers allow a service worker on https and localhost only, so the app has to answer on localhost.
const forwarder = "socat TCP-LISTEN:8080,fork,reuseaddr TCP:service:8000"

function chromium({ services }: Platform): Container {
  const node = dag.container().from(images.node)
  const browser = withPackages(node, "chromium", "fonts-liberation", "socat").withEnvVariable(
    "CHROMIUM_PATH",
    "/usr/bin/chromium",
  )
  return reactWorkbench(services, browser)
}
