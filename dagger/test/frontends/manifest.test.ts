// Manifests of builds: what is in them, and builds that are refused.
import { afterEach, describe, expect, it } from "vitest"
import { readFiles } from "../../src/frontends/bundle.js"
import { layoutOf, objectsOf } from "../../src/frontends/layout.js"
import {
  differenceOf,
  type ReleaseManifest,
  manifestOf,
  manifestText,
  readManifest,
  releaseId,
} from "../../src/frontends/manifest.js"
import { build, removeBuilds, scriptOf, styleName } from "./fixtures.js"

afterEach(removeBuilds)

async function manifest(...of: Parameters<typeof build>): Promise<ReleaseManifest> {
  const bundle = await build(...of)
  return manifestOf("web", bundle.app, await readFiles(bundle.folder))
}

describe("a file", () => {
  const made = (path: string) =>
    manifestOf("web", "web", [
      { path: "index.html", sha256: "1", size: 1 },
      { path, sha256: "2", size: 1 },
    ])

  it("that has the name of the release's list is refused", () => {
    expect(() => made("manifest.json")).toThrow(
      /manifest\.json: a release's list of files has this name; call it manifest\.webmanifest/,
    )
  })

  it("has copies by its type, also in capital letters", () => {
    const layout = layoutOf({ prefix: undefined, app: "web" })
    const keys = objectsOf(layout, made("LOGO.SVG")).map(({ path }) => path)
    expect(keys).toEqual(expect.arrayContaining(["LOGO.SVG", "LOGO.SVG.br", "LOGO.SVG.gz"]))
  })
})

describe("a manifest", () => {
  it("names every file with its type, its class of caching and its compressed copies, sorted by path", async () => {
    const { files } = await manifest("1")
    expect(files.map(({ path }) => path)).toEqual(
      [scriptOf("1"), styleName, "icon-192.png", "icon.svg", "index.html", "robots.txt"].sort(),
    )
    const byPath = Object.fromEntries(files.map((one) => [one.path, one]))
    expect(byPath[scriptOf("1")]).toMatchObject({
      type: "text/javascript; charset=utf-8",
      cache: "immutable",
      copies: { br: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string }, gz: {} },
    })
    expect(byPath["index.html"]).toMatchObject({ type: "text/html; charset=utf-8", cache: "revalidate" })
    expect(byPath["robots.txt"]).toMatchObject({ cache: "revalidate", copies: {} })
  })

  it("has an id that depends on the contents of files alone", async () => {
    const [one, same, other] = [
      await manifest("1"),
      await manifest("1"),
      await manifest("1", { "robots.txt": "User-agent: x\n" }),
    ]
    expect(releaseId(one)).toMatch(/^[0-9a-f]{40}$/)
    expect(releaseId(same)).toBe(releaseId(one))
    expect(releaseId(other)).not.toBe(releaseId(one))
  })

  it("finds a changed file of equal size", async () => {
    const [one, other] = [await manifest("1"), await manifest("1", { "robots.txt": "User-agent: x\n" })]
    const { added, changed, removed } = differenceOf(one, other)
    expect([added, changed.map(({ path }) => path), removed]).toEqual([[], ["robots.txt"], []])
    expect(changed[0]?.size).toBe(one.files.find(({ path }) => path === "robots.txt")?.size)
  })

  it("is read back, and refused when it was changed or is of another release", async () => {
    const one = await manifest("1")
    const text = manifestText(one)
    expect(readManifest(text, releaseId(one))).toEqual(one)
    expect(() => readManifest(text.replace("robots.txt", "robotz.txt"), releaseId(one))).toThrow(
      /was changed/,
    )
    expect(() => readManifest("{", releaseId(one))).toThrow(/is no JSON/)
    expect(() => readManifest("{}", releaseId(one))).toThrow(/cannot be read/)
  })

  it.each([
    [
      "of another app",
      () => manifest("1", {}, "f1-frontend"),
      "the image is a build of f1-frontend; allowed: web",
    ],
    [
      "with a file of an unknown type",
      () => manifest("1", { "model.bin": "x" }),
      "model.bin: the type is not known; allowed: html, css, js",
    ],
    [
      "with an asset without a hash",
      () => manifest("1", { "assets/app.js": "x" }),
      "assets/app.js: an asset's name has a hash of its contents",
    ],
    [
      "with a copy without its file",
      () => manifest("1", { "old.js.br": "x" }),
      "old.js.br: a compressed copy without its file",
    ],
    [
      "with a copy of a picture",
      () => manifest("1", { "icon-192.png.gz": "x" }),
      "icon-192.png.gz: files of this type have no compressed copies",
    ],
    ["with a configuration", () => manifest("1", { "config.json": "{}" }), "config.json: a build has none"],
    ["with a hidden file", () => manifest("1", { ".env.txt": "KEY" }), ".env.txt: a name has letters"],
    [
      "without a page",
      () =>
        manifest("1", { "index.html": undefined, "index.html.br": undefined, "index.html.gz": undefined }),
      "there is no index.html",
    ],
  ])("is not made of a build %s", async (_, made, message) => {
    await expect(made()).rejects.toThrow(message)
  })

  it("names every fault at once", async () => {
    await expect(manifest("1", { "a.bin": "x", "b.bin": "x" })).rejects.toThrow(/a\.bin: .*\nb\.bin: /)
  })
})

describe("the objects of a release", () => {
  it("lie in a folder of all releases where their name has a hash, and else in that of the release", async () => {
    const one = await manifest("1")
    const keys = objectsOf(layoutOf({ prefix: "apps/staging", app: "web" }), one).map(({ key }) => key)
    expect(keys).toContain(`apps/staging/web/${scriptOf("1")}.br`)
    expect(keys).toContain(`apps/staging/web/releases/${releaseId(one)}/index.html.gz`)
    expect(keys).toContain(`apps/staging/web/releases/${releaseId(one)}/icon-192.png`)
    expect(keys).not.toContain(`apps/staging/web/releases/${releaseId(one)}/icon-192.png.br`)
  })

  it("have all copies of a type that is compressed; one that the build did not write is plain", async () => {
    const one = await manifest("1")
    const objects = objectsOf(layoutOf({ prefix: undefined, app: "web" }), one)
    const find = (end: string) => objects.find(({ key }) => key.endsWith(end))
    expect(find("robots.txt.br")).toMatchObject({ source: "robots.txt", size: 14 })
    expect(find("robots.txt.br")).not.toHaveProperty("encoding")
    expect(find("index.html.br")).toMatchObject({ source: "index.html.br", encoding: "br" })
    expect(find("index.html.gz")).toMatchObject({ source: "index.html.gz", encoding: "gzip" })
  })
})
