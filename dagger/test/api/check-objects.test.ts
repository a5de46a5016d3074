import { readFileSync } from "node:fs"
import { format, resolveConfig } from "prettier"
import { expect, it } from "vitest"
import { checkObjects, classOf, gatesByGroup, shippedCatalog } from "./check-objects.js"

const catalog = shippedCatalog()
const index = readFileSync(new URL("../../src/index.ts", import.meta.url), "utf8")

it("has every gate as a check: `npm run generate` writes the file anew", async () => {
  const file = new URL("../../src/api/checks.ts", import.meta.url)
  const config = await resolveConfig(file)
  const text = await format(checkObjects(catalog), { ...config, parser: "typescript" })
  await expect(text).toMatchFileSnapshot("../../src/api/checks.ts")
})

it("offers each service of the catalogue, and the groups that are none, as a function of the module", () => {
  for (const service of Object.values(catalog)) {
    expect(index).toContain(`return new ${classOf(service)}(this.source, "${service.name}", this.caches)`)
  }
  const others = [...gatesByGroup(catalog).keys()].filter((group) => !(group in catalog))
  expect(others.sort()).toEqual(["module", "security"])
})
