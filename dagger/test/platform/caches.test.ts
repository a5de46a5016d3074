import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dag } from "@dagger.io/dagger"
import { afterEach, describe, expect, it, vi } from "vitest"
import { cache, cacheArguments, useCaches } from "../../src/platform/caches.js"

const root = new URL("../../../", import.meta.url)

afterEach(() => {
  useCaches("")
  vi.restoreAllMocks()
})

const volume = (name: string) => {
  const made = vi.spyOn(dag, "cacheVolume")
  cache(name)
  return made.mock.calls.at(-1)?.[0]
}

describe("useCaches", () => {
  it("separates the volumes and the caches of Dockerfiles", () => {
    expect([volume("npm"), cacheArguments()]).toEqual(["npm", []])
    useCaches("pull-request")
    expect([volume("npm"), cacheArguments()]).toEqual([
      "npm-pull-request",
      [{ name: "CACHES", value: "-pull-request" }],
    ])
    useCaches("main")
    expect(volume("npm")).toBe("npm-main")
  })

  it.each(["Main", "a b", "../x", "-x", "a_b"])("refuses %j", (name) => {
    expect(() => {
      useCaches(name)
    }).toThrow(`caches is "${name}": it can have lower-case letters, digits and hyphens`)
  })
})

describe("a cache of what gates and builds run", () => {
  it("is never taken without its scope in the module", () => {
    const src = new URL("dagger/src/", root)
    const direct = readdirSync(src, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .filter((path) => readFileSync(new URL(path, src), "utf8").includes("dag.cacheVolume("))
    // Only deployers write events.
    expect(direct.sort()).toEqual(["delivery/events/file.ts", "platform/caches.ts"])
  })

  it("is never taken without its scope in a Dockerfile", () => {
    const services = readdirSync(new URL("services/", root))
    const recipes = services
      .map((service) => `${service}/Dockerfile`)
      .filter((path) => existsSync(new URL(`services/${path}`, root)))
    expect(recipes.length).toBeGreaterThan(0)
    for (const path of recipes) {
      const text = readFileSync(new URL(`services/${path}`, root), "utf8")
      const mounts = text.match(/--mount=type=cache\S*/g) ?? []
      expect(
        mounts.filter((mount) => !/,id=[a-z]+\$CACHES,/.test(mount)),
        path,
      ).toEqual([])
    }
  })
})
