import { describe, expect, it } from "vitest"
import {
  type ImageSizes,
  imageTooLarge,
  readImageSizes,
  writeImageSizes,
} from "../../src/ci/gates/image-size.js"
import { readContents } from "../../src/platform/reproducible.js"

const recorded: ImageSizes = {
  base: 70_000_000,
  layers: { "/opt/venv": 50_000_000, "/app": 300_000 },
  parts: { "opt/venv/lib/python3.11/site-packages/sqlalchemy": 28_000_000, "app/recipes": 400_000 },
}
const budget = { added: 50, all: 120 }
const failure = (measured: ImageSizes, before: ImageSizes | undefined = recorded) =>
  imageTooLarge("api", budget, measured, before)

describe("an image", () => {
  it("may use its budget up exactly", () => {
    expect(failure({ ...recorded, layers: { "/opt/venv": 49_700_000, "/app": 300_000 } })).toBeUndefined()
  })

  it("that is larger says by how much, and which layers and parts grew, the largest growth first", () => {
    const measured: ImageSizes = {
      base: 70_000_000,
      layers: { "/opt/venv": 52_000_000, "/app": 299_000, "/data": 5_000_000 },
      parts: {
        ...recorded.parts,
        "opt/venv/lib/python3.11/site-packages/scipy": 128_000_000,
        "opt/venv/lib/python3.11/site-packages/sqlalchemy": 28_500_000,
      },
    }
    expect(failure(measured)).toBe(
      [
        "The image adds 57.3 MB to its base, as it is pushed: 7.3 MB more than dagger/config/services.yaml allows (services.api.image.added: 50).",
        "The image has 127.3 MB, with its base, as it is pushed: 7.3 MB more than dagger/config/services.yaml allows (services.api.image.all: 120).",
        "Layers that grew since sizes were last recorded, as they are pushed:",
        "  /data: new, 5.0 MB",
        "  /opt/venv: 50.0 MB → 52.0 MB, 2.0 MB more",
        "What grew in them, as files:",
        "  opt/venv/lib/python3.11/site-packages/scipy: new, 128.0 MB",
        "  opt/venv/lib/python3.11/site-packages/sqlalchemy: 28.0 MB → 28.5 MB, 500.0 kB more",
        "To record the sizes of this image: ./daggerw call fix --gate api:image export --path services/api",
      ].join("\n"),
    )
  })

  it("on a base that grew says so, although what it adds is in its budget", () => {
    const text = failure({ ...recorded, base: 90_000_000, layers: { "/opt/venv": 49_000_000 } })
    expect(text).toMatch(/^The image has 139\.0 MB, with its base, as it is pushed: 19\.0 MB more/)
    expect(text).toContain("\n  the base image: 70.0 MB → 90.0 MB, 20.0 MB more\n")
  })

  it("that grew in nothing says so: its budget is smaller than what is recorded", () => {
    expect(failure(recorded)).toContain("\nNothing is larger than when its size was last recorded.\n")
  })

  it("without recorded sizes is refused all the same, with the largest of what is in it", () => {
    const text = imageTooLarge("api", budget, { ...recorded, layers: { "/opt/venv": 60_000_000 } }, undefined)
    expect(text).toContain(
      [
        "No sizes are recorded to compare with. Its layers, as they are pushed:",
        "  the base image: 70.0 MB",
        "  /opt/venv: 60.0 MB",
        "What is in them, as files:",
        "  opt/venv/lib/python3.11/site-packages/sqlalchemy: 28.0 MB",
      ].join("\n"),
    )
  })

  it("with many parts that grew names a dozen of them", () => {
    const parts = Object.fromEntries(Array.from({ length: 14 }, (_, at) => [`part-${at}`, 1_000 + at]))
    const text = failure({ ...recorded, layers: { "/opt/venv": 60_000_000 }, parts })
    expect(text).toMatch(/files:\n {2}part-13: new, 1\.0 kB\n {2}part-12/)
    expect(text).toContain("\n  and 2 other parts\n")
  })
})

describe("recorded sizes", () => {
  it("are read as they were written, and equal ones are written equally", () => {
    expect(readImageSizes(writeImageSizes(recorded))).toEqual(recorded)
    const { layers } = recorded
    const turned = Object.fromEntries(Object.entries(layers).reverse())
    expect(writeImageSizes({ ...recorded, layers: turned })).toBe(writeImageSizes(recorded))
  })

  it.each(["", "{}", '{"base":1,"layers":{},"parts":{"a":-1}}', '{"base":1,"layers":{"a":"1"},"parts":{}}'])(
    "are none in %j",
    (text) => {
      expect(readImageSizes(text)).toBeUndefined()
    },
  )
})

it.each([
  "",
  "{}",
  '{"base":1,"layers":{},"parts":{},"programs":[]}',
  '{"layers":{},"parts":{},"programs":["a"]}',
])("contents of an image that cannot be read are an error: %j", (text) => {
  expect(() => readContents(text)).toThrow("printed no contents of an image")
})
