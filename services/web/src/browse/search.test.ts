import { expect, test } from "vitest"
import { everything, isNarrow, pagesToOffer, queryOf, searchFrom, withTagToggled } from "./search.ts"

test("a search survives its URL", () => {
  const search = { words: "lemon & clams", tags: ["fish", "quick"], sort: "quickest", page: 3 } as const
  expect(searchFrom(new URLSearchParams(queryOf({ ...search, tags: [...search.tags] })))).toEqual(search)
})

test("everything has the empty URL", () => {
  expect(queryOf(everything)).toBe("")
  expect(searchFrom(new URLSearchParams())).toEqual(everything)
})

test.each(["page=0", "page=-1", "page=1.5", "page=x", "sort=random", "sort=toString", "q=%20", "tag="])(
  "?%s makes no sense and is left out",
  (query) => {
    expect(searchFrom(new URLSearchParams(query))).toEqual(everything)
  },
)

test("a tag counts once, and its place does not matter", () => {
  expect(searchFrom(new URLSearchParams("tag=b&tag=a&tag=b")).tags).toEqual(["a", "b"])
})

test("toggling a tag goes back to the first page", () => {
  const search = { ...everything, tags: ["b"], page: 4 }
  expect(withTagToggled(search, "a")).toEqual({ ...search, tags: ["a", "b"], page: 1 })
  expect(withTagToggled(search, "b")).toEqual({ ...search, tags: [], page: 1 })
})

test("words or tags make a search narrow, its order and page do not", () => {
  expect(isNarrow({ ...everything, sort: "title", page: 2 })).toBe(false)
  expect(isNarrow({ ...everything, words: "a" })).toBe(true)
  expect(isNarrow({ ...everything, tags: ["a"] })).toBe(true)
})

test.each([
  [1, 1, [1]],
  [1, 3, [1, 2, 3]],
  [1, 9, [1, 2, null, 9]],
  [5, 9, [1, null, 4, 5, 6, null, 9]],
  [3, 9, [1, 2, 3, 4, null, 9]],
  [4, 9, [1, 2, 3, 4, 5, null, 9]],
  [9, 9, [1, null, 8, 9]],
])("on page %i of %i, offers %j", (page, pages, offered) => {
  expect(pagesToOffer(page, pages)).toEqual(offered)
})
