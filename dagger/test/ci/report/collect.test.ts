import type { Directory } from "@dagger.io/dagger"
import { describe, expect, it } from "vitest"
import { collect } from "../../../src/ci/report/collect.js"

/** A folder as a gate leaves it. */
const folder = (files: Record<string, string>) =>
  ({
    glob: () => Promise.resolve(Object.keys(files)),
    file: (path: string) => ({ contents: () => Promise.resolve(files[path] ?? "") }),
  }) as unknown as Directory

describe("collect", () => {
  const cobertura =
    '<?xml version="1.0" ?>\n<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">\n<coverage lines-valid="1" lines-covered="1"/>'
  const clover = '<?xml version="1.0"?>\n<coverage generated="1" clover="3.2.0"><project/></coverage>'
  const junit = `<?xml version="1.0"?><!-- ${"-".repeat(3000)} --><testsuites/>`

  it.each([
    ["before", { "coverage/clover.xml": clover, "coverage/cobertura-coverage.xml": cobertura }],
    ["behind", { "a.xml": cobertura, "clover.xml": clover }],
  ])("takes Cobertura, and not the Clover report %s it", async (_, files) => {
    expect(await collect(folder({ ...files, "junit.xml": junit }))).toMatchObject({
      coverage: cobertura,
      junit,
    })
  })

  it("recognises a report by its root element, not by words in its text", async () => {
    const other = "<notes>\n&lt;testsuite and <testsuites-of-ours/><coverage/></notes>"
    expect(
      await collect(folder({ "notes.xml": other, "empty.xml": "", "text.xml": "<!-- <coverage> " })),
    ).toEqual({
      sarif: [],
      pictures: [],
    })
  })

  it("keeps a report that is cut off, so that it is named as one that cannot be read", async () => {
    expect(await collect(folder({ "junit.xml": "<testsuites><testsuite" }))).toMatchObject({
      junit: "<testsuites><testsuite",
    })
  })

  it("takes screenshots for pictures, and no icons of an HTML report", async () => {
    const files = [
      "load.html",
      "e2e/race-shows-the-winner/test-failed-1.png",
      "e2e/race-shows-the-winner/error-context.md",
      "coverage/index.html",
      "coverage/favicon.png",
      "coverage/sort-arrow-sprite.png",
      "coverage/assets/icons/up.png",
      "htmlcov/index.html",
      "htmlcov/keybd_closed.png",
    ]
    const { pictures } = await collect(folder(Object.fromEntries(files.map((path) => [path, ""]))))
    expect(pictures).toEqual(["e2e/race-shows-the-winner/test-failed-1.png"])
  })
})
