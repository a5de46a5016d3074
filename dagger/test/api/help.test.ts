import { readdirSync, readFileSync } from "node:fs"
import { expect, it } from "vitest"

const folder = new URL("../../src/", import.meta.url)
const sources = ["index.ts", ...readdirSync(new URL("api", folder)).map((name) => `api/${name}`)]

// The CLI takes the first words between backquotes for the kind of value: `--env deploy` for "As in `deploy`".
it.each(sources)("describes parameters without a backquote in %s", (name) => {
  const text = readFileSync(new URL(name, folder), "utf8")
  const described = [...text.matchAll(/@param [\s\S]*?(?=\n\s+\*(?: @|\/|\s*\n))/g)].map(([one]) => one)
  expect(described.filter((one) => one.includes("`"))).toEqual([])
})
