import { ApiError } from "@f1/frontend-kit"
import { expect, test } from "vitest"
import { puttanesca } from "../testing/kitchen.tsx"
import {
  changesBetween,
  fieldsOf,
  inputOf,
  recipeForm,
  serverErrors,
  tagsOf,
  type FormFields,
} from "./form.ts"

const good = fieldsOf(puttanesca)

function messages(change: Partial<FormFields>): string[] {
  const result = recipeForm.safeParse({ ...good, ...change })
  return result.success ? [] : result.error.issues.map(({ message }) => message)
}

test("a recipe survives the form", () => {
  const { title, summary, photo_url, tags, minutes, servings, ingredients, steps } = puttanesca
  expect(inputOf(recipeForm.parse(good))).toEqual({
    title,
    summary,
    photo_url,
    tags,
    minutes,
    servings,
    ingredients,
    steps,
  })
})

test("white space is tidied, and what is empty is null", () => {
  const parsed = recipeForm.parse({
    ...good,
    title: "  Two \n words ",
    photo_url: " ",
    ingredients: [{ quantity: " ", name: " salt " }],
    minutes: " 20 ",
  })
  expect(parsed).toMatchObject({
    title: "Two words",
    photo_url: null,
    ingredients: [{ quantity: null, name: "salt" }],
    minutes: 20,
  })
})

test.each<[Partial<FormFields>, string]>([
  [{ title: " " }, "Give the recipe a title."],
  [{ title: "x".repeat(121) }, "Keep it to 120 characters."],
  [{ summary: "" }, "Say in a sentence or two what it is."],
  [{ minutes: "soon" }, "Give the time as a whole number."],
  [{ minutes: "0" }, "Give the time as a whole number from 1."],
  [{ minutes: "10081" }, "At most 10080."],
  [{ servings: "2.5" }, "Give the servings as a whole number."],
  [{ servings: "101" }, "At most 100."],
  [{ photo_url: "http://example.org/a.jpg" }, "Give an address that starts with https://."],
  [{ photo_url: `https://example.org/${"a".repeat(500)}` }, "Keep the address to 500 characters."],
  [{ tags: "crème" }, "Tags are words of plain letters and digits, such as one-pot."],
  [{ tags: "x".repeat(31) }, "Keep each tag to 30 characters."],
  [{ tags: "a,b,c,d,e,f,g,h,i,j,k" }, "At most 10 tags."],
  [{ ingredients: [] }, "A recipe needs an ingredient."],
  [{ ingredients: [{ quantity: "1", name: "" }] }, "Name the ingredient, or remove the line."],
  [{ ingredients: [{ quantity: "x".repeat(61), name: "a" }] }, "Keep it to 60 characters."],
  [{ steps: [] }, "A recipe needs a step."],
  [{ steps: [{ text: "" }] }, "Describe the step, or remove it."],
])("%j is refused: %s", (change, message) => {
  expect(messages(change)).toEqual([message])
})

test("tags are words between commas", () => {
  expect(tagsOf(" One pot, quick,,QUICK ")).toEqual(["one-pot", "quick"])
})

test("says what changed between two versions", () => {
  expect(changesBetween(puttanesca, puttanesca)).toEqual([])
  expect(changesBetween(puttanesca, { ...puttanesca, title: "x", steps: ["y"], version: 9 })).toEqual([
    "the title",
    "the steps",
  ])
})

test("what the server finds wrong is told to the field that it is about", () => {
  const error = new ApiError("problem", "", {
    status: 422,
    problem: {
      errors: [
        { location: "body.title", message: "too dull" },
        { location: "body.tags.1", message: "odd tag" },
        { location: "body.steps.2", message: "too hot" },
        { location: "body.ingredients.0.name", message: "too old" },
        { location: "body.steps", message: "too many" },
        { location: "body", message: "too much" },
        { location: 7, message: "not understood" },
        null,
      ],
    },
  })
  expect(serverErrors(error)).toEqual([
    { path: "title", message: "too dull" },
    { path: "tags", message: "odd tag" },
    { path: "steps.2.text", message: "too hot" },
    { path: "ingredients.0.name", message: "too old" },
    { path: "root", message: "too many" },
    { path: "root", message: "too much" },
  ])
  expect(serverErrors(new ApiError("problem", "", { status: 422 }))).toEqual([])
  expect(serverErrors(new ApiError("problem", "", { status: 400 }))).toEqual([])
  expect(serverErrors(new Error("x"))).toEqual([])
})
