import { readFileSync } from "node:fs"
import { expect, it } from "vitest"

const read = (path: string) =>
  JSON.parse(readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8")) as Record<string, unknown>

it("builds the module with the client of the engine that dagger.json names", () => {
  const { engineVersion } = read("dagger.json")
  const { dependencies } = read("dagger/package.json") as { dependencies: Record<string, string> }
  expect(`v${dependencies["@dagger.io/dagger"]}`).toBe(engineVersion)
})
