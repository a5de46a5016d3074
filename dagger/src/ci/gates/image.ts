import { dag } from "@dagger.io/dagger"
import { images } from "../../platform/base-images.js"
import { BuildFailed } from "../../platform/build-failure.js"
import type { Platform } from "../../platform/platform.js"
import type { Service } from "../../platform/catalog.js"
import { readyCommand } from "../../platform/readiness.js"
import { commandGate } from "../runner/command.js"
import { type Gate, GateFailure } from "../runner/gate.js"
import { isNetworkError } from "../runner/verdict.js"

/** Whether the user of an image, as its configuration names it, is root: nobody, a name or a number, with or without a group. */
export const isRoot = (user: string): boolean => /^(|root|0+)(:.*)?$/.test(user.trim())

/** The gates of an image: it builds, it does not run as root, and its service starts and reports that it is ready. */
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
        const user = await image.user()
        if (isRoot(user))
          throw new GateFailure(
            `services/${name}/Dockerfile: the image runs as root; end it with a USER of its own`,
          )
        return { detail: `runs as user ${user}` }
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
