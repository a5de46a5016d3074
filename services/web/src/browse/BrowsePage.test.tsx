import { screen, waitFor, within } from "@testing-library/react"
import { delay, http, HttpResponse } from "msw"
import { expect, test } from "vitest"
import { gnocchi, kitchen, open, puttanesca, server, signInAsEditor } from "../testing/kitchen.tsx"

const titles = () => screen.queryAllByRole("heading", { level: 2 }).map((heading) => heading.textContent)

test("shows all recipes, after saying that they load", async () => {
  open("/")
  expect(screen.getByText("Loading recipes…")).toBeInTheDocument()
  expect(await screen.findByRole("link", { name: puttanesca.title })).toHaveAttribute(
    "href",
    "/recipes/spaghetti-alla-puttanesca",
  )
  expect(titles()).toEqual([puttanesca.title, gnocchi.title])
  expect(screen.getByText("2 recipes")).toBeInTheDocument()
  expect(document.title).toBe("Al Dente")
})

test("searches when typing pauses, with the words in the URL", async () => {
  const { user, router } = open("/")
  await screen.findByText("2 recipes")
  await user.type(screen.getByRole("searchbox", { name: "Search recipes" }), "gnocchi")
  expect(await screen.findByText("1 recipe for “gnocchi”")).toBeInTheDocument()
  expect(titles()).toEqual([gnocchi.title])
  expect(router.state.location.search).toBe("?q=gnocchi")
  expect(kitchen.searches).toHaveLength(2)
  expect(document.title).toBe("“gnocchi” · Al Dente")
})

test("Enter searches at once", async () => {
  const { user, router } = open("/")
  await user.type(screen.getByRole("searchbox"), "sage{Enter}")
  expect(router.state.location.search).toBe("?q=sage")
})

test("Back brings the former words into the search box", async () => {
  const { user, router } = open("/?q=gnocchi")
  const box = screen.getByRole("searchbox")
  expect(box).toHaveValue("gnocchi")
  await user.click(await screen.findByRole("link", { name: "Clear all" }))
  expect(box).toHaveValue("")
  await router.navigate(-1)
  await waitFor(() => {
    expect(box).toHaveValue("gnocchi")
  })
})

test("tags narrow the list, each more so", async () => {
  const { user, router } = open("/")
  const tags = within(await screen.findByRole("group", { name: "Filter by tag" }))
  await user.click(tags.getByRole("button", { name: "quick" }))
  await user.click(tags.getByRole("button", { name: "fish" }))
  expect(router.state.location.search).toBe("?tag=fish&tag=quick")
  expect(await screen.findByText("1 recipe")).toBeInTheDocument()
  expect(tags.getByRole("button", { name: "fish" })).toHaveAttribute("aria-pressed", "true")
  await user.click(tags.getByRole("button", { name: "fish" }))
  expect(router.state.location.search).toBe("?tag=quick")
})

test("a tag in the URL can be taken away even when the tags cannot be had", async () => {
  server.use(http.get("*/api/tags", () => new HttpResponse(null, { status: 500 })))
  const { user, router } = open("/?tag=quick")
  await user.click(await screen.findByRole("button", { name: "quick", pressed: true }))
  expect(router.state.location.search).toBe("")
})

test("many tags are folded until asked for", async () => {
  kitchen.recipes = [{ ...gnocchi, tags: Array.from({ length: 15 }, (_, index) => `tag-${index}`) }]
  const { user } = open("/")
  const tags = within(await screen.findByRole("group", { name: "Filter by tag" }))
  expect(tags.queryByRole("button", { name: "tag-14" })).toBeNull()
  await user.click(tags.getByRole("button", { name: "All tags" }))
  expect(tags.getByRole("button", { name: "tag-14" })).toBeVisible()
  expect(tags.queryByRole("button", { name: "All tags" })).toBeNull()
})

test("sorts", async () => {
  const { user, router } = open("/?page=2")
  await user.selectOptions(screen.getByRole("combobox", { name: "Sort" }), "Quickest")
  expect(router.state.location.search).toBe("?sort=quickest")
  await waitFor(() => {
    expect(kitchen.searches.at(-1)).toContain("sort=quickest")
  })
})

test("long lists have pages", async () => {
  kitchen.recipes = Array.from({ length: 30 }, (_, index) => ({
    ...gnocchi,
    slug: `g-${index}`,
    title: `Gnocchi ${index}`,
  }))
  const { user, router } = open("/")
  const pages = within(await screen.findByRole("navigation", { name: "Pages" }))
  expect(pages.getByRole("link", { name: "Page 1" })).toHaveAttribute("aria-current", "page")
  expect(pages.queryByRole("link", { name: "Previous" })).toBeNull()
  await user.click(pages.getByRole("link", { name: "Next" }))
  expect(router.state.location.search).toBe("?page=2")
  expect(await screen.findByRole("link", { name: "Gnocchi 12" })).toBeVisible()
  await user.click(screen.getByRole("link", { name: "Page 3" }))
  expect(await screen.findByRole("link", { name: "Gnocchi 24" })).toBeVisible()
  expect(screen.queryByRole("link", { name: "Next" })).toBeNull()
  expect(screen.getByRole("link", { name: "Previous" })).toBeVisible()
})

test("the page before stays, dimmed, while the next one loads", async () => {
  const { user } = open("/")
  await screen.findByText("2 recipes")
  server.use(http.get("*/api/recipes", () => delay("infinite")))
  await user.click(screen.getByRole("button", { name: "fish" }))
  expect(screen.getByRole("link", { name: gnocchi.title }).closest("[aria-busy]")).toHaveAttribute(
    "aria-busy",
    "true",
  )
})

test("a page past the end leads back to the last one", async () => {
  const { user, router } = open("/?page=7&q=gnocchi")
  await user.click(await screen.findByRole("link", { name: "Go back to it" }))
  expect(router.state.location.search).toBe("?q=gnocchi")
})

test("nothing found says what to try", async () => {
  const { user } = open("/?q=pizza")
  expect(await screen.findByRole("heading", { name: "Nothing on the menu for that" })).toBeVisible()
  await user.click(screen.getByRole("link", { name: "See all recipes" }))
  expect(await screen.findByText("2 recipes")).toBeInTheDocument()
})

test("an empty book invites to write", async () => {
  kitchen.recipes = []
  open("/")
  expect(await screen.findByRole("link", { name: "Sign in to write the first recipe" })).toHaveAttribute(
    "href",
    "/write",
  )
})

test("an empty book invites an editor to write at once", async () => {
  signInAsEditor()
  kitchen.recipes = []
  open("/")
  expect(await screen.findByRole("link", { name: "Write the first recipe" })).toBeVisible()
})

test("a failure can be tried again", async () => {
  server.use(http.get("*/api/recipes", () => new HttpResponse(null, { status: 500 }), { once: true }))
  const { user } = open("/")
  expect(await screen.findByRole("alert")).toHaveTextContent("The server has a problem")
  await user.click(screen.getByRole("button", { name: "Try again" }))
  expect(await screen.findByText("2 recipes")).toBeInTheDocument()
})

test("without a network, recipes that were read are offered", async () => {
  const { user, router } = open("/recipes/gnocchi-with-sage")
  await screen.findByRole("heading", { name: gnocchi.title })
  server.use(http.get("*/api/*", () => HttpResponse.error()))
  await router.navigate("/?q=anything")
  expect(await screen.findByRole("alert")).toHaveTextContent("No connection")
  const shelf = within(screen.getByRole("region", { name: "On this device" }))
  await user.click(shelf.getByRole("link", { name: gnocchi.title }))
  expect(await screen.findByRole("heading", { name: gnocchi.title, level: 1 })).toBeVisible()
})
