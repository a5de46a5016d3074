import { describe, expect, it } from "vitest"
import { z } from "zod"
import { readConfiguration, verifyYaml, readLayers, section } from "../../src/lib/document.js"

const schema = section({
  name: z.string().min(1),
  kind: z.enum(["python", "react"]),
  ports: z.array(z.number().int().min(1)).min(1),
  limits: section({ tool: z.number() }),
  labels: z.record(z.string(), z.string()).optional(),
  on: z.boolean().optional(),
})
const whole = "name: api\nkind: python\nports: [80]\nlimits: { tool: 9 }\n"

describe("readLayers", () => {
  it.each([
    ["- a\n", "b.yaml:1: the file must be a mapping, not a list"],
    ["", "b.yaml:1: the file is empty"],
  ])("names the file that is no mapping, not the first one", (text, message) => {
    const layers = [
      { file: "a.yaml", text: whole },
      { file: "b.yaml", text },
    ]
    expect(() => readLayers(layers, schema)).toThrow(message)
  })
})

describe("readConfiguration", () => {
  it("reads a file", () => {
    expect(readConfiguration("a.yaml", whole, schema)).toEqual({
      name: "api",
      kind: "python",
      ports: [80],
      limits: { tool: 9 },
    })
  })

  it.each([
    ["an empty file", "", "a.yaml:1: the file is empty"],
    ["comments alone", "# nothing\n", "a.yaml:1: the file is empty"],
    ["a list", "- a\n", "a.yaml:1: the file must be a mapping, not a list"],
    ["a text", "<html>\n", "a.yaml:1: the file must be a mapping, not a single value"],
    [
      "a missing key",
      whole.replace("kind: python\n", ""),
      'a.yaml:1: kind: is missing; allowed: "python"|"react"',
    ],
    [
      "a missing mapping",
      whole.replace("limits: { tool: 9 }\n", ""),
      "a.yaml:1: limits: is missing: it must be a mapping",
    ],
    [
      "an unknown key",
      `${whole}planted: 6\n`,
      "a.yaml:5: the whole file: no such key: planted; allowed: name",
    ],
    ["an empty text", whole.replace("name: api", 'name: ""'), 'a.yaml:1: name: must not be empty (found "")'],
    [
      "a word of no list",
      whole.replace("python", "ruby"),
      'a.yaml:2: kind: allowed: "python"|"react" (found "ruby")',
    ],
    [
      "a text for a list",
      whole.replace("[80]", "80"),
      "a.yaml:3: ports: must be a list, not a number (found 80)",
    ],
    ["an empty list", whole.replace("[80]", "[]"), "a.yaml:3: ports: must have at least 1 entry"],
    ["a small number", whole.replace("[80]", "[0]"), "a.yaml:3: ports.0: must be at least 1 (found 0)"],
    [
      "half a number",
      whole.replace("[80]", "[1.5]"),
      "a.yaml:3: ports.0: must be a whole number (found 1.5)",
    ],
    [
      "a text for yes or no",
      `${whole}on: maybe\n`,
      'a.yaml:5: on: must be true or false, not text (found "maybe")',
    ],
    ["no YAML", `${whole}a: [1, 2\nb: }\n`, "a.yaml:6: "],
  ])("names file, line and what is allowed for %s", (_, text, message) => {
    expect(() => readConfiguration("a.yaml", text, schema)).toThrow(message)
  })
})

describe("verifyYaml", () => {
  it("accepts a file of several documents", () => {
    expect(() => {
      verifyYaml("crds.yaml", "---\nkind: a\n---\nkind: b\n")
    }).not.toThrow()
  })

  it.each([
    ["a fault in the second document", "kind: a\n---\nkind: [b\nc: }\n", /^crds\.yaml:4: /],
    ["nothing", "# a comment\n", "crds.yaml:1: the file is empty"],
  ])("names file and line for %s", (_, text, message) => {
    expect(() => {
      verifyYaml("crds.yaml", text)
    }).toThrow(message)
  })
})
