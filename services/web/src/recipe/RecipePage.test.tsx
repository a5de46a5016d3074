import { act, fireEvent, screen, waitFor, within } from "@testing-library/react"
import { http, HttpResponse } from "msw"
import { afterEach, expect, test, vi } from "vitest"
import { gnocchi, kitchen, open, problem, puttanesca, server, signInAsEditor } from "../testing/kitchen.tsx"

const path = `/recipes/${puttanesca.slug}`

async function openRecipe() {
  const opened = open(path)
  await screen.findByRole("heading", { level: 1, name: puttanesca.title })
  return opened
}

test("shows all of a recipe", async () => {
  await openRecipe()
  expect(document.title).toBe("Spaghetti alla puttanesca · Al Dente")
  expect(screen.getByText(puttanesca.summary)).toBeVisible()
  expect(screen.getByText("400 g")).toBeVisible()
  expect(screen.getByText("parsley")).toBeVisible()
  expect(screen.getAllByRole("checkbox")).toHaveLength(3)
  expect(screen.getByText("3 March 2026")).toHaveAttribute("datetime", puttanesca.updated_at)
  expect(screen.getByRole("link", { name: "fish" })).toHaveAttribute("href", "/?tag=fish")
  expect(screen.queryByRole("link", { name: "Edit" })).toBeNull()
  expect(screen.queryByRole("button", { name: "Print" })).toBeNull()
})

test("offers others of its kind", async () => {
  const { user } = await openRecipe()
  const more = within(await screen.findByRole("region", { name: "More quick recipes" }))
  await user.click(more.getByRole("link", { name: gnocchi.title }))
  expect(await screen.findByRole("heading", { level: 1, name: gnocchi.title })).toBeVisible()
  expect(screen.getByRole("main")).toHaveFocus()
})

test("scales its quantities", async () => {
  const { user } = await openRecipe()
  await user.click(screen.getByRole("button", { name: "One serving more" }))
  await user.click(screen.getByRole("button", { name: "One serving more" }))
  expect(screen.getByText("Serves")).toHaveTextContent("Serves 6")
  expect(screen.getByText("600 g")).toBeVisible()
  expect(screen.getByText("¾ tsp")).toBeVisible()
  await user.click(screen.getByRole("button", { name: "Back to 4" }))
  expect(screen.getByText("400 g")).toBeVisible()
  for (let count = 0; count < 3; count++)
    await user.click(screen.getByRole("button", { name: "One serving less" }))
  expect(screen.getByText("100 g")).toBeVisible()
  expect(screen.getByRole("button", { name: "One serving less" })).toBeDisabled()
})

test("steps are checked off, and stay so after a reload", async () => {
  const { user, unmount } = await openRecipe()
  await user.click(screen.getByRole("checkbox", { name: "Boil the spaghetti." }))
  unmount()
  const again = await openRecipe()
  expect(screen.getByRole("checkbox", { name: "Boil the spaghetti." })).toBeChecked()
  await again.user.click(screen.getByRole("checkbox", { name: "Make the sauce." }))
  await again.user.click(screen.getByRole("checkbox", { name: "Toss both together." }))
  expect(screen.getByText("All done. Buon appetito!")).toBeVisible()
  await again.user.click(screen.getByRole("checkbox", { name: "Make the sauce." }))
  expect(screen.queryByText("All done. Buon appetito!")).toBeNull()
  await again.user.click(screen.getByRole("button", { name: "Start over" }))
  for (const step of screen.getAllByRole("checkbox")) expect(step).not.toBeChecked()
  expect(sessionStorage).toHaveLength(0)
})

test("shows its photo, and the drawing when that does not load", async () => {
  kitchen.recipes = [{ ...puttanesca, tags: [], photo_url: "https://example.org/p.jpg" }]
  const { container } = await openRecipe()
  const photo = container.querySelector("img")
  expect(photo).toHaveAttribute("src", "https://example.org/p.jpg")
  if (photo) fireEvent.error(photo)
  expect(container.querySelector("img")).toBeNull()
  expect(container.querySelector("svg.picture")).toBeInTheDocument()
})

test.each([404, 422])("a recipe that is not there (%i) is not on the menu", async (status) => {
  server.use(http.get("*/api/recipes/:slug", () => problem(status, "No.")))
  open("/recipes/gone")
  expect(await screen.findByRole("heading", { name: "This page is off the menu" })).toBeVisible()
})

test("a failure can be tried again", async () => {
  server.use(http.get("*/api/recipes/:slug", () => problem(500, "Broken."), { once: true }))
  const { user } = open(path)
  await user.click(await screen.findByRole("button", { name: "Try again" }))
  expect(await screen.findByRole("heading", { level: 1, name: puttanesca.title })).toBeVisible()
})

test("an editor deletes, after being asked", async () => {
  signInAsEditor()
  const { user, router } = await openRecipe()
  await user.click(screen.getByRole("button", { name: "Delete" }))
  const dialog = within(screen.getByRole("dialog", { name: "Delete “Spaghetti alla puttanesca”?" }))
  await user.click(dialog.getByRole("button", { name: "Keep it" }))
  expect(screen.queryByRole("dialog")).toBeNull()
  await user.click(screen.getByRole("button", { name: "Delete" }))
  await user.click(screen.getByRole("button", { name: "Delete recipe" }))
  await waitFor(() => {
    expect(router.state.location.pathname).toBe("/")
  })
  expect(await screen.findByText("1 recipe")).toBeInTheDocument()
  expect(kitchen.recipes).toHaveLength(1)
})

test("a failed deletion says why", async () => {
  signInAsEditor()
  server.use(http.delete("*/api/recipes/:slug", () => problem(412, "It has changed.")))
  const { user } = await openRecipe()
  await user.click(screen.getByRole("button", { name: "Delete" }))
  await user.click(screen.getByRole("button", { name: "Delete recipe" }))
  expect(await screen.findByRole("alert")).toHaveTextContent("It has changed.")
  expect(kitchen.recipes).toHaveLength(2)
})

function withWakeLock(request: () => Promise<unknown>) {
  Object.defineProperty(navigator, "wakeLock", { configurable: true, value: { request } })
}

afterEach(() => {
  Reflect.deleteProperty(navigator, "wakeLock")
})

class Lock extends EventTarget {
  release = vi.fn(() => {
    this.dispatchEvent(new Event("release"))
    return Promise.resolve()
  })
}

test("cooking mode holds the screen, again after the page was hidden, until it is left", async () => {
  const locks: Lock[] = []
  withWakeLock(() => {
    const lock = new Lock()
    locks.push(lock)
    return Promise.resolve(lock)
  })
  const { user } = await openRecipe()
  await user.click(screen.getByRole("button", { name: "Cooking mode" }))
  expect(await screen.findByText("Large text. The screen stays on.")).toBeVisible()

  const visibility = vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden")
  act(() => {
    void locks[0]?.release()
    document.dispatchEvent(new Event("visibilitychange"))
  })
  expect(screen.getByText(/does not let the screen stay on/)).toBeVisible()
  expect(locks).toHaveLength(1)
  visibility.mockReturnValue("visible")
  act(() => {
    document.dispatchEvent(new Event("visibilitychange"))
  })
  expect(await screen.findByText("Large text. The screen stays on.")).toBeVisible()

  await user.click(screen.getByRole("button", { name: "Cooking mode" }))
  expect(locks[1]?.release).toHaveBeenCalledTimes(1)
})

test("a lock that comes after cooking mode was left is let go", async () => {
  const lock = new Lock()
  let give: (lock: Lock) => void = () => undefined
  withWakeLock(() => new Promise((resolve) => (give = resolve)))
  const { user } = await openRecipe()
  await user.click(screen.getByRole("button", { name: "Cooking mode" }))
  await user.click(screen.getByRole("button", { name: "Cooking mode" }))
  give(lock)
  await waitFor(() => {
    expect(lock.release).toHaveBeenCalledTimes(1)
  })
})

test.each([
  ["refuses", () => Promise.reject(new DOMException("battery", "NotAllowedError"))],
  ["has no such thing", undefined],
])("cooking mode works on a device that %s to hold the screen", async (_how, request) => {
  if (request) withWakeLock(request)
  const { user } = await openRecipe()
  await user.click(screen.getByRole("button", { name: "Cooking mode" }))
  expect(await screen.findByText(/does not let the screen stay on/)).toBeVisible()
})

test("keeps showing what it has when the network goes", async () => {
  const { queryClient } = await openRecipe()
  server.use(http.get("*/api/*", () => HttpResponse.error()))
  await act(() => queryClient.invalidateQueries())
  expect(screen.getByRole("heading", { level: 1, name: puttanesca.title })).toBeVisible()
})
