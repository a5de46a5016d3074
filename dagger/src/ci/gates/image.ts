import { dag, ExecError } from "@dagger.io/dagger"
import { images } from "../../platform/base-images.js"
import type { Platform } from "../../platform/platform.js"
import type { Service } from "../../platform/catalog.js"
import { readyCommand } from "../../platform/readiness.js"
import { commandGate } from "../runner/command.js"
import { type Gate, GateFailure } from "../runner/gate.js"
import { type BuildFailure, placeOfFailure } from "./dockerfile.js"
import { isNetworkError } from "../runner/verdict.js"

/** The gates of an image: it builds, and its service starts and reports that it is ready. */
export function imageGates(platform: Platform, service: Service): Gate[] {
  const { name, backend, limits } = service
  return [
    {
      name: `${name}:image`,
      subject: "its Dockerfile",
      prepare: () => Promise.resolve(),
      execute: async () => {
        const image = platform.image(service)
        try {
          await image.sync()
        } catch (error) {
          const file = `${name}/Dockerfile`
          const place = placeOfFailure(
            `services/${file}`,
            await platform.services.file(file).contents(),
            failureOf(error),
          )
          const message = [messageOf(error), place].filter(Boolean).join("\n")
          // The steps fetch packages. A failure of the network is not a fault of the Dockerfile.
          if (isNetworkError(message)) throw new Error(message, { cause: error })
          throw buildFailed(error) ? new GateFailure(message) : error
        }
        return { detail: `runs as user ${(await image.user()) || "root"}` }
      },
    },
    {
      ...commandGate({
        name: `${name}:smoke`,
        subject: "the image starts and becomes ready",
        // A broken migration or backend fails its own gate, and this one is then skipped.
        needs: [
          `${name}:image`,
          ...(service.database === undefined ? [] : [`${name}:migrations`]),
          ...(backend === undefined ? [] : [`${backend}:smoke`]),
        ],
        container: async () =>
          dag
            .container()
            .from(images.python)
            .withServiceBinding("service", await platform.run(service, `${name}:smoke`)),
        command: readyCommand("service", limits.ready),
        limit: limits.ready + 30,
      }),
      // Services start during `execute`, so that one that stops early fails the gate instead of its preparation.
      prepare: () => Promise.resolve(),
    },
  ]
}

/** Whether the Dockerfile is at fault. Everything else, such as a registry that does not answer, is a failure of the infrastructure. */
function buildFailed(error: unknown): boolean {
  return (
    error instanceof ExecError ||
    /did not complete successfully|dockerfile (parse error|copy: .*no such file)|not found|failed to compute cache key/i.test(
      messageOf(error),
    )
  )
}

function failureOf(error: unknown): BuildFailure {
  const message = messageOf(error)
  return error instanceof ExecError ? { message, command: error.cmd, exitCode: error.exitCode } : { message }
}

function messageOf(error: unknown): string {
  if (error instanceof ExecError)
    return [error.message, error.stdout, error.stderr].filter(Boolean).join("\n").replace(traceOfError, "")
  const message = error instanceof Error ? error.message : String(error)
  return message.replace(traceOfError, "").replace(stepsOfBuild, "")
}

/** The engine's ids of the steps that led to a failure of a build, which nobody can look up. */
const stepsOfBuild = /^failed to load container from converted ID: (load \S+ |inputs: )*/
/** The engine's note for machines behind a message. */
const traceOfError = / \[traceparent:[0-9a-f-]+\]/g
