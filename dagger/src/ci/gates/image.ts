import { type Container, dag } from "@dagger.io/dagger"
import { images } from "../../platform/base-images.js"
import { BuildFailed } from "../../platform/build-failure.js"
import type { Service } from "../../platform/catalog.js"
import { readyCommand } from "../../platform/readiness.js"
import { contentsOf, type ImageContents, reproducible } from "../../platform/reproducible.js"
import { size } from "../../lib/size.js"
import { commandGate } from "../runner/command.js"
import { type Gate, GateFailure } from "../runner/gate.js"
import { isNetworkError } from "../runner/verdict.js"
import { total } from "./growth.js"
import {
  type ImageSizes,
  imageSizesFile,
  imageTooLarge,
  readImageSizes,
  recordCommand,
  sizesOf,
  writeImageSizes,
} from "./image-size.js"
import { programFault } from "./programs.js"
import type { Subjects } from "./subjects.js"

/** Whether the user of an image, as its configuration names it, is root: nobody, a name or a number, with or without a group. */
export const isRoot = (user: string): boolean => /^(|root|0+)(:.*)?$/.test(user.trim())

/** The gates of an image: it builds, does not run as root, is small and has no needless programs; and its service starts on a read-only root file system and reports that it is ready. */
export function imageGates(
  { source, platform }: Pick<Subjects, "source" | "platform">,
  service: Service,
): Gate[] {
  const { name, backend, limits } = service
  const built = () =>
    platform.release(service).catch((error: unknown) => {
      // The steps fetch packages. A failure of the network is not a fault of the Dockerfile.
      throw error instanceof BuildFailed && !isNetworkError(error.message)
        ? new GateFailure(error.message)
        : error
    })
  const lookInto = async (image: Container): Promise<ImageContents> => {
    const base = await platform.base(service)
    return contentsOf(source, await reproducible(source, image, base), base)
  }
  const recorded = async (): Promise<ImageSizes | undefined> => {
    const path = `${name}/${imageSizesFile}`
    const [found] = await platform.services.glob(path)
    if (found === undefined) return undefined
    const sizes = readImageSizes(await platform.services.file(path).contents())
    if (!sizes)
      throw new GateFailure(
        `services/${path}: it does not hold the sizes of an image; this records them: ${recordCommand(name)}`,
      )
    return sizes
  }
  return [
    {
      name: `${name}:image`,
      subject: `its Dockerfile, at most ${service.image.added} MB on its base and ${service.image.all} MB in all`,
      prepare: () => Promise.resolve(),
      execute: async () => {
        const image = await built()
        const [user, contents, before] = await Promise.all([image.user(), lookInto(image), recorded()])
        const faults = [
          isRoot(user)
            ? `services/${name}/Dockerfile: the image runs as root; end it with a USER of its own`
            : undefined,
          programFault(name, contents.programs, service.programs),
          imageTooLarge(name, service.image, sizesOf(contents), before),
        ].filter((fault) => fault !== undefined)
        if (faults.length > 0) throw new GateFailure(faults.join("\n\n"))
        return {
          detail: `runs as user ${user}, ${size(total(contents.layers))} on a base of ${size(contents.base)}`,
        }
      },
      fix: {
        folder: `services/${name}`,
        files: async () =>
          dag
            .directory()
            .withNewFile(imageSizesFile, writeImageSizes(sizesOf(await lookInto(await built())))),
      },
    },
    {
      ...commandGate({
        name: `${name}:smoke`,
        subject: "the image starts on a read-only root file system and becomes ready",
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
            .withServiceBinding("service", await platform.run(service, `${name}:smoke`, { readOnly: true })),
        command: readyCommand("service", limits.ready),
        limit: limits.ready + 30,
      }),
      // Services start during `execute`, so that one that stops early fails the gate instead of its preparation.
      prepare: () => Promise.resolve(),
    },
  ]
}
