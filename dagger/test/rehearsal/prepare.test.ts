import { readdirSync, readFileSync } from "node:fs"
import type { Directory } from "@dagger.io/dagger"
import { afterEach, describe, expect, it, vi } from "vitest"
import { images } from "../../src/platform/base-images.js"
import { peerNames } from "../../src/rehearsal/peers/index.js"
import { environmentImages, loadImages, peerImages, prepareImages } from "../../src/rehearsal/prepare.js"
import { RehearsalRunner } from "../../src/rehearsal/runner.js"

const events: string[] = []
vi.mock("@dagger.io/dagger", () => {
  const service = { start: () => Promise.reject(new Error("started")) }
  const container = (name = ""): object => ({
    from: (image: string) => container(image),
    withEnvVariable: () => container(name),
    withExposedPort: () => container(name),
    // The first one takes longest, so that whoever does not wait for it is found out.
    sync: () =>
      new Promise((resolve) => setTimeout(resolve, name.startsWith("grafana/k6") ? 300 : 1)).then(() =>
        events.push(`prepared ${name}`),
      ),
    asService: () => {
      events.push("the clock runs")
      return service
    },
  })
  return { dag: { container } }
})
vi.mock("../../src/platform/platform.js", () => {
  const built = (name: string) => ({ sync: () => Promise.resolve(events.push(`prepared ${name}`)) })
  const platform = {
    service: (name: string) => ({ name }),
    furnished: () => Promise.resolve(built("the service")),
    dump: () => built("the database"),
  }
  return { readPlatform: () => Promise.resolve(platform) }
})

afterEach(() => {
  events.splice(0)
})

describe("preparing images", () => {
  it("pulls each one once, before anything starts", async () => {
    const pulled: string[] = []
    const lines: string[] = []
    await prepareImages(
      ["a", "b", "a"],
      (line) => lines.push(line),
      (name) => Promise.resolve(pulled.push(name)),
    )
    expect(pulled).toEqual(["a", "b"])
    expect(lines).toEqual(["Preparing image 1 of 2: a", "Preparing image 2 of 2: b"])
  })

  it("ends after the last one is there, and builds no two side by side", async () => {
    const steps: string[] = []
    const pull = async (name: string) => {
      steps.push(`${name} begins`)
      await new Promise((resolve) => setImmediate(resolve))
      steps.push(`${name} ends`)
    }
    await prepareImages(["a", "b"], () => undefined, pull)
    expect(steps).toEqual(["a begins", "a ends", "b begins", "b ends"])
  })

  it("includes every image that a rehearsal runs", () => {
    const prepared = new Set<string>([
      ...environmentImages,
      ...loadImages,
      ...Object.values(peerImages).flat(),
    ])
    const folders = ["rehearsal", "rehearsal/peers", "platform/cluster"]
    const files = folders.flatMap((folder) =>
      readdirSync(new URL(`../../src/${folder}`, import.meta.url))
        .filter((name) => name.endsWith(".ts"))
        .map((name) => `${folder}/${name}`),
    )
    const used = [...files, "platform/stores.ts"].flatMap((file) => {
      const text = readFileSync(new URL(`../../src/${file}`, import.meta.url), "utf8")
      return [...text.matchAll(/\bfrom\(images\.(\w+)\)/g)].map(
        ([, name = ""]) => name as keyof typeof images,
      )
    })
    expect(used.length).toBeGreaterThan(0)
    for (const name of used) expect(prepared, name).toContain(images[name])
  })

  it("ends before the first time limit of a rehearsal begins", async () => {
    const source = {
      file: (path: string) => ({
        contents: () => Promise.resolve(readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8")),
      }),
    } as unknown as Directory
    const rehearsed = new RehearsalRunner(source).rehearse({
      faults: ["none"],
      strategies: ["canary"],
      service: "api",
      rate: 10,
      peers: peerNames,
      json: false,
    })
    await expect(rehearsed).rejects.toThrow("started")
    const before = events.slice(0, events.indexOf("the clock runs"))
    for (const image of [...environmentImages, ...loadImages, ...Object.values(peerImages).flat()]) {
      expect(before).toContain(`prepared ${image}`)
    }
    expect(before).toContain("prepared the service")
    expect(before).toContain("prepared the database")
  })
})
