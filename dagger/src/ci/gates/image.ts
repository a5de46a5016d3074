import { dag } from "@dagger.io/dagger"
import { images } from "../../platform/base-images.js"
import { BuildFailed } from "../../platform/build-failure.js"
import type { Platform } from "../../platform/platform.js"
import type { Service } from "../../platform/catalog.js"
import { readyCommand } from "../../platform/readiness.js"
import { commandGate } from "../runner/command.js"
import { type Gate, GateFailure } from "../runner/gate.js"
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
        const image = await platform.build(service).catch((error: unknown) => {
          // The steps fetch packages. A failure of the network is not a fault of the Dockerfile.
          throw error instanceof BuildFailed && !isNetworkError(error.message)
            ? new GateFailure(error.message)
            : error
        })
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
