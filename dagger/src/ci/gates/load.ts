import type { Container } from "@dagger.io/dagger"
import { z } from "zod"
import type { LoadLimits, Service } from "../../platform/catalog.js"
import { setupPassword, setupUser, type Platform } from "../../platform/platform.js"
import { reportsFolder, runCommand } from "../runner/command.js"
import { type Gate, GateFailure, type GatePass } from "../runner/gate.js"
import { pythonWorkbench } from "./python.js"

export interface LoadProfile {
  /** Simulated people at the same time. */
  users: number
  seconds: number
}

// Locust's statistics of one endpoint; response_times counts requests by milliseconds.
const endpointSchema = z.object({
  num_requests: z.int().min(0),
  num_failures: z.int().min(0),
  response_times: z.record(z.string().regex(/^\d+(\.\d+)?$/, "milliseconds"), z.int().min(0)),
})
const exceptionsSchema = z.array(z.object({ count: z.int().positive(), message: z.string() }))

/** What a load test measured. */
export interface LoadResult {
  requests: number
  failures: number
  /** Milliseconds; undefined when no request was answered. */
  p95?: number
  /** Errors that tasks of the load test raised, and how often. A task that raises stops before its later requests. */
  exceptions: { count: number; message: string }[]
}

/**
 * Reads the reports of a load test.
 *
 * @param statistics Locust's JSON report
 * @param exceptions what `exceptionsRecorder` wrote
 * @throws Error when one of them has another form
 */
export function readLoadResult(statistics: string, exceptions: string): LoadResult {
  const endpoints = z.array(endpointSchema).parse(JSON.parse(statistics))
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
    exceptions: exceptionsSchema.parse(JSON.parse(exceptions)),
  }
}

/** The limits that a load test violated, one sentence each. A test without traffic, or with an exception, never passes. */
export function violations(
  { requests, failures, p95, exceptions }: LoadResult,
  limits: LoadLimits,
): string[] {
  const raised = exceptions.map(
    ({ count, message }) => `tasks of the load test raised an exception ${count} times: ${message}`,
  )
  if (requests === 0 || p95 === undefined) return ["no request was answered", ...raised]
  const rate = (100 * failures) / requests
  return [
    ...(rate > limits.errorRate
      ? [`${rate.toFixed(2)} % of ${requests} requests failed; at most ${limits.errorRate} % may`]
      : []),
    ...(p95 > limits.p95
      ? [`95 % of answers took up to ${p95} ms; at most ${limits.p95} ms is allowed`]
      : []),
    ...raised,
  ]
}

/**
 * Repeats a run while its result is a remembered failure.
 *
 * The engine remembers every command that ended well, and Locust ends well however slow the service was. Runs are numbered, so that a pass
 * after remembered failures is found again.
 *
 * @param run the run of a number, from 0
 * @returns the first run that is fresh, or has no failure
 */
export async function withoutRememberedFailure<Run extends { cached: boolean; failed: boolean }>(
  run: (number: number) => Promise<Run>,
): Promise<Run> {
  for (let number = 0; ; number++) {
    const result = await run(number)
    if (!result.cached || !result.failed) return result
  }
}

/** A second locustfile. Locust's own JSON report has no exceptions. */
export const exceptionsRecorder = `
import json, os
from locust import events

@events.quitting.add_listener
def write_exceptions(environment, **_):
    raised = [{"count": one["count"], "message": one["msg"]} for one in environment.runner.exceptions.values()]
    with open(os.environ["EXCEPTIONS_FILE"], "w") as file:
        json.dump(raised, file)
`

/** Runs a backend's locustfile against its image and checks the limits of the service. */
export function loadGate(platform: Platform, service: Service, { users, seconds }: LoadProfile): Gate {
  const { name, load: limits } = service
  const command = [
    "sh",
    "-c",
    // Locust would fail for a single failed request; the limits of the service decide how many may fail.
    `locust -f locustfile.py,/gate/exceptions.py --headless --users "$1" --spawn-rate 10 --run-time "$2s" --stop-timeout 10 \\
      --host http://service:8000 --only-summary --exit-code-on-error 0 --html ${reportsFolder}/load.html --json-file ${reportsFolder}/load`,
    "locust",
    String(users),
    String(seconds),
  ]
  const prepared = async () =>
    pythonWorkbench(service, platform.services)
      .withDirectory("/services", platform.services.filter({ include: service.inputs }))
      .withServiceBinding("service", await platform.run(service, `${name}:load`))
      .withNewFile("/gate/exceptions.py", exceptionsRecorder)
      .withEnvVariable("EXCEPTIONS_FILE", `${reportsFolder}/exceptions.json`)
      .withEnvVariable("LOCUST_USERNAME", setupUser)
      .withEnvVariable("LOCUST_PASSWORD", setupPassword)
  const measured = async (container: Container) => {
    const result = await runCommand({ container, command, limit: seconds + 120 }, () => "")
    const [statistics, exceptions] = await Promise.all(
      ["load.json", "exceptions.json"].map((file) => result.reports.file(file).contents()),
    )
    const load = readLoadResult(statistics ?? "", exceptions ?? "")
    const violated = violations(load, limits)
    return { result, load, violated, cached: result.cached === true, failed: violated.length > 0 }
  }
  return {
    name: `${name}:load`,
    subject: `${users} people for ${seconds} s, Locust`,
    needs: [`${name}:smoke`],
    // What it measures is also that of the machine.
    dependsOn: () => Promise.resolve(undefined),
    prepare: async () => (await prepared()).sync(),
    execute: async (): Promise<GatePass> => {
      const container = await prepared()
      const { result, load, violated } = await withoutRememberedFailure((number) =>
        measured(container.withEnvVariable("LOAD_RUN", String(number))),
      )
      if (violated.length > 0) throw new GateFailure(violated.join("\n"), result.reports)
      const { requests, failures, p95 } = load
      return { ...result, detail: `${requests} requests, ${failures} failed, p95 ${p95 ?? "?"} ms` }
    },
  }
}
