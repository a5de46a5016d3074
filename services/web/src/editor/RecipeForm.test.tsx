import { fireEvent, screen, waitFor, within } from "@testing-library/react"
import { http, HttpResponse } from "msw"
import { beforeEach, expect, test } from "vitest"
import { currentSession } from "../auth/session.ts"
import { kitchen, open, problem, puttanesca, server, signInAsEditor } from "../testing/kitchen.tsx"

beforeEach(() => {
  signInAsEditor()
})

const title = () => screen.getByLabelText("Title")
const save = () => screen.getByRole("button", { name: /Save changes|Publish recipe/ })
const edit = `/recipes/${puttanesca.slug}/edit`

async function openEditor(path = edit) {
  const opened = open("/", path)
  await screen.findByLabelText("Title")
  return opened
}

test("writes a recipe with all its parts", async () => {
  const { user, router } = await openEditor("/write")
  await user.type(title(), "Pasta al limone")
  await user.type(screen.getByLabelText("Summary"), "Lemon, butter and cheese.")
  await user.clear(screen.getByLabelText("Minutes"))
  await user.type(screen.getByLabelText("Minutes"), "20")
  await user.click(await screen.findByRole("button", { name: "vegetarian" }))
  await user.type(screen.getByLabelText("Tags"), ", Week day")
  await user.type(screen.getByLabelText("Ingredient 1"), "spaghetti")
  await user.type(screen.getByLabelText("Quantity of ingredient 2"), "2")
  await user.type(screen.getByLabelText("Ingredient 2"), "lemons")
  await user.type(screen.getByLabelText("Step 1"), "Boil the water.")
  await user.click(screen.getByRole("button", { name: "Add a step" }))
  expect(screen.getByLabelText("Step 2")).toHaveFocus()
  await user.keyboard("Toss.")
  await user.click(save())

  expect(await screen.findByRole("heading", { level: 1, name: "Pasta al limone" })).toBeVisible()
  expect(router.state.location.pathname).toBe("/recipes/pasta-al-limone")
  expect(kitchen.recipes.at(-1)).toMatchObject({
    title: "Pasta al limone",
    photo_url: null,
    tags: ["vegetarian", "week-day"],
    minutes: 20,
    servings: 4,
    ingredients: [
      { quantity: "400 g", name: "spaghetti" },
      { quantity: "2", name: "lemons" },
    ],
    steps: ["Boil the water.", "Toss."],
  })
})

test("says at each field what is missing, and goes to the first", async () => {
  const { user } = await openEditor("/write")
  await user.click(save())
  expect(await screen.findByText("Give the recipe a title.")).toBeVisible()
  expect(title()).toHaveFocus()
  expect(title()).toBeInvalid()
  expect(title()).toHaveAccessibleDescription("Give the recipe a title.")
  expect(screen.getByLabelText("Summary")).toHaveAccessibleDescription(
    /in a sentence or two\. Say in a sentence/,
  )
  expect(screen.getAllByText("Name the ingredient, or remove the line.")).toHaveLength(2)
  expect(kitchen.recipes).toHaveLength(2)
})

test("edits a recipe from its newest version", async () => {
  const { user } = await openEditor()
  expect(title()).toHaveValue(puttanesca.title)
  await user.clear(title())
  await user.type(title(), "Puttanesca")
  await user.click(save())
  expect(await screen.findByRole("heading", { level: 1, name: "Puttanesca" })).toBeVisible()
  expect(kitchen.recipes[0]).toMatchObject({ title: "Puttanesca", version: 4 })
})

test("ingredients and steps are added, moved and removed", async () => {
  const { user } = await openEditor()
  await user.click(screen.getByRole("button", { name: "Add an ingredient" }))
  expect(screen.getByLabelText("Quantity of ingredient 4")).toHaveFocus()
  await user.type(screen.getByLabelText("Ingredient 4"), "capers")
  await user.click(screen.getByRole("button", { name: "Move ingredient 4 up" }))
  await user.click(screen.getByRole("button", { name: "Remove ingredient 1" }))
  await user.click(screen.getByRole("button", { name: "Move step 2 up" }))
  await user.click(screen.getByRole("button", { name: "Remove step 3" }))
  expect(screen.getByRole("button", { name: "Move step 1 up" })).toBeDisabled()
  await user.click(save())
  await screen.findByRole("heading", { level: 1, name: puttanesca.title })
  expect(kitchen.recipes[0]?.ingredients.map(({ name }) => name)).toEqual([
    "chilli flakes",
    "capers",
    "parsley",
  ])
  expect(kitchen.recipes[0]?.steps).toEqual(["Make the sauce.", "Boil the spaghetti."])
})

test("the last line of a list stays", async () => {
  await openEditor("/write")
  expect(screen.getByRole("button", { name: "Remove step 1" })).toBeDisabled()
})

test("a tag in use is put in and taken out", async () => {
  const { user } = await openEditor()
  await user.click(await screen.findByRole("button", { name: "fish", pressed: true }))
  expect(screen.getByLabelText("Tags")).toHaveValue("quick")
  await user.click(screen.getByRole("button", { name: "vegetarian", pressed: false }))
  expect(screen.getByLabelText("Tags")).toHaveValue("quick, vegetarian")
})

async function conflict() {
  const opened = await openEditor()
  Object.assign(kitchen.recipes[0] ?? {}, { summary: "Theirs.", version: 4 })
  await opened.user.clear(title())
  await opened.user.type(title(), "Mine")
  await opened.user.click(save())
  expect(await screen.findByText("Your text is still here. They changed the summary.")).toBeVisible()
  return opened
}

test("on a conflict, keeping my text replaces theirs with the next save", async () => {
  const { user } = await conflict()
  expect(screen.getByRole("link", { name: "See theirs in a new tab" })).toHaveAttribute(
    "href",
    `/recipes/${puttanesca.slug}`,
  )
  await user.click(screen.getByRole("button", { name: "Keep my text" }))
  expect(await screen.findByText("Your text replaces theirs when you save.")).toBeVisible()
  expect(title()).toHaveValue("Mine")
  await user.click(save())
  expect(await screen.findByRole("heading", { level: 1, name: "Mine" })).toBeVisible()
  expect(kitchen.recipes[0]).toMatchObject({ title: "Mine", summary: puttanesca.summary, version: 5 })
})

test("on a conflict, taking theirs drops my text", async () => {
  const { user } = await conflict()
  await user.click(screen.getByRole("button", { name: "Take theirs, drop mine" }))
  expect(title()).toHaveValue(puttanesca.title)
  expect(screen.getByLabelText("Summary")).toHaveValue("Theirs.")
  expect(screen.queryByRole("alert")).toBeNull()
})

test("a conflict with a recipe that is gone says so", async () => {
  const { user } = await openEditor()
  Object.assign(kitchen.recipes[0] ?? {}, { version: 4 })
  server.use(http.get("*/api/recipes/:slug", () => problem(404, "There is no such recipe.")))
  await user.type(title(), "!")
  await user.click(save())
  expect(await screen.findByText("There is no such recipe.")).toBeVisible()
})

test("what the server refuses is shown at the field", async () => {
  const errors = [{ location: "body.steps.1", message: "Too hot." }]
  server.use(http.put("*/api/recipes/:slug", () => problem(422, "Invalid.", { errors })))
  const { user } = await openEditor()
  await user.type(title(), "!")
  await user.click(save())
  expect(await screen.findByText("Too hot.")).toBeVisible()
  expect(screen.getByLabelText("Step 2")).toHaveFocus()
})

test("a failed save keeps the text and can be repeated", async () => {
  server.use(http.put("*/api/recipes/:slug", () => HttpResponse.error(), { once: true }))
  const { user } = await openEditor()
  await user.type(title(), "!")
  await user.click(save())
  expect(await screen.findByRole("alert")).toHaveTextContent("The server cannot be reached.")
  await user.click(save())
  expect(await screen.findByRole("heading", { level: 1, name: `${puttanesca.title}!` })).toBeVisible()
})

test("a session that ends while writing loses nothing: signing in elsewhere lets the save through", async () => {
  const { user } = await openEditor()
  signInAsEditor("stale")
  await user.type(title(), "!")
  await user.click(save())
  expect(await screen.findByRole("link", { name: "Sign in in a new tab" })).toHaveAttribute(
    "target",
    "_blank",
  )
  expect(currentSession()).toBeNull()
  signInAsEditor()
  await waitFor(() => {
    expect(screen.queryByRole("link", { name: "Sign in in a new tab" })).toBeNull()
  })
  await user.click(save())
  expect(await screen.findByRole("heading", { level: 1, name: `${puttanesca.title}!` })).toBeVisible()
})

test("leaving with unsaved changes is asked about", async () => {
  const { user, router } = await openEditor()
  await user.type(title(), "!")
  await user.click(screen.getByRole("link", { name: "Cancel" }))
  const dialog = within(await screen.findByRole("dialog", { name: "Leave without saving?" }))
  await user.click(dialog.getByRole("button", { name: "Keep writing" }))
  expect(screen.queryByRole("dialog")).toBeNull()
  expect(title()).toHaveValue(`${puttanesca.title}!`)
  await user.click(screen.getByRole("link", { name: "Cancel" }))
  await user.click(screen.getByRole("button", { name: "Leave" }))
  await waitFor(() => {
    expect(router.state.location.pathname).toBe(`/recipes/${puttanesca.slug}`)
  })
  expect(kitchen.recipes[0]?.title).toBe(puttanesca.title)
})

test("closing the tab is asked about only when there is something to lose", async () => {
  const { user } = await openEditor()
  const leave = () => fireEvent(window, new Event("beforeunload", { cancelable: true }))
  expect(leave()).toBe(true)
  await user.type(title(), "!")
  expect(leave()).toBe(false)
})

test("leaving without changes is free", async () => {
  const { user, router } = await openEditor("/write")
  await user.click(screen.getByRole("link", { name: "Cancel" }))
  expect(router.state.location.pathname).toBe("/")
})

test("a recipe that cannot be loaded can be tried again", async () => {
  server.use(http.get("*/api/recipes/:slug", () => problem(500, "Broken."), { once: true }))
  const { user } = open(edit)
  await user.click(await screen.findByRole("button", { name: "Try again" }))
  expect(await screen.findByLabelText("Title")).toHaveValue(puttanesca.title)
})
