import { expect, it } from "vitest"
import { dehydrate, hydrate } from "../src/types.ts"

class Located {
  name: string
  fields: Record<string, unknown>
  node = { parent: "a whole syntax tree" }

  constructor(name: string, fields: Record<string, unknown> = {}) {
    this.name = name
    this.fields = fields
  }

  greet() {
    return `I am ${this.name}`
  }

  getLocation() {
    return { filepath: "src/index.ts", line: 3, column: 1 }
  }
}

const throughJson = (value: unknown) =>
  hydrate(JSON.parse(JSON.stringify(dehydrate(value))), { Located }) as Located

it("brings instances back as what they were", () => {
  const outer = throughJson(
    new Located("outer", { inner: new Located("inner"), list: [new Located("item")] }),
  )
  const { inner, list } = outer.fields as { inner: Located; list: [Located] }
  expect([outer, inner, list[0]].map((each) => each.greet())).toEqual([
    "I am outer",
    "I am inner",
    "I am item",
  ])
  expect(inner.getLocation()).toEqual({ filepath: "src/index.ts", line: 3, column: 1 })
})

it("leaves the syntax tree behind, but nothing that the module happens to call by the same name", () => {
  const written = dehydrate(new Located("x", { node: 1, ast: 2, constructor: 3 }))
  expect(written).not.toHaveProperty("node")
  expect(written).toHaveProperty("fields", { node: 1, ast: 2, constructor: 3 })
})

it("keeps the order of dictionaries, which is the order of arguments", () => {
  const { fields } = throughJson(new Located("x", { b: 1, a: 2, c: 3 }))
  expect(Object.keys(fields)).toEqual(["b", "a", "c"])
})

it("takes a class that it was not told of for its fields and location", () => {
  class Unknown extends Located {}
  const value = throughJson(new Unknown("x"))
  expect(value.name).toBe("x")
  expect(value.getLocation().line).toBe(3)
})
