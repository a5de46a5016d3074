import { type Container, dag } from "@dagger.io/dagger"
import { images } from "../../platform/base-images.js"
import { setupPassword, setupUser, type Platform } from "../../platform/platform.js"
import type { Service } from "../../platform/catalog.js"
import { commandGate, type Gate } from "../runner/gate.js"
import { reactWorkbench, reportsOf } from "./react.js"

/** The journeys of a web app in Debian's Chromium, against its image in front of its backend's. */
export function browserGate(platform: Platform, service: Service): Gate {
  const { name } = service
  return commandGate({
    name: `${name}:browser`,
    on: "journeys in Chromium, on the image and its backend",
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
    selecting: ["sh", "-c", `${nearby} & exec npx playwright test "$@"`, "playwright"],
    command: ["sh", "-c", `${nearby} & exec npm run --silent e2e`],
    limit: service.limits.test,
    reports: reportsOf(name),
    detail: (output) =>
      [...output.matchAll(/^ *(\d+ (?:flaky|passed).*)$/gm)].map(([, line]) => line).join(", "),
  })
}

// To a browser only localhost is as good as https: without it, it has no service worker, and so no app that works offline.
const nearby = "socat TCP-LISTEN:8080,fork,reuseaddr TCP:service:8000"

function chromium({ services }: Platform): Container {
  const browser = dag
    .container()
    .from(images.node)
    .withExec([
      "sh",
      "-c",
      "apt-get update -qq && apt-get install -yqq --no-install-recommends chromium fonts-liberation socat",
    ])
    .withEnvVariable("CHROMIUM_PATH", "/usr/bin/chromium")
  return reactWorkbench(services, browser)
}
