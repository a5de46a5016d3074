import { dag, type Directory } from "@dagger.io/dagger"
import { images } from "../platform/base-images.js"
import { outputOfFailure } from "../platform/build-failure.js"
import { readPlatform } from "../platform/platform.js"
import { readyCommand } from "../platform/readiness.js"
import type { TargetPlatform } from "../platform/targets.js"
import { reportProgress, reportStart } from "../lib/progress.js"
import { columns, duration, oneLine, tail } from "../lib/text.js"

/** Lines of a failure that are shown, from its end. */
const shownLines = 40

interface Built {
  service: string
  target: TargetPlatform
  /** Why the image does not build or does not start; absent when it did. */
  fault?: string
  seconds: number
}

/**
 * Builds images for platforms, and starts each on its platform until it is ready, with everything that it needs.
 *
 * @param names services; all that have an image, if empty
 * @returns a table
 * @throws Error with the table and every reason when one does not build or does not become ready
 */
export async function build(source: Directory, names: string[], targets: TargetPlatform[]): Promise<string> {
  const platform = await readPlatform(source)
  const deployable = Object.values(platform.catalog).filter(({ deployable: is }) => is)
  const services = names.length > 0 ? names.map((name) => platform.service(name)) : deployable
  const library = services.find((service) => !deployable.includes(service))
  if (library) {
    const allowed = deployable.map(({ name }) => name).join(", ")
    throw new Error(`${library.name} has no image; allowed: ${allowed}`)
  }
  const built = await Promise.all(
    services.flatMap((service) =>
      targets.map(async (target): Promise<Built> => {
        const step = `${service.name}:${target}`
        const begun = performance.now()
        const ended = () => ({ service: service.name, target, seconds: (performance.now() - begun) / 1000 })
        reportStart(step)
        try {
          await dag
            .container()
            .from(images.python)
            .withServiceBinding("service", await platform.run(service, step, { target }))
            .withExec(readyCommand("service", service.limits.ready))
            .sync()
          reportProgress(`${step} passed in ${duration(ended().seconds)}`)
          return ended()
        } catch (error) {
          const fault = outputOfFailure(error)
          reportProgress(
            `${step} failed in ${duration(ended().seconds)}: ${oneLine(fault.trimEnd().split("\n").at(-1) ?? "")}`,
          )
          return { ...ended(), fault }
        }
      }),
    ),
  )
  const table = columns([
    ["SERVICE", "PLATFORM", "RESULT", "TOOK"],
    ...built.map(({ service, target, fault, seconds }) => [
      service,
      target,
      fault === undefined ? "ready" : "failed",
      `${seconds.toFixed(1)} s`,
    ]),
  ])
  const faults = built.flatMap(({ service, target, fault }) =>
    fault === undefined ? [] : [`${service} on ${target}: ${tail(fault, shownLines)}`],
  )
  if (faults.length > 0) throw new Error([table, ...faults].join("\n\n"))
  return table
}
