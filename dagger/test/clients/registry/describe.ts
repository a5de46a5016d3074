// Tests in registries of others.
import { afterAll, beforeAll, describe, it } from "vitest"
import { listsOtherTypes, registries, type TestRegistry } from "./servers.js"

/** Registries that list what is attached to an image as the specification has it. */
const whole = registries.filter(({ name }) => name !== listsOtherTypes)

/** Those of them that others wrote. One of this project's own is there for its list of what is attached. */
export const real = whole.filter(({ name }) => name !== "without referrers, in memory")

/**
 * Tests in each of some registries. One that this machine cannot run is skipped with the reason.
 *
 * @param options.timeout of each test, in ms
 * @param tests gets the registry, which runs in tests and hooks
 */
export function describeRegistries(
  title: string,
  { among = whole, timeout = 60_000 }: { among?: typeof registries; timeout?: number },
  tests: (registry: () => TestRegistry) => void,
): void {
  describe.each(among)(`${title} $name`, { timeout }, ({ start, missing }) => {
    if (missing !== undefined) {
      it.skip(`is not tested: ${missing}`)
      return
    }
    let running: TestRegistry | undefined
    beforeAll(async () => {
      running = await start()
    }, 300_000)
    afterAll(() => running?.stop())
    tests(() => {
      if (!running) throw new Error("the registry does not run yet")
      return running
    })
  })
}
