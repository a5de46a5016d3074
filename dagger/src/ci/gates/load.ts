import type { Container } from "@dagger.io/dagger"
import { z } from "zod"
import { setupPassword, setupUser, type Platform } from "../../platform/platform.js"
import type { LoadLimits, Service } from "../../platform/catalog.js"
import { Fault, type Gate, lastLine, look, reportsFolder } from "../runner/gate.js"
import { pythonWorkbench } from "./python.js"

/** How much load, and for how long. */
export interface Load {
  /** Simulated people at the same time. */
  users: number
  /** Seconds. */
  seconds: number
}

// Locust's summary of one endpoint: how many requests took how many milliseconds.
const endpoint = z.object({
  num_requests: z.number(),
  num_failures: z.number(),
  response_times: z.record(z.string(), z.number()),
})

/** What load did to a service. */
export interface Measured {
  requests: number
  failures: number
  /** Milliseconds; none where nothing was answered. */
  p95?: number
}

/**
 * Sums up Locust's JSON report.
 *
 * @throws Error when it is not one
 */
export function measure(report: string): Measured {
  const endpoints = z.array(endpoint).parse(JSON.parse(report))
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)
  const times = endpoints
    .flatMap(({ response_times }) => Object.entries(response_times))
    .map(([milliseconds, count]) => ({ milliseconds: Number(milliseconds), count }))
    .sort((one, other) => one.milliseconds - other.milliseconds)
  const answered = sum(times.map(({ count }) => count))
  let seen = 0
  const p95 = times.find(({ count }) => (seen += count) >= answered * 0.95)?.milliseconds
  return {
    requests: sum(endpoints.map(({ num_requests }) => num_requests)),
    failures: sum(endpoints.map(({ num_failures }) => num_failures)),
    ...(p95 !== undefined && { p95 }),
  }
}

/** What is wrong with what was measured; nothing, if it holds. No traffic is never well. */
export function exceeded({ requests, failures, p95 }: Measured, limits: LoadLimits): string[] {
  if (requests === 0 || p95 === undefined) return ["no request was answered"]
  const rate = (100 * failures) / requests
  return [
    ...(rate > limits.errorRate
      ? [`${rate.toFixed(2)} % of ${requests} requests failed; at most ${limits.errorRate} % may`]
      : []),
    ...(p95 > limits.p95
      ? [`95 % of answers took up to ${p95} ms; at most ${limits.p95} ms is allowed`]
      : []),
  ]
}

/** Locust's journeys against a backend's image; holds the service's thresholds. */
export function loadGate(platform: Platform, service: Service, { users, seconds }: Load): Gate {
  const { name, load: limits } = service
  const command = {
    command: [
      "sh",
      "-c",
      // Locust ends with 1 for a single failed request: how many may fail is decided by the threshold.
      `locust --headless --users "$1" --spawn-rate 10 --run-time "$2s" --stop-timeout 10 --host http://service:8000 \\
        --only-summary --exit-code-on-error 0 --html ${reportsFolder}/load.html --json-file ${reportsFolder}/load`,
      "locust",
      String(users),
      String(seconds),
    ],
    limit: seconds + 120,
  }
  const container = async () =>
    pythonWorkbench(service, platform.services)
      .withDirectory("/services", platform.services.filter({ include: service.inputs }))
      .withServiceBinding("service", await platform.run(service, `${name}:load`))
      .withEnvVariable("LOCUST_USERNAME", setupUser)
      .withEnvVariable("LOCUST_PASSWORD", setupPassword)
  const judged = async (asked: Container) => {
    const seen = await look({ container: asked, ...command }, lastLine)
    const measured = measure(await seen.reports.file("load.json").contents())
    return { seen, measured, faults: exceeded(measured, limits) }
  }
  return {
    name: `${name}:load`,
    on: `${users} people for ${seconds} s, Locust`,
    needs: [`${name}:smoke`],
    prepare: async () => (await container()).sync(),
    look: async () => {
      const asked = await container()
      const first = await judged(asked)
      // Locust ends well however slow the service was, so the engine remembers that run, too; a failure must not be remembered.
      const { seen, measured, faults } =
        first.seen.cached && first.faults.length > 0
          ? await judged(asked.withEnvVariable("AGAIN", crypto.randomUUID()))
          : first
      if (faults.length > 0) throw new Fault(faults.join("\n"), seen.reports)
      return { ...seen, detail: describe(measured) }
    },
  }
}

function describe({ requests, failures, p95 }: Measured): string {
  return `${requests} requests, ${failures} failed, p95 ${p95 ?? "?"} ms`
}
