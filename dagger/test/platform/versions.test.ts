import { existsSync, readdirSync, readFileSync } from "node:fs"
import { expect, it } from "vitest"
import { images } from "../../src/platform/base-images.js"

const read = (path: string) =>
  JSON.parse(readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8")) as Record<string, unknown>

it("builds the module with the client of the engine that dagger.json names", () => {
  const { engineVersion } = read("dagger.json")
  const { dependencies } = read("dagger/package.json") as { dependencies: Record<string, string> }
  expect(`v${dependencies["@dagger.io/dagger"]}`).toBe(engineVersion)
})

const pinned = /:[\w.-]+@sha256:[0-9a-f]{64}$/

it("pins every image that it runs by digest, but for the peers of rehearsals", () => {
  const byTag = Object.entries(images).filter(([, image]) => !pinned.test(image))
  expect(byTag.map(([name]) => name)).toEqual(["argoRollouts", "flagger"])
})

it("builds on images that are pinned by digest, the same ones in every service", () => {
  const root = new URL("../../../services/", import.meta.url)
  // Two levels only: below them are the packages that npm installs.
  const files = readdirSync(root).flatMap((name) =>
    /^compose.*\.yaml$/.test(name)
      ? [name]
      : [`${name}/Dockerfile`].filter((path) => existsSync(new URL(path, root))),
  )
  expect(files.length).toBeGreaterThan(4)
  const used = files.flatMap((file) => {
    const text = readFileSync(new URL(file, root), "utf8")
    const stages = [...text.matchAll(/^FROM (?:--platform=\S+ )?\S+ AS (\S+)$/gm)].map(([, stage]) => stage)
    return [...text.matchAll(/^(?:FROM(?: --platform=\S+)?|\s*image:) (\S+)/gm)]
      .map(([, image = ""]) => image)
      .filter((image) => !stages.includes(image) && !image.startsWith("${"))
  })
  expect(used.filter((image) => !pinned.test(image))).toEqual([])
  const digests = new Map<string, Set<string>>()
  for (const image of [...used, ...Object.values(images)]) {
    const [name = "", digest = ""] = image.split("@")
    digests.set(name, (digests.get(name) ?? new Set()).add(digest))
  }
  expect([...digests].filter(([, known]) => known.size > 1)).toEqual([])
})
