// What the update bots are told: they find every version, and their schemas take it.
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { images, tools } from "../../src/platform/base-images.js"
import { folder, program } from "../lib/programs.js"

const repository = new URL("../../../", import.meta.url)
const read = (path: string) => readFileSync(new URL(path, repository), "utf8")
const files = { dependabot: ".github/dependabot.yml", renovate: ".github/renovate.json" } as const

interface Renovate {
  customManagers: { managerFilePatterns: string[]; matchStrings: string[] }[]
}

it("Renovate finds every image and tool of the pipeline, each with its version and digest", () => {
  const { customManagers } = JSON.parse(read(files.renovate)) as Renovate
  const [manager] = customManagers
  const path = "dagger/src/platform/base-images.ts"
  expect(manager?.managerFilePatterns.map((one) => new RegExp(one.slice(1, -1)).test(path))).toEqual([true])
  const found = (manager?.matchStrings ?? []).flatMap((pattern) =>
    [...read(path).matchAll(new RegExp(pattern, "g"))].map(({ groups = {} }) => {
      const { depName = "", currentValue = "", currentDigest } = groups
      return `${depName} ${currentValue}${currentDigest === undefined ? "" : `@${currentDigest}`}`
    }),
  )
  const expected = [
    ...Object.values(images).map((image) => image.replace(":", " ")),
    ...Object.entries(tools).map((tool) => tool.join(" ")),
  ]
  expect(found.sort()).toEqual(expected.sort())
})

it("one bot raises an image everywhere: a digest that two raise would differ between services and their gates", () => {
  const { enabledManagers } = JSON.parse(read(files.renovate)) as { enabledManagers: string[] }
  expect(enabledManagers).toEqual(["custom.regex", "dockerfile", "docker-compose"])
  expect(read(files.dependabot)).not.toMatch(/package-ecosystem: docker/)
})

describe("the schema", { timeout: 10 * 60_000 }, () => {
  const validator = program("check-jsonschema", ["--version"], "pip install check-jsonschema==0.39.0")
  if (validator.missing !== undefined) {
    it.skip(`is not asked: ${validator.missing}`)
    return
  }

  it.each(["dependabot", "renovate"] as const)("of %s takes its file, and no broken one", async (bot) => {
    const validate = (file: string) => validator.run("--builtin-schema", `vendor.${bot}`, file)
    const file = new URL(files[bot], repository).pathname
    const taken = await validate(file)
    expect(taken.code, taken.stdout).toBe(0)
    const broken = join(folder, `broken-${files[bot].replaceAll("/", "-")}`)
    writeFileSync(
      broken,
      read(files[bot]).replace(/interval: weekly|"custom\.regex"/, (one) =>
        one.replace(/(weekly|regex)/, "sometimes"),
      ),
    )
    const refused = await validate(broken)
    expect(refused.code).toBe(1)
  })
})
